"""One worker per piece of work, among processes and machines that share a folder."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import psutil
from EARReconstructionLib.errors import EARError

#: A claim is renewed this often, and counts as left behind when it was not renewed for so long.
RENEWED_S, LEFT_BEHIND_S = 20.0, 300.0

#: Two processes of one number are one if they began within this time, s: a clock may be set meanwhile.
SAME_START_S = 60.0


class Claimed(EARError):
    """Somebody else is at work on it. cause: a sentence that says who."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep all other runs out of an output folder during the block. Raises Claimed; EARError for no place to write.

    A folder that this makes and nothing is written to goes again.
    """
    new = not folder.exists()
    try:
        with Claim(folder / ".at-work", folder):
            yield
    finally:
        if new:
            with suppress(OSError):
                folder.rmdir()


class Claim:
    """A marker file that exists as long as somebody works on something; use it in a ``with`` block.

    A file, because locks of the operating system do not reach across every shared file system. A worker that was
    killed leaves it behind; the next one takes it over at once on the same machine, after LEFT_BEHIND_S on another.
    Ages are compared with the shared folder's own clock. subject: what errors name. Entering raises Claimed, or
    EARError where nothing can be written.
    """

    def __init__(self, path: Path, subject: Path | None = None) -> None:
        self.path, self.subject = path, subject or path
        self._mine = ""
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Claim:
        process = psutil.Process()
        words = {"host": socket.gethostname(), "process": process.pid, "started": process.create_time()}
        self._mine = json.dumps({**words, "thread": threading.get_ident()})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self._taken():
                holder = self._left_behind()
                if holder is not None:
                    self._remove(holder)
        except OSError as error:
            raise EARError(
                self.subject,
                f"it could not be written ({error.strerror or error})",
                "Choose a folder with room and write access",
            ) from error
        self._renewal.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._renewal.join()
        self._remove(self._mine)

    def _taken(self) -> bool:
        try:
            with self.path.open("x", encoding="utf-8") as stream:
                stream.write(self._mine)
        except FileExistsError:
            return False
        return True

    def _left_behind(self) -> str | None:
        """What a claim that nobody renews any more holds; None when it has just gone. Raises Claimed."""
        clock = self.path.with_name(f".{self.path.name}.{os.getpid()}.clock")
        try:
            clock.touch()
            age_s = clock.stat().st_mtime - self.path.stat().st_mtime
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        finally:
            clock.unlink(missing_ok=True)
        try:
            holder = json.loads(text)
            host, process, started = str(holder["host"]), int(holder["process"]), float(holder["started"])
        except (ValueError, KeyError, TypeError):  # it is being written at this moment
            host, process, started = "", 0, 0.0
        here = host == socket.gethostname()
        if age_s >= LEFT_BEHIND_S or (here and not _runs(process, started)):
            return text
        advice = "Wait until it has ended, or give another folder"
        if not here:
            advice += f"; if it was killed, try again in {LEFT_BEHIND_S / 60:.0f} minutes"
        who = f"process {process} on {host}" if process else "another process"
        raise Claimed(self.subject, f"{who} is at work on it", advice)

    def _remove(self, holder: str) -> None:
        """Take the file away if it is still this holder's."""
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        if aside.read_text(encoding="utf-8") == holder:
            aside.unlink()
        else:  # somebody took it over in between
            aside.rename(self.path)

    def _renew(self) -> None:
        while not self._done.wait(RENEWED_S):
            try:
                os.utime(self.path)
            except OSError:  # a file system that is away for a moment must not stop the training
                continue


def _runs(process: int, started: float) -> bool:
    """Whether that process of this machine is alive. In containers another one may soon have its number."""
    try:
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - started) < SAME_START_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
