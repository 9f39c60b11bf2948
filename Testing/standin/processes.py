"""``slicer.util.launchConsoleProcess`` as Slicer 5.12 has it, qt.QProcess, PythonSlicer; and ending what still runs."""

# mypy: disable-error-code="str-bytes-safe"
from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shiboken6
from PySide6 import QtCore

#: How often lines of a process in the background are handed on.
_POLL_MS = 50

#: Every process started here; what still runs at the end of a test is ended.
started: list[subprocess.Popen[str]] = []

#: Every QProcess started.
_started_by_qt: weakref.WeakSet[QtCore.QProcess] = weakref.WeakSet()

#: Every child has this in its environment, so that it is found when its parent has gone.
_MARK = "SLICER_STANDIN"

#: The environment in which the desktop was started.
_startup = {**os.environ, _MARK: str(os.getpid())}


def launchConsoleProcess(
    args: list[str],
    useStartupEnvironment: bool = True,
    updateEnvironment: dict[str, str] | None = None,
    cwd: str | None = None,
    blocking: bool = True,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> subprocess.Popen[str]:
    """Start a program and return its process.

    blocking True (the default): the caller reads ``stdout`` himself, for example with logProcessOutput. False: each
    line goes to logCallback(line) and the exit status to completedCallback(status), both from the event loop.
    """
    if isinstance(args, str):
        raise TypeError("the command is a list: a string is split differently on each system")
    environment = {**(_startup if useStartupEnvironment else os.environ), **(updateEnvironment or {})}
    process = subprocess.Popen(
        [str(arg) for arg in args],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    started.append(process)
    if not blocking:
        _Reader(process, logCallback, completedCallback)
    return process


def launch_of_5_10(
    args: list[str],
    useStartupEnvironment: bool = True,
    updateEnvironment: dict[str, str] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[str]:
    """``slicer.util.launchConsoleProcess`` as Slicer 5.10 has it."""
    return launchConsoleProcess(args, useStartupEnvironment, updateEnvironment, cwd)


def install(folder: Path) -> None:
    """Put the program PythonSlicer into a folder and that into PATH, and hear of every QProcess."""
    folder.mkdir(exist_ok=True)
    program = folder / "PythonSlicer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    os.environ[_MARK] = _startup[_MARK]
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    start = QtCore.QProcess.start

    def remembered(process: QtCore.QProcess, *arguments: Any) -> None:
        start(process, *arguments)
        _started_by_qt.add(process)

    QtCore.QProcess.start = remembered  # type: ignore[method-assign, assignment]


class _Reader:
    """Reads a process on a thread and tells of it in the event loop."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        log: Callable[[str], None] | None,
        completed: Callable[[int], None] | None,
    ) -> None:
        self._process, self._log, self._completed = process, log or print, completed
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True, name=f"reader of {process.args}").start()
        QtCore.QTimer.singleShot(0, self._tell)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip())
        self._process.wait()
        self._lines.put(None)

    def _tell(self) -> None:
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                QtCore.QTimer.singleShot(_POLL_MS, self._tell)
                return
            if line is None:
                break
            self._log(line)
        if self._completed is not None:
            self._completed(self._process.returncode)
        elif self._process.returncode:
            logging.error("Process failed with return code %d: %s", self._process.returncode, self._process.args)


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started, as far as /proc shows them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    children = [child for child, parent in parents.items() if parent == pid]
    return children + [each for child in children for each in descendants(child)]


def _orphans() -> list[int]:
    """Children of children whose parents have gone."""
    found, mark = [], f"{_MARK}={os.getpid()}\0".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environ.read_bytes():
                found.append(int(environ.parent.name))
    return [pid for pid in found if pid not in descendants(os.getpid())]


def end_all() -> list[Any]:
    """End every process that still runs, with its children; return the commands of those."""
    running = [process for process in started if process.poll() is None]
    for process in running:
        _kill(process.pid)
        process.wait()
    for pid in _orphans() if started or _started_by_qt else ():
        _kill(pid)
    for process in started:
        if process.stdout is not None:
            process.stdout.close()
    started.clear()
    return [process.args for process in running] + [_end(process) for process in list(_started_by_qt) if _runs(process)]


def _kill(pid: int) -> None:
    for each in [pid, *descendants(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _runs(process: QtCore.QProcess) -> bool:
    return shiboken6.isValid(process) and process.state() != QtCore.QProcess.ProcessState.NotRunning


def _end(process: QtCore.QProcess) -> list[str]:
    _kill(process.processId())
    process.waitForFinished()
    return [process.program(), *process.arguments()]
