"""The pages that are open: a process each, which ends when its page is closed or we end."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import EARError

#: A page whose browser has gone ends after this time, s: long enough to load it again, or for a short gap of the net.
GRACE_S = 10.0

#: A page that was handed out and never opened its websocket ends after this time, s.
_UNOPENED_S = 60.0

#: A process has this long, s, to start, and to end by itself.
_START_S, _END_S = 180.0, 5.0

_PORT_LINE = b"port "

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Page:
    """One page: the key in its address, the secret between its process and us, and its private folder.

    watchers: browsers that look at it. unwatched_since: when the last of them left, by the loop's clock.
    """

    key: str
    secret: str
    folder: Path
    process: Process
    port: int
    unwatched_since: float = 0.0
    allowance_s: float = _UNOPENED_S
    watchers: int = field(default=0)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.returncode is None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While a browser looks at it."""
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1
            self.unwatched_since = asyncio.get_running_loop().time()
            self.allowance_s = GRACE_S


class Pages:
    """Starts, finds and ends pages. limit: so many at once; one more waits ready, so that the next opens at once."""

    def __init__(self, limit: int, upload_mb: int, elsewhere: bool) -> None:
        self._limit, self._upload_mb, self._elsewhere = limit, upload_mb, elsewhere
        self._open: dict[str, Page] = {}
        self._spare: asyncio.Task[Page] | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Get the first page ready. Raises EARError when that cannot be."""
        self._sweeper = asyncio.create_task(self._sweep())
        self._spare = asyncio.create_task(self._start_page())
        await asyncio.shield(self._spare)

    async def open(self) -> Page:
        """A page for someone who comes. Raises EARError when there are too many, or it cannot start."""
        await self._end_unwatched()
        if len(self._open) >= self._limit:
            raise EARError(
                "EAR", f"{self._limit} pages are open, as many as were allowed", "Close one, or start with --pages"
            )
        waiting, self._spare = self._spare, None
        page = await waiting if waiting is not None else await self._start_page()
        if not page.alive:
            await _end(page)
            page = await self._start_page()
        page.unwatched_since = asyncio.get_running_loop().time()
        self._open[page.key] = page
        if len(self._open) < self._limit and self._spare is None:
            self._spare = asyncio.create_task(self._start_page())
        return page

    def find(self, key: str) -> Page | None:
        """The page of a key, or None when there is none any more."""
        page = self._open.get(key)
        return page if page is not None and page.alive else None

    async def close(self) -> None:
        """End all pages, and take away all that was uploaded."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        pages, self._open = list(self._open.values()), {}
        if self._spare is not None:
            self._spare.cancel()
            with suppress(EARError, asyncio.CancelledError):
                pages.append(await self._spare)
        await asyncio.gather(*(_end(page) for page in pages))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(GRACE_S, 2.0))
            await self._end_unwatched()

    async def _end_unwatched(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, page in list(self._open.items()):
            if not page.alive or (not page.watchers and now - page.unwatched_since > page.allowance_s):
                del self._open[key]
                await _end(page)

    async def _start_page(self) -> Page:
        folder = Path(tempfile.mkdtemp(prefix="ear-page-"))  # for this user alone
        words = [sys.executable, "-m", "EARReconstructionLib.app.page", str(folder), str(self._upload_mb)]
        if self._elsewhere:
            words.append("--elsewhere")
        temporary = folder / "temporary"  # so that what libraries leave there goes with the page
        temporary.mkdir()
        # Without a screen VTK draws through EGL; with one, this spares a window that nobody sees.
        environment = {"VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow", **os.environ}
        environment |= {"WSLINK_READY_MSG": "", "TMPDIR": str(temporary)}
        # Ctrl-C in the terminal reaches us, and we end the pages in order.
        process = await asyncio.create_subprocess_exec(
            *words, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
        )
        page = Page(secrets.token_urlsafe(24), secrets.token_urlsafe(24), folder, process, 0)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{page.secret}\n".encode())
            line = await asyncio.wait_for(process.stdout.readline(), _START_S)
            if not line.startswith(_PORT_LINE):
                said = line.decode().strip()
                raise EARError("page", said or "its process ended at once", "See what it printed above")
            page.port = int(line.removeprefix(_PORT_LINE))
        except (EARError, OSError, asyncio.TimeoutError, asyncio.CancelledError) as error:
            with suppress(ProcessLookupError):
                process.kill()  # nobody has seen it, and it listens to nothing before it is ready
            await _end(page)
            if isinstance(error, (EARError, asyncio.CancelledError)):
                raise
            raise EARError(
                "page", "its process did not start in time", "Try again when the machine is less busy"
            ) from None
        return page


async def _end(page: Page) -> None:
    """End a page's process, gently and then not, and remove its folder."""
    assert page.process.stdin is not None
    page.process.stdin.close()  # it ends when we let go
    for stop in (page.process.terminate, page.process.kill, None):
        try:
            await asyncio.wait_for(page.process.wait(), _END_S)
            break
        except asyncio.TimeoutError:
            if stop is not None:
                _log.warning("page process %d does not end by itself", page.process.pid)
                with suppress(ProcessLookupError):
                    stop()
    shutil.rmtree(page.folder, ignore_errors=True)
