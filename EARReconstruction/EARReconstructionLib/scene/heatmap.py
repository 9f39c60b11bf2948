"""Heat maps: the signed distance to the other surface in mm, as colours on a model, with a legend in mm.

Red: the reconstruction lies inside the reference, bone is missing. Blue: outside, too much. Pale: it fits.
"""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

from ..colours import RANGE_MM, distance_colours
from ..distance import SIGNED_DISTANCE
from ..errors import EARError
from .nodes import KIND, Node, Scene, add_node, find_node, find_nodes, remove_nodes

COLOURS, LEGEND = "distance-colours", "distance-legend"

TITLE = "Signed distance (mm)"

#: Attribute of a model that carries distances.
MEASURED = "EAR.measured"


def show_distances(node: Node, surface: vtkPolyData, range_mm: float = RANGE_MM) -> None:
    """Colour a model by its distances and show the legend.

    surface: the model's own, with point scalars SIGNED_DISTANCE in mm (Comparison.surface, distance.with_distances).
    range_mm: the colours run from minus to plus this. Raises EARError for a surface without distances, or no range.
    """
    if surface.GetPointData().GetArray(SIGNED_DISTANCE) is None:
        raise EARError(node.GetName(), "it has not been compared with a reference", "Compare it first")
    _check(range_mm)
    node.SetAndObservePolyData(surface)
    node.SetAttribute(MEASURED, "yes")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetActiveScalar(SIGNED_DISTANCE, vtkAssignAttribute.POINT_DATA)
    display.SetAndObserveColorNodeID(distance_colour_node(node.GetScene()).GetID())
    display.SetScalarRangeFlag(display.UseManualScalarRange)
    display.SetScalarRange(-range_mm, range_mm)
    set_heat_map(node.GetScene(), True, [node])


def measured_nodes(scene: Scene) -> list[Node]:
    """The models that carry distances, whether they are shown as colours or not."""
    return [node for node in find_nodes(scene) if node.GetAttribute(MEASURED)]


def set_heat_map(scene: Scene, on: bool, nodes: list[Node] | None = None) -> None:
    """Show distances as colours, or the models in their own colour. nodes: of these models only."""
    for node in measured_nodes(scene) if nodes is None else nodes:
        node.GetDisplayNode().SetScalarVisibility(on)
    update_legend(scene)


def set_range(scene: Scene, range_mm: float) -> None:
    """Let the colours of all heat maps run from minus to plus ``range_mm``. Raises EARError for no range."""
    _check(range_mm)
    for node in measured_nodes(scene):
        node.GetDisplayNode().SetScalarRange(-range_mm, range_mm)


def forget_distances(node: Node) -> None:
    """Show a model in its own colour again: it has a new surface, which nobody has measured."""
    node.RemoveAttribute(MEASURED)
    node.GetDisplayNode().SetScalarVisibility(False)
    update_legend(node.GetScene())


def distance_colour_node(scene: Scene) -> Node:
    """The colour table of all heat maps, made when there is none."""
    table = find_node(scene, COLOURS)
    if table is None:
        table = add_node(scene, "vtkMRMLColorTableNode", TITLE, COLOURS)
        table.SetTypeToUser()  # a table without a type makes a saved scene unreadable
        colours = distance_colours()
        table.SetNumberOfColors(len(colours))
        for n, (red, green, blue) in enumerate(colours.tolist()):
            table.SetColor(n, f"{n}", red, green, blue, 1.0)
    return table


def update_legend(scene: Scene) -> None:
    """One legend, beside a heat map that can be seen rather than a hidden one; none when there is none."""
    coloured = [node for node in measured_nodes(scene) if node.GetDisplayNode().GetScalarVisibility()]
    owner = max(coloured, key=lambda node: node.GetDisplayNode().GetVisibility(), default=None)
    wanted = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(owner) if owner else None
    remove_nodes(scene, [node for node in find_nodes(scene, LEGEND) if node is not wanted])
    if owner is None or wanted is not None:
        return
    if not scene.GetClassNameByTag("ColorLegendDisplay"):
        scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # outside the desktop nobody else does
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(owner)
    legend.SetAttribute(KIND, LEGEND)
    legend.SetTitleText(TITLE)
    legend.SetLabelFormat("%.1f")
    legend.SetNumberOfLabels(5)
    legend.SetSize(0.08, 0.4)  # of the view; the texts grow with it
    legend.SetPosition(0.98, 0.5)
    legend.SetVisibility(True)


def _check(range_mm: float) -> None:
    if not range_mm > 0:
        raise EARError("heat map", f"a range of {range_mm:g} mm", "Give a range above 0 mm")
