"""References: the nodes that can be one, and files that hold one."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..case import Case
from ..errors import ReferenceSurfaceError
from ..scene.nodes import KIND, Node, Scene, remove_nodes
from ..scene.segments import add_surface_segments
from ..surface import MESH_SUFFIXES, read_surface
from ..vertebra import VERSE_LABEL

#: Attribute of the reference that came with a case.
_OF_CASE = "EAR.case"

_KINDS = ("vtkMRMLSegmentationNode", "vtkMRMLModelNode", "vtkMRMLScalarVolumeNode")


def reference_nodes(scene: Scene) -> list[Node]:
    """The nodes that can be a reference: none of ours, none that is hidden from the user."""
    return [node for kind in _KINDS for node in slicer.util.getNodesByClass(kind, scene) if _may_be_reference(node)]


def load_reference(path: Path) -> Node:
    """Load a segmentation, a label map, a mesh or a CT; return its node, not shown.

    Raises ReferenceSurfaceError for a file that cannot be read.
    """
    if path.suffix.lower() in MESH_SUFFIXES:
        read_surface(path)  # for its errors: 3D Slicer takes an empty file for a mesh, and dies of a shortened one
    try:
        if path.name.lower().endswith(".seg.nrrd"):
            node = slicer.util.loadSegmentation(str(path))
        elif path.suffix.lower() in (*MESH_SUFFIXES, ".vtk"):
            node = slicer.util.loadModel(str(path))
        else:
            node = slicer.util.loadVolume(str(path), {"show": False})
    except RuntimeError as error:
        raise ReferenceSurfaceError(
            path, _("3D Slicer cannot read it"), _("Choose a segmentation, a mesh or a CT")
        ) from error
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(False)
    return node


def load_reference_of(case: Case) -> Node | None:
    """Load the reference of a case in place of that of an earlier case; return its node, None when it has none.

    Meshes become the segments of one segmentation. Raises ReferenceSurfaceError.
    """
    scene, reference = slicer.mrmlScene, case.reference
    earlier = [node for node in list(scene.GetNodes()) if node.GetAttribute(_OF_CASE)]
    node = None
    if reference is not None:
        path = reference.segmentation or reference.volume
        if path is not None:
            node = load_reference(path)
        else:
            surfaces = {level: read_surface(mesh) for level, mesh in reference.meshes.items()}
            node = add_surface_segments(scene, surfaces)
        node.SetName(_("Reference of {case}").format(case=case.name))
        node.SetAttribute(_OF_CASE, case.name)
    remove_nodes(scene, earlier)
    return node


def is_ct(node: Node) -> bool:
    """Whether a threshold makes sense: values of a CT go below and beyond those of VerSe's labels."""
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        return False
    low, high = node.GetImageData().GetScalarRange()
    return low < 0 or high > max(VERSE_LABEL.values())


def _may_be_reference(node: Node) -> bool:
    if node.GetAttribute(KIND) is not None or node.GetHideFromEditors():
        return False
    if node.IsA("vtkMRMLVolumeNode"):  # a radiograph that Slicer has loaded is one slice
        return node.GetImageData() is not None and min(node.GetImageData().GetDimensions()) > 1
    return True
