"""Vertebrae that are still missing along the column: which levels they are, and where their ROIs should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from ..errors import GeometryError
from ..geometry.biplanar import BiplanarGeometry
from ..geometry.views import Vector
from ..radiograph import ROLES
from ..vertebra import LEVELS, TYPICAL_SIZE_MM, VertebraROI

#: Level -> mm from the centre of its box to that of the next one below. Rounded medians of one to four people per pair,
#: measured on open CT segmentations; where there was none (T5) those of its neighbours. Starting values, not norms.
STEP_MM: dict[str, float] = {
    **{"C1": 16, "C2": 25, "C3": 16, "C4": 17, "C5": 17, "C6": 18, "C7": 18},
    **{"T1": 22, "T2": 24, "T3": 25, "T4": 24, "T5": 24, "T6": 24, "T7": 24, "T8": 24, "T9": 25, "T10": 27},
    **{"T11": 30, "T12": 30, "T13": 30, "L1": 31, "L2": 32, "L3": 30, "L4": 31, "L5": 31},
}

#: Level -> mm by which the centre of its box lies before (or, negative, behind) the straight line from T1 to L5: the
#: kyphosis and lordosis that nearly everyone has. T1 to L5: means of 40 phantom spines of adult posture; the neck: one
#: person. Only its bends count, never its tilt: the ROIs that are there say how the column leans.
PROFILE_MM: dict[str, float] = {
    **{"C1": 16, "C2": 16, "C3": 19, "C4": 18, "C5": 18, "C6": 15, "C7": 7},
    **{"T1": 0, "T2": -6, "T3": -12, "T4": -16, "T5": -20, "T6": -21, "T7": -21, "T8": -21, "T9": -19, "T10": -16},
    **{"T11": -10, "T12": -4, "T13": -1, "L1": 2, "L2": 6, "L3": 7, "L4": 6, "L5": 0, "L6": -7},
}

#: Levels that most people do not have, so they are never suggested.
VARIANTS = ("T13", "L6")

#: A patient's steps are within these multiples of the typical ones.
SCALE_RANGE = (0.6, 1.5)


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


def between(existing: Sequence[VertebraROI], geometry: BiplanarGeometry) -> list[VertebraROI]:
    """The missing neighbours between the ROIs that are there, from head to tail; empty when none is missing.

    Their centres lie on a smooth curve through those that are there, spaced as their levels typically are, with the
    bends that most columns have. Their sizes are typical ones, scaled as those of the ROIs around them are.
    Median error of a centre on 40 phantoms and two people, T1 to L5 placed: 4 mm with T8 or T9 as well (at most 13),
    3 to 6 mm with T6 and T12, 7 to 16 mm with neither. They are starting places, to be looked at one by one.

    Raises GeometryError for fewer than two ROIs, or when one would lie outside a radiograph.
    """
    placed = {roi.level: roi for roi in sorted(existing, key=lambda roi: LEVELS.index(roi.level))}
    if len(placed) < 2:
        raise GeometryError("vertebra ROI", "there are not two between which to fill", "Add the two ends of the column")
    first, *_, last = placed
    levels = [
        level
        for level in LEVELS[LEVELS.index(first) : LEVELS.index(last) + 1]
        if level not in VARIANTS or level in placed
    ]
    along = dict(zip(levels, np.cumsum([0.0, *(STEP_MM[level] for level in levels[:-1])]).tolist(), strict=True))
    known = [along[level] for level in placed]
    ends = np.subtract(placed[last].centre_ras_mm, placed[first].centre_ras_mm)
    bend = np.clip(np.linalg.norm(ends) / along[last], *SCALE_RANGE) * np.array([0.0, 1.0, 0.0])
    straightened = [np.array(roi.centre_ras_mm) - PROFILE_MM[level] * bend for level, roi in placed.items()]
    curve = CubicSpline(known, straightened, bc_type="natural")
    ratios = np.array([np.divide(roi.size_mm, TYPICAL_SIZE_MM[level]) for level, roi in placed.items()]).T
    found = []
    for level in (level for level in levels if level not in placed):
        r, a, s = (curve(along[level]) + PROFILE_MM[level] * bend).tolist()
        width, depth, height = (
            float(size * np.interp(along[level], known, ratio))
            for size, ratio in zip(TYPICAL_SIZE_MM[level], ratios, strict=True)
        )
        found.append(_inside(VertebraROI(level, (r, a, s), (width, depth, height)), geometry))
    return found


def _neighbour(level: str, down: bool) -> str | None:
    """The next level that most people have."""
    place = LEVELS.index(level)
    beyond = LEVELS[place + 1 :] if down else LEVELS[:place][::-1]
    return next((one for one in beyond if one not in VARIANTS), None)


def _place(ordered: Sequence[VertebraROI], down: bool) -> Vector:
    """Where the neighbour of the last (or the first) of ROIs from head to tail is, RAS mm."""
    outermost = ordered[-1] if down else ordered[0]
    centre = np.array(outermost.centre_ras_mm)
    inner = ordered[max(len(ordered) - 2, 0)] if down else ordered[min(1, len(ordered) - 1)]
    way = centre - inner.centre_ras_mm
    length = float(np.linalg.norm(way))
    if length == 0:  # there is only one, or two lie upon each other: straight on
        way, scale = np.array([0, 0, -1.0 if down else 1.0]), 1.0
    else:
        upper, lower = sorted((inner.level, outermost.level), key=LEVELS.index)
        scale = float(np.clip(length / steps_mm(upper, lower), *SCALE_RANGE))
        way = way / length
    upper = outermost.level if down else str(_neighbour(outermost.level, down))
    r, a, s = (centre + way * STEP_MM[upper] * scale).tolist()
    return r, a, s


def steps_mm(upper: str, lower: str) -> float:
    """Typical distance between two levels; a variant between them counts only when it is one of the two."""
    between = LEVELS[LEVELS.index(upper) : LEVELS.index(lower)]
    return sum(STEP_MM[level] for level in between if level not in VARIANTS or level == upper)


def _inside(roi: VertebraROI, geometry: BiplanarGeometry) -> VertebraROI:
    for role, view in zip(ROLES, geometry.views, strict=True):
        (u, v), depth = view.project(roi.centre_ras_mm)
        if not (0 < depth < view.sdd_mm and 0 <= u <= view.width and 0 <= v <= view.height):
            raise GeometryError(
                f"vertebra {roi.level}",
                f"its place along the column lies outside the {role} radiograph",
                "Draw it elsewhere, or move its neighbours",
            )
    return roi
