"""Section 2: vertebrae added, filled in, named, sized, deleted, taken back, and dragged in both X-rays."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

FRONTAL, LATERAL = "EARFrontal", "EARLateral"


@pytest.fixture
def sample(driver: Any) -> Any:
    """The sample case: T10 to L5."""
    driver.click("sampleButton")
    return driver


@pytest.fixture
def bare(sample: Any) -> Any:
    """The sample case's X-rays without vertebrae."""
    sample.ui.vertebraeTable.selectAll()
    sample.settle()
    sample.click("deleteButton")
    return sample


def levels(driver: Any) -> list[str]:
    """The levels in the scene, from head to foot."""
    from EARReconstructionLib.scene.rois import roi_nodes

    return [node.GetAttribute("EAR.level") for node in roi_nodes(driver.scene)]


def node_of(driver: Any, level: str) -> Any:
    """The ROI's node of a level."""
    from EARReconstructionLib.scene.nodes import find_node
    from EARReconstructionLib.scene.rois import ROI

    return find_node(driver.scene, ROI, level=level)


def roi(driver: Any, level: str) -> Any:
    """The ROI of a level."""
    from EARReconstructionLib.scene.rois import roi_of

    return roi_of(node_of(driver, level))


def box(driver: Any, level: str, role: str) -> Any:
    """The box of a level on a radiograph."""
    from EARReconstructionLib.scene.nodes import find_node
    from EARReconstructionLib.scene.projected_rois import BOX

    return find_node(driver.scene, BOX, role=role, of=node_of(driver, level).GetID())


def select(driver: Any, level: str) -> None:
    """Click a row of the list."""
    driver.ui.vertebraeTable.selectRow(levels(driver).index(level))
    driver.settle()


def rest(driver: Any, happened: Any) -> None:
    """Wait until the hand has rested so long that the panel follows."""
    driver.desktop.wait_until(happened)


def choose(driver: Any, name: str, level: str) -> None:
    """Choose a level in a combo box."""
    combo = getattr(driver.ui, name)
    combo.setCurrentIndex(combo.findData(level))
    combo.activated.emit(combo.currentIndex)
    driver.settle()


def notes(driver: Any) -> list[str]:
    """What the list says to look at, row by row."""
    table = driver.ui.vertebraeTable
    return [table.item(row, 1).text() for row in range(table.rowCount)]


class TestList:
    def test_of_the_sample_case(self, sample: Any) -> None:
        table = sample.ui.vertebraeTable
        assert [table.item(row, 0).text() for row in range(table.rowCount)] == levels(sample)
        assert len(levels(sample)) == 8
        assert table.isVisibleTo(sample.widget.parent)

    def test_a_row_selects_its_boxes(self, sample: Any) -> None:
        select(sample, "L2")
        assert sample.parameters.selectedLevel == "L2"
        for role in ("frontal", "lateral"):
            assert box(sample, "L2", role).GetDisplayNode().GetHandlesInteractive()
            assert not box(sample, "L3", role).GetDisplayNode().GetHandlesInteractive()

    def test_a_row_turns_the_other_views_to_it(self, sample: Any) -> None:
        select(sample, "L2")
        plane = sample.view("Red").mrmlSliceNode().GetSliceToRAS()
        assert plane.GetElement(2, 3) == pytest.approx(roi(sample, "L2").centre_ras_mm[2], abs=1)

    def test_a_click_on_a_box_selects_its_row(self, sample: Any) -> None:
        select(sample, "T10")
        for name, role, level in ((FRONTAL, "frontal", "L3"), (LATERAL, "lateral", "T12")):
            centre = box(sample, level, role).GetCenterWorld()
            sample.drag(name, centre, centre)
            assert sample.parameters.selectedLevel == level
            table = sample.ui.vertebraeTable
            assert [index.row() for index in table.selectionModel().selectedRows()] == [levels(sample).index(level)]
            assert sample.ui.levelComboBox.currentText == level

    def test_a_tick_shows_and_hides(self, sample: Any, qt: Any) -> None:
        item = sample.ui.vertebraeTable.item(0, 0)
        item.setCheckState(qt.Qt.Unchecked)
        sample.settle()
        assert not node_of(sample, "T10").GetDisplayNode().GetVisibility()
        assert not box(sample, "T10", "frontal").GetDisplayNode().GetVisibility()
        node_of(sample, "T10").GetDisplayNode().SetVisibility(True)
        rest(sample, lambda: item.checkState() == qt.Qt.Checked)

    def test_what_to_look_at(self, sample: Any) -> None:
        assert notes(sample) == [""] * 8
        node = node_of(sample, "L5")
        node.SetCenterWorld(*np.add(node.GetCenterWorld(), (0, 0, -60)))
        rest(sample, lambda: notes(sample)[-1])
        assert "L5" in notes(sample)[-1]
        item = sample.ui.vertebraeTable.item(7, 1)
        assert item.toolTip().startswith(item.text())
        assert not item.icon().isNull()

    def test_no_more_rows_than_fit(self, bare: Any) -> None:
        bare.click("wholeSpineButton")
        low = bare.ui.vertebraeTable.height
        bare.click("fillButton")
        assert low < bare.ui.vertebraeTable.height < 320


