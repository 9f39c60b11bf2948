"""The manifest: rows survive the file, in order, with their reasons."""

from dataclasses import replace

import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets.manifest import Row, excluded, in_order, read_manifest, write_manifest
from EARTrainingLib.datasets.readers import DatasetError, Exclusion

KEPT = Row(
    "VerSe20-verse004-L1", "kept", "", "VerSe20", "verse004", "verse004", "L1", 20,
    flags="rare level; neighbours are copies", split="train", licence='CC "BY", SA', density="ct", ct="/d/a,b.nii.gz",
    mask="/d/m.nii.gz", centre_r_mm=-1.25, centre_a_mm=0.0, centre_s_mm=812.125, size_r_mm=80.0, size_a_mm=70.5,
    size_s_mm=41.0, alpha1_deg=-3.2, beta1_deg=0.1, alpha2_deg=91.0, beta2_deg=-4.0, sod_mm=1000.0, sdd_mm=1300.0,
    off_r_mm=0.0, off_a_mm=1.0, off_s_mm=-200.0, spectrum="60kV-3.5mmAl", photons=1234567.0, engine="torch",
)  # fmt: skip
CUT = Row(
    "", "excluded", "cut by the border of the scan: 0 voxels from it", "VerSe20", "verse004", "verse004", "T12", 19
)
LOST = excluded(Exclusion("pairs", "p", "p_1", "", "failed: p.nii.gz:\n it is damaged"), "CC0")


def test_rows_survive_the_file(tmp_path):
    rows = [KEPT, CUT, LOST]
    write_manifest(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path / "manifest.csv") == rows
    heading, line = (tmp_path / "manifest.csv").read_text().splitlines()[:2]
    assert heading.startswith("id,status,reason,source,patient,series,level,label,flags,split")
    assert heading.endswith("off_s_mm,spectrum,photons,engine")
    assert "812.125" in line


def test_rows_survive_json():
    for row in (KEPT, CUT, LOST):
        assert Row.from_dict(row.to_dict()) == row


def test_its_box():
    assert KEPT.centre_ras_mm == (-1.25, 0.0, 812.125)
    assert KEPT.size_mm == (80.0, 70.5, 41.0)
    with pytest.raises(ValueError, match="excluded"):
        _ = CUT.centre_ras_mm


def test_reasons_are_one_line_and_counted_by_rule():
    assert LOST.reason == "failed: p.nii.gz: it is damaged"
    assert (LOST.licence, LOST.level, LOST.label) == ("CC0", "", None)
    assert LOST.rule == "failed"
    assert CUT.rule == "cut by the border of the scan"
    assert replace(CUT, reason="the same person's L1 is in full/a.nii.gz").rule == "the same person's ... is in ..."


def test_order():
    upper = replace(KEPT, level="T12")
    cervical = replace(KEPT, level="C7")
    other = replace(KEPT, source="CTSpine1K")
    assert in_order([KEPT, upper, LOST, cervical, other]) == [other, cervical, upper, KEPT, LOST]


@pytest.mark.parametrize(
    "text", ["id,status\na,kept\n", "no table at all", b"\xff\xfe\x00"], ids=["columns", "text", "bytes"]
)
def test_what_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "manifest.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode() + b"\nmore\n")
    with pytest.raises(DatasetError, match=r"manifest\.csv"):
        read_manifest(path)


def test_a_number_that_is_none(tmp_path):
    write_manifest(tmp_path / "manifest.csv", [KEPT])
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text().replace("812.125", "high"))
    with pytest.raises(EARError, match="high"):
        read_manifest(path)
    path.write_text(path.read_text().replace("high", "1").replace(",kept,", ",maybe,"))
    with pytest.raises(EARError, match="maybe"):
        read_manifest(path)


def test_a_missing_one():
    with pytest.raises(DatasetError, match="nowhere"):
        read_manifest("/nowhere/manifest.csv")
