"""The self-tests of both modules, run by the script that a real Slicer runs, in the stand-in."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")


@pytest.mark.parametrize("main_window", [True, False], ids=["main window", "no main window"])
def test_all_pass(desktop: Any, slicer: Any, main_window: bool, capsys: pytest.CaptureFixture[str]) -> None:
    spec = util.spec_from_file_location("run_self_tests", ROOT / "scripts" / "run_self_tests.py")
    assert spec is not None
    assert spec.loader is not None
    script = util.module_from_spec(spec)
    spec.loader.exec_module(script)
    desktop.testing = True
    if main_window:
        desktop.show_main_window()
    for name in MODULES:
        desktop.load_module(ROOT / name / f"{name}.py")
    status = script.run_all()
    said = capsys.readouterr().out
    assert status == 0, said
    assert ", 0 failed" in said.splitlines()[-1]
    desktop.check()