class TestAdding:
    def test_next(self, bare: Any) -> None:
        assert bare.ui.addButton.text == "Add L1"
        bare.click("addButton")
        assert roi(bare, "L1").centre_ras_mm == pytest.approx(ISOCENTRE, abs=0.1)  # the isocentre
        assert bare.message == "Drag L1 onto its vertebra in both X-rays."
        assert bare.parameters.selectedLevel == "L1"
        assert bare.ui.addButton.text == "Add L2"
        bare.click("addButton")
        assert roi(bare, "L1").centre_ras_mm[2] - roi(bare, "L2").centre_ras_mm[2] == pytest.approx(31)
        assert bare.ui.addButton.text == "Add L3"

    def test_of_a_chosen_level(self, bare: Any) -> None:
        choose(bare, "addLevelComboBox", "T11")
        assert bare.ui.addButton.text == "Add T11"
        bare.click("addButton")
        choose(bare, "addLevelComboBox", "T8")
        bare.click("addButton")
        assert levels(bare) == ["T8", "T11"]
        assert roi(bare, "T8").centre_ras_mm[2] - roi(bare, "T11").centre_ras_mm[2] == pytest.approx(24 + 25 + 27)

    def test_between_two(self, bare: Any) -> None:
        for level in ("T10", "L2", "T12"):
            choose(bare, "addLevelComboBox", level)
            bare.click("addButton")
        assert levels(bare) == ["T10", "T12", "L2"]
        heights = [roi(bare, level).centre_ras_mm[2] for level in levels(bare)]
        assert heights == sorted(heights, reverse=True)

    def test_beyond_the_images(self, bare: Any) -> None:
        """It comes to their edge, from where it can be dragged."""
        bare.click("addButton")
        choose(bare, "addLevelComboBox", "C1")
        bare.click("addButton")
        r, a, s = roi(bare, "C1").centre_ras_mm
        assert (r, a) == pytest.approx(ISOCENTRE[:2], abs=0.1)
        assert 100 < s < 160  # the upper edge is 158 mm above the isocentre

    def test_a_whole_spine(self, bare: Any) -> None:
        assert "start a whole spine" in bare.ui.vertebraeHintLabel.text
        bare.click("wholeSpineButton")
        assert levels(bare) == ["T1", "T9", "L5"]
        assert bare.message == "Drag T1, T9, L5 onto their vertebrae in both X-rays, then press Fill between."
        assert not bare.ui.wholeSpineButton.isVisibleTo(bare.widget.parent)
        bare.click("fillButton")
        assert levels(bare) == [*(f"T{n}" for n in range(1, 13)), *(f"L{n}" for n in range(1, 6))]
        assert bare.message.startswith("14 vertebrae were added.")
        assert bare.ui.fillButton.toolTip == "Between the first and the last vertebra none is missing"

    def test_fill_after_a_deletion(self, sample: Any) -> None:
        before = roi(sample, "L2")
        select(sample, "L2")
        sample.click("deleteButton")
        assert sample.ui.fillButton.toolTip == "Add L2"
        sample.click("fillButton")
        assert np.linalg.norm(np.subtract(roi(sample, "L2").centre_ras_mm, before.centre_ras_mm)) < 10

    def test_the_column_is_full(self, bare: Any) -> None:
        from EARReconstructionLib.scene.placing import show_rois
        from EARReconstructionLib.vertebra import LEVELS, TYPICAL_SIZE_MM, VertebraROI

        show_rois(bare.scene, [VertebraROI(level, (0, 0, 0), TYPICAL_SIZE_MM[level]) for level in LEVELS])
        bare.settle()
        assert (bare.ui.addButton.enabled, bare.ui.addButton.toolTip) == (False, "All levels are there")


