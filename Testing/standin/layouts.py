"""The layout manager: makes the view widgets that the scene's layout describes, and arranges them."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from . import cpp
from .mrml_plots import qMRMLPlotWidget, qMRMLTableWidget
from .mrml_views import qMRMLSliceWidget, qMRMLThreeDWidget

_WIDGETS: dict[str, Any] = {
    "vtkMRMLSliceNode": qMRMLSliceWidget,
    "vtkMRMLViewNode": qMRMLThreeDWidget,
    "vtkMRMLPlotViewNode": qMRMLPlotWidget,
    "vtkMRMLTableViewNode": qMRMLTableWidget,
}


class qSlicerLayoutManager(cpp.base("qSlicerLayoutManager")):
    """Follows the layout node of the scene. A view's widget is made once and used again in every layout."""

    def _build(self) -> None:
        self._d.viewport, self._d.arranged, self._d.widgets = None, None, {}
        self._d.current, self._d.paused = None, 0

    def _start(self, logic: Any, scene: Any) -> None:
        self._d.application, self._d.scene = logic, scene
        self._d.logic = slicer.vtkMRMLLayoutLogic()
        self._d.logic.SetMRMLScene(scene)
        self._d.node = self._d.logic.GetLayoutNode()
        self._d.node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())

    def mrmlScene(self) -> Any:
        return self._d.scene

    def layoutLogic(self) -> Any:
        return self._d.logic

    def viewport(self) -> Any:
        return self._d.viewport

    def setViewport(self, widget: Any) -> None:
        self._d.viewport = widget
        if widget.layout() is None:
            layout = QtWidgets.QVBoxLayout(widget)
            layout.setContentsMargins(0, 0, 0, 0)
        self._arrange()

    def _get_layout(self) -> int:
        return int(self._d.node.GetViewArrangement())

    def _set_layout(self, layout: int) -> None:
        self._d.node.SetViewArrangement(layout)

    def _arrange(self) -> None:
        """Put the views of the current layout into the viewport."""
        description = self._d.node.GetCurrentLayoutDescription()
        if self._d.viewport is None or not self.enabled or (self.layout, description) == self._d.current:
            return
        self._d.current = (self.layout, description)
        old = self._d.arranged
        for widget in self._d.widgets.values():
            widget.setParent(None)
            widget.hide()
        if description:
            self._d.arranged = self._made(ET.fromstring(description))
            self._d.viewport.layout().addWidget(self._d.arranged)
            self._d.arranged.show()
        if old is not None:
            old.deleteLater()
        cpp.emit(self, "layoutChanged(int)", self.layout)

    def _made(self, element: ET.Element) -> Any:
        if element.tag == "view":
            return self._view(element)
        parts = [part for item in element.findall("item") for part in item if part.tag in ("layout", "view")]
        if element.get("type") == "tab":
            tabs = QtWidgets.QTabWidget()
            for item in element.findall("item"):
                tabs.addTab(self._made(item[0]), item.get("name") or "")
            return tabs
        vertical = element.get("type") == "vertical"
        box = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical if vertical else QtCore.Qt.Orientation.Horizontal)
        for part in parts:
            widget = self._made(part)
            box.addWidget(widget)
            widget.show()
        box.setSizes([1000] * len(parts))
        return box

    def _view(self, element: ET.Element) -> Any:
        cls, tag = str(element.get("class")), str(element.get("singletontag"))
        node = self._d.scene.GetSingletonNode(tag, cls)
        if node is None or cls not in _WIDGETS:
            return QtWidgets.QLabel(f"no view of class {cls} with tag {tag}")
        if node.GetID() not in self._d.widgets:
            widget = _WIDGETS[cls]()
            widget._attach(self._d.application, self._d.scene, node)
            self._d.widgets[node.GetID()] = widget
        return self._d.widgets[node.GetID()]

    def _of(self, cls: type) -> list[Any]:
        return [widget for widget in self._d.widgets.values() if isinstance(widget, cls)]

    def viewWidget(self, node: Any) -> Any:
        return self._d.widgets.get(node.GetID()) if node else None

    def sliceWidget(self, name: str) -> Any:
        named = (widget for widget in self._of(qMRMLSliceWidget) if widget.mrmlSliceNode().GetLayoutName() == name)
        return next(named, None)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(widget.mrmlSliceNode().GetLayoutName() for widget in self._of(qMRMLSliceWidget))

    def threeDWidget(self, which: Any) -> Any:
        widgets = self._of(qMRMLThreeDWidget)
        if isinstance(which, str):
            return next((each for each in widgets if each.mrmlViewNode().GetLayoutName() == which), None)
        return widgets[which] if 0 <= which < len(widgets) else None

    def plotWidget(self, index: int) -> Any:
        widgets = self._of(qMRMLPlotWidget)
        return widgets[index] if 0 <= index < len(widgets) else None

    def tableWidget(self, index: int) -> Any:
        widgets = self._of(qMRMLTableWidget)
        return widgets[index] if 0 <= index < len(widgets) else None

    def _get_threeDViewCount(self) -> int:
        return len(self._of(qMRMLThreeDWidget))

    def _get_plotViewCount(self) -> int:
        return len(self._of(qMRMLPlotWidget))

    def _get_tableViewCount(self) -> int:
        return len(self._of(qMRMLTableWidget))

    def mrmlSliceLogics(self) -> Any:
        return self._d.application.GetSliceLogics()

    def mrmlViewLogics(self) -> Any:
        return self._d.application.GetViewLogics()

    def activeMRMLThreeDViewNode(self) -> Any:
        widget = self.threeDWidget(0)
        return widget.mrmlViewNode() if widget else None

    def resetThreeDViews(self) -> None:
        for widget in self._of(qMRMLThreeDWidget):
            widget.threeDView().resetFocalPoint()

    def resetSliceViews(self) -> None:
        for widget in self._of(qMRMLSliceWidget):
            widget.sliceLogic().FitSliceToAll()

    def setRenderPaused(self, pause: bool) -> None:
        self._d.paused += 1 if pause else -1
        for widget in self._of(qMRMLSliceWidget) + self._of(qMRMLThreeDWidget):
            widget.viewWidget().renderEnabled = self._d.paused <= 0

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)
