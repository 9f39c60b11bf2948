"""A spine: every vertebra in its place with its label, whatever its grid; fair where two claim one voxel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.geometry.frames import cube_affine
from EARReconstructionLib.spine import AIR_HU, Spine, stitch, write_spine
from EARReconstructionLib.surface import points_of, read_surface
from EARReconstructionLib.vertebra import VERSE_LABEL, VertebraROI
from EARReconstructionLib.volume_io import Volume
from vtkmodules.util.numpy_support import vtk_to_numpy


@dataclass(frozen=True)
class Rebuilt:
    """What spine.py needs of a Reconstruction."""

    roi: VertebraROI
    volume_hu: np.ndarray
    mask: np.ndarray
    ras_from_ijk: np.ndarray
    threshold_hu: float = 100.0
    expected_error_mm: np.ndarray | None = None


def field(matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """RAS points (k, j, i, 3) of a grid."""
    k, j, i = np.indices(shape)
    return np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def vertebra(
    level: str, centre, *, matrix=None, shape=(40, 40, 40), hu: float = 400.0, size=(30.0, 30.0, 24.0), bone=()
) -> Rebuilt:
    """A ball of 9 mm with a knob to the Right, in front and above; ``bone``: further balls (RAS centre, radius, HU)."""
    matrix = cube_affine(centre, shape[0], 1.0) if matrix is None else matrix
    points = field(matrix, shape)
    volume = np.full(shape, AIR_HU, np.float32)
    own = [(centre, 9.0, hu), (np.add(centre, (8, 5, 4)), 4.0, hu)]
    for middle, radius, value in [*own, *bone]:
        depth = radius - np.linalg.norm(points - middle, axis=-1)
        at_surface = (100 - AIR_HU) / (value - AIR_HU)  # a soft rim of 2 mm that crosses the threshold at the radius
        inside = np.clip(depth / 2 + at_surface, 0, 1) * (value - AIR_HU) + AIR_HU
        volume = np.maximum(volume, inside.astype(np.float32))
    roi = VertebraROI(level, tuple(float(x) for x in centre), size)
    return Rebuilt(roi, volume, volume > 100, matrix)


def shape_points() -> np.ndarray:
    """(N, 3) points evenly in that shape about the origin, 0.4 mm apart."""
    fine = field(cube_affine((0, 0, 0), 80, 0.4), (80, 80, 80))
    return fine[(np.linalg.norm(fine, axis=-1) < 9) | (np.linalg.norm(fine - [8, 5, 4], axis=-1) < 4)]


def label_points(spine: Spine, level: str) -> np.ndarray:
    """(N, 3) RAS of a level's voxels."""
    k, j, i = np.nonzero(spine.labels.array == VERSE_LABEL[level])
    matrix = spine.labels.ras_from_ijk
    return np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def value_at(volume: Volume, ras) -> float:
    i, j, k = np.rint(np.linalg.inv(volume.ras_from_ijk) @ [*ras, 1])[:3].astype(int)
    return float(volume.array[k, j, i])


def grid_of(name: str, centre) -> np.ndarray:
    """A grid about a point: axes mirrored, permuted or of other spacing."""
    axes = {
        "1 mm": np.eye(3),
        "0.75 mm": 0.75 * np.eye(3),
        "1.5 mm": 1.5 * np.eye(3),
        "anisotropic": np.diag([1.0, 0.9, 1.2]),
        "LPS": np.diag([-1.0, -1.0, 1.0]),
        "permuted": np.eye(3)[[1, 2, 0]],
    }[name]
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = np.asarray(centre) - axes @ [19.5, 19.5, 19.5]
    return matrix


def test_one_vertebra_stays_as_it_is() -> None:
    one = vertebra("L1", (3.3, -7.7, 100.1))
    spine = stitch([one])
    np.testing.assert_allclose(spine.volume.ras_from_ijk, one.ras_from_ijk, atol=1e-9)
    np.testing.assert_array_equal(spine.volume.array, np.rint(one.volume_hu).astype(np.int16))
    np.testing.assert_array_equal(spine.labels.array, np.where(one.mask, 20, 0))
    assert (spine.volume.array.dtype, spine.labels.array.dtype) == (np.int16, np.uint8)


