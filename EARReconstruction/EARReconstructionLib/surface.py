"""Surfaces: from volumes and masks to closed triangle meshes in RAS mm, and meshes on disk.

Every surface made here is a ``vtkPolyData`` of triangles, points in RAS mm, anticlockwise seen from outside, with
outward point normals.

Mesh files follow 3D Slicer: points are written in LPS and the file says ``SPACE=LPS`` (comment of PLY and OBJ, header
of STL, field data of VTP). 3D Slicer believes the mark, and software that knows no marks expects LPS anyway.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkObject, vtkPoints, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import (
    vtkFlyingEdges3D,
    vtkPolyDataNormals,
    vtkTriangleFilter,
    vtkWindowedSincPolyDataFilter,
)
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkOBJWriter, vtkSTLReader, vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYReader, vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from .errors import EARError, ReferenceSurfaceError
from .geometry.frames import LPS_FROM_RAS, Affine, transform_points
from .volume_io import written_whole

#: Smoothing of a binary mask's surface, in voxels: on balls of 8 to 30 radius the staircase (mean absolute error) falls
#: from 0.17 to 0.08 and the surface moves by less than 0.01; oblique plates of 1.5 to 5 keep their thickness within
#: 0.02; near the edges of a cube the faces bulge by 0.13 (40 iterations: 0.05, but 0.3). A Gaussian of one voxel moves
#: the balls by 0.12 and halves the thinnest plate.
_MASK_ITERATIONS = 20
_PASS_BAND = 0.05

_MESH_FILES: dict[str, tuple[Any, Any]] = {
    ".ply": (vtkPLYReader, vtkPLYWriter),
    ".stl": (vtkSTLReader, vtkSTLWriter),
    ".obj": (vtkOBJReader, vtkOBJWriter),
    ".vtp": (vtkXMLPolyDataReader, vtkXMLPolyDataWriter),
}
MESH_SUFFIXES = tuple(_MESH_FILES)
_MARK = "EAR surface. SPACE=LPS"


def isosurface(
    volume: NDArray[Any], ras_from_ijk: Affine, level: float, *, keep_largest: bool = True, smooth: int = 0
) -> vtkPolyData:
    """The closed surface where ``volume`` (k, j, i) crosses ``level``; inside is where it is greater.

    Where the object is cut by the volume's border, it is closed within the next voxel.
    keep_largest: only the piece that encloses the most; islands go, and so do the walls of inner cavities.
    smooth: iterations of windowed-sinc smoothing, 0 for none.

    Raises ReferenceSurfaceError when the volume does not cross the level, or holds values that are no numbers.
    """
    volume = np.asarray(volume, np.float32)
    low, high = float(volume.min()), float(volume.max())
    if not np.isfinite([low, high]).all():
        raise ReferenceSurfaceError("volume", "it holds values that are not numbers", "Replace them by air (-1000 HU)")
    if not low < level < high:
        raise ReferenceSurfaceError(
            "volume",
            f"it has no surface at {level:g}: its values go from {low:g} to {high:g}",
            "Choose a threshold between them, or check the volume",
        )
    padded = np.pad(volume, 1, constant_values=low)
    scalars = numpy_to_vtk(padded.ravel())
    image = vtkImageData()
    image.SetDimensions(*padded.shape[::-1])
    image.GetPointData().SetScalars(scalars)
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, level)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    points, triangles = points_of(contour.GetOutput()) - 1, triangles_of(contour.GetOutput())
    if keep_largest:
        points, triangles = _largest(points, triangles)
    if np.linalg.det(ras_from_ijk[:3, :3]) < 0:  # a mirrored grid turns every triangle over
        triangles = triangles[:, ::-1]
    surface = polydata(transform_points(ras_from_ijk, points), triangles)
    return with_normals(_smoothed(surface, smooth) if smooth else surface)


def mask_surface(mask: NDArray[Any], ras_from_ijk: Affine, *, keep_largest: bool = True) -> vtkPolyData:
    """The closed surface of a mask (k, j, i) (non-zero = inside) without its staircase, and without shrinking it.

    Raises ReferenceSurfaceError when the mask is empty.
    """
    inside = np.asarray(mask) != 0
    if not inside.any():
        raise ReferenceSurfaceError("mask", "it is empty", "Check the file and the label that was chosen")
    framed = np.array(ras_from_ijk, float)  # a frame of air: a mask that fills its grid has a surface too
    framed[:3, 3] -= framed[:3, :3].sum(axis=1)
    return isosurface(np.pad(inside, 1), framed, 0.5, keep_largest=keep_largest, smooth=_MASK_ITERATIONS)


def read_surface(path: str | Path, *, space: str = "RAS") -> vtkPolyData:
    """Read a PLY, STL, OBJ or VTP mesh in mm as triangles in RAS.

    space: "RAS" or "LPS", how to take a file without 3D Slicer's ``SPACE=...`` mark; a mark is always believed.
    Beware that 3D Slicer itself takes unmarked files as LPS.

    Raises ReferenceSurfaceError when the file is missing, of another kind, damaged or without triangles.
    """
    path = Path(path)
    if space not in ("RAS", "LPS"):
        raise ReferenceSurfaceError(path, f"unknown space {space!r}", "Use RAS or LPS")
    if not path.is_file():
        raise ReferenceSurfaceError(path, "there is no such file", "Choose a mesh")
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise ReferenceSurfaceError(path, "not a mesh file that can be read", f"Use one of {', '.join(MESH_SUFFIXES)}")
    if suffix == ".ply" and not _ply_is_complete(path):
        raise ReferenceSurfaceError(path, "it is damaged or incomplete", "Export or copy it again")
    reader = _MESH_FILES[suffix][0]()
    reader.SetFileName(str(path))
    shown = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()  # the error below says it better than VTK's trace on the console
    try:
        reader.Update()
    finally:
        vtkObject.SetGlobalWarningDisplay(shown)
    mesh = reader.GetOutput()
    corners = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()) if mesh.GetNumberOfPolys() else np.array([-1])
    points = points_of(mesh)
    # Checked before any filter runs: a corner that does not exist ends the whole program.
    if reader.GetErrorCode() or corners.min() < 0 or corners.max() >= len(points) or not np.isfinite(points).all():
        raise ReferenceSurfaceError(path, "it holds no usable triangles", "Export it again as a surface mesh")
    mark = re.search(r"SPACE=(RAS|LPS)", _header(reader, suffix))
    return with_normals(triangulated(_turned(mesh) if (mark.group(1) if mark else space) == "LPS" else mesh))


def write_surface(path: str | Path, surface: vtkPolyData) -> None:
    """Write a RAS surface as PLY, STL, OBJ or VTP: in LPS with its mark. Only VTP keeps scalars such as SignedDistance.

    Raises EARError for another ending, an empty surface or a place that cannot be written to.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise EARError(path, "surfaces are not written with this ending", f"Use one of {', '.join(MESH_SUFFIXES)}")
    if not surface.GetNumberOfPolys():
        raise EARError(path, "the surface is empty", "Reconstruct first, or choose another threshold")
    mesh = _turned(triangulated(surface))
    writer = _MESH_FILES[suffix][1]()
    if suffix == ".ply":
        writer.AddComment(_MARK)
        writer.SetFileTypeToBinary()
    elif suffix == ".stl":
        writer.SetHeader(_MARK)
        writer.SetFileTypeToBinary()
    elif suffix == ".vtp":
        space = vtkStringArray()
        space.SetName("SPACE")
        space.InsertNextValue("LPS")
        mesh.GetFieldData().AddArray(space)
    writer.SetInputData(mesh)
    with written_whole(path) as temporary:
        writer.SetFileName(str(temporary))
        if writer.Write() != 1 or not temporary.is_file():
            raise OSError("the mesh writer failed")
        if suffix == ".obj":  # its writer has no comment
            temporary.write_text(f"# {_MARK}\n" + temporary.read_text())


