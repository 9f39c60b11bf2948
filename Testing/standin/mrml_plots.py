"""Slicer's plot and table views, as far as a layout needs them."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from . import cpp, mrml_views  # noqa: F401  (the base of the widgets here)
from .mrml_tables import qMRMLTableView
from .observing import Observers

_MARGIN_LEFT, _MARGIN_TOP, _MARGIN_RIGHT, _MARGIN_BOTTOM = 60, 34, 16, 42


class qMRMLPlotView(cpp.base("qMRMLPlotView")):
    """The chart of a plot view node: its lines, points and bars, its title and its axes, drawn simply."""

    def _build(self) -> None:
        self._d.scene, self._d.node, self._d.observers = None, None, Observers(self)
        self.setMinimumSize(100, 80)

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene = scene
        cpp.emit(self, "mrmlSceneChanged(vtkMRMLScene*)", scene)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._d.node = node
        self._d.observers.clear()
        if node is not None:
            self._d.observers.add(node, vtk.vtkCommand.ModifiedEvent, self.update)

    def fitToContent(self) -> None:
        self.update()

    def _chart(self) -> Any:
        return self._d.node.GetPlotChartNode() if self._d.node else None

    def _series(self) -> list[tuple[Any, Any, Any]]:
        """Each series node with its x and y."""
        chart, found = self._chart(), []
        for index in range(chart.GetNumberOfPlotSeriesNodes() if chart else 0):
            series = chart.GetNthPlotSeriesNode(index)
            table = series.GetTableNode().GetTable() if series and series.GetTableNode() else None
            y = table.GetColumnByName(series.GetYColumnName()) if table else None
            if y is None or not y.GetNumberOfTuples():
                continue
            x = table.GetColumnByName(series.GetXColumnName()) if series.GetXColumnName() else None
            values = vtk_to_numpy(y).astype(float)
            found.append((series, vtk_to_numpy(x).astype(float) if x else np.arange(len(values), dtype=float), values))
        return found

    def paintEvent(self, _: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, QtGui.QColor("white"))
        series = self._series()
        if not series:
            return
        width = self.width - _MARGIN_LEFT - _MARGIN_RIGHT
        height = self.height - _MARGIN_TOP - _MARGIN_BOTTOM
        xs = np.concatenate([x for _, x, _ in series])
        ys = np.concatenate([y for _, _, y in series] + [np.zeros(1)])
        painter.drawRect(_MARGIN_LEFT, _MARGIN_TOP, width, height)
        self._write(painter, xs, ys)
        for node, x, y in series:
            at_x = _MARGIN_LEFT + width * (x - xs.min()) / (np.ptp(xs) or 1.0)
            at_y = _MARGIN_TOP + height * (1.0 - (y - ys.min()) / (np.ptp(ys) or 1.0))
            self._draw(painter, node, at_x, at_y)

    def _draw(self, painter: QtGui.QPainter, node: Any, at_x: Any, at_y: Any) -> None:
        colour = QtGui.QColor.fromRgbF(*node.GetColor())
        painter.setPen(QtGui.QPen(colour, 2))
        kinds = slicer.vtkMRMLPlotSeriesNode
        if node.GetPlotType() in (kinds.PlotTypeBar, kinds.PlotTypeScatterBar):
            bottom = self.height - _MARGIN_BOTTOM
            bar = max(int((self.width - _MARGIN_LEFT - _MARGIN_RIGHT) / max(len(at_x), 1)) - 2, 1)
            for x, y in zip(at_x, at_y, strict=True):
                painter.fillRect(int(x) - bar // 2, int(y), bar, bottom - int(y), colour)
            return
        points = QtGui.QPolygonF()
        for x, y in zip(at_x, at_y, strict=True):
            points.append(QtCore.QPointF(x, y))
        painter.drawPolyline(points)

    def _write(self, painter: QtGui.QPainter, xs: Any, ys: Any) -> None:
        chart, centre = self._chart(), 0x84
        painter.setPen(QtGui.QColor("black"))
        painter.drawText(0, 4, self.width, 26, centre, chart.GetTitle() or "")
        painter.drawText(0, self.height - 22, self.width, 20, centre, chart.GetXAxisTitle() or "")
        bottom = self.height - _MARGIN_BOTTOM
        painter.drawText(_MARGIN_LEFT, bottom + 14, f"{xs.min():g}")
        painter.drawText(self.width - _MARGIN_RIGHT - 40, bottom + 14, f"{xs.max():g}")
        painter.drawText(4, bottom, f"{ys.min():g}")
        painter.drawText(4, _MARGIN_TOP + 10, f"{ys.max():g}")
        painter.save()
        painter.translate(14, self.height / 2 + 60)
        painter.rotate(-90)
        painter.drawText(0, 0, chart.GetYAxisTitle() or "")
        painter.restore()


class qMRMLPlotWidget(cpp.base("qMRMLPlotWidget")):
    """A plot view with its bar."""

    def _attach(self, logic: Any, scene: Any, node: Any) -> None:
        view = qMRMLPlotView()
        self._fill(node, view, QtWidgets.QWidget(), node.GetLayoutLabel() or "P", "#dddddd")
        view.setMRMLScene(scene)
        view.setMRMLPlotViewNode(node)

    def mrmlPlotViewNode(self) -> Any:
        return self._d.node

    def plotView(self) -> Any:
        return self._d.view

    def plotController(self) -> Any:
        return self._d.controller

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._d.view.setMRMLPlotViewNode(node)


class qMRMLTableWidget(cpp.base("qMRMLTableWidget")):
    """A table view with its bar."""

    def _attach(self, logic: Any, scene: Any, node: Any) -> None:
        view = qMRMLTableView()
        self._fill(node, view, QtWidgets.QWidget(), node.GetLayoutLabel() or "T", "#dddddd")
        self._d.observers = Observers(self)
        self._d.observers.add(node, vtk.vtkCommand.ModifiedEvent, self._follow)
        self._follow()

    def _follow(self) -> None:
        self._d.view.setMRMLTableNode(self._d.node.GetTableNode())

    def mrmlTableViewNode(self) -> Any:
        return self._d.node

    def tableView(self) -> Any:
        return self._d.view
