"""Slices of a volume as they are looked at: one scale for all, with the letters of their sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from EARReconstructionLib.geometry import voxel_sizes_mm
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ..prediction import Truth
from .sheet import letters, scale_bar

Plane = Literal["axial", "coronal", "sagittal"]

#: Array axis that a plane cuts, and the sides at its left, right, upper and lower edge. Axial and coronal slices lie
#: as radiologists look at them, with the patient's right on the left; in a sagittal one the patient looks to the left.
PLANES: dict[str, tuple[int, tuple[str, str, str, str]]] = {
    "axial": (0, ("R", "L", "A", "P")),
    "coronal": (1, ("R", "L", "S", "I")),
    "sagittal": (2, ("A", "P", "S", "I")),
}

#: Inches of a slice in a figure.
SLICE_CELL = (1.35, 1.35)

#: Room around a vertebra, mm.
MARGIN_MM = 4.0


@dataclass(frozen=True)
class Window:
    """What all slices of a vertebra show: a square of side_mm around a voxel (k, j, i) of its grid.

    spacing_mm: (k, j, i). low, high: first and last voxel of the vertebra along each array axis.
    """

    centre: tuple[float, float, float]
    side_mm: float
    spacing_mm: tuple[float, float, float]
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @classmethod
    def around(cls, truth: Truth) -> Window:
        """The window that holds a vertebra in every plane. Its grid runs along R, A and S, as prepared data do."""
        found = np.argwhere(truth.mask)
        low, high = found.min(0), found.max(0)
        i, j, k = voxel_sizes_mm(truth.ras_from_ijk).tolist()
        spacing = np.array([k, j, i])
        side = float(((high - low + 1) * spacing).max()) + 2 * MARGIN_MM
        return cls(_three((low + high) / 2), side, (k, j, i), _ints(low), _ints(high))

    def index(self, plane: Plane, share: float = 0.5) -> int:
        """The slice at a share of the vertebra's extent, from its first voxel along that axis to its last."""
        axis = PLANES[plane][0]
        return round(self.low[axis] + share * (self.high[axis] - self.low[axis]))


def draw_slice(axis: Axes, volume: NDArray[Any], window: Window, plane: Plane, index: int, **shown: Any) -> AxesImage:
    """One slice of a volume (k, j, i). shown: imshow's cmap, vmin, vmax."""
    cut = PLANES[plane][0]
    picture = np.take(volume, index, axis=cut)
    rows, columns = (a for a in range(3) if a != cut)
    edges = [
        (np.array([-0.5, volume.shape[a] - 0.5]) - window.centre[a]) * window.spacing_mm[a] for a in (columns, rows)
    ]
    image = axis.imshow(picture, origin="lower", extent=(*edges[0], *edges[1]), interpolation="none", **shown)
    half = window.side_mm / 2
    # i runs to R and j to A: R is drawn on the left, and so is A in a sagittal slice.
    axis.set_xlim(half, -half)
    axis.set_ylim(-half, half)
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_facecolor("white")  # beyond the grid
    for spine in axis.spines.values():
        spine.set_visible(False)
    return image


def mark(axis: Axes, window: Window, plane: Plane) -> None:
    """Letters of the sides and a scale bar, on the dark corner of a slice."""
    letters(axis, PLANES[plane][1], colour="white")
    scale_bar(axis, window.side_mm, colour="white")


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    k, j, i = (float(x) for x in values)
    return k, j, i


def _ints(values: NDArray[np.int64]) -> tuple[int, int, int]:
    k, j, i = (int(x) for x in values)
    return k, j, i
