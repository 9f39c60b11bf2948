"""What the tests of several parts share."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from types import ModuleType

import pytest


def _helper(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"ear_{name}", Path(__file__).parent / "datasets" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    """``datasets/trees.py``: writers of made-up data sets in the layouts of the real ones."""
    return _helper("trees")


@pytest.fixture(scope="session")
def small_dataset() -> ModuleType:
    """``datasets/small_dataset.py``: writes a small prepared data set of 32^3 of 3 mm, file by file."""
    return _helper("small_dataset")


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory, small_dataset: ModuleType) -> Path:
    """The folder of that data set: four people, seven vertebrae in three splits. Read only: all tests share it."""
    folder: Path = small_dataset.write_dataset(tmp_path_factory.mktemp("prepared"))
    return folder
