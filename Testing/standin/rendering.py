"""Windows drawn off screen by Slicer's own displayable managers, in two and three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

IN_3D = (
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLColorLegendDisplayableManager",
)
IN_2D = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)

_LIGHT, _DARK = (0.756, 0.765, 0.909), (0.454, 0.471, 0.745)


class Window:
    """One window with its displayable managers. logic: of the application."""

    def __init__(self, logic: Any, factory: Any, managers: tuple[str, ...], style: Any) -> None:
        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self.style, self.group = style, slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        # The factories are shared by the process, and another scene may have been set meanwhile.
        factory.SetMRMLApplicationLogic(logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group.Initialize(factory, self.renderer)
        self.style.SetDisplayableManagers(self.group)
        self.stale = True
        self.group.AddObserver(vtk.vtkCommand.UpdateEvent, self._mark)

    def _mark(self, *_: Any) -> None:
        self.stale = True

    def resize(self, width: int, height: int) -> None:
        """Give the window another size in pixels."""
        self.window.SetSize(width, height)
        self.interactor.SetSize(width, height)
        self.stale = True

    def pixels(self) -> npt.NDArray[np.uint8]:
        """What is seen: (height, width, 3), first row at the top."""
        self.window.Render()
        self.stale = False
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1].copy()

    def close(self) -> None:
        """Let the scene go."""
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()


class ThreeDWindow(Window):
    """A 3-D view of a view node."""

    def __init__(self, logic: Any, scene: Any, node: Any) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        super().__init__(logic, factory, IN_3D, slicer.vtkMRMLThreeDViewInteractorStyle())
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self.style.SetInteractor(self.interactor)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(logic)
        logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = node
        node.SetBackgroundColor(_LIGHT)
        node.SetBackgroundColor2(_DARK)
        self.group.SetMRMLDisplayableNode(node)

    def camera_node(self) -> Any:
        """The camera's node."""
        return self.group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def reset_focus(self) -> None:
        """Look at the middle of all that is seen, from such a distance that it fits."""
        box, labels = self.node.GetBoxVisible(), self.node.GetAxisLabelsVisible()
        self.node.SetBoxVisible(0)
        self.node.SetAxisLabelsVisible(0)
        bounds = [0.0] * 6
        self.renderer.ComputeVisiblePropBounds(bounds)
        if bounds[0] <= bounds[1]:
            middle = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
            self.renderer.GetActiveCamera().SetFocalPoint(*middle)
            self.renderer.ResetCamera(bounds)
            self.renderer.ResetCameraClippingRange()
        self.node.SetBoxVisible(box)
        self.node.SetAxisLabelsVisible(labels)
        self.stale = True


class SliceWindow(Window):
    """A 2-D view of a slice node."""

    def __init__(self, logic: Any, scene: Any, node: Any) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(logic, factory, IN_2D, slicer.vtkMRMLSliceViewInteractorStyle())
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._actor.VisibilityOff()
        self.renderer.AddViewProp(self._actor)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(logic)
        self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._show_image)
        logic.GetSliceLogics().AddItem(self.logic)
        self.style.SetSliceLogic(self.logic)
        self.logic.SetMRMLScene(scene)
        self.logic.SetSliceNode(node)
        self.node = node
        self.group.SetMRMLDisplayableNode(node)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.interactor)

    def _show_image(self, *_: Any) -> None:
        connection = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        self.stale = True

    def resize(self, width: int, height: int) -> None:
        """Give the window another size in pixels; the slice keeps its scale."""
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """What is seen: (height, width, 3), first row at the top."""
        self._show_image()
        return super().pixels()
