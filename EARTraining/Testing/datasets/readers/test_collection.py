"""A collection: full scans before single vertebrae, one vertebra of a person once, uses and licences kept."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine
from EARReconstructionLib.surface import mask_surface, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARTrainingLib.datasets.readers import READERS, DatasetError, Exclusion, Scan, load_scan, read_sources


def row(file, kind, source="VERSE", subject="verse004", level="-", complete="-", use="training", licence="CC0"):
    return {
        "file": file, "kind": kind, "source": source, "subject": subject, "level": level, "complete": complete,
        "use": use, "licence": licence,
    }  # fmt: skip


def scans(found):
    return {item.series: item for item in found if isinstance(item, Scan)}


def left_out(found):
    return {(item.source, item.series): item.reason for item in found if isinstance(item, Exclusion)}


@pytest.fixture
def read(tmp_path, trees):
    """Scans of a collection of these rows; the files need not be there."""

    def reader(*rows):
        return READERS["collection"](trees.manifest(tmp_path, rows))

    return reader


class TestFullScans:
    def test_with_and_without_a_ct(self, read, tmp_path):
        found = read(
            row("f/a_ct.nii.gz", "full_ct", "TS", "a"),
            row("f/a_msk.nii.gz", "full_msk", "TS", "a", licence="Apache-2.0"),
            row("f/b_msk.nii.gz", "full_msk", "BC", "b", use="validation"),
            row("f/c_ct.nii.gz", "full_ct", "BC", "c"),
        )
        a, b = scans(found).values()
        assert (a.source, a.patient, a.series, a.split, a.licence) == ("TS", "TS_a", "a", None, "Apache-2.0")
        assert (a.ct, a.mask) == (tmp_path / "f/a_ct.nii.gz", tmp_path / "f/a_msk.nii.gz")
        assert (b.ct, b.split, b.targets) == (None, "validation", None)
        assert left_out(found) == {("BC", "c"): "a CT without a mask: f/c_ct.nii.gz"}

    def test_what_it_lists_as_whole_are_its_targets(self, read):
        found = read(
            row("msk", "full_msk"),
            row("x1", "mask_only", level="L2", complete="y"),
            row("x2", "mask_only", level="T12", complete="y"),
            row("x3", "mask_only", level="L3", complete="n"),
            row("x4", "mask_crop", level="C7", complete="y"),
            row("x4", "ct_crop", level="C7", complete="y"),
        )
        (scan,) = scans(found).values()
        assert scan.targets == ("C7", "T12", "L2")  # from head to foot, without L3
        assert left_out(found) == {
            ("VERSE", f"verse004_{level}"): f"the same person's {level} is in msk"
            for level in ("L2", "T12", "L3", "C7")
        }


class TestSingleVertebrae:
    def test_pairs_masks_and_density(self, read, tmp_path):
        found = read(
            row("a.ct", "ct_crop", "TP", "a", "L3", "y"),
            row("a.msk", "mask_crop", "TP", "a", "L3", "y"),
            row("b.msk", "mask_only", "TP", "b", "T9", "y"),
            row("d.ct", "density_crop", "FE", "verse005", "L2", "y"),  # calibrated density is no HU
            row("d.msk", "mask_crop", "FE", "verse005", "L2", "y"),
            row("e.ct", "ct_crop", "TP", "e", "L1", "y"),
            row("f.msk", "mask_only", "TP", "f", "L1", "n"),
            row("g.msk", "mask_only", "TP", "g", "sacrum", "y"),
        )
        a, b, d = scans(found).values()
        assert (a.series, a.ct, a.mask, a.targets) == ("a_L3", tmp_path / "a.ct", tmp_path / "a.msk", ("L3",))
        assert (b.ct, b.targets) == (None, ("T9",))
        assert (d.ct, d.mask, d.patient) == (None, tmp_path / "d.msk", "verse005")
        assert left_out(found) == {
            ("TP", "e_L1"): "a CT without a mask: e.ct",
            ("TP", "f_L1"): "the collection says that it is not whole",
            ("TP", "g"): "its level, 'sacrum', is none of C1 to L6",
        }

    def test_a_vertebra_of_a_person_comes_once_whatever_its_sources(self, read):
        """verse004 is one person, in VERSE and in SPINEFE; \"a\" of two sources are two."""
        found = read(
            row("fe.msk", "mask_crop", "SPINEFE", "verse004", "L2", "y"),
            row("fe.ct", "density_crop", "SPINEFE", "verse004", "L2", "y"),
            row("fe3.msk", "mask_crop", "SPINEFE", "verse004", "L3", "y"),
            row("full", "full_msk"),
            row("x", "mask_only", level="L2", complete="y"),
            row("m.ply", "mesh", "MORPH", "verse004", "L3", "y"),
            row("a1", "mask_only", "TP", "a", "L2", "y"),
            row("a2", "mask_only", "TS", "a", "L2", "y"),
            row("a3", "mask_only", "TS", "a", "L2", "y"),
        )
        assert {(s.source, s.series): s.patient for s in scans(found).values() if s.series != "a_L2"} == {
            ("VERSE", "verse004"): "verse004", ("SPINEFE", "verse004_L3"): "verse004",
        }  # fmt: skip
        assert [s.patient for s in found if isinstance(s, Scan) and s.series == "a_L2"] == ["TP_a", "TS_a"]
        assert left_out(found) == {
            ("SPINEFE", "verse004_L2"): "the same person's L2 is in full",
            ("VERSE", "verse004_L2"): "the same person's L2 is in full",
            ("MORPH", "verse004_L3"): "the same person's L3 is in fe3.msk",
            ("TS", "a_L2"): "the same person's L2 is in a2",
        }


