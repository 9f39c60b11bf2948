"""Looking closer: where the worst point of a comparison is, and all views on a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EARError
from .nodes import Node, Scene, add_node, find_node
from .views import STANDARD_VIEWS, VIEW_TAGS

if TYPE_CHECKING:
    from ..comparison import Comparison

MARK = "mark"

#: Room around what fills a view, as a multiple of it.
_ROOM = 1.1

Point = tuple[float, float, float]


def worst_point(comparisons: Sequence[Comparison]) -> tuple[Point, str]:
    """Where a reconstruction is farthest from its reference, RAS mm, and a text such as "L3 -5.2 mm".

    Raises EARError when nothing has been compared.
    """
    if not comparisons:
        raise EARError("comparison", "nothing has been compared", "Choose a reference and compare")
    worst = max(comparisons, key=lambda one: one.error.hd_mm)
    return worst.error.worst_ras_mm, f"{worst.level} {worst.error.worst_signed_mm:+.1f} mm"


def jump(scene: Scene, ras_mm: Point) -> None:
    """Turn the slice views of volumes and the 3-D cameras to a point; the radiographs keep their planes."""
    own = set(VIEW_TAGS.values())
    for node in list(scene.GetNodes()):
        if node.IsA("vtkMRMLSliceNode") and node.GetSingletonTag() not in own:
            node.JumpSliceByCentering(*ras_mm)
        elif node.IsA("vtkMRMLCameraNode"):
            way = np.subtract(ras_mm, node.GetFocalPoint())
            node.SetPosition(*np.add(node.GetPosition(), way))
            node.SetFocalPoint(*ras_mm)


def look_from_front(cameras: Iterable[Node], bounds: Sequence[float]) -> None:
    """Turn cameras to the front of a box, which then fills their views. bounds: from and to along R, A and S, mm."""
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    (r, a, s), extent = (low + high) / 2, high - low
    for camera in cameras:
        half_angle = np.radians(camera.GetViewAngle() / 2)
        away = max(extent[0], extent[2]) / 2 / np.tan(half_angle) + extent[1] / 2
        camera.SetFocalPoint(r, a, s)
        camera.SetPosition(r, a + _ROOM * away, s)
        camera.SetViewUp(0, 0, 1)
        camera.ResetClippingRange()


def mark(scene: Scene, ras_mm: Point, text: str) -> Node:
    """Mark a point with a text in 3-D and the planes of volumes; the mark that was there moves."""
    node = find_node(scene, MARK)
    if node is None:
        node = add_node(scene, "vtkMRMLMarkupsFiducialNode", "Worst point", MARK)
        node.CreateDefaultDisplayNodes()
        for view in STANDARD_VIEWS:
            node.GetDisplayNode().AddViewNodeID(view)
    node.SetLocked(False)
    node.RemoveAllControlPoints()
    node.AddControlPoint(list(ras_mm), text)
    node.SetLocked(True)
    return node
