"""Bone made up for label maps: a shell, a core, and every scan its own."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.density import BRIGHT, LIKE_CT, Bone, made_up_density


def balls(spacing=0.5, centre=(20.0, -30.0, 50.0)):
    """Label 20: a ball of 12 mm radius. Label 255: a half ball that touches its lower side."""
    affine = cube_affine(centre, 100, spacing)
    affine[:3, :3] = np.diag([-spacing, spacing, spacing])
    k, j, i = np.indices((100,) * 3)
    where = transform_points(affine, np.stack([i, j, k], -1)) - transform_points(affine, [49.5] * 3)
    labels = np.zeros((100,) * 3, np.uint8)
    labels[np.linalg.norm(where, axis=-1) < 12] = 20
    labels[(np.linalg.norm(np.add(where, (0, 0, 12)), axis=-1) < 10) & (labels == 0)] = 255
    return Volume(labels, affine), np.linalg.norm(where, axis=-1)


@pytest.mark.parametrize("bone", [BRIGHT, LIKE_CT])
def test_a_shell_and_a_core(bone):
    labels, radius = balls()
    hu = made_up_density(labels, (0, 1), bone)
    assert hu.dtype == np.float32
    assert hu.shape == labels.array.shape
    shell_hu = float(hu[0, 0, 0])  # it goes on outside, so that interpolation mixes in no air
    assert bone.shell_hu[0] <= shell_hu <= bone.shell_hu[1]
    own = labels.array == 20
    assert hu[own & (radius > 12 - bone.shell_mm[0] + 0.6)] == pytest.approx(shell_hu)
    core = hu[own & (radius < 12 - bone.shell_mm[1] - 0.6)]
    assert bone.core_hu[0] - 10 < core.mean() < bone.core_hu[1] + 10
    assert 0.5 * bone.grain_hu[0] < core.std() < 2 * bone.grain_hu[1]


def test_bone_as_in_ct_is_the_dimmer_one():
    labels, _ = balls()
    own = labels.array > 0
    means = [[made_up_density(labels, (n,), bone)[own].mean() for n in range(8)] for bone in (LIKE_CT, BRIGHT)]
    assert np.mean(means[0]) < 0.8 * np.mean(means[1])


def test_the_shell_is_as_thick_everywhere():
    labels, radius = balls()
    hu = made_up_density(labels, (0, 1))
    core_hu = hu[radius < 6].mean()
    dense = (labels.array == 20) & (hu > (core_hu + hu[0, 0, 0]) / 2)
    volume = dense.sum() * 0.5**3
    inner = (12**3 - volume * 3 / 4 / np.pi) ** (1 / 3)
    assert BRIGHT.shell_mm[0] - 0.2 < 12 - inner < BRIGHT.shell_mm[1] + 0.2


def test_bones_that_touch_keep_their_shells():
    labels, _ = balls()
    hu = made_up_density(labels, (0, 1))
    where = np.argwhere(labels.array == 20)
    lowest = where[where[:, 0].argmin()]  # inside the other bone's outline
    assert labels.array[tuple(lowest - (1, 0, 0))] == 255
    assert hu[tuple(lowest)] == pytest.approx(hu[0, 0, 0])
    assert hu[tuple(lowest - (1, 0, 0))] == pytest.approx(hu[0, 0, 0])


def test_the_seed_makes_the_bone():
    labels, _ = balls()
    first, again, other = (made_up_density(labels, seed) for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert abs(float(first[0, 0, 0]) - float(other[0, 0, 0])) > 1


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        (((2.0, 1.0), (200.0, 300.0), (50.0, 60.0)), "shell_mm"),
        (((1.0, 2.0), (200.0, 300.0), (60.0, 50.0)), "core_hu"),
        (((0.0, 2.0), (200.0, 300.0), (50.0, 60.0)), "above 0"),
        (((1.0, 2.0), (float("nan"), 300.0), (50.0, 60.0)), "shell_hu"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, said):
    with pytest.raises(ValueError, match=said):
        Bone(*ranges)
