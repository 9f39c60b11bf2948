"""X-rays of one vertebra: where things are seen, and what each protocol shows."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.field import cube, paper
from EARTrainingLib.datasets.readers import LoadedScan
from EARTrainingLib.datasets.xrays import beam_corners, take_xrays
from EARTrainingLib.projection import ACQUISITIONS, TorchEngine, material_densities, project
from EARTrainingLib.projection.drr import corners_ras_mm

AXES = {
    "flipped": np.diag([-2.0, -2.0, 2.5]),
    "permuted": np.array([[0, 0, 2.5], [-2.0, 0, 0], [0, 2.0, 0]]),
}
LOW, HIGH = np.array([10.0, -60.0, 40.0]), np.array([66.0, -6.0, 74.0])
CENTRE = (LOW + HIGH) / 2
FIELDS = {"cube": cube(LOW, HIGH, 32, 3.0), "paper": paper(LOW, HIGH, 32, 6.0)}


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def grid(axes, reach=(72, 68, 76)):
    counts = np.ceil(np.abs(np.linalg.inv(axes)) @ (2 * np.array(reach))).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = CENTRE - axes @ ((counts - 1) / 2) + (0.3, -0.2, 0.4)
    return affine, tuple(int(n) for n in counts[::-1])


def scan(axes):
    """Target 22, a neighbour 21 above, soft tissue around both and a rib beside them that has no label."""
    affine, shape = grid(axes)
    at = points(affine, shape) - CENTRE
    labels = np.zeros(shape, np.uint8)
    hu = np.where((np.abs(at) < (66, 62, 70)).all(-1), 40, -1000).astype(np.int16)
    for label, shift in ((22, 0), (21, 36)):
        bone = (np.abs(at - (0, 10, shift)) < (22, 15, 12)).all(-1)
        bone |= (np.abs(at - (-25, 0, shift)) < (6, 4, 4)).all(-1) | (np.abs(at - (0, -16, shift)) < (3, 11, 7)).all(-1)
        labels[bone] = label
    hu[labels > 0] = 400
    hu[(np.abs(at - (35, 0, 0)) < (4, 30, 4)).all(-1)] = 700
    return LoadedScan(Volume(hu, affine), Volume(labels, affine))


def exposure(seed=0):
    return ACQUISITIONS["ours"].draw(np.random.default_rng(seed), CENTRE)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("protocol", ["isolated", "column", "in-situ"])
def test_a_bead_is_seen_where_p_says(kind, name, protocol):
    affine, shape = grid(AXES[name], (50, 45, 40))
    bead = np.add(CENTRE, (13.0, -11.0, 9.0))
    mass = np.exp(-((points(affine, shape) - bead) ** 2).sum(-1) / (2 * 4.0**2))
    # Density is linear in HU above water: 300 HU between two plateaus, so that no threshold bends the bead.
    hu = 600 + 300 * mass
    labels = np.full(shape, 22, np.uint8)
    flat = Volume(np.full(shape, 600, np.float32), affine)
    seen = [
        take_xrays(LoadedScan(v, Volume(labels, affine)), 22, FIELDS[kind], exposure(1), protocol, TorchEngine())
        for v in (Volume(hu.astype(np.float32), affine), flat)
    ]
    for image, window in zip(seen[0].area_density - seen[1].area_density, seen[0].views, strict=True):
        total = image.sum(0)
        v, u = (n + 0.5 for n in np.indices(total.shape))
        found = np.array([(total * u).sum(), (total * v).sum()]) / total.sum()
        (u0, v0), _ = window.project(bead)
        size = FIELDS[kind].size
        np.testing.assert_allclose(found, (u0 * size / window.width, v0 * size / window.height), atol=0.03)


@pytest.mark.parametrize("name", AXES)
class TestProtocols:
    def images(self, name, protocol, acquisition="nominal", change=None):
        loaded = scan(AXES[name])
        if change is not None:
            loaded.hu.array[change(loaded)] = 1200
        exposure = ACQUISITIONS[acquisition].draw(np.random.default_rng(0), CENTRE)
        return take_xrays(loaded, 22, FIELDS["cube"], exposure, protocol, TorchEngine())

    def test_isolated_shows_the_target_alone(self, name):
        found = self.images(name, "isolated")
        loaded = scan(AXES[name])
        alone = np.where(loaded.labels.array == 22, loaded.hu.array, -1000).astype(np.float32)
        truth = project(material_densities(torch.from_numpy(alone)), loaded.hu.ras_from_ijk, found.views)
        np.testing.assert_allclose(found.area_density, truth, atol=2e-3)
        k, j, i = np.nonzero(loaded.labels.array == 22)
        for image, view in zip(found.area_density.sum(1), found.views, strict=True):
            uv, _ = view.project(transform_points(loaded.labels.ras_from_ijk, np.stack([i, j, k], -1)))
            v, u = np.indices(image.shape) + 0.5
            outside = (u < uv[:, 0].min() - 2) | (u > uv[:, 0].max() + 2)
            outside |= (v < uv[:, 1].min() - 2) | (v > uv[:, 1].max() + 2)
            assert outside.mean() > 0.2
            assert (image[outside] == 0).all()

    def test_column_shows_the_neighbours_and_no_tissue(self, name):
        isolated, column = (self.images(name, p).area_density.sum(1) for p in ("isolated", "column"))
        assert column.min() == 0
        np.testing.assert_array_less(isolated - 1e-3, column)
        above = (slice(None), slice(0, 8))  # image rows above the target
        assert (column - isolated)[above].max() > 30
        np.testing.assert_allclose((column - isolated)[:, 16:], 0, atol=1e-3)

    def test_in_situ_shows_all_that_the_ct_holds(self, name):
        found = self.images(name, "in-situ")
        loaded = scan(AXES[name])
        hu = torch.from_numpy(loaded.hu.array.astype(np.float32))
        truth = project(material_densities(hu), loaded.hu.ras_from_ijk, found.views)
        np.testing.assert_allclose(found.area_density, truth, rtol=1e-4, atol=2e-2)
        assert found.area_density[:, 0].min() > 50  # soft tissue behind every pixel

    def test_unlabelled_bone_is_seen_in_situ_only(self, name):
        rib = lambda loaded: loaded.hu.array == 700  # noqa: E731
        for protocol, seen in (("isolated", False), ("column", False), ("in-situ", True)):
            plain, denser = (self.images(name, protocol, change=c).area_density for c in (None, rib))
            assert (np.abs(denser - plain).max() > 1) == seen


@pytest.mark.parametrize("seed", range(4))
def test_the_beam_holds_every_ray(seed):
    affine, shape = grid(AXES["permuted"])
    around = corners_ras_mm(Volume(np.zeros(shape, np.uint8), affine))
    for window in FIELDS["paper"].windows(exposure(seed).views):
        held = beam_corners(window, around)
        _, depth = window.project(around)
        k, j, i = np.indices(shape)[:, ::9, ::9, ::9].reshape(3, -1)
        inside = transform_points(affine, np.stack([i, j, k], -1))
        (u, v), _ = window.project(inside)[0].T, None
        seen = inside[(u > 0) & (u < window.width) & (v > 0) & (v < window.height)]
        assert len(seen) > 20
        assert (seen >= held.min(0) - 1e-6).all()
        assert (seen <= held.max(0) + 1e-6).all()
        np.testing.assert_allclose(np.sort(window.project(held)[1])[[0, -1]], (depth.min(), depth.max()))
