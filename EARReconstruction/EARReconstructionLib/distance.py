"""How far a reconstruction is from the truth: the signed surface distance error (SDE) of the paper's Fig. 8 and 11.

Sign, everywhere: negative (red) = the reconstruction lies inside the reference there, bone is missing; positive (blue)
= it lies outside, bone is too much. Millimetres, RAS.

The points of a triangulation are not spread evenly, so each one counts with the area around it, and triangles larger
than two millimetres are sampled inside as well: a mesh may be coarse here and fine there without a change of result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkCleanPolyData, vtkImplicitPolyDataDistance, vtkPolyDataNormals

from .errors import ReferenceSurfaceError
from .surface import points_of, polydata, triangles_of, triangulated

#: Name of the point scalars that carry the signed distances, in mm.
SIGNED_DISTANCE = "SignedDistance"

#: Triangles with longer edges are sampled inside too, mm.
_SAMPLING_MM = 2.0
#: Samples inside the triangles of one surface at most: it may be a whole spine, or drawn with long slivers.
_MAX_SAMPLES = 200_000
#: Holes that take more than this share of a surface cannot be closed without inventing its shape.
_MAX_CAPPED_SHARE = 0.1

#: Bounding boxes of two surfaces of one vertebra never differ more than this.
_MAX_SIZE_RATIO = 7.0
_UNITS = {10.0: "centimetres", 25.4: "inches", 1000.0: "metres"}


@dataclass(frozen=True, eq=False)
class SurfaceError:
    """Distances between a reconstruction and its reference, mm.

    signed_mm: (N,) at the reconstruction's points, in their order, to the reference.
    reference_signed_mm: (M,) at the reference's points, in their order, to the reconstruction; same meaning of the
    sign: negative where the reference point is not covered by the reconstruction.
    assd_mm, rms_mm, mean_signed_mm: area-weighted over both surfaces together. hd_mm: the greatest distance.
    hd95_mm: the greater of the two directions' 95th percentiles. nsd_1mm, nsd_2mm: share of both surfaces' area that
    is within 1 and 2 mm of the other. worst_ras_mm, worst_signed_mm: where hd_mm is, on either surface.
    notes: what the user should know of the meshes.
    """

    signed_mm: NDArray[np.float64]
    reference_signed_mm: NDArray[np.float64]
    assd_mm: float
    rms_mm: float
    mean_signed_mm: float
    hd_mm: float
    hd95_mm: float
    nsd_1mm: float
    nsd_2mm: float
    worst_ras_mm: tuple[float, float, float]
    worst_signed_mm: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the summary without the distances of the single points."""
        summary = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "float"}
        return summary | {"worst_ras_mm": list(self.worst_ras_mm), "notes": list(self.notes)}


def surface_error(reconstruction: vtkPolyData, reference: vtkPolyData) -> SurfaceError:
    """Compare two surfaces in RAS mm, in both directions.

    Small holes are closed for the comparison, inconsistent triangles turned; notes say so.

    Raises ReferenceSurfaceError when a surface is empty or open, when the reference is in another unit, or when the two
    do not overlap at all.
    """
    _check_place(reconstruction, reference)
    closed, notes = [], []
    for name, surface in (("reconstruction", reconstruction), ("reference", reference)):
        whole, note = _closed(surface, name)
        closed.append(whole)
        notes += note
    ours, our_areas, our_use = _samples(triangulated(reconstruction))
    theirs, their_areas, their_use = _samples(triangulated(reference))
    to_reference = signed_distances(ours, closed[1])
    to_reconstruction = -signed_distances(theirs, closed[0])  # outside the reconstruction: bone is missing
    signed = np.concatenate([to_reference, to_reconstruction])
    weights = np.concatenate([our_areas, their_areas])
    far = np.abs(signed)
    worst = int(np.where(np.concatenate([our_use, their_use]), far, -1).argmax())
    r, a, s = np.concatenate([ours, theirs])[worst].tolist()
    return SurfaceError(
        signed_mm=to_reference[: reconstruction.GetNumberOfPoints()],
        reference_signed_mm=to_reconstruction[: reference.GetNumberOfPoints()],
        assd_mm=float(np.average(far, weights=weights)),
        rms_mm=float(np.sqrt(np.average(far**2, weights=weights))),
        mean_signed_mm=float(np.average(signed, weights=weights)),
        hd_mm=float(far[worst]),
        hd95_mm=max(_percentile(to_reference, our_areas, 0.95), _percentile(to_reconstruction, their_areas, 0.95)),
        nsd_1mm=float(np.average(far <= 1, weights=weights)),
        nsd_2mm=float(np.average(far <= 2, weights=weights)),
        worst_ras_mm=(r, a, s),
        worst_signed_mm=float(signed[worst]),
        notes=tuple(notes),
    )


