"""Sections 3 and 4 with the real commands: learn, stop, go on, measure, install."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.bundle import load_bundle
from vtkmodules.util.numpy_support import vtk_to_numpy


def columns(table):
    return {
        table.GetColumnName(n): vtk_to_numpy(table.GetTable().GetColumn(n))
        for n in range(table.GetNumberOfColumns())
        if not table.GetTable().GetColumn(n).IsA("vtkStringArray")
    }


def test_it_learns_stops_goes_on_and_is_used(windowed, place, qt, slicer, monkeypatch, tmp_path):
    """One long test: each process costs seconds."""
    ready = windowed
    from EARReconstructionLib.panel import models

    monkeypatch.setattr(models, "user_folder", lambda: tmp_path / "Modelle ö")
    ui, run = ready.ui, place / "run"
    ready.set(epochs=5)
    ready.click("train.trainButton")
    ready.wait_until(lambda: (run / "history.csv").is_file() and ui.train.pictureLabel.visible)
    assert "epoch" in ui.train.stateLabel.text
    assert ui.train.trainButton.text == "Cancel"
    assert ui.train.curvesButton.enabled
    ready.desktop.click(ready.panel.ui.cancelButton)
    ready.wait()
    assert ready.message == "Training: cancelled."
    assert (run / "last.ckpt").is_file()
    told = sum(1 for _ in (run / "steps.csv").open()) - 1
    assert 0 < told < 10
    assert ui.train.trainButton.text == "Resume"

    ready.click("train.trainButton")  # another recipe would be refused: see the test below
    ready.wait_until(lambda: sum(1 for _ in (run / "steps.csv").open()) - 1 > told)
    ready.wait()
    assert "e2e-isolated-32 is trained" in ready.message
    with (run / "history.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 6))
    shown = columns(slicer.mrmlScene.GetFirstNodeByName("Training by epoch"))
    for name, key in (
        ("Training loss", "train_loss"),
        ("Validation loss", "val_loss"),
        ("Validation Dice", "val_dice"),
    ):
        assert np.array_equal(shown[name], [float(row[key]) for row in rows])
    chart = slicer.mrmlScene.GetFirstNodeByName("Training")
    assert slicer.mrmlScene.GetNodeByID("vtkMRMLPlotViewNodeEARCurves").GetPlotChartNode() is chart

    bundle = run / "e2e-isolated-32.safetensors"
    assert list(ready.parameters.models) == [str(bundle)]
    ready.click("evaluate.evaluateButton")
    ready.wait()
    assert str(place / "evaluation") in ready.message
    with (place / "evaluation" / "table.csv").open(newline="", encoding="utf-8") as stream:
        means = {r["metric"]: float(r["mean"]) for r in csv.DictReader(stream) if r["scope"] == "all" and r["mean"]}
    table = slicer.mrmlScene.GetFirstNodeByName("Evaluation")
    assert table.GetCellText(0, 0) == "e2e-isolated-32"
    assert float(columns(table)["MAE"][0]) == pytest.approx(means["mae"], abs=1e-4)
    assert float(columns(table)["Dice"][0]) == pytest.approx(means["dice"], abs=1e-4)

    ready.click("evaluate.useButton")
    assert ready.message == "e2e-isolated-32 is installed. EAR Reconstruction lists it."
    assert load_bundle(models.installed_models()["e2e-isolated-32"]).sha256 == load_bundle(bundle).sha256
    ready.desktop.answer(qt.QMessageBox.No)
    ready.click("evaluate.useButton")
    assert "already. Replace it?" in ready.desktop.dialogs[-1].text


class TestWhatCannotBe:
    """Sentences from the command itself."""

    def test_words_that_are_no_options(self, ready):
        ready.set(furtherOptions="--nonsense 3")
        ready.click("train.trainButton")
        ready.wait()
        assert ready.message.startswith("ear train: No such option: --nonsense")
        assert ready.message.endswith(". See its --help.")


class TestStates:
    """Every button says why it cannot be used."""

    def test_without_data(self, driver, place):
        driver.set(dataFolder=str(place))
        for button in (driver.ui.train.trainButton, driver.ui.evaluate.evaluateButton):
            assert not button.enabled
            assert button.toolTip.startswith("Prepare a data set first")

    def test_of_training(self, ready, place):
        ready.set(runFolder="")
        assert ready.ui.train.trainButton.toolTip == "Name the output folder first"
        assert ready.ui.train.curvesButton.toolTip == "There is no run in the output folder"
        ready.set(runFolder=str(place / "run"))
        assert ready.ui.train.trainButton.text == "Train"
        (place / "run").mkdir()
        (place / "run" / "last.ckpt").touch()
        ready.panel.changed()
        ready.settle()
        assert ready.ui.train.trainButton.text == "Resume"

    def test_of_evaluation(self, ready, place, qt):
        ui = ready.ui.evaluate
        assert (ui.evaluateButton.enabled, ui.evaluateButton.toolTip) == (False, "Tick a model first")
        ui.modelsList.item(0).setCheckState(qt.Qt.Checked)
        ready.settle()
        assert ui.evaluateButton.enabled
        assert Path(ready.parameters.models[0]).name == "ear-column-64.safetensors"
        ready.set(models=[])
        assert ui.modelsList.item(0).checkState() == qt.Qt.Unchecked
        assert (ui.figuresButton.enabled, ui.figuresButton.toolTip) == (
            False,
            "There are no figures in the output folder yet",
        )

    def test_the_device_is_that_of_both_modules(self, ready, slicer):
        from EARReconstructionLib.panel import settings

        combo = ready.ui.train.deviceCombo
        combo.setCurrentIndex(combo.findText("cpu"))
        combo.activated.emit(combo.currentIndex)
        assert settings.device() == "cpu"


class TestCurves:
    """Nodes of the numbers of a run."""

    def test_a_line_that_is_being_written_waits(self, driver, place):
        from EARTrainingLib.panel.curves import read_history

        text = "epoch,step,train_loss,val_loss,val_dice\n1,2,0.5,0.4,0.1\n2,4,0.3"
        (place / "history.csv").write_text(text, encoding="utf-8")
        assert read_history(place)["Epoch"] == [1.0]
        assert read_history(place / "none")["Epoch"] == []

    def test_a_long_run_is_thinned_and_keeps_its_mean(self, driver):
        from EARTrainingLib.panel.curves import MOST_POINTS, StepCurve

        curve, rng = StepCurve(), np.random.default_rng(0)
        losses = rng.uniform(size=8 * MOST_POINTS)
        for n, loss in enumerate(losses):
            curve.add(n / 100, loss)
        assert MOST_POINTS <= len(curve.points) < 2 * MOST_POINTS
        assert np.mean([loss for _, loss in curve.points]) == pytest.approx(losses.mean())

    def test_showing_twice_adds_nothing(self, windowed, place, slicer):
        ready = windowed
        (place / "run").mkdir()
        text = "epoch,step,train_loss,val_loss,val_dice\n1,2,0.5,0.4,0.1\n2,4,0.3,0.2,0.6\n"
        (place / "run" / "history.csv").write_text(text, encoding="utf-8")
        ready.panel.changed()
        ready.settle()
        ready.click("train.curvesButton")
        count = slicer.mrmlScene.GetNumberOfNodes()
        ready.click("train.curvesButton")
        assert slicer.mrmlScene.GetNumberOfNodes() == count
        manager = ready.desktop.layout_manager()
        # Another module's plot view may be the first one.
        (plot,) = (w for n in range(manager.plotViewCount) if (w := manager.plotWidget(n)).visible)
        assert len(np.unique(ready.desktop.grab(plot.plotView()).reshape(-1, 3), axis=0)) > 10
