"""One vertebra as an implicit surface: its parameters, its parts and its signed distance.

Frame of a vertebra: x to the right, y to the front, z up, in millimetres; the origin is the centre of the vertebral
body (midway between posterior and anterior wall, at mid-height), not the centre of the whole bone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arch import arch_parts
from .body import VertebralBody
from .implicit import Array, Column, Solid, smooth_max, smooth_min
from .morphometry import ARCHES, BODIES, JOINTS, Arch, Body, Joint, level_above

FAR_MM = 8.0
"""Distances are cut off here: "at least this far away"."""

_MARGIN_MM = 3.0


@dataclass(frozen=True)
class Ripple:
    """Smooth displacement of space that makes a bone irregular: ``amplitude sin(wave . p + phase)``, summed.

    ``amplitudes_mm``, ``waves_per_mm`` (radians per mm) and their rows are vectors (x, y, z).
    """

    amplitudes_mm: tuple[tuple[float, float, float], ...] = ()
    waves_per_mm: tuple[tuple[float, float, float], ...] = ()
    phases: tuple[float, ...] = ()

    @property
    def reach_mm(self) -> float:
        return float(np.abs(np.asarray(self.amplitudes_mm)).sum(0).max()) if self.amplitudes_mm else 0.0

    def __call__(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        moved = [x, y, z]
        for amplitude, wave, phase in zip(self.amplitudes_mm, self.waves_per_mm, self.phases, strict=True):
            k = np.asarray(wave, np.float32)
            swing = np.sin(k[0] * x + k[1] * y + k[2] * z + np.float32(phase))
            moved = [c + np.float32(a) * swing for c, a in zip(moved, amplitude, strict=True)]
        return moved[0], moved[1], moved[2]


@dataclass(frozen=True)
class VertebraShape:
    """All sizes of one vertebra (mm, degrees); see :mod:`.morphometry` for the means and their sources.

    ``body``, ``arch``, ``above`` and ``below`` (the joints with the neighbours) are the rows of the tables.
    ``endplate_concavity_mm`` is upper, lower. Left and right differ by ``left_transverse_extra_mm``,
    ``left_pedicle_scale``, ``left_facet_turn_deg`` and ``spinous_deviation_mm`` (tip towards the right).
    """

    level: str
    body: Body
    arch: Arch
    above: Joint
    below: Joint
    endplate_concavity_mm: tuple[float, float]
    waist_mm: float
    joint_gap_mm: float = 1.0
    left_transverse_extra_mm: float = 0.0
    left_pedicle_scale: float = 1.0
    left_facet_turn_deg: float = 0.0
    spinous_deviation_mm: float = 0.0
    ripple: Ripple = Ripple()

    @property
    def height_mm(self) -> float:
        """Height of the body at its centre, between the planes of the rims."""
        return (self.body.posterior_height_mm + self.body.anterior_height_mm) / 2

    @property
    def back_y_mm(self) -> float:
        """Posterior wall of the body in the midline."""
        return self._body.back_y_mm

    @cached_property
    def _body(self) -> VertebralBody:
        lumbar, size = self.arch.lumbar_character, self.body
        return VertebralBody(
            width_mm=(size.upper_width_mm, size.lower_width_mm),
            depth_mm=(size.upper_depth_mm, size.lower_depth_mm),
            posterior_height_mm=size.posterior_height_mm,
            anterior_height_mm=size.anterior_height_mm,
            concavity_mm=self.endplate_concavity_mm,
            waist_mm=self.waist_mm,
            taper=0.20 - 0.15 * lumbar,
            squareness=2.25 + 0.25 * lumbar,
            posterior_concavity_mm=self.arch.posterior_concavity_mm,
        )

    @cached_property
    def _canal(self) -> Column:
        depth = self.body.canal_depth_mm
        return Column(self.back_y_mm - depth / 2, self.body.canal_width_mm / 2, depth / 2)

    @cached_property
    def _parts(self) -> tuple[Solid, ...]:
        return arch_parts(self, self.back_y_mm)

    def bounds_mm(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Box around the bone with a few millimetres to spare."""
        boxes = [part.box for part in (*self._parts, self._body)]
        spare = _MARGIN_MM + self.ripple.reach_mm
        lo = np.min([box[0] for box in boxes], axis=0) - spare
        hi = np.max([box[1] for box in boxes], axis=0) + spare
        return (float(lo[0]), float(hi[0])), (float(lo[1]), float(hi[1])), (float(lo[2]), float(hi[2]))

    def signed_distance(self, points_mm: ArrayLike) -> NDArray[np.float32]:
        """Signed distance in mm, (..., 3) -> (...); negative inside, at most ``FAR_MM``."""
        points = np.asarray(points_mm, np.float32)
        flat = points.reshape(-1, 3)
        return self.distance(flat[:, 0], flat[:, 1], flat[:, 2]).reshape(points.shape[:-1])

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """The same for three flat arrays of coordinates; the faster form."""
        x, y, z = self.ripple(*(np.ascontiguousarray(c, np.float32) for c in (x, y, z)))
        d = np.full(x.shape, FAR_MM, np.float32)
        for part in self._parts:
            _join(d, part, x, y, z, radius_mm=3.0 + self.arch.lumbar_character)
        _join(d, self._body, x, y, z, radius_mm=3.0)
        near = np.flatnonzero(d < FAR_MM)
        if near.size:
            d[near] = smooth_max(d[near], -self._canal.distance(x[near], y[near]), 1.0)
        return np.minimum(d, np.float32(FAR_MM))


def _join(d: Array, solid: Solid, x: Array, y: Array, z: Array, radius_mm: float) -> None:
    """Add a solid to the union ``d`` in place, evaluated only where it can matter."""
    lo, hi = (solid.box[0] - FAR_MM).astype(np.float32), (solid.box[1] + FAR_MM).astype(np.float32)
    inside = (x > lo[0]) & (x < hi[0]) & (y > lo[1]) & (y < hi[1]) & (z > lo[2]) & (z < hi[2])
    near = np.flatnonzero(inside)
    if near.size:
        d[near] = smooth_min(d[near], solid.distance(x[near], y[near], z[near]), radius_mm)


def mean_vertebra(level: str, marker_mm: float = 0.0) -> VertebraShape:
    """The mean vertebra of a level, symmetric unless ``marker_mm`` lengthens its left transverse process."""
    lumbar = ARCHES[level].lumbar_character
    return VertebraShape(
        level=level,
        body=BODIES[level],
        arch=ARCHES[level],
        above=JOINTS[level_above(level)],
        below=JOINTS[level],
        endplate_concavity_mm=(1.4 + 0.7 * lumbar, 1.7 + 0.9 * lumbar),
        waist_mm=1.3 + 1.2 * lumbar,
        left_transverse_extra_mm=marker_mm,
    )
