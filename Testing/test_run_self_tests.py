"""scripts/run_self_tests.py, which runs inside Slicer, in a Python that looks like Slicer's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "run_self_tests.py"

FAKE_SLICER = """
import sys, types
slicer = types.ModuleType("slicer")
slicer.util = util = types.ModuleType("slicer.util")
slicer.modules = types.SimpleNamespace()
sys.modules.update({"slicer": slicer, "slicer.util": util})
status = []
util.exit = status.append
util.mainWindow = lambda: None
util.getModuleWidget = lambda name: None
script, tests = sys.argv[1:]
exec(open(tests).read())
try:  # as CTK's Python manager runs a script
    globals()["__file__"] = script
    exec(open(script).read(), globals())
except Exception:
    import traceback
    traceback.print_exc()
    sys.exit(1)
sys.exit(status[0] if status else 0)
"""

Run = Callable[[str], tuple[int, str]]

MODULES = f"""
import unittest
for name in ("EARReconstruction", "EARTraining"):
    module = types.ModuleType(name)
    case = type(name + "Test", (unittest.TestCase,), {{"test_one": lambda self: None}})
    setattr(module, name + "Test", case)
    sys.modules[name] = module
    setattr(slicer.modules, name.lower(), types.SimpleNamespace(path={str(ROOT)!r} + f"/{{name}}/{{name}}.py"))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs the script after Python that makes the modules; its exit status and what it says."""
    (tmp_path / "fake.py").write_text(FAKE_SLICER, encoding="utf-8")

    def go(modules: str) -> tuple[int, str]:
        (tmp_path / "modules.py").write_text(modules, encoding="utf-8")
        words = [sys.executable, tmp_path / "fake.py", SCRIPT, tmp_path / "modules.py"]
        done = subprocess.run(words, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return go


def test_all_pass(run: Run) -> None:
    status, said = run(MODULES)
    assert status == 0, said
    assert said.splitlines()[-1] == "SlicerEAR self-tests: 2 run, 0 skipped, 0 failed"


def test_a_skipped_one(run: Run) -> None:
    status, said = run(MODULES + "case.test_one = unittest.skip('no torch')(lambda self: None)")
    assert status == 0, said
    assert said.splitlines()[-1] == "SlicerEAR self-tests: 2 run, 1 skipped, 0 failed"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("case.test_two = lambda self: self.fail('it is wrong')", "it is wrong"),
        ("case.setUp = lambda self: 1 / 0", "division by zero"),
        ("sys.modules['EARTraining'] = None", "import of EARTraining halted"),
        ("del slicer.modules.eartraining", "Slicer did not load the module EARTraining"),
        ("slicer.modules.eartraining.path = '/opt/EARTraining.py'", "another copy of EARTraining"),
        ("del case.test_one", "EARTrainingTest has no tests"),
        ("del module.EARTrainingTest", "no attribute 'EARTrainingTest'"),
        ("util.getModuleWidget = lambda name: 1 / 0", "division by zero"),
        ("case.test_one = lambda self: sys.excepthook(OSError, OSError('in a slot'), None)", "in a slot"),
    ],
)
def test_a_failure(run: Run, change: str, sentence: str) -> None:
    status, said = run(MODULES + change)
    assert status == 1, said
    assert sentence in said
    assert "0 failed" not in said.splitlines()[-1]


def test_the_other_module_is_tested_all_the_same(run: Run) -> None:
    _, said = run(MODULES + "del slicer.modules.earreconstruction")
    assert "SlicerEAR self-tests: 1 run, 0 skipped, 1 failed" in said


def test_opens_the_panel_in_the_main_window(run: Run) -> None:
    opened = "util.mainWindow = lambda: 1; util.selectModule = lambda name: print('opened', name)"
    _, said = run(MODULES + opened)
    assert "opened EARReconstruction\n" in said
    assert "opened EARTraining\n" in said


def test_no_slicer(run: Run) -> None:
    status, said = run(MODULES + "sys.modules['slicer.util'] = None")
    assert status == 1, said
    assert "ModuleNotFoundError" in said
    assert "SlicerEAR self-tests:" not in said


def test_it_reads_in_any_locale() -> None:
    """CTK opens the script without naming an encoding."""
    assert SCRIPT.read_bytes().isascii()