def with_distances(surface: vtkPolyData, signed_mm: NDArray[np.float64]) -> vtkPolyData:
    """A copy of a surface with active point scalars "SignedDistance" (mm), one of ``signed_mm`` per point."""
    if len(signed_mm) != surface.GetNumberOfPoints():
        raise ValueError(f"{len(signed_mm)} distances for {surface.GetNumberOfPoints()} points")
    coloured = vtkPolyData()
    coloured.DeepCopy(surface)
    scalars = numpy_to_vtk(np.asarray(signed_mm, np.float32), deep=True)
    scalars.SetName(SIGNED_DISTANCE)
    coloured.GetPointData().SetScalars(scalars)
    return coloured


def dice(mask_a: NDArray[Any], mask_b: NDArray[Any]) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks on one grid; 1 when both are empty.

    Raises ReferenceSurfaceError when the grids differ.
    """
    a, b = np.asarray(mask_a) != 0, np.asarray(mask_b) != 0
    if a.shape != b.shape:
        raise ReferenceSurfaceError(
            "reference mask", f"its grid {b.shape} is not the reconstruction's {a.shape}", "Resample it onto that grid"
        )
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def _check_place(reconstruction: vtkPolyData, reference: vtkPolyData) -> None:
    """Refuse a reference that cannot be the same bone: empty, another unit, another place."""
    for name, surface in (("reconstruction", reconstruction), ("reference surface", reference)):
        if not surface.GetNumberOfPolys():
            raise ReferenceSurfaceError(name, "it is empty", "Give a closed surface mesh")
    ours, theirs = (np.reshape(surface.GetBounds(), (3, 2)) for surface in (reconstruction, reference))
    size = " x ".join(f"{extent:.2g}" for extent in np.ptp(theirs, axis=1))
    ratio = reconstruction.GetLength() / max(reference.GetLength(), 1e-12)  # of the boxes' diagonals
    if ratio > _MAX_SIZE_RATIO:
        unit = min(_UNITS.items(), key=lambda item: abs(math.log(ratio / item[0])))[1]
        raise ReferenceSurfaceError(
            "reference surface", f"it measures {size}, which looks like {unit}", "Give the mesh in millimetres"
        )
    if ratio < 1 / _MAX_SIZE_RATIO:
        cause = f"it measures {size} mm, far more than the reconstruction"
        raise ReferenceSurfaceError("reference surface", cause, "Give the mesh of the same vertebra, in millimetres")
    if not _overlap(ours, theirs):
        turned = np.concatenate([-theirs[:2, ::-1], theirs[2:]])
        distance = np.linalg.norm(ours.mean(axis=1) - theirs.mean(axis=1))
        raise ReferenceSurfaceError(
            "reference surface",
            f"it does not touch the reconstruction (their centres are {distance:.0f} mm apart)",
            "It would fit if its coordinates are LPS: read it as LPS"
            if _overlap(ours, turned)
            else "Give both in the same frame of reference (RAS mm of the radiographs), or register them first",
        )


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool(np.all((a[:, 0] <= b[:, 1]) & (b[:, 0] <= a[:, 1])))


def _closed(surface: vtkPolyData, name: str) -> tuple[vtkPolyData, list[str]]:
    """A closed copy with merged points and outward triangles, so that a distance has a sign; notes on what changed.

    Raises ReferenceSurfaceError when its holes are large.
    """
    clean = vtkCleanPolyData()  # an STL repeats each point for each of its triangles
    clean.SetInputData(triangulated(surface))
    clean.Update()
    whole, notes = polydata(points_of(clean.GetOutput()), triangles_of(clean.GetOutput())), []
    holes, turned = _edges(whole)
    if turned:
        whole = _outward(whole)
        notes.append(f"Triangles of the {name} surface looked to different sides; they were turned outward.")
    if holes:
        whole, share = _capped(whole)
        if share > _MAX_CAPPED_SHARE or _edges(whole) != (0, 0):
            raise ReferenceSurfaceError(
                f"{name} surface",
                "it is open, so that inside and outside are not defined",
                "Close its holes (for instance in 3D Slicer: Surface Toolbox > Fill holes), or give a segmentation",
            )
        notes.append(f"The {name} surface had holes; they were closed ({100 * share:.1f} % of its area).")
    points, triangles = points_of(whole), triangles_of(whole)
    centred = points - points.mean(axis=0)
    if np.einsum("ij,ij->", centred[triangles[:, 0]], np.cross(*(centred[triangles[:, n]] for n in (1, 2)))) < 0:
        triangles = triangles[:, ::-1]  # inside out
    return polydata(points, triangles), notes


def _half_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """(3 T, 2) edges of triangles, each in the direction in which its triangle runs round."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _edges(surface: vtkPolyData) -> tuple[int, int]:
    """How many edges have one triangle only (holes), and how many have two that look to different sides."""
    triangles = triangles_of(surface)
    ends = _half_edges(triangles)
    keys = np.sort(ends, axis=1) @ [surface.GetNumberOfPoints(), 1]
    _, edge, uses = np.unique(keys, return_inverse=True, return_counts=True)
    balance = np.bincount(edge, np.where(ends[:, 0] < ends[:, 1], 1, -1))
    return int((uses == 1).sum()), int(((uses == 2) & (balance != 0)).sum())


