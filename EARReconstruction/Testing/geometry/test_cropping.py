"""Cutting one vertebra out of a full radiograph: geometry, antialiasing, coverage."""

import dataclasses

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import View, crop_image, crop_view
from hypothesis import given
from hypothesis import strategies as st

LONG_FILM = View(0.0, 0.0, 1500.0, 1800.0, 0.4, 1000, 800)
VIEWS = {
    "AP": LONG_FILM,
    "lateral": dataclasses.replace(LONG_FILM, alpha_deg=90.0),
    "oblique": dataclasses.replace(LONG_FILM, alpha_deg=40.0, beta_deg=10.0),
    "off-centre": dataclasses.replace(LONG_FILM, principal_point=(300.0, 720.0), isocentre_ras_mm=(5.0, 6.0, -40.0)),
}
CENTRE = (12.0, -30.0, 85.0)

any_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
coordinate = st.floats(-100, 100)


def column_numbers(view):
    """An image whose value is the u coordinate of each pixel's centre, and one of v."""
    v, u = torch.meshgrid(torch.arange(view.height) + 0.5, torch.arange(view.width) + 0.5, indexing="ij")
    return torch.stack([u, v]).double()


@any_view
def test_the_centre_of_the_roi_is_the_centre_of_the_crop(view):
    pixel, _ = crop_view(view, CENTRE, 64, 1.5).project(CENTRE)
    np.testing.assert_allclose(pixel, (32, 32), atol=1e-6)


@any_view
def test_a_crop_pixel_has_its_size_in_the_plane_of_the_roi(view):
    crop = crop_view(view, CENTRE, 64, 1.5)
    right, down = view.camera_from_ras[0, :3], view.camera_from_ras[1, :3]
    np.testing.assert_allclose(crop.project(CENTRE + 15 * right + 6 * down)[0], (32 + 10, 32 + 4), atol=1e-6)


@given(
    st.sampled_from(sorted(VIEWS)),
    st.tuples(coordinate, coordinate, coordinate),
    st.integers(1, 200),
    st.floats(0.1, 3),
)
def test_a_crop_is_a_window_of_the_same_detector(name, centre, size, spacing):
    """Same source, same rays: every pixel of the crop looks along the ray of its place in the full image."""
    view = VIEWS[name]
    crop = crop_view(view, centre, size, spacing)
    np.testing.assert_array_equal(crop.camera_from_ras, view.camera_from_ras)
    scale = crop.pixel_mm / view.pixel_mm
    offset = view.K[:2, 2] - scale * crop.K[:2, 2]
    points = np.array([(0.0, 0.0, 0.0), (40.0, 60.0, -80.0), (-90.0, 10.0, 30.0)])
    np.testing.assert_allclose(crop.project(points)[0] * scale + offset, view.project(points)[0], atol=1e-6)


def test_cropping_a_crop_is_cropping_the_image():
    once = crop_view(LONG_FILM, CENTRE, 64, 1.5)
    twice = crop_view(crop_view(LONG_FILM, (0, 0, 50), 200, 0.7), CENTRE, 64, 1.5)
    np.testing.assert_allclose(twice.P, once.P, atol=1e-6)


@pytest.mark.parametrize("behind", [(0, 1501, 0), (0, -301, 0)], ids=["source", "detector"])
def test_a_roi_that_is_not_between_source_and_detector_is_refused(behind):
    with pytest.raises(GeometryError, match="not between source and detector"):
        crop_view(LONG_FILM, behind, 64, 1.5)


@any_view
@pytest.mark.parametrize("spacing", [0.2, 0.8, 1.5])
def test_crop_pixels_take_the_image_where_they_lie(view, spacing):
    """Half a pixel of shift, a flip or a transposition shows in these coordinates."""
    crop = crop_view(view, CENTRE, 48, spacing)
    cut, coverage = crop_image(column_numbers(view), view, crop)
    offset = view.K[:2, 2] - crop.K[:2, 2] * crop.pixel_mm / view.pixel_mm
    expected = column_numbers(crop) * crop.pixel_mm / view.pixel_mm + torch.as_tensor(offset)[:, None, None]
    torch.testing.assert_close(cut, expected, atol=1e-6, rtol=0)
    assert coverage == 1


def test_a_crop_at_the_images_own_pixels_copies_them():
    image = torch.rand(LONG_FILM.height, LONG_FILM.width, dtype=torch.float64)
    crop = dataclasses.replace(LONG_FILM, height=50, width=60, principal_point=(400 - 123, 500 - 234))
    cut, _ = crop_image(image, LONG_FILM, crop)
    torch.testing.assert_close(cut, image[234:284, 123:183], atol=1e-9, rtol=0)


def test_fine_stripes_become_their_mean():
    """Every second column bright: point samples would be anything from 0 to 1, or moire."""
    stripes = torch.zeros(LONG_FILM.height, LONG_FILM.width)
    stripes[:, ::2] = 1
    cut, _ = crop_image(stripes, LONG_FILM, crop_view(LONG_FILM, CENTRE, 64, 2.0))
    assert (cut - 0.5).abs().max() < 0.06


def test_a_crop_keeps_the_mean_of_noise():
    noise = torch.rand(LONG_FILM.height, LONG_FILM.width, generator=torch.Generator().manual_seed(0))
    cut, _ = crop_image(noise, LONG_FILM, crop_view(LONG_FILM, CENTRE, 64, 2.0))
    assert cut.mean() == pytest.approx(0.5, abs=0.01)
    assert cut.std() < 0.4 * noise.std()


@pytest.mark.parametrize(
    ("column", "row", "share"),
    [
        (32, 40, 1.0),
        (-32, 40, 0.5),
        (-48, 40, 0.25),
        (-64, 40, 0.0),
        (768, 40, 0.5),
        (32, -32, 0.5),
        (32, 984, 0.25),
        (-32, -32, 0.25),
    ],
)
def test_coverage_is_the_share_inside_the_image(column, row, share):
    crop = dataclasses.replace(LONG_FILM, height=64, width=64, principal_point=(400.0 - column, 500.0 - row))
    _, coverage = crop_image(torch.zeros(LONG_FILM.height, LONG_FILM.width), LONG_FILM, crop)
    assert coverage == pytest.approx(share)


def test_outside_the_image_its_border_continues():
    image = column_numbers(LONG_FILM)
    crop = dataclasses.replace(LONG_FILM, height=64, width=64, principal_point=(400 + 100.0, 100.0))
    cut, coverage = crop_image(image, LONG_FILM, crop)
    assert coverage == 0
    torch.testing.assert_close(cut[0], torch.full((64, 64), 0.5, dtype=torch.float64))


def test_leading_dimensions_and_dtype_are_kept():
    crop = crop_view(LONG_FILM, CENTRE, 32, 1.5)
    cut, _ = crop_image(torch.rand(2, 3, LONG_FILM.height, LONG_FILM.width), LONG_FILM, crop)
    assert cut.shape == (2, 3, 32, 32)
    assert cut.dtype == torch.float32
