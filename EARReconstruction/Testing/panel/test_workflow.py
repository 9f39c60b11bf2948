"""The whole job, as a person does it: from a button to results in a folder, and back from a saved scene."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Reference, read_case, write_case
from EARReconstructionLib.comparison import read_shapes
from EARReconstructionLib.resources import DEFAULT_MODEL, SAMPLE_CASE
from EARReconstructionLib.scene.nodes import find_node, find_nodes
from EARReconstructionLib.scene.results import rois_of, runs
from EARReconstructionLib.scene.rois import roi_nodes, roi_of
from EARReconstructionLib.surface import write_surface

VIEWS = {"frontal": "EARFrontal", "lateral": "EARLateral"}


def node_of(driver: Any, level: str) -> Any:
    """The ROI's node of a level."""
    return next(node for node in roi_nodes(driver.scene) if node.GetName() == level)


def drag(driver: Any, level: str, role: str, step_mm: tuple[float, float, float]) -> None:
    """Drag the middle of a vertebra's box in one of the X-rays."""
    box = find_node(driver.scene, "roi-box", role=role, of=node_of(driver, level).GetID())
    start = np.array(box.GetCenterWorld())
    driver.drag(VIEWS[role], start, start + step_mm)


class Clicks:
    """Does and counts. In a dialog: one for each file, one for its button."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.count = 0

    def click(self, name: str, *answers: Any) -> None:
        """A button, and what is chosen in the dialog that it opens."""
        for answer in answers:
            self.driver.desktop.answer(answer)
            self.count += 1 + (len(answer) if isinstance(answer, list) else 1)
        self.count += 1
        self.driver.click(name)
        self.driver.wait()

    def drag(self, level: str, role: str, step_mm: tuple[float, float, float]) -> None:
        """A box, with the mouse."""
        self.count += 1
        drag(self.driver, level, role, step_mm)


def test_from_the_sample_to_a_saved_scene_and_back(
    driver: Any, slow: Event, slicer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("EARReconstructionLib.panel.reconstruct"), "_DOUBLE_CLICK_S", 0.0)
    driver.click("sampleButton")
    for node in roi_nodes(driver.scene):
        if node.GetName() not in ("L1", "L2"):
            driver.scene.RemoveNode(node)
    driver.settle()

    before = roi_of(node_of(driver, "L2"))
    drag(driver, "L2", "frontal", (6, 0, 0))
    drag(driver, "L2", "lateral", (0, 4, 0))
    moved = np.subtract(roi_of(node_of(driver, "L2")).centre_ras_mm, before.centre_ras_mm)
    assert moved == pytest.approx((6, 4, 0), abs=1.5)
    drag(driver, "L2", "frontal", (-6, 0, 0))
    drag(driver, "L2", "lateral", (0, -4, 0))

    assert driver.ui.reconstructButton.text == "Reconstruct 2 vertebrae"
    driver.click("reconstructButton")
    job = driver.panel._job
    driver.desktop.wait_until(lambda: job.progress.done == 1, 60)
    driver.click("reconstructButton")
    slow.set()
    driver.wait()
    assert (driver.message, runs(driver.scene)) == ("Reconstructing: cancelled.", [])

    driver.click("reconstructButton")
    driver.wait()
    assert list(rois_of(driver.scene, DEFAULT_MODEL)) == ["L1", "L2"]
    driver.click("compareButton")
    driver.wait()
    table = find_node(driver.scene, "statistics", run=DEFAULT_MODEL).GetTable()
    assert [table.GetValueByName(row, "ASSD (mm)").ToDouble() < 2.5 for row in range(2)] == [True, True]

    folder = tmp_path / "results"
    folder.mkdir()
    driver.desktop.answer(str(folder))
    driver.click("saveButton")
    driver.wait()
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["vertebrae"] == ["L1", "L2"]

    scene = tmp_path / "Szene Müller.mrb"
    slicer.util.saveScene(str(scene))
    driver.scene.Clear(0)
    driver.settle()
    assert (runs(driver.scene), driver.ui.reconstructButton.enabled) == ([], False)
    slicer.util.loadScene(str(scene))
    driver.widget.enter()
    driver.settle()
    assert driver.ui.runsTable.item(0, 1).text() == DEFAULT_MODEL
    assert driver.ui.statisticsTable.mrmlTableNode().GetTable().GetNumberOfRows() == 2
    assert driver.ui.referenceCombo.currentText == "Sample reference"
    assert driver.ui.reconstructButton.text == "Reconstruct 2 vertebrae"
    assert all(node.GetDisplayNode().GetScalarVisibility() for node in find_nodes(driver.scene, "surface"))
    driver.click("worstButton")
    assert driver.message.startswith("The greatest distance: L")

    driver.widget.onReload()
    driver.open()
    assert driver.ui.runsTable.item(0, 1).text() == DEFAULT_MODEL
    assert driver.ui.reconstructButton.enabled
    driver.click("compareButton")
    driver.wait()
    assert driver.message == f"{DEFAULT_MODEL} is compared with Sample reference."


def test_seventeen_vertebrae_in_less_than_twenty_clicks(driver: Any, make_model: Any, tmp_path: Path) -> None:
    driver.parameters.model = str(make_model(tmp_path / "tiny.safetensors"))
    paths = [shutil.copyfile(SAMPLE_CASE / f"{role}.nrrd", tmp_path / f"{role}.nrrd") for role in VIEWS]
    (tmp_path / "out").mkdir()
    clicks = Clicks(driver)
    clicks.click("openBothButton", [str(path) for path in paths])
    clicks.click("wholeSpineButton")
    for level in ("T1", "T9", "L5"):
        before = roi_of(node_of(driver, level)).centre_ras_mm
        clicks.drag(level, "frontal", (5, 0, 0))
        clicks.drag(level, "lateral", (0, 5, 0))
        moved = np.subtract(roi_of(node_of(driver, level)).centre_ras_mm, before)
        assert moved == pytest.approx((5, 5, 0), abs=2)
    clicks.click("fillButton")
    assert driver.ui.reconstructButton.text == "Reconstruct 17 vertebrae"
    clicks.click("reconstructButton")
    assert len(rois_of(driver.scene, "tiny")) == 17
    clicks.click("saveButton", str(tmp_path / "out"))
    assert (tmp_path / "out" / "report.html").is_file()
    assert clicks.count < 20


def test_the_same_by_a_script(driver: Any, make_model: Any, tmp_path: Path) -> None:
    """What the panel does, the logic does for a script, and the panel follows."""
    logic, steps = driver.widget.logic, []
    logic.loadCase(SAMPLE_CASE)
    model = make_model(tmp_path / "tiny.safetensors")
    rebuilt = logic.reconstruct(["L1", "L3"], model=model, device="cpu", progress=lambda *step: steps.append(step))
    assert [one.roi.level for one in rebuilt] == ["L1", "L3"]
    assert [step[0] for step in steps] == [0, 0, 1, 2]
    assert "report.html" in logic.export(tmp_path / "out")["files"]
    driver.settle()
    assert driver.ui.runsTable.item(0, 1).text() == "tiny"
    assert driver.ui.referenceCombo.currentText != "none"


def test_a_case_with_a_mesh_for_each_vertebra(results: Any, tmp_path: Path) -> None:
    """Its meshes become one reference, as good as a segmentation, and go when another case comes."""
    logic = results.widget.logic
    expected = {one.level: one.error.assd_mm for one in logic.compare()}
    sample = read_case(SAMPLE_CASE)
    assert sample.reference is not None
    assert sample.reference.segmentation is not None
    meshes = {level: tmp_path / f"{level}.stl" for level in ("L1", "L2")}
    for level, shape in read_shapes(sample.reference.segmentation).items():
        if level in meshes:
            write_surface(meshes[level], shape.surface)
    write_case(replace(sample, name="Fall 7", reference=Reference(meshes=meshes)), tmp_path / "case")
    logic.loadCase(tmp_path / "case")
    results.settle()
    assert results.ui.referenceCombo.currentText == "Reference of Fall 7"
    assert not results.parameters.referenceNode.GetDisplayNode().GetVisibility()
    assert {one.level: one.error.assd_mm for one in logic.compare()} == pytest.approx(expected, abs=0.01)
    logic.loadCase(SAMPLE_CASE)
    results.settle()
    names = [results.ui.referenceCombo.itemText(n) for n in range(results.ui.referenceCombo.count)]
    assert names == ["none", "Reference of Sample spine (phantom)"]


def test_the_self_test_without_torch(driver: Any, slicer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("EARReconstructionLib.panel.torch")
    monkeypatch.setattr(torch, "missing", lambda: ["torch"])
    slicer.selfTests["EARReconstruction"]()
    driver.settle()
