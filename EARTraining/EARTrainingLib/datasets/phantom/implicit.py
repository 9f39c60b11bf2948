"""Small solids given by a signed distance (mm, negative inside), and smooth ways to join them.

Distances are first-order: exact on the surface, with a gradient near 1 beside it. Coordinates come as three
float32 arrays of one shape, because that is twice as fast in numpy as one array of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Vector = tuple[float, float, float]
Box = tuple[NDArray[np.float64], NDArray[np.float64]]


class Solid(Protocol):
    """Anything with a bounding box (mm) and a signed distance (mm)."""

    @property
    def box(self) -> Box: ...

    def distance(self, x: Array, y: Array, z: Array) -> Array: ...


def smooth_min(a: Array, b: Array, radius_mm: float) -> Array:
    """Union with a fillet: like ``min`` where the two differ by more than ``radius_mm``, below it elsewhere."""
    blend = np.maximum(1.0 - np.abs(a - b) / radius_mm, 0.0)
    return np.minimum(a, b) - blend * blend * (radius_mm / 4.0)


def smooth_max(a: Array, b: Array, radius_mm: float) -> Array:
    """Intersection with a rounded edge, the counterpart of :func:`smooth_min`."""
    return -smooth_min(-a, -b, radius_mm)


def rounded_max(a: Array, b: Array, radius_mm: float) -> Array:
    """Intersection whose convex edge is an arc of ``radius_mm``; exact outside for perpendicular faces."""
    a, b = a + radius_mm, b + radius_mm
    outside = np.hypot(np.maximum(a, 0.0), np.maximum(b, 0.0))
    return np.minimum(np.maximum(a, b), 0.0) + outside - np.float32(radius_mm)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


@dataclass(frozen=True)
class Bar:
    """A bar with an elliptic, tapering section and rounded ends (they stand out by the mean semi-axis).

    ``semi_width_mm`` and ``semi_height_mm`` hold the value at the start and at the end; the height is measured
    along ``up``, made orthogonal to the axis. ``cut`` is a point and an outward normal: the bar ends there flat.
    """

    start: Vector
    end: Vector
    semi_width_mm: tuple[float, float]
    semi_height_mm: tuple[float, float]
    up: Vector = (0.0, 0.0, 1.0)
    cut: tuple[Vector, Vector] | None = None

    @cached_property
    def _frame(self) -> tuple[NDArray[np.float64], float]:
        axis = np.subtract(self.end, self.start)
        length = float(np.linalg.norm(axis))
        axis = axis / length
        height = _unit(np.asarray(self.up) - np.dot(self.up, axis) * axis)
        return np.stack([axis, height, np.cross(height, axis)]), length

    @cached_property
    def box(self) -> Box:
        rows, _ = self._frame
        reach = [
            np.abs(rows[0]) * np.sqrt(w * h) + np.hypot(rows[1] * h, rows[2] * w)
            for w, h in zip(self.semi_width_mm, self.semi_height_mm, strict=True)
        ]
        ends = np.array([self.start, self.end])
        return (ends - reach).min(0), (ends + reach).max(0)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        rows, length = self._frame
        rows = rows.astype(np.float32)
        x0, y0, z0 = (np.float32(c) for c in self.start)
        dx, dy, dz = x - x0, y - y0, z - z0
        along, high, wide = (row[0] * dx + row[1] * dy + row[2] * dz for row in rows)
        s = np.clip(along / np.float32(length), 0.0, 1.0)
        a = np.float32(self.semi_width_mm[0]) + np.float32(self.semi_width_mm[1] - self.semi_width_mm[0]) * s
        b = np.float32(self.semi_height_mm[0]) + np.float32(self.semi_height_mm[1] - self.semi_height_mm[0]) * s
        c = np.sqrt(a * b)
        # Ellipsoid distance to first order: k0 (k0 - 1) / |grad|; the small constants keep it finite on the axis.
        u, v, w = wide / a, high / b, (along - s * np.float32(length)) / c
        k0 = np.sqrt(u * u + v * v + w * w) + np.float32(1e-4)
        u, v, w = u / a, v / b, w / c
        k1 = np.sqrt(u * u + v * v + w * w) + np.float32(1e-4) / np.minimum(a, b)
        d = (k0 - 1) * k0 / k1
        if self.cut is not None:
            point, normal = (np.asarray(value, np.float32) for value in self.cut)
            plane = normal[0] * (x - point[0]) + normal[1] * (y - point[1]) + normal[2] * (z - point[2])
            d = rounded_max(d, plane, 0.6)
        return d


@dataclass(frozen=True)
class SagittalPlate:
    """A plate with a polygonal outline in the sagittal plane (y, z), its thickness growing from front to back.

    The outline is convex, counter-clockwise in (y, z); ``semi_thickness_mm`` holds the values at the largest and
    at the smallest y. ``lean`` shifts the plate sideways (x) per millimetre of y behind the front.
    """

    outline: tuple[tuple[float, float], ...]
    semi_thickness_mm: tuple[float, float]
    rounding_mm: float
    lean: float = 0.0

    @cached_property
    def box(self) -> Box:
        points = np.asarray(self.outline)
        lo, hi = points.min(0), points.max(0)
        half = max(self.semi_thickness_mm) + abs(self.lean) * (hi[0] - lo[0])
        return np.array([-half, *lo]), np.array([half, *hi])

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        points = np.asarray(self.outline, np.float32)
        edges = np.roll(points, -1, axis=0) - points
        normals = np.stack([edges[:, 1], -edges[:, 0]], 1) / np.linalg.norm(edges, axis=1, keepdims=True)
        flat: Array | None = None
        for point, normal in zip(points, normals, strict=True):
            side = normal[0] * (y - point[0]) + normal[1] * (z - point[1])
            flat = side if flat is None else smooth_max(flat, side, 2.0 * self.rounding_mm)
        assert flat is not None
        front, back = points[:, 0].max(), points[:, 0].min()
        s = np.clip((front - y) / (front - back), 0.0, 1.0)
        first, last = (np.float32(t) for t in self.semi_thickness_mm)
        middle = np.float32(self.lean) * np.maximum(front - y, 0)
        return rounded_max(flat, np.abs(x - middle) - (first + (last - first) * s * s), self.rounding_mm)


@dataclass(frozen=True)
class Column:
    """An upright column of elliptic section without ends: the room of the vertebral canal."""

    centre_y_mm: float
    semi_width_mm: float
    semi_depth_mm: float

    def distance(self, x: Array, y: Array) -> Array:
        u, v = x / np.float32(self.semi_width_mm), (y - np.float32(self.centre_y_mm)) / np.float32(self.semi_depth_mm)
        k0 = np.sqrt(u * u + v * v) + np.float32(1e-4)
        u, v = u / np.float32(self.semi_width_mm), v / np.float32(self.semi_depth_mm)
        k1 = np.sqrt(u * u + v * v) + np.float32(1e-4 / min(self.semi_width_mm, self.semi_depth_mm))
        return (k0 - 1) * k0 / k1