@pytest.mark.parametrize("name", ["1 mm", "0.75 mm", "1.5 mm", "anisotropic", "LPS", "permuted"])
def test_each_vertebra_is_in_its_place_with_its_label(name: str) -> None:
    centres = {"T12": (2.3, -10.4, 560.0), "L1": (-4.2, -12.9, 531.3), "L2": (0.7, -9.1, 502.2)}
    rebuilt = [
        vertebra(level, centre, matrix=grid_of(name if level == "L1" else "1 mm", centre))
        for level, centre in centres.items()
    ]
    spine = stitch(rebuilt)
    spacing = 0.75 if name == "0.75 mm" else 0.9 if name == "anisotropic" else 1.0
    np.testing.assert_allclose(np.diag(spine.volume.ras_from_ijk)[:3], spacing)
    assert set(np.unique(spine.labels.array)) == {0, 19, 20, 21}
    truth = shape_points()
    for level, centre in centres.items():
        found = label_points(spine, level) - centre
        np.testing.assert_allclose(found.mean(axis=0), truth.mean(axis=0), atol=0.15)
        np.testing.assert_allclose(found.std(axis=0), truth.std(axis=0), atol=0.1)
        assert len(found) * spacing**3 == pytest.approx(len(truth) * 0.4**3, rel=0.06)
        bounds = np.reshape(spine.surfaces[level].GetBounds(), (3, 2)) - np.asarray(centre)[:, None]
        np.testing.assert_allclose(bounds, [[-9, 12], [-9, 9], [-9, 9]], atol=0.3)
        assert value_at(spine.volume, centre) == pytest.approx(400, abs=1)


def test_between_vertebrae_there_is_air() -> None:
    spine = stitch([vertebra("L1", (0, 0, 100)), vertebra("L4", (60, 20, -60))])
    points = field(spine.volume.ras_from_ijk, spine.volume.array.shape)
    near = (np.linalg.norm(points - [0, 0, 100], axis=-1) < 20) | (np.linalg.norm(points - [60, 20, -60], axis=-1) < 20)
    assert (spine.volume.array[~near] == AIR_HU).all()
    assert (spine.labels.array[~near] == 0).all()
    assert spine.volume.array.shape == (200, 60, 100)


def test_the_greater_hu_stays_and_nobody_takes_what_is_far_outside_its_roi() -> None:
    """L1 dreams up dense bone where the weak L2 is, and beyond both."""
    neighbour, beyond = (0.0, 0.0, -26.0), (0.0, 20.0, 0.0)
    upper = vertebra(
        "L1", (0, 0, 0), matrix=cube_affine((0, 0, 0), 64, 1.0), shape=(64, 64, 64), bone=[(neighbour, 9.0, 1200.0)]
    )
    lower = vertebra("L2", neighbour, hu=150.0, matrix=cube_affine(neighbour, 64, 1.0), shape=(64, 64, 64))
    for pair in permutations([upper, lower]):
        spine = stitch(pair)
        assert value_at(spine.labels, neighbour) == 21
        assert value_at(spine.volume, neighbour) == 1200
        core = np.linalg.norm(label_points(spine, "L1") - neighbour, axis=1) < 7
        assert not core.any()
        assert value_at(spine.labels, (0, 0, 0)) == 20
        assert value_at(spine.labels, beyond) == 0


def test_where_rois_meet_the_denser_bone_has_the_label() -> None:
    contact = (0.0, 0.0, -13.0)
    dense = vertebra("L1", (0, 0, 0), bone=[(contact, 3.0, 900.0)])
    faint = vertebra("L2", (0, 0, -26), bone=[(contact, 3.0, 160.0)])
    for pair in permutations([dense, faint]):
        assert value_at(stitch(pair).labels, contact) == 20


def test_the_order_does_not_matter() -> None:
    rebuilt = [vertebra(level, (0.4 * n, 0.3, -14.0 * n)) for n, level in enumerate(("T11", "T12", "L1"))]
    forth, back = stitch(rebuilt), stitch(rebuilt[::-1])
    for level in ("T11", "T12", "L1"):
        a, b = label_points(forth, level), label_points(back, level)
        np.testing.assert_allclose(a.mean(axis=0), b.mean(axis=0), atol=0.15)  # each order has its own lattice
        assert len(a) == pytest.approx(len(b), rel=0.03)


def test_an_island_outside_the_mask_has_no_label() -> None:
    island = (0.0, -16.0, -14.0)
    one = vertebra("L1", (0, 0, 0), bone=[(island, 2.5, 400.0)])
    away = np.linalg.norm(field(one.ras_from_ijk, one.mask.shape) - island, axis=-1) < 5
    spine = stitch([Rebuilt(one.roi, one.volume_hu, one.mask & ~away, one.ras_from_ijk)])
    assert value_at(spine.volume, island) == 400
    assert value_at(spine.labels, island) == 0
    assert value_at(spine.labels, (0, 0, 0)) == 20


def test_a_vertebra_without_bone_leaves_no_trace() -> None:
    empty = vertebra("L2", (0, 0, -26))
    empty = Rebuilt(empty.roi, np.full_like(empty.volume_hu, -500), np.zeros_like(empty.mask), empty.ras_from_ijk)
    spine = stitch([vertebra("L1", (0, 0, 0)), empty])
    assert set(spine.surfaces) == {"L1"}
    assert set(np.unique(spine.labels.array)) == {0, 20}


