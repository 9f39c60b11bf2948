"""The module file: what Slicer asks of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_self_test(driver, slicer):
    slicer.selfTests["EARTraining"]()
    driver.settle()


def test_reload_takes_a_changed_lib(driver):
    before = sys.modules["EARTrainingLib.panel.work"]
    driver.set(epochs=7)
    driver.widget.onReload()
    driver.open()
    assert sys.modules["EARTrainingLib.panel.work"] is not before
    assert driver.ui.train.epochsSpinBox.value == 7


def test_without_a_main_window(desktop, slicer):
    desktop.load_module(ROOT / "EARTraining" / "EARTraining.py")
    widget = slicer.util.getModuleWidget("EARTraining")
    assert (slicer.util.mainWindow(), slicer.app.layoutManager()) == (None, None)
    assert widget.panel.parameterNode.network == "EAR"


def test_parameters_survive_a_saved_scene(driver, slicer, place):
    driver.set(sources=["a", "b"], epochs=9, furtherOptions="--set losses.edge=0")
    path = str(place / "scene.mrb")
    slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    driver.settle()
    slicer.util.loadScene(path)
    driver.widget.enter()
    driver.settle()
    assert list(driver.parameters.sources) == ["a", "b"]
    assert (driver.ui.train.epochsSpinBox.value, driver.ui.data.sourcesList.count) == (9, 2)


def test_nothing_imports_torch_when_it_opens():
    path = os.pathsep.join(str(ROOT / name) for name in ("Testing", "EARReconstruction", "EARTraining"))
    code = (
        "import sys; from standin.desktop import Desktop\n"
        "desktop = Desktop(); desktop.load_module(sys.argv[1]); import slicer\n"
        "slicer.util.getModuleWidget('EARTraining'); desktop.process_events()\n"
        "print(sorted({'torch', 'lightning', 'pandas', 'typer', 'rich', 'matplotlib'} & set(sys.modules)))\n"
        "desktop.close()"
    )
    program = [sys.executable, "-c", code, str(ROOT / "EARTraining" / "EARTraining.py")]
    done = subprocess.run(program, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
