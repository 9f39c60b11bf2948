"""The ray-marcher against analytic integrals, an independent projector, and itself on other grids."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import LPS_FROM_RAS, View, backproject, crop_view, cube_affine, transform_points
from EARTrainingLib.projection import crop_to_content, line_integrals, project, raymarcher
from scipy.spatial.transform import Rotation

#: Pixels of 0.75 mm at the isocentre. At exactly one voxel they would beat with the grid: rays sample pixel centres.
AP = View(0.0, 0.0, 1000.0, 1300.0, 0.75 * 1.3, 200, 180)
C_ARM = dataclasses.replace(AP, sod_mm=530.0, sdd_mm=1020.0, pixel_mm=0.75 * 1020 / 530)
BEAD = (26.3, -23.7, 11.2)
PLAIN = cube_affine((0, 0, 0), 96, 1.0)
VIEWS = {
    "AP": AP,
    "lateral": dataclasses.replace(AP, alpha_deg=90.0),
    "oblique": dataclasses.replace(AP, alpha_deg=40.0, beta_deg=10.0),
    "45 degrees": dataclasses.replace(AP, alpha_deg=45.0, beta_deg=35.0),
    "PA": dataclasses.replace(AP, alpha_deg=180.0, beta_deg=-15.0),
    "C-arm AP": C_ARM,
    "C-arm lateral": dataclasses.replace(C_ARM, alpha_deg=90.0),
    "C-arm oblique": dataclasses.replace(C_ARM, alpha_deg=40.0, beta_deg=10.0),
    "off-centre": dataclasses.replace(AP, isocentre_ras_mm=(-10.0, 5.0, -200.0), principal_point=(95.0, 360.0)),
    "crop": crop_view(dataclasses.replace(C_ARM, isocentre_ras_mm=(0.0, 30.0, -150.0)), (20.0, -20.0, 15.0), 150, 0.7),
}
any_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())

devices = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))],
)


def blobs(points_ras_mm):
    """Three overlapping smooth blobs of unlike size and strength, as a function of RAS mm (..., 3)."""
    total = np.zeros(points_ras_mm.shape[:-1])
    for centre, sigma, height in [(BEAD, 5.0, 1.0), ((-12.0, 8.0, -15.0), 7.0, 0.5), ((5.0, 20.0, 18.0), 4.0, 1.5)]:
        total += height * np.exp(-((points_ras_mm - np.asarray(centre)) ** 2).sum(-1) / (2 * sigma**2))
    return np.where(total > 1e-5, total, 0)


def sampled(function, ras_from_ijk, shape):
    """(1, D, H, W) samples of a function of RAS mm at voxel centres."""
    k, j, i = np.indices(shape)
    values = function(transform_points(ras_from_ijk, np.stack([i, j, k], -1)))
    return torch.as_tensor(values, dtype=torch.float32)[None]


@pytest.fixture(scope="module")
def plain_blobs():
    """(1, 96, 96, 96) of the blobs on PLAIN."""
    return sampled(blobs, PLAIN, (96,) * 3)


def gaussian_bead(points_ras_mm):
    return np.exp(-((points_ras_mm - np.asarray(BEAD)) ** 2).sum(-1) / (2 * 1.5**2))


def centroid(image):
    """(u, v) of an image's centre of mass, pixel-edge coordinates."""
    image = image.double().cpu().numpy()
    u, v = np.arange(image.shape[1]) + 0.5, np.arange(image.shape[0]) + 0.5
    return np.array([image.sum(0) @ u, image.sum(1) @ v]) / image.sum()


@cache
def ball(centre, radius_mm, size=128, supersampling=4):
    """(1, N, N, N) share of each 1 mm voxel that a ball fills."""
    offsets = (np.arange(supersampling) - (supersampling - 1) / 2) / supersampling
    axis = torch.as_tensor((np.arange(size)[:, None] - (size - 1) / 2 + offsets).ravel())
    r, a, s = ((axis - c) ** 2 for c in centre)
    inside = (s[:, None, None] + a[:, None] + r < radius_mm**2).float()
    return torch.nn.functional.avg_pool3d(inside[None], supersampling)


def chords(view, centre, radius_mm):
    """(H, W) length in mm of each ray inside a ball."""
    to_source = view.source_ras_mm - np.asarray(centre)
    along = view.rays() @ to_source
    return 2 * np.sqrt(np.clip(along**2 - (to_source @ to_source - radius_mm**2), 0, None))


@any_view
@devices
def test_a_bead_lands_where_it_projects(view, device):
    volume = sampled(gaussian_bead, PLAIN, (96,) * 3).to(device)
    volume[0, 0, 0, 0] = 1e-6  # keeps the empty borders, in whose middle a bead would hide errors of scale
    image = line_integrals(volume, PLAIN, view)[0]
    assert np.abs(centroid(image) - view.project(BEAD)[0]).max() < 0.02


