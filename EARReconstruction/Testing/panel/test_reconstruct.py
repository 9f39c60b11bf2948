"""Section 3: what the button says in every state, running, cancelling, and all that can go wrong in mid-run."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from EARReconstructionLib.bundle import load_bundle, save_bundle
from EARReconstructionLib.distance import SIGNED_DISTANCE
from EARReconstructionLib.errors import DeviceError
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.scene.heatmap import expecting_nodes
from EARReconstructionLib.scene.radiographs import radiograph_nodes
from EARReconstructionLib.scene.results import rois_of, runs
from EARReconstructionLib.scene.rois import roi_nodes
from vtkmodules.util.numpy_support import vtk_to_numpy


@pytest.fixture
def no_double_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second click counts at once."""
    monkeypatch.setattr(importlib.import_module("EARReconstructionLib.panel.reconstruct"), "_DOUBLE_CLICK_S", 0.0)


def until(driver: Any, done: int) -> None:
    """Wait until so many vertebrae are done."""
    job = driver.panel._job
    driver.desktop.wait_until(lambda: job.progress.done >= done, 60)


class TestButton:
    """What it says, and why it is disabled."""

    def test_an_empty_scene(self, driver: Any) -> None:
        button = driver.ui.reconstructButton
        assert (button.enabled, button.text) == (False, "Reconstruct")
        assert button.toolTip == "scene: it has no frontal radiograph. Load one."

    def test_no_vertebra(self, case: Any) -> None:
        for node in roi_nodes(case.scene):
            case.scene.RemoveNode(node)
        case.settle()
        assert not case.ui.reconstructButton.enabled
        assert case.ui.reconstructButton.toolTip == "Add a vertebra first, in step 2"

    def test_all(self, case: Any) -> None:
        button = case.ui.reconstructButton
        assert (button.enabled, button.text) == (True, "Reconstruct 8 vertebrae")
        assert button.toolTip == "Rebuild T10, T11, T12, L1, L2, L3, L4, L5 with tiny"

    def test_the_selected_one(self, case: Any) -> None:
        case.click("onlySelectedCheckBox")
        assert case.ui.reconstructButton.toolTip.startswith("Select a vertebra in step 2")
        case.parameters.selectedLevel = "L3"
        case.settle()
        assert (case.ui.reconstructButton.enabled, case.ui.reconstructButton.text) == (True, "Reconstruct L3")
        assert case.ui.onlySelectedCheckBox.text == "Only L3, the selected vertebra"

    def test_warnings_stand_beside_it(self, case: Any) -> None:
        assert not case.ui.warningFrame.isVisibleTo(case.widget.parent)
        case.parameters.model = "ear-column-64"
        node = roi_nodes(case.scene)[0]
        centre = list(node.GetCenter())
        node.SetCenter(centre[0] + 60, centre[1], centre[2])
        case.panel.changed()
        case.settle()
        assert case.ui.warningFrame.isVisibleTo(case.widget.parent)
        assert "T10" in case.ui.warningLabel.text


def calibrated(path: Path) -> None:
    """Let a model know how far off it is where it is unsure: 3 mm, wherever that is."""
    bundle = load_bundle(path)
    save_bundle(path, dataclasses.replace(bundle.card, error_calibration=((0.0, 3.0),)), bundle.network())


