"""The vertebral body as a solid: outline seen from above, waist, and two concave end-plates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .implicit import Array, Box, rounded_max

_ANGLES = np.linspace(-np.pi, np.pi, 721)
_RIM_MM = 1.6


@dataclass(frozen=True)
class VertebralBody:
    """Centred on the origin, posterior wall at y = -mean depth / 2.

    Widths and depths are those of the upper and the lower end-plate; the depth is taken in the midline.
    ``taper`` narrows the front (heart shape), ``posterior_concavity_mm`` is the hollow of the back wall,
    ``waist_mm`` the hollow of the side and front walls at mid-height.
    """

    width_mm: tuple[float, float]
    depth_mm: tuple[float, float]
    posterior_height_mm: float
    anterior_height_mm: float
    concavity_mm: tuple[float, float]
    waist_mm: float
    taper: float
    squareness: float
    posterior_concavity_mm: float

    @property
    def back_y_mm(self) -> float:
        return -0.25 * (self.depth_mm[0] + self.depth_mm[1])

    @cached_property
    def box(self) -> Box:
        half = max(self.width_mm) / 2
        high = max(self.posterior_height_mm, self.anterior_height_mm) / 2 + 0.5
        back = self.back_y_mm
        return (
            np.array([-half, back - self.posterior_concavity_mm, -high]),
            np.array([half, back + max(self.depth_mm), high]),
        )

    @cached_property
    def _outline(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Radius over angle of the unit outline (half width 1, midline from -1 to 1), and its derivative."""
        t = np.linspace(-np.pi, np.pi, 2881)
        power = 2.0 / self.squareness
        u = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
        v = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
        u = u * (1 - self.taper * v - 0.5 * self.taper * v * v)
        u = u / u.max()
        hollow = 2 * self.posterior_concavity_mm / np.mean(self.depth_mm)
        v = v - hollow * np.clip(-v, 0, 1) ** 2 * (1 - np.exp(-((u / 0.38) ** 2)))
        angle = np.unwrap(np.arctan2(v, u))
        order = np.argsort(angle)
        radius = np.interp(_ANGLES, angle[order], np.hypot(u, v)[order], period=2 * np.pi)
        # A light smoothing takes away the corners left by the exponents.
        kernel = np.hanning(25) / np.hanning(25).sum()
        radius = np.convolve(np.concatenate([radius[-25:-1], radius, radius[1:25]]), kernel, "same")[24:-24]
        slope = np.gradient(radius, _ANGLES)
        return radius.astype(np.float32), slope.astype(np.float32)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        height = np.float32((self.posterior_height_mm + self.anterior_height_mm) / 2)
        back = np.float32(self.back_y_mm)
        # The full width is reached where the rim's rounding begins.
        h = np.clip(z / (height / 2 - np.float32(_RIM_MM)), -1, 1)
        upper = (1 + h) / 2
        hollow = np.float32(self.waist_mm) * (1 - h * h)
        wide = (np.float32(self.width_mm[1]) + np.float32(self.width_mm[0] - self.width_mm[1]) * upper) / 2 - hollow
        deep = (np.float32(self.depth_mm[1]) + np.float32(self.depth_mm[0] - self.depth_mm[1]) * upper - hollow) / 2
        u, v = x / wide, (y - back) / deep - 1

        r = np.sqrt(u * u + v * v)
        radius, slope = self._outline
        step = (np.arctan2(v, u) + np.float32(np.pi)) * np.float32(360 / np.pi)
        index = np.minimum(step.astype(np.int32), 719)
        part = step - index
        edge = radius[index] * (1 - part) + radius[index + 1] * part
        turn = (slope[index] * (1 - part) + slope[index + 1] * part) / np.maximum(r, 0.5)
        # Distance to first order: divide by the gradient of r - R(angle), taken in millimetres.
        inverse = 1 / np.maximum(r, np.float32(1e-3))
        gx, gy = (u + turn * v) * inverse / wide, (v - turn * u) * inverse / deep
        side = (r - edge) / np.sqrt(gx * gx + gy * gy + np.float32(1e-8))

        dish = np.clip(1 - (u * u + v * v) * np.float32(1 / 0.8), 0, 1)
        dish = dish * (2 - dish) * np.float32(0.9)
        rise = np.float32((self.anterior_height_mm - self.posterior_height_mm) / 4)
        plate = np.float32(self.posterior_height_mm / 2) + rise * (v + 1)
        top = z - plate + np.float32(self.concavity_mm[0]) * dish
        bottom = -z - plate + np.float32(self.concavity_mm[1]) * dish
        return rounded_max(np.maximum(top, bottom), side, _RIM_MM)
