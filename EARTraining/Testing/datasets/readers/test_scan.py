"""One scan: loaded onto one grid whatever way it is stored, and every bad file refused with its name."""

import gzip
import pickle
import struct
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_volume
from EARTrainingLib.datasets.make_example_tree import stored_along
from EARTrainingLib.datasets.readers import DatasetError, Scan, load_scan
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

AXES = ["".join(letters) for pairs in permutations(("RL", "AP", "SI")) for letters in product(*pairs)]


def scan_of(ct, mask, **more):
    return Scan("pairs", "p", "s", ct, mask, **more)


def centres(labels: Volume):
    """Label -> its centre, RAS mm."""
    found = {}
    for label in np.unique(labels.array[labels.array > 0]):
        k, j, i = np.nonzero(labels.array == label)
        found[int(label)] = transform_points(labels.ras_from_ijk, np.stack([i, j, k], -1)).mean(0)
    return found


def small(seed=0):
    """A CT whose voxels all differ, and labels of three boxes, on one oblique grid with three spacings."""
    rng = np.random.default_rng(seed)
    hu = rng.permutation(5 * 6 * 7).reshape(7, 6, 5).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[1:3, 1:4, 1:2], labels[4:5, 2:5, 1:4], labels[6, 0, 4] = 19, 20, 28
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * np.sign(np.diag(turn)) @ np.diag([0.7, 1.1, 2.5])
    affine[:3, 3] = (12, -40, 300)
    return Volume(hu, affine), Volume(labels, affine)


def rewritten(path, volume, **header):
    """A NIfTI file with some fields of its header overwritten: name -> (offset, struct format, values...)."""
    write_volume(path, volume.array, volume.ras_from_ijk)
    content = bytearray(path.read_bytes())
    for offset, form, *values in header.values():
        struct.pack_into(form, content, offset, *values)
    path.write_bytes(bytes(content))
    return path


class TestOneGrid:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(ct_axes=st.sampled_from(AXES), mask_axes=st.sampled_from(AXES), seed=st.integers(0, 99))
    def test_the_mask_comes_along_the_axes_of_the_ct(self, tmp_path, ct_axes, mask_axes, seed):
        hu, labels = small(seed)
        ct, mask = tmp_path / "ct.nii.gz", tmp_path / "mask.nii.gz"
        for path, volume, axes in ((ct, hu, ct_axes), (mask, labels, mask_axes)):
            stored = stored_along(volume, axes)
            write_volume(path, stored.array, stored.ras_from_ijk)
        loaded = load_scan(scan_of(ct, mask))
        assert loaded.hu.array.shape == loaded.labels.array.shape
        np.testing.assert_allclose(loaded.labels.ras_from_ijk, loaded.hu.ras_from_ijk)
        for label in (0, 19, 20, 28):  # each voxel of the CT is another: label and value stayed together
            assert set(loaded.hu.array[loaded.labels.array == label]) == set(hu.array[labels.array == label])
        for label, place in centres(labels).items():
            np.testing.assert_allclose(centres(loaded.labels)[label], place, atol=1e-3)

    def test_without_a_ct_the_mask_stays_as_it_is(self, tmp_path, trees):
        trees.write_pair(None, tmp_path / "mask.nii.gz", axes="PIR")
        loaded = load_scan(scan_of(None, tmp_path / "mask.nii.gz"))
        assert loaded.hu is None
        _, labels = trees.spine()
        assert loaded.labels.array.dtype == np.uint8
        for label, place in centres(labels).items():
            np.testing.assert_allclose(centres(loaded.labels)[label], place, atol=1e-3)

    def test_rounding_is_forgiven_and_half_a_voxel_is_not(self, tmp_path):
        hu, labels = small()
        write_volume(tmp_path / "ct.nii.gz", hu.array, hu.ras_from_ijk)
        for share, good in ((0.02, True), (0.5, False)):
            affine = labels.ras_from_ijk.copy()
            affine[:3, 3] += share * affine[:3, 0]
            write_volume(tmp_path / "mask.nii.gz", labels.array, affine)
            scan = scan_of(tmp_path / "ct.nii.gz", tmp_path / "mask.nii.gz")
            if good:
                assert load_scan(scan).labels.array.max() == 28
                continue
            with pytest.raises(DatasetError) as trouble:
                load_scan(scan)
            assert "0.35 mm" in str(trouble.value)  # half of 0.7 mm
            assert str(scan.ct) in str(trouble.value)
            assert trouble.value.subject == str(scan.mask)

    @pytest.mark.parametrize("change", ["fewer slices", "another spacing", "turned by 90 degrees in place", "mirrored"])
    def test_other_grids_are_refused(self, tmp_path, change):
        hu, labels = small()
        affine, array = labels.ras_from_ijk.copy(), labels.array
        if change == "fewer slices":
            array = array[:-1]
        elif change == "another spacing":
            affine[:3, 2] *= 1.1
        elif change == "mirrored":
            affine[:3, 0] *= -1
        else:
            affine[:3, :3] = affine[:3, :3] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
        write_volume(tmp_path / "ct.nii.gz", hu.array, hu.ras_from_ijk)
        write_volume(tmp_path / "mask.nii.gz", array, affine)
        with pytest.raises(DatasetError, match="not on the grid"):
            load_scan(scan_of(tmp_path / "ct.nii.gz", tmp_path / "mask.nii.gz"))

    def test_slope_and_intercept_of_nifti_are_applied(self, tmp_path):
        hu, labels = small()
        ct = rewritten(tmp_path / "ct.nii", hu, slope=(112, "<ff", 0.5, -1024.0))
        write_volume(tmp_path / "mask.nii", labels.array, labels.ras_from_ijk)
        loaded = load_scan(scan_of(ct, tmp_path / "mask.nii"))
        assert loaded.hu.array.dtype == np.float32
        np.testing.assert_allclose(loaded.hu.array, hu.array * 0.5 - 1024)


