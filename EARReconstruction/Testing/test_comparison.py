"""Shapes of known size beside each other: overlap and distance have values that can be calculated."""

from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.case import Case, Reference
from EARReconstructionLib.comparison import (
    Shape,
    boxes_of,
    compare,
    read_shapes,
    reference_shapes,
    shapes_in_ct,
    surface_mask,
)
from EARReconstructionLib.distance import SIGNED_DISTANCE
from EARReconstructionLib.errors import ReferenceSurfaceError
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine, transform_points
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.surface import isosurface, mask_surface, points_of, polydata, triangles_of, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL, VertebraROI
from EARReconstructionLib.volume_io import Volume, write_labels, write_volume

CENTRE = np.array([12.0, -30.0, 55.0])


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def ball(radius, centre=CENTRE, spacing=1.0, size=64):
    """A ball as a mask on a grid of its own."""
    affine = cube_affine(centre, size, spacing)
    return Volume(np.linalg.norm(points(affine, (size,) * 3) - centre, axis=-1) < radius, affine)


def sphere(radius, centre=CENTRE):
    """The same as a mesh of a fine distance field."""
    affine = cube_affine(centre, 48, radius / 20)
    return isosurface(-np.linalg.norm(points(affine, (48,) * 3) - centre, axis=-1), affine, -radius)


def as_mask(volume):
    return Shape(mask_surface(volume.array, volume.ras_from_ijk), volume)


def lens(radius, distance):
    """Volume common to two balls of one radius."""
    return np.pi * (4 * radius + distance) * (2 * radius - distance) ** 2 / 12


def cut_to_box(volume, margin=1):
    """A mask on the smallest grid that holds it, as a label map's part is."""
    found = np.argwhere(volume.array)
    low, high = found.min(0) - margin, found.max(0) + 1 + margin
    affine = volume.ras_from_ijk.copy()
    affine[:3, 3] = transform_points(affine, low[::-1])
    return Volume(volume.array[low[0] : high[0], low[1] : high[1], low[2] : high[2]], affine)


class TestDice:
    @pytest.mark.parametrize("kinds", ["masks", "meshes", "mask and mesh", "mesh and mask", "tight masks"])
    @pytest.mark.parametrize("distance", [0.0, 7.0])
    def test_shifted_balls(self, kinds, distance):
        radius = 14.0
        other = np.add(CENTRE, (0, distance, 0))
        masks = as_mask(ball(radius)), as_mask(ball(radius, other, 0.8, 80))
        meshes = Shape(sphere(radius)), Shape(sphere(radius, other))
        tight = tuple(Shape(s.surface, cut_to_box(s.mask)) for s in masks)
        pair = {
            "masks": masks,
            "meshes": meshes,
            "mask and mesh": (masks[0], meshes[1]),
            "mesh and mask": (meshes[0], masks[1]),
            "tight masks": tight,
        }[kinds]
        (row,) = compare({"L1": pair[0]}, {"L1": pair[1]})
        assert row.dice == pytest.approx(lens(radius, distance) / (4 / 3 * np.pi * radius**3), abs=0.025)
        assert row.level == "L1"
        assert row.error.hd_mm == pytest.approx(distance, abs=0.6)

    @pytest.mark.parametrize(("ours", "theirs"), [(9.0, 20.0), (20.0, 9.0)])
    @pytest.mark.parametrize("kinds", ["tight masks", "meshes", "tight mask and mesh"])
    def test_what_reaches_beyond_the_other_s_grid_counts(self, ours, theirs, kinds):
        """A process that a reconstruction misses lies outside the box of its mask: it must cost overlap."""
        pair = [Shape(sphere(r), None if kinds == "meshes" else cut_to_box(ball(r))) for r in (ours, theirs)]
        if kinds == "tight mask and mesh":
            pair[1] = Shape(pair[1].surface)
        (row,) = compare({"L1": pair[0]}, {"L1": pair[1]})
        assert row.dice == pytest.approx(2 * 9**3 / (9**3 + 20**3), abs=0.01)
        assert row.error.assd_mm == pytest.approx(11, abs=0.3)
        assert np.sign(row.error.mean_signed_mm) == np.sign(ours - theirs)

    def test_a_stray_piece_of_a_mask_counts_wherever_it_is(self):
        island = ball(10)
        stray = ball(10, size=90)
        far = np.linalg.norm(points(stray.ras_from_ijk, (90,) * 3) - CENTRE - [30, 0, 0], axis=-1) < 8
        stray = Volume(stray.array | far, stray.ras_from_ijk)
        (row,) = compare({"L1": Shape(sphere(10), cut_to_box(island))}, {"L1": Shape(sphere(10), stray)})
        assert row.dice == pytest.approx(2 * 10**3 / (10**3 + 10**3 + 8**3), abs=0.02)

    def test_concentric_and_coloured(self):
        (row,) = compare({"L1": as_mask(ball(10))}, {"L1": as_mask(ball(12))})
        scalars = row.surface.GetPointData().GetArray(SIGNED_DISTANCE)
        assert scalars.GetNumberOfTuples() == row.surface.GetNumberOfPoints()
        assert -2.4 < scalars.GetRange()[0] <= scalars.GetRange()[1] < -1.3  # inside the reference: negative
        fields = row.to_dict()
        assert fields["level"] == "L1"
        assert fields["dice"] == row.dice
        assert fields["assd_mm"] == pytest.approx(2, abs=0.1)


