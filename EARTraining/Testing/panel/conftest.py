"""The module in the desktop stand-in, with a main window, opened; and small data for its children."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "Testing"))

from standin.fixtures import ctk, desktop, desktop_of_session, parameters, qt, slicer

__all__ = ["ctk", "desktop", "desktop_of_session", "parameters", "qt", "slicer"]

MODULE = Path(__file__).resolve().parents[2] / "EARTraining.py"

#: Folders like those of people who do not write English.
NAME = "Wirbelsäule 脊椎"

#: `ear train` at its smallest.
SMALL = "--set arguments.width=2 --xrays disk --workers 0 --threads 1"


class Driver:
    """The opened module as a person uses it. ui: the widgets of all sections, as train.trainButton.

    window: with a main window and its views; they cost time.
    """

    def __init__(self, desktop: Any, window: bool) -> None:
        import slicer

        self.desktop = desktop
        self.scene = slicer.mrmlScene
        self.window = window
        desktop.load_module(MODULE)
        self.open()

    def open(self) -> None:
        """Open the module's panel, anew after a reload."""
        import slicer

        open_module = self.desktop.open if self.window else slicer.util.getModuleWidget
        self.widget = open_module("EARTraining")
        self.panel = self.widget.panel
        names = ("data", "look", "train", "evaluate", "python")
        self.sections = SimpleNamespace(**dict(zip(names, self.panel.sections, strict=True)))
        self.ui = SimpleNamespace(**{name: section.ui for name, section in vars(self.sections).items()})
        for section in self.panel.sections:
            section.widget.collapsed = False
        self.settle()

    def settle(self) -> None:
        """Let everything that waits happen. Raises what a slot, an observer or a thread raised."""
        self.desktop.process_events()
        self.desktop.check()

    def click(self, name: str) -> None:
        """Click a button: "train.trainButton"."""
        section, _, widget = name.partition(".")
        self.desktop.click(getattr(getattr(self.ui, section), widget))
        self.settle()

    def wait(self, timeout_s: float = 120.0) -> None:
        """Wait for the work of the panel to end."""
        self.desktop.wait_until(lambda: not self.panel.busy, timeout_s)
        self.settle()

    def wait_until(self, happened: Any, timeout_s: float = 60.0) -> None:
        """Wait for something."""
        self.desktop.wait_until(happened, timeout_s)
        self.settle()

    @property
    def message(self) -> str:
        """What the message line says."""
        return str(self.panel.ui.messageLabel.text)

    @property
    def parameters(self) -> Any:
        """The parameter node."""
        return self.panel.parameterNode

    @property
    def log(self) -> str:
        """What the log says."""
        return str(self.ui.python.logText.plainText)

    def set(self, **values: Any) -> None:
        """Set parameters."""
        for name, value in values.items():
            setattr(self.parameters, name, value)
        self.settle()

    def child(self) -> Any:
        """The process that runs now."""
        return self.sections.python._child

    def grab(self, path: Path | None = None) -> NDArray[np.uint8]:
        """A picture of the whole window."""
        return self.desktop.grab(self.desktop.window, path)


@pytest.fixture
def driver(desktop: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The module on an empty scene; with a main window if the test asks for one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Driver(desktop, "windowed" in request.fixturenames)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder with a name that is not ASCII."""
    folder = tmp_path / NAME
    folder.mkdir()
    return folder


@pytest.fixture
def tree(place: Path, trees: Any) -> Path:
    """VerSe20 with two scans, one of them with a mask alone."""
    folder: Path = trees.verse(place / "verse", ("sub-verse500", "sub-verse501"))
    next(folder.rglob("sub-verse501_ct.nii.gz")).unlink()
    return folder


@pytest.fixture
def data(place: Path, prepared_folder: Path) -> Path:
    """A prepared data set of seven vertebrae."""
    return Path(shutil.copytree(prepared_folder, place / "data"))


@pytest.fixture
def ready(driver: Driver, data: Path, place: Path) -> Driver:
    """The panel, with a data set and everything set for the smallest training."""
    driver.set(
        dataFolder=str(data), runFolder=str(place / "run"), evaluationFolder=str(place / "evaluation"),
        network="E2E", epochs=2, furtherOptions=SMALL, figures=False,
    )  # fmt: skip
    return driver


#: What every made-up command does first: as EARTrainingLib.cli.__main__.
_PRELUDE = """
import json, os, signal, subprocess, sys, time
def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)
os.setpgrp()
say("start", pid=os.getpid())
"""

#: A command that works for ever, with a child of its own, whose number it writes beside its program.
ENDLESS = """
import pathlib
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(pathlib.Path(__file__).parent / "pids").write_text(f"{os.getpid()} {other.pid}")
for n in range(100000):
    say("step", done=min(n, 99), total=100, what="scan 脊椎")
    time.sleep(0.02)
"""


@pytest.fixture
def windowed(ready: Driver) -> Driver:
    """The same with a main window and its views."""
    return ready


@pytest.fixture
def pretend(place: Path) -> Any:
    """A function (driver, code): from now on the panel's Python runs ``code`` instead of `ear`, and lacks nothing."""

    def choose(driver: Driver, code: str) -> Path:
        folder = place / "fake"
        folder.mkdir(exist_ok=True)
        (folder / "ear.py").write_text(_PRELUDE + code, encoding="utf-8")
        program = folder / "python"
        told = json.dumps({"event": "end", "python": "3.12.1", "libraries": {"torch": "2.13.0", "lightning": "2.6.6"}})
        program.write_text(
            f"""#!/bin/sh
if [ "$2" = EARTrainingLib.libraries ]; then echo '{told}'; else exec "{sys.executable}" "{folder}/ear.py" "$@"; fi
""",
            encoding="utf-8",
        )
        program.chmod(0o755)
        driver.ui.python.otherRadioButton.checked = True
        driver.ui.python.pythonPath.currentPath = str(program)
        driver.settle()
        return folder

    return choose


def pids_of(folder: Path) -> list[int]:
    """The processes of ENDLESS, once both are there."""
    path = folder / "pids"
    return [int(pid) for pid in path.read_text().split()] if path.is_file() else []


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def running(folder: Path) -> list[int]:
    """The processes of ENDLESS that run."""
    return [pid for pid in pids_of(folder) if alive(pid)]


def ended(still: Callable[[], list[int]]) -> bool:
    """Whether none is left; one that was killed just now may be seen to run for a moment."""
    until = time.monotonic() + 20
    while still() and time.monotonic() < until:
        time.sleep(0.05)
    return not still()


def of_group(group: int) -> list[int]:
    """The processes of a group that run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and alive(process.pid):
                found.append(process.pid)
    return found


@pytest.fixture
def processes() -> SimpleNamespace:
    """What tests ask about processes."""
    return SimpleNamespace(
        ended=ended, of_group=of_group, pids_of=pids_of, running=running, ENDLESS=ENDLESS, SMALL=SMALL
    )
