"""Scenes: distances that are true in millimetres and in place, whatever grid the mask came on."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets import scenes as module
from EARTrainingLib.datasets.scenes import (
    AIR_HU,
    CLIP_MM,
    MARGIN_MM,
    Scene,
    box_ras_mm,
    grid_affine,
    load_scene,
    save_scene,
    scene,
    scene_shape,
    signed_distance,
)

CENTRE = np.array([14.0, -37.0, 120.0])
TURN = np.linalg.qr(np.random.default_rng(8).standard_normal((3, 3)))[0]

#: Directions of i, j and k, times their spacings in mm.
GRIDS = {
    "isotropic": np.diag([1.0, 1.0, 1.0]),
    "anisotropic": np.diag([0.6, 0.9, 1.3]),
    "flipped, as most NIfTI": np.diag([-0.8, -0.8, 1.1]),
    "permuted": np.eye(3)[[2, 0, 1]] @ np.diag([0.7, 1.0, 1.2]),
    "rotated": TURN @ np.diag([0.8, 1.0, 1.2]),
    "rotated and mirrored": TURN @ np.diag([-0.8, 1.0, 1.2]),
}


def grid(axes, reach_mm=32.0, centre=CENTRE):
    """(affine, (k, j, i) shape) of a grid around a point, which is no voxel's centre."""
    counts = np.ceil(2 * reach_mm / np.linalg.norm(axes, axis=0)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = centre - axes @ ((counts - 1) / 2) + (0.21, -0.13, 0.32)
    return affine, tuple(int(n) for n in counts[::-1])


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def ball(axes, radius, centre=CENTRE):
    affine, shape = grid(axes)
    return np.linalg.norm(points(affine, shape) - centre, axis=-1) < radius, affine


SIZE = 28
CUBE = cube_affine(np.add(CENTRE, (2.0, -1.0, 3.0)), SIZE, 2.0)
FROM_CENTRE = np.linalg.norm(points(CUBE, (SIZE,) * 3) - CENTRE, axis=-1)


def middle_of(inside, affine):
    k, j, i = np.nonzero(inside)
    return transform_points(affine, np.stack([i, j, k], -1)).mean(0)


class TestSignedDistance:
    @pytest.mark.parametrize("name", GRIDS)
    def test_a_ball_on_any_grid(self, name):
        mask, affine = ball(GRIDS[name], 15.0)
        found = signed_distance(mask, affine, CUBE, (SIZE,) * 3)
        truth = FROM_CENTRE - 15
        assert found.dtype == np.float16
        assert found.shape == (SIZE,) * 3
        near = np.abs(truth) < 8
        error = found[near].astype(float) - truth[near]
        assert np.abs(error).mean() < 0.25
        assert np.abs(error).max() < 0.9
        assert abs(error.mean()) < 0.12
        np.testing.assert_allclose(middle_of(found < 0, CUBE), CENTRE, atol=0.12)

    def test_axes_are_not_mixed_up(self):
        """A ball does not see a transposition."""
        affine, shape = grid(GRIDS["rotated"])
        stretch = np.array([1.3, 0.8, 0.5])
        mask = np.linalg.norm((points(affine, shape) - CENTRE) / stretch, axis=-1) < 15
        inside = signed_distance(mask, affine, CUBE, (SIZE,) * 3) < 0
        truth = np.linalg.norm((points(CUBE, (SIZE,) * 3) - CENTRE) / stretch, axis=-1) < 15
        assert 2 * (inside & truth).sum() / (inside.sum() + truth.sum()) > 0.96

    def test_between_thick_slices_the_shape_is_interpolated(self):
        mask, affine = ball(np.diag([0.7, 0.7, 4.0]), 15.0)
        found = signed_distance(mask, affine, CUBE, (SIZE,) * 3)
        inside, truth = found < 0, FROM_CENTRE < 15
        assert 2 * (inside & truth).sum() / (inside.sum() + truth.sum()) > 0.95
        assert not inside[FROM_CENTRE > 17.5].any()
        assert inside[FROM_CENTRE < 12.5].all()
        np.testing.assert_allclose(middle_of(inside, CUBE), CENTRE, atol=0.4)

    def test_a_plane_lies_midway_between_voxels(self):
        affine = cube_affine(CENTRE, 60, 1.0)
        mask = points(affine, (60,) * 3)[..., 2] < CENTRE[2]
        found = signed_distance(mask, affine, CUBE, (SIZE,) * 3)
        truth = points(CUBE, (SIZE,) * 3)[..., 2] - CENTRE[2]
        inner = (slice(4, -4),) * 3  # the mask's own sides are surfaces too
        near = np.abs(truth[inner]) < 8
        np.testing.assert_allclose(found[inner][near], truth[inner][near], atol=0.3)

    def test_far_away_it_is_clipped(self):
        mask, affine = ball(GRIDS["isotropic"], 4.0)
        found = signed_distance(mask, affine, CUBE, (SIZE,) * 3)
        assert found.max() == CLIP_MM
        mask, affine = ball(GRIDS["isotropic"], 28.0)
        assert signed_distance(mask, affine, CUBE, (SIZE,) * 3).min() == -CLIP_MM

    def test_a_cube_that_the_mask_does_not_reach(self):
        mask, affine = ball(GRIDS["isotropic"], 10.0)
        for place in (CENTRE + 500, np.add(CENTRE, (0, 0, 75))):
            found = signed_distance(mask, affine, cube_affine(place, SIZE, 1.0), (SIZE,) * 3)
            assert (found == CLIP_MM).all()
        assert (signed_distance(np.zeros_like(mask), affine, CUBE, (SIZE,) * 3) == CLIP_MM).all()

    def test_only_the_part_in_reach_is_looked_at_and_that_changes_nothing(self):
        """A cube in the middle of a large bone must not take the cut's sides for the bone's."""
        affine = cube_affine(CENTRE, 90, 1.0)
        mask = np.linalg.norm(points(affine, (90,) * 3) - CENTRE, axis=-1) < 40
        cube = cube_affine(np.add(CENTRE, (30, 0, 0)), 10, 1.0)
        truth = np.linalg.norm(points(cube, (10,) * 3) - CENTRE, axis=-1) - 40
        np.testing.assert_allclose(signed_distance(mask, affine, cube, (10,) * 3), truth, atol=0.8)

    def test_a_mask_that_fills_its_grid_ends_there(self):
        affine = cube_affine(CENTRE, 20, 1.0)
        found = signed_distance(np.ones((20,) * 3, bool), affine, CUBE, (SIZE,) * 3)
        inside = np.abs(points(CUBE, (SIZE,) * 3) - CENTRE).max(-1) < 10
        assert 2 * (inside & (found < 0)).sum() / (inside.sum() + (found < 0).sum()) > 0.93


class TestBox:
    def test_outer_faces_of_the_voxels(self):
        mask = np.zeros((6, 7, 8), bool)
        mask[2:4, 1, 5] = True
        affine = np.diag([-0.5, 2.0, 3.0, 1.0])
        affine[:3, 3] = (10, 20, 30)
        low, high = box_ras_mm(mask, affine)
        np.testing.assert_allclose(low, (10 - 0.5 * 5.5, 20 + 2 * 0.5, 30 + 3 * 1.5))
        np.testing.assert_allclose(high, (10 - 0.5 * 4.5, 20 + 2 * 1.5, 30 + 3 * 3.5))
        assert box_ras_mm(np.zeros((3, 3, 3), bool), affine) is None

    @pytest.mark.parametrize("name", GRIDS)
    def test_a_ball(self, name):
        mask, affine = ball(GRIDS[name], 15.0)
        low, high = box_ras_mm(mask, affine)
        np.testing.assert_allclose((low + high) / 2, CENTRE, atol=0.8)
        assert (high - low > 29).all()
        assert (high - low < 34).all()


@pytest.fixture
def lumbar():
    """L1 above L2 above L3 on a flipped, anisotropic grid, each with a block on its right."""
    affine, shape = grid(np.diag([-1.0, 1.2, 1.4]), 48.0)
    where = points(affine, shape) - CENTRE
    labels = np.zeros(shape, np.uint8)
    for level, z in (("L1", 28), ("L2", 0), ("L3", -28)):
        body = np.linalg.norm(where - (0, 0, z), axis=-1) < 11
        block = (np.abs(where - (14, -3, z)) < (8, 3, 3)).all(-1)
        labels[body | block] = VERSE_LABEL[level]
    return labels, affine


class TestScene:
    def test_target_and_neighbours(self, lumbar):
        labels, affine = lumbar
        made = scene("p01", "VERSE", "L2", Volume(labels, affine), (48,) * 3, 2.0)
        assert (made.person, made.source, made.level, made.spacing_mm) == ("p01", "VERSE", "L2", 2.0)
        low, high = box_ras_mm(labels == VERSE_LABEL["L2"], affine)
        np.testing.assert_allclose(made.centre_ras_mm, (low + high) / 2)
        np.testing.assert_allclose(made.size_mm, high - low)
        place = points(cube_affine(made.centre_ras_mm, 48, 2.0), (48,) * 3) - CENTRE
        target, others = made.target_mm < 0, made.others_mm < 0
        np.testing.assert_array_equal(target[np.linalg.norm(place, axis=-1) < 9.5], True)
        assert target[(np.abs(place - (18, -3, 0)) < (3, 1.5, 1.5)).all(-1)].all()  # the block is on the right
        assert not target[(np.abs(place - (-18, -3, 0)) < (3, 1.5, 1.5)).all(-1)].any()
        for z in (28, -28):
            assert others[np.linalg.norm(place - (0, 0, z), axis=-1) < 9.5].all()
        assert not (target & others).any()

    def test_the_cube_is_centred_on_the_box(self, lumbar):
        labels, affine = lumbar
        made = scene("p", "s", "L1", Volume(labels, affine), (40,) * 3, 2.0)
        k, j, i = np.nonzero(made.target_mm < 0)
        for n in (i, j, k):
            assert abs((n.min() + n.max()) / 2 - 19.5) <= 1

    def test_a_level_that_is_not_there(self, lumbar):
        with pytest.raises(ValueError, match=r"p.*T4"):
            scene("p", "s", "T4", Volume(*lumbar), (16,) * 3, 2.0)

    def test_a_grid_with_three_different_sides_keeps_its_place(self, lumbar):
        labels, affine = lumbar
        shape = (30, 40, 50)
        made = scene("p", "s", "L2", Volume(labels, affine), shape, 2.0)
        assert made.shape == shape
        cube = scene("p", "s", "L2", Volume(labels, affine), (30,) * 3, 2.0)
        inner, whole = (x.astype(float) for x in (made.target_mm[:, 5:-5, 10:-10], cube.target_mm))
        near = np.abs(whole) < 10
        np.testing.assert_allclose(inner[near], whole[near], atol=0.02)

    def test_the_ct_comes_along_in_its_place(self, lumbar):
        """Density is a ramp along each axis, so that each voxel says where it stands."""
        labels, affine = lumbar
        where = points(affine, labels.shape) - CENTRE
        for axis in range(3):
            ramp = Volume((10 * where[..., axis]).astype(np.float32), affine)
            made = scene("p", "s", "L2", Volume(labels, affine), (20, 24, 28), 2.0, ramp)
            place = points(grid_affine(made.centre_ras_mm, made.shape, 2.0), made.shape) - CENTRE
            assert made.hu.dtype == np.int16
            np.testing.assert_allclose(made.hu, 10 * place[..., axis], atol=1.0)

    def test_beyond_the_ct_there_is_air(self, lumbar):
        labels, affine = lumbar
        tissue = Volume(np.full(labels.shape, 40, np.int16), affine)
        made = scene("p", "s", "L2", Volume(labels, affine), (80, 20, 20), 2.0, tissue)
        assert (made.hu[[0, -1]] == AIR_HU).all()
        assert (made.hu[38:42] == 40).all()


class TestShape:
    def test_a_margin_on_every_side(self):
        assert scene_shape(64, 1.5) == (80, 80, 80)
        assert MARGIN_MM == 12.0

    @pytest.mark.parametrize("reach", [(0, 0, 0), (90, 20, 200), (48.1, 61, 60.01)])
    def test_it_holds_what_is_asked_for_and_keeps_the_centre(self, reach):
        shape = scene_shape(64, 1.5, reach)
        assert all((n - 64) % 2 == 0 for n in shape)
        halves = np.array(shape[::-1]) * 1.5 / 2
        assert (halves >= np.maximum(reach, 60)).all()
        assert (halves < np.maximum(reach, 60) + 1.5).all()


def random_scene(level, seed, with_ct=False):
    rng = np.random.default_rng(seed)
    target, others = (np.rint(rng.uniform(-CLIP_MM, CLIP_MM, (2, 6, 5, 4)) * 20) / 20).astype(np.float16)
    hu = rng.integers(-1000, 2000, target.shape, np.int16) if with_ct else None
    centre, size = (tuple(x) for x in rng.uniform(-90, 90, (2, 3)).tolist())
    return Scene(f"pérson {seed}", "VERSE", level, target, others, hu, 1.5, centre, size)


class TestFiles:
    @pytest.mark.parametrize("with_ct", [True, False])
    def test_round_trip(self, tmp_path, with_ct):
        a = random_scene("T12", 2, with_ct)
        save_scene(tmp_path / "deep" / "s.npz", a)
        b = load_scene(tmp_path / "deep" / "s.npz")
        assert [p.name for p in (tmp_path / "deep").iterdir()] == ["s.npz"]
        assert (a.person, a.source, a.level, a.spacing_mm) == (b.person, b.source, b.level, b.spacing_mm)
        assert a.centre_ras_mm == b.centre_ras_mm
        assert a.size_mm == b.size_mm
        np.testing.assert_array_equal(a.target_mm, b.target_mm)
        np.testing.assert_array_equal(a.others_mm, b.others_mm)
        assert b.target_mm.dtype == np.float16
        if with_ct:
            np.testing.assert_array_equal(a.hu, b.hu)
        else:
            assert b.hu is None

    def test_a_failure_leaves_nothing_and_an_older_file_alone(self, tmp_path, monkeypatch):
        path = tmp_path / "s.npz"
        save_scene(path, random_scene("L1", 1))
        before = path.read_bytes()

        def fails(place, **_):
            place.write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(module.np, "savez_compressed", fails)
        with pytest.raises(KeyboardInterrupt):
            save_scene(path, random_scene("L1", 2))
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]