class TestChanging:
    def test_another_level(self, sample: Any) -> None:
        select(sample, "T10")
        before = roi(sample, "T10")
        choose(sample, "levelComboBox", "T9")
        assert levels(sample)[0] == "T9"
        assert roi(sample, "T9") == replace(before, level="T9")
        assert sample.parameters.selectedLevel == "T9"
        assert box(sample, "T9", "frontal").GetName() == "T9"
        offered = [sample.ui.levelComboBox.itemText(n) for n in range(sample.ui.levelComboBox.count)]
        assert "T10" in offered
        assert "L1" not in offered

    def test_size(self, sample: Any) -> None:
        select(sample, "L1")
        assert sample.ui.sizeSSpinBox.value == round(roi(sample, "L1").size_mm[2])
        sample.ui.sizeSSpinBox.value = 66
        sample.settle()
        assert roi(sample, "L1").size_mm[2] == 66
        assert box(sample, "L1", "frontal").GetSize()[1] == pytest.approx(66 * magnification(sample, "L1", 1), rel=1e-3)

    def test_size_of_one_that_is_not_whole_mm(self, sample: Any) -> None:
        """Rounded in the panel only, until one of them is changed."""
        from EARReconstructionLib.scene.rois import show_roi

        show_roi(sample.scene, replace(roi(sample, "L1"), size_mm=(70.4, 60.4, 50.4)), node_of(sample, "L1"))
        select(sample, "L1")
        sample.panel.changed()
        sample.settle()
        assert roi(sample, "L1").size_mm == pytest.approx((70.4, 60.4, 50.4))
        sample.ui.sizeASpinBox.value = 80
        sample.settle()
        assert roi(sample, "L1").size_mm == pytest.approx((70.4, 80, 50.4))
        ways = [getattr(sample.ui, f"size{axis}SpinBox").toolTip for axis in "RAS"]
        assert [way.removeprefix("Size of the box ") for way in ways] == [
            "from right to left",
            "from front to back",
            "from head to foot",
        ]

    def test_delete_and_undo(self, sample: Any) -> None:
        before = roi(sample, "L3")
        select(sample, "L3")
        assert sample.ui.deleteButton.toolTip == "Delete L3; Undo brings it back"
        sample.click("deleteButton")
        assert "L3" not in levels(sample)
        assert not sample.ui.deleteButton.enabled
        sample.click("undoButton")
        assert roi(sample, "L3") == before
        assert len(levels(sample)) == sample.ui.vertebraeTable.rowCount == 8

    def test_several(self, sample: Any, qt: Any) -> None:
        sample.ui.vertebraeTable.selectAll()
        sample.settle()
        sample.click("deleteButton")
        assert levels(sample) == []
        assert not sample.ui.vertebraeTable.isVisibleTo(sample.widget.parent)
        sample.click("undoButton")
        assert len(levels(sample)) == 8

    def test_undo_of_everything_else(self, sample: Any) -> None:
        select(sample, "T10")
        size, before = roi(sample, "T10").size_mm, roi(sample, "T10")
        sample.ui.sizeRSpinBox.value = size[0] + 10
        sample.settle()
        choose(sample, "levelComboBox", "T8")
        sample.click("fillButton")
        assert len(levels(sample)) == 10
        for count in (8, 8, 8):
            sample.click("undoButton")
            assert len(levels(sample)) == count
        assert roi(sample, "T10") == before

    def test_the_cube_of_the_model(self, sample: Any) -> None:
        from EARReconstructionLib.scene.nodes import find_nodes
        from EARReconstructionLib.scene.projected_rois import CROP

        select(sample, "L1")
        sample.click("modelCubeCheckBox")
        assert {crop.GetAttribute("EAR.of") for crop in find_nodes(sample.scene, CROP)} == {
            node_of(sample, "L1").GetID()
        }
        select(sample, "L2")
        assert {crop.GetAttribute("EAR.of") for crop in find_nodes(sample.scene, CROP)} == {
            node_of(sample, "L2").GetID()
        }
        crop = next(each for each in find_nodes(sample.scene, CROP) if each.GetAttribute("EAR.role") == "3d")
        assert crop.GetSize() == pytest.approx((96, 96, 96))
        sample.click("modelCubeCheckBox")
        assert find_nodes(sample.scene, CROP) == []


