"""ROIs of a level that was asked for, whole spines, and several at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.neighbours import STEP_MM, between
from EARReconstructionLib.scene.nodes import at_once, find_nodes
from EARReconstructionLib.scene.placing import ANCHORS, roi_of_level, show_rois, whole_spine
from EARReconstructionLib.scene.rois import ROI, roi_of

LARGE = BiplanarGeometry.from_preset("long-film", height=900, width=400)


class TestOneLevel:
    def test_the_first_is_at_the_isocentre(self) -> None:
        geometry = BiplanarGeometry.from_preset(isocentre_ras_mm=(1.0, 2.0, 3.0))
        assert roi_of_level("T7", [], geometry).centre_ras_mm == (1.0, 2.0, 3.0)

    @pytest.mark.parametrize(("level", "steps"), [("L4", ("L2", "L3")), ("T12", ("T12", "L1"))])
    def test_beyond_the_others(self, level: str, steps: tuple[str, ...]) -> None:
        first = roi_of_level("L2", [], LARGE)
        found = roi_of_level(level, [first], LARGE)
        assert abs(found.centre_ras_mm[2]) == pytest.approx(sum(STEP_MM[step] for step in steps))
        assert (found.centre_ras_mm[2] < 0) == (level == "L4")

    def test_between_the_others(self) -> None:
        rois = [roi for roi in whole_spine(LARGE) if roi.level != "T9"]
        assert roi_of_level("T9", rois, LARGE) == next(roi for roi in between(rois, LARGE) if roi.level == "T9")

    @pytest.mark.parametrize(("level", "side"), [("C1", 1), ("T13", 1), ("L6", -1)])
    def test_beyond_the_images(self, level: str, side: int) -> None:
        """Or a variant that is never suggested: near the edge, in sight of both views."""
        geometry = BiplanarGeometry.from_preset(height=200)
        found = roi_of_level(level, [roi_of_level("L1", [], geometry)], geometry)
        assert found.centre_ras_mm == pytest.approx((0, 0, side * 90))

    def test_one_that_is_there(self) -> None:
        with pytest.raises(GeometryError, match="has a ROI already"):
            roi_of_level("L1", [roi_of_level("L1", [], LARGE)], LARGE)


class TestWholeSpine:
    def test_of_typical_length(self) -> None:
        top, middle, bottom = whole_spine(LARGE)
        assert tuple(roi.level for roi in (top, middle, bottom)) == ANCHORS
        assert top.centre_ras_mm[2] == pytest.approx(-bottom.centre_ras_mm[2])
        assert top.centre_ras_mm[2] - bottom.centre_ras_mm[2] == pytest.approx(420, abs=15)
        assert middle.centre_ras_mm[1] < 0  # kyphosis

    def test_it_fits_into_low_images(self) -> None:
        geometry = BiplanarGeometry.from_preset(height=200)
        for roi in whole_spine(geometry):
            for view in geometry.views:
                assert 0 < view.project(roi.centre_ras_mm)[0][1] < 200

    def test_the_others_can_be_filled_in(self) -> None:
        found = between(whole_spine(LARGE), LARGE)
        assert len(found) == 14
        assert np.diff([roi.centre_ras_mm[2] for roi in found]).max() < 0


class TestAtOnce:
    def test_all_or_none(self, stage: Any, sample: Case) -> None:
        shown = [roi_of(node) for node in show_rois(stage.scene, sample.rois[:2])]
        assert [roi.level for roi in shown] == [roi.level for roi in sample.rois[:2]]
        again = [replace(sample.rois[3], level="T9"), sample.rois[0]]
        with pytest.raises(GeometryError, match="has a ROI already"):
            show_rois(stage.scene, again)
        assert len(find_nodes(stage.scene, ROI)) == 2
        assert not stage.scene.IsBatchProcessing()

    def test_followers_hear_of_it_once(self, stage: Any, sample: Case) -> None:
        heard = []
        tag = stage.scene.AddObserver(stage.scene.EndBatchProcessEvent, lambda *_: heard.append(1))
        with at_once(stage.scene):
            show_rois(stage.scene, sample.rois)
        stage.scene.RemoveObserver(tag)
        assert heard == [1]
