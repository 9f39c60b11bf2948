"""Vertebra ROIs in the scene: one markups ROI per vertebra, at its true place in RAS mm, named and coloured by level.

The radiographs show each ROI by a flat box of its own (projected_rois.py), for a ROI that is not in the plane of the
isocentre appears larger or smaller there, and shifted. So the ROI itself is drawn in 3-D views only.
"""

from __future__ import annotations

import numpy as np

from ..colours import level_colour
from ..errors import GeometryError
from ..vertebra import LEVELS, VertebraROI
from .nodes import KIND, LEVEL, Node, Scene, add_node, all_or_nothing, find_nodes, matrix

ROI, DISPLAY = "roi", "roi-display"

#: Attribute of a ROI whose model's cube is shown: its side in mm.
CROP_MM = "EAR.cropMm"


def show_roi(scene: Scene, roi: VertebraROI, node: Node | None = None) -> Node:
    """Put a ROI into the scene, or change ``node`` to it; return its node.

    Raises GeometryError when another node has the level already.
    """
    for other in find_nodes(scene, ROI, level=roi.level):
        if other is not node:
            raise GeometryError(f"vertebra {roi.level}", "it has a ROI already", "Move that one, or change its level")
    with all_or_nothing(scene):
        if node is None:
            node = add_node(scene, "vtkMRMLMarkupsROINode", roi.level, ROI, level=roi.level)
            node.SetUndoEnabled(True)
        dress_roi(node)
        modifying = node.StartModify()
        if node.GetAttribute(LEVEL) != roi.level:
            node.SetName(roi.level)
            node.SetAttribute(LEVEL, roi.level)
            _colour(node)
        frame = np.eye(4)
        frame[:3, 3] = roi.centre_ras_mm
        node.SetAndObserveObjectToNodeMatrix(matrix(frame))
        node.SetSize(*roi.size_mm)
        node.EndModify(modifying)
    return node


def dress_roi(node: Node) -> None:
    """Give a ROI our display if it has another one: undoing its removal brings it back with a default display."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display.GetAttribute(KIND) == DISPLAY:
        return
    display.SetAttribute(KIND, DISPLAY)
    display.SetFillOpacity(0.08)
    display.SetVisibility2D(False)
    display.SetHandlesInteractive(False)  # seventeen boxes with handles cannot be read
    display.SetRotationHandleVisibility(False)  # a ROI lies along R, A and S
    _colour(node)


def roi_of(node: Node) -> VertebraROI:
    """The ROI that a node shows; of a box that was turned, the one around it along R, A and S.

    Raises GeometryError for a node without a level or with a size that no vertebra has.
    """
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    (r0, r1), (a0, a1), (s0, s1) = (bounds[n : n + 2] for n in (0, 2, 4))
    return VertebraROI(
        node.GetAttribute(LEVEL) or node.GetName() or "without a name",
        ((r0 + r1) / 2, (a0 + a1) / 2, (s0 + s1) / 2),
        (r1 - r0, a1 - a0, s1 - s0),
    )


def roi_nodes(scene: Scene) -> list[Node]:
    """The nodes of all vertebra ROIs, from head to tail."""
    nodes = find_nodes(scene, ROI, class_name="vtkMRMLMarkupsROINode")
    known = [node for node in nodes if node.GetAttribute(LEVEL) in LEVELS]
    return sorted(known, key=lambda node: LEVELS.index(node.GetAttribute(LEVEL)))


def show_crop(node: Node, side_mm: float | None) -> None:
    """Show the cube that a model rebuilds around a ROI, ``card.size * card.spacing_mm`` wide; None hides it."""
    node.SetAttribute(CROP_MM, None if side_mm is None else repr(float(side_mm)))


def crop_mm(node: Node) -> float | None:
    """Side in mm of the cube that is shown around a ROI, or None."""
    text = node.GetAttribute(CROP_MM)
    return None if text is None else float(text)


def _colour(node: Node) -> None:
    display, colour = node.GetDisplayNode(), level_colour(node.GetAttribute(LEVEL))
    display.SetColor(colour)
    display.SetSelectedColor(colour)
    display.SetActiveColor(colour)
