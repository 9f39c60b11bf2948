"""What one page does now: its scene, the words it shows, and the one long job that may run."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..errors import Cancelled, EARError
from ..job import Cancel, Job, Progress
from ..scene.nodes import Node, Scene
from .stage import Stage

T = TypeVar("T")
P = TypeVar("P")

#: Seconds between two looks at a job.
_LOOK_S = 0.15

#: Changes of the scene within this time, s, are shown together.
_TOGETHER_S = 0.08

_log = logging.getLogger(__name__)


class Shown(Protocol):
    """A part of the page that shows something of the scene."""

    def refresh(self) -> None:
        """Bring its state up to date."""

    def clear(self) -> None:
        """Take away what is shown, for the next case."""


class Session:
    """One page's state and work. folder: private, for uploads and downloads.

    State of its own: message, message_kind ("information", "warning", "error"), busy, job (title, share, words).
    """

    def __init__(self, server: Any, folder: Path) -> None:
        self.server, self.state, self.folder = server, server.state, folder
        self.stage = Stage(server, lambda _: self.soon())
        self.parts: list[Shown] = []
        self._job: Job[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Handle | None = None
        self.state.update({"message": "", "message_kind": "information", "busy": False, "cancelling": False})
        self.state.update({"job_title": "", "job_share": 0, "job_words": "", "step": "xrays", "arrangement": "xrays"})

    @property
    def scene(self) -> Scene:
        """The page's scene."""
        return self.stage.scene

    def say(self, text: str, kind: str = "information") -> None:
        """Show a sentence."""
        self.state.update({"message": text, "message_kind": kind})

    @contextmanager
    def attempt(self, step: str) -> Iterator[None]:
        """What goes wrong inside becomes a sentence; the page goes on."""
        try:
            yield
        except EARError as error:
            self.say(_readable(error, self.folder), "error")
        except Cancelled:
            self.say(f"{step}: cancelled.")
        except MemoryError:
            self.say(f"{step}: there is not enough memory. Close other programs, or other pages.", "error")
        except Exception as error:
            _log.exception("%s", step)
            self.say(
                f"{step}: an unexpected error ({type(error).__name__}). The server's log has the details.", "error"
            )

    def bind(self, step: str, method: Callable[..., None], name: str | None = None) -> None:
        """Let the page call a method by its name; then all parts show what has become of it."""

        def call(*arguments: Any) -> None:
            with self.attempt(step):
                method(*arguments)
            self.changed()

        self.server.trigger(name or method.__name__)(call)

    def start(
        self,
        title: str,
        work: Callable[[Progress, Cancel], T],
        done: Callable[[T], None],
        *,
        watch: Iterable[Node] = (),
    ) -> None:
        """Run a job off the event loop; ``done`` gets its result back on it. While one runs, another does not start.

        watch: nodes without which the result is worth nothing; when one goes, the job is stopped.
        """
        if self._job is not None:
            return
        self.say("")
        self._job = Job(work, title)
        self.state.update({"busy": True, "job_title": title, "job_share": 0, "job_words": ""})
        self._watch = asyncio.get_running_loop().create_task(self._follow(self._job, title, done, list(watch)))

    async def settled(self) -> None:
        """Wait until no job runs."""
        if self._watch is not None:
            await asyncio.wait([self._watch])

    def cancel(self) -> None:
        """Ask the job to stop."""
        if self._job is not None:
            self._job.cancel()
            self.state.cancelling = True

    def changed(self) -> None:
        """Bring all parts of the page up to date now."""
        for part in self.parts:
            part.refresh()

    def soon(self, *_: Any) -> None:
        """Bring them up to date in a moment, once for all that changes until then."""
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().call_later(_TOGETHER_S, self._refresh)

    def refresh(self) -> None:
        """``changed``, from outside a call of the page."""
        with self.state, self.attempt("Showing"):
            self.changed()

    def part(self, kind: type[P]) -> P:
        """The part of the page of a class."""
        return next(part for part in self.parts if isinstance(part, kind))

    def close(self) -> None:
        """The page is gone: stop what runs."""
        if self._job is not None:
            self._job.cancel()

    def _refresh(self) -> None:
        self._refreshing = None
        self.refresh()

    async def _follow(self, job: Job[T], title: str, done: Callable[[T], None], watch: list[Node]) -> None:
        dropped = False
        while job.running:
            if not dropped and not all(self.scene.IsNodePresent(node) for node in watch):
                dropped = True
                job.cancel()
            with self.state:
                self._show(job)
            await asyncio.sleep(_LOOK_S)
        with self.state:
            self._job = None
            self.state.update({"busy": False, "cancelling": False, "job_share": 0, "job_words": ""})
            with self.attempt(title):
                if dropped or not all(self.scene.IsNodePresent(node) for node in watch):
                    raise EARError(title, "what it worked with was taken away", "Start it again")
                done(job.result())
            self.changed()

    def _show(self, job: Job[Any]) -> None:
        now = job.progress
        words = [f"{min(now.done + 1, now.total)} of {now.total}"] if now.total > 1 else []
        words += [now.what] if now.what else []
        if now.remaining_s is not None and now.remaining_s >= 1:
            words.append(f"about {now.remaining_s:.0f} s left")
        self.state.job_words = "Stopping..." if job.cancelling else " · ".join(words) or "Starting..."
        self.state.job_share = round(100 * now.done / now.total) if now.total else 0


def _readable(error: EARError, folder: Path) -> str:
    """An error's sentence, with the name that the user gave a file and not where we keep it."""
    subject = Path(error.subject).name if error.subject.startswith(str(folder)) else error.subject
    sentence = f"{subject}: {error.cause}. {error.advice}."
    return re.sub(rf"{re.escape(str(folder))}(/[^\s:;,()'\"]*)?/?", lambda found: Path(found[0]).name, sentence)
