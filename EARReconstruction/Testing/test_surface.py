"""Surfaces: closed, outward and at the right millimetres for every affine; mesh files in the right frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib import surface as module
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.surface import (
    MESH_SUFFIXES,
    isosurface,
    mask_surface,
    points_of,
    polydata,
    read_surface,
    triangles_of,
    with_normals,
    write_surface,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkOBJWriter, vtkSTLReader, vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYReader, vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

CENTRE = np.array([12.0, -34.0, 560.0])


def grid(spacing, *, axes=None, reach: float = 16.0) -> tuple[np.ndarray, np.ndarray]:
    """Affine of a grid about CENTRE, and the RAS points (k, j, i, 3) of its voxels."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else axes) * spacing
    shape = np.ceil(2 * reach / np.asarray(spacing)).astype(int)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ ((shape - 1) / 2) + [0.13, -0.21, 0.07]
    k, j, i = np.indices(shape[::-1])
    return matrix, np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def ball(points: np.ndarray, radius: float, centre=CENTRE) -> np.ndarray:
    """Signed depth in a ball, mm: 0 on its surface."""
    return radius - np.linalg.norm(points - centre, axis=-1)


def enclosed(surface: vtkPolyData) -> float:
    """mm3; positive when triangles look outward."""
    points, triangles = points_of(surface), triangles_of(surface)
    a, b, c = (points[triangles[:, n]] - points.mean(axis=0) for n in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6


def open_edges(surface: vtkPolyData) -> int:
    triangles = triangles_of(surface)
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return int((np.unique(edges, axis=0, return_counts=True)[1] % 2).sum())


GRIDS = {
    "RAS": grid((1.0, 1.0, 1.0)),
    "LPS": grid((1.0, 1.0, 1.0), axes=np.diag([-1.0, -1.0, 1.0])),
    "mirrored": grid((1.0, 1.0, 1.0), axes=np.diag([-1.0, 1.0, 1.0])),
    "anisotropic": grid((0.6, 1.0, 1.6)),
    "permuted": grid((1.0, 0.8, 1.0), axes=np.eye(3)[[2, 0, 1]]),
    "permuted and mirrored": grid((1.0, 1.0, 1.0), axes=-np.eye(3)[[2, 1, 0]] * [1, 1, -1]),
    "oblique": grid((1.0, 1.0, 1.0), axes=Rotation.from_euler("xyz", [20, -30, 50], degrees=True).as_matrix()),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_ball_is_a_ball_for_every_affine(name: str) -> None:
    matrix, points = GRIDS[name]
    surface = isosurface(ball(points, 10.0), matrix, 0.0)
    offsets = points_of(surface) - CENTRE
    radii = np.linalg.norm(offsets, axis=1)
    assert np.abs(radii - 10).max() < 0.04
    assert enclosed(surface) == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)  # positive: outward
    assert open_edges(surface) == 0
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert (np.einsum("ij,ij->i", normals, offsets / radii[:, None]) > 0.98).all()


@pytest.mark.parametrize("name", ["RAS", "mirrored", "oblique"])
def test_nothing_is_swapped(name: str) -> None:
    """A ball with one knob to the Right, one to Anterior and one to Superior, each of another size."""
    matrix, points = GRIDS[name]
    depth = ball(points, 8.0)
    for axis, reach in enumerate((4.0, 3.0, 2.5)):
        depth = np.maximum(depth, ball(points, reach, CENTRE + 9 * np.eye(3)[axis]))
    bounds = np.reshape(isosurface(depth, matrix, 0.0).GetBounds(), (3, 2)) - CENTRE[:, None]
    np.testing.assert_allclose(bounds, [[-8, 13], [-8, 12], [-8, 11.5]], atol=0.15)


def test_an_object_cut_by_the_border_is_closed() -> None:
    matrix, points = GRIDS["RAS"]
    surface = isosurface(ball(points, 10.0)[:, :, :14], matrix, 0.0)
    assert open_edges(surface) == 0
    cut = matrix[0, 3] + 13
    assert cut <= points_of(surface)[:, 0].max() <= cut + 1


def test_keep_largest_drops_islands_and_inner_walls() -> None:
    """The inner wall is so rough that it has more triangles than the outer one."""
    matrix, points = GRIDS["RAS"]
    ripple = 3 * np.cos(2.2 * (points - CENTRE)).prod(axis=-1)
    hollow = np.minimum(ball(points, 12.0), ripple - ball(points, 8.0))
    depth = np.maximum(hollow, ball(points, 2.0, CENTRE + 9))
    everything = isosurface(depth, matrix, 0.0, keep_largest=False)
    outside = isosurface(depth, matrix, 0.0)
    assert len(triangles_of(everything)) > 2.02 * len(triangles_of(outside))
    assert enclosed(outside) == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.01)
    assert enclosed(everything) < 0.8 * enclosed(outside)
    assert np.linalg.norm(points_of(outside) - CENTRE, axis=1).min() > 11.9


