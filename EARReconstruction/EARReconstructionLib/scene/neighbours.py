"""The next vertebra along the column: which level it is, and where its ROI should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import GeometryError
from ..geometry.biplanar import BiplanarGeometry
from ..geometry.views import Vector
from ..vertebra import LEVELS, TYPICAL_SIZE_MM, VertebraROI

#: Level -> mm from the centre of its box to that of the next one below. Rounded medians of one to four people per pair,
#: measured on open CT segmentations; where there was none (T5) those of its neighbours. Starting values, not norms.
STEP_MM: dict[str, float] = {
    **{"C1": 16, "C2": 25, "C3": 16, "C4": 17, "C5": 17, "C6": 18, "C7": 18},
    **{"T1": 22, "T2": 24, "T3": 25, "T4": 24, "T5": 24, "T6": 24, "T7": 24, "T8": 24, "T9": 25, "T10": 27},
    **{"T11": 30, "T12": 30, "T13": 30, "L1": 31, "L2": 32, "L3": 30, "L4": 31, "L5": 31},
}

#: Levels that most people do not have, so they are never suggested.
VARIANTS = ("T13", "L6")

#: A patient's steps are taken from the last two ROIs, within these multiples of the typical ones.
_SCALE_RANGE = (0.6, 1.5)


def next_roi(
    existing: Sequence[VertebraROI], geometry: BiplanarGeometry, *, below: bool | None = None, first: str = "L1"
) -> VertebraROI:
    """The neighbour of the ROIs that are there, in the order in which they were made.

    It continues the line through the two outermost ROIs at their side, with a step of its level's typical length,
    scaled as theirs is. below: add at the foot end or at the head end; None goes on as the last two went, first
    downwards, and turns round at the end of the column. first: the level without any ROI, put at the isocentre.

    Raises GeometryError when the column is complete, or when the neighbour would lie outside a radiograph.
    """
    if not existing:
        return _inside(VertebraROI(first, geometry.frontal.isocentre_ras_mm, TYPICAL_SIZE_MM[first]), geometry)
    ordered = sorted(existing, key=lambda roi: LEVELS.index(roi.level))
    if below is not None:
        choices = [below]
    elif len(existing) > 1:
        down = LEVELS.index(existing[-1].level) > LEVELS.index(existing[-2].level)
        choices = [down, not down]
    else:
        choices = [True, False]
    for down in choices:
        level = _neighbour(ordered[-1 if down else 0].level, down)
        if level is not None:
            return _inside(VertebraROI(level, _place(ordered, down), TYPICAL_SIZE_MM[level]), geometry)
    raise GeometryError("vertebra ROI", "the column ends here", "Move or rename the ROIs that are there")


def _neighbour(level: str, down: bool) -> str | None:
    """The next level that most people have."""
    place = LEVELS.index(level)
    beyond = LEVELS[place + 1 :] if down else LEVELS[:place][::-1]
    return next((one for one in beyond if one not in VARIANTS), None)


def _place(ordered: Sequence[VertebraROI], down: bool) -> Vector:
    """Where the neighbour of the last (or the first) of ROIs from head to tail is, RAS mm."""
    outermost = ordered[-1] if down else ordered[0]
    centre = np.array(outermost.centre_ras_mm)
    if len(ordered) == 1:
        way, scale = np.array([0, 0, -1.0 if down else 1.0]), 1.0
    else:
        inner = ordered[-2] if down else ordered[1]
        way = centre - inner.centre_ras_mm
        length = float(np.linalg.norm(way))
        upper, lower = sorted((inner.level, outermost.level), key=LEVELS.index)
        scale = float(np.clip(length / _steps_mm(upper, lower), *_SCALE_RANGE))
        way = way / length
    upper = outermost.level if down else str(_neighbour(outermost.level, down))
    r, a, s = (centre + way * STEP_MM[upper] * scale).tolist()
    return r, a, s


def _steps_mm(upper: str, lower: str) -> float:
    """Typical distance between two levels; a variant between them counts only when it is one of the two."""
    between = LEVELS[LEVELS.index(upper) : LEVELS.index(lower)]
    return sum(STEP_MM[level] for level in between if level not in VARIANTS or level == upper)


def _inside(roi: VertebraROI, geometry: BiplanarGeometry) -> VertebraROI:
    for role, view in zip(("frontal", "lateral"), geometry.views, strict=True):
        (u, v), depth = view.project(roi.centre_ras_mm)
        if not (0 < depth < view.sdd_mm and 0 <= u <= view.width and 0 <= v <= view.height):
            raise GeometryError(
                f"vertebra {roi.level}",
                f"the next place along the column lies outside the {role} radiograph",
                "Draw it elsewhere, or add at the other end",
            )
    return roi
