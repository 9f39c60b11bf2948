"""A reference from a file: read on any thread, then shown as a node of the scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..errors import ReferenceSurfaceError
from ..scene.nodes import Node, Scene, add_node, remove_nodes, set_voxels
from ..surface import MESH_SUFFIXES, read_surface
from ..volume_io import Volume, read_volume

#: Kind of a reference's own node, as it was opened.
OPENED = "opened-reference"

#: A label map has few values, and none beyond those of VerSe.
_LARGEST_LABEL = 28


@dataclass(frozen=True, eq=False)
class Reference:
    """What was read: a mesh of one vertebra, a segmentation file of 3D Slicer, a label map, or a CT."""

    name: str
    path: Path
    surface: vtkPolyData | None = None
    volume: Volume | None = None
    is_ct: bool = False

    def show(self, scene: Scene) -> Node:
        """Put it into the scene, unseen; return its node. Raises ReferenceSurfaceError for a damaged segmentation."""
        if self.surface is not None:
            node = add_node(scene, "vtkMRMLModelNode", self.path.stem, OPENED)
            node.SetAndObservePolyData(self.surface)
            return node
        if self.volume is not None:
            kind = "vtkMRMLScalarVolumeNode" if self.is_ct else "vtkMRMLLabelMapVolumeNode"
            node = add_node(scene, kind, self.path.stem, OPENED)
            set_voxels(node, self.volume.array, self.volume.ras_from_ijk)
            return node
        node = add_node(scene, "vtkMRMLSegmentationNode", self.name.removesuffix(".seg.nrrd"), OPENED)
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(self.path))
        if not storage.ReadData(node) or not node.GetSegmentation().GetNumberOfSegments():
            remove_nodes(scene, [node])
            raise ReferenceSurfaceError(
                self.name, "it is no segmentation that can be read", "Export it again from 3D Slicer"
            )
        node.SetDisplayVisibility(False)
        return node


def read_reference(path: Path) -> Reference:
    """Read a file of any kind that can be a reference. Raises ReferenceSurfaceError."""
    if path.suffix.lower() in MESH_SUFFIXES:
        return Reference(path.name, path, surface=read_surface(path))
    volume = read_volume(path)
    if path.name.lower().endswith(".seg.nrrd"):
        return Reference(path.name, path)
    return Reference(path.name, path, volume=volume, is_ct=not _is_label_map(volume))


def _is_label_map(volume: Volume) -> bool:
    values = volume.array
    if values.min() < 0 or values.max() > _LARGEST_LABEL:
        return False
    return bool(np.issubdtype(values.dtype, np.integer) or np.array_equal(values, np.round(values)))
