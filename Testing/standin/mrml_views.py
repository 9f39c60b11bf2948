"""Slicer's view widgets: each shows an off-screen window of rendering.py."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp, mrml_widget  # noqa: F401  (the base of the widgets here)
from .rendering import SliceWindow, ThreeDWindow

_SMALLEST = 8

_looking = 0


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Inside, views draw what has changed when they are painted; else nobody sees it, and drawing is slow here."""
    global _looking
    _looking += 1
    try:
        yield
    finally:
        _looking -= 1


def image_of(pixels: Any) -> QtGui.QImage:
    """A picture of pixels (height, width, 3 or 4)."""
    pixels = np.ascontiguousarray(pixels[..., :3])
    height, width, _ = pixels.shape
    image = QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
    return image.copy()


class ctkVTKAbstractView(cpp.base("ctkVTKAbstractView")):
    """A widget that shows a window."""

    def _build(self) -> None:
        self._d.window, self._d.image = None, QtGui.QImage()
        self._d.annotation = vtk.vtkCornerAnnotation()
        self._d.values["backgroundColor"] = QtGui.QColor()
        self.setMinimumSize(_SMALLEST, _SMALLEST)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)

    def _attach(self, window: Any) -> None:
        self._d.window = window
        window.renderer.AddViewProp(self._d.annotation)
        window.resize(max(self.width, _SMALLEST), max(self.height, _SMALLEST))

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        if self._d.window is not None:
            self._d.window.resize(max(event.size().width(), _SMALLEST), max(event.size().height(), _SMALLEST))

    def paintEvent(self, _: QtGui.QPaintEvent) -> None:
        old = self._d.window is not None and (self._d.window.stale or self._d.image.isNull())
        if old and _looking and self.renderEnabled:
            self.forceRender()
        QtGui.QPainter(self).drawImage(self.rect, self._d.image)

    def scheduleRender(self) -> None:
        if self._d.window is not None:
            self._d.window.stale = True
        self.update()

    def forceRender(self) -> None:
        if self._d.window is not None:
            self._d.image = image_of(self._d.window.pixels())

    def renderWindow(self) -> Any:
        return self._d.window.window

    def interactor(self) -> Any:
        return self._d.window.interactor

    def interactorStyle(self) -> Any:
        return self._d.window.style

    def cornerAnnotation(self) -> Any:
        return self._d.annotation

    def _set_cornerAnnotationText(self, text: str) -> None:
        self._d.annotation.ClearAllTexts()
        self._d.annotation.SetText(2, text)
        self.scheduleRender()


def _managers_of(view: Any, collection: Any) -> None:
    group = view._d.window.group
    for index in range(group.GetDisplayableManagerCount()):
        collection.AddItem(group.GetNthDisplayableManager(index))


class qMRMLSliceView(cpp.base("qMRMLSliceView")):
    """The 2-D view of a slice node."""

    def mrmlSliceNode(self) -> Any:
        return self._d.window.node

    def sliceViewInteractorStyle(self) -> Any:
        return self._d.window.style

    def getDisplayableManagers(self, collection: Any) -> None:
        _managers_of(self, collection)

    def displayableManagerByClassName(self, name: str) -> Any:
        return self._d.window.group.GetDisplayableManagerByClassName(name)

    def _transformed(self, matrix: Any, point: Any) -> tuple[float, ...]:
        return tuple(matrix.MultiplyPoint((*point, 1.0))[:3])

    def convertDeviceToXYZ(self, xy: Any) -> tuple[float, ...]:
        # Qt counts rows from the top, the slice's x and y begin at the bottom left.
        return (float(xy[0]), float(self.height - xy[1]), 0.0)

    def convertXYZToRAS(self, xyz: Any) -> tuple[float, ...]:
        return self._transformed(self.mrmlSliceNode().GetXYToRAS(), xyz)

    def convertRASToXYZ(self, ras: Any) -> tuple[float, ...]:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return self._transformed(inverse, ras)


