"""Heat maps: lengths in mm as colours on a model, with a legend. The signed distance to the other surface, or the error
to expect where nothing was measured; a model shows one of them.

Red: the reconstruction lies inside the reference, bone is missing. Blue: outside, too much. Pale: it fits. Green: the
darker, the less sure.
"""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

from ..colours import RANGE_MM, distance_colours, error_colours
from ..distance import SIGNED_DISTANCE
from ..errors import EARError
from ..expected_error import EXPECTED_ERROR
from .nodes import KIND, SURFACE, Node, Scene, add_node, find_node, find_nodes, remove_nodes

COLOURS, LEGEND = "distance-colours", "distance-legend"

#: Kind of the colour table of expected errors.
ERROR_COLOURS = "error-colours"

#: What the legend says of the point scalars that are shown.
TITLES = {SIGNED_DISTANCE: "Signed distance (mm)", EXPECTED_ERROR: "Expected error (mm)"}
TITLE = TITLES[SIGNED_DISTANCE]

#: Attribute of a model that carries distances, and of the range of its colours in mm.
MEASURED, RANGE = "EAR.measured", "EAR.range-mm"


def show_distances(node: Node, surface: vtkPolyData, range_mm: float = RANGE_MM) -> None:
    """Colour a model by its distances and show the legend.

    surface: the model's own, with point scalars SIGNED_DISTANCE in mm (Comparison.surface, distance.with_distances).
    range_mm: the colours run from minus to plus this. Raises EARError for a surface without distances, or no range.
    """
    if surface.GetPointData().GetArray(SIGNED_DISTANCE) is None:
        raise EARError(node.GetName(), "it has not been compared with a reference", "Compare it first")
    _check(range_mm)
    shown = node.GetPolyData()
    expected = shown.GetPointData().GetArray(EXPECTED_ERROR) if shown else None
    if expected is not None and expected.GetNumberOfTuples() == surface.GetNumberOfPoints():
        surface.GetPointData().AddArray(expected)  # a comparison measures bare copies of surfaces
    node.SetAndObservePolyData(surface)
    node.SetAttribute(MEASURED, "yes")
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(RANGE, repr(float(range_mm)))
    set_heat_map(node.GetScene(), True, [node])


def measured_nodes(scene: Scene) -> list[Node]:
    """The models that carry distances, whether they are shown as colours or not."""
    return [node for node in find_nodes(scene) if node.GetAttribute(MEASURED)]


def set_heat_map(scene: Scene, on: bool, nodes: list[Node] | None = None) -> None:
    """Show distances as colours, or the models in their own colour. nodes: of these models only."""
    for node in measured_nodes(scene) if nodes is None else nodes:
        range_mm = float(node.GetAttribute(RANGE) or RANGE_MM)  # scenes of version 0.3 do not say it
        _show(node, SIGNED_DISTANCE, distance_colour_node(scene), (-range_mm, range_mm), on)
    update_legend(scene)


def expecting_nodes(scene: Scene) -> list[Node]:
    """The models of rebuilt vertebrae that know how far off they may be."""
    found = [(node, node.GetPolyData()) for node in find_nodes(scene, SURFACE)]
    return [node for node, surface in found if surface and surface.GetPointData().GetArray(EXPECTED_ERROR)]


def set_expected_errors(scene: Scene, on: bool) -> None:
    """Show the expected errors of rebuilt vertebrae as colours up to RANGE_MM, or the models in their own colour.

    They take the place of heat maps; ``set_heat_map`` brings those back.
    """
    for node in expecting_nodes(scene):
        _show(node, EXPECTED_ERROR, error_colour_node(scene), (0.0, RANGE_MM), on)
    update_legend(scene)


def _show(node: Node, scalars: str, colours: Node, range_mm: tuple[float, float], on: bool) -> None:
    """Show point scalars of a model as colours, or no longer, if it is these that are shown."""
    display = node.GetDisplayNode()
    if on:
        display.SetActiveScalar(scalars, vtkAssignAttribute.POINT_DATA)
        display.SetAndObserveColorNodeID(colours.GetID())
        display.SetScalarRangeFlag(display.UseManualScalarRange)
        display.SetScalarRange(*range_mm)
    if display.GetActiveScalarName() == scalars:
        display.SetScalarVisibility(on)


def set_range(scene: Scene, range_mm: float) -> None:
    """Let the colours of all heat maps run from minus to plus ``range_mm``. Raises EARError for no range."""
    _check(range_mm)
    for node in measured_nodes(scene):
        node.SetAttribute(RANGE, repr(float(range_mm)))
        if node.GetDisplayNode().GetActiveScalarName() == SIGNED_DISTANCE:
            node.GetDisplayNode().SetScalarRange(-range_mm, range_mm)


def forget_distances(node: Node) -> None:
    """Show a model in its own colour again: it has a new surface, which nobody has measured."""
    node.RemoveAttribute(MEASURED)
    node.GetDisplayNode().SetScalarVisibility(False)
    update_legend(node.GetScene())


def distance_colour_node(scene: Scene) -> Node:
    """The colour table of all heat maps, made when there is none."""
    return _colour_node(scene, COLOURS, TITLE, distance_colours())


def error_colour_node(scene: Scene) -> Node:
    """The colour table of all expected errors, made when there is none."""
    return _colour_node(scene, ERROR_COLOURS, TITLES[EXPECTED_ERROR], error_colours())


def _colour_node(scene: Scene, kind: str, name: str, colours: NDArray[np.float64]) -> Node:
    table = find_node(scene, kind)
    if table is None:
        table = add_node(scene, "vtkMRMLColorTableNode", name, kind)
        table.SetTypeToUser()  # a table without a type makes a saved scene unreadable
        table.SetNumberOfColors(len(colours))
        for n, (red, green, blue) in enumerate(colours.tolist()):
            table.SetColor(n, f"{n}", red, green, blue, 1.0)
    return table


def update_legend(scene: Scene) -> None:
    """One legend, beside a heat map that can be seen rather than a hidden one; none when there is none."""
    able = {node.GetID(): node for node in (*measured_nodes(scene), *expecting_nodes(scene))}
    coloured = [node for node in able.values() if node.GetDisplayNode().GetScalarVisibility()]
    owner = max(coloured, key=lambda node: node.GetDisplayNode().GetVisibility(), default=None)
    wanted = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(owner) if owner else None
    remove_nodes(scene, [node for node in find_nodes(scene, LEGEND) if node is not wanted])
    if owner is None:
        return
    title = TITLES[owner.GetDisplayNode().GetActiveScalarName()]
    if wanted is not None:
        wanted.SetTitleText(title)
        return
    if not scene.GetClassNameByTag("ColorLegendDisplay"):
        scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # outside the desktop nobody else does
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(owner)
    legend.SetAttribute(KIND, LEGEND)
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.1f")
    legend.SetNumberOfLabels(5)
    legend.SetSize(0.08, 0.4)  # of the view; the texts grow with it
    legend.SetPosition(0.98, 0.5)
    legend.SetVisibility(True)


def _check(range_mm: float) -> None:
    if not range_mm > 0:
        raise EARError("heat map", f"a range of {range_mm:g} mm", "Give a range above 0 mm")
