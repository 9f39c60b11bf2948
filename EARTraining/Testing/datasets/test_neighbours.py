"""A lone vertebra given neighbours, with and without a CT."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.neighbours import COPY_LABEL, COPY_OVERLAP, stands_alone, with_neighbours
from EARTrainingLib.datasets.readers import LoadedScan

#: Directions of i, j and k, in each of which S is another array axis or runs down.
GRIDS = {
    "S along k": np.diag([1.0, 1.0, 1.5]),
    "S against k": np.diag([-1.0, 1.0, -1.5]),
    "S along j": np.array([[1.0, 0, 0], [0, 0, 1.2], [0, 1.5, 0]]),
    "S along i": np.array([[0, 0, 1.0], [0, -1.1, 0], [1.5, 0, 0]]),
}


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def middle_of(inside, affine):
    return transform_points(affine, np.argwhere(inside)[:, ::-1]).mean(0)


def lone(axes, height_mm=24.0):
    """A body with a process that runs backwards and down beside the next body, as a spinous process does."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    counts = np.ceil(np.array([50, 60, 50]) @ np.abs(np.linalg.inv(axes)).T).astype(int)
    affine[:3, 3] = -axes @ ((counts - 1) / 2)
    where = points(affine, tuple(counts[::-1]))
    body = (np.abs(where - (0, 8, 4)) < (12, 10, height_mm / 2)).all(-1)
    process = (np.abs(where - (0, -15, -8)) < (2.5, 9, 6)).all(-1)
    arch = (np.abs(where - (0, -6, 0)) < (10, 6, 4)).all(-1)
    return Volume((body | process | arch).astype(np.uint8) * VERSE_LABEL["L2"], affine)


@pytest.mark.parametrize("name", GRIDS)
def test_copies_stand_above_and_below(name):
    alone = lone(GRIDS[name])
    column = with_neighbours(LoadedScan(None, alone)).labels
    own, copies = column.array == VERSE_LABEL["L2"], column.array == COPY_LABEL
    count = (alone.array > 0).sum()
    assert own.sum() == count  # nothing is taken from the vertebra itself
    middle = middle_of(own, column.ras_from_ijk)
    np.testing.assert_allclose(middle, middle_of(alone.array > 0, alone.ras_from_ijk), atol=1e-6)
    place = points(column.ras_from_ijk, column.array.shape)
    for side in (1, -1):
        copy = copies & (side * (place[..., 2] - middle[2]) > 0)
        # What runs past the vertebra's middle, a long process, counts with the other side: hence half a percent.
        assert copy.sum() == pytest.approx(count, rel=0.12)
        moved = middle_of(copy, column.ras_from_ijk) - middle
        assert np.abs(moved[:2]).max() < 1.5
        assert 15 <= side * moved[2] < 30
    assert copies.sum() >= (2 - 2 * COPY_OVERLAP) * count


def test_they_stand_as_close_as_they_can():
    for height in (16.0, 24.0, 30.0):
        alone = lone(np.eye(3), height)
        mask = alone.array > 0
        column = with_neighbours(LoadedScan(None, alone)).labels
        shift = (column.array.shape[0] - mask.shape[0]) // 2
        overlap = [(mask[s:] & mask[:-s]).sum() for s in (shift, shift - 1)]
        assert overlap[0] <= COPY_OVERLAP * mask.sum()
        assert shift == 15 or overlap[1] > COPY_OVERLAP * mask.sum()


@pytest.mark.parametrize("name", GRIDS)
def test_copies_bring_their_density(name):
    alone = lone(GRIDS[name])
    hu = np.where(alone.array > 0, np.random.default_rng(0).integers(200, 900, alone.array.shape), 40).astype(np.int16)
    column = with_neighbours(LoadedScan(Volume(hu, alone.ras_from_ijk), alone))
    np.testing.assert_array_equal(column.hu.ras_from_ijk, column.labels.ras_from_ijk)
    assert column.hu.array.dtype == np.int16
    original = np.sort(hu[alone.array > 0])
    np.testing.assert_array_equal(np.sort(column.hu.array[column.labels.array == VERSE_LABEL["L2"]]), original)
    copies = column.hu.array[column.labels.array == COPY_LABEL]
    assert copies.min() >= 200  # bone, never the tissue around it
    assert copies.mean() == pytest.approx(original.mean(), rel=0.01)
    # Around the vertebra itself the CT is as it was; where there was none, there is air.
    own = points(column.hu.ras_from_ijk, column.hu.array.shape)
    inside = (np.abs(transform_points(np.linalg.inv(alone.ras_from_ijk), own) - (np.array(hu.shape[::-1]) - 1) / 2)
              <= (np.array(hu.shape[::-1]) - 1) / 2 + 1e-6).all(-1)  # fmt: skip
    untouched = inside & (column.labels.array != COPY_LABEL)
    assert set(np.unique(column.hu.array[untouched & (column.labels.array == 0)])) == {40}
    assert (column.hu.array[~inside & (column.labels.array == 0)] == -1000).all()


def test_a_column_of_several_comes_back_as_it_is():
    several = lone(np.eye(3))
    assert stands_alone(several)
    several.array[0, 0, 0] = VERSE_LABEL["L3"]
    scan = LoadedScan(None, several)
    assert not stands_alone(several)
    assert with_neighbours(scan) is scan
