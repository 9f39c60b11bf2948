"""A module like Slicer's template runs through the stand-in: loaded, opened, used, closed, reloaded, tested."""

from __future__ import annotations

import gc
import importlib
import shutil
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin

NAME = "StandinExample"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example module that a test may change."""
    return Path(shutil.copytree(Path(standin.__file__).parent / "example", tmp_path / "example"))


@pytest.fixture
def panel(desktop: Any, folder: Path) -> Any:
    """The Python object of the example's panel, opened in the main window."""
    desktop.load_module(folder / f"{NAME}.py")
    return desktop.open(NAME)


@pytest.fixture
def volume(slicer: Any) -> Any:
    """A volume of ones."""
    return slicer.util.addVolumeFromArray(np.ones((4, 5, 6)), name="ones")


def change(folder: Path, old: str, new: str) -> None:
    """Change the example module's file."""
    path = folder / f"{NAME}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


class TestLoading:
    """A module file becomes a module of Slicer."""

    def test_what_slicer_knows_of_it(self, desktop: Any, slicer: Any, folder: Path) -> None:
        module = desktop.load_module(folder / f"{NAME}.py")
        assert module is slicer.modules.standinexample
        assert (module.name, module.title, module.path) == (NAME, "Stand-in Example", str(folder / f"{NAME}.py"))
        assert module.categories == ("Examples",)
        assert "documentation" in module.helpText
        assert slicer.util.modulePath(NAME) == module.path
        assert slicer.moduleNames.StandinExample == NAME

    def test_it_hears_that_slicer_has_started(self, desktop: Any, folder: Path) -> None:
        desktop.load_module(folder / f"{NAME}.py")
        assert [sample["sampleName"] for sample in desktop.sample_data] == ["Small"]

    def test_a_module_that_is_not_there(self, desktop: Any, slicer: Any) -> None:
        with pytest.raises(AttributeError, match="no such module"):
            _ = slicer.modules.standinexample
        with pytest.raises(RuntimeError, match="no module"):
            desktop.open("Misspelt")

    def test_a_file_without_the_class(self, desktop: Any, tmp_path: Path) -> None:
        path = tmp_path / "Empty.py"
        path.write_text("", encoding="utf-8")
        with pytest.raises(TypeError, match="no class Empty"):
            desktop.load_module(path)

    def test_an_error_in_setup_reaches_the_test(self, desktop: Any, folder: Path) -> None:
        change(folder, "self.ui.applyButton.connect", "self.ui.misspelt.connect")
        desktop.load_module(folder / f"{NAME}.py")
        with pytest.raises(AttributeError, match="misspelt"):
            desktop.open(NAME)

    def test_it_is_forgotten_after_the_test(self, desktop: Any, slicer: Any, folder: Path) -> None:
        desktop.load_module(folder / f"{NAME}.py")
        desktop.clear()
        assert not hasattr(slicer.modules, "standinexample")
        assert NAME not in sys.modules
        assert str(folder) not in sys.path