class TestLevels:
    def shapes(self, *levels):
        return {level: as_mask(ball(6, np.add(CENTRE, (0, 0, -20 * int(level[1:]))), 1.0, 16)) for level in levels}

    def test_only_common_levels_in_the_order_of_the_reconstruction(self):
        rows = compare(self.shapes("L3", "L1", "L2"), self.shapes("L1", "L2", "L3", "L4"))
        assert [row.level for row in rows] == ["L3", "L1", "L2"]
        assert all(row.dice == 1 for row in rows)
        rows = compare(self.shapes("L1", "L2"), self.shapes("L2", "L3"))
        assert [row.level for row in rows] == ["L2"]

    def test_two_single_shapes_belong_together_whatever_their_names(self):
        one = self.shapes("L1")
        (row,) = compare(one, {"some file": one["L1"]})
        assert row.level == "L1"
        assert row.dice == 1

    def test_no_common_level_is_refused_with_both_lists(self):
        with pytest.raises(ReferenceSurfaceError, match=r"L3, L4.*L1, L2"):
            compare(self.shapes("L1", "L2"), self.shapes("L3", "L4"))
        with pytest.raises(ReferenceSurfaceError, match="nothing"):
            compare(self.shapes("L1", "L2"), {})


class TestPlace:
    def test_metres(self):
        small = polydata(points_of(sphere(20)) / 1000, triangles_of(sphere(20)))
        with pytest.raises(ReferenceSurfaceError, match=r"metres.*millimetres"):
            compare({"L1": as_mask(ball(20))}, {"L1": Shape(small)})

    def test_both_in_metres_are_not_taken_for_equal(self):
        small = polydata(points_of(sphere(20)) / 1000, triangles_of(sphere(20)))
        with pytest.raises(ReferenceSurfaceError, match="metres"):
            compare({"L1": Shape(small)}, {"L1": Shape(small)})

    def test_both_in_micrometres_do_not_ask_for_all_memory(self):
        large = polydata(points_of(sphere(20)) * 1000, triangles_of(sphere(20)))
        with pytest.raises(ReferenceSurfaceError):
            compare({"L1": Shape(large)}, {"L1": Shape(large)})

    @pytest.mark.parametrize("with_mask", [True, False])
    def test_far_away(self, with_mask):
        far = np.add(CENTRE, (0, 0, 300))
        reference = as_mask(ball(10, far)) if with_mask else Shape(sphere(10, far))
        with pytest.raises(ReferenceSurfaceError, match="300 mm apart"):
            compare({"L1": as_mask(ball(10))}, {"L1": reference})
        with pytest.raises(ReferenceSurfaceError, match=r"^truth\.stl: .*300 mm apart"):
            compare({"L1": as_mask(ball(10))}, {"L1": Shape(reference.surface, reference.mask, Path("truth.stl"))})

    def test_boxes_that_touch_while_the_bones_do_not(self):
        """Corner to corner the boxes overlap: that is a bad result, not an error."""
        (row,) = compare({"L1": as_mask(ball(10))}, {"L1": as_mask(ball(10, np.add(CENTRE, (15, 15, 15))))})
        assert row.dice == 0
        assert row.error.assd_mm > 5


