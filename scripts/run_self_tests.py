"""Run the self-tests of both modules inside 3D Slicer and end it: status 0 when all passed, 1 otherwise.

scripts/test_in_slicer.py starts Slicer with this file and reads its last line. By hand, from the repository::

    Slicer --testing --no-splash --additional-module-paths EARReconstruction EARTraining \
        --python-script scripts/run_self_tests.py
"""

from __future__ import annotations

import importlib
import sys
import traceback
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")
LAST_LINE = "SlicerEAR self-tests: {run} run, {skipped} skipped, {failed} failed"


def run_module(name: str, root: Path = ROOT) -> unittest.TestResult:
    """Open a module's panel and run the tests of its test class.

    Raises RuntimeError when Slicer did not load the module, loaded another copy of it, or finds no test.
    """
    import slicer

    module = getattr(slicer.modules, name.lower(), None)
    if module is None:
        raise RuntimeError(f"Slicer did not load the module {name}; the reason stands further up in its log.")
    if root not in Path(module.path).resolve().parents:
        raise RuntimeError(f"Slicer loaded another copy of {name}: {module.path}")
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(name)
    slicer.util.getModuleWidget(name)
    cases = getattr(importlib.import_module(name), f"{name}Test")
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(cases)
    if not suite.countTestCases():
        raise RuntimeError(f"{name}Test has no tests.")
    return unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)


def run_all(names: tuple[str, ...] = MODULES, root: Path = ROOT) -> int:
    """Run the modules one after the other and print the last line; 0 when all passed, else 1."""
    run = skipped = failed = 0
    # Qt goes on after an error in a slot or in an observer; here it is a failure.
    errors: list[str] = []

    def uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        traceback.print_exception(kind, error, trace, file=sys.stdout)
        errors.append(f"not caught: {kind.__name__}: {error}")

    before, sys.excepthook = sys.excepthook, uncaught
    try:
        for name in names:
            print(f"--- {name}", flush=True)
            try:
                result = run_module(name, root)
            except Exception as error:
                traceback.print_exc(file=sys.stdout)
                errors.append(f"{name}: {error}")
                continue
            run += result.testsRun
            skipped += len(result.skipped)
            failed += len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    finally:
        sys.excepthook = before
    for sentence in errors:
        print(sentence)
    failed += len(errors)
    print(LAST_LINE.format(run=run, skipped=skipped, failed=failed), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    import slicer.util

    slicer.util.exit(run_all())
