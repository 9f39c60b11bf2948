"""A real MRML scene with its logics, and views that are rendered without a screen. Needs slicer-core, else skips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case, read_case
from EARReconstructionLib.resources import SAMPLE_CASE
from numpy.typing import NDArray

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

MANAGERS_3D = (
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
MANAGERS_2D = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)

#: Logics of modules whose nodes we use, in an order that works: the subject hierarchy before the segmentations.
LOGICS = {
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
}


class Stage:
    """A scene as an application has it, with the views of our layout."""

    def __init__(self, folder: Path) -> None:
        import slicer
        import vtk

        vtk.vtkObject.GlobalWarningDisplayOff()  # a wheel has no colour and terminology files, and says so at length
        self.scene = slicer.vtkMRMLScene()
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetMRMLScene(self.scene)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.logic.SetViewLogics(vtk.vtkCollection())
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        # Kept here: the application logic does not, and a colour logic that goes takes the colours with it.
        self._logics = {name: getattr(slicer, class_name)() for name, class_name in LOGICS.items()}
        for name, logic in self._logics.items():
            logic.SetMRMLApplicationLogic(self.logic)  # before the scene, or the second colour logic wipes the colours
            logic.SetMRMLScene(self.scene)
            self.logic.SetModuleLogic(name, logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        self._remote = slicer.vtkMRMLRemoteIOLogic()  # reading an .mrb needs its cache
        self._remote.SetMRMLApplicationLogic(self.logic)
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(str(folder))
        self._data = slicer.vtkDataIOManagerLogic()
        self._data.SetMRMLApplicationLogic(self.logic)
        self._data.SetMRMLScene(self.scene)
        self._data.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()
        self.frontal = SliceView(self, "EARFrontal", "Coronal", (300, 390))
        self.lateral = SliceView(self, "EARLateral", "Sagittal", (300, 390))
        self.axial = SliceView(self, "Red", "Axial", (250, 250))
        self.view_3d = View3D(self, (400, 350))
        self._more: dict[str, View3D] = {}

    def more_views(self, tags: Sequence[str]) -> list[View3D]:
        """3-D views beside the first, made once: they stay as the others do."""
        for tag in tags:
            if tag not in self._more:
                self._more[tag] = View3D(self, (200, 175), tag)
        return [self._more[tag] for tag in tags]

    def reset(self) -> None:
        """As a new scene; views stay, for they are costly to make."""
        self.scene.SetUndoOff()
        self.scene.ClearUndoStack()
        self.scene.Clear(0)
        for view in (self.frontal, self.lateral, self.axial, self.view_3d, *self._more.values()):
            view.reset()

    def save(self, path: Path) -> None:
        """Write an .mrb."""
        self.scene.SetRootDirectory(str(path.parent))
        self.scene.SetURL(str(path))
        assert self.scene.WriteToMRB(str(path))

    def load(self, path: Path) -> None:
        """Read an .mrb in place of what is there."""
        assert self.scene.ReadFromMRB(str(path), True)


class View:
    """An off-screen window with the displayable managers of 3D Slicer."""

    def __init__(self, stage: Stage, size: tuple[int, int], factory: Any, managers: tuple[str, ...]) -> None:
        import slicer
        import vtk

        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        factory.SetMRMLApplicationLogic(stage.logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group.Initialize(factory, self.renderer)

    def pixels(self) -> NDArray[np.int64]:
        """(h, w, 3) what is seen now, 0 to 255, the top row first."""
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy

        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        seen = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return seen[::-1, :, :3].astype(int)

    def save(self, path: Path) -> None:
        """What is seen now as a PNG, for a person to look at."""
        import vtk

        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetInputConnection(grab.GetOutputPort())
        writer.SetFileName(str(path))
        writer.Write()


class SliceView(View):
    """A slice view. Positions in it are pixels from the lower left corner, as VTK has them."""

    def __init__(self, stage: Stage, tag: str, orientation: str, size: tuple[int, int]) -> None:
        import slicer
        import vtk

        super().__init__(stage, size, slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), MANAGERS_2D)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper, self._actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._actor)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(stage.logic)
        self.logic.AddObserver("ModifiedEvent", self._update)
        stage.logic.GetSliceLogics().AddItem(self.logic)
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(self.logic)
        self.style.SetDisplayableManagers(self.group)
        self.logic.SetMRMLScene(stage.scene)
        self.node = self.logic.AddSliceNode(tag)
        self.group.SetMRMLDisplayableNode(self.node)
        self.node.SetDefaultOrientation(orientation)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.interactor)
        self.reset()
        self._update()

    def reset(self) -> None:
        """Empty, in the plane of its orientation; clearing the scene has made it as large as any view."""
        self.logic.ResizeSliceNode(*self.window.GetSize())
        self.node.SetOrientationToDefault()
        self.node.SetSliceVisible(False)
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(None)
        self.logic.GetSliceCompositeNode().SetForegroundVolumeID(None)

    def _update(self, *_: Any) -> None:
        connection = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)

    def to_ras(self, x: float, y: float) -> NDArray[np.float64]:
        """(3,) RAS mm of a position in the view."""
        return np.array(self.node.GetXYToRAS().MultiplyPoint((x, y, 0, 1))[:3])

    def to_xy(self, ras_mm: Any) -> NDArray[np.float64]:
        """(2,) position in the view of a point in RAS mm."""
        import vtk

        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        return np.array(inverse.MultiplyPoint((*ras_mm, 1))[:2])

    def event(self, name: str, x: float, y: float) -> None:
        """One event of the mouse."""
        self.interactor.SetEventInformation(round(x), round(y), 0, 0)
        self.interactor.InvokeEvent(f"{name}Event")

    def drag(self, start: Any, step: tuple[int, int], moves: int = 4) -> None:
        """Press, move and release the left button."""
        self.window.Render()  # handles are placed when they are drawn
        x, y = np.round(start)
        self.event("MouseMove", x, y)
        self.event("LeftButtonPress", x, y)
        for n in range(1, moves + 1):
            self.event("MouseMove", x + step[0] * n / moves, y + step[1] * n / moves)
        self.event("LeftButtonRelease", x + step[0], y + step[1])


class View3D(View):
    """The 3-D view."""

    def __init__(self, stage: Stage, size: tuple[int, int], tag: str = "1") -> None:
        import slicer
        import vtk

        super().__init__(stage, size, slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), MANAGERS_3D)
        self.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self.style.SetDisplayableManagers(self.group)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self.style.SetInteractor(self.interactor)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(stage.logic)
        stage.logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(stage.scene)
        self.node = self.logic.AddViewNode(tag)
        self.group.SetMRMLDisplayableNode(self.node)
        self.reset()

    def reset(self) -> None:
        """Dark and empty; clearing the scene has given it its box and its blue again."""
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.node.SetBackgroundColor(0.06, 0.08, 0.1)
        self.node.SetBackgroundColor2(0.06, 0.08, 0.1)

    def look_from(self, direction: tuple[float, float, float]) -> None:
        """Look at all that is shown from a direction in RAS, S up."""
        self.window.Render()
        camera = self.renderer.GetActiveCamera()
        bounds = np.array(self.renderer.ComputeVisiblePropBounds())
        middle = (bounds[::2] + bounds[1::2]) / 2
        camera.SetFocalPoint(*middle)
        camera.SetPosition(*(middle + 500 * np.array(direction)))
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera(bounds)
        self.renderer.ResetCameraClippingRange()


@pytest.fixture(scope="session")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """One for all tests: taken apart by the garbage collector, in any order, logics and views crash."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    return Stage(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def stage(_stage: Stage, capfd: pytest.CaptureFixture[str]) -> Iterator[Stage]:
    """An empty scene with its views. Whatever a test leaves behind, clearing the scene removes.

    An error in an observer does not reach the test: it is printed.
    """
    yield _stage
    _stage.reset()
    assert "Traceback" not in capfd.readouterr().err
    assert not [node.GetID() for node in list(_stage.scene.GetNodes()) if node.GetAttribute("EAR.kind")]


