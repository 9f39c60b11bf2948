"""The grid that a vertebra is rebuilt on, and the X-ray windows that fit it: ``cube`` and ``paper``.

The paper says both "1 mm" and "resized to 128^3". ``cube``: an isotropic cube around the vertebra, its outside cut
off. ``paper``: the vertebra's box plus a margin, resized to N^3; voxels then have another size along each axis and in
each vertebra, which the affine keeps, so that millimetres stay true. MSE, PSNR and SSIM depend on how much of the grid
is bone: never compare them across fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from EARReconstructionLib.geometry import Affine, View, crop_view, cube_affine, transform_points, voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume, resample
from numpy.typing import ArrayLike, NDArray

from .grids import averaged, part_around
from .scenes import AIR_HU, Shape, signed_distance

FIELDS = ("cube", "paper")

#: Sides of a ``paper`` box are multiples of this, so that its X-ray windows are whole pixels of this size.
PITCH_MM = 0.5

#: A source this many times finer than the field is averaged first; below, linear interpolation takes in enough of it.
MUCH_FINER = 2.0


@dataclass(frozen=True, eq=False)
class Field:
    """A grid of ``size``^3 voxels along R, A and S around a vertebra. centre_ras_mm: of its box, and of the grid."""

    kind: str
    size: int
    centre_ras_mm: tuple[float, float, float]
    ras_from_ijk: Affine

    @property
    def shape(self) -> Shape:
        """(D, H, W)."""
        return self.size, self.size, self.size

    @property
    def corners_ras_mm(self) -> NDArray[np.float64]:
        """(8, 3) centres of its corner voxels."""
        ends = (0, self.size - 1)
        return transform_points(self.ras_from_ijk, [[i, j, k] for i in ends for j in ends for k in ends])

    def windows(self, views: Sequence[View]) -> tuple[View, View]:
        """Of both set-ups (frontal first), the part of the detector around the vertebra.

        ``cube``: N pixels square, each as large as a voxel in the plane of the vertebra's centre. ``paper``: as wide as
        the box along R (frontal) or A (lateral) and as high as along S; ``images`` then resizes it.
        """
        spacing = voxel_sizes_mm(self.ras_from_ijk)
        if self.kind == "cube":
            frontal, lateral = (crop_view(view, self.centre_ras_mm, self.size, float(spacing[0])) for view in views)
            return frontal, lateral
        wide1, wide2, high = (round(n) for n in spacing * self.size / PITCH_MM)
        return self._window(views[0], wide1, high), self._window(views[1], wide2, high)

    def _window(self, view: View, width: int, height: int) -> View:
        columns, rows = (crop_view(view, self.centre_ras_mm, n, PITCH_MM) for n in (width, height))
        assert columns.principal_point is not None
        assert rows.principal_point is not None
        point = columns.principal_point[0], rows.principal_point[1]
        return replace(columns, height=height, principal_point=point)

    def images(self, projections: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Projections (M, h, w) of both windows -> (2, M, N, N), resized by the mean over each pixel's area."""
        return np.stack([area_mean(p, self.size).numpy() for p in projections])

    def densities(self, hu: Volume) -> NDArray[np.float32]:
        """HU (k, j, i) on the grid by linear interpolation, air beyond the CT.

        A CT that is much finer along an axis is averaged there first, over one voxel of the field: else three of four
        of its slices would count for nothing.
        """
        near = part_around(hu, self.corners_ras_mm, 6)
        finer = voxel_sizes_mm(self.ras_from_ijk).min() / voxel_sizes_mm(hu.ras_from_ijk)[::-1]
        array = averaged(near.array, np.where(finer >= MUCH_FINER, finer, 1.0))
        return resample(Volume(array, near.ras_from_ijk), self.ras_from_ijk, self.shape, AIR_HU)

    def inside(self, mask: NDArray[np.bool_], ras_from_ijk: Affine) -> NDArray[np.bool_]:
        """A mask on another grid -> voxels (k, j, i) whose centres lie inside its surface (see signed_distance)."""
        return signed_distance(mask, ras_from_ijk, self.ras_from_ijk, self.shape) < 0


def cube(low: ArrayLike, high: ArrayLike, size: int, spacing_mm: float) -> Field | None:
    """An isotropic cube centred on a box (RAS mm); None where the box is larger than it."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    if (high - low).max() > size * spacing_mm:
        return None
    centre = (low + high) / 2
    return Field("cube", size, _vector(centre), cube_affine(centre, size, spacing_mm))


def paper(low: ArrayLike, high: ArrayLike, size: int, margin_mm: float) -> Field:
    """A box (RAS mm) with a margin on every side, in ``size`` voxels along each axis."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    centre = (low + high) / 2
    extent = np.ceil((high - low + 2 * margin_mm) / PITCH_MM - 1e-6) * PITCH_MM
    spacing = extent / size
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - spacing * (size - 1) / 2
    return Field("paper", size, _vector(centre), affine)


def _vector(point: NDArray[np.float64]) -> tuple[float, float, float]:
    r, a, s = point.tolist()
    return r, a, s


def area_mean(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images (..., h, w) -> (..., size, size): each new pixel is the mean of what it covers, parts of pixels too."""
    rows, columns = (_shares(n, size).to(images) for n in images.shape[-2:])
    return rows @ images @ columns.T


def _shares(old: int, new: int) -> torch.Tensor:
    """(new, old): which share of each new pixel every old one covers, along one axis."""
    edges, starts = np.arange(new + 1) * (old / new), np.arange(old)
    covered = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return torch.from_numpy(np.clip(covered, 0, None) * (new / old))
