"""`ear evaluate --refine`: each model beside itself, refined with the stored X-rays."""

from dataclasses import replace

import numpy as np
import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation import evaluate as module
from EARTrainingLib.evaluation.evaluate import evaluate
from EARTrainingLib.evaluation.prediction import Prediction, Truth


@pytest.fixture
def shifted(monkeypatch):
    """Predictions that are the truth, one voxel too far to the right; yields the ids that were asked for."""
    asked = []

    def predictions(_bundle, dataset, rows, **_options):
        for row in rows:
            asked.append(row.id)
            truth = Truth.read(dataset, row)
            yield Prediction(truth, np.roll(truth.volume_hu, 1, axis=2), None, -350.0)

    monkeypatch.setattr(module, "predictions", predictions)
    return asked


def test_each_model_stands_beside_itself(prepared, models, shifted, tmp_path):
    """The stored X-rays bring the truth's shape back to where it was; both are kept."""
    for _ in range(2):
        rows = evaluate({"net": models["exact"]}, prepared, tmp_path, figures=False, refine=True, device="cpu")
        assert len(shifted) == 10
    assert rows["method"].tolist() == ["net"] * 5 + ["net, refined"] * 5
    mean = rows.groupby("method")[["dice", "assd_mm"]].mean()
    assert mean.loc["net, refined", "dice"] > mean.loc["net", "dice"] + 0.03
    assert mean.loc["net, refined", "assd_mm"] < 0.75 * mean.loc["net", "assd_mm"]


@pytest.mark.parametrize("changed", [{"protocol": "column"}, {"protocol": "in-situ"}, {"field": "paper"}])
def test_x_rays_of_more_than_the_vertebra_are_refused(changed, dataset, models, tmp_path, monkeypatch):
    other = replace(dataset, settings={**dataset.settings, **changed})
    monkeypatch.setattr(PreparedDataset, "open", lambda _folder: other)
    monkeypatch.setattr(module, "check_fit", lambda *_: None)
    with pytest.raises(EARError, match=r"(?s)show nothing but the vertebra.*--refine"):
        evaluate({"net": models["exact"]}, dataset.folder, tmp_path / "out", refine=True)
    assert not (tmp_path / "out").exists()