class TestMasks:
    def saved(self, path, array):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))  # write_volume refuses what is no number
        return scan_of(None, path)

    @pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.uint16, np.int32])
    def test_whole_numbers_of_any_kind_are_labels(self, tmp_path, kind):
        array = small()[1].array
        np.testing.assert_array_equal(
            load_scan(self.saved(tmp_path / "m.nii.gz", array.astype(kind))).labels.array, array
        )

    def test_sacrum_and_coccyx_are_in_the_table(self, tmp_path):
        array = small()[1].array
        array[0, 0, :2] = 26, 27
        loaded = load_scan(self.saved(tmp_path / "m.nii.gz", array))
        assert set(np.unique(loaded.labels.array)) == {0, 19, 20, 26, 27, 28}

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ((0.5, 19.25), "fractions"),
            ((np.nan, 19.0), "1 of its voxels hold no number"),
            ((np.inf, np.nan), "2 of its voxels hold no number"),
            ((-3, 19), "table: -3"),
            ((99, 1000), "table: 99, 1000"),
            ((0, 0), "nothing is labelled"),
        ],
    )
    def test_what_is_no_label_map_is_refused(self, tmp_path, values, says):
        array = np.zeros((4, 5, 6), np.float32 if isinstance(values[0], float) else np.int16)
        array[1, 2, :2] = values
        with pytest.raises(DatasetError, match=says) as trouble:
            load_scan(self.saved(tmp_path / "bad_msk.nii.gz", array))
        assert "bad_msk.nii.gz" in trouble.value.subject

    def test_many_wrong_labels_are_not_all_listed(self, tmp_path):
        array = np.arange(29, 149, dtype=np.int16).reshape(4, 5, 6)
        with pytest.raises(DatasetError, match="29, 30, 31, 32, 33, 34, 35, 36 and 112 more"):
            load_scan(self.saved(tmp_path / "m.nii.gz", array))


