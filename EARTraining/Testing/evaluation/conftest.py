"""A small prepared data set, models for it, and reconstructions whose errors are known in millimetres."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import save_bundle
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation.measurement import IDENTIFIERS, REGIONS
from EARTrainingLib.evaluation.prediction import Prediction, Truth
from EARTrainingLib.metrics import METRICS
from scipy import ndimage

#: Five test vertebrae of three patients; one patient has three.
PEOPLE = (
    ("p1", "train", "VerSe20", ("L1",)),
    ("p4", "test", "VerSe20", ("T12", "L1", "L2")),
    ("p5", "test", "phantom", ("L1",)),
    ("p6", "test", "VerSe20", ("C5",)),
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, small_dataset):
    """The folder of a data set of six vertebrae, 32^3 of 3 mm. Read only."""
    return small_dataset.write_dataset(tmp_path_factory.mktemp("prepared"), PEOPLE, scenes=False)


@pytest.fixture(scope="session")
def dataset(prepared):
    return PreparedDataset.open(prepared)


@pytest.fixture(scope="session")
def truths(dataset):
    """The test vertebrae, in their order."""
    return [Truth.read(dataset, row) for row in dataset.rows_of("test")]


def grown(truth, by_mm, edges=None):
    """A reconstruction whose surface lies ``by_mm`` outside the truth's everywhere (inside, if negative)."""
    sampling = voxel_sizes_mm(truth.ras_from_ijk)[::-1]
    outside, inside = (ndimage.distance_transform_edt(m, sampling) for m in (~truth.mask, truth.mask))
    signed = outside - inside - np.where(truth.mask, -1, 1) * sampling.min() / 2  # from the faces of the voxels
    return Prediction(truth, np.clip(100 * (by_mm - signed), -1000, 1000).astype(np.float32), edges, 0.0)


def perfect(truth):
    """The truth itself."""
    return Prediction(truth, truth.volume_hu.copy(), None, -999.5)


@pytest.fixture(scope="session")
def make_grown():
    return grown


@pytest.fixture(scope="session")
def make_perfect():
    return perfect


def card(name, **changed):
    values = ModelCard(
        name=name,
        architecture="E2E",
        arguments={"width": 2},
        size=32,
        spacing_mm=3.0,
        lift="backproject",
        hu_mean=-900.0,
        hu_sd=300.0,
        threshold_hu=-850.0,
        angle_range_deg=(80.0, 100.0),
        sod_range_mm=(900.0, 1100.0),
        protocol="isolated",
        levels=("T12", "L1", "L2"),
        data_licence="CC0",
    )
    return replace(values, **changed)


@pytest.fixture(scope="session")
def write_model():
    """(path, card's fields) -> a bundle without training on disk."""

    def write(path, seed=0, **changed):
        torch.manual_seed(seed)
        made = card(path.stem, **changed)
        return save_bundle(path, made, build(made.architecture, **made.arguments))

    return write


@pytest.fixture(scope="session")
def models(tmp_path_factory, write_model):
    """Name -> file of three bundles. What they rebuild in the tests that use ``fake_predictions`` is in their names."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: write_model(folder / f"{name}.safetensors", seed).path
        for seed, name in enumerate(("exact", "larger", "smaller"))
    }


@pytest.fixture
def fake_predictions(monkeypatch):
    """Reconstructions of known error in the place of the networks'; yields the (model, id) that were asked for."""
    from EARTrainingLib.evaluation import evaluate, figures

    asked = []
    makers = {"exact": perfect, "larger": lambda t: grown(t, 3.0), "smaller": lambda t: grown(t, -1.5)}

    def predictions(bundle, dataset, rows, *, device="auto", batch_size=None):
        for row in rows:
            asked.append((bundle.card.name, row.id))
            yield makers[bundle.card.name](Truth.read(dataset, row))

    monkeypatch.setattr(evaluate, "predictions", predictions)
    monkeypatch.setattr(figures, "predictions", predictions)
    return asked


@pytest.fixture
def cheap(monkeypatch):
    """Numbers that cost nothing, where only the way of a row through the evaluation is of interest."""
    from EARTrainingLib.evaluation import evaluate

    others = {name: 0.5 for name in METRICS if name != "fd_minmax"}

    def measure(prediction, _statistics):
        row = prediction.truth.row
        names = {name: getattr(row, name, REGIONS[row.level[0]]) for name in IDENTIFIERS}
        return {**names, **others, "fd": float(prediction.volume_hu.mean()), "assd_mm": float(len(row.id))}

    monkeypatch.setattr(evaluate, "measure", measure)


@contextmanager
def _watched_sheets():
    from EARTrainingLib.evaluation.figures import distributions, sheet

    drawn = {}
    save = sheet.save

    def kept(figure, path):
        drawn[Path(path).name] = figure
        save(figure, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet, "DPI", 90)
        for module in (sheet, distributions):
            patch.setattr(module, "save", kept)
        yield drawn


@pytest.fixture(scope="session")
def watched_sheets():
    """A context that yields file name -> figure of everything that is drawn in it, at a coarse resolution."""
    return _watched_sheets


@pytest.fixture
def sheets():
    """File name -> figure of everything that the test draws, at a coarse resolution."""
    with _watched_sheets() as drawn:
        yield drawn