class TestExpectedError:
    """Asked for with the box, and shown as long as it is checked."""

    def test_a_model_that_does_not_know_it(self, case: Any) -> None:
        box, tiny = case.ui.expectedErrorCheckBox, case.parameters.model
        assert (box.enabled, box.checked) == (False, False)
        assert "Nobody has measured" in box.toolTip
        case.parameters.model = "ear-column-64"
        case.settle()
        assert box.enabled
        assert "seven times" in box.toolTip
        case.parameters.expectedError, case.parameters.model = True, tiny
        case.parameters.selectedLevel, case.parameters.onlySelected = "L3", True
        case.settle()
        case.click("reconstructButton")
        case.wait()
        assert list(rois_of(case.scene, "tiny")) == ["L3"]
        assert expecting_nodes(case.scene) == []

    def test_of_a_model_that_does(self, case: Any) -> None:
        calibrated(Path(case.parameters.model))
        case.panel.changed()
        case.parameters.selectedLevel, case.parameters.onlySelected = "L3", True
        case.settle()
        case.click("expectedErrorCheckBox")
        case.click("reconstructButton")
        case.wait()
        (node,) = expecting_nodes(case.scene)
        display = node.GetDisplayNode()
        values = vtk_to_numpy(node.GetPolyData().GetPointData().GetArray(EXPECTED_ERROR))
        assert values.max() == pytest.approx(3.0)
        assert (display.GetScalarVisibility(), display.GetActiveScalarName()) == (True, EXPECTED_ERROR)
        case.click("expectedErrorCheckBox")
        assert not display.GetScalarVisibility()
        case.click("expectedErrorCheckBox")
        case.click("compareButton")  # now the heat map is asked for
        case.wait()
        assert (display.GetScalarVisibility(), display.GetActiveScalarName()) == (True, SIGNED_DISTANCE)
        assert not case.ui.expectedErrorCheckBox.checked