def _capped(surface: vtkPolyData) -> tuple[vtkPolyData, float]:
    """The surface with a cone over the rim of each hole, and the cones' share of the whole area.

    Each rim edge gets one triangle to the rim's middle, so holes that touch each other are closed as well.
    """
    points, triangles = points_of(surface), triangles_of(surface)
    ends = _half_edges(triangles)
    keys, opposite = ends @ [len(points), 1], ends @ [1, len(points)]
    rim = ends[~np.isin(keys, opposite)]
    graph = coo_array((np.ones(len(rim), bool), rim.T), shape=(len(points),) * 2)
    piece = connected_components(graph, directed=False)[1][rim[:, 0]]
    holes, hole = np.unique(piece, return_inverse=True)
    middles = np.stack([points[rim[hole == n]].mean(axis=(0, 1)) for n in range(len(holes))])
    cones = np.column_stack([rim[:, ::-1], len(points) + hole])
    points = np.concatenate([points, middles])
    areas = [_areas(points, t).sum() for t in (triangles, cones)]
    return polydata(points, np.concatenate([triangles, cones])), float(areas[1] / sum(areas))


def _outward(surface: vtkPolyData) -> vtkPolyData:
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOn()
    normals.AutoOrientNormalsOn()
    normals.Update()
    return normals.GetOutput()


def signed_distances(points: NDArray[np.float64], closed: vtkPolyData) -> NDArray[np.float64]:
    """(N,) distance in mm of points (N, 3) to a closed surface, negative inside.

    VTK takes the sign from the angle-weighted pseudo-normal of the nearest face, edge or corner (Baerentzen and Aanaes
    2005), which is exact for closed oriented meshes.
    """
    function = vtkImplicitPolyDataDistance()
    function.SetInput(closed)
    values = vtkDoubleArray()
    function.FunctionValue(numpy_to_vtk(np.ascontiguousarray(points)), values)
    return np.array(vtk_to_numpy(values))


def _areas(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b, c = (points[triangles[:, n]] for n in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def _samples(surface: vtkPolyData) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Points (S, 3), the surface's own first, the area (S,) that each stands for, and whether it is on a triangle (S,).

    A small triangle gives a third of its area to each corner. One with an edge beyond the sampling distance is cut into
    n x n equal ones, and their centres stand for it.
    """
    points, triangles = points_of(surface), triangles_of(surface)
    areas, corners = _areas(points, triangles), points[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    step = _SAMPLING_MM
    while (np.ceil(longest[longest > step] / step) ** 2).sum() > _MAX_SAMPLES:
        step *= 1.5
    cuts = np.maximum(np.ceil(longest / step), 1).astype(int)
    own, used = np.zeros(len(points)), np.zeros(len(points), bool)
    np.add.at(own, triangles[cuts == 1], (areas[cuts == 1] / 3)[:, None])
    used[triangles] = True
    all_points, all_areas = [points], [own]
    for n in np.unique(cuts[cuts > 1]).tolist():
        all_points.append((_centres(n) @ corners[cuts == n]).reshape(-1, 3))
        all_areas.append(np.repeat(areas[cuts == n] / n**2, n**2))
    sampled = np.concatenate(all_points)
    return sampled, np.concatenate(all_areas), np.append(used, np.ones(len(sampled) - len(points), bool))


def _centres(n: int) -> NDArray[np.float64]:
    """(n * n, 3) barycentric coordinates of the centres of a triangle's n x n equal parts."""
    u, v = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    upright, turned = (u + v < n, 1 / 3), (u + v < n - 1, 2 / 3)
    uv = np.concatenate([(np.stack([u[keep], v[keep]], -1) + shift) / n for keep, shift in (upright, turned)])
    return np.column_stack([1 - uv.sum(axis=1), uv])


def _percentile(signed: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The distance that ``share`` of the area does not exceed."""
    far = np.abs(signed)
    order = np.argsort(far)
    reached = np.cumsum(weights[order])
    return float(far[order][np.searchsorted(reached, share * reached[-1])])
