"""Colours: one per vertebra level, and the paper's colours for signed distances, wherever they are shown."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from .vertebra import LEVELS

Colour = tuple[float, float, float]

#: Distances beyond this, mm, have the colour of the end unless someone says otherwise.
RANGE_MM = 4.0

#: From inside the reference (red) over a fit (pale) to outside (blue), evenly spaced.
DISTANCE_STOPS: tuple[Colour, ...] = (
    (0.60, 0.02, 0.12),
    (0.94, 0.45, 0.35),
    (0.95, 0.94, 0.92),
    (0.40, 0.62, 0.88),
    (0.10, 0.20, 0.60),
)


def level_colour(level: str) -> Colour:
    """The colour of a level, wherever it is shown. Golden-ratio steps of the hue: neighbours never look alike."""
    return colorsys.hsv_to_rgb(LEVELS.index(level) * 0.618034 % 1, 0.5, 0.95)


def distance_colours(count: int = 256) -> NDArray[np.float64]:
    """(count, 3) red, green, blue in [0, 1] from the most negative to the most positive distance."""
    stops, place = np.array(DISTANCE_STOPS), np.linspace(0, 1, len(DISTANCE_STOPS))
    return np.stack([np.interp(np.linspace(0, 1, count), place, channel) for channel in stops.T], axis=1)
