"""X-rays at one angle after another, and what is compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from EARReconstructionLib.bundle import save_bundle
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARTrainingLib.studies.angle_report import ALL, OWN, RIGHT, compare
from EARTrainingLib.studies.angle_rows import measured, predictions_at, samples_at


@pytest.fixture(scope="module")
def bundle(data, tmp_path_factory):
    """A network that nobody trained."""
    torch.manual_seed(0)
    card = ModelCard(
        name="untrained",
        architecture="E2E",
        arguments={"width": 2},
        size=data.size,
        spacing_mm=data.spacing_mm,
        lift="backproject",
        hu_mean=-900.0,
        hu_sd=250.0,
        threshold_hu=-850.0,
        angle_range_deg=(60.0, 140.0),
        sod_range_mm=(1000.0, 1000.0),
        protocol="isolated",
        levels=("L1",),
        data_licence="CC0",
    )
    return save_bundle(tmp_path_factory.mktemp("bundle") / "untrained.safetensors", card, build("E2E", width=2))


class TestSamplesAt:
    def test_the_lateral_view_stays_and_the_frontal_one_turns(self, data):
        right, wide = (samples_at(data, angle, "replicate")[0] for angle in (90, 140))
        assert torch.equal(right.images[1], wide.images[1])
        assert (right.images[0] - wide.images[0]).abs().mean() > 0.1

    def test_the_vertebra_is_the_same_at_every_angle_and_for_every_lift(self, data):
        first = samples_at(data, 60, "replicate")[1]
        for angle, lift in ((140, "replicate"), (60, "backproject")):
            other = samples_at(data, angle, lift)[1]
            assert torch.equal(first.target_hu, other.target_hu)
            assert torch.equal(first.mask, other.mask)
        assert torch.equal(first.images, samples_at(data, 60, "backproject")[1].images)

    def test_nothing_is_random(self, data):
        one, other = (samples_at(data, 70, "backproject")[0] for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    def test_they_are_those_of_the_test_split(self, data):
        samples = samples_at(data, 90, "replicate")
        assert [samples.row(n) for n in range(len(samples))] == list(data.rows_of("test"))

    @pytest.mark.parametrize("angle", [60, 90, 140])
    def test_only_back_projection_knows_the_angle(self, data, angle):
        """The lifted frontal image is even along its beam, which turns with the angle; replicated, along A for all."""
        alpha = np.radians(90 - angle)
        beams = {"backproject": (-np.sin(alpha), -np.cos(alpha)), "replicate": (0.0, 1.0)}
        for lift, beam in beams.items():
            inner = samples_at(data, angle, lift)[0].lifted[0].numpy()[8:24, 8:24, 8:24]
            _, along_a, along_r = np.gradient(inner)
            tensor = np.cov([along_r.ravel(), along_a.ravel()])
            even = np.linalg.eigh(tensor)[1][:, 0]  # the direction of least change, in (R, A)
            assert abs(even @ beam) > np.cos(np.radians(6)), lift


class TestPredictionsAt:
    def test_truth_lies_where_the_data_set_has_it(self, data, bundle):
        (found,) = predictions_at(bundle, data, 90, [1], "cpu")
        row = data.rows_of("test")[1]
        assert found.truth.row == row
        np.testing.assert_allclose(found.truth.ras_from_ijk, data.volume(row).ras_from_ijk, atol=1e-3)
        both = (found.truth.mask & data.mask(row)).sum()
        assert 2 * both / (found.truth.mask.sum() + data.mask(row).sum()) > 0.97
        assert voxel_sizes_mm(found.truth.ras_from_ijk) == pytest.approx([3.0] * 3)

    def test_output_is_in_hu(self, data, bundle):
        """By hand: lift, network, z-score undone."""
        sample = samples_at(data, 60, "backproject")[0]
        with torch.inference_mode():
            z = bundle.network()(sample.lifted[None]).volume[0, 0].numpy()
        (found,) = predictions_at(bundle, data, 60, [0], "cpu")
        np.testing.assert_allclose(found.volume_hu, z * 250 - 900, rtol=1e-4, atol=1e-2)
        assert found.threshold_hu == -850

    def test_several_come_in_order(self, data, bundle):
        ids = [row.id for row in data.rows_of("test")]
        assert [p.truth.row.id for p in predictions_at(bundle, data, 90, [1, 0], "cpu")] == ids[::-1]


class TestMeasured:
    def test_what_is_finished_is_not_measured_again(self, data, bundle, tmp_path):
        told = []
        first = measured({"A": bundle}, data, [60, 90], tmp_path, "cpu", 1, lambda *words: told.append(words))
        assert [words[:2] for words in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
        (tmp_path / f"{bundle.sha256[:16]}-60.json").unlink()
        told.clear()
        again = measured({"A": bundle}, data, [60, 90], tmp_path, "cpu", 1, lambda *words: told.append(words))
        assert [words[2] for words in told] == ["A at 60°"] * 2
        pd.testing.assert_frame_equal(first, again)

    def test_other_data_are_measured(self, data, bundle, tmp_path):
        measured({"A": bundle}, data, [90], tmp_path, "cpu", 1, None)
        path = tmp_path / f"{bundle.sha256[:16]}-90.json"
        path.write_text(path.read_text().replace(data.fingerprint, "0" * 64))
        told = []
        measured({"A": bundle}, data, [90], tmp_path, "cpu", 1, lambda *words: told.append(words))
        assert len(told) == 2


class TestCompare:
    def test_diagonal_one_for_all_and_the_right_angle(self):
        models = {"60°": 60, "90°": 90, "any angle": None}
        rows = pd.DataFrame(
            [{"method": m, "angle_deg": a, "dice": n + a / 1000} for n, m in enumerate(models) for a in (60, 90)]
        )
        found = {
            way: dict(zip(own["angle_deg"], own["dice"], strict=True))
            for way, own in compare(rows, models).groupby("method")
        }
        assert found == {
            OWN: {60: 0.06, 90: 1.09},
            ALL: {60: 2.06, 90: 2.09},
            RIGHT: {60: 1.06, 90: 1.09},
        }

    def test_a_model_that_failed_is_missing(self):
        rows = pd.DataFrame([{"method": "any angle", "angle_deg": 60, "dice": 0.5}])
        assert compare(rows, {"60°": 60, "any angle": None})["method"].tolist() == [ALL]