def test_a_chosen_spacing() -> None:
    spine = stitch([vertebra("L1", (0, 0, 0)), vertebra("L2", (0, 0, -26))], spacing_mm=2.0)
    np.testing.assert_allclose(np.diag(spine.labels.ras_from_ijk)[:3], 2)
    assert len(label_points(spine, "L2")) * 8 == pytest.approx(len(shape_points()) * 0.4**3, rel=0.05)


@pytest.mark.parametrize(
    ("rebuilt", "spacing", "cause"),
    [
        ([], None, "no vertebra"),
        ([vertebra("L1", (0, 0, 0)), vertebra("L1", (0, 0, 30))], None, "L1 occurs more than once"),
        ([vertebra("L1", (0, 0, 0))], 0.0, "spacing of 0 mm"),
        ([vertebra("L1", (0, 0, 0))], -1.0, "spacing of -1 mm"),
        ([vertebra("L1", (0, 0, 0))], float("nan"), "spacing of nan mm"),
        ([vertebra("L1", (0, 0, 0))], 0.01, "do not fit into memory"),
        ([vertebra("L1", (0, 0, 0)), vertebra("L2", (9e4, 9e4, 30))], None, "do not fit into memory"),
    ],
)
def test_what_makes_no_spine(rebuilt: list[Rebuilt], spacing: float | None, cause: str) -> None:
    with pytest.raises(EARError, match=cause):
        stitch(rebuilt, spacing)


def test_an_unknown_level_is_named() -> None:
    one = vertebra("L1", (0, 0, 0))
    object.__setattr__(one.roi, "level", "S1")
    with pytest.raises(EARError, match="unknown level S1"):
        stitch([one])


def test_surfaces_carry_the_expected_errors_of_their_points() -> None:
    sure, unsure = vertebra("L1", (0, 0, 0)), vertebra("L2", (0, 0, -30))
    slope = np.array([0.02, -0.03, 0.05])  # along R, A and S
    errors = 4 + field(unsure.ras_from_ijk, unsure.volume_hu.shape) @ slope
    spine = stitch([sure, replace(unsure, expected_error_mm=errors.astype(np.float32))])
    assert not spine.surfaces["L1"].GetPointData().HasArray(EXPECTED_ERROR)
    found = vtk_to_numpy(spine.surfaces["L2"].GetPointData().GetArray(EXPECTED_ERROR))
    np.testing.assert_allclose(found, 4 + points_of(spine.surfaces["L2"]) @ slope, atol=1e-3)


def test_files_of_a_spine(tmp_path: Path) -> None:
    centres = {"L1": (1.0, 2.0, 300.0), "T13": (1.5, 2.5, 330.0), "T12": (2.0, 3.0, 360.0)}
    spine = stitch([vertebra(level, centre) for level, centre in centres.items()])
    folder = tmp_path / "Wirbelsäule 1"
    paths = write_spine(spine, folder)
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == sorted(
        ["spine.nrrd", "spine-labels.seg.nrrd", "surfaces/T12.stl", "surfaces/T13.stl", "surfaces/L1.stl"]
    )
    assert set(paths) == {p for p in folder.rglob("*") if p.is_file()}
    volume, labels = (sitk.ReadImage(str(folder / name)) for name in ("spine.nrrd", "spine-labels.seg.nrrd"))
    for level, (r, a, s) in centres.items():
        index = labels.TransformPhysicalPointToIndex((-r, -a, s))  # SimpleITK is LPS
        assert labels[index] == VERSE_LABEL[level]
        assert volume[index] == 400
        knob = labels.TransformPhysicalPointToIndex((-r - 10, -a - 5, s + 4))  # to the Right: -x
        assert labels[knob] == VERSE_LABEL[level]
        bounds = np.reshape(read_surface(folder / "surfaces" / f"{level}.stl").GetBounds(), (3, 2))
        np.testing.assert_allclose(bounds[:, 0], np.array([r, a, s]) - 9, atol=0.2)
    names = [labels.GetMetaData(f"Segment{n}_Name") for n in range(3)]
    assert names == ["T12", "T13", "L1"]  # from head to foot, though T13 has label 28


def test_an_earlier_spine_leaves_no_surface_behind(tmp_path: Path) -> None:
    write_spine(stitch([vertebra("L1", (0, 0, 0)), vertebra("L2", (0, 0, -30))]), tmp_path)
    (tmp_path / "surfaces" / "notes.txt").write_text("mine")
    write_spine(stitch([vertebra("L2", (0, 0, -30)), vertebra("L3", (0, 0, -60))]), tmp_path)
    assert sorted(p.name for p in (tmp_path / "surfaces").iterdir()) == ["L2.stl", "L3.stl", "notes.txt"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EARError, match="could not be written"):
        write_spine(stitch([vertebra("L1", (0, 0, 0))]), tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
