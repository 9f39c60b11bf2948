"""What is seen of a run: its surfaces or its reference's, its bone as a volume, the edges that its network drew."""

from __future__ import annotations

import json

import numpy as np

from .heatmap import update_legend
from .layout import show_layers
from .nodes import EDGES, LEVEL, REFERENCE, RUN, SPINE, SURFACE, VOLUME, Node, Scene, find_node, find_nodes
from .rendering import is_rendered, render_bone, render_edges, stop_rendering
from .results import FACTS
from .review import look_from_front
from .rois import roi_nodes
from .segments import SEGMENTATION
from .views import STANDARD_VIEWS

#: Through a surface this opaque one sees the edges inside.
_OVER_EDGES = 0.25

#: Room around a spine that fills a view, as a multiple of it.
_ROOM = 1.1

#: Id of the view of the axial plane in our layout.
AXIAL_VIEW = "vtkMRMLSliceNodeRed"


def is_run_shown(scene: Scene, run: str) -> bool:
    """Whether a run is shown: its segments are as long as it is, whatever else is shown of it."""
    node = find_node(scene, SEGMENTATION, run=run)
    return node is not None and bool(node.GetDisplayVisibility())


def show_run(
    scene: Scene, run: str, shown: bool, *, on_reference: bool = False, bone: bool = False, edges_of: str = ""
) -> None:
    """Show a run, or hide all of it.

    on_reference: the surfaces of its reference in place of its own, where there are any. bone: the spine as a rendered
    volume in place of surfaces. edges_of: the level whose edge map is drawn. Raises EARError without volume rendering.
    """
    on_reference = on_reference and find_node(scene, REFERENCE, run=run) is not None
    for kind, seen in ((SURFACE, not on_reference), (REFERENCE, on_reference)):
        for node in find_nodes(scene, kind, run=run):
            node.SetDisplayVisibility(shown and seen and not bone)
    for node in find_nodes(scene, SEGMENTATION, run=run):
        node.SetDisplayVisibility(shown)
    for node in find_nodes(scene, SPINE, run=run):
        if not (shown and bone):
            stop_rendering(scene, node)
        elif not is_rendered(node):
            render_bone(scene, node, _threshold_hu(scene, run))
    for node in find_nodes(scene, EDGES, run=run):
        if not (shown and node.GetAttribute(LEVEL) == edges_of):
            stop_rendering(scene, node)
        elif not is_rendered(node):
            render_edges(scene, node)
    for node in find_nodes(scene, SURFACE, run=run):
        over = node.GetAttribute(LEVEL) == edges_of and edges_node(scene, run, edges_of) is not None
        node.GetDisplayNode().SetOpacity(_OVER_EDGES if over else 1.0)
    update_legend(scene)


def show_boxes(scene: Scene) -> None:
    """In 3-D a box would stand before its vertebra: draw only those of levels of which nothing else is seen there."""
    seen = {
        node.GetAttribute(LEVEL) for node in find_nodes(scene, VOLUME) if is_run_shown(scene, node.GetAttribute(RUN))
    }
    for node in roi_nodes(scene):
        if node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility3D(node.GetAttribute(LEVEL) not in seen)


def edges_node(scene: Scene, run: str, level: str) -> Node | None:
    """The volume node of a vertebra's edge map; None when its network draws none."""
    return find_node(scene, EDGES, run=run, level=level)


def show_in_planes(scene: Scene, run: str, edges_of: str = "") -> None:
    """Show the spine of a run in the planes of volumes, with the edge map of a level over it."""
    for name in STANDARD_VIEWS[1:]:
        view = scene.GetNodeByID(name)
        if view is not None:
            show_layers(scene, view, find_node(scene, SPINE, run=run), edges_node(scene, run, edges_of))


def look_at(scene: Scene, run: str) -> None:
    """Turn the 3-D cameras to the front of a run's spine, and the axial plane to the middle of it."""
    spine = find_node(scene, SPINE, run=run)
    if spine is None:
        return
    bounds = [0.0] * 6
    spine.GetRASBounds(bounds)
    look_from_front([node for node in list(scene.GetNodes()) if node.IsA("vtkMRMLCameraNode")], bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    middle, extent = (low + high) / 2, high - low
    axial = scene.GetNodeByID(AXIAL_VIEW)
    if axial is not None:
        columns, rows, _ = axial.GetDimensions()
        per_pixel = _ROOM * max(extent[0] / columns, extent[1] / rows)
        axial.SetFieldOfView(columns * per_pixel, rows * per_pixel, axial.GetFieldOfView()[2])
        axial.JumpSliceByCentering(*middle)


def notes_of(scene: Scene, run: str) -> list[str]:
    """What the user should know of a run, each sentence once."""
    facts = (json.loads(node.GetAttribute(FACTS)) for node in find_nodes(scene, VOLUME, run=run))
    return list(dict.fromkeys(note for one in facts for note in one["notes"]))


def _threshold_hu(scene: Scene, run: str) -> float:
    facts = (json.loads(node.GetAttribute(FACTS)) for node in find_nodes(scene, VOLUME, run=run))
    return float(next(facts)["threshold_hu"])