class TestRunning:
    """The work goes on beside the user."""

    def test_results_come_up(self, case: Any) -> None:
        case.click("reconstructButton")
        case.wait()
        assert list(rois_of(case.scene, "tiny")) == ["T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"]
        assert case.message == "8 vertebrae are reconstructed."
        assert case.ui.reconstructButton.text == "Reconstruct 8 vertebrae"
        assert case.parameters.run == "tiny"

    def test_progress_and_what_is_disabled(self, case: Any, slow: Event) -> None:
        case.click("reconstructButton")
        until(case, 1)
        case.desktop.wait_until(lambda: "2 of 8: T11" in case.panel.ui.progressLabel.text)
        button = case.ui.reconstructButton
        assert (button.enabled, button.text) == (True, "Cancel")
        for name in ("modelCombo", "deviceCombo", "addModelButton", "compareButton", "saveButton", "removeButton"):
            assert not getattr(case.ui, name).enabled, name
        slow.set()
        case.wait()
        assert case.ui.modelCombo.enabled

    def test_cancel(self, case: Any, slow: Event, no_double_click: None) -> None:
        case.click("reconstructButton")
        until(case, 1)
        case.click("reconstructButton")
        assert (case.ui.reconstructButton.enabled, case.ui.reconstructButton.text) == (False, "Cancel")
        slow.set()
        case.wait()
        assert case.message == "Reconstructing: cancelled."
        assert runs(case.scene) == []
        assert case.ui.reconstructButton.text == "Reconstruct 8 vertebrae"

    def test_two_quick_clicks(self, case: Any, slow: Event, monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("EARReconstructionLib.panel.reconstruct")
        monkeypatch.setattr(module, "_DOUBLE_CLICK_S", 60.0)  # however slow the machine is
        case.click("reconstructButton")
        case.desktop.click(case.ui.reconstructButton)
        slow.set()
        case.wait()
        assert len(rois_of(case.scene, "tiny")) == 8

    def test_again_replaces(self, case: Any) -> None:
        for _ in range(2):
            case.click("reconstructButton")
            case.wait()
        assert runs(case.scene) == ["tiny"]
        volumes = [n for n in list(case.scene.GetNodes()) if n.GetAttribute("EAR.kind") == "volume"]
        assert len(volumes) == 8

    def test_the_roi_may_be_moved_meanwhile(self, case: Any, slow: Event) -> None:
        """What is rebuilt is the case as it was at the click."""
        before = rois = {n.GetName(): n.GetCenter() for n in roi_nodes(case.scene)}
        case.click("reconstructButton")
        until(case, 1)
        last = roi_nodes(case.scene)[-1]
        last.SetCenter(0, 0, 0)
        slow.set()
        case.wait()
        assert rois_of(case.scene, "tiny")["L5"].centre_ras_mm == pytest.approx(before["L5"], abs=1e-3)
        assert len(rois) == 8


class TestMidRun:
    """What the work needs goes away."""

    @pytest.mark.parametrize("what", ["ROI", "radiograph"])
    def test_a_node_is_deleted(self, case: Any, slow: Event, what: str) -> None:
        case.click("reconstructButton")
        until(case, 1)
        node = roi_nodes(case.scene)[3] if what == "ROI" else radiograph_nodes(case.scene)["lateral"]
        case.scene.RemoveNode(node)
        slow.set()
        case.wait()
        assert case.message == "Reconstructing: stopped, for a node that it works with was deleted."
        assert runs(case.scene) == []
        assert case.ui.reconstructButton.text != "Cancel"

    def test_the_scene_is_closed(self, case: Any, slow: Event) -> None:
        case.click("reconstructButton")
        until(case, 1)
        case.scene.Clear(0)
        slow.set()
        case.wait()
        assert case.message == "Reconstructing: stopped, for the scene was closed."
        assert runs(case.scene) == []
        assert (case.ui.reconstructButton.enabled, case.ui.reconstructButton.text) == (False, "Reconstruct")

    def test_the_module_is_unloaded(self, case: Any, slow: Event) -> None:
        case.click("reconstructButton")
        until(case, 1)
        case.desktop.unload_module("EARReconstruction")
        slow.set()
        time.sleep(0.1)
        case.desktop.process_events()
        case.desktop.check()


class TestDevices:
    """CUDA that is missing or too small, and no torch."""

    def test_the_choice_stays(self, driver: Any) -> None:
        settings = importlib.import_module("EARReconstructionLib.panel.settings")
        driver.choose("deviceCombo", 2)
        assert settings.device() == "cpu"

    def test_no_cuda(self, case: Any, qt: Any) -> None:
        importlib.import_module("EARReconstructionLib.panel.settings").setValue("Device", "cuda")
        case.desktop.answer(qt.QMessageBox.No)
        case.click("reconstructButton")
        case.wait()
        assert "sees no CUDA device" in case.message
        assert runs(case.scene) == []

    def test_out_of_memory_on_cuda(self, case: Any, qt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib import reconstruction

        run, choose = reconstruction.reconstruct, []

        def small(*arguments: Any, device: str, **options: Any) -> Any:
            choose.append(device)
            if device != "cpu":
                raise DeviceError("device cuda", "its memory is too small for one vertebra", "Use the CPU")
            return run(*arguments, device=device, **options)

        monkeypatch.setattr(reconstruction, "reconstruct", small)
        case.desktop.answer(qt.QMessageBox.Yes)
        case.click("reconstructButton")
        case.wait()
        case.wait()
        assert choose == ["auto", "cpu"]
        assert "too small for one vertebra" in case.desktop.dialogs[0].text
        assert len(rois_of(case.scene, "tiny")) == 8

    def test_out_of_memory_on_the_cpu(self, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib import reconstruction

        def small(*_: Any, **__: Any) -> Any:
            raise DeviceError("device cpu", "its memory is too small for one vertebra", "Close other programs")

        monkeypatch.setattr(reconstruction, "reconstruct", small)
        case.click("reconstructButton")
        case.wait()
        assert case.message.startswith("device cpu: its memory is too small")
        assert case.desktop.dialogs == []

    def test_no_torch(self, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        case.desktop.pytorch.installed = False
        case.desktop.pytorch.installs = False
        case.panel.changed()
        case.settle()
        assert case.ui.torchLabel.text.startswith("PyTorch is not installed")
        case.click("reconstructButton")
        assert case.message == "PyTorch: it was not installed. Reconstruct again when it may be installed."
        assert not case.panel.busy
        assert (case.ui.reconstructButton.enabled, case.ui.reconstructButton.text) == (True, "Reconstruct 8 vertebrae")

    def test_a_damaged_model(self, case: Any, tmp_path: Path) -> None:
        """Its header is sound, so only the work finds out."""
        path = tmp_path / "tiny.safetensors"
        content = bytearray(path.read_bytes())
        content[-4:] = b"\1\2\3\4"
        path.write_bytes(content)
        case.click("reconstructButton")
        case.wait()
        assert case.message == f"{path}: its contents do not match its checksum. The file is damaged: fetch it again."

    def test_something_unexpected(self, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib import reconstruction

        def fail(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(reconstruction, "reconstruct", fail)
        case.click("reconstructButton")
        case.wait()
        assert case.message == "Reconstructing: an unexpected error. Copy the details and report them."
        assert case.ui.reconstructButton.text == "Reconstruct 8 vertebrae"