ROTATIONS = {
    "along the axes": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "permuted": np.eye(3)[[2, 0, 1]],
    "rotated": np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0],
}


class TestSurfaceMask:
    @pytest.mark.parametrize("name", ROTATIONS)
    def test_a_ball_on_any_grid(self, name):
        rotation = ROTATIONS[name] @ np.diag([0.9, 1.1, 1.6])
        shape = (26, 42, 50)
        affine = np.eye(4)
        affine[:3, :3] = rotation
        middle = np.add(CENTRE, (3, -2, 1))  # of the grid: the ball is off its centre
        affine[:3, 3] = middle - rotation @ [24.5, 20.5, 12.5]
        inside = surface_mask(sphere(15), affine, shape)
        distance = np.linalg.norm(points(affine, shape) - CENTRE, axis=-1)
        assert inside.shape == shape
        assert inside.dtype == bool
        assert inside[distance < 14.9].all()
        assert not inside[distance > 15.1].any()

    def test_an_ellipsoid_keeps_its_axes(self):
        """A ball does not see a transposition."""
        surface = sphere(10, (0, 0, 0))
        stretched = polydata(points_of(surface) * (2.0, 1.0, 0.5) + CENTRE, triangles_of(surface))
        affine = cube_affine(CENTRE, 48, 1.0)
        inside = surface_mask(stretched, affine, (48,) * 3)
        r = points(affine, (48,) * 3) - CENTRE
        truth = np.linalg.norm(r / (2.0, 1.0, 0.5), axis=-1) < 10
        assert (inside != truth).mean() < 1e-3
        assert inside.sum() == pytest.approx(truth.sum(), rel=0.01)

    def test_beyond_the_grid_it_is_cut(self):
        affine = cube_affine(np.add(CENTRE, (15, 0, 0)), 20, 1.0)
        inside = surface_mask(sphere(15), affine, (20,) * 3)
        distance = np.linalg.norm(points(affine, (20,) * 3) - CENTRE, axis=-1)
        assert inside[distance < 14.9].all()
        assert not inside[distance > 15.1].any()
        assert not surface_mask(sphere(15), cube_affine(CENTRE + 200, 20, 1.0), (20,) * 3).any()

    def test_the_surface_stays_where_it_is(self):
        surface = sphere(8)
        before = points_of(surface)
        surface_mask(surface, cube_affine(CENTRE, 20, 1.0), (20,) * 3)
        np.testing.assert_array_equal(points_of(surface), before)


@pytest.fixture
def labels():
    """L1 above L2 on one grid, and a speck of T12 that a case has no ROI for."""
    affine = cube_affine(CENTRE, 60, 1.0)
    grid = points(affine, (60,) * 3)
    array = np.zeros((60,) * 3, np.uint8)
    for level, z, radius in (("L1", 14, 10), ("L2", -12, 11), ("T12", 27, 2.5)):
        array[np.linalg.norm(grid - (np.add(CENTRE, (0, 0, z))), axis=-1) < radius] = VERSE_LABEL[level]
    return Volume(array, affine)


NAMES = {VERSE_LABEL[n]: n for n in ("T12", "L1", "L2")}


