"""Columns: read from a collection, made of meshes, and a lone vertebra given neighbours."""

import csv

import numpy as np
import pytest
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.surface import mask_surface, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_volume
from EARTrainingLib.datasets.columns import (
    COPY_OVERLAP,
    FINEST_SPACING_MM,
    CollectionError,
    rasterise,
    read_columns,
    thinned,
    with_neighbours,
)


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def ball_surface(centre, radius):
    affine = cube_affine(centre, 40, 1.0)
    return mask_surface(np.linalg.norm(points(affine, (40,) * 3) - centre, axis=-1) < radius, affine)


def middle_of(inside, affine):
    k, j, i = np.nonzero(inside)
    return transform_points(affine, np.stack([i, j, k], -1)).mean(0)


FIELDS = ("file", "kind", "source", "subject", "level", "complete", "use", "licence")


def write_manifest(folder, rows):
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(dict(zip(FIELDS, row, strict=True)) for row in rows)


@pytest.fixture
def collection(tmp_path):
    """Two people with masks, one with meshes; cut, cervical and whole vertebrae among them."""
    affine = np.diag([-1.5, 1.5, 2.0, 1.0])
    affine[:3, 3] = (40, -20, 100)
    labels = np.zeros((30, 14, 16), np.uint8)
    for level, k in (("C7", 25), ("L1", 15), ("L2", 5)):
        labels[k : k + 4, 3:10, 4:12] = VERSE_LABEL[level]
    for name in ("a", "b"):
        write_volume(tmp_path / f"{name}_msk.nii.gz", labels, affine)
    for level, place, radius in (("T12", (5, 6, 60), 9), ("L1", (5, 8, 30), 10)):
        write_surface(tmp_path / f"{level}.ply", ball_surface(place, radius))
    write_manifest(
        tmp_path,
        [
            ("a_ct.nii.gz", "full_ct", "VERSE", "a", "-", "-", "training", "CC BY-SA 4.0"),
            ("a_msk.nii.gz", "full_msk", "VERSE", "a", "-", "-", "training", "CC BY-SA 4.0"),
            ("x", "mask_crop", "VERSE", "a", "L1", "y", "training", "CC BY-SA 4.0"),
            ("x", "ct_crop", "VERSE", "a", "L2", "y", "training", "CC BY-SA 4.0"),
            ("x", "mask_crop", "VERSE", "a", "L2", "n", "training", "CC BY-SA 4.0"),
            ("x", "mask_crop", "VERSE", "a", "C7", "y", "training", "CC BY-SA 4.0"),
            ("b_msk.nii.gz", "full_msk", "VERSE", "b", "-", "-", "test", "CC BY-SA 4.0"),
            ("x", "mask_only", "VERSE", "b", "L2", "y", "test", "CC BY-SA 4.0"),
            ("x", "mask_only", "VERSE", "b", "L1", "y", "test", "CC BY-SA 4.0"),
            ("L1.ply", "mesh", "MORPH", "a", "L1", "n", "training-idealised", "MIT"),
            ("T12.ply", "mesh", "MORPH", "a", "T12", "y", "training-idealised", "MIT"),
        ],
    )
    return tmp_path, labels, affine


class TestCollection:
    def test_a_column_per_person_and_source(self, collection):
        folder, labels, affine = collection
        a, b, mesh = read_columns(folder)
        assert [(c.source, c.person, c.use) for c in (a, b, mesh)] == [
            ("VERSE", "a", "training"),
            ("VERSE", "b", "test"),
            ("MORPH", "a", "training-idealised"),
        ]
        assert a.targets == ("L1",)  # L2 is cut, C7 is never learned
        assert b.targets == ("L1", "L2")  # from head to foot
        assert mesh.targets == ("T12",)
        assert (a.licence, mesh.licence) == ("CC BY-SA 4.0", "MIT")
        np.testing.assert_array_equal(a.labels.array, labels)
        np.testing.assert_allclose(a.labels.ras_from_ijk, affine, atol=1e-4)

    def test_meshes_become_labels_in_their_place(self, collection):
        folder, _, _ = collection
        *_, mesh = read_columns(folder)
        assert set(np.unique(mesh.labels.array)) == {0, VERSE_LABEL["T12"], VERSE_LABEL["L1"]}
        for level, place in (("T12", (5, 6, 60)), ("L1", (5, 8, 30))):
            found = middle_of(mesh.labels.array == VERSE_LABEL[level], mesh.labels.ras_from_ijk)
            np.testing.assert_allclose(found, place, atol=0.2)

    def test_only_the_uses_that_are_asked_for(self, collection):
        folder, _, _ = collection
        assert [c.person for c in read_columns(folder, ("test",))] == ["b"]
        assert [c.source for c in read_columns(folder, ("training", "training-idealised"))] == ["VERSE", "MORPH"]
        assert list(read_columns(folder, ("nothing",))) == []

    def test_what_is_missing_is_named(self, collection, tmp_path_factory):
        folder, _, _ = collection
        empty = tmp_path_factory.mktemp("empty")
        with pytest.raises(CollectionError, match=r"manifest\.csv"):
            list(read_columns(empty))
        for name in ("b_msk.nii.gz", "L1.ply"):
            (folder / name).unlink()
            with pytest.raises(EARError, match=name):
                list(read_columns(folder))
            write_manifest(folder, [("L1.ply", "mesh", "MORPH", "a", "L1", "n", "training", "MIT")])


