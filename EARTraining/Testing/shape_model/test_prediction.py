"""Shape models of a prepared data set: which shapes they are made from, and that their fits can be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from EARReconstructionLib.bundle import save_bundle
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation import evaluate as evaluate_module
from EARTrainingLib.evaluation.evaluate import evaluate, read_evaluation
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


class TestBesideNetworks:
    """`ear evaluate --shape-model`."""

    @pytest.fixture
    def evaluated(self, dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(model_module, "ROUNDS", 0)
        card = ModelCard(
            name="tiny", architecture="E2E", arguments={"width": 2}, size=32, spacing_mm=3.0, lift="backproject",
            hu_mean=-900.0, hu_sd=300.0, threshold_hu=-850.0, angle_range_deg=(80.0, 100.0),
            sod_range_mm=(900.0, 1100.0), protocol="column", levels=("L1",), data_licence="CC0",
        )  # fmt: skip
        torch.manual_seed(0)
        bundle = tmp_path / "tiny.safetensors"
        save_bundle(bundle, card, build("E2E", width=2))

        def go(**options: Any) -> Any:
            out = tmp_path / "out"
            return evaluate({"net": bundle}, dataset.folder, out, figures=False, device="cpu", **options)

        return go

    def test_it_stands_in_the_tables_with_the_vertebrae_that_it_knows(self, evaluated: Any, tmp_path: Path) -> None:
        rows = evaluated(shape_model=True, save_volumes=True)
        assert rows["method"].tolist() == ["net", "net", "shape model"]
        own = rows[rows["method"] == "shape model"].iloc[0]
        assert own["level"] == "L2"
        assert own["dice"] > 0.8
        _, paired, said = read_evaluation(tmp_path / "out")
        assert set(paired["method"]) == {"shape model"}
        assert set(paired["n"]) <= {0, 1}
        (note,) = (note for note in said["notes"] if note.startswith("shape model: too few shapes"))
        assert rows[rows["level"] == "T12"]["id"].iloc[0] in note
        (volume,) = (tmp_path / "out" / "volumes").glob("shape_model-*/*.nrrd")
        assert own["id"] == volume.stem

    def test_what_was_fitted_is_not_fitted_again(self, evaluated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        first = evaluated(shape_model=True)
        monkeypatch.setattr(evaluate_module, "shape_predictions", lambda *_: pytest.fail("fitted again"))
        assert evaluated(shape_model=True).equals(first)
        assert evaluated()["method"].unique().tolist() == ["net"]

    def test_without_scenes(self, evaluated: Any, dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
        there = Path.is_dir
        monkeypatch.setattr(Path, "is_dir", lambda path: path.name != "scenes" and there(path))
        with pytest.raises(EARError, match="no scenes"):
            evaluated(shape_model=True)
