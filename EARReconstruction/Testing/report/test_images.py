"""Pixels that come back as they went in."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.report.images import data_uri, grey, png


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_png_holds_the_pixels(tmp_path, shape) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (tmp_path / "p.png").write_bytes(png(pixels))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p.png"))), pixels)
    kind, data = data_uri(pixels).split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == png(pixels)


def test_grey_is_bright_where_the_image_is_high_and_small_enough() -> None:
    image = np.tile(np.linspace(-3, 5, 200, dtype=np.float32), (100, 1))
    pixels = grey(image, 50)
    assert pixels.shape == (25, 50)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0] == 0
    assert pixels[0, -1] == 255
    assert (np.diff(pixels[0].astype(int)) >= 0).all()
    assert grey(image, 1000).shape == image.shape


def test_a_nearly_constant_image_is_no_error() -> None:
    image = np.ones((20, 20), np.float32)
    image[3, 3] = 2
    assert grey(image, 50).max() < 255 or grey(image, 50).min() == 0
