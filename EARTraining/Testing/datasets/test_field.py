"""Fields: where their voxels and windows lie, and what lands in them."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import View, lift, transform_points, voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.field import PITCH_MM, area_mean, cube, paper
from EARTrainingLib.projection import ACQUISITIONS, project
from scipy import ndimage

LOW, HIGH = np.array([-20.0, 30.0, 100.0]), np.array([31.0, 95.0, 127.4])
CENTRE = (LOW + HIGH) / 2
TURN = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
GRIDS = {
    "fine": np.diag([0.6, 0.7, 0.8]),
    "much finer": np.diag([0.6, -0.4, 1.0]),
    "thick, permuted": np.array([[0, 0, 3.0], [-0.9, 0, 0], [0, 0.9, 0]]),
    "oblique": TURN @ np.diag([0.8, 1.0, 1.2]),
}
FIELDS = {"cube": lambda: cube(LOW, HIGH, 48, 1.5), "paper": lambda: paper(LOW, HIGH, 40, 6.0)}


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def around(axes, reach=36.0):
    """A source grid around the box's centre, which is no voxel's centre."""
    counts = np.ceil(2 * reach / np.linalg.norm(axes, axis=0)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = CENTRE - axes @ ((counts - 1) / 2) + (0.21, -0.13, 0.32)
    return affine, tuple(int(n) for n in counts[::-1])


class TestGrid:
    def test_a_cube_is_centred_on_the_box(self):
        field = cube(LOW, HIGH, 48, 1.5)
        np.testing.assert_allclose(np.diag(field.ras_from_ijk), (1.5, 1.5, 1.5, 1))
        np.testing.assert_allclose(field.ras_from_ijk[:3, 3], CENTRE - 1.5 * 47 / 2)
        np.testing.assert_allclose(field.centre_ras_mm, CENTRE)
        assert field.shape == (48, 48, 48)

    def test_a_box_larger_than_the_cube_has_none(self):
        assert cube(LOW, HIGH, 44, 1.5) is not None  # 66 mm
        assert cube(LOW, HIGH, 43, 1.5) is None  # 64.5 mm, the box has 65

    def test_a_paper_field_spans_box_and_margin(self):
        field = paper(LOW, HIGH, 40, 6.0)
        spacing = voxel_sizes_mm(field.ras_from_ijk)
        np.testing.assert_allclose(spacing * 40, (63.0, 77.0, 39.5))  # 27.4 + 12 up to the next half millimetre
        first, last = (transform_points(field.ras_from_ijk, [n] * 3) for n in (-0.5, 39.5))
        np.testing.assert_allclose((first + last) / 2, CENTRE)
        assert (first <= LOW - 6 + 1e-9).all()
        assert (last >= HIGH + 6 - 1e-9).all()

    def test_lengths_that_fit_the_pitch_stay(self):
        np.testing.assert_allclose(voxel_sizes_mm(paper((0, 0, 0), (30, 20, 10.5), 10, 0).ras_from_ijk), (3, 2, 1.05))


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("name", GRIDS)
class TestResampling:
    def test_densities_land_at_their_millimetres(self, kind, name):
        affine, shape = around(GRIDS[name])
        field = FIELDS[kind]()
        slope = (3.0, -5.0, 8.0)
        hu = Volume((points(affine, shape) - CENTRE) @ slope, affine)
        found = field.densities(hu)
        assert found.shape == field.shape
        where = points(field.ras_from_ijk, field.shape)
        ijk = transform_points(np.linalg.inv(affine), where)
        inner = ((ijk > 3) & (ijk < np.array(shape[::-1]) - 4)).all(-1)
        assert inner.mean() > 0.3
        np.testing.assert_allclose(found[inner], ((where - CENTRE) @ slope)[inner], atol=0.05)

    def test_a_mask_lands_at_its_millimetres(self, kind, name):
        affine, shape = around(GRIDS[name])
        field = FIELDS[kind]()

        def bone(where):  # a body, a process to the left, one to the back: no mirror leaves it alone
            at = where - CENTRE
            parts = (((0, 0, 0), (15, 12, 9)), ((-18, -4, 2), (10, 5, 5)), ((0, -18, -4), (5, 12, 6)))
            return np.any([(((at - middle) / half) ** 2).sum(-1) < 1 for middle, half in parts], 0)

        found = field.inside(bone(points(affine, shape)), affine)
        where = points(field.ras_from_ijk, field.shape)
        truth = bone(where)
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.94
        np.testing.assert_allclose(where[found].mean(0), where[truth].mean(0), atol=0.12 * voxel_sizes_mm(affine).max())
        assert found.sum() == pytest.approx(truth.sum(), rel=0.06)


def test_beyond_the_ct_there_is_air():
    field = cube(LOW, HIGH, 48, 1.5)
    affine, shape = around(np.eye(3), 20)
    found = field.densities(Volume(np.full(shape, 500, np.int16), affine))
    assert found[0, 0, 0] == -1000
    assert found[24, 24, 24] == 500


def test_fine_slices_between_the_field_s_are_averaged():
    """Stripes finer than the field become their mean instead of a moire."""
    affine, shape = around(np.diag([0.25, 1.0, 1.0]), 40)
    stripes = np.zeros(shape, np.int16)
    stripes[..., ::2] = 1000
    found = cube(LOW, HIGH, 44, 1.5).densities(Volume(stripes, affine))
    assert np.abs(found[20:24, 20:24, 10:34] - 500).max() < 60


def exposure(seed=0, name="ours"):
    return ACQUISITIONS[name].draw(np.random.default_rng(seed), CENTRE)


class TestWindows:
    @pytest.mark.parametrize("seed", range(3))
    def test_of_a_cube(self, seed):
        field, views = cube(LOW, HIGH, 48, 1.5), exposure(seed).views
        for window, view in zip(field.windows(views), views, strict=True):
            assert (window.height, window.width) == (48, 48)
            (u, v), depth = window.project(CENTRE)
            np.testing.assert_allclose((u, v), (24, 24), atol=1e-9)
            assert window.pixel_mm * depth / window.sdd_mm == pytest.approx(1.5)
            np.testing.assert_allclose(window.source_ras_mm, view.source_ras_mm)

    @pytest.mark.parametrize("seed", range(3))
    def test_of_a_paper_field(self, seed):
        field, views = paper(LOW, HIGH, 40, 6.0), exposure(seed).views
        for window, view, width in zip(field.windows(views), views, (63.0, 77.0), strict=True):
            assert (window.height, window.width) == (79, width / PITCH_MM)
            (u, v), depth = window.project(CENTRE)
            np.testing.assert_allclose((u, v), (window.width / 2, window.height / 2), atol=1e-9)
            assert window.pixel_mm * depth / window.sdd_mm == pytest.approx(PITCH_MM)
            np.testing.assert_allclose(window.source_ras_mm, view.source_ras_mm)

    def test_replicated_paper_images_meet_at_a_bead_s_voxel(self):
        field = paper(LOW, HIGH, 40, 6.0)
        bead = np.add(CENTRE, (11.0, -14.0, 6.0))
        affine, shape = around(np.diag([1.0] * 3), 32)
        blob = np.exp(-((points(affine, shape) - bead) ** 2).sum(-1) / (2 * 3.0**2)).astype(np.float32)
        far = [View(alpha, 0, 1e5, 1.3e5, 1.0, 2, 2, tuple(CENTRE)) for alpha in (0.0, 90.0)]  # parallel, nearly
        windows = field.windows(far)
        images = field.images([project(torch.from_numpy(blob)[None], affine, [w])[0] for w in windows])
        lifted = lift("replicate", torch.from_numpy(images[:, 0]), windows, field.ras_from_ijk, 40)
        both = (lifted[0] * lifted[1]).numpy()
        peak = ndimage.center_of_mass(both)[::-1]
        np.testing.assert_allclose(transform_points(field.ras_from_ijk, peak), bead, atol=0.02)


class TestAreaMean:
    def test_parts_of_pixels_count_by_their_share(self):
        image = torch.arange(5.0)[None].expand(4, 5)
        np.testing.assert_allclose(area_mean(image, 2), [[(0 + 1 + 0.5 * 2) / 2.5, (0.5 * 2 + 3 + 4) / 2.5]] * 2)

    def test_enlarged_pixels_repeat(self):
        np.testing.assert_allclose(area_mean(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), 4)[0], (1, 1, 3, 3))

    def test_the_mean_stays(self):
        image = torch.rand(3, 53, 71, generator=torch.Generator().manual_seed(0))
        np.testing.assert_allclose(area_mean(image, 32).mean((1, 2)), image.mean((1, 2)), atol=1e-5)
