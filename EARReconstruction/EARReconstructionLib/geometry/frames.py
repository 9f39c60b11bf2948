"""Frames and affines: RAS millimetres inside, LPS only at the SimpleITK and DICOM border."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Affine = NDArray[np.float64]

#: RAS <-> LPS, its own inverse.
LPS_FROM_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])

#: A side is named where a direction has at least this component along it (17 degrees): oblique views get two letters.
_NAMED_FROM = 0.3


def side_letters(direction: ArrayLike) -> str:
    """The sides of the body that a RAS direction points to, the main one first, such as "R", "S" or "LA"."""
    vector = np.asarray(direction, float)
    vector = vector / np.linalg.norm(vector)
    main_first = np.argsort(-np.abs(vector), kind="stable")
    return "".join("RAS"[n] if vector[n] > 0 else "LPI"[n] for n in main_first if abs(vector[n]) >= _NAMED_FROM)


def cube_affine(centre_ras_mm: ArrayLike, size: int, spacing_mm: float) -> Affine:
    """(4, 4) affine from voxel centres (i, j, k) to RAS mm of a cube of ``size`` voxels centred on a point.

    The cube's axes are R, A and S; its centre lies between voxels when ``size`` is even.
    """
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = np.asarray(centre_ras_mm, float) - spacing_mm * (size - 1) / 2
    return affine


def transform_points(matrix: Affine, points: ArrayLike) -> NDArray[np.float64]:
    """Apply a (4, 4) affine to points (..., 3)."""
    return np.asarray(points, float) @ matrix[:3, :3].T + matrix[:3, 3]


def voxel_sizes_mm(ras_from_ijk: Affine) -> NDArray[np.float64]:
    """(3,) length in mm of one voxel step along i, j and k."""
    return np.linalg.norm(ras_from_ijk[:3, :3], axis=0)


def inverse(matrix: Affine) -> Affine:
    """The inverse of a (4, 4) affine."""
    return np.asarray(np.linalg.inv(matrix), np.float64)
