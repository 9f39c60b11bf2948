"""What a panel shows before PyTorch is installed needs nothing that 3D Slicer does not ship."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "EARReconstructionLib"

#: Not in 3D Slicer.
MISSING = ("torch", "safetensors", "matplotlib", "pandas", "typer", "rich", "lightning", "monai")

PROGRAM = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
for name in {names}:
    importlib.import_module(f"EARReconstructionLib.{{name}}")
"""


def imported(names: list[str], missing: tuple[str, ...] = MISSING) -> str:
    """What Python says when a process without some packages imports parts of the Lib; nothing when all is well."""
    program = PROGRAM.format(missing=set(missing), names=names)
    done = subprocess.run([sys.executable, "-c", program], cwd=LIB.parent, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    "names",
    [
        ["case", "results", "comparison", "job", "model_card", "resources", "radiograph", "spine", "vertebra"],
        ["report", *(f"report.{path.stem}" for path in sorted((LIB / "report").glob("[!_]*.py")))],
    ],
)
def test_core(names: list[str]) -> None:
    assert not imported(names)


@pytest.mark.skipif(importlib.util.find_spec("slicer") is None, reason="slicer-core is not installed")
def test_every_part_of_the_scene() -> None:
    names = [f"scene.{path.stem}" for path in sorted((LIB / "scene").glob("[!_]*.py"))]
    assert "scene.exports" in names
    assert not imported(names)


def test_would_see() -> None:
    assert "No module named 'torch'" in imported(["reconstruction"])
    assert "No module named 'numpy'" in imported(["case"], ("numpy",))
