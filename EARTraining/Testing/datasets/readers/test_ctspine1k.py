"""CTSpine1K in both layouts, with its list of used scans and its known errors."""

import pytest
from EARTrainingLib.datasets.readers import READERS, DatasetError, Exclusion, Scan, load_scan, read_sources

COLON = "1.3.6.1.4.1.9328.50.4."


def scans(found):
    return {item.series: item for item in found if isinstance(item, Scan)}


def left_out(found):
    return {item.series: item.reason for item in found if isinstance(item, Exclusion)}


@pytest.mark.parametrize("old", [False, True])
def test_both_layouts(tmp_path, trees, old):
    trees.ctspine1k(tmp_path, old=old)
    found = scans(read_sources([tmp_path]))
    source = "colon" if old else "COLONOG"
    assert list(found) == [f"{source}/{COLON}0001", f"{source}/{COLON}0002", "liver/liver_7"]
    for scan in found.values():
        assert scan.patient == scan.series.split("/")[1]
        assert scan.ct.name == f"{scan.patient}.nii.gz"
        assert scan.mask.name == f"{scan.patient}_seg.nii.gz"
        assert (scan.source, scan.licence, scan.split) == ("CTSpine1K", "CC BY-NC-SA", None)
        assert load_scan(scan).labels.array.any()


def test_only_what_the_paper_uses_of_the_list(tmp_path, trees):
    stems = [f"{COLON}{n:04d}" for n in (1, 2, 3, 4)]
    trees.ctspine1k(
        tmp_path,
        {"COLONOG": stems, "COVID-19": ["volume-covid19-A-0319_ct", "volume-covid19-A-0003_ct"]},
        split={
            "trainset": [stems[0], "volume-covid19-A-0003_ct"],
            "test_public": [stems[1]],
            "test_private": [stems[2]],
        },
    )
    path = tmp_path / "metadata/data_split.txt"
    # As the published file ends: two names on one line.
    path.write_text(
        path.read_text().rstrip("\n") + "\nvolume-covid19-A-0319_ct.nii.gzvolume-covid19-A-0319_ct.nii.gz\n"
    )
    found = READERS["ctspine1k"](tmp_path)
    assert {scan.patient for scan in scans(found).values()} == {stems[0], stems[1], "volume-covid19-A-0003_ct"}
    assert left_out(found) == {
        f"COLONOG/{stems[2]}": "data_split.txt lists it as test_private",
        f"COLONOG/{stems[3]}": "data_split.txt does not list it",
        "COVID-19/volume-covid19-A-0319_ct": "data_split.txt lists it as test_private",
    }
    path.rename(tmp_path / "data_split.txt")
    assert len(scans(READERS["ctspine1k"](tmp_path))) == 3
    (tmp_path / "data_split.txt").unlink()
    assert len(scans(READERS["ctspine1k"](tmp_path))) == 6


def test_a_list_without_its_sections(tmp_path, trees):
    trees.ctspine1k(tmp_path, split={"folds": ["liver_7"]})
    with pytest.raises(DatasetError, match="trainset") as trouble:
        READERS["ctspine1k"](tmp_path)
    assert trouble.value.subject.endswith("data_split.txt")


def test_known_errors_are_known_by_their_number_in_colonog_alone(tmp_path, trees):
    bad = [f"{COLON}{n}" for n in ("0103", "0291", "0482", "0500", "0730")]
    trees.ctspine1k(tmp_path, {"COLONOG": [*bad, f"{COLON}0104", "1.2.3.0103"], "liver": ["liver_0103", "liver_500"]})
    found = READERS["ctspine1k"](tmp_path)
    assert [reason.split(":")[0] for reason in left_out(found).values()] == ["its labels are known to be wrong"] * 5
    assert {item.patient for item in found if isinstance(item, Exclusion)} == set(bad)
    assert {scan.patient for scan in scans(found).values()} == {f"{COLON}0104", "1.2.3.0103", "liver_0103", "liver_500"}


def test_scans_of_verse_are_left_to_verse(tmp_path, trees):
    trees.ctspine1k(
        tmp_path, {"liver": ["liver_7"], "verse": ["verse004", "anything"], "other": ["sub-verse500_dir-ax"]}
    )
    found = READERS["ctspine1k"](tmp_path)
    assert list(scans(found)) == ["liver/liver_7"]
    assert len(left_out(found)) == 3
    assert all("VerSe" in reason for reason in left_out(found).values())


def test_halves_of_pairs(tmp_path, trees):
    trees.ctspine1k(tmp_path, {"COLONOG": [f"{COLON}{n:04d}" for n in (1, 2, 3)]})
    (tmp_path / f"rawdata/labels/COLONOG/{COLON}0001_seg.nii.gz").unlink()
    (tmp_path / f"rawdata/volumes/COLONOG/{COLON}0002.nii.gz").unlink()
    found = READERS["ctspine1k"](tmp_path)
    (kept,) = scans(found).values()
    assert kept.ct.name.removesuffix(".nii.gz") == kept.mask.name.removesuffix("_seg.nii.gz") == f"{COLON}0003"
    reasons = left_out(found)
    assert "CT without a mask" in reasons[f"COLONOG/{COLON}0001"]
    assert "mask without a CT" in reasons[f"COLONOG/{COLON}0002"]
