"""Section 5: references of every kind, the heat map and its numbers, views, and saving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.resources import SAMPLE_CASE
from EARReconstructionLib.scene.nodes import REFERENCE, SURFACE, find_node, find_nodes
from EARReconstructionLib.scene.results import show_results
from numpy.typing import NDArray

RUN = "ear-column-64"
SEGMENTATION = SAMPLE_CASE / "reference" / "segmentation.seg.nrrd"


@pytest.fixture
def compared(results: Any) -> Any:
    """The module after the comparison with the reference that comes with the sample case."""
    results.parameters.showXraysIn3D = False
    results.click("compareButton")
    results.wait()
    return results


def references(driver: Any) -> list[str]:
    """What the combo box offers."""
    combo = driver.ui.referenceCombo
    return [combo.itemText(n) for n in range(combo.count)]


def seen(driver: Any, view: str = "1") -> NDArray[np.int64]:
    """(h, w, 3) pixels of a view."""
    return driver.desktop.grab(driver.view(view)).astype(int)


def share(pixels: NDArray[np.int64], colour: tuple[int, int, int], off: int = 40) -> float:
    """Share of pixels that are about of a colour."""
    return float((np.abs(pixels - colour).max(2) < off).mean())


class TestReference:
    """Which nodes can be one, and loading one."""

    def test_the_sample_brings_its_own(self, results: Any) -> None:
        assert references(results) == ["none", "Sample reference"]
        assert results.ui.referenceCombo.currentText == "Sample reference"
        assert not results.ui.thresholdSlider.isVisibleTo(results.widget.parent)

    def test_none(self, results: Any) -> None:
        results.choose("referenceCombo", 0)
        assert results.parameters.referenceNode is None
        assert not results.ui.compareButton.enabled
        assert results.ui.compareButton.toolTip == "Choose a reference first"

    def test_no_results(self, driver: Any) -> None:
        driver.click("sampleButton")
        for name in ("compareButton", "saveButton", "viewsCombo"):
            assert not getattr(driver.ui, name).enabled
            assert getattr(driver.ui, name).toolTip == "Reconstruct a vertebra first"

    def test_one_that_is_deleted(self, results: Any) -> None:
        results.scene.RemoveNode(results.parameters.referenceNode)
        results.settle()
        assert references(results) == ["none"]
        assert not results.ui.compareButton.enabled

    def test_from_a_file(self, results: Any) -> None:
        results.desktop.answer(str(SEGMENTATION))
        results.click("openReferenceButton")
        assert results.ui.referenceCombo.currentIndex == 2
        assert results.parameters.referenceNode.IsA("vtkMRMLSegmentationNode")
        assert not results.parameters.referenceNode.GetDisplayVisibility()

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("broken.stl", b""),
            ("broken.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 900\nproperty float x\nend_header\n"),
            ("broken.nrrd", b"NRRD0004\n"),
        ],
    )
    def test_a_file_that_is_none(self, results: Any, tmp_path: Path, name: str, content: bytes) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        before = results.parameters.referenceNode
        results.desktop.answer(str(path))
        results.click("openReferenceButton")
        assert results.message.startswith(str(path))
        assert results.parameters.referenceNode is before

    def test_a_ct_asks_for_a_threshold(self, results: Any, rebuilt: list[Any], slicer: Any) -> None:
        ct = volume_node(slicer, "CT", rebuilt[0].volume_hu, rebuilt[0].ras_from_ijk)
        results.parameters.referenceNode = ct
        results.parameters.referenceThresholdHu = -150
        results.settle()
        assert results.ui.thresholdSlider.isVisibleTo(results.widget.parent)
        results.click("compareButton")
        results.wait()
        assert results.message.startswith(f"{RUN} is compared with CT.")
        low, high = find_node(results.scene, REFERENCE, run=RUN, level="L1").GetPolyData().GetBounds()[4:]
        assert 20 < high - low < 96
        results.parameters.referenceThresholdHu = 300  # of the bone, less is above it
        results.click("compareButton")
        results.wait()
        lower, upper = find_node(results.scene, REFERENCE, run=RUN, level="L1").GetPolyData().GetBounds()[4:]
        assert low < lower < upper < high

    @pytest.mark.parametrize(
        ("values", "ct"), [((-1000, 900), True), ((0, 2800), True), ((0, 28), False), ((0, 1), False)]
    )
    def test_what_a_ct_is(self, driver: Any, slicer: Any, values: tuple[int, int], ct: bool) -> None:
        """Some CTs are stored without negative values; label maps go up to VerSe's last label."""
        from EARReconstructionLib.panel.references import is_ct

        voxels = np.full((4, 4, 4), values[0], np.int16)
        voxels[1] = values[1]
        assert is_ct(volume_node(slicer, "V", voxels, np.eye(4))) == ct

    @pytest.mark.parametrize(
        ("scale", "shift", "says"),
        [(0.001, 0, "metres"), (1, 500, "Sample reference")],
        ids=["in metres", "in another place"],
    )
    def test_elsewhere(self, results: Any, slicer: Any, scale: float, shift: float, says: str) -> None:
        import vtk

        matrix = vtk.vtkMatrix4x4()
        for n in range(3):
            matrix.SetElement(n, n, scale)
            matrix.SetElement(n, 3, shift)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        transform.SetMatrixTransformToParent(matrix)
        results.parameters.referenceNode.SetAndObserveTransformNodeID(transform.GetID())
        results.click("compareButton")
        results.wait()
        assert says in results.message
        assert find_nodes(results.scene, REFERENCE) == []
        assert results.ui.compareButton.enabled

    def test_deleted_while_it_is_compared(self, results: Any) -> None:
        results.click("compareButton")
        results.scene.RemoveNode(results.parameters.referenceNode)
        results.wait()
        assert results.message == "Comparing: stopped, for a node that it works with was deleted."
        assert find_nodes(results.scene, REFERENCE) == []


