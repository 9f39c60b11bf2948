"""What a surgeon should look at before reconstructing: sentences on the geometry and on each vertebra ROI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..errors import GeometryError
from ..geometry.biplanar import BiplanarGeometry
from ..model_card import MINIMUM_COVERAGE, ModelCard, crop_note
from ..radiograph import ROLES
from ..vertebra import VertebraROI
from .neighbours import SCALE_RANGE, steps_mm
from .nodes import LEVEL, Scene
from .projection import crop_share
from .radiographs import geometry_of
from .rois import roi_nodes, roi_of

#: Less than this share of a crop is no news.
_NEGLIGIBLE = 0.005

#: Key of the sentences that concern no single vertebra.
GEOMETRY = ""


def warnings(scene: Scene, card: ModelCard | None = None) -> dict[str, list[str]]:
    """Level -> sentences on its ROI, and GEOMETRY -> sentences on both radiographs; what is in order is left out.

    card: of the model that shall reconstruct, for what it was trained on and how much it must see.
    """
    found: dict[str, list[str]] = {}
    rois = []
    for node in roi_nodes(scene):
        try:
            rois.append(roi_of(node))
        except GeometryError as error:
            found[node.GetAttribute(LEVEL)] = [str(error)]
    for level, sentence in _of_column(rois):
        found.setdefault(level, []).append(sentence)
    try:
        geometry = geometry_of(scene)
    except GeometryError as error:
        return found | {GEOMETRY: [str(error)]}
    if card is not None and (notes := card.range_notes(geometry)):
        found[GEOMETRY] = list(notes)
    for roi in rois:
        for sentence in _of_roi(roi, geometry, card):
            found.setdefault(roi.level, []).append(sentence)
    return found


def _of_roi(roi: VertebraROI, geometry: BiplanarGeometry, card: ModelCard | None) -> Iterator[str]:
    for role, view in zip(ROLES, geometry.views, strict=True):
        try:
            share = 1.0 if card is None else crop_share(view, roi.centre_ras_mm, card.size * card.spacing_mm)
        except GeometryError as error:
            yield str(error)
            continue
        u, v = view.project(roi.centre_ras_mm)[0]
        if not (0 <= u <= view.width and 0 <= v <= view.height):
            yield f"The centre of {roi.level} lies outside the {role} image: it cannot be reconstructed."
        elif share < MINIMUM_COVERAGE:
            yield f"Only {100 * share:.0f} % of the crop of {roi.level} lies in the {role} image, which is too little."
        elif share < 1 - _NEGLIGIBLE:
            yield crop_note(roi.level, role, share)
    if card is not None:
        yield from card.level_notes(roi.level)


def _of_column(rois: Sequence[VertebraROI]) -> Iterator[tuple[str, str]]:
    """(level, sentence) where neighbours, from head to tail, stand as the vertebrae of their names do not."""
    for upper, lower in pairwise(rois):
        way = np.subtract(upper.centre_ras_mm, lower.centre_ras_mm)
        distance, typical = float(np.linalg.norm(way)), steps_mm(upper.level, lower.level)
        if way[2] <= 0:
            yield lower.level, f"{lower.level} lies above {upper.level}: are their levels right?"
        elif not SCALE_RANGE[0] <= distance / typical <= SCALE_RANGE[1]:
            yield (
                lower.level,
                f"{lower.level} is {distance:.0f} mm from {upper.level}, {typical:.0f} mm are typical: are their "
                "levels right?",
            )