def test_both_images_of_a_bead_lifted_and_multiplied_peak_at_its_voxel():
    affine = cube_affine((0, 0, 0), 64, 1.5)
    ijk = (47, 18, 40)
    volume = torch.zeros(1, 64, 64, 64)
    volume[0, ijk[2], ijk[1], ijk[0]] = 1
    for pair in [("AP", "lateral"), ("C-arm AP", "C-arm lateral"), ("oblique", "lateral"), ("45 degrees", "C-arm AP")]:
        lifted = [
            backproject(line_integrals(volume, affine, VIEWS[name])[0], VIEWS[name], affine, (64,) * 3) for name in pair
        ]
        k, j, i = np.unravel_index(int((lifted[0] * lifted[1]).argmax()), (64,) * 3)
        assert (i, j, k) == ijk


@pytest.mark.parametrize("name", ["AP", "lateral", "oblique", "45 degrees", "C-arm AP", "C-arm oblique"])
def test_chords_of_a_ball(name):
    view = VIEWS[name]
    centre, radius_mm = (6.0, -9.0, 4.0), 35.0
    image = line_integrals(ball(centre, radius_mm), cube_affine((0, 0, 0), 128, 1.0), view)[0].double().numpy()
    expected = chords(view, centre, radius_mm)
    assert np.abs(image - expected)[expected > 1].mean() < 0.2
    assert image.sum() == pytest.approx(expected.sum(), rel=1e-3)


def test_a_fan_wider_than_any_axis():
    """Two beads, one almost along R and one almost along A of the source: planes of one axis would miss either."""
    view = View(45.0, 0.0, 100.0, 150.0, 0.5, 30, 540)
    sigma = 1.5
    beads = [view.source_ras_mm - 115 * np.array([np.cos(a), np.sin(a), 0]) for a in np.radians([7, 83])]
    affine = np.eye(4)
    affine[:3, 3] = view.source_ras_mm - (125, 125, 10)
    volume = sampled(
        lambda x: sum(np.exp(-((x - bead) ** 2).sum(-1) / (2 * sigma**2)) for bead in beads), affine, (21, 118, 118)
    )
    image = line_integrals(volume, affine, view)[0]
    for bead in beads:
        u, v = view.project(bead)[0].astype(int)
        assert float(image[v, u]) == pytest.approx(sigma * np.sqrt(2 * np.pi), rel=0.1)


def test_a_slab_is_measured_in_millimetres_and_channels_keep_apart():
    """40 voxels of 1.5 mm along the beam; beyond the outermost centres the volume fades within one voxel."""
    volume = torch.ones(2, 30, 40, 50)
    volume[1] = 2.5
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    affine[:3, 3] = -np.array([1.0, 1.5, 2.0]) * (np.array([50, 40, 30]) - 1) / 2
    view = View(0.0, 0.0, 1000.0, 1300.0, 0.1, 1, 1)
    torch.testing.assert_close(line_integrals(volume, affine, view).flatten(), torch.tensor([60.0, 150.0]))


@pytest.mark.parametrize("name", ["AP", "lateral", "oblique", "C-arm lateral", "off-centre", "crop"])
def test_it_agrees_with_nanodrr(name, plain_blobs):
    """An independent projector: trilinear samples along the ray instead of planes."""
    pytest.importorskip("nanodrr")
    from nanodrr.data import Subject
    from nanodrr.drr import render

    view = VIEWS[name]
    matrix = torch.as_tensor(PLAIN, dtype=torch.float32)
    subject = Subject(
        plain_blobs[None],
        torch.zeros_like(plain_blobs[None]),
        matrix,
        matrix.inverse(),
        Subject._make_voxel_to_grid(plain_blobs[None].shape),
        torch.zeros(3),
        max_label=0,
        convert_to_mu=False,
    )
    oracle = render(
        subject,
        torch.as_tensor(np.linalg.inv(view.K), dtype=torch.float32)[None],
        torch.as_tensor(np.linalg.inv(view.camera_from_ras), dtype=torch.float32)[None],
        torch.tensor([view.sdd_mm]),
        view.height,
        view.width,
        n_samples=200,
        backend="torch",
    )[0, 0]
    image = line_integrals(plain_blobs, PLAIN, view)[0]
    assert image.max() > 10
    assert (image - oracle).abs().max() < 0.01 * oracle.max()


GRIDS = {
    "LPS": (LPS_FROM_RAS @ cube_affine((0, 0, 0), 96, 1.0), (96, 96, 96), 1e-5),
    "first axis superior": (cube_affine((0, 0, 0), 96, 1.0)[:, [2, 0, 1, 3]], (96, 96, 96), 1e-5),
    "thick slices": (
        np.array([[0.8, 0, 0, -51.6], [0, 0.8, 0, -51.6], [0, 0, 1.5, -49.5], [0, 0, 0, 1.0]]),
        (67, 130, 130),
        0.02,
    ),
    "rotated": (
        np.block([[Rotation.from_euler("zx", [30, 20], True).as_matrix(), np.zeros((3, 1))], [np.zeros(3), 1.0]])
        @ cube_affine((0, 0, 0), 124, 1.0),
        (124, 124, 124),
        0.01,
    ),
}


