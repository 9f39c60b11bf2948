"""Rebuilt vertebrae beside their reference: overlap and surface distance, level by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

from .case import Case
from .distance import SurfaceError, dice, surface_error, with_distances
from .errors import ReferenceSurfaceError
from .geometry import Affine, inverse, transform_points
from .surface import MESH_SUFFIXES, isosurface, mask_surface, read_surface
from .vertebra import LEVELS, VERSE_LABEL
from .volume_io import Volume, largest_piece, read_volume, resample_mask_to

#: What counts as bone in a CT when nobody says otherwise, HU.
BONE_THRESHOLD_HU = 200.0

#: A reference CT is cut to the vertebra's box and this margin, mm.
ROI_MARGIN_MM = 3.0

#: Grid on which two meshes are compared by volume, mm; coarser beyond MESH_GRID_VOXELS.
MESH_GRID_MM = 0.75
MESH_GRID_VOXELS = 50_000_000

#: Diagonal of the box around a vertebra or a spine, mm. What is smaller or larger is in another unit.
DIAGONAL_RANGE_MM = (5.0, 2000.0)

#: Surfaces in folders of results, and in those of versions up to 0.2.
_SURFACE_ENDINGS = (".stl", ".ply")

#: VerSe labels that are no vertebra: sacrum and coccyx.
OTHER_LABELS = (26, 27)


@dataclass(frozen=True, eq=False)
class Shape:
    """A vertebra as a closed surface in RAS mm and, where it came from voxels, as a mask.

    source: the file or the node that it is from, for errors to name.
    """

    surface: vtkPolyData
    mask: Volume | None = None
    source: str | Path | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """One level: Dice of the volumes, distances of the surfaces, and the rebuilt surface that carries them."""

    level: str
    dice: float
    error: SurfaceError
    surface: vtkPolyData

    def to_dict(self) -> dict[str, Any]:
        """JSON-able row."""
        return {"level": self.level, "dice": self.dice, **self.error.to_dict()}


def compare(shapes: Mapping[str, Shape], references: Mapping[str, Shape]) -> list[Comparison]:
    """Compare what both have, in the order of ``shapes``. One shape and one reference always belong together.

    Raises ReferenceSurfaceError when they have no level in common, or when a pair cannot be compared.
    """
    if len(shapes) == len(references) == 1:
        references = dict(zip(shapes, references.values(), strict=True))
    common = [level for level in shapes if level in references]
    if not common:
        raise ReferenceSurfaceError(
            "reference",
            f"it has {_listed(references)}, the reconstruction {_listed(shapes)}: no level is in both",
            "Name the level of a single vertebra, or give the reference of the same spine",
        )
    return [_compared(level, shapes[level], references[level]) for level in common]


def reference_shapes(case: Case) -> dict[str, Shape]:
    """The reference of a case, by level: only levels that the case has an ROI for; empty without a reference.

    Raises ReferenceSurfaceError for a file that cannot be read.
    """
    reference = case.reference
    if reference is None:
        return {}
    wanted = {roi.level for roi in case.rois}
    if reference.segmentation is not None:
        return {k: v for k, v in read_shapes(reference.segmentation).items() if k in wanted}
    if reference.volume is not None:
        threshold = BONE_THRESHOLD_HU if reference.threshold_hu is None else reference.threshold_hu
        boxes = {roi.level: (roi.centre_ras_mm, roi.size_mm) for roi in case.rois}
        with naming(reference.volume):
            return shapes_in_ct(read_volume(reference.volume), threshold, boxes)
    return {
        level: Shape(read_surface(path), source=path) for level, path in reference.meshes.items() if level in wanted
    }


def shapes_in_ct(ct: Volume, threshold_hu: float, boxes: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> dict[str, Shape]:
    """Bone of a CT in boxes, by level: (centre, size) in RAS mm and a margin, above a threshold, largest piece, solid.

    A level whose box holds no bone is left out. Neighbours that touch the vertebra within its box stay with it.
    """
    shapes = {}
    for level, box in boxes.items():
        part = cut_box(ct, *box)
        bone = part.array > threshold_hu
        if not bone.any():
            continue
        solid = ndimage.binary_fill_holes(largest_piece(bone))
        surface = isosurface(part.array, part.ras_from_ijk, threshold_hu)
        shapes[level] = Shape(surface, Volume(solid, part.ras_from_ijk))
    return shapes


def cut_box(volume: Volume, centre_ras_mm: ArrayLike, size_mm: ArrayLike) -> Volume:
    """The part of a volume around a box along R, A and S, and a margin; not copied, and without voxels beside it."""
    half = np.asarray(size_mm, float) / 2 + ROI_MARGIN_MM
    low_mm, high_mm = np.asarray(centre_ras_mm, float) - half, np.asarray(centre_ras_mm, float) + half
    corners = list(product(*zip(low_mm, high_mm, strict=True)))
    ijk = transform_points(inverse(volume.ras_from_ijk), corners)
    low = np.maximum(np.floor(ijk.min(0)).astype(int), 0)
    high = np.clip(np.ceil(ijk.max(0)).astype(int) + 1, 0, volume.array.shape[::-1])
    affine = volume.ras_from_ijk.copy()
    affine[:3, 3] = transform_points(affine, low)
    return Volume(volume.array[low[2] : high[2], low[1] : high[1], low[0] : high[0]], affine)


def boxes_of(shapes: Mapping[str, Shape]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(centre, size) in RAS mm of each shape's bounding box."""
    bounds = {level: np.array(shape.surface.GetBounds()).reshape(3, 2) for level, shape in shapes.items()}
    return {level: (b.mean(1), b[:, 1] - b[:, 0]) for level, b in bounds.items()}


