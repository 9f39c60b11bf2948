"""The views of EAR Training: curves over the table of results."""

from __future__ import annotations

from EARReconstructionLib.scene.nodes import Node, Scene

#: Number of the layout; 3D Slicer keeps those below 500 for itself.
LAYOUT_ID = 2408

#: Tags of the views, which fix their nodes' ids.
CURVES, RESULTS = "EARCurves", "EARResults"

_DESCRIPTION = f"""
<layout type="vertical" split="true">
 <item splitSize="600"><view class="vtkMRMLPlotViewNode" singletontag="{CURVES}">
  <property name="viewlabel" action="default">C</property></view></item>
 <item splitSize="400"><view class="vtkMRMLTableViewNode" singletontag="{RESULTS}">
  <property name="viewlabel" action="default">R</property></view></item>
</layout>
"""


def add_layout(layout_node: Node) -> int:
    """Make the layout known to the scene's vtkMRMLLayoutNode; return its number."""
    if not layout_node.IsLayoutDescription(LAYOUT_ID):
        layout_node.AddLayoutDescription(LAYOUT_ID, _DESCRIPTION)
    return LAYOUT_ID


def show_in_views(scene: Scene, *, chart: Node | None = None, table: Node | None = None) -> None:
    """Show a chart or a table in the layout's views, once the layout has been chosen."""
    plots = scene.GetNodeByID(f"vtkMRMLPlotViewNode{CURVES}")
    if plots is not None and chart is not None:
        plots.SetPlotChartNodeID(chart.GetID())
    tables = scene.GetNodeByID(f"vtkMRMLTableViewNode{RESULTS}")
    if tables is not None and table is not None:
        tables.SetTableNodeID(table.GetID())