#: Of both radiographs of the sample case, RAS mm. Their sources are 1000 mm from it: in front, and on the right.
ISOCENTRE = (-6.5, -25.6, -3.9)


def magnification(driver: Any, level: str, axis: int) -> float:
    """Size on a radiograph over true size. axis: 1 (A) for the frontal one, 0 (R) for the lateral one."""
    return float(1000 / (1000 - (roi(driver, level).centre_ras_mm[axis] - ISOCENTRE[axis])))


class TestDragging:
    """A box that is dragged on an X-ray moves the true ROI: in mm, perspective included."""

    @pytest.mark.parametrize(("name", "role", "kept"), [(FRONTAL, "frontal", 1), (LATERAL, "lateral", 0)])
    def test_the_middle(self, sample: Any, name: str, role: str, kept: int) -> None:
        """The middle of the ROI comes onto the ray from the source to the mouse, and keeps its depth."""
        select(sample, "T11")
        before, view = roi(sample, "T11"), sample.view(name)
        start = np.round(view.convertRASToXYZ(tuple(box(sample, "T11", role).GetCenterWorld()))[:2])
        move = np.array((24, -16))
        press, release = (np.array(view.convertXYZToRAS((*point, 0))) for point in (start, start + move))
        sample.drag(name, press, release)
        after, source = roi(sample, "T11"), np.array(ISOCENTRE)
        source[kept] += 1000
        ray = release - source
        expected = source + ray * (before.centre_ras_mm[kept] - source[kept]) / ray[kept]
        assert after.centre_ras_mm == pytest.approx(expected, abs=0.05)
        assert np.linalg.norm(np.subtract(after.centre_ras_mm, before.centre_ras_mm)) > 15
        assert after.size_mm == pytest.approx(before.size_mm, abs=1e-3)

    def test_the_other_view_follows(self, sample: Any) -> None:
        select(sample, "L2")
        before = np.array(box(sample, "L2", "lateral").GetCenterWorld())
        centre = np.array(box(sample, "L2", "frontal").GetCenterWorld())
        sample.drag(FRONTAL, centre, centre + np.array((0, 0, 10)))
        change = np.array(box(sample, "L2", "lateral").GetCenterWorld()) - before
        true = 10 / magnification(sample, "L2", 1) * magnification(sample, "L2", 0)
        assert change == pytest.approx((0, 0, true), abs=0.8)  # a pixel of the view

    def test_a_side(self, sample: Any) -> None:
        """The upper side of the box in the lateral view makes it higher, and keeps its foot."""
        select(sample, "L2")
        before, shown = roi(sample, "L2"), box(sample, "L2", "lateral")
        top = np.array(shown.GetCenterWorld()) + np.array((0, 0, shown.GetSize()[1] / 2))
        sample.drag(LATERAL, top, top + np.array((0, 0, 12)))
        after, scale = roi(sample, "L2"), magnification(sample, "L2", 0)
        assert after.size_mm[2] - before.size_mm[2] == pytest.approx(12 / scale, abs=0.8)
        assert after.size_mm[:2] == pytest.approx(before.size_mm[:2], abs=1e-3)
        foot = [one.centre_ras_mm[2] - one.size_mm[2] / 2 for one in (before, after)]
        assert foot[0] == pytest.approx(foot[1], abs=0.3)
        rest(sample, lambda: sample.ui.sizeSSpinBox.value == round(after.size_mm[2]))

    def test_undo(self, sample: Any) -> None:
        select(sample, "L2")
        before = roi(sample, "L2")
        centre = np.array(box(sample, "L2", "frontal").GetCenterWorld())
        sample.drag(FRONTAL, centre, centre + np.array((15, 0, 0)))
        assert roi(sample, "L2") != before
        rest(sample, lambda: sample.ui.undoButton.enabled)
        sample.click("undoButton")
        assert roi(sample, "L2").centre_ras_mm == pytest.approx(before.centre_ras_mm)
        assert roi(sample, "L2").size_mm == pytest.approx(before.size_mm)


