"""Jobs: progress and time left as seen from another thread, cancel, errors, and two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest
from EARReconstructionLib import job as module
from EARReconstructionLib.errors import Cancelled, DeviceError
from EARReconstructionLib.job import Cancel, Job, Progress

#: Longer than any of these jobs, s.
LONG = 20.0


class Stepped:
    """Work that does one step each time it is let, and tells when it has reported."""

    def __init__(self, total: int = 4, heeds: bool = True) -> None:
        self.total, self.heeds, self.steps = total, heeds, 0
        self._let, self._reported = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, progress: Progress, cancel: Cancel) -> str:
        for n in range(self.total):
            if self.heeds and cancel():
                raise Cancelled
            progress(n, self.total, f"L{n + 1}")
            self._reported.release()
            assert self._let.acquire(timeout=LONG)
            self.steps += 1
        progress(self.total, self.total, "")
        return "all"

    def seen(self) -> None:
        """Wait for a report."""
        assert self._reported.acquire(timeout=LONG)

    def let(self, steps: int = 1) -> None:
        """Let it do that many steps."""
        self._let.release(steps)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands still until it is told to go on by some seconds."""
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_the_result_comes_out_and_the_work_ran_on_another_thread() -> None:
    job = Job(lambda progress, cancel: threading.current_thread(), "EAR reconstruction")
    thread = job.result(LONG)
    assert thread is not threading.current_thread()
    assert (thread.name, thread.daemon) == ("EAR reconstruction", True)
    assert not job.running


def test_none_is_a_result() -> None:
    assert Job(lambda progress, cancel: None).result(LONG) is None


def test_progress_and_time_left(clock: Callable[[float], None]) -> None:
    start = threading.Event()
    work = Stepped(4)
    job = Job(lambda progress, cancel: start.wait(LONG) and work(progress, cancel))
    assert astuple(job.progress) == (0, 0, "", 0.0, None)
    clock(30)  # reading and loading: no measure of a step
    assert astuple(job.progress) == (0, 0, "", 30.0, None)
    start.set()
    work.seen()
    clock(10)
    assert astuple(job.progress) == (0, 4, "L1", 40.0, None)
    work.let()
    work.seen()
    assert astuple(job.progress) == (1, 4, "L2", 40.0, 30.0)
    clock(4)
    assert astuple(job.progress) == (1, 4, "L2", 44.0, 26.0)
    clock(50)  # a step that takes far longer than those before
    assert job.progress.remaining_s == 0
    work.let()
    work.seen()
    assert job.progress.remaining_s == pytest.approx((10 + 54) / 2 * 2)
    work.let(2)
    assert job.result(LONG) == "all"
    clock(1000)
    assert astuple(job.progress) == (4, 4, "", 94.0, 0.0)


def test_a_second_part_counts_anew(clock: Callable[[float], None]) -> None:
    first, second = Stepped(1), Stepped(3)
    job = Job(lambda progress, cancel: first(progress, cancel) + second(progress, cancel))
    first.seen()
    clock(100)
    first.let()
    second.seen()
    assert astuple(job.progress)[:3] == (0, 3, "L1")
    assert job.progress.remaining_s is None
    clock(2)
    second.let()
    second.seen()
    assert job.progress.remaining_s == 4
    second.let(2)
    assert job.result(LONG) == "allall"


def test_cancel_halfway() -> None:
    work = Stepped()
    job = Job(work)
    work.seen()
    work.let()
    work.seen()
    assert not job.cancelling
    job.cancel()
    job.cancel()  # twice does no more
    assert job.cancelling
    assert job.running
    work.let()
    with pytest.raises(Cancelled):
        job.result(LONG)
    assert (job.running, job.cancelling, work.steps) == (False, False, 2)


def test_work_that_ignores_cancel_runs_to_its_end_and_its_result_is_not_shown() -> None:
    work = Stepped(heeds=False)
    job = Job(work)
    work.seen()
    job.cancel()
    work.let(4)
    with pytest.raises(Cancelled):
        job.result(LONG)
    assert work.steps == 4


def test_cancel_after_the_end_comes_too_late_to_look_running() -> None:
    job = Job(lambda progress, cancel: 1)
    assert job.result(LONG) == 1
    job.cancel()
    assert not job.cancelling
    assert not job.running


@pytest.mark.parametrize(
    "error", [DeviceError("device cuda", "it is gone", "Use the CPU"), ValueError("x"), MemoryError(), SystemExit(1)]
)
def test_an_error_comes_out_of_the_result(error: BaseException) -> None:
    def work(progress: Progress, cancel: Cancel) -> None:
        progress(1, 2, "L1")
        raise error

    job = Job(work)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            job.result(LONG)
        assert caught.value is error
    assert astuple(job.progress)[:3] == (1, 2, "L1")


def test_an_error_after_cancel_is_told() -> None:
    def work(progress: Progress, cancel: Cancel) -> Any:
        while not cancel():
            pass
        raise OSError("no room")

    job = Job(work)
    job.cancel()
    with pytest.raises(OSError, match="no room"):
        job.result(LONG)


def test_waiting_no_longer_than_asked() -> None:
    work = Stepped(1)
    job = Job(work)
    with pytest.raises(TimeoutError):
        job.result(0.01)
    work.let()
    assert job.result(LONG) == "all"


def test_two_jobs_know_nothing_of_each_other() -> None:
    one, other = Stepped(2), Stepped(3)
    first, second = Job(one), Job(other)
    one.seen()
    other.seen()
    first.cancel()
    assert not second.cancelling
    assert (first.progress.total, second.progress.total) == (2, 3)
    one.let(2)
    other.let(3)
    with pytest.raises(Cancelled):
        first.result(LONG)
    assert second.result(LONG) == "all"
