"""Rows of reconstructions whose errors are known in millimetres."""

import math

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine
from EARTrainingLib.evaluation.measurement import IDENTIFIERS, measure
from EARTrainingLib.evaluation.prediction import Prediction, Truth
from EARTrainingLib.metrics import METRICS

STATISTICS = (-900.0, 300.0)


@pytest.fixture
def row(dataset):
    return dataset.rows_of("test")[0]


def ball(row, radius_mm, spacing_mm=(1.5, 1.5, 1.5), centre_mm=(0.0, 0.0, 0.0)):
    """A truth, and HU whose crossing of 0 is a ball of another radius. spacing: (i, j, k)."""
    affine = cube_affine((0, 0, 0), 40, 1.0) @ np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = -np.array(spacing_mm) * 19.5
    k, j, i = np.indices((40, 40, 40))
    where = np.stack([i, j, k], -1) * spacing_mm + affine[:3, 3]
    volume = 50 * (radius_mm - np.linalg.norm(where - centre_mm, axis=-1))
    return np.clip(volume, -1000, 1000).astype(np.float32), affine


def test_a_perfect_reconstruction(truths, make_perfect):
    row = measure(make_perfect(truths[0]), STATISTICS)
    assert row["mse"] == row["mae"] == 0
    assert row["dice"] == row["nsd_1mm"] == 1
    assert row["ssim"] == pytest.approx(1)
    assert row["assd_mm"] == pytest.approx(0, abs=1e-9)
    assert row["hd95_mm"] == pytest.approx(0, abs=1e-9)


def test_who_it_is_about(truths, make_perfect):
    row = measure(make_perfect(truths[-1]), STATISTICS)
    own = truths[-1].row
    assert {name: row[name] for name in IDENTIFIERS} == {
        "id": own.id,
        "patient": "p6",
        "source": "VerSe20",
        "series": "p6",
        "level": "C5",
        "region": "cervical",
        "split": "test",
    }
    assert set(row) == {*IDENTIFIERS, *METRICS} - {"fd_minmax"}


@pytest.mark.parametrize("by_mm", [2.0, -2.0])
@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (1.0, 1.5, 2.0)])
def test_a_ball_too_large_or_too_small(row, by_mm, spacing_mm):
    """The distance is 2 mm everywhere, whatever the voxels; its sign says on which side."""
    volume, affine = ball(row, 15.0, spacing_mm)
    truth = Truth(row, volume, volume > 0, affine)
    made = Prediction(truth, ball(row, 15.0 + by_mm, spacing_mm)[0], None, 0.0)
    measured = measure(made, STATISTICS)
    assert measured["sde_mean_mm"] == pytest.approx(by_mm, abs=0.15)
    for name in ("sde_rms_mm", "assd_mm"):
        assert measured[name] == pytest.approx(2, abs=0.15)
    assert measured["nsd_1mm"] < 0.05
    small, large = sorted((15.0, 15.0 + by_mm))
    assert measured["dice"] == pytest.approx(2 * small**3 / (small**3 + large**3), abs=0.02)


def test_the_surfaces_themselves_are_not_shifted(row):
    """That of the truth comes from voxels, that of the reconstruction from HU: neither lies outside the other."""
    volume, affine = ball(row, 15.0)
    measured = measure(Prediction(Truth(row, volume, volume > 0, affine), volume, None, 0.0), STATISTICS)
    assert measured["sde_mean_mm"] == pytest.approx(0, abs=0.1)  # a fifteenth of a voxel
    assert measured["sde_rms_mm"] < 0.2


def test_a_shifted_ball(row):
    """Shifted by 3 mm: as much too far out on one side as in on the other, 3 mm at most."""
    volume, affine = ball(row, 15.0)
    truth = Truth(row, volume, volume > 0, affine)
    made = Prediction(truth, ball(row, 15.0, centre_mm=(3.0, 0.0, 0.0))[0], None, 0.0)
    measured = measure(made, STATISTICS)
    assert measured["sde_max_mm"] == pytest.approx(3, abs=0.5)
    assert measured["sde_mean_mm"] == pytest.approx(0, abs=0.1)
    assert measured["assd_mm"] == pytest.approx(1.5, abs=0.15)  # the mean of |3 cos| over a ball


def test_z_scores_are_those_of_the_data_set(truths):
    made = Prediction(truths[0], truths[0].volume_hu + 60, None, 0.0)
    assert measure(made, (-900.0, 300.0))["mae"] == pytest.approx(0.2, abs=1e-6)
    assert measure(made, (0.0, 600.0))["mae"] == pytest.approx(0.1, abs=1e-6)


def test_no_bone_is_no_crash_and_no_distance(truths):
    made = Prediction(truths[0], np.full_like(truths[0].volume_hu, -1000), None, 0.0)
    measured = measure(made, STATISTICS)
    assert measured["dice"] == measured["nsd_2mm"] == 0
    for name in ("assd_mm", "hd95_mm", "sde_mean_mm", "sde_rms_mm", "sde_max_mm"):
        assert math.isnan(measured[name])