class TestHeatMap:
    """Colours, legend, numbers."""

    def test_what_is_said(self, compared: Any) -> None:
        assert compared.message == f"{RUN} is compared with Sample reference."
        table = compared.ui.statisticsTable.mrmlTableNode().GetTable()
        assert [table.GetValue(n, 0).ToString() for n in range(2)] == ["L1", "L2"]
        assert 0.5 < table.GetValueByName(0, "ASSD (mm)").ToDouble() < 3

    def test_colours_and_legend(self, compared: Any) -> None:
        """Red and blue are on the bone; a legend in mm stands at the right."""
        pixels = seen(compared)
        width = pixels.shape[1]
        legend, bone = pixels[:, int(0.93 * width) :], pixels[:, width // 4 : 3 * width // 4]
        assert share(legend, (153, 5, 31)) > 0.002
        assert share(legend, (26, 51, 153)) > 0.002
        assert share(bone, (242, 240, 235)) > 0.002
        assert share(bone, (102, 158, 224)) + share(bone, (240, 115, 89)) > 0.002
        (legend_node,) = compared.scene.GetNodesByClass("vtkMRMLColorLegendDisplayNode")
        assert legend_node.GetTitleText() == "Signed distance (mm)"
        compared.click("heatMapCheckBox")
        pixels = seen(compared)
        assert share(pixels[:, int(0.93 * width) :], (153, 5, 31)) == 0

    def test_range(self, compared: Any) -> None:
        compared.ui.rangeSlider.value = 2.0
        compared.settle()
        ranges = {node.GetDisplayNode().GetScalarRange() for node in find_nodes(compared.scene, SURFACE)}
        assert ranges == {(-2.0, 2.0)}

    def test_on_the_reference(self, compared: Any) -> None:
        def visible(kind: str) -> set[bool]:
            return {bool(node.GetDisplayVisibility()) for node in find_nodes(compared.scene, kind)}

        compared.click("onReferenceCheckBox")
        assert (visible(SURFACE), visible(REFERENCE)) == ({False}, {True})
        compared.click("onReferenceCheckBox")
        assert (visible(SURFACE), visible(REFERENCE)) == ({True}, {False})

    def test_the_worst_point(self, compared: Any) -> None:
        compared.click("worstButton")
        mark = find_node(compared.scene, "mark")
        assert mark.GetNthControlPointLabel(0).startswith("L")
        assert compared.message == f"The greatest distance: {mark.GetNthControlPointLabel(0)}."
        place = np.zeros(3)
        mark.GetNthControlPointPositionWorld(0, place)
        axial = compared.scene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceToRAS()
        assert axial.GetElement(2, 3) == pytest.approx(place[2], abs=0.01)

    def test_reconstructing_again_forgets_it(self, compared: Any, rebuilt: list[Any]) -> None:
        show_results(compared.scene, rebuilt[:1])
        compared.settle()
        assert not compared.ui.statisticsTable.isVisibleTo(compared.widget.parent)


class TestViews:
    """X-rays; numbers; models side by side; and back."""

    def test_numbers(self, compared: Any) -> None:
        compared.choose("viewsCombo", 1)
        manager = compared.desktop.layout_manager()
        # Views of other layouts stay where they are, hidden.
        (table,) = (w for n in range(manager.tableViewCount) if (w := manager.tableWidget(n)).visible)
        (plot,) = (w for n in range(manager.plotViewCount) if (w := manager.plotWidget(n)).visible)
        assert table.tableView().mrmlTableNode() is compared.ui.statisticsTable.mrmlTableNode()
        chart = compared.desktop.grab(plot.plotView()).astype(int)
        assert share(chart, (51, 102, 191)) > 0.002
        compared.choose("viewsCombo", 0)
        assert compared.ui.viewsCombo.currentIndex == 0

    def test_side_by_side(self, compared: Any, rebuilt: list[Any]) -> None:
        compared.choose("viewsCombo", 2)
        manager = compared.desktop.layout_manager()
        shown = [manager.threeDWidget(f"EARCompared{n}") for n in (1, 2)]
        assert [widget.mrmlViewNode().GetLayoutLabel() for widget in shown] == [RUN, "Reference"]
        for widget in shown:
            pixels = compared.desktop.grab(widget.threeDView()).astype(int)
            assert share(pixels, (242, 240, 235)) > 0.002
        assert compared.ui.viewsCombo.currentIndex == 2
        compared.choose("viewsCombo", 0)
        assert {bool(n.GetDisplayVisibility()) for n in find_nodes(compared.scene, SURFACE)} == {True}
        assert {bool(n.GetDisplayVisibility()) for n in find_nodes(compared.scene, REFERENCE)} == {False}


class TestSaving:
    """A folder for the results."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "Röntgen Ergebnisse"
        folder.mkdir()
        return folder

    def save(self, driver: Any, folder: Path, *answers: Any) -> None:
        driver.desktop.answer(str(folder), *answers)
        driver.click("saveButton")
        driver.wait()

    def test_everything(self, compared: Any, folder: Path, qt: Any) -> None:
        self.save(compared, folder)
        assert compared.message == f"Saved in {folder}: open report.html there."
        written = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["files"]
        for name in ("volumes/L1.nrrd", "surfaces/L2.stl", "distances.csv", "spine-labels.seg.nrrd", "report.html"):
            assert name in written
            assert (folder / name).stat().st_size > 0
        self.save(compared, folder, qt.QMessageBox.No)
        assert compared.message == ""
        self.save(compared, folder, qt.QMessageBox.Yes)
        assert compared.message.startswith("Saved in")

    def test_nothing_is_chosen(self, results: Any) -> None:
        before = results.message
        results.desktop.answer("")
        results.click("saveButton")
        assert (results.message, results.panel.busy) == (before, False)

    def test_a_folder_of_something_else(self, results: Any, folder: Path) -> None:
        (folder / "thesis.txt").write_text("years", encoding="utf-8")
        self.save(results, folder)
        assert results.message == f"{folder}: it holds something else than results. Choose a new or an empty folder."
        assert [path.name for path in folder.iterdir()] == ["thesis.txt"]

    def test_a_full_disk(self, results: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib import results as module

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "write_spine", full)
        self.save(results, folder)
        assert results.message == (
            f"{folder}: it could not be written (No space left on device). Choose a folder with room and write access."
        )
        assert list(folder.iterdir()) == []
        assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []
        assert results.ui.saveButton.enabled

    def test_the_folder_is_remembered(self, results: Any, folder: Path) -> None:
        self.save(results, folder)
        results.desktop.answer("")
        results.click("saveButton")
        assert results.desktop.dialogs[-1].details == str(folder)

    def test_the_radiographs_are_gone(self, results: Any, folder: Path) -> None:
        from EARReconstructionLib.scene.radiographs import radiograph_nodes, remove_radiograph

        remove_radiograph(results.scene, radiograph_nodes(results.scene)["frontal"])
        results.settle()
        self.save(results, folder)
        assert results.message == "scene: it has no frontal radiograph. Load one."
        assert list(folder.iterdir()) == []


def volume_node(slicer: Any, name: str, voxels: Any, ras_from_ijk: Any) -> Any:
    """A volume that is none of ours."""
    node = slicer.util.addVolumeFromArray(voxels, name=name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ras_from_ijk))
    return node