class TestPanel:
    """The panel works as in Slicer."""

    def test_it_is_entered_and_left(self, panel: Any, slicer: Any) -> None:
        assert panel.parent.isEntered
        assert panel is slicer.util.getModuleWidget(NAME)
        assert slicer.util.selectedModule() == NAME
        slicer.util.selectModule("Data")
        assert not panel.parent.isEntered

    def test_its_widgets_know_the_scene(self, panel: Any, slicer: Any) -> None:
        assert panel.ui.inputSelector.mrmlScene() is slicer.mrmlScene

    def test_values(self, panel: Any) -> None:
        panel.ui.factorSlider.value = 150.0
        panel._parameterNode.title = "a title"
        assert (panel._parameterNode.factor, panel.ui.titleEdit.text) == (150.0, "a title")
        assert (panel.ui.roundsSpinBox.minimum, panel.ui.roundsSpinBox.maximum) == (1, 9)
        assert (panel.ui.speedComboBox.currentText, panel.ui.folderEdit.currentPath) == ("Slow", "data")

    def test_apply(self, panel: Any, slicer: Any, desktop: Any, volume: Any) -> None:
        with pytest.raises(AssertionError, match="disabled"):
            desktop.click(panel.ui.applyButton)
        panel.ui.inputSelector.setCurrentNode(volume)
        panel.ui.factorSlider.value = 200.0
        desktop.click(panel.ui.applyButton)
        assert slicer.util.arrayFromVolume(panel._parameterNode.outputVolume).max() == 2.0
        assert panel._parameterNode.outputVolume.GetName() == "ones times"

    def test_an_error_is_shown(self, panel: Any, slicer: Any, desktop: Any) -> None:
        panel.ui.inputSelector.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
        with desktop.expect_uncaught(ValueError):
            desktop.click(panel.ui.applyButton)
        assert desktop.dialogs[0].text == "Failed to compute results.\n\nthe volume is empty"

    def test_closing_the_scene(self, panel: Any, slicer: Any, desktop: Any, volume: Any) -> None:
        panel.ui.inputSelector.setCurrentNode(volume)
        panel.ui.titleEdit.text = "mine"
        slicer.mrmlScene.Clear()
        desktop.process_events()
        desktop.check()
        assert (panel._parameterNode.inputVolume, panel.ui.titleEdit.text) == (None, "none")
        assert not panel.ui.applyButton.enabled

    def test_a_saved_scene_comes_back(self, panel: Any, slicer: Any, desktop: Any, volume: Any, tmp_path: Path) -> None:
        panel.ui.inputSelector.setCurrentNode(volume)
        panel.ui.titleEdit.text = "mine"
        path = str(tmp_path / "scene.mrb")
        slicer.util.saveScene(path)
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(path)
        panel.initializeParameterNode()
        desktop.check()
        assert (panel.ui.titleEdit.text, panel.ui.inputSelector.currentNode().GetName()) == ("mine", "ones")

    def test_its_picture(self, panel: Any, desktop: Any, tmp_path: Path) -> None:
        pixels = desktop.grab(panel.parent, tmp_path / "panel.png")
        assert pixels.shape[1] > 400
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
        assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")

    def test_sections_fold(self, panel: Any, desktop: Any) -> None:
        section = panel.ui.advancedCollapsibleButton
        assert not panel.ui.invertCheckBox.isVisibleTo(panel.parent)
        desktop.click(section)
        assert panel.ui.invertCheckBox.isVisibleTo(panel.parent)

    def test_a_panel_of_its_own(self, desktop: Any, slicer: Any, folder: Path) -> None:
        module = desktop.load_module(folder / f"{NAME}.py")
        widget = module.createNewWidgetRepresentation()
        assert widget.self() is not module.widgetRepresentation().self()
        assert widget.self().ui.titleEdit.text == "none"
        widget.delete()

    def test_without_a_main_window(self, desktop: Any, slicer: Any, folder: Path) -> None:
        """Slicer --no-main-window, as in self-tests."""
        desktop.load_module(folder / f"{NAME}.py")
        widget = slicer.util.getModuleWidget(NAME)
        assert (slicer.util.mainWindow(), slicer.app.layoutManager()) == (None, None)
        widget.ui.factorSlider.value = 50.0
        assert slicer.util.getModuleLogic(NAME).getParameterNode().factor == 50.0


