"""Several sources together: kinds told by layout or by word, ids once, every wrong folder refused with a next step."""

import numpy as np
import pytest
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARTrainingLib.datasets import make_example_tree
from EARTrainingLib.datasets.readers import (
    READERS,
    DatasetError,
    Exclusion,
    Scan,
    load_scan,
    phantoms,
    read_sources,
)


def scans(found):
    return [item for item in found if isinstance(item, Scan)]


class TestSources:
    def test_one_of_each_kind(self, tmp_path, trees):
        trees.verse(tmp_path / "v19", ["sub-verse010"], version=19)
        trees.verse(tmp_path / "v20", ["sub-verse600"])
        trees.ctspine1k(tmp_path / "c", {"liver": ["liver_7"]})
        trees.write_pair(tmp_path / "p/a_ct.nii.gz", tmp_path / "p/a_seg.nii.gz")
        (tmp_path / "m").mkdir()
        trees.manifest(
            tmp_path / "m",
            [{"file": "a", "kind": "full_msk", "source": "TS", "subject": "a", "use": "training", "licence": "CC0"}],
        )
        folders = [tmp_path / name for name in ("v19", "v20", "c", "p", "m")]
        told = read_sources([*folders, "phantoms:2@7"])
        assert [scan.source for scan in told] == [
            "VerSe19",
            "VerSe20",
            "CTSpine1K",
            "pairs",
            "TS",
            "phantom",
            "phantom",
        ]
        named = [f"{kind}:{folder}" for kind, folder in zip(READERS, folders, strict=True)]
        assert read_sources([*named, "phantoms:2@7"]) == told
        assert len({scan.key for scan in told}) == len(told)

    def test_two_of_one_kind_and_ids_that_meet(self, tmp_path, trees):
        for name in ("p", "q"):
            trees.write_pair(tmp_path / name / "a_ct.nii.gz", tmp_path / name / "a_seg.nii.gz")
        trees.write_pair(tmp_path / "q/A_ct.nii.gz", tmp_path / "q/A_seg.nii.gz")
        trees.write_pair(tmp_path / "q/b_ct.nii.gz", tmp_path / "q/b_seg.nii.gz")
        found = read_sources([tmp_path / "p", tmp_path / "q"])
        assert [scan.series for scan in scans(found)] == ["a", "b"]
        reasons = [item.reason for item in found if isinstance(item, Exclusion)]
        assert len(reasons) == 2  # "A" would overwrite "a" where file names know no capitals
        assert all(str(tmp_path / "p/a_seg.nii.gz") in reason for reason in reasons)
        assert str(tmp_path / "q/a_seg.nii.gz") in reasons[1]

    def test_phantoms(self):
        found = read_sources(["phantoms:3", "phantoms:2@2"])
        assert [(scan.patient, scan.phantom_seed) for scan in scans(found)] == [
            ("phantom0000", 0), ("phantom0001", 1), ("phantom0002", 2), ("phantom0003", 3),
        ]  # fmt: skip
        assert [item.reason for item in found if isinstance(item, Exclusion)] == [
            "another scan has its id: phantom 2 and phantom 2"
        ]
        assert {(scan.licence, scan.split, scan.ct) for scan in scans(found)} == {("Apache-2.0", None, None)}

    @pytest.mark.parametrize("text", ["", "0", "-3", "many", "3@", "3@x", "1.5"])
    def test_numbers_of_phantoms_that_are_none(self, text):
        with pytest.raises(DatasetError, match="phantoms:24"):
            read_sources([f"phantoms:{text}"])


class TestWrongFolders:
    @pytest.mark.parametrize("prefix", ["", "verse20:"])
    def test_missing_empty_and_a_file(self, tmp_path, prefix):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").touch()
        for name, says in (("nowhere", "no such folder"), ("empty", "is empty"), ("file", "is a file")):
            with pytest.raises(DatasetError, match=says) as trouble:
                read_sources([f"{prefix}{tmp_path / name}"])
            assert trouble.value.subject == str(tmp_path / name)

    def test_an_unknown_layout(self, tmp_path):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(DatasetError, match="verse19, verse20, ctspine1k, pairs, collection"):
            read_sources([tmp_path])

    def test_an_unknown_kind(self, tmp_path):
        with pytest.raises(DatasetError, match="verse20:FOLDER"):
            read_sources([f"verse21:{tmp_path}"])

    @pytest.mark.parametrize("kind", ["verse19", "verse20", "ctspine1k", "pairs"])
    def test_the_wrong_word(self, tmp_path, kind):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(DatasetError, match=f"no scans in it as {kind}"):
            read_sources([f"{kind}:{tmp_path}"])


def test_the_example_tree_is_read_as_verse20(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phantoms, "SPACING_MM", 3.0)
    whole = make_example_tree.phantom_volumes
    monkeypatch.setattr(make_example_tree, "phantom_volumes", lambda seed, levels: whole(seed, levels[:2]))
    make_example_tree.main([str(tmp_path), "--scans", "3"])
    assert "3 made-up scans" in capsys.readouterr().out
    assert "no patient" in (tmp_path / "README.txt").read_text()
    found = read_sources([tmp_path])
    assert [(scan.source, scan.patient) for scan in found] == [
        ("VerSe20", "gl903"), ("VerSe20", "verse900"), ("VerSe20", "verse900"),
    ]  # fmt: skip
    loaded = [load_scan(scan) for scan in found]
    assert [set(np.unique(one.labels.array)) for one in loaded] == [
        {0, *(VERSE_LABEL[level] for level in levels)} for levels in (("T11", "T12"), ("L1", "L2"), ("T9", "T10"))
    ]
    directions = [tuple(np.abs(one.hu.ras_from_ijk[:3, :3]).argmax(0)) for one in loaded]
    assert directions[0] == directions[2] != directions[1]
    for one in loaded:
        assert np.median(one.hu.array[one.labels.array > 0]) > 100