class TestStates:
    """Every button in every state."""

    def test_empty(self, driver: Any) -> None:
        ui = driver.ui
        assert ui.vertebraeHintLabel.text == "Open both X-rays first, in step 1."
        for name in ("addButton", "addLevelComboBox", "wholeSpineButton"):
            assert not getattr(ui, name).enabled
            assert getattr(ui, name).toolTip == "Open both X-rays first, in step 1"
        for name in ("vertebraeTable", "selectedFrame", "modelCubeCheckBox", "fillButton"):
            assert not getattr(ui, name).isVisibleTo(driver.widget.parent)

    def test_without_vertebrae(self, bare: Any) -> None:
        ui = bare.ui
        assert ui.addButton.enabled
        assert ui.wholeSpineButton.enabled
        assert ui.wholeSpineButton.toolTip == "Add T1, T9, L5, from which Fill between finds all others"

    def test_one(self, bare: Any) -> None:
        bare.click("addButton")
        assert (bare.ui.fillButton.enabled, bare.ui.fillButton.toolTip) == (False, "Add two vertebrae first")

    def test_none_selected(self, sample: Any) -> None:
        assert sample.parameters.selectedLevel == ""
        for name in ("deleteButton", "levelComboBox", "sizeRSpinBox", "sizeASpinBox", "sizeSSpinBox"):
            assert not getattr(sample.ui, name).enabled
            assert getattr(sample.ui, name).toolTip == "Select a vertebra in the list, or click its box"

    def test_selected(self, sample: Any) -> None:
        select(sample, "L1")
        for name in ("deleteButton", "levelComboBox", "sizeRSpinBox", "sizeASpinBox", "sizeSSpinBox"):
            assert getattr(sample.ui, name).enabled

    def test_busy(self, sample: Any) -> None:
        select(sample, "L1")
        gate = threading.Event()
        sample.panel.start("Work", lambda *_: gate.wait(10), lambda _: None)
        sample.settle()
        for name in ("addButton", "fillButton", "deleteButton", "levelComboBox", "sizeRSpinBox", "undoButton"):
            assert not getattr(sample.ui, name).enabled, name
        gate.set()
        sample.wait()
        assert sample.ui.deleteButton.enabled

    def test_a_radiograph_is_removed(self, sample: Any) -> None:
        """The vertebrae stay; their boxes go with the radiograph."""
        from EARReconstructionLib.scene.radiographs import radiograph_nodes, remove_radiograph

        remove_radiograph(sample.scene, radiograph_nodes(sample.scene)["lateral"])
        sample.settle()
        assert len(levels(sample)) == 8
        assert box(sample, "L1", "lateral") is None
        assert sample.ui.addButton.toolTip == "Open both X-rays first, in step 1"

    def test_a_box_that_no_vertebra_could_have(self, sample: Any) -> None:
        """Made in another module: a sentence in the list, nothing broken."""
        select(sample, "L1")
        node_of(sample, "L1").SetSize(500, 50, 50)
        rest(sample, lambda: any(notes(sample)))
        assert "a size of 500 x 50 x 50 mm" in notes(sample)[levels(sample).index("L1")]

    def test_closed(self, sample: Any) -> None:
        select(sample, "L1")
        sample.scene.Clear()
        sample.settle()
        self.test_empty(sample)
        sample.click("sampleButton")
        self.test_none_selected(sample)