class TestLib:
    """The package beside the module file."""

    @pytest.fixture
    def lib(self, folder: Path) -> Path:
        """A package that the module imports and drops at a reload, as ours do."""
        (folder / f"{NAME}Lib").mkdir()
        (folder / f"{NAME}Lib" / "__init__.py").write_text("VALUE = 1\n", encoding="utf-8")
        change(folder, "import slicer\n", f"import slicer\nimport sys\nimport {NAME}Lib\n")
        drop = f"    def onReload(self):\n        del sys.modules['{NAME}Lib']\n        super().onReload()\n\n"
        change(folder, "    def cleanup(self):", drop + "    def cleanup(self):")
        return folder / f"{NAME}Lib" / "__init__.py"

    def test_it_is_forgotten(self, desktop: Any, folder: Path, lib: Path) -> None:
        desktop.load_module(folder / f"{NAME}.py")
        assert f"{NAME}Lib" in sys.modules
        desktop.unload_module(NAME)
        assert f"{NAME}Lib" not in sys.modules

    def test_one_that_the_tests_hold_comes_back(
        self, desktop: Any, folder: Path, lib: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(str(folder))
        held = importlib.import_module(f"{NAME}Lib")
        desktop.load_module(folder / f"{NAME}.py")
        panel = desktop.open(NAME)
        lib.write_text("VALUE = 22\n", encoding="utf-8")
        panel.onReload()
        assert sys.modules[f"{NAME}Lib"].VALUE == 22
        desktop.unload_module(NAME)
        assert sys.modules.pop(f"{NAME}Lib") is held


class TestReloading:
    """Reload imports the file again and makes the panel anew."""

    def test_it_takes_the_new_file(self, panel: Any, slicer: Any, folder: Path) -> None:
        change(folder, "Double the voxels", "Multiply")
        panel.ui.titleEdit.text = "kept"
        panel.onReload()
        new = slicer.util.getModuleWidget(NAME)
        new.enter()
        new._parameterNode.inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        assert new is not panel
        assert new.ui.applyButton.toolTip == "Multiply"
        assert new.ui.titleEdit.text == "kept"

    def test_the_old_panel_hears_nothing(self, panel: Any, slicer: Any, desktop: Any) -> None:
        panel.onReload()
        assert panel.Observations == []
        slicer.mrmlScene.Clear()
        desktop.process_events()
        desktop.check()

    def test_developer_mode(self, desktop: Any, slicer: Any, folder: Path) -> None:
        desktop.app.userSettings().setValue("Developer/DeveloperMode", True)
        desktop.load_module(folder / f"{NAME}.py")
        panel = desktop.open(NAME)
        desktop.click(panel.reloadButton)
        assert slicer.util.getModuleWidget(NAME) is not panel

    def test_no_developer_mode(self, panel: Any) -> None:
        assert not hasattr(panel, "reloadButton")

    def test_the_self_test(self, panel: Any, slicer: Any, desktop: Any) -> None:
        slicer.selfTests[NAME]()
        desktop.check()

    def test_a_self_test_that_fails(self, desktop: Any, slicer: Any, folder: Path) -> None:
        change(folder, ".max()), 3.0)", ".max()), 4.0)")
        desktop.load_module(folder / f"{NAME}.py")
        with pytest.raises(AssertionError, match=r"3\.0 != 4\.0"):
            slicer.selfTests[NAME]()


class TestCleanUp:
    """What a module leaves behind when it goes."""

    def test_observers(self, panel: Any, slicer: Any, desktop: Any, volume: Any) -> None:
        observations = len(panel.Observations)
        desktop.unload_module(NAME)
        assert (observations > 0, panel.Observations) == (True, [])
        volume.Modified()
        slicer.mrmlScene.Clear()
        desktop.check()

    def test_an_observer_that_stays_is_found(self, desktop: Any, slicer: Any, folder: Path) -> None:
        change(folder, "self.removeObservers()", "pass")
        desktop.load_module(folder / f"{NAME}.py")
        desktop.open(NAME)
        with pytest.raises(AssertionError, match=r"leaves observers behind.*onSceneEndClose"):
            desktop.unload_module(NAME)
        slicer.mrmlScene.Clear()
        desktop.check()

    def test_the_panel_is_let_go(self, desktop: Any, folder: Path) -> None:
        desktop.load_module(folder / f"{NAME}.py")
        reference = weakref.ref(desktop.open(NAME))
        desktop.unload_module(NAME)
        gc.collect()
        assert reference() is None


class TestLogic:
    """ScriptedLoadableModuleLogic."""

    def test_one_parameter_node_in_a_scene(self, desktop: Any, slicer: Any, folder: Path) -> None:
        desktop.load_module(folder / f"{NAME}.py")
        logic = sys.modules[NAME].StandinExampleLogic()
        first, second = logic.getParameterNode(), logic.getParameterNode()
        assert first.parameterNode is second.parameterNode
        assert first.parameterNode.GetAttribute("ModuleName") == NAME
        assert first.parameterNode.GetSingletonTag() == NAME
