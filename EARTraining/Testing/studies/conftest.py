"""A prepared data set that all tests of studies read, and small pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.datasets.settings import PreparationSettings
from EARTrainingLib.evaluation.figures import sheet


@pytest.fixture(scope="session")
def data(tmp_path_factory, small_dataset) -> PreparedDataset:
    """A vertebra of each of five people: two to train on, one for validation, two for testing."""
    splits = ("train", "train", "validation", "test", "test")
    people = [(f"p{n}", split, "VerSe20", ("L1",)) for n, split in enumerate(splits)]
    return PreparedDataset.open(small_dataset.write_dataset(tmp_path_factory.mktemp("studies"), people))


@pytest.fixture(scope="session")
def planned_data() -> PreparedDataset:
    """A data set that nobody has prepared: enough to plan on."""
    settings = PreparationSettings(size=64, spacing_mm=2.0).to_dict()
    return PreparedDataset(Path("nowhere"), settings, (), (-800.0, 300.0))


@pytest.fixture(scope="session", autouse=True)
def _coarse_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet, "DPI", 60)
        yield
