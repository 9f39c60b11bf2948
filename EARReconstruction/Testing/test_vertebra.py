"""Levels, labels, typical sizes and the ROI record."""

import pytest
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.vertebra import LEVELS, TYPICAL_SIZE_MM, VERSE_LABEL, VertebraROI


def test_levels_run_from_head_to_tail():
    assert len(LEVELS) == 7 + 13 + 6
    assert (LEVELS[0], LEVELS[6:8], LEVELS[19:21], LEVELS[-1]) == ("C1", ("C7", "T1"), ("T13", "L1"), "L6")


def test_labels_are_those_of_verse():
    assert set(VERSE_LABEL) == set(LEVELS)
    assert len(set(VERSE_LABEL.values())) == len(LEVELS)
    expected = {"C1": 1, "C7": 7, "T1": 8, "T12": 19, "L1": 20, "L5": 24, "L6": 25, "T13": 28}
    assert expected.items() <= VERSE_LABEL.items()


def test_every_level_has_a_plausible_size():
    assert set(TYPICAL_SIZE_MM) == set(LEVELS)
    for level, size in TYPICAL_SIZE_MM.items():
        VertebraROI(level, (0.0, 0.0, 0.0), size)
        assert 25 <= min(size) <= max(size) <= 100


@pytest.mark.parametrize(
    ("level", "centre", "size", "words"),
    [
        ("L7", (0, 0, 0), (70, 70, 50), "vertebra L7: there is no such level. Use C1 to C7"),
        ("l1", (0, 0, 0), (70, 70, 50), "there is no such level"),
        ("", (0, 0, 0), (70, 70, 50), "there is no such level"),
        ("L1", (0, float("nan"), 0), (70, 70, 50), "its centre is not three numbers"),
        ("L1", (0, 0), (70, 70, 50), "its centre is not three numbers"),
        ("L1", (0, 0, 0), (70, 70), "its size is not three numbers"),
        ("L1", (0, 0, 0), (70, float("inf"), 50), "its size is not three numbers"),
        ("L1", (0, 0, 0), (70, 0, 50), "a size of 70 x 0 x 50 mm. Give a size above 0 and up to 200 mm"),
        ("L1", (0, 0, 0), (70, -5, 50), "above 0"),
        ("L1", (0, 0, 0), (70, 201, 50), "up to 200 mm"),
        ("L1", (0, 0, 0), (0.07, 0.08, 0.05), "looks like metres. Give it in mm"),
    ],
)
def test_rois_that_no_vertebra_has_are_refused(level, centre, size, words):
    with pytest.raises(GeometryError, match=words):
        VertebraROI(level, centre, size)
