"""The Dice at every threshold, against counting by hand, and the best of them."""

import pytest
import torch
from EARTrainingLib.training.thresholds import THRESHOLDS_HU, best_threshold, dice_per_threshold


def test_counting_by_hand():
    """Volume 1 to 4 of a mask of 3; a voxel that lies on a threshold is not above it."""
    hu = torch.tensor([-1000.0, -500.0, 0.0, 25.0, 500.0, 800.0])
    mask = torch.tensor([False, False, True, True, True, False])
    dice = dict(zip(THRESHOLDS_HU, dice_per_threshold(hu, mask).tolist(), strict=True))
    assert dice[-900.0] == pytest.approx(2 * 3 / (5 + 3))
    assert dice[-525.0] == pytest.approx(2 * 3 / (5 + 3))
    assert dice[-500.0] == pytest.approx(2 * 3 / (4 + 3))
    assert dice[0.0] == pytest.approx(2 * 2 / (3 + 3))
    assert dice[25.0] == pytest.approx(2 * 1 / (2 + 3))
    assert dice[500.0] == pytest.approx(2 * 0 / (1 + 3))


def test_every_threshold_against_the_definition():
    generator = torch.Generator().manual_seed(0)
    hu = torch.randn(2, 1, 9, 8, 7, generator=generator) * 600
    mask = torch.rand(hu.shape, generator=generator) < 0.3
    expected = [2 * ((hu > t) & mask).sum().item() / ((hu > t).sum() + mask.sum()).item() for t in THRESHOLDS_HU]
    assert dice_per_threshold(hu, mask).tolist() == pytest.approx(expected, abs=1e-12)


def test_nothing_and_nothing_agree():
    hu = torch.full((8,), 450.0)
    nothing = torch.zeros(8, dtype=torch.bool)
    dice = dict(zip(THRESHOLDS_HU, dice_per_threshold(hu, nothing).tolist(), strict=True))
    assert dice[425.0] == 0
    assert dice[450.0] == 1


def test_the_best_is_the_middle_of_equally_good_ones():
    mean = torch.zeros(len(THRESHOLDS_HU))
    mean[[10, 11, 12]] = 0.8
    assert best_threshold(mean) == (THRESHOLDS_HU[11], pytest.approx(0.8))