def points_of(surface: vtkPolyData) -> NDArray[np.float64]:
    """(N, 3) points."""
    if not surface.GetNumberOfPoints():
        return np.empty((0, 3))
    return np.array(vtk_to_numpy(surface.GetPoints().GetData()), np.float64)


def triangles_of(surface: vtkPolyData) -> NDArray[np.int64]:
    """(T, 3) point numbers of a surface that consists of triangles."""
    return np.array(vtk_to_numpy(surface.GetPolys().GetConnectivityArray()), np.int64).reshape(-1, 3)


def polydata(points: ArrayLike, triangles: NDArray[np.integer]) -> vtkPolyData:
    """A surface of points (N, 3) and triangles (T, 3)."""
    surface, vertices, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    vertices.SetData(numpy_to_vtk(np.asarray(points, np.float32), deep=True))
    corners = np.ascontiguousarray(triangles, np.int64).ravel()
    cells.SetData(3, numpy_to_vtkIdTypeArray(corners, deep=True))
    surface.SetPoints(vertices)
    surface.SetPolys(cells)
    return surface


def with_normals(surface: vtkPolyData) -> vtkPolyData:
    """The same points and triangles with point normals, outward where the triangles are."""
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _largest(
    points: NDArray[np.float64], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The connected piece that encloses the greatest volume. (Most triangles may be a rough inner wall's.)"""
    edges = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    graph = coo_array((np.ones(len(edges), bool), edges.T), shape=(len(points),) * 2)
    pieces, piece_of_point = connected_components(graph, directed=False)
    if pieces == 1:
        return points, triangles
    piece = piece_of_point[triangles[:, 0]]
    a, b, c = (points[triangles[:, n]] for n in range(3))
    volumes = np.bincount(piece, np.einsum("ij,ij->i", a, np.cross(b, c)), minlength=pieces)
    kept = triangles[piece == np.abs(volumes).argmax()]
    used, renumbered = np.unique(kept, return_inverse=True)
    return points[used], renumbered.reshape(-1, 3)


def _smoothed(surface: vtkPolyData, iterations: int) -> vtkPolyData:
    sinc = vtkWindowedSincPolyDataFilter()
    sinc.SetInputData(surface)
    sinc.SetNumberOfIterations(iterations)
    sinc.SetPassBand(_PASS_BAND)
    sinc.NormalizeCoordinatesOn()
    sinc.FeatureEdgeSmoothingOff()
    sinc.NonManifoldSmoothingOn()
    sinc.Update()
    return sinc.GetOutput()


def triangulated(surface: vtkPolyData) -> vtkPolyData:
    """Triangles only; points and their data stay as they are."""
    triangles = vtkTriangleFilter()
    triangles.SetInputData(surface)
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    triangles.Update()
    return triangles.GetOutput()


def _turned(surface: vtkPolyData) -> vtkPolyData:
    """RAS to LPS or back: half a turn about S. It is no mirror, so triangles keep their order."""
    turned, points = vtkPolyData(), vtkPoints()
    turned.ShallowCopy(surface)
    moved = transform_points(LPS_FROM_RAS, points_of(surface)).astype(np.float32)
    points.SetData(numpy_to_vtk(moved, deep=True))
    turned.SetPoints(points)
    normals = surface.GetPointData().GetNormals()
    if normals is not None:
        rotated = numpy_to_vtk(vtk_to_numpy(normals) * np.array([-1, -1, 1], np.float32), deep=True)
        rotated.SetName(normals.GetName())
        turned.GetPointData().SetNormals(rotated)
    return turned


def _header(reader: Any, suffix: str) -> str:
    """The text in which a mesh file may carry its mark."""
    if suffix == ".ply":
        comments = reader.GetComments()
        return "\n".join(comments.GetValue(n) for n in range(comments.GetNumberOfValues()))
    if suffix == ".vtp":
        space = reader.GetOutput().GetFieldData().GetAbstractArray("SPACE")
        return f"SPACE={space.GetValue(0)}" if space is not None and space.GetNumberOfValues() else ""
    return (reader.GetHeader() if suffix == ".stl" else reader.GetComment()) or ""


def _ply_is_complete(path: Path) -> bool:
    """Whether a PLY file holds as much as its header promises (faces counted as triangles).

    VTK's reader does not look: a shortened ASCII file gives an invented mesh, a shortened binary one a crash.
    """
    content = path.read_bytes()
    header, end, body = content.partition(b"end_header")
    if not header.startswith(b"ply") or not end:
        return False
    sizes = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8}
    sizes |= {f"{kind}{bits}": bits // 8 for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)}
    count, numbers, size = 0, 0, 0
    for line in header.decode("latin-1").splitlines():
        match line.split():
            case ["element", _, number] if number.isdigit():
                count = int(number)
            case ["property", "list", length, item, name]:
                corners = 3 if name in ("vertex_indices", "vertex_index") else 0
                numbers += count * (1 + corners)
                size += count * (sizes.get(length, 1) + corners * sizes.get(item, 1))
            case ["property", kind, _]:
                numbers += count
                size += count * sizes.get(kind, 1)
    if re.search(rb"format\s+ascii", header):
        return len(body.split()) >= numbers > 0
    return len(body) > size > 0  # the body starts with the header's line end