@pytest.fixture
def in_folder() -> Callable[[Any, str], list[str]]:
    """A function: names of the nodes in the folder of a run in the subject hierarchy."""
    import slicer
    import vtk

    def names(scene: Any, run: str) -> list[str]:
        hierarchy, items = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene), vtk.vtkIdList()
        folder = hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), f"EAR {run}")
        if folder:
            hierarchy.GetItemChildren(folder, items)
        return [hierarchy.GetItemName(items.GetId(n)) for n in range(items.GetNumberOfIds())]

    return names


@pytest.fixture(scope="session")
def sample() -> Case:
    """The sample case: T10 to L5 of a phantom."""
    return read_case(SAMPLE_CASE)


@pytest.fixture(scope="session")
def rebuilt(sample: Case) -> SimpleNamespace:
    """L1 and L2 of the sample case, by the model that draws edges too; L1 compared with a tighter surface of itself."""
    from EARReconstructionLib.bundle import load_bundle
    from EARReconstructionLib.comparison import Shape, compare
    from EARReconstructionLib.reconstruction import reconstruct
    from EARReconstructionLib.resources import find_model
    from EARReconstructionLib.surface import isosurface

    bundle = load_bundle(find_model("ear-column-64"))
    rois = [roi for roi in sample.rois if roi.level in ("L1", "L2")]
    reconstructions = reconstruct(sample.radiographs, sample.geometry, rois, bundle, device="cpu")
    one = reconstructions[0]
    surface, tighter = (isosurface(one.volume_hu, one.ras_from_ijk, one.threshold_hu + hu) for hu in (0, 150))
    return SimpleNamespace(
        reconstructions=reconstructions,
        run=bundle.card.name,
        side_mm=bundle.card.size * bundle.card.spacing_mm,
        comparisons=compare({"L1": Shape(surface)}, {"L1": Shape(tighter)}),
        references={"L1": tighter},
    )
