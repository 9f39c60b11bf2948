"""A case in the scene, and the scene as a case."""

from __future__ import annotations

from ..case import Case
from ..radiograph import ROLES
from .nodes import LEVEL, Scene, all_or_nothing, remove_nodes
from .radiographs import geometry_of, radiograph_nodes, radiograph_of, show_radiograph
from .rois import roi_nodes, roi_of, show_roi


def show_case(scene: Scene, case: Case) -> None:
    """Show a case's radiographs and ROIs in place of those that are in the scene. Results stay.

    Raises EARError's kinds; then nothing has been added.
    """
    radiographs = radiograph_nodes(scene)
    old = {node.GetAttribute(LEVEL): node for node in roi_nodes(scene)}
    levels = {roi.level for roi in case.rois}
    with all_or_nothing(scene):
        for radiograph, view in zip(case.radiographs, case.geometry.views, strict=True):
            show_radiograph(scene, radiograph, view, radiographs.get(radiograph.role))
        for roi in case.rois:
            show_roi(scene, roi, old.get(roi.level))
    remove_nodes(scene, [node for level, node in old.items() if level not in levels])


def case_of(scene: Scene, name: str = "scene") -> Case:
    """The radiographs, their geometry and the ROIs of the scene.

    Raises GeometryError when a radiograph is missing or both look the same way, CaseError when a ROI's centre lies
    outside one.
    """
    geometry = geometry_of(scene)
    nodes = radiograph_nodes(scene)
    frontal, lateral = (radiograph_of(nodes[role]) for role in ROLES)
    return Case(name, frontal, lateral, geometry, tuple(roi_of(node) for node in roi_nodes(scene)))