class qMRMLThreeDView(cpp.base("qMRMLThreeDView")):
    """The 3-D view of a view node."""

    def mrmlViewNode(self) -> Any:
        return self._d.window.node

    def interactorObserver(self) -> Any:
        return self._d.window.style

    def getDisplayableManagers(self, collection: Any) -> None:
        _managers_of(self, collection)

    def displayableManagerByClassName(self, name: str) -> Any:
        return self._d.window.group.GetDisplayableManagerByClassName(name)

    def cameraNode(self) -> Any:
        return self._d.window.camera_node()

    def rotateToViewAxis(self, axis: int) -> None:
        """-R, +R, -A, +A, -S, +S in this order, as vtkMRMLViewNode names its axes."""
        self._look_from(("Left", "Right", "Posterior", "Anterior", "Inferior", "Superior")[axis])

    def lookFromAxis(self, axis: int) -> None:
        """+R, -R, +S, -S, +A, -A, counted from 1, as ctkAxesWidget numbers its axes."""
        self._look_from(("Right", "Left", "Superior", "Inferior", "Anterior", "Posterior")[axis - 1])

    def _look_from(self, direction: str) -> None:
        self.cameraNode().RotateTo(getattr(slicer.vtkMRMLCameraNode, direction))
        self._d.window.renderer.ResetCameraClippingRange()
        self.scheduleRender()

    def resetCamera(self, rotation: bool = True, translation: bool = True, distance: bool = True) -> None:
        self.cameraNode().Reset(rotation, translation, distance, self._d.window.renderer)
        self.scheduleRender()

    def resetFocalPoint(self) -> None:
        self._d.window.reset_focus()
        self.scheduleRender()


class qMRMLAbstractViewWidget(cpp.base("qMRMLAbstractViewWidget")):
    """A view under a bar with its label."""

    def _build(self) -> None:
        self._d.view, self._d.controller, self._d.node = None, None, None

    def _fill(self, node: Any, view: Any, controller: Any, label: str, colour: str) -> None:
        self._d.node, self._d.view, self._d.controller = node, view, controller
        bar = QtWidgets.QLabel(f" {label}", controller)
        controller.setFixedHeight(bar.fontMetrics().height() + 2)
        bar.resize(400, controller.height)
        controller.setStyleSheet(f"background-color: {colour};")
        controller.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(controller)
        layout.addWidget(view, 1)

    def viewWidget(self) -> Any:
        return self._d.view

    def mrmlAbstractViewNode(self) -> Any:
        return self._d.node


class qMRMLSliceControllerWidget(cpp.base("qMRMLSliceControllerWidget")):
    """The bar over a 2-D view."""

    def _build(self) -> None:
        self._d.window = None

    def mrmlSliceNode(self) -> Any:
        return self._d.window.node

    def sliceLogic(self) -> Any:
        return self._d.window.logic

    def fitSliceToBackground(self) -> None:
        self._d.window.logic.FitSliceToBackground()

    def setSliceOffsetValue(self, offset: float) -> None:
        self._d.window.logic.SetSliceOffset(offset)

    def setSliceVisible(self, visible: bool) -> None:
        self._d.window.node.SetSliceVisible(visible)


class qMRMLSliceWidget(cpp.base("qMRMLSliceWidget")):
    """A 2-D view with its bar."""

    def _attach(self, logic: Any, scene: Any, node: Any) -> None:
        self._d.window = SliceWindow(logic, scene, node)
        view, controller = qMRMLSliceView(), qMRMLSliceControllerWidget()
        controller._d.window = self._d.window
        colour = QtGui.QColor.fromRgbF(*node.GetLayoutColor()).name()
        self._fill(node, view, controller, node.GetLayoutLabel() or node.GetLayoutName(), colour)
        view._attach(self._d.window)
        self.setMRMLScene(scene)

    def sliceController(self) -> Any:
        return self._d.controller

    def mrmlSliceNode(self) -> Any:
        return self._d.window.node

    def sliceLogic(self) -> Any:
        return self._d.window.logic

    def mrmlSliceCompositeNode(self) -> Any:
        return self._d.window.logic.GetSliceCompositeNode()

    def interactorStyle(self) -> Any:
        return self._d.window.style

    def sliceView(self) -> Any:
        return self._d.view

    def _get_sliceOrientation(self) -> str:
        return self._d.window.node.GetOrientation()

    def _set_sliceOrientation(self, orientation: str) -> None:
        self._d.window.node.SetOrientation(orientation)

    def fitSliceToBackground(self) -> None:
        self._d.window.logic.FitSliceToBackground()


class qMRMLThreeDViewControllerWidget(cpp.base("qMRMLThreeDViewControllerWidget")):
    """The bar over a 3-D view."""


class qMRMLThreeDWidget(cpp.base("qMRMLThreeDWidget")):
    """A 3-D view with its bar."""

    def _attach(self, logic: Any, scene: Any, node: Any) -> None:
        self._d.window = ThreeDWindow(logic, scene, node)
        view = qMRMLThreeDView()
        self._fill(node, view, qMRMLThreeDViewControllerWidget(), node.GetLayoutLabel() or "1", "#7170f7")
        view._attach(self._d.window)
        self.setMRMLScene(scene)

    def threeDController(self) -> Any:
        return self._d.controller

    def mrmlViewNode(self) -> Any:
        return self._d.window.node

    def viewLogic(self) -> Any:
        return self._d.window.logic

    def threeDView(self) -> Any:
        return self._d.view
