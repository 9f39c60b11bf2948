"""Long work on a thread of its own, watched and stopped from another one. No Qt, no torch: each face polls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import Generic, TypeVar

from .errors import Cancelled

#: (done, total, what comes next), after every step of the work.
Progress = Callable[[int, int, str], None]

#: True when the user wants to stop.
Cancel = Callable[[], bool]

T = TypeVar("T")


@dataclass(frozen=True)
class JobProgress:
    """How far a job is. what: the step that runs now. remaining_s: None as long as no step is done."""

    done: int
    total: int
    what: str
    elapsed_s: float
    remaining_s: float | None


class Job(Generic[T]):
    """Runs ``work(progress, cancel)`` from now on.

    The work calls ``progress(done, total, what)`` before each step and stops soon after ``cancel()`` says so, best by
    raising Cancelled. Nothing is forced: work that never asks runs to its end. name: of the thread, for the log.
    """

    def __init__(self, work: Callable[[Progress, Cancel], T], name: str = "EAR job") -> None:
        self._work = work
        self._start, self._end = monotonic(), 0.0
        self._cancel, self._finished = Event(), Event()
        # The first report that counts, and the last: replaced whole, for another thread reads while this one writes.
        self._reports = ((0, 0, "", self._start),) * 2
        self._value: list[T] = []
        self._error: BaseException | None = None
        Thread(target=self._run, name=name, daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether the work goes on; afterwards ``result`` has what it came to."""
        return not self._finished.is_set()

    @property
    def cancelling(self) -> bool:
        """Whether the work was told to stop and has not stopped yet."""
        return self._cancel.is_set() and self.running

    @property
    def progress(self) -> JobProgress:
        """How far the work is now."""
        now = monotonic() if self.running else self._end
        first, (done, total, what, reported) = self._reports
        if not self.running:
            remaining: float | None = 0.0
        elif done > first[0]:
            per_step = (reported - first[3]) / (done - first[0])
            remaining = max(per_step * (total - done) - (now - reported), 0.0)
        else:
            remaining = None
        return JobProgress(done, total, what, now - self._start, remaining)

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._cancel.set()

    def result(self, timeout_s: float | None = None) -> T:
        """What the work returned, waiting for it; raises whatever the work raised.

        Raises Cancelled also when the work returned after it had been told to stop, and TimeoutError.
        """
        if not self._finished.wait(timeout_s):
            raise TimeoutError("the work still runs")
        if self._error is not None:
            raise self._error
        if self._cancel.is_set():
            raise Cancelled
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._work(self._report, self._cancel.is_set))
        except BaseException as error:  # it is raised again where the result is asked for
            self._error = error
        self._end = monotonic()
        self._finished.set()

    def _report(self, done: int, total: int, what: str) -> None:
        report, (first, last) = (done, total, what, monotonic()), self._reports
        # Reading and loading, or an earlier part of the work, say nothing about how long these steps take.
        begins = total != last[1] or done < last[0]
        self._reports = (report if begins else first, report)
