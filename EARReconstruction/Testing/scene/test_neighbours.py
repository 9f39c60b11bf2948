"""Add next: the neighbour's level and place."""

from __future__ import annotations

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry
from EARReconstructionLib.scene.neighbours import STEP_MM, VARIANTS, next_roi
from EARReconstructionLib.vertebra import LEVELS, TYPICAL_SIZE_MM, VertebraROI

GEOMETRY = BiplanarGeometry.from_preset(height=600, width=400, isocentre_ras_mm=(3.0, -8.0, 20.0))


def roi(level: str, r: float, a: float, s: float) -> VertebraROI:
    """A ROI of typical size."""
    return VertebraROI(level, (r, a, s), TYPICAL_SIZE_MM[level])


def test_the_first_is_at_the_isocentre() -> None:
    assert next_roi([], GEOMETRY) == roi("L1", 3, -8, 20)
    assert next_roi([], GEOMETRY, first="T9").level == "T9"


def test_below_a_single_one() -> None:
    assert next_roi([roi("L1", 5, 6, 7)], GEOMETRY) == roi("L2", 5, 6, 7 - STEP_MM["L1"])


def test_above_a_single_one() -> None:
    assert next_roi([roi("L1", 5, 6, 7)], GEOMETRY, below=False) == roi("T12", 5, 6, 7 + STEP_MM["T12"])


def test_goes_on_along_the_line_of_the_last_two() -> None:
    """The patient's step is 1.2 times the typical one, and leans forward."""
    way = np.array([0.0, 0.6, -0.8])
    start = np.array([1.0, 2.0, 3.0])
    upper, lower = roi("T12", *start), roi("L1", *(start + way * STEP_MM["T12"] * 1.2))
    suggested = next_roi([upper, lower], GEOMETRY)
    assert suggested.level == "L2"
    assert suggested.centre_ras_mm == pytest.approx(np.array(lower.centre_ras_mm) + way * STEP_MM["L1"] * 1.2)


def test_goes_on_upwards_when_the_last_went_upwards() -> None:
    suggested = next_roi([roi("L1", 0, 0, 0), roi("T12", 0, 0, 30)], GEOMETRY)
    assert (suggested.level, suggested.centre_ras_mm) == ("T11", (0, 0, 60))


def test_turns_round_at_the_end_of_the_column() -> None:
    assert next_roi([roi("L4", 0, 0, 0), roi("L5", 0, 0, -31)], GEOMETRY).level == "L3"


def test_levels_that_few_people_have_are_not_suggested_but_known() -> None:
    assert next_roi([roi("T12", 0, 0, 0)], GEOMETRY).level == "L1"
    after = next_roi([roi("T13", 0, 0, 0), roi("T12", 0, 0, 30)], GEOMETRY, below=True)
    assert (after.level, after.centre_ras_mm) == ("L1", (0, 0, -30))
    with pytest.raises(GeometryError, match="column ends"):
        next_roi([roi("L5", 0, 0, 0)], GEOMETRY, below=True)


def test_outside_a_radiograph_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"L2.*outside the frontal radiograph"):
        next_roi([roi("L1", 0, 0, -270)], GEOMETRY)


def test_finds_the_sample_cases_neighbours_within_a_few_millimetres(sample: Case) -> None:
    """A phantom of another size than the people behind the table."""
    for n in range(2, len(sample.rois)):
        suggested, true = next_roi(sample.rois[:n], sample.geometry), sample.rois[n]
        assert suggested.level == true.level
        assert np.linalg.norm(np.subtract(suggested.centre_ras_mm, true.centre_ras_mm)) < 10


def test_a_whole_spine_is_filled_without_a_gap() -> None:
    tall = BiplanarGeometry.from_preset(height=1500, width=600, isocentre_ras_mm=(0.0, 0.0, 0.0))
    made: list[VertebraROI] = [roi("T10", 0, 0, 0)]
    while len(made) < len(LEVELS) - len(VARIANTS):
        made.append(next_roi(made, tall))
    assert sorted((one.level for one in made), key=LEVELS.index) == [one for one in LEVELS if one not in VARIANTS]
    with pytest.raises(GeometryError, match="column ends"):
        next_roi(made, tall)