class TestBadFiles:
    @pytest.fixture
    def pair(self, tmp_path):
        hu, labels = small()
        ct, mask = tmp_path / "a_ct.nii.gz", tmp_path / "a_msk.nii.gz"
        write_volume(ct, hu.array, hu.ras_from_ijk)
        write_volume(mask, labels.array, labels.ras_from_ijk)
        return ct, mask

    @pytest.mark.parametrize("which", [0, 1])
    def test_a_missing_file(self, pair, which):
        pair[which].unlink()
        with pytest.raises(DatasetError, match="no such file") as trouble:
            load_scan(scan_of(*pair))
        assert trouble.value.subject == str(pair[which])

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize(
        "content", [b"", b"\x1f\x8b", b"no image at all", gzip.compress(b"no image" * 99, mtime=0)]
    )
    def test_an_empty_or_foreign_file(self, pair, which, content):
        pair[which].write_bytes(content)
        with pytest.raises(DatasetError) as trouble:
            load_scan(scan_of(*pair))
        assert trouble.value.subject == str(pair[which])

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        share=st.floats(0, 0.999),
        ending=st.sampled_from((".nii", ".nii.gz", ".nrrd", ".mha")),
        kind=st.sampled_from((np.int16, np.float32)),
    )
    @example(share=0.984375, ending=".nii.gz", kind=np.int16)  # all voxels are there, gzip's checksum is not
    def test_a_file_that_is_cut_short(self, tmp_path, share, ending, kind):
        """SimpleITK reads the missing end of a NIfTI file as 0."""
        hu, labels = small()
        ct, mask = tmp_path / f"ct{ending}", tmp_path / f"mask{ending}"
        write_volume(ct, hu.array.astype(kind), hu.ras_from_ijk)
        write_volume(mask, labels.array, labels.ras_from_ijk)
        content = ct.read_bytes()
        ct.write_bytes(content[: int(share * len(content))])
        loaded, error = None, None
        try:
            loaded = load_scan(scan_of(ct, mask))
        except DatasetError as trouble:
            error = trouble
        if loaded is None:
            assert error.subject == str(ct)
        else:  # a NRRD or MHA without gzip's checksum still has all voxels
            assert not ending.startswith(".nii")
            np.testing.assert_array_equal(loaded.hu.array, hu.array)
            assert len(content) - ct.stat().st_size < 16

    def test_a_file_in_several_gzip_members_is_whole(self, pair):
        """As pigz and bgzip write them; also bytes after the voxels."""
        content = gzip.decompress(pair[0].read_bytes())
        pair[0].write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:] + b"more"))
        np.testing.assert_array_equal(load_scan(scan_of(*pair)).hu.array, small()[0].array)
        pair[0].write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:])[:-20])
        with pytest.raises(DatasetError, match="cut short"):
            load_scan(scan_of(*pair))

    @pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    @pytest.mark.parametrize("value", [np.nan, -np.inf])
    def test_a_ct_with_values_that_are_not_numbers(self, tmp_path, pair, ending, kind, value):
        """SimpleITK reads such voxels of a NIfTI file as 0 HU, water."""
        hu = small()[0]
        array = hu.array.astype(kind)
        ct = tmp_path / f"b{ending}"
        write_volume(ct, array, hu.ras_from_ijk)
        assert load_scan(scan_of(ct, pair[1])).hu.array.dtype == np.float32
        array[0, 0, :3] = value
        sitk.WriteImage(sitk.GetImageFromArray(array), str(ct))
        with pytest.raises(DatasetError, match="hold no number") as trouble:
            load_scan(scan_of(ct, pair[1]))
        assert trouble.value.subject == str(ct)

    def test_several_volumes_in_one_file(self, pair):
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 5, 6), np.int16), isVector=False), str(pair[0]))
        with pytest.raises(DatasetError, match="4 dimensions"):
            load_scan(scan_of(*pair))

    def test_a_colour_image(self, pair):
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), str(pair[1]))
        with pytest.raises(DatasetError, match="3 values per voxel"):
            load_scan(scan_of(*pair))

    def test_axes_that_are_not_at_right_angles(self, tmp_path, pair):
        hu = Volume(small()[0].array, np.eye(4))
        rows = (1, 0.2, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0)
        ct = rewritten(tmp_path / "b.nii", hu, codes=(252, "<hh", 0, 1), rows=(280, "<12f", *rows))
        with pytest.raises(DatasetError, match="right angles"):
            load_scan(scan_of(ct, pair[1]))


class TestScan:
    def test_it_travels_between_processes(self, tmp_path):
        scan = scan_of(tmp_path / "a", tmp_path / "b", targets=("L1",), meshes=(("L1", tmp_path / "c"),))
        assert pickle.loads(pickle.dumps(scan)) == scan

    def test_its_key_is_a_name_for_files(self):
        scan = Scan("CTSpine1K", "p", "COLONOG/1.3.6 ä:?", None, None)
        assert scan.key == "CTSpine1K-COLONOG_1.3.6_"

    def test_one_with_nothing_to_load(self):
        with pytest.raises(DatasetError, match="no mask"):
            load_scan(scan_of(None, None))

    def test_a_phantom_has_hu_and_labels_of_its_own(self, monkeypatch):
        from EARTrainingLib.datasets.readers import phantoms

        whole = phantoms.phantom_volumes
        monkeypatch.setattr(phantoms, "SPACING_MM", 3.0)
        monkeypatch.setattr(phantoms, "phantom_volumes", lambda seed: whole(seed, ("T5", "T6")))
        one, other = (load_scan(Scan("phantom", "p", "s", None, None, phantom_seed=seed)) for seed in (4, 5))
        assert set(np.unique(one.labels.array)) == {0, VERSE_LABEL["T5"], VERSE_LABEL["T6"]}
        bone, air = one.hu.array[one.labels.array > 0], one.hu.array[one.labels.array == 0]
        assert np.median(bone) > 150
        assert np.median(air) == -1000
        assert one.labels.array.shape != other.labels.array.shape
        np.testing.assert_array_equal(one.hu.array, whole(4, ("T5", "T6"))[0].array)
