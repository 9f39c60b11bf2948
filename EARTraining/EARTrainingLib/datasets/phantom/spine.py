"""Vertebrae placed in a patient (RAS millimetres) and whole columns with their curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .implicit import Array
from .morphometry import LEVELS, VERSE_LABEL
from .posture import Posture, random_posture
from .shape import FAR_MM, VertebraShape
from .variation import random_joint, random_size, random_vertebra

Slices = tuple[slice, slice, slice]

JOINT_GAP_MM = 0.8
"""Room left between neighbours where a random posture would let them touch."""


@dataclass(frozen=True, eq=False)
class PlacedVertebra:
    """A shape and its rigid placement; ``carved_by`` are neighbours this bone gives way to at the joints."""

    shape: VertebraShape
    ras_from_local: NDArray[np.float64]
    carved_by: tuple[PlacedVertebra, ...] = ()

    @property
    def level(self) -> str:
        return self.shape.level

    @property
    def label(self) -> int:
        return VERSE_LABEL[self.shape.level]

    @property
    def body_centre_ras(self) -> NDArray[np.float64]:
        return self.ras_from_local[:3, 3]

    @cached_property
    def bounds_ras_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Generous box (lo, hi) along the RAS axes."""
        corners = np.stack(np.meshgrid(*self.shape.bounds_mm(), indexing="ij"), -1).reshape(-1, 3)
        corners = corners @ self.ras_from_local[:3, :3].T + self.ras_from_local[:3, 3]
        return corners.min(0), corners.max(0)

    def signed_distance(self, points_ras: ArrayLike) -> NDArray[np.float32]:
        """Signed distance in mm at RAS points, (..., 3) -> (...); at most ``FAR_MM``."""
        points = np.asarray(points_ras, np.float32)
        flat = points.reshape(-1, 3)
        return self.distance(flat[:, 0], flat[:, 1], flat[:, 2]).reshape(points.shape[:-1])

    def to_local(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """RAS coordinates in the vertebra's own frame."""
        inverse = np.linalg.inv(self.ras_from_local).astype(np.float32)
        rows = [r[0] * x + r[1] * y + r[2] * z + r[3] for r in inverse[:3]]
        return rows[0], rows[1], rows[2]

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """The same for three flat float32 arrays of coordinates."""
        d = self.shape.distance(*self.to_local(x, y, z))
        for other in self.carved_by:
            lo, hi = (bound.astype(np.float32) for bound in other.bounds_ras_mm)
            shared = (x > lo[0]) & (x < hi[0]) & (y > lo[1]) & (y < hi[1]) & (z > lo[2]) & (z < hi[2])
            near = np.flatnonzero(shared & (d < FAR_MM))
            if near.size:
                room = JOINT_GAP_MM - other.shape.distance(*other.to_local(x[near], y[near], z[near]))
                d[near] = np.maximum(d[near], room)
        return d

    def on_grid(
        self, ras_from_ijk: NDArray[np.float64], shape_kji: Sequence[int]
    ) -> tuple[Slices, NDArray[np.float32]] | None:
        """The part of a grid around the bone and the signed distance there; None if the grid misses the bone.

        ``ras_from_ijk`` (4, 4) maps integer voxel centres (i, j, k) to RAS; arrays are (k, j, i).
        """
        lo, hi = self.bounds_ras_mm
        corners = np.stack(np.meshgrid(*zip(lo, hi, strict=True), indexing="ij"), -1).reshape(-1, 3)
        ijk_from_ras = np.linalg.inv(ras_from_ijk)
        ijk = corners @ ijk_from_ras[:3, :3].T + ijk_from_ras[:3, 3]
        size = np.asarray(shape_kji)[::-1]
        first = np.clip(np.floor(ijk.min(0)).astype(int), 0, size)
        last = np.clip(np.ceil(ijk.max(0)).astype(int) + 1, 0, size)
        if np.any(last <= first):
            return None
        x, y, z = grid_ras(ras_from_ijk, first, last)
        d = self.distance(x.ravel(), y.ravel(), z.ravel()).reshape(x.shape)
        i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return (k, j, i), d

    @cached_property
    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lo, hi = self.bounds_ras_mm
        origin = np.floor(lo)
        affine = np.eye(4)
        affine[:3, 3] = origin
        found = self.on_grid(affine, [int(n) + 1 for n in np.ceil(hi - origin)[::-1]])
        assert found is not None
        (k, j, i), d = found
        inside = np.argwhere(d < 0)[:, ::-1] + [i.start, j.start, k.start]
        return origin + inside.min(0) - 0.5, origin + inside.max(0) + 0.5

    def box_ras_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tight box (lo, hi) of the bone along the RAS axes, from a 1 mm grid, up to the voxels' edges."""
        return self._box


def grid_ras(
    ras_from_ijk: NDArray[np.float64], first: Sequence[int] | NDArray[np.int_], last: Sequence[int] | NDArray[np.int_]
) -> tuple[Array, Array, Array]:
    """RAS coordinates of the voxel centres first <= (i, j, k) < last, each (k, j, i) float32."""
    i, j, k = (np.arange(a, b, dtype=np.float64) for a, b in zip(first, last, strict=True))
    k, j = k[:, None, None], j[:, None]
    rows = [(r[0] * i + r[1] * j + r[2] * k + r[3]).astype(np.float32) for r in np.asarray(ras_from_ijk)[:3]]
    return rows[0], rows[1], rows[2]


@dataclass(frozen=True)
class PhantomSpine:
    """Vertebrae from head to foot."""

    vertebrae: tuple[PlacedVertebra, ...]

    def __getitem__(self, level: str) -> PlacedVertebra:
        for vertebra in self.vertebrae:
            if vertebra.level == level:
                return vertebra
        raise KeyError(f"{level} is not in this spine")

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(vertebra.level for vertebra in self.vertebrae)

    def patches(
        self, ras_from_ijk: NDArray[np.float64], shape_kji: Sequence[int]
    ) -> Iterator[tuple[PlacedVertebra, Slices, NDArray[np.float32]]]:
        """Each vertebra that the grid meets, with its part of the grid and its signed distance there."""
        for vertebra in self.vertebrae:
            found = vertebra.on_grid(ras_from_ijk, shape_kji)
            if found is not None:
                yield vertebra, *found

    def signed_distance(
        self, ras_from_ijk: NDArray[np.float64], shape_kji: Sequence[int], level: str | None = None
    ) -> NDArray[np.float32]:
        """Signed distance (k, j, i) in mm of one level, or of the union of all; ``FAR_MM`` away from the bone."""
        chosen = self if level is None else PhantomSpine((self[level],))
        distance = np.full(tuple(shape_kji), FAR_MM, np.float32)
        for _, where, patch in chosen.patches(ras_from_ijk, shape_kji):
            distance[where] = np.minimum(distance[where], patch)
        return distance

    def bounding_box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Box (lo, hi) along the RAS axes around all vertebrae, with a few millimetres to spare."""
        boxes = [vertebra.bounds_ras_mm for vertebra in self.vertebrae]
        return np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)

    def coronal_tilts_deg(self) -> NDArray[np.float64]:
        """Lean of each body to the right, seen from the front."""
        axes = np.array([vertebra.ras_from_local[:3, 2] for vertebra in self.vertebrae])
        return np.degrees(np.arctan2(axes[:, 0], axes[:, 2]))

    def sagittal_tilts_deg(self) -> NDArray[np.float64]:
        """Lean of each body to the front, seen from the side."""
        axes = np.array([vertebra.ras_from_local[:3, 2] for vertebra in self.vertebrae])
        return np.degrees(np.arctan2(axes[:, 1], axes[:, 2]))

    def cobb_deg(self) -> float:
        """Angle between the two bodies most tilted against each other, seen from the front."""
        return float(np.ptp(self.coronal_tilts_deg()))


def place(shapes: Sequence[VertebraShape], posture: Posture) -> tuple[PlacedVertebra, ...]:
    """Stack neighbouring vertebrae from head to foot, hinged at the centres of the discs."""
    frames = posture.frames()
    centre = np.zeros(3)
    placed: list[PlacedVertebra] = []
    for index, shape in enumerate(shapes):
        up = frames[index][:, 2]
        if index:
            upper = shapes[index - 1]
            between = frames[index - 1][:, 2] + up
            between /= np.linalg.norm(between)
            centre = centre - frames[index - 1][:, 2] * upper.height_mm / 2
            centre = centre - between * (upper.below.disc_mm + shape.above.disc_mm) / 2 - up * shape.height_mm / 2
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = frames[index], centre
        placed.append(PlacedVertebra(shape, affine))
    return tuple(placed)


def centred(vertebrae: Sequence[PlacedVertebra]) -> tuple[PlacedVertebra, ...]:
    """Shift the column: mean of the body centres at x = y = 0, middle between the outer ones at z = 0.

    Each vertebra is then carved by the one below it.
    """
    centres = np.array([vertebra.body_centre_ras for vertebra in vertebrae])
    shift = centres.mean(0)
    shift[2] = (centres[0, 2] + centres[-1, 2]) / 2
    moved: list[PlacedVertebra] = []
    for vertebra in reversed(vertebrae):
        affine = vertebra.ras_from_local.copy()
        affine[:3, 3] -= shift
        below = moved[-1:] if moved and LEVELS.index(moved[-1].level) == LEVELS.index(vertebra.level) + 1 else []
        carving = tuple(PlacedVertebra(b.shape, b.ras_from_local) for b in below)
        moved.append(PlacedVertebra(vertebra.shape, affine, carving))
    return tuple(reversed(moved))


def random_spine(
    rng: np.random.Generator,
    levels: Sequence[str] = LEVELS,
    *,
    scoliosis_deg: float | None = None,
    kyphosis_deg: float | None = None,
    lordosis_deg: float | None = None,
    size: float | None = None,
    variation: float = 1.0,
    marker_mm: float = 0.0,
) -> PhantomSpine:
    """Draw a column; what is None is drawn too.

    ``scoliosis_deg`` is the Cobb angle, positive with the convexity to the right; ``kyphosis_deg`` is T1 to T12,
    ``lordosis_deg`` L1 to L5. The whole column is drawn whatever ``levels`` asks for, so that one seed gives the
    same bones in every selection.
    """
    size = random_size(rng) if size is None else size
    posture = random_posture(rng, scoliosis_deg, kyphosis_deg, lordosis_deg, variation)
    joints = {level: random_joint(level, rng, size, 0.7 * variation) for level in ("C7", *LEVELS)}
    above = ("C7", *LEVELS[:-1])
    shapes = [
        random_vertebra(
            level, rng, size=size, variation=0.8 * variation, marker_mm=marker_mm,
            above=joints[upper], below=joints[level],
        )
        for upper, level in zip(above, LEVELS, strict=True)
    ]  # fmt: skip
    chosen = [vertebra for vertebra in place(shapes, posture) if vertebra.level in set(levels)]
    if len(chosen) != len(set(levels)):
        raise ValueError(f"levels must be among {LEVELS[0]} to {LEVELS[-1]}, got {tuple(levels)}")
    return PhantomSpine(centred(chosen))
