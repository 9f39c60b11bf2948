"""Lifts from images to volumes: which way each axis runs, and where a bead ends up."""

import dataclasses

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import (
    BiplanarGeometry,
    View,
    backproject,
    crop_view,
    cube_affine,
    lift,
    replicate,
    transform_points,
)

N = 32
#: Beams so nearly parallel, with pixels of a voxel, that replication is exact.
PARALLEL = View(0.0, 0.0, 1e7, 1e7 + 1, 1.0, N, N)


def bead_image(view, point_ras_mm, sigma_px=1.5):
    """(H, W) Gaussian spot at the projection of a point."""
    (u0, v0), _ = view.project(point_ras_mm)
    u, v = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    return torch.as_tensor(np.exp(-((u - u0) ** 2 + (v - v0) ** 2) / (2 * sigma_px**2)))


def peak(volume):
    """(i, j, k) of the largest voxel."""
    k, j, i = np.unravel_index(int(volume.argmax()), volume.shape)
    return int(i), int(j), int(k)


@pytest.fixture
def image():
    return torch.rand(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_frontal_replication_voxel_by_voxel(image):
    """The formula of the design: AP out[k, j, i] = image[H-1-k, W-1-i]."""
    volume = replicate(image, PARALLEL, "frontal")
    for k, j, i in [(0, 0, 0), (31, 0, 0), (0, 0, 31), (5, 17, 9)]:
        assert volume[k, j, i] == image[N - 1 - k, N - 1 - i]


def test_lateral_replication_voxel_by_voxel(image):
    """Lateral out[k, j, i] = image[H-1-k, j]."""
    volume = replicate(image, dataclasses.replace(PARALLEL, alpha_deg=90.0), "lateral")
    for k, j, i in [(0, 0, 0), (31, 0, 0), (0, 31, 0), (5, 17, 9)]:
        assert volume[k, j, i] == image[N - 1 - k, j]


@pytest.mark.parametrize(
    ("alpha", "role"),
    [(0, "frontal"), (180, "frontal"), (90, "lateral"), (-90, "lateral")],
    ids=["AP", "PA", "LL", "RL"],
)
def test_both_lifts_agree_when_beams_are_parallel(image, alpha, role):
    view = dataclasses.replace(PARALLEL, alpha_deg=float(alpha))
    flat = replicate(image, view, role)
    torch.testing.assert_close(
        backproject(image, view, cube_affine((0, 0, 0), N, 1.0), (N, N, N)), flat, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("preset", ["default", "c-arm", "long-film"])
@pytest.mark.parametrize("angle", [60, 90, 140])
@pytest.mark.parametrize("isocentre", [(0.0, 0.0, 0.0), (12.0, -18.0, 200.0)], ids=["central", "vertebra off-centre"])
def test_backprojected_bead_peaks_at_its_voxel(preset, angle, isocentre):
    geometry = BiplanarGeometry.from_preset(preset, angle_deg=angle, iso_pixel_mm=0.5, height=1000, width=400)
    affine = cube_affine(isocentre, N, 2.0)
    ijk = (25, 6, 20)
    point = transform_points(affine, ijk)
    spots = torch.stack([bead_image(view, point, 3.0) for view in geometry.views])
    assert peak(lift("backproject", spots, geometry.views, affine, N).prod(0)) == ijk


def test_bead_in_crops_far_from_the_central_ray_peaks_at_its_voxel():
    geometry = BiplanarGeometry.from_preset("c-arm", iso_pixel_mm=0.5, height=1000, width=400)
    centre = (10.0, -15.0, 200.0)
    crops = [crop_view(view, centre, 64, 1.5) for view in geometry.views]
    affine = cube_affine(centre, N, 2.0)
    for ijk in [(25, 6, 20), (3, 28, 30), (16, 16, 1)]:
        spots = torch.stack([bead_image(view, transform_points(affine, ijk)) for view in crops])
        assert peak(lift("backproject", spots, crops, affine, N).prod(0)) == ijk


def test_backprojection_reads_the_value_where_each_voxel_projects():
    view = View(40.0, 10.0, 530.0, 1020.0, 1.0, 300, 260, (1.0, 2.0, 3.0), (100.0, 170.0))
    v, u = torch.meshgrid(torch.arange(300) + 0.5, torch.arange(260) + 0.5, indexing="ij")
    affine = cube_affine((4.0, -5.0, 6.0), 8, 3.0) @ np.diag([1, 1, 2, 1])
    shape = (4, 8, 6)
    k, j, i = np.indices(shape)
    pixels, _ = view.project(transform_points(affine, np.stack([i, j, k], -1)))
    np.testing.assert_allclose(backproject(u.double(), view, affine, shape), pixels[..., 0], atol=1e-6)
    np.testing.assert_allclose(backproject(v.double(), view, affine, shape), pixels[..., 1], atol=1e-6)


def test_voxels_outside_the_image_get_zero():
    view = View(0.0, 0.0, 1000.0, 1300.0, 1.3, 16, 16)
    volume = backproject(torch.ones(16, 16), view, cube_affine((0, 0, 0), 64, 1.0), (64, 64, 64))
    assert volume[32, 32, 32] == 1
    assert volume[0].abs().max() == 0
    assert volume[:, :, -1].abs().max() == 0


def test_replication_misplaces_a_bead_by_the_stated_error():
    """x d / (SOD - d): 50 mm to the left and 50 mm in front of the isocentre, 2.6 mm at SOD 1000."""
    geometry = BiplanarGeometry.from_preset(iso_pixel_mm=1.0)
    affine = cube_affine((0, 0, 0), 128, 1.0)
    point = transform_points(affine, (13.5, 113.5, 63.5))
    spots = torch.stack([bead_image(view, point) for view in geometry.views])
    profile = lift("replicate", spots, geometry.views, affine, 128)[0, 64, 64]
    centroid_i = float((profile * torch.arange(128)).sum() / profile.sum())
    assert 13.5 - centroid_i == pytest.approx(50 * 50 / (1000 - 50), abs=0.01)


def test_lift_stacks_frontal_first():
    geometry = BiplanarGeometry.from_preset(height=N, width=N)
    images = torch.stack([torch.ones(N, N), torch.full((N, N), 2.0)])
    affine = cube_affine((0, 0, 0), N, 0.9)
    for kind in ("replicate", "backproject"):
        volume = lift(kind, images, geometry.views, affine, N)
        assert volume.shape == (2, N, N, N)
        assert [float(channel[N // 2, N // 2, N // 2]) for channel in volume] == [1, 2]


def test_lifts_let_gradients_through(image):
    geometry = BiplanarGeometry.from_preset(height=N, width=N)
    images = torch.stack([image, image]).requires_grad_()
    lift("backproject", images, geometry.views, cube_affine((0, 0, 0), N, 1.0), N).sum().backward()
    assert images.grad is not None
    assert (images.grad[:, N // 2, N // 2] > 0).all()


def test_unknown_lifts_and_wrong_sizes_are_refused(image):
    geometry = BiplanarGeometry.from_preset(height=N, width=N)
    images = torch.stack([image, image])
    affine = cube_affine((0, 0, 0), N, 1.0)
    with pytest.raises(ValueError, match="smear"):
        lift("smear", images, geometry.views, affine, N)
    with pytest.raises(ValueError, match="replication"):
        lift("replicate", images, geometry.views, affine, N + 1)
