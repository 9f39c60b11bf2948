"""What a run can be compared with: a segmentation, a model, a label map or a CT of the scene, as shapes in RAS mm.

Everything is copied from the scene first; surfaces are made from the copies, on whatever thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import reference as by_reference
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..comparison import BONE_THRESHOLD_HU, Shape, cut_box, cut_label, shapes_in_ct
from ..errors import ReferenceSurfaceError
from ..geometry.frames import Affine, transform_points, voxel_sizes_mm
from ..surface import mask_surface, points_of, polydata, triangles_of, triangulated, with_normals
from ..vertebra import VERSE_LABEL, VertebraROI
from ..volume_io import Volume
from .nodes import KIND, LEVEL, Node, Scene, affine_of, array_of
from .radiographs import RADIOGRAPH
from .results import rois_of, vertebrae
from .terminology import level_meant, level_named

#: Shares of a voxel: axes farther from right angles are a shear, on which masks are not resampled.
_SHEAR_TOLERANCE = 1e-3

ROIs = Mapping[str, VertebraROI]

#: Makes a shape from copies. Raises ReferenceSurfaceError.
Make = Callable[[], Shape]


def run_shapes(scene: Scene, run: str) -> dict[str, Shape]:
    """Level -> shape of the vertebrae of a run that have bone; copies. Raises ReferenceSurfaceError for a moved one."""
    shapes = {}
    for one in vertebrae(scene, run):
        node = one.surface_node
        if node is None:
            continue
        if node.GetParentTransformNode() is not None:
            raise ReferenceSurfaceError(
                node.GetName(), "a transform moves it away from its radiographs", "Move the reference instead"
            )
        mask = Volume(one.mask, one.ras_from_ijk)
        shapes[one.roi.level] = Shape(_surface(node.GetPolyData(), np.eye(4)), mask, node.GetName())
    return shapes


def reference_shapes(
    scene: Scene, run: str, node: Node, *, threshold_hu: float | None = None, level: str | None = None
) -> dict[str, Shape]:
    """Level -> shape of a reference node, for the levels of a run only, in the scene's world: transforms are applied.

    node: a segmentation or label map, by names, standard terms or VerSe labels; a model of one vertebra; or a CT, with
    its bone above ``threshold_hu`` within the run's ROIs. level: of a node that is one vertebra; without it its name
    tells, or else the nearest vertebra of the run. Raises ReferenceSurfaceError.
    """
    return reference_work(scene, run, node, threshold_hu=threshold_hu, level=level)()


def reference_work(
    scene: Scene, run: str, node: Node, *, threshold_hu: float | None = None, level: str | None = None
) -> Callable[[], dict[str, Shape]]:
    """As reference_shapes, in two steps: this copies from the scene; what it returns makes the shapes on any thread."""
    rois = rois_of(scene, run)
    if not rois:
        raise ReferenceSurfaceError(run, "there are no results of it in the scene", "Reconstruct first")
    wanted = rois if level is None else {name: roi for name, roi in rois.items() if name == level}
    if not wanted:
        raise ReferenceSurfaceError(run, f"it has no {level}", f"It has {', '.join(rois)}")
    if node.IsA("vtkMRMLSegmentationNode"):
        made = _of_segmentation(node, wanted, level)
    elif node.IsA("vtkMRMLModelNode"):
        made = _of_model(node, wanted, level)
    elif node.IsA("vtkMRMLScalarVolumeNode"):
        volume = _volume(node)
        if node.IsA("vtkMRMLLabelMapVolumeNode") or _looks_like_labels(volume):
            made = _of_labels(node, volume, wanted, level)
        else:
            made = _of_ct(node, volume, wanted, BONE_THRESHOLD_HU if threshold_hu is None else threshold_hu)
    else:
        raise ReferenceSurfaceError(
            node.GetName(), "it is no vertebra", "Choose a segmentation, a model, a label map or a CT"
        )
    return lambda: {name: make() for name, make in made.items()}


def _of_segmentation(node: Node, rois: ROIs, level: str | None) -> dict[str, Make]:
    segmentation, to_world = node.GetSegmentation(), _to_world(node)
    segments = {
        segmentation.GetNthSegmentID(n): segmentation.GetNthSegment(n)
        for n in range(segmentation.GetNumberOfSegments())
    }
    levels = {key: _segment_level(segment) for key, segment in segments.items()}
    named = [key for key, name in levels.items() if name in rois]
    unnamed = [key for key, name in levels.items() if name is None]
    filled = {key: make for key in named or unnamed if (make := _of_segment(node, key, to_world)) is not None}
    if not named and len(filled) == 1:
        (make,) = filled.values()
        return _single(make, rois, level)
    if not named or not filled:
        names = ", ".join(segment.GetName() for segment in segments.values())
        raise _no_vertebra(node, f"segments: {names}" if names else "it is empty", rois)
    found: dict[str, str] = {}
    for key in filled:
        other = found.setdefault(str(levels[key]), key)
        if other != key:
            both = f"{segments[other].GetName()} and {segments[key].GetName()}"
            raise ReferenceSurfaceError(
                node.GetName(), f"its segments {both} both are {levels[key]}", "Rename or remove one of them"
            )
    return {name: filled[found[name]] for name in rois if name in found}


def _of_segment(node: Node, segment_id: str, to_world: Affine) -> Make | None:
    """None for an empty segment."""
    image, surface = slicer.vtkOrientedImageData(), vtkPolyData()
    converter = slicer.vtkSegmentationConverter
    holds = node.GetSegmentation().ContainsRepresentation
    if holds(converter.GetSegmentationBinaryLabelmapRepresentationName()):
        node.GetBinaryLabelmapRepresentation(segment_id, image)
        scalars = image.GetPointData().GetScalars()
        if scalars is None or not scalars.GetNumberOfTuples():
            return None
        frame = vtkMatrix4x4()
        image.GetImageToWorldMatrix(frame)
        affine = array_of(frame)
        affine[:3, 3] = transform_points(affine, image.GetExtent()[::2])
        voxels = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
        mask = cut_label(Volume(voxels != 0, to_world @ affine), 1)
        return _of_mask(mask, node.GetName()) if mask.array.any() else None
    node.GetClosedSurfaceRepresentation(segment_id, surface)
    return _of_surface(surface, to_world, node.GetName()) if surface.GetNumberOfPoints() else None


def _of_model(node: Node, rois: ROIs, level: str | None) -> dict[str, Make]:
    mesh = node.GetPolyData()
    if mesh is None or not mesh.GetNumberOfPoints():
        raise ReferenceSurfaceError(node.GetName(), "it is empty", "Choose a model of a vertebra")
    name = level or node.GetAttribute(LEVEL) or level_named(node.GetName())
    make = _of_surface(mesh, _to_world(node), node.GetName())
    return _single(make, rois, name if name in rois else level)


def _of_labels(node: Node, labels: Volume, rois: ROIs, level: str | None) -> dict[str, Make]:
    values = VERSE_LABEL | _named_values(node)
    masks = {name: cut_label(labels, values[name]) for name in rois}
    made = {name: _of_mask(mask, node.GetName()) for name, mask in masks.items() if mask.array.any()}
    if made:
        return made
    highest = labels.array.max(initial=0)
    if highest and not ((labels.array != 0) & (labels.array != highest)).any():
        return _single(_of_mask(cut_label(labels, highest), node.GetName()), rois, level)
    raise _no_vertebra(
        node, "it has no VerSe labels (1-7 C, 8-19 T, 20-25 L) of them" if highest else "it is empty", rois
    )


def _of_ct(node: Node, ct: Volume, rois: ROIs, threshold_hu: float) -> dict[str, Make]:
    if node.GetAttribute(KIND) == RADIOGRAPH or min(ct.array.shape) < 2:
        raise ReferenceSurfaceError(node.GetName(), "it is a flat image, not a CT", "Choose a CT, or a segmentation")
    boxes = {name: (roi.centre_ras_mm, roi.size_mm) for name, roi in rois.items()}
    parts = {name: cut_box(ct, *box) for name, box in boxes.items()}
    parts = {name: replace(part, array=part.array.copy()) for name, part in parts.items() if part.array.size}
    bone = [name for name, part in parts.items() if (part.array > threshold_hu).any()]
    if not bone:
        raise ReferenceSurfaceError(
            node.GetName(),
            f"it has nothing above {threshold_hu:g} HU where the reconstruction is",
            "Lower the threshold, or choose a CT of the same patient and frame (RAS mm)",
        )

    def make(name: str) -> Shape:
        (shape,) = shapes_in_ct(parts[name], threshold_hu, {name: boxes[name]}).values()
        return _named(shape, node_name)

    node_name = node.GetName()
    return {name: partial(make, name) for name in bone}


def _of_mask(mask: Volume, source: str) -> Make:
    return lambda: _named(Shape(mask_surface(mask.array, mask.ras_from_ijk), mask), source)


def _of_surface(surface: vtkPolyData, to_world: Affine, source: str) -> Make:
    shape = Shape(_surface(surface, to_world), None, source)
    return lambda: shape


def _named(shape: Shape, source: str) -> Shape:
    """With its source, and without a mask that a transform has sheared: the surface stands for it."""
    axes = shape.mask.ras_from_ijk[:3, :3] / voxel_sizes_mm(shape.mask.ras_from_ijk) if shape.mask else np.eye(3)
    sheared = not np.allclose(axes.T @ axes, np.eye(3), atol=_SHEAR_TOLERANCE)
    return replace(shape, mask=None if sheared else shape.mask, source=source)


def _single(make: Make, rois: ROIs, level: str | None) -> dict[str, Make]:
    """What is one vertebra, at its level or at that of the nearest one."""
    if level is not None:
        return {level: make}
    shape = make()
    middle = np.reshape(shape.surface.GetBounds(), (3, 2)).mean(1)
    level = min(rois, key=lambda name: float(np.linalg.norm(np.subtract(rois[name].centre_ras_mm, middle))))
    return {level: lambda: shape}


def _surface(surface: vtkPolyData, to_world: Affine) -> vtkPolyData:
    """A copy of triangles, moved."""
    triangles = triangles_of(triangulated(surface))
    if np.linalg.det(to_world[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return with_normals(polydata(transform_points(to_world, points_of(surface)), triangles))


def _volume(node: Node) -> Volume:
    """A volume in its place, not copied."""
    image = node.GetImageData()
    if image is None or image.GetNumberOfScalarComponents() != 1 or not image.GetNumberOfPoints():
        raise ReferenceSurfaceError(node.GetName(), "it holds no CT values", "Choose a CT, or a segmentation")
    voxels: NDArray[np.generic] = vtk_to_numpy(image.GetPointData().GetScalars())
    return Volume(voxels.reshape(image.GetDimensions()[::-1]), _to_world(node) @ affine_of(node))


def _looks_like_labels(volume: Volume) -> bool:
    """A label map that was loaded as a volume: whole numbers from 0 up to the highest label."""
    whole = np.issubdtype(volume.array.dtype, np.integer)
    return whole and volume.array.min() == 0 and 0 < volume.array.max() <= max(VERSE_LABEL.values())


def _to_world(node: Node) -> Affine:
    """(4, 4) of the transforms above a node."""
    parent, matrix = node.GetParentTransformNode(), vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise ReferenceSurfaceError(
                node.GetName(), "a transform bends it", "Harden the transform first (Data module, right click)"
            )
        parent.GetMatrixTransformToWorld(matrix)
    return array_of(matrix)


def _segment_level(segment: slicer.vtkSegment) -> str | None:
    level = level_named(segment.GetName() or "")
    if level is None:
        tag = by_reference("")
        if segment.GetTag(segment.GetTerminologyEntryTagName(), tag):
            level = level_meant(str(tag))
    return level


def _named_values(node: Node) -> dict[str, int]:
    """Level -> label value that the label map's own colour table names so."""
    display = node.GetDisplayNode()
    table = display.GetColorNode() if display else None
    if table is None or not table.IsA("vtkMRMLColorTableNode") or table.GetType() != table.User:
        return {}  # the tables that come with 3D Slicer name other things
    names = {level_named(table.GetColorName(n) or ""): n for n in range(1, table.GetNumberOfColors())}
    return {name: value for name, value in names.items() if name is not None}


def _no_vertebra(node: Node, what: str, rois: ROIs) -> ReferenceSurfaceError:
    return ReferenceSurfaceError(
        node.GetName(),
        f"none of the vertebrae {', '.join(rois)} was found in it ({what})",
        "Name the segments by their levels, such as L1",
    )
