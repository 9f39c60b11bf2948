"""A plain folder of pairs: every way of naming, and no guess where names are not clear."""

import pytest
from EARTrainingLib.datasets.readers import READERS, Exclusion, Scan, load_scan, read_sources


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def files(found):
    return {
        item.series: (item.ct.name, item.mask.name) if isinstance(item, Scan) else item.reason.split(":")[0]
        for item in found
    }


@pytest.mark.parametrize("ct", ["a_ct.nii.gz", "a.nii", "a_0000.nii.gz", "a.nrrd", "a_ct.mha"])
@pytest.mark.parametrize(
    "mask",
    [
        "a_seg.nii.gz",
        "a_msk.nrrd",
        "a_mask.mha",
        "a_labels.nii",
        "a_seg-vert_msk.nii.gz",
        "a.seg.nrrd",
        "a_ct_seg.nrrd",
    ],
)
def test_names_side_by_side(tmp_path, ct, mask):
    touch(tmp_path, ct, mask, "readme.txt", "._a_ct.nii.gz", "b.1_ct.nii.gz", "b.1_seg.nii.gz")
    assert files(READERS["pairs"](tmp_path)) == {"a": (ct, mask), "b.1": ("b.1_ct.nii.gz", "b.1_seg.nii.gz")}


@pytest.mark.parametrize(
    ("ct", "mask"),
    [
        ("ct/a.nii.gz", "masks/a.nii.gz"),
        ("images/a_ct.nrrd", "labels/a_ct.seg.nrrd"),
        ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"),
        ("a_ct.nii.gz", "masks/a_mask.nii.gz"),
    ],
)
def test_names_in_folders(tmp_path, ct, mask):
    touch(tmp_path, ct, mask)
    assert files(READERS["pairs"](tmp_path)) == {"a": (ct.split("/")[-1], mask.split("/")[-1])}


def test_series_of_one_patient(tmp_path):
    touch(
        tmp_path, *(f"sub-p1_split-{s}_{kind}.nii.gz" for s in "ab" for kind in ("ct", "seg")), "p2.nii", "p2_seg.nii"
    )
    found = READERS["pairs"](tmp_path)
    assert [(scan.patient, scan.series) for scan in found] == [
        ("p2", "p2"), ("p1", "sub-p1_split-a"), ("p1", "sub-p1_split-b"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "licence"),
    [(None, "not stated"), ("\n  \n", "not stated"), ("CC  BY 4.0 (somebody)\r\nas of 2026\n", "CC BY 4.0 (somebody)")],
)
def test_the_licence_of_a_folder(tmp_path, text, licence):
    touch(tmp_path, "a_ct.nii", "a_seg.nii")
    if text is not None:
        (tmp_path / "licence.txt").write_text(text, encoding="utf-8")
    (scan,) = READERS["pairs"](tmp_path)
    assert scan.licence == licence


def test_what_is_not_clear_is_refused_and_the_rest_stays(tmp_path):
    touch(
        tmp_path, "a.nii.gz", "a_ct.nii.gz", "a_seg.nii.gz", "b_ct.nii.gz", "b_seg.nii.gz", "b_mask.nii.gz",
        "c_ct.nii.gz", "d_seg.nii.gz", "e.nii.gz", "e_seg.nii.gz",
    )  # fmt: skip
    found = READERS["pairs"](tmp_path)
    assert files(found) == {
        "a": "it is not clear which belong together",
        "b": "it is not clear which belong together",
        "c": "a CT without a mask",
        "d": "a mask without a CT (masks alone are read from a collection with manifest.csv)",
        "e": ("e.nii.gz", "e_seg.nii.gz"),
    }
    reason = next(item.reason for item in found if isinstance(item, Exclusion) and item.series == "b")
    assert all(name in reason for name in ("b_ct.nii.gz", "b_seg.nii.gz", "b_mask.nii.gz"))


def test_they_load(tmp_path, trees):
    trees.write_pair(tmp_path / "a_ct.nii.gz", tmp_path / "a.seg.nrrd", axes="PIR", mask_axes="LPS")
    (scan,) = read_sources([tmp_path])
    loaded = load_scan(scan)
    assert loaded.hu.array[loaded.labels.array > 0].mean() > 100
    assert (scan.source, scan.licence) == ("pairs", "not stated")