@pytest.mark.parametrize(("affine", "shape", "tolerance"), GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("name", ["AP", "oblique", "C-arm lateral"])
def test_the_image_does_not_depend_on_the_grid(affine, shape, tolerance, name, plain_blobs):
    """The same object on an axis-aligned RAS grid and on another: mirrored and permuted exactly, others closely."""
    expected = line_integrals(plain_blobs, PLAIN, VIEWS[name])
    image = line_integrals(sampled(blobs, affine, shape), affine, VIEWS[name])
    assert (image - expected).abs().max() < tolerance * expected.max()


@devices
def test_gradient_against_finite_differences(device):
    """Also of empty voxels, at the border and when rays are integrated along different axes."""
    volume = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    volume[:, :, :, 3:] = 0
    affine = cube_affine((0, 0, 0), 1, 2.0)
    affine[:3, 3] = (-4, -3, -2)
    view = View(44.0, 5.0, 60.0, 90.0, 6.0, 4, 5)
    torch.autograd.gradcheck(
        lambda v: line_integrals(v, affine, view), volume.to(device).requires_grad_(), nondet_tol=1e-9
    )


@devices
def test_float64_and_float32_agree(device, plain_blobs):
    volume = plain_blobs.to(device)
    single = line_integrals(volume, PLAIN, VIEWS["oblique"])
    double = line_integrals(volume.double(), PLAIN, VIEWS["oblique"])
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, atol=1e-3 * float(double.max()), rtol=0)


@any_view
def test_rays_that_miss_give_exactly_zero(view):
    affine = cube_affine((0, 0, 0), 48, 1.0)
    image = line_integrals(torch.ones(1, 48, 48, 48), affine, view)[0].numpy()
    corners = transform_points(affine, np.indices((2, 2, 2)).reshape(3, -1).T * 49.0 - 1)
    low, high = corners.min(0), corners.max(0)  # the box where the volume is not 0
    with np.errstate(divide="ignore"):
        to_walls = (np.stack([low, high]) - view.source_ras_mm)[:, None, None] / view.rays()
    inside_mm = to_walls.max(0).min(-1) - to_walls.min(0).max(-1)
    assert (image[inside_mm < -1e-6] == 0).all()
    assert (image[inside_mm > 3] > 0).all()


def test_a_volume_beside_the_detector_is_not_seen():
    affine = cube_affine((500, 0, 0), 16, 1.0)
    assert (line_integrals(torch.ones(1, 16, 16, 16), affine, AP) == 0).all()


@pytest.mark.parametrize("volume", [torch.zeros(2, 8, 8, 8), torch.zeros(2, 0, 8, 8)], ids=["zeros", "no voxels"])
def test_an_empty_volume_gives_an_empty_image(volume):
    image = line_integrals(volume, cube_affine((0, 0, 0), 8, 1.0), AP)
    assert image.shape == (2, AP.height, AP.width)
    assert (image == 0).all()


def test_a_volume_around_the_source_is_refused():
    with pytest.raises(GeometryError, match="behind the X-ray source"):
        line_integrals(torch.ones(1, 8, 8, 8), cube_affine(AP.source_ras_mm, 8, 1.0), AP)


def test_empty_borders_change_nothing():
    affine = cube_affine((0, 0, 0), 60, 1.0)
    volume = torch.zeros(2, 60, 60, 60)
    volume[0, 20:30, 10:50, 12:40] = 1
    volume[1, 25:35, 30:40, 12:41] = 2
    cropped, cropped_affine = crop_to_content(volume, affine)
    assert cropped.shape == (2, 15, 40, 29)
    np.testing.assert_allclose(cropped_affine[:3, 3], transform_points(affine, (12, 10, 20)))
    assert affine[0, 3] == -29.5
    uncropped = line_integrals(volume.clone().requires_grad_(), affine, VIEWS["oblique"]).detach()
    torch.testing.assert_close(line_integrals(volume, affine, VIEWS["oblique"]), uncropped, atol=1e-3, rtol=1e-5)


def test_chunks_change_nothing(monkeypatch, plain_blobs):
    whole = line_integrals(plain_blobs, PLAIN, VIEWS["oblique"])
    monkeypatch.setattr(raymarcher, "SAMPLES_PER_CHUNK", 7 * AP.height * AP.width)
    torch.testing.assert_close(line_integrals(plain_blobs, PLAIN, VIEWS["oblique"]), whole)


def test_several_views_are_stacked(plain_blobs):
    volume = torch.cat([plain_blobs, plain_blobs.flip(-1)])
    views = [VIEWS["AP"], VIEWS["C-arm oblique"]]
    images = project(volume, PLAIN, views)
    assert images.shape == (2, 2, AP.height, AP.width)
    for image, view in zip(images, views, strict=True):
        torch.testing.assert_close(image, line_integrals(volume, PLAIN, view))
