"""Who is X-rayed: what is read, what of it stands in the beam, and what is refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_volume
from EARTrainingLib.datasets.readers.scan import DatasetError
from EARTrainingLib.datasets.subjects import MARKER_MM, Subject, label_of, phantom_subject, read_subject, shown

AFFINE = np.diag([-1.5, 2.0, 1.5, 1.0])
AFFINE[:3, 3] = (30.0, -40.0, 70.0)


def labels(*levels):
    """(k, j, i) one block of bone per level, from the top down, each with a process to the grid's first side."""
    array = np.zeros((80, 40, 50), np.uint8)
    for n, level in enumerate(levels):
        top = 70 - 22 * n
        array[top - 16 : top, 12:26, 20:34] = VERSE_LABEL[level]
        array[top - 10 : top - 6, 16:20, 10:20] = VERSE_LABEL[level]
    return array


def ct(*levels):
    """HU of these blocks in soft tissue in air."""
    array = np.full((80, 40, 50), -1000, np.int16)
    array[2:-2, 4:-4, 4:-4] = 40
    array[labels(*levels) > 0] = 700
    array[:, 20:24, 30] += 90  # no bone is the same everywhere
    return array


@pytest.fixture
def files(tmp_path):
    write_volume(tmp_path / "ct.nii.gz", ct("T12", "L1", "L2"), AFFINE)
    write_volume(tmp_path / "mask.nii.gz", labels("T12", "L1", "L2"), AFFINE)
    return tmp_path


class TestReading:
    def test_a_ct(self, files):
        subject = read_subject(files / "ct.nii.gz", None)
        assert subject.name == "ct"
        assert subject.labels is None
        assert subject.hu.array.dtype == np.float32
        np.testing.assert_array_equal(subject.hu.array, ct("T12", "L1", "L2"))
        np.testing.assert_allclose(subject.hu.ras_from_ijk, AFFINE, atol=1e-4)

    def test_a_ct_with_its_mask(self, files):
        subject = read_subject(files / "ct.nii.gz", files / "mask.nii.gz")
        assert subject.levels == ("T12", "L1", "L2")
        np.testing.assert_array_equal(subject.labels.array, labels("T12", "L1", "L2"))

    def test_a_vertebra_that_is_cut_counts_as_none(self, files):
        array = labels("T12", "L1", "L2")
        write_volume(files / "cut.nii.gz", np.roll(array, 10, 0), AFFINE)
        subject = read_subject(files / "ct.nii.gz", files / "cut.nii.gz")
        assert subject.levels == ("L1", "L2")
        assert (subject.labels.array == VERSE_LABEL["T12"]).any()

    def test_a_mask_alone_gets_bone_in_air(self, files):
        subject = read_subject(None, files / "mask.nii.gz")
        assert subject.name == "mask"
        assert subject.levels == ("T12", "L1", "L2")
        assert (subject.hu.array[subject.labels.array == 0] == -1000).all()
        assert subject.hu.array[subject.labels.array > 0].mean() > 100

    def test_a_lone_vertebra_gets_neighbours_that_are_nobody_s(self, tmp_path):
        write_volume(tmp_path / "one.nrrd", labels("L3"), AFFINE)
        subject = read_subject(None, tmp_path / "one.nrrd")
        assert subject.levels == ("L3",)
        heights = transform_points(subject.hu.ras_from_ijk, np.argwhere(subject.hu.array > 0)[:, ::-1])[:, 2]
        own = transform_points(subject.hu.ras_from_ijk, np.argwhere(subject.labels.array == 22)[:, ::-1])[:, 2]
        assert heights.max() > own.max() + 15
        assert heights.min() < own.min() - 15

    def test_the_made_up_spine_is_marked_on_its_left(self):
        subject = phantom_subject(7, ("L3",))
        assert subject.levels == ("L3",)
        assert set(np.unique(subject.labels.array)) == {0, VERSE_LABEL["L2"], VERSE_LABEL["L3"]}
        k, j, i = np.nonzero(subject.labels.array == VERSE_LABEL["L3"])
        right = transform_points(subject.labels.ras_from_ijk, np.stack([i, j, k], -1))[:, 0]
        assert (np.median(right) - right.min()) - (right.max() - np.median(right)) > 0.3 * MARKER_MM


