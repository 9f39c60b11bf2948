"""What Slicer's subject hierarchy plugins do to the scene: each node that is added gets its item in the hierarchy."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

#: Classes that the plugins of Slicer's own modules claim.
_CLAIMED = (
    "vtkMRMLVolumeNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLSequenceNode",
)
_EXCLUDED = "SubjectHierarchy.ExcludeFromTree"


class HierarchyKeeper:
    """Keeps the subject hierarchy of a scene in step with its nodes. Items of single segments are not made."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        scene.AddObserver(scene.NodeAddedEvent, self._on_added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._on_removed)
        scene.AddObserver(scene.EndImportEvent, self._on_imported)
        scene.AddObserver(scene.EndCloseEvent, lambda *_: self._hierarchy())

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, _caller: Any, _event: str, node: Any) -> None:
        if not self._scene.IsImporting():
            self._add(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, _caller: Any, _event: str, node: Any) -> None:
        if self._scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        item = self._hierarchy().GetItemByDataNode(node)
        if item:
            self._hierarchy().RemoveItem(item, False, False)

    def _on_imported(self, *_: Any) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLStorableNode", self._scene):
            if not self._hierarchy().GetItemByDataNode(node):
                self._add(node)

    def _add(self, node: Any) -> None:
        claimed = any(node.IsA(kind) for kind in _CLAIMED)
        if claimed and not node.GetHideFromEditors() and not node.GetAttribute(_EXCLUDED):
            self._hierarchy().CreateItem(self._hierarchy().GetSceneItemID(), node)