def test_smoothing_does_not_shrink() -> None:
    matrix, points = GRIDS["RAS"]
    noisy = ball(points, 10.0) + np.random.default_rng(0).normal(0, 0.3, points.shape[:3])
    rough, smooth = (points_of(isosurface(noisy, matrix, 0.0, smooth=n)) for n in (0, 30))
    deviations = [np.linalg.norm(p - CENTRE, axis=1) - 10 for p in (rough, smooth)]
    assert deviations[1].std() < 0.7 * deviations[0].std()
    assert abs(deviations[1].mean()) < 0.06


@pytest.mark.parametrize(
    ("volume", "level", "cause"),
    [
        (np.zeros((4, 4, 4)), 0.0, "no surface"),
        (np.arange(64.0).reshape(4, 4, 4), 64.0, "from 0 to 63"),
        (np.arange(64.0).reshape(4, 4, 4), 0.0, "no surface"),
        (np.arange(64.0).reshape(4, 4, 4), np.nan, "no surface"),
        (np.full((4, 4, 4), np.nan), 0.0, "not numbers"),
        (np.where(np.arange(64) == 5, np.inf, 0.0).reshape(4, 4, 4), 1.0, "not numbers"),
    ],
)
def test_volumes_without_a_surface(volume: np.ndarray, level: float, cause: str) -> None:
    with pytest.raises(ReferenceSurfaceError, match=cause):
        isosurface(volume, np.eye(4), level)


@settings(max_examples=12, deadline=None)
@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.sampled_from([8.0, 12.0]))
def test_a_mask_has_no_staircase_and_no_bias(shift: tuple[float, float, float], radius: float) -> None:
    matrix, points = GRIDS["RAS"]
    centre = CENTRE + shift
    inside = ball(points, radius, centre) > 0
    surface = mask_surface(inside, matrix)
    same_volume = np.cbrt(
        3 * inside.sum() / (4 * np.pi)
    )  # a mask of 8 voxels' radius is up to 0.04 off the ball itself
    deviation = np.linalg.norm(points_of(surface) - centre, axis=1) - same_volume
    assert abs(deviation.mean()) < 0.012
    assert np.abs(deviation).mean() < 0.1  # the bare staircase has 0.17
    assert enclosed(surface) == pytest.approx(inside.sum(), rel=0.015)


def test_a_thin_plate_of_a_mask_keeps_its_thickness() -> None:
    matrix, points = GRIDS["RAS"]
    normal = np.array([0.3, 0.5, 0.81]) / np.linalg.norm([0.3, 0.5, 0.81])
    height = (points - CENTRE) @ normal
    plate = (np.abs(height) < 1.0) & (ball(points, 14.0) > 0)
    found = points_of(mask_surface(plate, matrix)) - CENTRE
    middle = found[np.linalg.norm(found, axis=1) < 10]
    assert 2 * np.abs(middle @ normal).mean() == pytest.approx(2.0, abs=0.1)


def test_a_mask_of_long_voxels() -> None:
    matrix, points = grid((1.0, 1.0, 3.0))
    inside = ball(points, 12.0) > 0
    surface = mask_surface(inside.astype(np.uint8) * 20, matrix)
    assert abs((np.linalg.norm(points_of(surface) - CENTRE, axis=1) - 12).mean()) < 0.1
    assert enclosed(surface) == pytest.approx(3 * inside.sum(), rel=0.03)


