"""VerSe19 and VerSe20 in their layouts: paired by name, every odd folder accounted for."""

import shutil

import numpy as np
import pytest
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARTrainingLib.datasets.readers import READERS, DatasetError, Exclusion, Scan, load_scan, read_sources

NAMES = ("sub-verse004", "sub-gl003_dir-ax", "sub-verse500_dir-sag", "sub-verse401_split-verse201",
         "sub-verse401_split-verse253")  # fmt: skip


def scans(found):
    return [item for item in found if isinstance(item, Scan)]


def left_out(found):
    return {item.series: item.reason for item in found if isinstance(item, Exclusion)}


@pytest.fixture
def verse20(tmp_path, trees):
    trees.verse(tmp_path / "v20", NAMES[:4], part="training")
    return trees.verse(tmp_path / "v20", NAMES[4:], part="test", first_seed=9)


class TestVerse20:
    def test_every_scan_of_every_part(self, verse20):
        found = scans(READERS["verse20"](verse20))
        assert sorted(scan.series for scan in found) == sorted(NAMES)
        assert {scan.series: scan.patient for scan in found} == {
            "sub-verse004": "verse004",
            "sub-gl003_dir-ax": "gl003",
            "sub-verse500_dir-sag": "verse500",
            "sub-verse401_split-verse201": "verse401",
            "sub-verse401_split-verse253": "verse401",
        }
        for scan in found:
            assert scan.ct.name == f"{scan.series}_ct.nii.gz"
            assert scan.mask.name == f"{scan.series}_seg-vert_msk.nii.gz"
            assert (scan.source, scan.licence, scan.split, scan.targets) == ("VerSe20", "CC BY-SA 4.0", None, None)
        assert len({scan.key for scan in found}) == len(NAMES)

    def test_they_load_in_any_orientation(self, verse20, trees):
        for scan in scans(READERS["verse20"](verse20)):
            loaded = load_scan(scan)
            assert set(np.unique(loaded.labels.array)) == {0, *(VERSE_LABEL[level] for level in trees.LEVELS)}
            bone = loaded.labels.array > 0
            assert loaded.hu.array[bone].mean() > 100
            assert loaded.hu.array[~bone].mean() < 0

    def test_what_is_not_whole_is_said(self, verse20):
        part = verse20 / "dataset-01training"
        (part / "derivatives/sub-verse004/sub-verse004_seg-vert_msk.nii.gz").unlink()
        (part / "rawdata/sub-gl003/sub-gl003_dir-ax_ct.nii.gz").unlink()
        (part / "rawdata/sub-verse777").mkdir()
        (part / "derivatives/sub-verse888").mkdir()
        (part / "derivatives/sub-verse888/sub-verse888_seg-subreg_ctd.json").write_text("{")
        found = READERS["verse20"](verse20)
        reasons = left_out(found)
        assert "CT without a mask" in reasons["sub-verse004"]
        assert "mask without a CT" in reasons["sub-gl003_dir-ax"]
        assert "no CT and no mask" in reasons["sub-verse777"]
        assert "no CT and no mask" in reasons["sub-verse888"]
        assert sorted(scan.series for scan in scans(found)) == sorted(NAMES[2:])
        assert {item.patient for item in found if isinstance(item, Exclusion)} == {
            "verse004", "gl003", "verse777", "verse888",
        }  # fmt: skip

    def test_a_lost_file_shifts_no_other_pair(self, verse20):
        """Lists that are sorted and zipped would now pair each CT with the next one's mask."""
        (verse20 / "dataset-01training/rawdata/sub-gl003/sub-gl003_dir-ax_ct.nii.gz").unlink()
        for scan in scans(READERS["verse20"](verse20)):
            assert scan.ct.name.split("_ct")[0] == scan.mask.name.split("_seg")[0] == scan.series

    def test_hidden_files_of_other_systems_are_no_scans(self, verse20):
        folder = verse20 / "dataset-01training/rawdata/sub-verse004"
        (folder / "._sub-verse004_ct.nii.gz").write_bytes(b"\0")
        (folder / "sub-verse004_ct.json").write_text("{}")
        assert len(READERS["verse20"](verse20)) == len(NAMES)

    def test_an_unreadable_centroid_file_does_not_matter(self, verse20):
        for path in verse20.rglob("*_ctd.json"):
            path.write_bytes(b"\xff\xfe nonsense")
        assert all(load_scan(scan) for scan in scans(READERS["verse20"](verse20)))


