"""What all scene code shares: how our nodes are marked and found, arrays in and out, and nothing left half-added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..geometry.frames import Affine

#: A node of the scene, and the scene itself: their classes are wrapped C++ without type hints.
Node = Any
Scene = Any

#: Attributes that mark a node as ours. They are saved with the scene.
KIND, LEVEL, ROLE, RUN = "EAR.kind", "EAR.level", "EAR.role", "EAR.run"

#: Kinds that several parts speak of.
VOLUME, SURFACE, REFERENCE, EDGES, SPINE = "volume", "surface", "reference", "edges", "spine"
EXPECTED = "expected-error"


def add_node(
    scene: Scene,
    class_name: str,
    name: str,
    kind: str,
    *,
    display: Node | None = None,
    hidden: bool = False,
    saved: bool = True,
    prepare: Callable[[Node], None] | None = None,
    **attributes: str,
) -> Node:
    """Add a node that is complete before anyone hears of it: a view that follows its changes takes 20 ms for each.

    display: a display node of the scene for it; without one, views draw a new markup in their default way first.
    hidden: from lists and selectors. saved: with the scene. prepare: completes the node, which has no scene yet.
    attributes: ``level="L1"`` becomes EAR.level.
    """
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)  # a created node comes with a reference of its own
    node.SetName(name)
    node.SetAttribute(KIND, kind)
    for key, value in attributes.items():
        node.SetAttribute(f"EAR.{key}", value)
    node.SetHideFromEditors(hidden)
    node.SetSaveWithScene(saved)
    if display is not None:
        node.SetAndObserveDisplayNodeID(display.GetID())
    if prepare is not None:
        prepare(node)
    return scene.AddNode(node)


def find_nodes(
    scene: Scene, kind: str | None = None, *, class_name: str = "vtkMRMLNode", **attributes: str
) -> list[Node]:
    """Our nodes of a kind (None: any) with these attributes, in the order in which they were added.

    class_name: of the nodes. What asks at each change of the scene names it: most nodes of a scene are colour tables.
    """
    nodes = scene.GetNodesByClass(class_name)
    nodes.UnRegister(None)  # it comes with a reference of its own
    return [
        node
        for node in list(nodes)
        if node.GetAttribute(KIND) is not None
        and kind in (None, node.GetAttribute(KIND))
        and all(node.GetAttribute(f"EAR.{key}") == value for key, value in attributes.items())
    ]


def find_node(scene: Scene, kind: str, **attributes: str) -> Node | None:
    """The first of find_nodes, or None."""
    found = find_nodes(scene, kind, **attributes)
    return found[0] if found else None


def remove_nodes(scene: Scene, nodes: Iterable[Node]) -> None:
    """Remove nodes with their display and storage nodes, and their places in the subject hierarchy."""
    hierarchy = scene.GetSubjectHierarchyNode()
    for node in nodes:
        parts = []
        if node.IsA("vtkMRMLDisplayableNode"):
            parts += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
        if node.IsA("vtkMRMLStorableNode"):
            parts += [node.GetNthStorageNode(n) for n in range(node.GetNumberOfStorageNodes())]
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if item:
            hierarchy.RemoveItem(item, False, False)
        for one in (node, *parts):
            if one is not None and scene.IsNodePresent(one):
                scene.RemoveNode(one)


@contextmanager
def all_or_nothing(scene: Scene) -> Iterator[None]:
    """Nodes that are added inside are removed again when the block fails."""
    before = {node.GetID() for node in list(scene.GetNodes())}
    try:
        yield
    except BaseException:
        remove_nodes(scene, [node for node in list(scene.GetNodes()) if node.GetID() not in before])
        raise


@contextmanager
def at_once(scene: Scene) -> Iterator[None]:
    """Whoever follows the scene looks at it after the block, not after each of its changes."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)


def matrix(affine: ArrayLike) -> vtkMatrix4x4:
    """A (4, 4) array as VTK has it."""
    result = vtkMatrix4x4()
    result.DeepCopy(np.asarray(affine, float).ravel().tolist())
    return result


def array_of(affine: vtkMatrix4x4) -> Affine:
    """The inverse of ``matrix``."""
    return np.array([[affine.GetElement(row, column) for column in range(4)] for row in range(4)])


def affine_of(volume: Node) -> Affine:
    """(4, 4) voxel centres of a volume node to RAS mm."""
    result = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(result)
    return array_of(result)


def set_voxels(volume: Node, array: NDArray[Any], ras_from_ijk: ArrayLike) -> None:
    """Give a volume node voxels (k, j, i), copied, and their place in RAS mm."""
    voxels = np.ascontiguousarray(array)
    image = vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    volume.SetIJKToRASMatrix(matrix(ras_from_ijk))
    volume.SetAndObserveImageData(image)


def voxels_of(volume: Node) -> NDArray[Any]:
    """(k, j, i) voxels of a volume node, copied."""
    image = volume.GetImageData()
    return np.array(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]))
