"""The curves of a column: kyphosis, lordosis, scoliosis with coupled rotation, and small irregularities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .morphometry import LEVELS

_THORACIC = 12
_STEPS_LUMBAR = np.array([0.0, 0.16, 0.22, 0.28, 0.34])  # share of the lordosis gained at each level, L1 to L5


@dataclass(frozen=True)
class Posture:
    """Orientation of the bodies T1 to L5, degrees: lean to the right, lean to the front, turn about the axis.

    ``turn_deg`` is positive where the front of the body turns to the left.
    """

    right_deg: NDArray[np.float64]
    front_deg: NDArray[np.float64]
    turn_deg: NDArray[np.float64]

    def frames(self) -> NDArray[np.float64]:
        """Rotations (n, 3, 3); columns are the bodies' right, front and up.

        The up axis alone gives the two leans, so that a turn never changes the angles seen on radiographs.
        """
        up = np.stack([np.tan(np.radians(self.right_deg)), np.tan(np.radians(self.front_deg))], -1)
        up = np.concatenate([up, np.ones_like(up[:, :1])], -1)
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        right = np.array([1.0, 0.0, 0.0]) - up[:, :1] * up
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        front = np.cross(up, right)
        c, s = np.cos(np.radians(self.turn_deg))[:, None], np.sin(np.radians(self.turn_deg))[:, None]
        return np.stack([c * right + s * front, c * front - s * right, up], -1)


def sagittal_leans(kyphosis_deg: float, lordosis_deg: float) -> NDArray[np.float64]:
    """Lean to the front, T1 to L5: falls along the thoracic spine, rises along the lumbar one.

    The split around the vertical makes the column's ends stand about over each other.
    """
    thoracic = kyphosis_deg * (0.56 - np.linspace(0, 1, _THORACIC))
    lumbar = thoracic[-1] - 1.0 + lordosis_deg * np.cumsum(_STEPS_LUMBAR)
    return np.concatenate([thoracic, lumbar])


def scoliotic_leans(cobb_deg: float, apex: float, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lean to the right and coupled turn of a single curve, convex to the right if ``cobb_deg`` > 0.

    ``apex`` is an index into LEVELS, ``reach`` the number of levels from there to the end vertebrae. The bodies
    turn into the convexity, the spinous processes away from it; the ratio 0.35 at the apex is our choice.
    """
    u = (np.arange(len(LEVELS)) - apex) / reach
    wave = np.where(np.abs(u) <= 2, np.sin(np.pi * u / 2), 0.0)
    bell = np.where(np.abs(u) <= 2, 0.5 + 0.5 * np.cos(np.pi * u / 2), 0.0)
    return cobb_deg * wave / np.ptp(wave), -0.35 * cobb_deg * bell


def random_posture(
    rng: np.random.Generator,
    scoliosis_deg: float | None = None,
    kyphosis_deg: float | None = None,
    lordosis_deg: float | None = None,
    variation: float = 1.0,
) -> Posture:
    """Draw a posture; given angles are kept."""
    draws = rng.normal(size=3)
    side, severe = rng.choice([-1.0, 1.0]), rng.random() < 0.15
    apex, reach = rng.uniform(6.0, 12.5), rng.uniform(3.2, 4.5)
    jitter = rng.normal(size=(3, len(LEVELS))) * variation
    if scoliosis_deg is None:
        scoliosis_deg = float(side * min(abs(draws[0]) * (20.0 if severe else 6.0), 45.0)) * min(variation, 1.0)
    if kyphosis_deg is None:
        kyphosis_deg = float(np.clip(38 + 8 * variation * draws[1], 18, 60))
    if lordosis_deg is None:
        lordosis_deg = float(np.clip(40 + 8 * variation * draws[2], 18, 60))
    right, turn = scoliotic_leans(scoliosis_deg, apex, reach)
    right = right + 0.6 * jitter[0]
    if abs(scoliosis_deg) > 5:
        right = right * abs(scoliosis_deg) / np.ptp(right)
    front = sagittal_leans(kyphosis_deg, lordosis_deg) + 0.8 * jitter[1]
    return Posture(right, front, turn + 1.5 * jitter[2])