class TestReading:
    def test_a_label_map_holds_a_shape_per_level(self, labels, tmp_path):
        write_labels(tmp_path / "s.seg.nrrd", labels.array, labels.ras_from_ijk, NAMES)
        shapes = read_shapes(tmp_path / "s.seg.nrrd")
        assert set(shapes) == {"T12", "L1", "L2"}
        for level, z, radius in (("L1", 14, 10), ("L2", -12, 11)):
            box = np.reshape(shapes[level].surface.GetBounds(), (3, 2))
            np.testing.assert_allclose(box.mean(1), np.add(CENTRE, (0, 0, z)), atol=0.3)
            np.testing.assert_allclose(np.ptp(box, axis=1), 2 * radius, atol=0.8)
            assert shapes[level].mask.array.sum() == (labels.array == VERSE_LABEL[level]).sum()
        assert set(read_shapes(tmp_path / "s.seg.nrrd", level="L2")) == {"L2"}
        with pytest.raises(ReferenceSurfaceError, match=r"s\.seg\.nrrd.*L5"):
            read_shapes(tmp_path / "s.seg.nrrd", level="L5")

    def test_the_mask_of_one_vertebra_takes_the_level_that_is_named(self, labels, tmp_path):
        write_volume(tmp_path / "one.nii.gz", labels.array == VERSE_LABEL["L2"], labels.ras_from_ijk)
        (shape,) = (found := read_shapes(tmp_path / "one.nii.gz", level="L2")).values()
        assert set(found) == {"L2"}
        np.testing.assert_allclose(
            np.reshape(shape.surface.GetBounds(), (3, 2)).mean(1), np.add(CENTRE, (0, 0, -12)), atol=0.3
        )

    def test_a_mesh(self, tmp_path):
        write_surface(tmp_path / "L4.ply", sphere(10))
        (name,) = read_shapes(tmp_path / "L4.ply")
        assert name == "L4"
        assert set(read_shapes(tmp_path / "L4.ply", level="T9")) == {"T9"}

    def test_a_ct_needs_a_threshold(self, labels, tmp_path):
        hu = np.where(labels.array == VERSE_LABEL["L1"], 300.0, -1000.0).astype(np.float32)
        write_volume(tmp_path / "ct.nrrd", hu, labels.ras_from_ijk)
        with pytest.raises(ReferenceSurfaceError, match=r"ct\.nrrd.*threshold"):
            read_shapes(tmp_path / "ct.nrrd")

    def test_bone_of_a_ct_where_a_shape_is(self, labels):
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)
        hu[
            np.linalg.norm(points(labels.ras_from_ijk, hu.shape) - (np.add(CENTRE, (0, 0, 14))), axis=-1) < 4
        ] = -50  # marrow
        rebuilt = {"L1": as_mask(ball(9.5, np.add(CENTRE, (0, 0, 14))))}
        shapes = shapes_in_ct(Volume(hu, labels.ras_from_ijk), 0.0, boxes_of(rebuilt))
        (row,) = compare(rebuilt, shapes)
        assert row.dice == pytest.approx(2 * 9.5**3 / (9.5**3 + 10**3), abs=0.02)  # solid in spite of the marrow
        assert row.error.assd_mm == pytest.approx(0.5, abs=0.2)
        assert shapes_in_ct(Volume(hu, labels.ras_from_ijk), 2000.0, boxes_of(rebuilt)) == {}
        assert shapes_in_ct(Volume(hu, labels.ras_from_ijk), 0.0, {"L1": ((500, 0, 0), (20, 20, 20))}) == {}

    @pytest.mark.parametrize("value", [0, 29, 99, 255])
    def test_labels_that_mean_nothing_are_refused(self, tmp_path, value):
        array = np.zeros((12, 12, 12), np.uint8)
        array[3:6, 3:6, 3:6] = value
        array[8:10, 8:10, 8:10] = 20 if value else 0
        write_volume(tmp_path / "x.nrrd", array, np.eye(4))
        with pytest.raises(ReferenceSurfaceError, match=r"x\.nrrd.*VerSe"):
            read_shapes(tmp_path / "x.nrrd")

    def test_the_sacrum_of_a_label_map_is_passed_over(self, tmp_path):
        array = np.zeros((12, 12, 12), np.uint8)
        array[1:4, 3:6, 3:6] = 26
        array[6:11, 3:9, 3:9] = 24
        write_volume(tmp_path / "x.nrrd", array, np.eye(4))
        assert set(read_shapes(tmp_path / "x.nrrd")) == {"L5"}

    def test_a_folder_that_is_none_of_results(self, tmp_path):
        with pytest.raises(ReferenceSurfaceError, match="no folder of results"):
            read_shapes(tmp_path)