class TestRasterise:
    def test_volumes_and_places(self):
        surfaces = {"T12": ball_surface((-3, 4, 31), 9.0), "L1": ball_surface((2, 7, 0), 12.0)}
        volume = rasterise(surfaces, 0.8)
        assert volume.array.dtype == np.uint8
        for level, place, radius in (("T12", (-3, 4, 31), 9.0), ("L1", (2, 7, 0), 12.0)):
            inside = volume.array == VERSE_LABEL[level]
            assert inside.sum() * 0.8**3 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
            np.testing.assert_allclose(middle_of(inside, volume.ras_from_ijk), place, atol=0.15)
        border = np.ones(volume.array.shape, bool)
        border[1:-1, 1:-1, 1:-1] = False
        assert not volume.array[border].any()


#: Directions of i, j and k, in each of which S is another array axis or runs down.
GRIDS = {
    "S along k": np.diag([1.0, 1.0, 1.5]),
    "S against k": np.diag([-1.0, 1.0, -1.5]),
    "S along j": np.array([[1.0, 0, 0], [0, 0, 1.2], [0, 1.5, 0]]),
    "S along i": np.array([[0, 0, 1.0], [0, -1.1, 0], [1.5, 0, 0]]),
}


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


class TestNeighbours:
    @pytest.mark.parametrize("name", GRIDS)
    def test_copies_stand_above_and_below(self, name):
        alone = lone(GRIDS[name])
        column = with_neighbours(alone)
        own, copies = column.array == VERSE_LABEL["L2"], column.array == 255
        count = (alone.array > 0).sum()
        assert own.sum() == count  # nothing is taken from the vertebra itself
        np.testing.assert_allclose(
            middle_of(own, column.ras_from_ijk), middle_of(alone.array > 0, alone.ras_from_ijk), atol=1e-6
        )
        middle = middle_of(own, column.ras_from_ijk)
        place = points(column.ras_from_ijk, column.array.shape)
        for side in (1, -1):
            copy = copies & (side * (place[..., 2] - middle[2]) > 0)
            # What runs past the vertebra's middle, a long process, counts with the other side: hence half a percent.
            assert copy.sum() == pytest.approx(count, rel=0.12)
            moved = middle_of(copy, column.ras_from_ijk) - middle
            assert np.abs(moved[:2]).max() < 1.5
            assert 15 <= side * moved[2] < 30
        assert copies.sum() >= (2 - 2 * COPY_OVERLAP) * count

    def test_they_stand_as_close_as_they_can(self):
        for height in (16.0, 24.0, 30.0):
            alone = lone(np.eye(3), height)
            mask = alone.array > 0
            column = with_neighbours(alone)
            shift = (column.array.shape[0] - mask.shape[0]) // 2
            overlap = [(mask[s:] & mask[:-s]).sum() for s in (shift, shift - 1)]
            assert overlap[0] <= COPY_OVERLAP * mask.sum()
            assert shift == 15 or overlap[1] > COPY_OVERLAP * mask.sum()

    def test_a_column_of_several_comes_back_as_it_is(self):
        several = lone(np.eye(3))
        several.array[0, 0, 0] = VERSE_LABEL["L3"]
        assert with_neighbours(several) is several


class TestThinning:
    def test_fine_axes_lose_voxels_and_nothing_moves(self):
        fine = lone(np.diag([0.25, -0.5, 1.0]))
        coarse = thinned(fine)
        spacing = np.linalg.norm(coarse.ras_from_ijk[:3, :3], axis=0)
        np.testing.assert_allclose(spacing, (0.75, 0.5, 1.0))
        assert spacing[:1].max() <= FINEST_SPACING_MM + 1e-9
        np.testing.assert_allclose(
            middle_of(coarse.array > 0, coarse.ras_from_ijk), middle_of(fine.array > 0, fine.ras_from_ijk), atol=0.3
        )
        assert (coarse.array > 0).sum() * 3 == pytest.approx((fine.array > 0).sum(), rel=0.03)

    def test_coarse_ones_stay(self):
        coarse = lone(np.diag([1.0, 1.0, 3.0]))
        np.testing.assert_array_equal(thinned(coarse).array, coarse.array)
