"""One command `ear` in a process of its own: started on the main thread, followed on another one, ended with its tree.

The process leads a process group (see EARTrainingLib.cli.common), for what Slicer knows may be a launcher only, which
would leave the real program and its workers behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import slicer
from EARReconstructionLib.errors import Cancelled, EARError
from EARReconstructionLib.job import Cancel, Progress
from slicer.i18n import tr as _

#: Seconds that a process has to stop by itself, with a checkpoint, before it is killed.
GRACE_S = 20.0

#: How often a process that says nothing is looked at, seconds.
_POLL_S = 0.1

#: Seconds that what a process said at last has to arrive, after its end.
_LAST_WORDS_S = 5.0

#: Lines of the log that go with an error.
_TAIL = 40


class Log(Exception):
    """What a process printed before it failed: the cause of an error, for those who read its details."""


class Child:
    """Runs a command from now on.

    name: of the command, for sentences. arguments: the program first. environment: added to that of the process.
    slicers: whether the program belongs to Slicer's own Python; others must not see its environment.
    lines: what the process prints, but for events. events: what it tells, see EARTrainingLib.cli.common. Both may be
    taken out by any thread. Raises EARError when the program cannot be started.
    """

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], *, slicers: bool) -> None:
        self.name = name
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._group: int | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._printed: SimpleQueue[str | None] = SimpleQueue()
        try:
            # Both Slicer 5.10 and 5.12 return the process at once, and leave it to us to read.
            self._process: Any = slicer.util.launchConsoleProcess(
                arguments, useStartupEnvironment=not slicers, updateEnvironment=environment
            )
        except OSError as error:
            raise EARError(
                arguments[0],
                _("it cannot be started ({reason})").format(reason=error.strerror or error),
                _("Choose another Python in the section Python and log"),
            ) from error
        self._process.stdout.reconfigure(encoding="utf-8", errors="replace")
        Thread(target=self._read, name=f"{name} output", daemon=True).start()

    def follow(self, progress: Progress, cancel: Cancel) -> dict[str, Any]:
        """Wait for the end and return the fields of the event ``end``. On any thread but the main one.

        When told to stop, the process is asked to, and killed with all that it started when it does not.
        Raises Cancelled; EARError as the process told it, or when it ended without a word.
        """
        last: dict[str, Any] = {}
        asked, deadline, ended = False, 0.0, 0.0
        while (line := self._next()) is not None:
            if line and (event := _event(line)):
                last = self._heard(event, progress)
            elif line:
                self._tail.append(line)
                self.lines.put(line)
            elif self._process.poll() is not None:
                if not ended:
                    ended = monotonic()
                    self.end()  # workers that outlived it hold its output open
                elif monotonic() - ended > _LAST_WORDS_S:
                    break
            if cancel():
                deadline = deadline or monotonic() + GRACE_S
                if not asked and (self._group or os.name == "nt"):
                    asked = True
                    self._ask_to_stop()
                if monotonic() > deadline:
                    self.end()
                    raise Cancelled
        status = self._process.wait()
        self.end()
        if cancel() or last.get("event") == "cancelled":
            raise Cancelled
        if last.get("event") == "end":
            return last
        log = Log("\n".join(self._tail))
        if last.get("event") == "error":
            raise EARError(last["subject"], last["cause"], last["advice"]) from log
        raise EARError(self.name, self._how_it_ended(status), _("Start again: it goes on where it was")) from log

    def end(self) -> None:
        """Kill the process and all that it started, now. On any thread."""
        if os.name == "nt":
            if self._process.poll() is None:
                subprocess.run(["taskkill", "/PID", str(self._process.pid), "/T", "/F"], capture_output=True)
        elif self._group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        self._process.kill()

    def _heard(self, event: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if event["event"] == "start":
            self._group = event["pid"]
        elif event["event"] in ("step", "epoch"):
            progress(event["done"], event["total"], event["what"])
        self.events.put(event)
        return event

    def _ask_to_stop(self) -> None:
        if os.name == "nt":  # has no signal that a process without a console could hear
            self.end()
        elif self._group:
            with suppress(ProcessLookupError):
                os.kill(self._group, signal.SIGTERM)

    def _how_it_ended(self, status: int) -> str:
        if status < 0 or status == 137:
            return _("the process was killed, as happens when memory runs out")
        last = self._tail[-1] if self._tail else _("it printed nothing")
        return _("the process ended unexpectedly with status {status} ({last})").format(status=status, last=last)

    def _read(self) -> None:
        for line in self._process.stdout:
            self._printed.put(line.rstrip())
        self._printed.put(None)

    def _next(self) -> str | None:
        """The next line, "" when there is none yet, None at the end."""
        try:
            return self._printed.get(timeout=_POLL_S)
        except Empty:
            return ""


def _event(line: str) -> dict[str, Any] | None:
    """The event of a line, None when it is none."""
    if not line.startswith('{"event"'):
        return None
    try:
        return dict(json.loads(line))
    except ValueError:
        return None


#: Something to do with an event, on the main thread.
Told = Callable[[dict[str, Any]], None]
