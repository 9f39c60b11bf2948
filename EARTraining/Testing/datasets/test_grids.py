"""Parts, thinned and evened grids: every voxel stays at its millimetres."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import transform_points, voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.grids import EVENED_MM, averaged, evened, grown, part, part_around, thinned
from scipy import ndimage

TURN = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]

GRIDS = {
    "along RAS": np.diag([1.0, 1.2, 1.5]),
    "flipped": np.diag([-0.8, -0.9, 1.1]),
    "permuted": np.array([[0, 0, 1.5], [-1.4, 0, 0], [0, 1.6, 0]]),
    "oblique": TURN @ np.diag([0.8, 1.0, 1.2]),
}


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def grid(axes, shape=(30, 34, 40)):
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = (13.0, -25.0, 60.0)
    return affine, shape


def ramp(axes, shape=(30, 34, 40)):
    """A volume whose values are a linear function of place, so that a value tells where it belongs."""
    affine, shape = grid(axes, shape)
    return Volume(points(affine, shape) @ (1.0, 3.0, -2.0), affine)


def middle_of(inside, affine):
    return transform_points(affine, np.argwhere(inside)[:, ::-1]).mean(0)


@pytest.mark.parametrize("name", GRIDS)
class TestPart:
    def test_it_stays_in_its_place(self, name):
        volume = ramp(GRIDS[name])
        cut = part(volume, (slice(3, 9), slice(10, 30), slice(2, 5)))
        assert cut.array.shape == (6, 20, 3)
        np.testing.assert_allclose(cut.array, points(cut.ras_from_ijk, cut.array.shape) @ (1, 3, -2))

    def test_around_points(self, name):
        volume = ramp(GRIDS[name])
        seen = transform_points(volume.ras_from_ijk, [(5.5, 7, 20), (11, 3.2, 25)])
        cut = part_around(volume, seen, 1)
        np.testing.assert_allclose(cut.array, points(cut.ras_from_ijk, cut.array.shape) @ (1, 3, -2))
        ijk = transform_points(np.linalg.inv(cut.ras_from_ijk), seen)
        assert (ijk >= 1 - 1e-6).all()
        assert (ijk <= np.array(cut.array.shape[::-1]) - 2 + 1e-6).all()

    def test_a_far_point_gives_one_border_voxel_at_least(self, name):
        volume = ramp(GRIDS[name])
        cut = part_around(volume, transform_points(volume.ras_from_ijk, [(-500, 10, 10)]), 0)
        assert min(cut.array.shape) == 1
        np.testing.assert_allclose(cut.array, points(cut.ras_from_ijk, cut.array.shape) @ (1, 3, -2))


def test_grown_stops_at_the_border():
    box = (slice(1, 4), slice(5, 9), slice(0, 10))
    assert grown(box, (2, 2.5, 3), (10, 10, 10)) == (slice(0, 6), slice(2, 10), slice(0, 10))


class TestThinning:
    @pytest.mark.parametrize("smooth", [False, True])
    def test_fine_axes_lose_voxels_and_nothing_moves(self, smooth):
        fine = ramp(np.diag([0.25, -0.5, 1.0]), (20, 60, 80))
        coarse = thinned(fine, 0.8, smooth=smooth)
        np.testing.assert_allclose(voxel_sizes_mm(coarse.ras_from_ijk), (0.75, 0.5, 1.0))
        inner = coarse.array[:, :, 2:-2]  # a mean at the border is one-sided
        np.testing.assert_allclose(
            inner, (points(coarse.ras_from_ijk, coarse.array.shape) @ (1, 3, -2))[:, :, 2:-2], atol=1e-3
        )

    @pytest.mark.parametrize("spacing", [0.25, 0.4])
    def test_densities_between_the_voxels_that_stay_count(self, spacing):
        fine = Volume(np.zeros((9, 9, 24)), np.diag([spacing, 1, 1, 1.0]))
        fine.array[4, 4, 13] = 100.0
        every = 3 if spacing == 0.25 else 2
        assert thinned(fine, 0.8, smooth=False).array.sum() == 0
        assert thinned(fine, 0.8, smooth=True).array.sum() * every == pytest.approx(100)

    def test_coarse_ones_stay(self):
        coarse = ramp(np.diag([1.0, 1.0, 3.0]))
        assert thinned(coarse, 1.0, smooth=True) is coarse


@pytest.mark.parametrize(
    ("voxels", "weights"),
    [(3, (1 / 3, 1 / 3, 1 / 3)), (2, (1 / 4, 1 / 2, 1 / 4)), (2.6, (0.8 / 2.6, 1 / 2.6, 0.8 / 2.6))],
)
def test_a_mean_over_whole_and_parts_of_voxels(voxels, weights):
    line = np.zeros((1, 1, 11))
    line[0, 0, 5] = 1
    np.testing.assert_allclose(averaged(line, (1, 1, voxels))[0, 0, 3:8], (0, *weights, 0), atol=1e-6)


class TestEvened:
    def wedge(self, axes, shape):
        """Two bones: one slants from slice to slice, the other touches it from the left."""
        affine, shape = grid(axes, shape)
        where = points(affine, shape) - points(affine, shape).reshape(-1, 3).mean(0)
        slanted = where[..., 0] - 0.8 * where[..., 2]
        inside = (np.abs(where[..., 1]) < 12) & (np.abs(where[..., 2]) < 16)
        labels = np.zeros(shape, np.uint8)
        labels[inside & (slanted > -9) & (slanted < 12)] = 22
        labels[inside & (slanted > -20) & (slanted <= -9)] = 255
        return Volume(labels, affine), points(affine, shape).reshape(-1, 3).mean(0)

    @pytest.mark.parametrize(
        ("axes", "shape"),
        [
            (np.diag([0.7, 0.7, 3.0]), (20, 60, 110)),
            (np.array([[0, 0, -0.7], [0.7, 0, 0], [0, -3.0, 0]]), (110, 20, 60)),
            (TURN @ np.diag([0.8, 0.8, 2.4]), (30, 60, 90)),
        ],
        ids=["thick axial", "permuted", "oblique"],
    )
    def test_steps_between_slices_become_slopes(self, axes, shape):
        labels, centre = self.wedge(axes, shape)
        even = evened(labels)
        np.testing.assert_allclose(voxel_sizes_mm(even.ras_from_ijk), EVENED_MM)
        np.testing.assert_allclose(
            even.ras_from_ijk[:3, :3] / EVENED_MM, axes / np.linalg.norm(axes, axis=0), atol=1e-9
        )
        where = points(even.ras_from_ijk, even.array.shape) - centre
        slanted = where[..., 0] - 0.8 * where[..., 2]
        inner = (np.abs(where[..., 1]) < 10) & (np.abs(where[..., 2]) < 12)
        truth = np.where((slanted > -9) & (slanted < 12), 22, 0) + np.where((slanted > -20) & (slanted <= -9), 255, 0)
        near_surface = np.min([np.abs(slanted - s) for s in (-20, -9, 12)], 0) < 1.0
        wrong = (even.array != truth) & inner & ~near_surface
        assert wrong.sum() == 0
        for label in (22, 255):
            np.testing.assert_allclose(
                middle_of(even.array == label, even.ras_from_ijk),
                middle_of(labels.array == label, labels.ras_from_ijk),
                atol=0.35,
            )
            assert (even.array == label).sum() * EVENED_MM**3 == pytest.approx(
                (labels.array == label).sum() * np.prod(voxel_sizes_mm(labels.ras_from_ijk)), rel=0.06
            )

    def test_no_gap_opens_between_bones_that_touch(self):
        labels, _ = self.wedge(np.diag([0.7, 0.7, 3.0]), (20, 60, 110))
        even = evened(labels)
        both = even.array > 0
        closed = ndimage.binary_closing(both, iterations=2)
        assert (closed & ~both).sum() < 0.002 * both.sum()

    def test_even_ones_come_back_as_they_are(self):
        labels, _ = self.wedge(np.diag([1.0, 1.0, 1.2]), (30, 30, 60))
        assert evened(labels) is labels
