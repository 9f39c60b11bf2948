"""Shape models of a prepared data set: which shapes they are made from, and that their fits can be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation.measurement import measure
from EARTrainingLib.shape_model import model as model_module
from EARTrainingLib.shape_model import prediction as module
from EARTrainingLib.shape_model.prediction import group_models, group_of, shape_predictions

PEOPLE = (
    ("p1", "train", "VerSe20", ("T12", "L1", "L2", "L3")),
    ("p2", "train", "phantom", ("L1", "L2")),
    ("p4", "test", "VerSe20", ("L2", "T12")),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, small_dataset: Any) -> PreparedDataset:
    folder: Path = small_dataset.write_dataset(tmp_path_factory.mktemp("shapes"), PEOPLE)
    return PreparedDataset.open(folder)


@pytest.mark.parametrize(
    ("level", "group"), [("C1", None), ("C7", "cervical"), ("T6", "upper thoracic"), ("T13", "lower thoracic")]
)
def test_groups(level: str, group: str | None) -> None:
    assert group_of(level) == group


@pytest.mark.parametrize(("enough", "shapes"), [(20, 5), (4, 4), (1, 3)])
def test_phantoms_fill_up_a_group_and_one_shape_is_none(
    dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch, enough: int, shapes: int
) -> None:
    monkeypatch.setattr(module, "ENOUGH_SHAPES", enough)
    monkeypatch.setattr(model_module, "ROUNDS", 0)
    models = group_models(dataset)
    assert {group: model.shapes for group, model in models.items()} == {"lumbar": shapes}


def test_a_test_vertebra_is_rebuilt_from_its_stored_x_rays(
    dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bones differ in their scale only, which the pose says."""
    monkeypatch.setattr(model_module, "ROUNDS", 0)
    rows = dataset.rows_of("test")
    (prediction,) = shape_predictions(dataset, rows[:1], group_models(dataset))
    row = measure(prediction, dataset.hu_statistics)
    assert row["id"] == rows[0].id
    assert row["dice"] > 0.8
    assert row["assd_mm"] < 2
    with pytest.raises(EARError, match="T12"):
        next(shape_predictions(dataset, rows[1:], group_models(dataset)))


def test_the_training_shape_is_that_of_the_cube(dataset: PreparedDataset) -> None:
    row = dataset.rows_of("train")[0]
    shape = module._shape(dataset, row)
    mask = torch.from_numpy(dataset.mask(row))
    assert ((shape < 0) ^ mask).sum() <= 0.02 * mask.sum()
    smaller = replace(dataset, settings={**dataset.settings, "size": dataset.size - 2})
    assert torch.equal(module._shape(smaller, row), shape[1:-1, 1:-1, 1:-1])
