"""Section 4: runs in a table, what is seen of them, undoing and removing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.scene.nodes import EDGES, SPINE, SURFACE, find_node, find_nodes
from EARReconstructionLib.scene.rendering import is_rendered
from EARReconstructionLib.scene.results import rois_of, runs, show_results
from EARReconstructionLib.scene.rois import roi_nodes

RUN = "ear-column-64"


@pytest.fixture
def two_runs(results: Any, rebuilt: list[Any]) -> Any:
    """Results of two models, the second one with L1 only."""
    show_results(results.scene, [replace(rebuilt[0], model="other", notes=("A note.",))])
    results.settle()
    return results


def surfaces(driver: Any, run: str = RUN) -> list[bool]:
    """Which surfaces of a run are seen."""
    return [bool(node.GetDisplayVisibility()) for node in find_nodes(driver.scene, SURFACE, run=run)]


def row(driver: Any, number: int) -> list[str]:
    """The texts of a row."""
    return [driver.ui.runsTable.item(number, column).text() for column in (1, 2)]


class TestTable:
    """One row for each run."""

    def test_nothing_yet(self, driver: Any) -> None:
        assert driver.ui.emptyLabel.isVisibleTo(driver.widget.parent)
        assert not driver.ui.runsTable.isVisibleTo(driver.widget.parent)
        for name in ("boneVolumeCheckBox", "edgeMapCheckBox", "takeBackButton", "removeButton"):
            assert not getattr(driver.ui, name).enabled
            assert getattr(driver.ui, name).toolTip

    def test_rows(self, two_runs: Any) -> None:
        assert [row(two_runs, 0), row(two_runs, 1)] == [[RUN, "2"], ["other", "1"]]
        assert two_runs.ui.runsTable.item(0, 2).toolTip() == "L1, L2"
        assert two_runs.ui.runsTable.currentRow() == 0

    def test_choosing_a_row(self, two_runs: Any) -> None:
        two_runs.ui.runsTable.selectRow(1)
        two_runs.settle()
        assert two_runs.parameters.run == "other"
        assert two_runs.ui.notesLabel.text == "A note."
        assert two_runs.ui.runsTable.currentRow() == 1

    def test_hiding_a_run(self, two_runs: Any, qt: Any) -> None:
        two_runs.ui.runsTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
        two_runs.settle()
        assert surfaces(two_runs) == [False, False]
        assert surfaces(two_runs, "other") == [True]
        two_runs.ui.runsTable.item(0, 0).setCheckState(qt.Qt.Checked)
        two_runs.settle()
        assert surfaces(two_runs) == [True, True]

    def test_a_new_run_hides_the_others(self, case: Any, rebuilt: list[Any]) -> None:
        show_results(case.scene, rebuilt)
        case.click("reconstructButton")
        case.wait()
        assert surfaces(case) == [False, False]
        assert all(surfaces(case, "tiny"))

    def test_removing(self, two_runs: Any) -> None:
        two_runs.click("removeButton")
        assert runs(two_runs.scene) == ["other"]
        assert two_runs.message == f"The results of {RUN} are removed."
        two_runs.click("removeButton")
        assert runs(two_runs.scene) == []
        assert not two_runs.ui.removeButton.enabled


class TestSeen:
    """Surfaces, bone, edges, boxes."""

    def test_boxes_make_room(self, results: Any, qt: Any) -> None:
        shown = {node.GetName(): bool(node.GetDisplayNode().GetVisibility3D()) for node in roi_nodes(results.scene)}
        assert (shown["L1"], shown["L2"], shown["L3"]) == (False, False, True)
        results.ui.runsTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
        results.settle()
        assert all(node.GetDisplayNode().GetVisibility3D() for node in roi_nodes(results.scene))

    def test_volume_rendering(self, results: Any) -> None:
        spine = find_node(results.scene, SPINE, run=RUN)
        results.click("boneVolumeCheckBox")
        assert is_rendered(spine)
        assert surfaces(results) == [False, False]
        results.click("boneVolumeCheckBox")
        assert not is_rendered(spine)
        assert surfaces(results) == [True, True]

    def test_edge_map(self, results: Any) -> None:
        assert results.ui.edgeMapCheckBox.text == "Edge map of L1"
        results.parameters.selectedLevel = "L2"
        results.settle()
        assert results.ui.edgeMapCheckBox.text == "Edge map of L2"
        results.click("edgeMapCheckBox")
        rendered = {n.GetAttribute("EAR.level"): is_rendered(n) for n in find_nodes(results.scene, EDGES, run=RUN)}
        assert rendered == {"L1": False, "L2": True}
        results.click("edgeMapCheckBox")
        assert not any(is_rendered(node) for node in find_nodes(results.scene, EDGES, run=RUN))

    def test_a_network_without_edges(self, results: Any, rebuilt: list[Any]) -> None:
        show_results(results.scene, [replace(rebuilt[0], model="plain", edges=None)])
        results.parameters.run = "plain"
        results.settle()
        assert not results.ui.edgeMapCheckBox.enabled
        assert results.ui.edgeMapCheckBox.toolTip == "The network of plain draws no edges"

    def test_no_volume_rendering_here(self, results: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib.scene import rendering

        monkeypatch.setattr(rendering, "_METHOD", "vtkMRMLNoSuchDisplayNode")
        results.click("boneVolumeCheckBox")
        assert results.message == "volume rendering: this application has none. Look at the surfaces."

    def test_the_spine_is_where_the_radiographs_say(self, results: Any) -> None:
        """Its axial cut is in the axial view, and in 3-D it fills the middle of the view."""
        results.parameters.showXraysIn3D = False
        results.panel.sections[3].onReconstructed(_replaced("L1", "L2"))
        results.settle()
        for name, least in (("Red", 0.01), ("1", 0.02)):
            pixels = results.desktop.grab(results.view(name)).astype(int)
            height, width = pixels.shape[:2]
            middle = pixels[height // 5 : -height // 5, width // 5 : -width // 5]
            saturated = middle.max(2) - middle.min(2) > 40  # the segments' colours, not the grey or the blue
            red = middle[..., 0] > middle[..., 2]
            assert (saturated & red).mean() > least, name


class TestUndo:
    """Undo reconstruction."""

    def test_a_first_one_goes(self, case: Any) -> None:
        assert not case.ui.takeBackButton.enabled
        case.parameters.selectedLevel, case.parameters.onlySelected = "L3", True
        case.settle()
        case.click("reconstructButton")
        case.wait()
        case.click("takeBackButton")
        assert runs(case.scene) == []
        assert not case.ui.takeBackButton.enabled

    def test_what_was_replaced_comes_back(self, case: Any) -> None:
        case.parameters.selectedLevel, case.parameters.onlySelected = "L3", True
        case.settle()
        case.click("reconstructButton")
        case.wait()
        before = rois_of(case.scene, "tiny")["L3"]
        node = next(node for node in roi_nodes(case.scene) if node.GetName() == "L3")
        node.SetCenter(*np.add(node.GetCenter(), (0, 5, 0)))
        case.settle()
        case.parameters.onlySelected = False
        case.settle()
        case.click("reconstructButton")
        case.wait()
        assert len(rois_of(case.scene, "tiny")) == 8
        case.click("takeBackButton")
        assert rois_of(case.scene, "tiny") == {"L3": before}

    def test_not_of_a_scene_that_is_gone(self, case: Any) -> None:
        case.parameters.selectedLevel, case.parameters.onlySelected = "L3", True
        case.settle()
        case.click("reconstructButton")
        case.wait()
        case.scene.Clear(0)
        case.settle()
        assert not case.ui.takeBackButton.enabled


def _replaced(*levels: str) -> Any:
    from EARReconstructionLib.scene.tasks import Replaced

    return Replaced(RUN, levels, ())