def read_shapes(path: Path, *, level: str | None = None, space: str = "RAS") -> dict[str, Shape]:
    """Vertebrae in a file or a folder of results, by level.

    A mesh is one vertebra; a label map holds one for each VerSe label; a folder is one that `ear reconstruct` wrote.
    level: the name of a single vertebra, or the one to keep. space: of meshes without 3D Slicer's mark.

    Raises ReferenceSurfaceError.
    """
    path = Path(path)
    if path.is_dir():
        shapes = _from_results(path)
    elif path.suffix.lower() in MESH_SUFFIXES:
        return {level or path.stem: Shape(read_surface(path, space=space), source=path)}
    else:
        shapes = _from_labels(read_volume(path), path, level)
    if level is None:
        return shapes
    if level not in shapes:
        raise ReferenceSurfaceError(path, f"it holds {_listed(shapes)}, not {level}", "Name a level that it holds")
    return {level: shapes[level]}


def surface_mask(surface: vtkPolyData, ras_from_ijk: Affine, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Voxels (k, j, i) of a grid whose centre lies inside a closed surface in RAS mm. Any affine without shear."""
    moved = vtkPolyData()
    moved.DeepCopy(surface)
    points = vtk_to_numpy(moved.GetPoints().GetData())
    points[:] = transform_points(inverse(ras_from_ijk), points)
    moved.GetPoints().Modified()
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(moved)
    stencil.SetOutputWholeExtent(0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.Update()
    inside: NDArray[np.bool_] = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(shape) > 0
    return inside


def cut_label(labels: Volume, label: int) -> Volume:
    """One label of a map as a mask, cut to its box and a margin of four voxels, so that it costs what it must."""
    inside = labels.array == label
    if not inside.any():
        return Volume(inside, labels.ras_from_ijk)
    low, high = [], []
    for axis, length in enumerate(inside.shape):
        used = np.flatnonzero(inside.any(tuple(a for a in range(3) if a != axis)))
        low.append(max(int(used[0]) - 4, 0))
        high.append(min(int(used[-1]) + 5, length))
    affine = labels.ras_from_ijk.copy()
    affine[:3, 3] = transform_points(affine, low[::-1])
    return Volume(inside[low[0] : high[0], low[1] : high[1], low[2] : high[2]], affine)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Complaints about a volume without a name get the name of the file that it was read from."""
    try:
        yield
    except ReferenceSurfaceError as error:
        subject = path if error.subject == "volume" else error.subject
        raise ReferenceSurfaceError(subject, error.cause, error.advice) from error


def _compared(level: str, shape: Shape, reference: Shape) -> Comparison:
    _check_unit(shape)
    try:
        error = surface_error(shape.surface, reference.surface)
    except ReferenceSurfaceError as trouble:
        source = shape.source if trouble.subject.startswith("reconstruction") else reference.source
        raise ReferenceSurfaceError(source or trouble.subject, trouble.cause, trouble.advice) from trouble
    grid = _common_grid(shape, reference)
    overlap = dice(_on(grid, shape), _on(grid, reference))
    return Comparison(level, overlap, error, with_distances(shape.surface, error.signed_mm))


def _check_unit(shape: Shape) -> None:
    """Two meshes in metres would fit each other to the micrometre."""
    low, high = DIAGONAL_RANGE_MM
    diagonal = shape.surface.GetLength()
    if shape.surface.GetNumberOfPolys() and not low <= diagonal <= high:
        what = "which looks like metres" if diagonal < low else "more than a spine"
        raise ReferenceSurfaceError(
            shape.source or "reconstruction",
            f"it measures {diagonal:.2g} mm from corner to corner, {what}",
            "Give the mesh in millimetres",
        )


def _on(grid: Volume, shape: Shape) -> NDArray[np.bool_]:
    if shape.mask is None:
        k, j, i = grid.array.shape
        return surface_mask(shape.surface, grid.ras_from_ijk, (k, j, i))
    return resample_mask_to(shape.mask, grid)


def _common_grid(*shapes: Shape) -> Volume:
    """A grid that holds all shapes whole: on the lattice of the first mask, or of MESH_GRID_MM when there is none.

    Their masks are cut to their own boxes: what one misses of another must not be lost with the border.
    """
    masks = [shape.mask for shape in shapes if shape.mask is not None]
    boxes = [np.reshape(shape.surface.GetBounds(), (3, 2)).T for shape in shapes]
    for mask in masks:
        ends = list(product(*((0, n - 1) for n in mask.array.shape[::-1])))
        corners = transform_points(mask.ras_from_ijk, ends)
        boxes.append(np.stack([corners.min(0), corners.max(0)]))
    low, high = np.min(boxes, (0, 1)), np.max(boxes, (0, 1))
    if masks:
        affine = masks[0].ras_from_ijk.copy()
    else:
        spacing = max(MESH_GRID_MM, float(np.prod(high - low) / MESH_GRID_VOXELS) ** (1 / 3))
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = low - spacing / 2
    ijk = transform_points(inverse(affine), list(product(*zip(low, high, strict=True))))
    first, last = np.floor(ijk.min(0) + 1e-3).astype(int), np.ceil(ijk.max(0) - 1e-3).astype(int)
    affine[:3, 3] = transform_points(affine, first)
    k, j, i = (last - first + 1)[::-1]
    return Volume(np.broadcast_to(np.False_, (k, j, i)), affine)


def _from_labels(volume: Volume, path: Path, level: str | None) -> dict[str, Shape]:
    values = [value for value in np.unique(volume.array).tolist() if value not in OTHER_LABELS]
    names = {value: name for name, value in VERSE_LABEL.items()}
    if level is not None and len(values) == 2 and values[0] == 0:  # a mask of one vertebra, whatever its number
        names = {values[1]: level}
    if values == [0] or not set(values) - {0} <= set(names) or 0 not in values:
        raise ReferenceSurfaceError(
            path,
            "it is no label map with VerSe labels (1-7 C, 8-19 T, 20-25 L)",
            "For a CT give a bone threshold in HU; for the mask of one vertebra name its level",
        )
    shapes = {}
    for value in values[1:]:
        mask = cut_label(volume, int(value))
        shapes[names[value]] = Shape(mask_surface(mask.array, mask.ras_from_ijk), mask, path)
    return shapes


def _from_results(folder: Path) -> dict[str, Shape]:
    """Each vertebra as it was measured when it was written: on its own grid, not on the spine's."""
    shapes = {}
    for level in LEVELS:
        volume = folder / "volumes" / f"{level}.nrrd"
        stored = (folder / "surfaces" / f"{level}{ending}" for ending in _SURFACE_ENDINGS)
        surface = next((path for path in stored if path.is_file()), None)
        if surface is None or not volume.is_file():
            continue
        hu = read_volume(volume)
        try:
            threshold = float(hu.metadata["threshold_hu"])
        except (KeyError, ValueError) as error:
            raise ReferenceSurfaceError(
                volume, "its header does not say which HU is bone", "Give a file that `ear reconstruct` wrote"
            ) from error
        shapes[level] = Shape(
            read_surface(surface), Volume(largest_piece(hu.array > threshold), hu.ras_from_ijk), surface
        )
    if not shapes:
        raise ReferenceSurfaceError(folder, "it is no folder of results", "Give one that `ear reconstruct` wrote")
    return shapes


def _listed(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(shapes) or "nothing"
