"""How far off a reconstruction may be, mm: how much it depends on what it should not depend on, calibrated.

A network is asked several times, each time with the vertebra seen in another way that must not matter (``variants``).
Where the answers differ, it is not sure. The spread of the answers' signed distances, voxel by voxel, says where;
a calibration, measured on people that the model was not trained on, turns it into the error to expect there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .distance import signed_distances
from .errors import ReferenceSurfaceError
from .geometry.frames import Affine, inverse, transform_points
from .surface import isosurface, points_of
from .volume_io import largest_piece

#: Name of the point array that carries the expected error, in mm.
EXPECTED_ERROR = "ExpectedError"

#: Distances count up to this, mm: an answer that shows no bone is so far away.
FAR_MM = 20.0

#: (spread, expected error) in mm at which a calibration is known, both rising; between them it is linear.
Calibration = tuple[tuple[float, float], ...]


def spread(volumes: Sequence[NDArray[np.float32]], ras_from_ijk: Affine, threshold: float) -> NDArray[np.float32]:
    """The answers' spread around the surface of the first one: (k, j, i), mm; 0 where there is no surface near.

    volumes: (k, j, i) each, on one grid, bone above the threshold. The spread of a voxel is the standard deviation of
    its signed distances to their surfaces. Known at all voxels that an interpolation on the first surface needs.
    """
    out = np.zeros(volumes[0].shape, np.float32)
    bone = largest_piece(volumes[0] > threshold)
    cube = np.ones((3, 3, 3))
    near = ndimage.binary_dilation(bone, cube) & ~ndimage.binary_erosion(bone, cube)
    if not near.any():
        return out
    points = transform_points(ras_from_ijk, np.argwhere(near)[:, ::-1])
    out[near] = np.std([_distances(points, volume, ras_from_ijk, threshold) for volume in volumes], axis=0, ddof=1)
    return out


def _distances(
    points: NDArray[np.float64], volume: NDArray[np.float32], ras_from_ijk: Affine, threshold: float
) -> NDArray[np.float64]:
    try:
        surface = isosurface(volume, ras_from_ijk, threshold)
    except ReferenceSurfaceError:
        return np.full(len(points), FAR_MM)
    return np.clip(signed_distances(points, surface), -FAR_MM, FAR_MM)


def calibrated(spread_mm: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """The error to expect where a spread is greater than 0, mm; 0 elsewhere, where nothing is known."""
    known, expected = np.transpose(calibration)
    return np.where(spread_mm > 0, np.interp(spread_mm, known, expected), 0).astype(np.float32)


def at_points(
    values: NDArray[np.float32], ras_from_ijk: Affine, points_ras_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Values (k, j, i) of voxels at points (N, 3), interpolated linearly; at the border they go on."""
    ijk = transform_points(inverse(ras_from_ijk), points_ras_mm)
    found: NDArray[np.float32] = ndimage.map_coordinates(values, ijk.T[::-1], order=1, mode="nearest")
    return found


def with_expected_errors(surface: vtkPolyData, expected_mm: NDArray[np.float32], ras_from_ijk: Affine) -> vtkPolyData:
    """A copy of a surface with the point array "ExpectedError" (mm); its active scalars stay as they are."""
    marked = vtkPolyData()
    marked.DeepCopy(surface)
    array = numpy_to_vtk(at_points(expected_mm, ras_from_ijk, points_of(surface)), deep=True)
    array.SetName(EXPECTED_ERROR)
    marked.GetPointData().AddArray(array)
    return marked
