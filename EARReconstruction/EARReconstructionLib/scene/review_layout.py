"""A layout to read a comparison: the spine in 3-D beside its histogram and its table."""

from __future__ import annotations

from .nodes import Node, Scene, find_node
from .tables import CHART, STATISTICS

#: Number of this layout, beside layout.LAYOUT_ID.
REVIEW_LAYOUT_ID = 2410

#: Singleton tag of its chart and table views.
_TAG = "EARReview"

_DESCRIPTION = f"""
<layout type="horizontal" split="true">
 <item splitSize="600"><view class="vtkMRMLViewNode" singletontag="1">
  <property name="viewlabel" action="default">1</property>
 </view></item>
 <item splitSize="400"><layout type="vertical" split="true">
  <item><view class="vtkMRMLPlotViewNode" singletontag="{_TAG}">
   <property name="viewlabel" action="default">P</property>
  </view></item>
  <item><view class="vtkMRMLTableViewNode" singletontag="{_TAG}">
   <property name="viewlabel" action="default">T</property>
  </view></item>
 </layout></item>
</layout>
"""


def add_review_layout(layout_node: Node) -> int:
    """Make the layout known to the scene's vtkMRMLLayoutNode; return its number."""
    if not layout_node.IsLayoutDescription(REVIEW_LAYOUT_ID):
        layout_node.AddLayoutDescription(REVIEW_LAYOUT_ID, _DESCRIPTION)
    return REVIEW_LAYOUT_ID


def show_numbers(scene: Scene, run: str) -> None:
    """Show the histogram and the statistics of a run in the views of the layout; nothing where it has none."""
    for view_class, kind, setter in (
        ("vtkMRMLPlotViewNode", CHART, "SetPlotChartNodeID"),
        ("vtkMRMLTableViewNode", STATISTICS, "SetTableNodeID"),
    ):
        view, node = scene.GetSingletonNode(_TAG, view_class), find_node(scene, kind, run=run)
        if view is not None:
            getattr(view, setter)(node.GetID() if node else None)
