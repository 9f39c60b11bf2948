"""A vertebra of a prepared data set in the scene: its volume, its segmentation, and its two X-rays. No Qt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from EARReconstructionLib.radiograph import ROLES, Radiograph
from EARReconstructionLib.scene.layout import show_layers
from EARReconstructionLib.scene.nodes import Node, Scene, add_node, all_or_nothing, find_nodes, remove_nodes, set_voxels
from EARReconstructionLib.scene.radiographs import remove_radiograph, show_radiograph
from EARReconstructionLib.scene.views import STANDARD_VIEWS

from ..datasets.manifest import Row
from ..datasets.prepared import PreparedDataset

#: Attribute of our nodes, and kind of the volume and of the segmentation.
MARK, VOLUME, SEGMENTATION = "EAR.preview", "preview volume", "preview segmentation"

#: HU shown as black and as white: air around the vertebra to cortical bone.
_WINDOW_HU = (-1000.0, 1200.0)

#: Room for the volume in a slice view, as a multiple of it.
_ROOM = 1.04


def show_vertebra(scene: Scene, dataset: PreparedDataset, row: Row) -> Node:
    """Show a vertebra in place of the one before; return its volume's node. The user's own nodes stay.

    Its X-rays show the area density that the rays passed, all materials together: before the tube, and without noise.
    Raises DatasetError for a file that is missing or damaged; then the scene is as it was.
    """
    volume, xrays = dataset.volume(row), dataset.xrays(row)
    earlier = _nodes(scene)
    with all_or_nothing(scene):
        node = add_node(scene, "vtkMRMLScalarVolumeNode", row.id, VOLUME)
        set_voxels(node, volume.array, volume.ras_from_ijk)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(*_WINDOW_HU)
        nodes = [node, _segmentation(dataset.folder / "masks" / f"{row.id}.seg.nrrd", row)]
        for role, view, area in zip(ROLES, xrays.views, xrays.area_density, strict=True):
            pixels = np.ascontiguousarray(area.sum(0), np.float32)
            angles = view.alpha_deg, view.beta_deg
            path = dataset.folder / "xrays" / f"{row.id}.npz"
            nodes.append(
                show_radiograph(scene, Radiograph(pixels, "display", view.pixel_mm, role, angles, view, path), view)
            )
        for shown in nodes:
            shown.SetAttribute(MARK, row.id)
    _remove(scene, earlier)
    return node


def show_in_slices(scene: Scene, volume: Node) -> None:
    """Show the volume in the standard slice views, through its middle and whole."""
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    side = _ROOM * max(np.subtract(bounds[1::2], bounds[::2]))
    for name in ("Red", "Green", "Yellow"):
        slice_node = scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        if slice_node is not None:
            show_layers(scene, slice_node, volume)
            slice_node.JumpSliceByCentering(*(np.add(bounds[::2], bounds[1::2]) / 2))
            columns, rows, _ = slice_node.GetDimensions()
            per_pixel = side / max(min(columns, rows), 1)
            slice_node.SetFieldOfView(columns * per_pixel, rows * per_pixel, slice_node.GetFieldOfView()[2])


def remove_vertebra(scene: Scene) -> None:
    """Remove what show_vertebra added."""
    _remove(scene, _nodes(scene))


def shown_vertebra(scene: Scene) -> str:
    """Id of the vertebra that is shown, "" when none is."""
    return next((str(node.GetAttribute(MARK)) for node in _nodes(scene)), "")


def _segmentation(path: Path, row: Row) -> Node:
    node = slicer.util.loadSegmentation(str(path), {"name": f"{row.id} segmentation"})
    node.SetAttribute("EAR.kind", SEGMENTATION)
    node.CreateClosedSurfaceRepresentation()
    for view in STANDARD_VIEWS:  # a cut through the isocentre says nothing about an X-ray
        node.GetDisplayNode().AddViewNodeID(view)
    return node


def _nodes(scene: Scene) -> list[Node]:
    return [node for node in find_nodes(scene) if node.GetAttribute(MARK)]


def _remove(scene: Scene, nodes: list[Node]) -> None:
    for node in nodes:
        if node.GetAttribute("EAR.role"):
            remove_radiograph(scene, node)
        else:
            remove_nodes(scene, [node])