class TestVersions:
    def test_they_are_told_by_their_folders(self, tmp_path, trees):
        trees.verse(tmp_path / "both", ["sub-verse010"], version=19)
        trees.verse(tmp_path / "both", ["sub-verse600_dir-ax"], version=20)
        found = read_sources([tmp_path / "both"])
        assert {scan.series: scan.source for scan in found} == {
            "sub-verse010": "VerSe19", "sub-verse600_dir-ax": "VerSe20",
        }  # fmt: skip
        assert [scan.source for scan in READERS["verse19"](tmp_path / "both")] == ["VerSe19"]

    @pytest.mark.parametrize("above", ["", "dataset-verse19training", "a/b"])
    def test_archives_may_nest_their_folder(self, tmp_path, trees, above):
        trees.verse(tmp_path / "d" / above, ["sub-verse010"], version=19)
        assert [scan.source for scan in read_sources([tmp_path / "d"])] == ["VerSe19"]

    def test_a_part_by_itself(self, tmp_path, trees, monkeypatch):
        trees.verse(tmp_path, ["sub-verse010"], version=19)
        assert [scan.source for scan in read_sources([tmp_path / "dataset-verse19training"])] == ["VerSe19"]
        monkeypatch.chdir(tmp_path / "dataset-verse19training")
        (scan,) = read_sources(["."])
        assert scan.ct.is_absolute()

    def test_a_name_that_does_not_tell_needs_a_word(self, tmp_path, trees):
        trees.verse(tmp_path / "v", ["sub-verse010"], version=19)
        (tmp_path / "v/dataset-verse19training").rename(tmp_path / "v/training")
        with pytest.raises(DatasetError, match="verse19:"):
            read_sources([tmp_path / "v"])
        assert [scan.source for scan in read_sources([f"verse19:{tmp_path / 'v'}"])] == ["VerSe19"]


class TestMerging:
    def test_a_scan_of_both_is_taken_from_verse20(self, tmp_path, trees):
        trees.verse(tmp_path / "v19", ["sub-verse004", "sub-verse401_split-verse201", "sub-verse099"], version=19)
        trees.verse(
            tmp_path / "v20",
            ["sub-verse004_dir-iso", "sub-verse401_split-verse253", "sub-verse401_dir-ax_split-verse201"],
        )
        for order in ((19, 20), (20, 19)):
            found = read_sources([tmp_path / f"v{version}" for version in order])
            assert {(scan.source, scan.series) for scan in scans(found)} == {
                ("VerSe19", "sub-verse099"),
                ("VerSe20", "sub-verse004_dir-iso"),
                ("VerSe20", "sub-verse401_dir-ax_split-verse201"),
                ("VerSe20", "sub-verse401_split-verse253"),
            }
            assert left_out(found) == {
                "sub-verse004": "the same scan as sub-verse004_dir-iso in VerSe20",
                "sub-verse401_split-verse201": "the same scan as sub-verse401_dir-ax_split-verse201 in VerSe20",
            }

    def test_it_stays_in_verse19_where_verse20_has_only_half_of_it(self, tmp_path, trees):
        trees.verse(tmp_path / "v19", ["sub-verse004"], version=19)
        trees.verse(tmp_path / "v20", ["sub-verse004", "sub-verse600"])
        shutil.rmtree(tmp_path / "v20/dataset-01training/derivatives/sub-verse004")
        found = read_sources([tmp_path / "v19", tmp_path / "v20"])
        assert {scan.source: scan.series for scan in scans(found)} == {
            "VerSe19": "sub-verse004", "VerSe20": "sub-verse600",
        }  # fmt: skip

    def test_one_id_in_two_parts_is_taken_once(self, tmp_path, trees):
        trees.verse(tmp_path / "v20", ["sub-verse600"], part="training")
        trees.verse(tmp_path / "v20", ["sub-verse600"], part="validation")
        found = read_sources([tmp_path / "v20"])
        (kept,) = scans(found)
        assert "01training" in str(kept.ct)
        reason = left_out(found)["sub-verse600"]
        assert "dataset-01training" in reason
        assert "dataset-02validation" in reason