def test_a_full_mask_has_a_surface_and_an_empty_one_has_none() -> None:
    surface = mask_surface(np.ones((9, 9, 9)), np.diag([2.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.reshape(surface.GetBounds(), (3, 2)), [[-1, 17], [-0.5, 8.5], [-0.5, 8.5]], atol=0.3)
    assert open_edges(surface) == 0
    with pytest.raises(ReferenceSurfaceError, match="empty"):
        mask_surface(np.zeros((6, 6, 6)), np.eye(4))


#: A tetrahedron without symmetry, far from the origin on R and A, outward triangles, RAS mm.
TETRAHEDRON = np.array([[10.0, 20, 30], [50, 20, 30], [10, 90, 30], [10, 20, 100]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
PLAIN = {
    ".ply": (vtkPLYReader, vtkPLYWriter),
    ".stl": (vtkSTLReader, vtkSTLWriter),
    ".obj": (vtkOBJReader, vtkOBJWriter),
    ".vtp": (vtkXMLPolyDataReader, vtkXMLPolyDataWriter),
}


def tetrahedron() -> vtkPolyData:
    return with_normals(polydata(TETRAHEDRON, FACES))


def sorted_points(surface: vtkPolyData) -> np.ndarray:
    return np.unique(points_of(surface).round(4), axis=0)


def plainly_read(path: Path) -> vtkPolyData:
    """What software sees that knows no marks."""
    reader = PLAIN[path.suffix][0]()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def plainly_written(path: Path, surface: vtkPolyData, mark: str = "") -> Path:
    """A file of other software, with or without a mark."""
    writer = PLAIN[path.suffix][1]()
    writer.SetFileName(str(path))
    writer.SetInputData(surface)
    if mark and path.suffix == ".ply":
        writer.AddComment(mark)
    if mark and path.suffix == ".stl":
        writer.SetHeader(mark)
    writer.Write()
    if mark and path.suffix == ".obj":
        path.write_text(f"# {mark}\n{path.read_text()}")
    return path


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_files_are_lps_and_say_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "Wirbelsäule 1" / f"L 1{suffix}"
    write_surface(path, tetrahedron())
    np.testing.assert_allclose(
        sorted_points(plainly_read(path)), np.unique(TETRAHEDRON * [-1, -1, 1], axis=0), atol=1e-3
    )
    normals = plainly_read(path).GetPointData().GetNormals()
    if normals is not None:
        offsets = (points_of(plainly_read(path)) * [-1, -1, 1] - TETRAHEDRON.mean(axis=0)) * [-1, -1, 1]
        assert (np.einsum("ij,ij->i", vtk_to_numpy(normals), offsets) > 0).all()
    assert (normals is not None) == (suffix != ".stl")
    head = path.read_bytes()[:4000].decode("latin-1")
    assert re.search(r"SPACE=LPS", head) or (suffix == ".vtp" and 'Name="SPACE"' in head)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
@pytest.mark.parametrize("space", ["RAS", "LPS"])
def test_round_trip_believes_the_mark(tmp_path: Path, suffix: str, space: str) -> None:
    write_surface(tmp_path / f"m{suffix}", tetrahedron())
    back = read_surface(tmp_path / f"m{suffix}", space=space)
    np.testing.assert_allclose(sorted_points(back), np.unique(TETRAHEDRON, axis=0), atol=1e-3)
    assert enclosed(back) == pytest.approx(40 * 70 * 70 / 6, rel=1e-4)
    offsets = points_of(back) - TETRAHEDRON.mean(axis=0)
    assert (np.einsum("ij,ij->i", vtk_to_numpy(back.GetPointData().GetNormals()), offsets) > 0).all()


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_unmarked_files_are_read_as_told(tmp_path: Path, suffix: str) -> None:
    path = plainly_written(tmp_path / f"m{suffix}", tetrahedron())
    for space, signs in (("RAS", [1, 1, 1]), ("LPS", [-1, -1, 1])):
        back = read_surface(path, space=space)
        np.testing.assert_allclose(sorted_points(back), np.unique(TETRAHEDRON * signs, axis=0), atol=1e-3)
        assert enclosed(back) > 0
    np.testing.assert_allclose(sorted_points(read_surface(path)), np.unique(TETRAHEDRON, axis=0), atol=1e-3)


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".obj"])
def test_a_ras_mark_beats_the_argument(tmp_path: Path, suffix: str) -> None:
    path = plainly_written(tmp_path / f"m{suffix}", tetrahedron(), "3D Slicer output. SPACE=RAS")
    back = read_surface(path, space="LPS")
    np.testing.assert_allclose(sorted_points(back), np.unique(TETRAHEDRON, axis=0), atol=1e-3)


def test_quadrilaterals_become_triangles(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text("v 0 0 0\nv 9 0 0\nv 9 5 0\nv 0 5 0\nf 1 2 3 4\n")
    assert triangles_of(read_surface(tmp_path / "m.obj")).shape == (2, 3)


def _cut(share: float, ascii_text: bool = False):
    def make(path: Path) -> None:
        writer = PLAIN[path.suffix][1]()
        writer.SetFileName(str(path))
        writer.SetInputData(tetrahedron())
        if path.suffix in (".ply", ".stl"):
            (writer.SetFileTypeToASCII if ascii_text else writer.SetFileTypeToBinary)()
        writer.Write()
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def _text(content: str):
    return lambda path: path.write_text(content)


PLY_HEADER = (
    "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
)


@pytest.mark.parametrize(
    ("name", "make", "cause"),
    [
        ("m.ply", lambda path: None, "no such file"),
        ("m.glb", _text("x"), "not a mesh file"),
        *[(f"m{suffix}", _text("hello, I am no mesh"), "damaged|no usable") for suffix in MESH_SUFFIXES],
        *[(f"m{suffix}", _text(""), "damaged|no usable") for suffix in MESH_SUFFIXES],
        *[("m.ply", _cut(share), "damaged") for share in (0.3, 0.8, 0.99)],
        *[("m.ply", _cut(share, True), "damaged") for share in (0.3, 0.9)],
        *[("m.stl", _cut(share, text), "no usable") for share in (0.3, 0.9) for text in (True, False)],
        *[("m.vtp", _cut(share), "no usable") for share in (0.3, 0.9)],
        ("m.ply", _text(PLY_HEADER + "0 0 0\n1 0 0\n0 1 0\n3 0 1 99\n"), "no usable"),
        ("m.ply", _text(PLY_HEADER + "0 0 0\n1 0 nan\n0 1 0\n3 0 1 2\n"), "no usable"),
        ("m.obj", _text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99\n"), "no usable"),
        ("m.obj", _text("v 0 0 0\nv 1 0 0\nv 0 1 0\n"), "no usable"),
    ],
)
def test_unreadable_meshes(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, make, cause: str) -> None:
    make(tmp_path / name)
    with pytest.raises(ReferenceSurfaceError, match=cause) as caught:
        read_surface(tmp_path / name)
    assert caught.value.subject == str(tmp_path / name)
    assert capfd.readouterr().err == ""  # no trace of VTK's on the console


def test_an_unknown_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceSurfaceError, match="RAI"):
        read_surface(tmp_path / "m.ply", space="RAI")


@pytest.mark.parametrize(
    ("name", "surface", "cause"),
    [("m.glb", tetrahedron(), "ending"), ("m.ply", vtkPolyData(), "empty"), ("file/m.ply", tetrahedron(), "written")],
)
def test_unwritable_surfaces(tmp_path: Path, name: str, surface: vtkPolyData, cause: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EARError, match=cause):
        write_surface(tmp_path / name, surface)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_a_failed_write_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    class Broken(PLAIN[suffix][1]):  # type: ignore[misc]
        def Write(self) -> int:
            Path(self.GetFileName()).write_text("half")
            return 0

    path = tmp_path / f"m{suffix}"
    path.write_text("older")
    monkeypatch.setitem(module._MESH_FILES, suffix, (None, Broken))
    with pytest.raises(EARError, match="written"):
        write_surface(path, tetrahedron())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_leaves_the_surface_alone(tmp_path: Path) -> None:
    surface = tetrahedron()
    before = points_of(surface)
    write_surface(tmp_path / "m.vtp", surface)
    write_surface(tmp_path / "m.vtp", surface)
    np.testing.assert_array_equal(points_of(surface), before)
    assert surface.GetFieldData().GetNumberOfArrays() == 0
