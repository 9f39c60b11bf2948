"""Where a ROI of a level goes that the user asks for: beside, between or beyond those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import GeometryError
from ..geometry.biplanar import BiplanarGeometry
from ..vertebra import LEVELS, TYPICAL_SIZE_MM, VertebraROI
from .neighbours import PROFILE_MM, between, next_roi, steps_mm
from .nodes import Node, Scene, all_or_nothing, at_once
from .rois import show_roi

#: Ends of a whole spine, and a level between them: three places from which ``between`` finds all others.
ANCHORS = ("T1", "T9", "L5")

#: Share of the images' height that is used for what does not fit into it.
_FILLED = 0.9


def roi_of_level(level: str, existing: Sequence[VertebraROI], geometry: BiplanarGeometry) -> VertebraROI:
    """A ROI for a level, where those that are there let expect it, as far as the images show that place.

    Where nothing tells, it is at the isocentre; beyond the images, near their upper or lower edge. existing: in the
    order in which they were made. Raises GeometryError when the level is there already.
    """
    if level in (roi.level for roi in existing):
        raise GeometryError(f"vertebra {level}", "it has a ROI already", "Move that one, or choose another level")
    order, orders = LEVELS.index(level), [LEVELS.index(roi.level) for roi in existing]
    centre = VertebraROI(level, geometry.frontal.isocentre_ras_mm, TYPICAL_SIZE_MM[level])
    if not existing:
        return centre
    below, rois = order > max(orders), list(existing)
    try:
        if min(orders) < order < max(orders):
            return next((roi for roi in between(rois, geometry) if roi.level == level), centre)
        while (found := next_roi(rois, geometry, below=below)).level != level:
            rois.append(found)
        return found
    except GeometryError:  # outside an image, or a variant that is never suggested: the user drags it into place
        r, a, s = centre.centre_ras_mm
        return replace(centre, centre_ras_mm=(r, a, s + (-1 if below else 1) * _room_mm(geometry) * _FILLED / 2))


def show_rois(scene: Scene, rois: Sequence[VertebraROI]) -> list[Node]:
    """Add several ROIs, all or none; views draw them together. Raises GeometryError for a level that is there."""
    with all_or_nothing(scene), at_once(scene):
        return [show_roi(scene, roi) for roi in rois]


def whole_spine(geometry: BiplanarGeometry) -> list[VertebraROI]:
    """T1, T9 and L5 of a typical column around the isocentre, made smaller when both images are too low for it."""
    length = steps_mm(ANCHORS[0], ANCHORS[-1])
    scale = min(1.0, _FILLED * _room_mm(geometry) / length)
    isocentre = np.array(geometry.frontal.isocentre_ras_mm)
    rois = []
    for level in ANCHORS:
        down = steps_mm(ANCHORS[0], level) - length / 2
        r, a, s = (isocentre + scale * np.array([0.0, PROFILE_MM[level], -down])).tolist()
        rois.append(VertebraROI(level, (r, a, s), TYPICAL_SIZE_MM[level]))
    return rois


def _room_mm(geometry: BiplanarGeometry) -> float:
    """How much of the patient's height both images show at the isocentre."""
    return min(view.height * view.pixel_mm * view.sod_mm / view.sdd_mm for view in geometry.views)
