"""Section 2: a vertebra of the data set in the views, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.scene.nodes import find_nodes
from EARReconstructionLib.scene.radiographs import radiograph_nodes, view_of


@pytest.fixture
def shown(windowed):
    windowed.click("look.showButton")
    return windowed


def names(driver):
    return sorted(node.GetName() for node in find_nodes(driver.scene) if node.GetAttribute("EAR.preview"))


def test_it_is_in_the_views(shown, slicer):
    row = shown.sections.look._row()
    dataset = shown.sections.look._dataset
    assert names(shown) == ["AP", "Lateral", row.id, f"{row.id} segmentation"]
    volume = shown.scene.GetFirstNodeByName(row.id)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), dataset.volume(row).array)
    for node, view in zip(radiograph_nodes(shown.scene).values(), dataset.xrays(row).views, strict=True):
        assert (view_of(node).alpha_deg, view_of(node).pixel_mm) == (view.alpha_deg, view.pixel_mm)
    for name in ("EARFrontal", "EARLateral", "Red"):
        view = shown.desktop.layout_manager().sliceWidget(name).sliceView()
        view.forceRender()
        pixels = shown.desktop.grab(view)
        assert (pixels.max(-1) > 150).mean() > 0.01, name
    assert shown.message == f"{row.id} is in the views."


def test_facts_are_said(ready):
    assert ready.ui.look.factsLabel.text == "T12 of p1 (VerSe20), for train"
    assert ready.ui.look.vertebraCombo.count == 7


def test_the_next_one_takes_its_place(shown):
    before = names(shown)
    shown.click("look.nextButton")
    assert len(names(shown)) == 4
    assert names(shown) != before
    assert shown.parameters.vertebra == shown.sections.look._ids[1]
    shown.set(vertebra=shown.sections.look._ids[-1])
    button = shown.ui.look.nextButton
    assert (button.enabled, button.toolTip) == (False, "This is the last one")


def test_remove_leaves_what_the_user_has(shown, slicer):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    shown.settle()
    shown.click("look.removeButton")
    assert names(shown) == []
    assert not radiograph_nodes(shown.scene)
    assert slicer.mrmlScene.IsNodePresent(mine)
    assert (shown.ui.look.removeButton.enabled, shown.ui.look.removeButton.toolTip) == (False, "Nothing is shown")


def test_a_damaged_file_is_a_sentence_and_nothing_is_added(ready, data):
    row = ready.sections.look._row()
    (data / "xrays" / f"{row.id}.npz").write_bytes(b"no X-ray")
    ready.click("look.showButton")
    assert f"{row.id}.npz: it is damaged" in ready.message
    assert "run the same `ear prepare` command again" in ready.message
    assert names(ready) == []


def test_a_damaged_manifest_is_a_sentence(ready, data):
    (data / "manifest.csv").write_text("no manifest\n1\n", encoding="utf-8")
    ready.panel.changed()
    ready.settle()
    assert "it is no manifest of a prepared data set" in ready.ui.look.factsLabel.text
    assert not ready.ui.look.showButton.enabled


def test_nothing_is_there_yet(driver, place):
    driver.set(dataFolder=str(place))
    assert driver.ui.look.factsLabel.text.startswith("Prepare a data set first")
    assert driver.ui.look.showButton.toolTip == driver.ui.look.factsLabel.text


def test_a_script_can_do_it_too(ready, data, slicer):
    logic = slicer.util.getModuleLogic("EARTraining")
    name = ready.sections.look._ids[2]
    assert logic.showVertebra(data, name).GetName() == name
    with pytest.raises(Exception, match="no such vertebra"):
        logic.showVertebra(data, "nobody")


def test_torch_is_not_imported_for_it(data):
    """As in 3D Slicer without PyTorch."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['lightning'] = None\n"
        "from EARTrainingLib.datasets.prepared import PreparedDataset\n"
        "data = PreparedDataset.open(sys.argv[1]); data.xrays(data.rows[0]); data.volume(data.rows[0])\n"
        "from EARTrainingLib import libraries; from EARTrainingLib.panel import commands"
    )
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    subprocess.run([sys.executable, "-c", code, str(data)], env={**os.environ, "PYTHONPATH": path}, check=True)