def case_with(reference):
    geometry = BiplanarGeometry.from_preset(height=300, width=300)
    pixels = np.random.default_rng(0).uniform(0, 1, (300, 300)).astype(np.float32)
    frontal, lateral = (
        Radiograph(pixels, "attenuation", view.pixel_mm, role, (view.alpha_deg, view.beta_deg), view)
        for role, view in zip(("frontal", "lateral"), geometry.views, strict=True)
    )
    rois = tuple(
        VertebraROI(level, tuple((np.add(CENTRE, (0, 0, z))).tolist()), (24.0, 24.0, 24.0))
        for level, z in (("L1", 14), ("L2", -12))
    )
    return Case("c", frontal, lateral, geometry, rois, reference)


class TestReference:
    def test_none(self):
        assert reference_shapes(case_with(None)) == {}

    def test_a_segmentation_gives_the_levels_of_the_rois(self, labels, tmp_path):
        write_labels(tmp_path / "s.seg.nrrd", labels.array, labels.ras_from_ijk, NAMES)
        assert set(reference_shapes(case_with(Reference(segmentation=tmp_path / "s.seg.nrrd")))) == {"L1", "L2"}

    def test_meshes(self, tmp_path):
        for level in ("L1", "L2", "L3"):
            write_surface(tmp_path / f"{level}.stl", sphere(9))
        meshes = {level: tmp_path / f"{level}.stl" for level in ("L1", "L2", "L3")}
        shapes = reference_shapes(case_with(Reference(meshes=meshes)))
        assert set(shapes) == {"L1", "L2"}
        assert shapes["L1"].mask is None

    @pytest.mark.parametrize("threshold", [None, 0.0])
    def test_a_ct_is_cut_at_the_rois(self, labels, tmp_path, threshold):
        hu = np.where(labels.array > 0, 400.0, -1000.0).astype(np.float32)
        hu[np.linalg.norm(points(labels.ras_from_ijk, hu.shape) - (np.add(CENTRE, (10, 10, 14))), axis=-1) < 2] = (
            400  # an island
        )
        write_volume(tmp_path / "ct.nii.gz", hu, labels.ras_from_ijk)
        shapes = reference_shapes(case_with(Reference(volume=tmp_path / "ct.nii.gz", threshold_hu=threshold)))
        assert list(shapes) == ["L1", "L2"]
        for level, z, radius in (("L1", 14, 10), ("L2", -12, 11)):
            (row,) = compare({level: as_mask(ball(radius, np.add(CENTRE, (0, 0, z))))}, {level: shapes[level]})
            assert row.dice > 0.97
            assert row.error.assd_mm < 0.4

    def test_an_roi_outside_the_ct_has_no_reference(self, tmp_path):
        hu = np.full((24, 24, 24), -1000, np.int16)
        hu[5:19, 5:19, 5:19] = 500
        write_volume(tmp_path / "ct.nrrd", hu, cube_affine(np.add(CENTRE, (0, 0, 18)), 24, 1.0))
        assert list(reference_shapes(case_with(Reference(volume=tmp_path / "ct.nrrd")))) == ["L1"]

    def test_a_ct_without_air_is_refused_by_name(self, tmp_path):
        """Values that were stored with an offset lie all above the threshold."""
        write_volume(tmp_path / "ct.nrrd", np.full((80, 40, 40), 1024, np.int16), cube_affine(CENTRE, 80, 1.0))
        with pytest.raises(ReferenceSurfaceError, match=r"ct\.nrrd.*200"):
            reference_shapes(case_with(Reference(volume=tmp_path / "ct.nrrd")))


def labels_of(labels, level):
    return Volume(labels.array == VERSE_LABEL[level], labels.ras_from_ijk)
