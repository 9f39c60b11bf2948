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

#: From no error (pale) to a great one (dark), evenly spaced; neither red nor blue, which have a meaning.
ERROR_STOPS: tuple[Colour, ...] = ((0.95, 0.94, 0.92), (0.62, 0.82, 0.58), (0.16, 0.55, 0.38), (0.02, 0.20, 0.18))


def level_colour(level: str) -> Colour:
    """The colour of a level, wherever it is shown. Golden-ratio steps of the hue: neighbours never look alike."""
    return colorsys.hsv_to_rgb(LEVELS.index(level) * 0.618034 % 1, 0.5, 0.95)


def distance_colours(count: int = 256) -> NDArray[np.float64]:
    """(count, 3) red, green, blue in [0, 1] from the most negative to the most positive distance."""
    return _between(DISTANCE_STOPS, count)


def error_colours(count: int = 256) -> NDArray[np.float64]:
    """(count, 3) red, green, blue in [0, 1] from no expected error to the greatest."""
    return _between(ERROR_STOPS, count)


def _between(colours: tuple[Colour, ...], count: int) -> NDArray[np.float64]:
    stops, place = np.array(colours), np.linspace(0, 1, len(colours))
    return np.stack([np.interp(np.linspace(0, 1, count), place, channel) for channel in stops.T], axis=1)
