"""The stand-in's processes and threads: heard of in the event loop, and ended with the test."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest


class TestProcesses:
    """``slicer.util.launchConsoleProcess``."""

    def test_in_the_background(self, slicer: Any, desktop: Any) -> None:
        lines: list[str] = []
        ended: list[int] = []
        command = [sys.executable, "-u", "-c", "import os; print('one'); print(os.environ['X'], flush=True); exit(3)"]
        slicer.util.launchConsoleProcess(
            command,
            useStartupEnvironment=False,
            updateEnvironment={"X": "two"},
            blocking=False,
            logCallback=lines.append,
            completedCallback=ended.append,
        )
        assert ended == []
        desktop.wait_until(lambda: ended)
        assert (lines, ended) == (["one", "two"], [3])

    def test_callbacks_come_in_the_event_loop(self, slicer: Any, desktop: Any) -> None:
        threads: list[Any] = []
        command = [sys.executable, "-c", "print('line')"]
        slicer.util.launchConsoleProcess(
            command, blocking=False, logCallback=lambda _: threads.append(threading.current_thread())
        )
        desktop.wait_until(lambda: threads)
        assert threads == [threading.main_thread()]

    def test_read_by_the_caller(self, slicer: Any) -> None:
        process = slicer.util.launchConsoleProcess([sys.executable, "-c", "print('line')"])
        assert process.stdout.read().strip() == "line"
        assert process.wait() == 0

    def test_an_error_in_a_callback_reaches_the_test(self, slicer: Any, desktop: Any) -> None:
        ended: list[int] = []

        def fail(line: str) -> None:
            raise ValueError(line)

        with desktop.expect_uncaught(ValueError):
            command = [sys.executable, "-c", "print('line')"]
            slicer.util.launchConsoleProcess(command, blocking=False, logCallback=fail, completedCallback=ended.append)
            desktop.wait_until(lambda: ended)

    def test_what_still_runs_is_ended_with_its_children(self, slicer: Any, desktop: Any, tmp_path: Path) -> None:
        mark = tmp_path / "child"
        process = slicer.util.launchConsoleProcess(parent_of_a_child(mark, "run"), blocking=False)
        desktop.wait_until(lambda: mark.exists() and mark.read_text())
        assert len(desktop.end_work()) == 1
        assert process.poll() is not None
        assert_ends(int(mark.read_text()))

    def test_a_child_that_has_lost_its_parent_is_ended(self, slicer: Any, desktop: Any, tmp_path: Path) -> None:
        mark = tmp_path / "child"
        process = slicer.util.launchConsoleProcess(parent_of_a_child(mark, "Popen"), blocking=False)
        desktop.wait_until(lambda: mark.exists() and mark.read_text() and process.poll() is not None)
        desktop.end_work()
        assert_ends(int(mark.read_text()))

    def test_the_environment_is_that_of_the_start(self, slicer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Slicer's default: what a module has put into os.environ does not reach the child."""
        monkeypatch.setenv("OF_THE_MODULE", "x")
        command = ["PythonSlicer", "-c", "import os; print(os.environ.get('OF_THE_MODULE'))"]
        command[0] = shutil.which("PythonSlicer") or ""
        printed = []
        for from_the_start in (True, False):
            process = slicer.util.launchConsoleProcess(command, useStartupEnvironment=from_the_start)
            printed.append(process.stdout.read().strip())
        assert printed == ["None", "x"]

    def test_a_process_of_qt(self, qt: Any, desktop: Any) -> None:
        process, ended = qt.QProcess(), []
        process.connect("finished(int,QProcess::ExitStatus)", lambda status: ended.append(status))
        process.start(sys.executable, ["-c", "exit(3)"])
        desktop.wait_until(lambda: ended)
        process.start(sys.executable, ["-c", "import time; time.sleep(600)"])
        assert process.waitForStarted()
        assert desktop.end_work() == [[sys.executable, "-c", "import time; time.sleep(600)"]]
        assert process.state() == qt.QProcess.NotRunning

    def test_the_older_slicer(self, slicer: Any, desktop: Any) -> None:
        command = [sys.executable, "-c", ""]
        with desktop.as_slicer_5_10():
            assert not hasattr(slicer, "packaging")
            with pytest.raises(TypeError, match="blocking"):
                slicer.util.launchConsoleProcess(command, blocking=False)
            assert slicer.app.minorVersion == 10
        assert slicer.util.launchConsoleProcess(command, blocking=False).wait() == 0

    def test_a_command_is_a_list(self, slicer: Any) -> None:
        with pytest.raises(TypeError, match="list"):
            slicer.util.launchConsoleProcess("ls -l")


def parent_of_a_child(mark: Path, how: str) -> list[str]:
    """A program that starts a child, which writes its number into ``mark`` and sleeps."""
    child = f"import os,time,pathlib; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess,sys; subprocess.{how}([sys.executable, '-c', {child!r}])"
    return [sys.executable, "-c", parent]


def assert_ends(pid: int, within_s: float = 5.0) -> None:
    """A process ends soon."""
    until = time.monotonic() + within_s
    while is_running(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


class TestThreads:
    """Threads of a module."""

    def test_an_error_reaches_the_test(self, desktop: Any) -> None:
        def fail() -> None:
            raise OSError("of the thread")

        with desktop.expect_uncaught(OSError):
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()

    def test_they_are_waited_for(self, desktop: Any) -> None:
        done: list[int] = []

        def work() -> None:
            time.sleep(0.05)
            done.append(1)

        threading.Thread(target=work).start()
        desktop.end_work()
        assert done == [1]
