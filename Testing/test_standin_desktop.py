"""The stand-in's application: views, layouts, settings, installations, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin

LAYOUT = """
<layout type="horizontal">
 <item><view class="vtkMRMLSliceNode" singletontag="Left">
  <property name="orientation" action="default">Coronal</property>
  <property name="viewlabel" action="default">L</property>
  <property name="viewcolor" action="default">#00aa00</property>
 </view></item>
 <item><layout type="vertical">
  <item><view class="vtkMRMLViewNode" singletontag="1"/></item>
  <item><view class="vtkMRMLTableViewNode" singletontag="T"/></item>
 </layout></item>
</layout>
"""


@pytest.fixture
def volume(slicer: Any) -> Any:
    """A volume whose right half is bright, of 40 x 60 x 50 voxels of 1 mm."""
    array = np.zeros((50, 60, 40), np.uint8)
    array[..., 20:] = 200
    return slicer.util.addVolumeFromArray(array, name="halves")


class TestApplication:
    """``slicer.app``."""

    def test_installing_twice_is_once(self, desktop: Any, slicer: Any, tmp_path: Path) -> None:
        scene = slicer.mrmlScene
        assert standin.install(tmp_path) is slicer.app
        assert slicer.mrmlScene is scene

    def test_its_version(self, slicer: Any) -> None:
        assert (slicer.app.majorVersion, slicer.app.minorVersion) == (5, 12)
        assert slicer.app.applicationVersion.startswith("5.12")
        with pytest.raises(AttributeError):
            _ = slicer.app.version  # Slicer has none either

    def test_its_folders_are_the_test_s(self, slicer: Any, desktop: Any) -> None:
        for path in (slicer.app.temporaryPath, slicer.app.slicerUserSettingsFilePath, slicer.app.cachePath):
            assert Path(path).is_relative_to(desktop.folder)
        assert Path(slicer.util.tempDirectory()).is_relative_to(desktop.folder)

    def test_settings(self, slicer: Any, qt: Any, desktop: Any) -> None:
        slicer.app.userSettings().setValue("EAR/folder", "a")
        assert qt.QSettings().value("EAR/folder") == "a"
        assert slicer.util.settingsValue("EAR/misspelt", "none") == "none"
        desktop.clear()
        assert qt.QSettings().value("EAR/folder") is None

    def test_modules_of_slicer(self, slicer: Any) -> None:
        assert slicer.modules.volumes.logic().IsA("vtkSlicerVolumesLogic")
        assert slicer.util.getModuleLogic("Markups").IsA("vtkSlicerMarkupsLogic")
        assert "SegmentEditor" in slicer.util.moduleNames()

    def test_nodes_come_and_go_with_the_test(self, slicer: Any, desktop: Any) -> None:
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "left behind")
        desktop.clear()
        names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLModelNode")]
        assert [name for name in names if not name.endswith("Volume Slice")] == []  # those are the views' own
        assert slicer.mrmlScene.GetFirstNodeByName("left behind") is None

    def test_translation(self, slicer: Any) -> None:
        from slicer.i18n import tr, translate

        assert (tr("Apply"), translate("EAR", "Apply")) == ("Apply", "Apply")
        with pytest.raises(TypeError):
            tr(3)

    def test_waiting_has_an_end(self, desktop: Any) -> None:
        with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
            desktop.wait_until(lambda: False, 0.05)


class TestInstallations:
    """Nothing is ever installed."""

    def test_pip(self, slicer: Any, desktop: Any) -> None:
        with pytest.raises(RuntimeError, match="installs nothing"):
            slicer.util.pip_install("torch")
        assert desktop.pip_calls == ["torch"]

    def test_pip_ensure(self, slicer: Any, desktop: Any, qt: Any) -> None:
        slicer.packaging.pip_ensure(["numpy"])
        desktop.show_main_window()
        desktop.answer(qt.QMessageBox.Cancel)
        with pytest.raises(RuntimeError, match="declined"):
            slicer.packaging.pip_ensure(["not-there-at-all>=1"])
        assert desktop.pip_calls == []

    def test_the_pytorch_extension(self, desktop: Any) -> None:
        import PyTorchUtils

        desktop.pytorch.installed = False
        logic = PyTorchUtils.PyTorchUtilsLogic()
        assert not logic.torchInstalled()
        with pytest.raises(AssertionError, match="did not expect"):
            logic.installTorch(askConfirmation=True)
        desktop.pytorch.installs = True
        assert logic.installTorch(torchVersionRequirement=">=2.4") is not None
        assert logic.torchInstalled()
        assert desktop.pytorch.calls[-1]["torchVersionRequirement"] == ">=2.4"

    def test_fetching_a_sample(self, desktop: Any) -> None:
        from SampleData import SampleDataLogic

        source = {"uris": "https://example.org/x", "checksums": "SHA256:00"}
        SampleDataLogic.registerCustomSampleDataSource(sampleName="X", **source)
        SampleDataLogic.registerCustomSampleDataSource(sampleName="Y", customDownloader=lambda _: ["node"], **source)
        with pytest.raises(AssertionError, match="nothing is fetched"):
            SampleDataLogic().downloadSample("X")
        desktop.downloads["X"] = lambda: ["node"]
        assert SampleDataLogic().downloadSample("X") == "node"
        with pytest.raises(AssertionError, match="nothing is fetched"):  # only the button calls a custom downloader
            SampleDataLogic().downloadSamples("Y")

    def test_samples_need_a_checksum(self, desktop: Any) -> None:
        from SampleData import SampleDataLogic

        with pytest.raises(AssertionError, match="checksum"):
            SampleDataLogic.registerCustomSampleDataSource(sampleName="X", uris="https://example.org/x")


class TestViews:
    """Views show what Slicer's displayable managers draw."""

    def test_four_views(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        manager = slicer.app.layoutManager()
        assert set(manager.sliceViewNames()) >= {"Red", "Green", "Yellow"}
        assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        shown = [n for n in range(manager.threeDViewCount) if manager.threeDWidget(n).visible]
        assert len(shown) == 1  # views of other layouts stay, hidden
        assert manager.sliceWidget("Misspelt") is None

    def test_a_slice(self, desktop: Any, slicer: Any, volume: Any) -> None:
        desktop.show_main_window()
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
        pixels = desktop.grab(view)
        height, width = pixels.shape[:2]
        middle = pixels[height // 2]
        # The bright half is at the patient's right, which is the view's left.
        assert middle[width // 2 - 30].min() > 200
        assert middle[width // 2 + 30].max() < 30

    @pytest.mark.parametrize(
        ("method", "number", "axis", "sign"),
        [
            ("lookFromAxis", 1, 0, 1),  # from the right; these two number the sides differently
            ("lookFromAxis", 5, 1, 1),
            ("lookFromAxis", 6, 1, -1),
            ("rotateToViewAxis", 0, 0, -1),
            ("rotateToViewAxis", 3, 1, 1),
        ],
    )
    def test_the_3d_view_turns(self, desktop: Any, slicer: Any, method: str, number: int, axis: int, sign: int) -> None:
        desktop.show_main_window()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        getattr(view, method)(number)
        position = view.cameraNode().GetPosition()
        assert np.argmax(np.abs(position)) == axis
        assert np.sign(position[axis]) == sign

    def test_three_dimensions(self, desktop: Any, slicer: Any) -> None:
        import vtk

        desktop.show_main_window()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(30)
        model = slicer.modules.models.logic().AddModel(sphere.GetOutputPort())
        model.GetDisplayNode().SetColor(1.0, 0.0, 0.0)
        slicer.util.resetThreeDViews()
        pixels = desktop.grab(view)
        centre = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].astype(int)
        assert centre[0] - centre[2] > 80

    def test_dragging_a_roi(self, desktop: Any, slicer: Any, volume: Any) -> None:
        desktop.show_main_window()
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "L1")
        roi.SetCenter(20, 30, 25)
        roi.SetSize(20, 20, 20)
        roi.GetDisplayNode().SetHandlesInteractive(True)
        view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
        desktop.grab(view)
        x, y, _ = view.convertRASToXYZ((30, 30, 25))
        further, _, _ = view.convertRASToXYZ((36, 30, 25))
        desktop.drag(view, (x + 2, y), (further, y))
        assert 22 < roi.GetSize()[0] < 30
        assert roi.GetSize()[1] == 20

    def test_a_layout_of_our_own(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        manager = slicer.app.layoutManager()
        manager.layoutLogic().GetLayoutNode().AddLayoutDescription(7001, LAYOUT)
        heard: list[int] = []
        manager.connect("layoutChanged(int)", heard.append)
        manager.setLayout(7001)
        desktop.process_events()
        left = manager.sliceWidget("Left")
        assert heard == [7001]
        assert left.visible
        assert left.mrmlSliceNode().GetOrientation() == "Coronal"
        assert not manager.sliceWidget("Red").visible
        assert sum(manager.tableWidget(n).visible for n in range(manager.tableViewCount)) == 1
        manager.disconnect("layoutChanged(int)", heard.append)

    def test_a_plot(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        slicer.util.plot(np.column_stack([np.arange(10), np.arange(10) ** 2]), xColumnIndex=0, title="Squares")
        desktop.process_events()
        manager = slicer.app.layoutManager()
        (plot,) = (w for n in range(manager.plotViewCount) if (w := manager.plotWidget(n)).visible)
        view = plot.plotView()
        assert (desktop.grab(view) < 100).any(axis=-1).sum() > 200

    def test_a_table(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        table = slicer.util.updateTableFromArray(None, np.eye(2))
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
        slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
        slicer.app.applicationLogic().PropagateTableSelection()
        desktop.process_events()
        manager = slicer.app.layoutManager()
        (shown,) = (w for n in range(manager.tableViewCount) if (w := manager.tableWidget(n)).visible)
        view = shown.tableView()
        assert view.model().rowCount() == 2

    def test_no_rendering_while_it_is_paused(self, desktop: Any, slicer: Any, volume: Any) -> None:
        desktop.show_main_window()
        view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
        before = desktop.grab(view)
        with slicer.util.RenderBlocker():
            slicer.util.setSliceViewerLayers(background=volume, fit=True)
            assert np.array_equal(desktop.grab(view), before)
        assert not np.array_equal(desktop.grab(view), before)

    def test_every_test_begins_with_four_views(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        desktop.clear()
        assert slicer.util.mainWindow() is None
        desktop.show_main_window()
        assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        assert slicer.util.mainWindow() is desktop.window


class TestStatusBar:
    """Words and progress."""

    def test_status(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        slicer.util.showStatusMessage("Working")
        assert desktop.window.statusBar().currentMessage() == "Working"

    def test_progress(self, desktop: Any, slicer: Any) -> None:
        desktop.show_main_window()
        dialog = slicer.util.createProgressDialog(labelText="Working", value=0, maximum=10)
        dialog.value = 5
        assert (dialog.value, dialog.labelText, dialog.wasCanceled) == (5, "Working", False)
        dialog.close()


class TestFiles:
    """Loading and saving."""

    def test_a_volume(self, slicer: Any, volume: Any, tmp_path: Path) -> None:
        path = str(tmp_path / "halves.nrrd")
        assert slicer.util.saveNode(volume, path)
        read = slicer.util.loadVolume(path)
        assert np.array_equal(slicer.util.arrayFromVolume(read), slicer.util.arrayFromVolume(volume))

    def test_a_file_that_is_not_there(self, slicer: Any) -> None:
        with pytest.raises(RuntimeError, match="Failed to load"):
            slicer.util.loadVolume("not/there.nrrd")
