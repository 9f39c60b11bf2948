"""One worker per piece of work, among processes and machines that share a folder."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from types import TracebackType

#: A claim is renewed this often, and counts as left behind when it was not renewed for so long.
RENEWED_S, LEFT_BEHIND_S = 20.0, 300.0


class Claimed(Exception):
    """Somebody else is at work on it: a sentence that says who."""


class Claim:
    """A marker file that exists as long as somebody works on something; use it in a ``with`` block.

    A file, because locks of the operating system do not reach across every shared file system. A worker that was
    killed leaves it behind; the next one takes it over at once on the same machine, after LEFT_BEHIND_S on another.
    Ages are compared with the shared folder's own clock. Entering raises Claimed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mine = ""
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Claim:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        words = {"host": socket.gethostname(), "process": os.getpid(), "thread": threading.get_ident()}
        self._mine = json.dumps(words)
        while not self._taken():
            holder = self._left_behind()
            if holder is not None:
                self._remove(holder)
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
            host, process = str(holder["host"]), int(holder["process"])
        except (ValueError, KeyError, TypeError):  # it is being written at this moment
            host, process = "another process", 0
        dead = host == socket.gethostname() and process != os.getpid() and not _runs(process)
        if not dead and age_s < LEFT_BEHIND_S:
            raise Claimed(f"process {process} on {host} is at work on it" if process else "another process has it")
        return text

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


def _runs(process: int) -> bool:
    """Whether a process of this machine is alive."""
    if os.name == "nt":  # there signal 0 is not harmless; age decides
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
