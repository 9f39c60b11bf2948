"""Meshes: each becomes its label in its place; meshes of several frames are not mixed."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.surface import mask_surface, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARTrainingLib.datasets.readers import DatasetError, Scan, load_scan
from EARTrainingLib.datasets.readers.meshes import rasterise


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def ball_surface(centre, radius):
    affine = cube_affine(centre, 40, 1.0)
    return mask_surface(np.linalg.norm(points(affine, (40,) * 3) - centre, axis=-1) < radius, affine)


def middle_of(inside, affine):
    k, j, i = np.nonzero(inside)
    return transform_points(affine, np.stack([i, j, k], -1)).mean(0)


#: Level -> centre RAS mm and radius mm.
BALLS = {"T12": ((-3, 4, 31), 9.0), "L1": ((2, 7, 0), 12.0), "L2": ((0, -15, -30), 7.0)}


def scan_of(*meshes):
    return Scan("MORPH", "p", "s", None, None, meshes=meshes)


def test_volumes_and_places():
    volume = rasterise({level: ball_surface(*ball) for level, ball in BALLS.items()}, 0.8)
    assert volume.array.dtype == np.uint8
    for level, (place, radius) in BALLS.items():
        inside = volume.array == VERSE_LABEL[level]
        assert inside.sum() * 0.8**3 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
        np.testing.assert_allclose(middle_of(inside, volume.ras_from_ijk), place, atol=0.15)
    border = np.ones(volume.array.shape, bool)
    border[1:-1, 1:-1, 1:-1] = False
    assert not volume.array[border].any()


def test_a_scan_of_meshes(tmp_path):
    for level, ball in BALLS.items():
        write_surface(tmp_path / f"{level}.ply", ball_surface(*ball))
    loaded = load_scan(scan_of(*((level, tmp_path / f"{level}.ply") for level in BALLS)))
    assert loaded.hu is None
    for level, (place, _) in BALLS.items():
        found = middle_of(loaded.labels.array == VERSE_LABEL[level], loaded.labels.ras_from_ijk)
        np.testing.assert_allclose(found, place, atol=0.15)


def test_a_little_overlap_is_a_joint_and_much_is_another_frame(tmp_path):
    write_surface(tmp_path / "L1.ply", ball_surface((0, 0, 0), 10.0))
    for name, away, good in (("joint", 18.5, True), ("wrong", 8.0, False)):
        write_surface(tmp_path / f"{name}.ply", ball_surface((0, 0, away), 10.0))
        scan = scan_of(("L1", tmp_path / "L1.ply"), ("T12", tmp_path / f"{name}.ply"))
        if good:
            labels = load_scan(scan).labels.array
            assert (labels == VERSE_LABEL["T12"]).sum() > (labels == VERSE_LABEL["L1"]).sum() > 0
        else:
            with pytest.raises(DatasetError, match="not in one frame"):
                load_scan(scan)


@pytest.mark.parametrize("content", [None, b"", b"ply\nrubbish"])
def test_a_bad_mesh_is_named(tmp_path, content):
    path = tmp_path / "L1.ply"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError) as trouble:
        load_scan(scan_of(("L1", path)))
    assert trouble.value.subject == str(path)
