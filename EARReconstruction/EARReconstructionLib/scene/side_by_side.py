"""Runs next to each other: one 3-D view for each, and one for the reference, turned together.

For as long as it is shown, every surface belongs to one view. What was visible before is remembered in the nodes, so
that ``leave`` finds it again, even after the scene was saved and loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vtkmodules.vtkCommonDataModel import vtkBoundingBox

from ..errors import EARError
from . import review
from .heatmap import LEGEND, RANGE_MM, set_range, update_legend
from .layouts import COMPARED_GROUP, COMPARED_ID, COMPARED_TAGS
from .nodes import KIND, REFERENCE, RUN, SURFACE, Node, Scene, find_nodes, remove_nodes
from .rendering import RENDERING
from .views import STANDARD_VIEWS, VIEW_TAGS

MOST_RUNS = 4

_DARK = (0.06, 0.08, 0.1)

#: Attribute of a display that belongs to one view now: whether it was visible before.
_BEFORE = "EAR.visibleBefore"


def show_side_by_side(
    scene: Scene, runs: Sequence[str], *, with_reference: bool = False, range_mm: float = RANGE_MM
) -> int:
    """Show up to four runs, each in a view of its own, with the same colours; return the layout's number.

    with_reference: in the last view, what the first measured of these runs was compared with. Raises EARError for no
    run or too many, and for a reference that none of them has.
    """
    if not 1 <= len(runs) <= MOST_RUNS:
        raise EARError("side by side", f"{len(runs)} results were chosen", f"Choose 1 to {MOST_RUNS}")
    shown = [(SURFACE, run) for run in runs]
    if with_reference:
        measured = (run for run in runs if find_nodes(scene, REFERENCE, run=run))
        run = next(measured, None)
        if run is None:
            raise EARError("side by side", "none of these results has a reference", "Compare them first")
        shown.append((REFERENCE, run))
    for tag, (kind, run) in zip(COMPARED_TAGS, shown, strict=False):
        _view(scene, tag, run if kind == SURFACE else "Reference")
    for name in VIEW_TAGS.values():  # the radiographs' planes would stand in every view
        for node in list(scene.GetNodes()):
            if node.IsA("vtkMRMLSliceNode") and node.GetSingletonTag() == name:
                node.AddThreeDViewID(STANDARD_VIEWS[0])
    views = dict(zip(shown, (f"vtkMRMLViewNode{tag}" for tag in COMPARED_TAGS), strict=False))
    for node, display in _displays(scene):
        view = views.get((node.GetAttribute(KIND), node.GetAttribute(RUN)))
        if display.GetAttribute(_BEFORE) is None:
            display.SetAttribute(_BEFORE, str(int(display.GetVisibility())))
        display.SetVisibility(view is not None)
        display.RemoveAllViewNodeIDs()
        if view is not None:
            display.AddViewNodeID(view)
    set_range(scene, range_mm)
    update_legend(scene)
    return COMPARED_ID + len(shown)


def look_from_front(scene: Scene) -> None:
    """Turn the cameras of the views to the front of all that they show, alike, and show the legend in the first one.

    Call it when the views are there.
    """
    remove_nodes(scene, find_nodes(scene, LEGEND))  # views draw no legend that is older than they are
    update_legend(scene)
    box = vtkBoundingBox()
    for node, display in _displays(scene):
        if display.GetAttribute(_BEFORE) is not None and display.GetVisibility():
            bounds = [0.0] * 6
            node.GetRASBounds(bounds)
            box.AddBounds(bounds)
    if not box.IsValid():
        return
    bounds = [0.0] * 6
    box.GetBounds(bounds)
    cameras = (node for node in list(scene.GetNodes()) if node.IsA("vtkMRMLCameraNode"))
    review.look_from_front((camera for camera in cameras if camera.GetLayoutName() in COMPARED_TAGS), bounds)


def is_side_by_side(scene: Scene) -> bool:
    """Whether surfaces belong to views of their own."""
    return any(display.GetAttribute(_BEFORE) is not None for _, display in _displays(scene))


def leave(scene: Scene) -> None:
    """Back to all surfaces in all views, those visible that were before."""
    for _, display in _displays(scene):
        before = display.GetAttribute(_BEFORE)
        if before is not None:
            display.RemoveAttribute(_BEFORE)
            display.RemoveAllViewNodeIDs()
            display.SetVisibility(before == "1")
    update_legend(scene)


def _displays(scene: Scene) -> Iterator[tuple[Node, Node]]:
    """(node, display) of all that runs show in 3-D views."""
    for node in find_nodes(scene):
        if node.GetAttribute(RUN) is None or not node.IsA("vtkMRMLDisplayableNode"):
            continue
        kind = None if node.GetAttribute(KIND) in (SURFACE, REFERENCE) else RENDERING  # a legend is a display, too
        for n in range(node.GetNumberOfDisplayNodes()):
            display = node.GetNthDisplayNode(n)
            if display is not None and display.GetAttribute(KIND) == kind:
                yield node, display


def _view(scene: Scene, tag: str, label: str) -> None:
    """The view node of a tag, made when there is none; the layout finds it by its tag."""
    node = scene.GetSingletonNode(tag, "vtkMRMLViewNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLViewNode")
        node.UnRegister(None)
        node.SetSingletonTag(tag)
        node.SetLayoutName(tag)
        node = scene.AddNode(node)
    node.SetViewGroup(COMPARED_GROUP)  # all of this anew: clearing the scene has given it its defaults again
    node.SetBoxVisible(False)
    node.SetAxisLabelsVisible(False)
    node.SetBackgroundColor(*_DARK)
    node.SetBackgroundColor2(*_DARK)
    node.SetName(label)
    node.SetLayoutLabel(label)
    node.SetLinkedControl(True)
