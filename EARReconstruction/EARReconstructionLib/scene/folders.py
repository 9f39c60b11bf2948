"""Folders of the subject hierarchy: one for each run, that is for what one model made."""

from __future__ import annotations

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

from .nodes import RUN, Node, Scene


def file_under(scene: Scene, node: Node, run: str) -> None:
    """Put a node into the folder of a run, which is made when there is none."""
    hierarchy = _hierarchy(scene)
    folder = _folder(scene, run)
    if not folder:
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), f"EAR {run}")
        hierarchy.SetItemAttribute(folder, RUN, run)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
    else:  # the desktop makes items by itself, other applications do not
        hierarchy.CreateItem(folder, node)


def remove_folder(scene: Scene, run: str) -> None:
    """Remove the folder of a run, not the nodes in it."""
    folder = _folder(scene, run)
    if folder:
        _hierarchy(scene).RemoveItem(folder, False, False)


def _hierarchy(scene: Scene) -> Node:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _folder(scene: Scene, run: str) -> int:
    hierarchy, items = _hierarchy(scene), vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items)
    for n in range(items.GetNumberOfIds()):
        if hierarchy.GetItemAttribute(items.GetId(n), RUN) == run:
            return int(items.GetId(n))
    return 0
