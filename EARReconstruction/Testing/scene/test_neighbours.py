"""Add next: the neighbour's level and place."""

from __future__ import annotations

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry
from EARReconstructionLib.scene.neighbours import PROFILE_MM, STEP_MM, VARIANTS, between, next_roi
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


def test_two_upon_each_other_are_as_one() -> None:
    same = [roi("L1", 5, 6, 7), roi("L2", 5, 6, 7)]
    assert next_roi(same, GEOMETRY) == roi("L3", 5, 6, 7 - STEP_MM["L2"])


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


#: Centres of the boxes around the vertebrae of a phantom spine (EARTrainingLib.datasets.phantom, seed 0), RAS mm.
PHANTOM = {
    **{"T1": (1.0, -17.5, 201.5), "T2": (0.5, -25.0, 182.5), "T3": (-0.5, -33.0, 162.5), "T4": (-0.5, -35.5, 138.5)},
    **{"T5": (1.0, -39.5, 115.0), "T6": (1.5, -39.5, 89.0), "T7": (2.0, -38.5, 64.5), "T8": (2.0, -36.5, 44.5)},
    **{"T9": (0.5, -34.5, 20.0), "T10": (-0.5, -31.0, -3.5), "T11": (1.5, -22.5, -28.0), "T12": (1.0, -14.5, -53.0)},
    **{"L1": (0.0, -5.0, -80.5), "L2": (0.5, -2.0, -109.0), "L3": (1.0, 3.0, -131.5), "L4": (1.5, 1.5, -159.5)},
    "L5": (-1.0, -3.5, -187.5),
}
TALL = BiplanarGeometry.from_preset(height=700, width=300)


def errors_mm(found: list[VertebraROI], true: dict[str, tuple[float, float, float]]) -> list[float]:
    """Distances of centres from their true places."""
    return [float(np.linalg.norm(np.subtract(one.centre_ras_mm, true[one.level]))) for one in found]


class TestBetween:
    @pytest.mark.parametrize(
        ("placed", "median_mm", "most_mm"),
        [(("T1", "L5"), 9, 12), (("T1", "T9", "L5"), 4, 8), (("T1", "T6", "T12", "L5"), 4, 6)],
    )
    def test_fills_a_phantom_spine(self, placed: tuple[str, ...], median_mm: float, most_mm: float) -> None:
        existing = [roi(level, *PHANTOM[level]) for level in placed]
        found = between(existing[::-1], TALL)  # in whatever order they were placed
        assert [one.level for one in found] == [level for level in PHANTOM if level not in placed]
        errors = errors_mm(found, PHANTOM)
        assert np.median(errors) < median_mm
        assert max(errors) < most_mm
        assert all(one.size_mm == pytest.approx(TYPICAL_SIZE_MM[one.level]) for one in found)

    def test_finds_the_sample_cases_vertebrae_within_a_few_millimetres(self, sample: Case) -> None:
        true = {one.level: one.centre_ras_mm for one in sample.rois}
        placed = [one for one in sample.rois if one.level in ("T10", "L1", "L5")]
        found = between(placed, sample.geometry)
        assert [one.level for one in found] == ["T11", "T12", "L2", "L3", "L4"]
        assert max(errors_mm(found, true)) < 6

    def test_steps_and_bends_of_a_typical_column_are_found_exactly(self) -> None:
        """A patient of 1.2 times the typical size, anywhere, who leans to the right."""
        true = {}
        down = 0.0
        for level in [one for one in LEVELS if one not in VARIANTS]:
            true[level] = (5 - 0.1 * down, -30 + 1.2 * PROFILE_MM[level], 60 - 1.2 * down * np.sqrt(1 - 0.01 / 1.44))
            down += STEP_MM[level]
        existing = [roi(level, *true[level]) for level in ("T1", "T7", "L5")]
        wide = BiplanarGeometry.from_preset(height=2000, width=1000, isocentre_ras_mm=(0.0, 0.0, -300.0))
        assert max(errors_mm(between(existing, wide), true)) < 1e-6

    def test_sizes_follow_their_neighbours(self) -> None:
        upper = VertebraROI("L1", (0, 0, 40), (70 * 1.1, 79, 52 * 0.9))
        lower = VertebraROI("L3", (0, 0, -20), (93 * 1.3, 89, 51 * 0.9))
        (found,) = between([upper, lower], GEOMETRY)
        assert found.size_mm == pytest.approx((82 * (1.1 + 0.2 * 31 / 63), 84, 52 * 0.9))

    def test_variants_count_when_they_are_placed(self) -> None:
        ends = [roi("T12", 0, 0, 60), roi("L2", 0, 0, -30)]
        assert [one.level for one in between(ends, GEOMETRY)] == ["L1"]
        (found,) = between([*ends, roi("T13", 0, 0, 31)], GEOMETRY)
        assert found.level == "L1"
        assert found.centre_ras_mm[2] == pytest.approx(0, abs=2)

    def test_nothing_missing_or_nothing_to_go_by(self) -> None:
        assert between([roi("L1", 0, 0, 0), roi("L2", 0, 0, -31)], GEOMETRY) == []
        for existing in ([], [roi("L1", 0, 0, 0)]):
            with pytest.raises(GeometryError, match="not two between which"):
                between(existing, GEOMETRY)

    def test_outside_a_radiograph_is_refused(self) -> None:
        narrow = BiplanarGeometry.from_preset(height=700, width=30)
        with pytest.raises(GeometryError, match=r"T\d.*outside the lateral radiograph"):
            between([roi("T1", 0, 0, 200), roi("L5", 0, 0, -190)], narrow)