class TestMeshes:
    def test_all_of_a_person_are_one_scan(self, tmp_path, trees):
        places = {"L1": (5, 8, 30), "T12": (5, 6, 60), "L2": (0, 0, 0)}
        for level, place in places.items():
            affine = cube_affine(place, 30, 1.0)
            k, j, i = np.indices((30, 30, 30))
            ball = np.linalg.norm(np.stack([i, j, k], -1) - 14.5, axis=-1) < 9
            write_surface(tmp_path / f"{level}.ply", mask_surface(ball, affine))
        trees.manifest(
            tmp_path,
            [
                row("L1.ply", "mesh", "MORPH", "ctacardio", "L1", "y"),
                row("T12.ply", "mesh", "MORPH", "ctacardio", "T12", "n"),
                row("L2.ply", "mesh", "MORPH", "ctacardio", "L2", "y"),
                row("other.ply", "mesh", "REMUS", "VHPmale", "L1", "y", use="training-idealised"),
            ],
        )
        person, model = read_sources([tmp_path])
        assert [level for level, _ in person.meshes] == ["T12", "L1", "L2"]
        assert (person.targets, person.patient, person.split) == (("L1", "L2"), "MORPH_ctacardio", None)
        assert (model.split, model.meshes) == ("train", (("L1", tmp_path / "other.ply"),))
        labels = load_scan(person).labels
        assert set(np.unique(labels.array)) == {0, *(VERSE_LABEL[level] for level in places)}
        with pytest.raises(DatasetError, match=r"other\.ply"):
            load_scan(model)


class TestManifest:
    def test_other_uses_are_left_out(self, read):
        found = read(
            row("a", "full_msk", subject="a", use="test"),
            row("b", "mask_only", subject="b", level="L1", complete="y", use=""),
            row("c", "mesh", subject="c", level="L1", complete="y", use="looking at"),
            row("d", "radiograph", subject="d"),
        )
        assert left_out(found) == {
            ("VERSE", "a"): "the collection keeps it for another use: test",
            ("VERSE", "b_L1"): "the collection keeps it for another use: none given",
            ("VERSE", "c_L1"): "the collection keeps it for another use: looking at",
            ("VERSE", "d"): "its kind, 'radiograph', is not known: d",
        }
        assert not scans(found)

    def test_columns_that_are_missing_are_named(self, tmp_path):
        (tmp_path / "manifest.csv").write_text("file,kind,source,subject,level,notes\n")
        with pytest.raises(DatasetError, match="complete, licence, use"):
            read_sources([tmp_path])

    def test_one_that_is_no_text(self, tmp_path):
        (tmp_path / "manifest.csv").write_bytes(b"file,kind\xff\xfe\n")
        with pytest.raises(DatasetError, match="UTF-8"):
            read_sources([tmp_path])

    def test_as_a_spreadsheet_saves_it(self, read, tmp_path):
        read(row("a", "full_msk"))
        path = tmp_path / "manifest.csv"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert len(scans(READERS["collection"](tmp_path))) == 1

    def test_none_at_all(self, tmp_path):
        (tmp_path / "x").touch()
        with pytest.raises(DatasetError, match=r"manifest\.csv"):
            read_sources([f"collection:{tmp_path}"])
