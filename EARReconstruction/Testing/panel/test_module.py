"""The module as a whole: its start, its sample data, closing, saving and loading scenes, reloading, and no leaks."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

MODULE = Path(__file__).resolve().parents[2] / "EARReconstruction.py"
NAME = "EARReconstruction"


def our_nodes(scene: Any) -> list[Any]:
    """The nodes that the module made, but its parameters."""
    return [node for node in list(scene.GetNodes()) if node.GetAttribute("EAR.kind")]


class TestStart:
    def test_what_slicer_knows_of_it(self, desktop: Any) -> None:
        module = desktop.load_module(MODULE)
        assert module.title == "EAR Reconstruction"
        assert module.categories == ("Tomographic Reconstruction",)
        assert "not for clinical use" in module.helpText

    def test_without_a_main_window(self, desktop: Any, slicer: Any) -> None:
        desktop.load_module(MODULE)
        widget = slicer.util.getModuleWidget(NAME)
        assert slicer.app.layoutManager() is None
        widget.xrays.showSampleCase()
        desktop.process_events()
        desktop.check()
        assert widget.vertebrae.ui.vertebraeTable.rowCount == 8

    def test_without_torch(self) -> None:
        """Neither the module file nor its panel imports torch, safetensors, or anything that Slicer has not."""
        program = (
            "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:]\n"
            "for name in ('torch', 'safetensors', 'matplotlib', 'pandas', 'typer', 'rich'): sys.modules[name] = None\n"
            "from standin.desktop import Desktop\n"
            "desktop = Desktop()\n"
            "desktop.load_module(Path(sys.argv[2]) / 'EARReconstruction.py')\n"
            "panel = desktop.open('EARReconstruction')\n"
            "desktop.click(panel.xrays.ui.sampleButton)\n"
            "print(panel.vertebrae.ui.vertebraeTable.rowCount)\n"
            "desktop.close()\n"
        )
        folders = [str(MODULE.parents[1] / "Testing"), str(MODULE.parent)]
        done = subprocess.run(
            [sys.executable, "-c", program, *folders], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout.split()[-1:] == ["8"], done.stderr


class TestSampleData:
    @pytest.fixture
    def sample(self, desktop: Any) -> dict[str, Any]:
        """What the module registered."""
        desktop.load_module(MODULE)
        return next(each for each in desktop.sample_data if each["sampleName"] == "EARSampleSpine")

    def test_its_files_are_those_that_come_with_the_module(self, sample: dict[str, Any]) -> None:
        for address, name, checksum in zip(sample["uris"], sample["fileNames"], sample["checksums"], strict=True):
            path = Path(unquote(urlparse(address).path))
            assert path.parent == MODULE.parent / "Resources" / "SampleCase"
            assert name.endswith(path.name)
            assert checksum == "SHA256:" + hashlib.sha256(path.read_bytes()).hexdigest()

    def test_all_lists_are_equally_long(self, sample: dict[str, Any]) -> None:
        """Slicer refuses the source otherwise."""
        assert {len(sample[key]) for key in ("uris", "fileNames", "nodeNames", "checksums")} == {2}


class TestLifeCycle:
    def test_enter_and_exit(self, driver: Any, slicer: Any) -> None:
        driver.click("sampleButton")
        nodes, bound = driver.scene.GetNumberOfNodes(), driver.panel.parameterNode
        observations = len(driver.panel.Observations)
        for _ in range(3):
            slicer.util.selectModule("Data")
            slicer.util.selectModule(NAME)
            driver.settle()
        assert driver.panel.parameterNode is bound
        assert (driver.scene.GetNumberOfNodes(), len(driver.panel.Observations)) == (nodes, observations)

    def test_a_closed_scene(self, driver: Any) -> None:
        for _ in range(2):
            driver.click("sampleButton")
            driver.parameters.selectedLevel = "L1"
            observations = len(driver.panel.Observations)
            driver.scene.Clear()
            driver.settle()
            assert our_nodes(driver.scene) == []
            assert driver.parameters.selectedLevel == ""
            assert driver.ui.vertebraeTable.rowCount == 0
            assert len(driver.panel.Observations) == observations

    def test_a_scene_closed_from_another_module(self, driver: Any, slicer: Any) -> None:
        driver.click("sampleButton")
        slicer.util.selectModule("Data")
        driver.scene.Clear()
        driver.settle()
        assert driver.panel.parameterNode is None
        slicer.util.selectModule(NAME)
        driver.settle()
        driver.click("sampleButton")
        assert driver.ui.vertebraeTable.rowCount == 8

    @pytest.mark.parametrize("name", ["scene.mrb", "Wirbelsäule 脊柱.mrb"])
    def test_a_saved_scene(self, driver: Any, slicer: Any, tmp_path: Path, name: str) -> None:
        from EARReconstructionLib.scene.cases import case_of

        driver.click("sampleButton")
        driver.ui.frontalSodSpinBox.value = 1100
        driver.ui.vertebraeTable.selectRow(3)
        driver.click("boneWhiteCheckBox")
        before, line = case_of(driver.scene), driver.ui.frontalGeometryLabel.text
        assert slicer.util.saveScene(str(tmp_path / name))
        driver.scene.Clear()
        driver.settle()
        slicer.util.loadScene(str(tmp_path / name))
        driver.settle()
        after = case_of(driver.scene)
        assert (after.geometry, after.rois) == (before.geometry, before.rois)
        assert driver.ui.frontalGeometryLabel.text == line
        assert driver.parameters.selectedLevel == "L1"
        assert not driver.ui.boneWhiteCheckBox.checked
        assert driver.ui.vertebraeTable.rowCount == 8
        assert driver.parameters.referenceNode.GetName() == "Sample reference"
        picture = driver.desktop.grab(driver.view("EARFrontal"))
        assert picture.std() > 30

    def test_a_saved_scene_before_the_module_is_opened(self, driver: Any, slicer: Any, tmp_path: Path) -> None:
        """Its views are there: Slicer has learned our layouts at its start."""
        driver.click("sampleButton")
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        program = (
            "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:3]\n"
            "from standin.desktop import Desktop\n"
            "desktop = Desktop()\n"
            "desktop.show_main_window()\n"
            "desktop.load_module(Path(sys.argv[2]) / 'EARReconstruction.py')\n"
            "import slicer\n"
            "slicer.util.loadScene(sys.argv[3])\n"
            "desktop.process_events()\n"
            "desktop.check()\n"
            "print(*desktop.layout_manager().sliceViewNames())\n"
            "desktop.close()\n"
        )
        arguments = [str(MODULE.parents[1] / "Testing"), str(MODULE.parent), str(tmp_path / "scene.mrb")]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert {"EARFrontal", "EARLateral", "Red"} <= set(done.stdout.split()), done.stderr

    def test_reloading(self, driver: Any) -> None:
        driver.click("sampleButton")
        old, lib = weakref.ref(driver.panel), sys.modules["EARReconstructionLib.panel.host"]
        driver.widget.onReload()
        driver.open()
        assert driver.panel is not old()
        assert sys.modules["EARReconstructionLib.panel.host"] is not lib
        assert driver.ui.vertebraeTable.rowCount == 8
        driver.ui.vertebraeTable.selectRow(2)
        driver.settle()
        assert driver.parameters.selectedLevel == "T12"

    def test_nothing_is_left_behind(self, driver: Any) -> None:
        driver.click("sampleButton")
        panel, sections = weakref.ref(driver.panel), [weakref.ref(section) for section in driver.panel.sections]
        driver.desktop.unload_module(NAME)
        assert not [node for node in our_nodes(driver.scene) if node.GetAttribute("EAR.kind") == "roi-box"]
        assert not driver.scene.GetUndoFlag()
        del driver.widget, driver.panel, driver.ui
        gc.collect()
        assert panel() is None
        assert [section() for section in sections] == [None] * len(sections)
        driver.scene.Clear()
        driver.settle()
