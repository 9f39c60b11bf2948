"""Volumes on disk: the right place in LPS for everyone else, whole or not at all, and clear refusals."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.colours import level_colour
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.volume_io import (
    Volume,
    read_volume,
    resample,
    resample_mask_to,
    write_labels,
    write_volume,
    written_whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")
SHAPE = (4, 5, 6)  # (k, j, i)


def affine(spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rotation, degrees=True).as_matrix() * spacing
    matrix[:3, 3] = origin
    return matrix


OBLIQUE = affine((0.7, 1.1, 2.5), (10.0, -20.0, 330.0), (10.0, -20.0, 30.0))
MIRRORED = np.diag([-1.0, 1.5, 2.0, 1.0])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "matrix", [OBLIQUE, MIRRORED, np.diag([-1.0, -1.0, 1.0, 1.0])], ids=["oblique", "mirror", "LPS"]
)
def test_round_trip_keeps_values_and_place(tmp_path: Path, suffix: str, matrix: np.ndarray) -> None:
    array = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    write_volume(tmp_path / f"v{suffix}", array, matrix)
    back = read_volume(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(back.array, array)
    np.testing.assert_allclose(back.ras_from_ijk, matrix, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(*[st.floats(0.3, 4)] * 3),
    st.tuples(*[st.floats(-900, 900)] * 3),
    st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_other_software_finds_each_voxel_at_its_lps_point(
    tmp_path_factory: pytest.TempPathFactory, spacing: tuple, origin: tuple, rotation: tuple
) -> None:
    matrix = affine(spacing, origin, rotation)
    array = np.zeros(SHAPE, np.uint8)
    array[3, 1, 2] = 7
    path = tmp_path_factory.mktemp("lps") / "v.nrrd"
    write_volume(path, array, matrix)
    image = sitk.ReadImage(str(path))
    assert image[2, 1, 3] == 7  # (i, j, k)
    ras = (matrix @ [2, 1, 3, 1])[:3]
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((2, 1, 3)), ras * [-1, -1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("given_type", "stored"), [(bool, np.uint8), (np.int16, np.int16), (np.float16, np.float32), (float, float)]
)
def test_types(tmp_path: Path, given_type: type, stored: type) -> None:
    array = (np.arange(120).reshape(SHAPE) % 2).astype(given_type)
    write_volume(tmp_path / "v.nrrd", array, np.eye(4))
    back = read_volume(tmp_path / "v.nrrd").array
    assert back.dtype == stored
    np.testing.assert_array_equal(back, array)


def test_nrrd_keeps_text_fields_and_nothing_of_the_format(tmp_path: Path) -> None:
    write_volume(tmp_path / "v.nrrd", np.zeros(SHAPE), np.eye(4), metadata={"unit": "HU", "level": "L1"})
    assert dict(read_volume(tmp_path / "v.nrrd").metadata) == {"unit": "HU", "level": "L1"}


@pytest.mark.parametrize("suffix", [".nii", ".nrrd"])
def test_one_time_step_is_a_volume(tmp_path: Path, suffix: str) -> None:
    array = np.arange(120, dtype=np.int16).reshape(1, *SHAPE)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / f"v{suffix}"))
    np.testing.assert_array_equal(read_volume(tmp_path / f"v{suffix}").array, array[0])


def test_names_with_spaces_and_umlauts(tmp_path: Path) -> None:
    path = tmp_path / "Wirbelsäule 椎骨" / "übung 1.nii.gz"
    write_volume(path, np.ones(SHAPE, np.uint8), np.eye(4))
    assert read_volume(path).array.sum() == 120


def _missing(path: Path) -> Path:
    return path / "nothing.nrrd"


def _garbage(path: Path) -> Path:
    (path / "v.nrrd").write_bytes(b"hello, I am no volume" * 50)
    return path / "v.nrrd"


def _shortened(path: Path) -> Path:
    write_volume(path / "v.nrrd", np.random.default_rng(0).normal(size=(20, 20, 20)), np.eye(4))
    (path / "v.nrrd").write_bytes((path / "v.nrrd").read_bytes()[:9000])
    return path / "v.nrrd"


def _coloured(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((*SHAPE, 3), np.uint8), isVector=True), str(path / "v.nrrd"))
    return path / "v.nrrd"


def _photograph(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.uint8)), str(path / "v.png"))
    return path / "v.png"


def _film(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, *SHAPE), np.uint8), isVector=False), str(path / "v.nii"))
    return path / "v.nii"


def _sheared(path: Path) -> Path:
    write_volume(path / "v.nii", np.zeros(SHAPE, np.uint8), np.eye(4))
    content = bytearray((path / "v.nii").read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<12f", content, 280, 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)  # srow_x, _y, _z
    (path / "v.nii").write_bytes(content)
    return path / "v.nii"


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (_missing, "no such file"),
        (_garbage, "cannot be read"),
        (_shortened, "cannot be read"),
        (_coloured, "3 values per voxel"),
        (_photograph, "2 dimensions"),
        (_film, "4 dimensions"),
        (_sheared, "right angles"),
    ],
)
def test_unreadable_files(tmp_path: Path, make, cause: str) -> None:
    path = make(tmp_path)
    with pytest.raises(ReferenceSurfaceError, match=cause) as caught:
        read_volume(path)
    assert caught.value.subject == str(path)


@pytest.mark.parametrize(
    ("name", "array", "matrix", "cause"),
    [
        ("v.png", np.zeros(SHAPE), np.eye(4), "ending"),
        ("v.nhdr", np.zeros(SHAPE), np.eye(4), "ending"),
        ("v.nrrd", np.zeros((5, 6)), np.eye(4), "no 3-D volume"),
        ("v.nrrd", np.zeros((0, 5, 6)), np.eye(4), "no 3-D volume"),
        ("v.nrrd", np.zeros(SHAPE), np.diag([1, 0, 1, 1.0]), "no 3-D volume"),
        ("v.nrrd", np.zeros(SHAPE), np.full((4, 4), np.nan), "no 3-D volume"),
        ("v.nrrd", np.zeros(SHAPE), np.eye(4) + np.eye(4, k=1), "right angles"),
    ],
)
def test_unwritable_volumes_leave_nothing(tmp_path: Path, name: str, array, matrix, cause: str) -> None:
    with pytest.raises(EARError, match=cause):
        write_volume(tmp_path / name, array, matrix)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_keeps_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "v.nrrd"
    path.write_text("older")

    def interrupted() -> None:
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_without_access_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EARError, match="could not be written") as caught:
        write_volume(tmp_path / "file" / "v.nrrd", np.zeros(SHAPE), np.eye(4))
    assert "v.nrrd" in caught.value.subject


def test_labels_become_slicer_segments(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[1:3, 2:4, 1:5] = 20
    labels[3, 0, 5] = 28
    path = tmp_path / "l.seg.nrrd"
    write_labels(path, labels, OBLIQUE, {28: "T13", 20: "L1", 21: "L2"})
    back = read_volume(path)
    assert back.array.dtype == np.uint8
    np.testing.assert_array_equal(back.array, labels)
    np.testing.assert_allclose(back.ras_from_ijk, OBLIQUE, atol=1e-6)
    header = back.metadata
    segments = [
        (header[f"Segment{n}_Name"], header[f"Segment{n}_LabelValue"], header[f"Segment{n}_Extent"]) for n in range(3)
    ]
    assert segments == [("T13", "28", "5 5 0 0 3 3"), ("L1", "20", "1 4 2 3 1 2"), ("L2", "21", "0 -1 0 -1 0 -1")]
    assert len({header[f"Segment{n}_ID"] for n in range(3)}) == 3
    colours = [[float(c) for c in header[f"Segment{n}_Color"].split()] for n in range(3)]
    expected = [level_colour(level) for level in ("T13", "L1", "L2")]  # as everywhere else
    np.testing.assert_allclose(colours, expected, atol=1e-4)
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"


@pytest.mark.parametrize(
    ("name", "value", "names", "cause"),
    [
        ("l.nrrd", 20, {20: "L1"}, "seg.nrrd"),
        ("l.seg.nrrd", 21, {20: "L1"}, "21"),
        ("l.seg.nrrd", 0, {0: "air"}, "out of range"),
        ("l.seg.nrrd", -1, {-1: "x"}, "out of range"),
    ],
)
def test_labels_that_cannot_be_segments(tmp_path: Path, name: str, value: int, names, cause: str) -> None:
    with pytest.raises(EARError, match=cause):
        write_labels(tmp_path / name, np.full(SHAPE, value), np.eye(4), names)
    assert not list(tmp_path.iterdir())


def test_resampling_reproduces_a_linear_field_on_a_turned_grid() -> None:
    source = affine((1.5, 1.0, 2.0), (-20, -15, -25), (0, 0, 20))
    k, j, i = np.indices((30, 40, 30))
    ras = np.stack([i, j, k], -1) @ source[:3, :3].T + source[:3, 3]
    field = Volume(ras @ [1.0, -2.0, 0.5] + 3, source)
    target = affine((0.8, 0.9, 1.1), (-4, 4, -3), (5, 10, -10))
    k, j, i = np.indices((6, 7, 8))
    there = np.stack([i, j, k], -1) @ target[:3, :3].T + target[:3, 3]
    np.testing.assert_allclose(resample(field, target, (6, 7, 8)), there @ [1.0, -2.0, 0.5] + 3, atol=1e-3)
    away = affine(origin=(500, 0, 0))
    assert (resample(field, away, (2, 2, 2), outside=-1000) == -1000).all()


def _ball(matrix: np.ndarray, shape: tuple[int, int, int], radius: float) -> Volume:
    k, j, i = np.indices(shape)
    ras = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    return Volume((np.linalg.norm(ras, axis=-1) < radius).astype(np.uint8), matrix)


def test_a_mask_moves_to_another_grid() -> None:
    fine = _ball(affine((-0.6, -0.6, 0.9), (15, 15, -15)), (34, 51, 51), 12)
    coarse = _ball(affine((1.2, 1.0, 1.1), (-18, -16, -17), (15, 5, -25)), (30, 32, 28), 12)
    moved = resample_mask_to(fine, coarse)
    assert moved.dtype == bool
    both = (moved & (coarse.array > 0)).sum()
    assert 2 * both / (moved.sum() + coarse.array.sum()) > 0.97


def test_a_mask_elsewhere_is_refused() -> None:
    mask = _ball(affine(origin=(-10, -10, -10)), (20, 20, 20), 8)
    like = Volume(np.zeros((4, 4, 4)), affine(origin=(100, 0, 0)))
    with pytest.raises(ReferenceSurfaceError, match="outside"):
        resample_mask_to(mask, like)
    empty = Volume(np.zeros((4, 4, 4)), np.eye(4))
    assert not resample_mask_to(empty, like).any()


class TestDamageThatItkKeepsQuietAbout:
    """SimpleITK puts zeros where voxels are missing or are no numbers: as a reference that is a wrong surface."""

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    def test_a_nifti_that_is_cut_short(self, tmp_path, name):
        path = tmp_path / name
        generator = np.random.default_rng(3)
        write_volume(path, generator.integers(0, 9, (9, 10, 11)).astype(np.int16), np.eye(4))
        path.write_bytes(path.read_bytes()[:-60])
        with pytest.raises(ReferenceSurfaceError, match=r"a\.nii.*cut short.*again"):
            read_volume(path)

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd"])
    def test_a_voxel_that_is_no_number(self, tmp_path, name):
        array = np.zeros((4, 5, 6), np.float32)
        array[1, 2, 3] = np.nan
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
        with pytest.raises(ReferenceSurfaceError, match="no number"):
            read_volume(tmp_path / name)

    def test_nothing_of_the_kind_is_written(self, tmp_path):
        with pytest.raises(EARError, match=r"a\.nrrd.*no number"):
            write_volume(tmp_path / "a.nrrd", np.full((2, 3, 4), np.inf), np.eye(4))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
    def test_a_disk_that_fills_up_at_the_last_block(self, tmp_path, monkeypatch, name):
        write = sitk.WriteImage

        def cut_short(image, path, *args, **kwargs):
            write(image, path, *args, **kwargs)
            with open(path, "r+b") as stream:
                stream.truncate(stream.seek(0, 2) - 40)

        monkeypatch.setattr(sitk, "WriteImage", cut_short)
        noise = np.random.default_rng(3).integers(0, 99, (9, 10, 11)).astype(np.int16)
        with pytest.raises(EARError, match=r"disk is full.*room"):
            write_volume(tmp_path / name, noise, np.eye(4))
        assert list(tmp_path.iterdir()) == []
