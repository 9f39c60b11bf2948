"""Pixels as pictures that stand inside a page."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkPNGWriter

#: Percentiles of a radiograph that become black and white.
_WINDOW = (1.0, 99.7)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of grey (H, W) or red, green and blue (H, W, 3) pixels."""
    height, width = pixels.shape[:2]
    image = vtkImageData()
    image.SetDimensions(width, height, 1)
    upwards = np.ascontiguousarray(pixels[::-1]).reshape(height * width, -1)
    image.GetPointData().SetScalars(numpy_to_vtk(upwards, deep=True))
    writer = vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    return bytes(vtk_to_numpy(writer.GetResult()))


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The same as the address of an image."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"


def grey(image: NDArray[np.float32], longest: int) -> NDArray[np.uint8]:
    """An image as grey pixels, bright where it is high. Blocks of pixels are averaged down to about ``longest``."""
    n = max(1, max(image.shape) // longest)
    rows, columns = (size // n for size in image.shape)
    small = image[: rows * n, : columns * n].reshape(rows, n, columns, n).mean((1, 3))
    low, high = np.percentile(small, _WINDOW)
    return np.asarray(255 * np.clip((small - low) / max(high - low, 1e-12), 0, 1), np.uint8)