class TestRefusal:
    def refused(self, path, array, affine=AFFINE):
        if np.isfinite(array).all():
            write_volume(path, array, affine)
        else:
            sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
        with pytest.raises(DatasetError) as error:
            read_subject(path, None)
        assert path.name in str(error.value)
        return str(error.value)

    def test_no_bone(self, tmp_path):
        assert "no bone in it" in self.refused(tmp_path / "water.nrrd", np.clip(ct("L1"), -1000, 60))

    def test_no_hounsfield_units(self, tmp_path):
        said = self.refused(tmp_path / "raw.nrrd", (ct("L1") + 1024).astype(np.uint16))
        assert "start at 24" in said
        assert "no HU" in said

    def test_no_numbers(self, tmp_path):
        array = ct("L1").astype(np.float32)
        array[3, 3, 3] = np.nan
        assert "hold no number" in self.refused(tmp_path / "nan.nrrd", array)
        assert "hold no number" in self.refused(tmp_path / "nan.nii.gz", array)

    def test_cut_short(self, files):
        data = (files / "ct.nii.gz").read_bytes()
        (files / "cut.nii.gz").write_bytes(data[: len(data) // 2])
        with pytest.raises(DatasetError, match="cut short"):
            read_subject(files / "cut.nii.gz", None)

    def test_missing_four_dimensions_and_text(self, tmp_path):
        sitk.WriteImage(
            sitk.GetImageFromArray(np.zeros((3, 4, 5, 6), np.int16), isVector=False), tmp_path / "4d.nii.gz"
        )
        (tmp_path / "letter.nrrd").write_text("Dear colleague")
        for name, words in (("none.nrrd", "no such file"), ("4d.nii.gz", "4 dimensions"), ("letter.nrrd", "read")):
            with pytest.raises(EARError, match=words) as error:
                read_subject(tmp_path / name, None)
            assert name in str(error.value)

    def test_a_mask_of_another_grid(self, files):
        moved = AFFINE.copy()
        moved[0, 3] += 40
        write_volume(files / "far.nii.gz", labels("L1"), moved)
        with pytest.raises(DatasetError, match=r"far\.nii\.gz.*not on the grid"):
            read_subject(files / "ct.nii.gz", files / "far.nii.gz")

    def test_nothing(self):
        with pytest.raises(DatasetError, match="nothing to take it of"):
            read_subject(None, None)


class TestShown:
    @pytest.fixture
    def subject(self, files):
        return read_subject(files / "ct.nii.gz", files / "mask.nii.gz")

    def test_in_situ_is_everything(self, subject):
        assert shown(subject, "in-situ") is subject.hu

    def test_column_is_all_bone_in_air_on_the_same_grid(self, subject):
        volume = shown(subject, "column", "L1")
        np.testing.assert_array_equal(volume.ras_from_ijk, subject.hu.ras_from_ijk)
        bone = subject.labels.array > 0
        np.testing.assert_array_equal(volume.array, np.where(bone, subject.hu.array, -1000))

    def test_isolated_is_one_vertebra_in_its_place(self, subject):
        volume = shown(subject, "isolated", "L1")
        assert volume.array.size < subject.hu.array.size / 2
        found = transform_points(volume.ras_from_ijk, np.argwhere(volume.array > -1000)[:, ::-1])
        wanted = np.argwhere(subject.labels.array == VERSE_LABEL["L1"])[:, ::-1]
        np.testing.assert_allclose(found, transform_points(subject.hu.ras_from_ijk, wanted), atol=1e-9)

    @pytest.mark.parametrize(
        ("protocol", "level", "words"),
        [
            ("isolated", None, "none is named"),
            ("isolated", "T1", "no T1 in its mask.*T12, L1, L2"),
            ("nude", None, "isolated, column, in-situ"),
        ],
    )
    def test_refused(self, subject, protocol, level, words):
        with pytest.raises(DatasetError, match=words):
            shown(subject, protocol, level)

    def test_without_a_mask(self, files):
        bare = read_subject(files / "ct.nii.gz", None)
        for protocol in ("column", "isolated"):
            with pytest.raises(DatasetError, match="Give a mask"):
                shown(bare, protocol, "L1")
        with pytest.raises(DatasetError, match="no mask"):
            label_of(Subject("x", Volume(np.zeros((2, 2, 2), np.float32), np.eye(4))), "L1")
