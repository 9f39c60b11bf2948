"""Both modules from one folder, as Slicer installs them, in a Python that has what Slicer ships and nothing more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import standin

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")
# What this environment has and Slicer's Python has not.
NOT_IN_SLICER = (
    *("torch", "safetensors", "matplotlib", "pandas", "typer", "rich", "lightning", "torchmetrics", "monai", "joblib"),
    *("dask", "distributed", "tensorboard", "yaml", "pytest"),
)

LOOK = r"""
import sys
from importlib.machinery import PathFinder
from pathlib import Path

folder, tests, scratch, *missing = sys.argv[1:]
sys.path[:0] = [tests]


class Shipped(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in missing else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Shipped
from standin.desktop import Desktop

desktop = Desktop(Path(scratch))
desktop.show_main_window()
for name in ("EARReconstruction", "EARTraining"):
    module = desktop.load_module(Path(folder) / f"{name}.py")
    panel = desktop.open(name)
    print("opened", name, module.path, panel.resourcePath(f"Icons/{name}.png"), sep="\t")
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] in ("EARReconstructionLib", "EARTrainingLib"):
        print("from", module.__file__)
from EARReconstructionLib.case import read_case
from EARReconstructionLib.resources import SAMPLE_CASE

print("sample", len(read_case(SAMPLE_CASE).rois), "vertebrae")
desktop.close()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed extension, with a letter in its path that is not ASCII."""
    folder = tmp_path_factory.mktemp("Erweiterung für") / "lib" / "Slicer-5.12" / "qt-scripted-modules"
    for module in MODULES:
        text = (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
        lists = re.findall(r"^set\(MODULE_PYTHON_(?:SCRIPTS|RESOURCES)\n([^)]*)\)", text, re.MULTILINE)
        for name in "".join(lists).split():
            target = folder / name
            assert not target.exists(), f"{name} comes from both modules"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / module / name, target)
    return folder


def test_no_two_files_differ_in_case_only(installed: Path) -> None:
    names = [path.relative_to(installed).as_posix().lower() for path in installed.rglob("*")]
    assert len(names) == len(set(names))


def test_nothing_that_another_extension_may_have(installed: Path) -> None:
    """All extensions are installed into folders that Python searches one after the other."""
    assert {path.name for path in installed.iterdir()} == {
        "Resources",
        *(f"{module}{end}" for module in MODULES for end in (".py", "Lib")),
    }


@pytest.mark.parametrize("module", MODULES)
def test_icon_and_frame_are_where_slicer_looks(installed: Path, module: str) -> None:
    for name in (f"Icons/{module}.png", f"Icons/{module}.svg", f"UI/{module}.ui"):
        assert (installed / "Resources" / name).is_file(), name


def test_both_panels_open(installed: Path, tmp_path: Path) -> None:
    reason = standin.why_not()
    if reason:
        pytest.skip(reason)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-c", LOOK, installed, Path(__file__).parent, tmp_path / "desktop", *NOT_IN_SLICER]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for module in MODULES:
        opened = re.search(rf"^opened\t{module}\t(.*)\t(.*)$", done.stdout, re.MULTILINE)
        assert opened, done.stdout
        assert Path(opened[1]).parent == installed
        assert Path(opened[2]).is_file()
    files = re.findall(r"^from (.+)$", done.stdout, re.MULTILINE)
    assert files
    assert all(Path(file).is_relative_to(installed) for file in files if file != "None")
    assert re.search(r"^sample \d+ vertebrae$", done.stdout, re.MULTILINE)
