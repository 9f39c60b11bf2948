"""Training and validation loss as nodes: a table with a row per epoch, one with points within epochs, and a chart."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from EARReconstructionLib.scene.nodes import Node, Scene, add_node, all_or_nothing, find_node
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk

#: Kinds of our nodes.
EPOCHS, STEPS, CHART, SERIES = "training epochs", "training steps", "training chart", "training series"

#: Column of history.csv -> its name in the table.
COLUMNS = {
    "epoch": "Epoch",
    "train_loss": "Training loss",
    "val_loss": "Validation loss",
    "val_dice": "Validation Dice",
}

#: Points of the curve within epochs; when there are twice as many, pairs become their means.
MOST_POINTS = 400

#: Name of the curve within epochs.
_WITHIN = "Training loss, steps"

_COLOURS = {_WITHIN: (0.72, 0.78, 0.86), "Training loss": (0.20, 0.40, 0.75), "Validation loss": (0.90, 0.55, 0.15)}


class StepCurve:
    """Loss against epochs, of the steps told so far, thinned so that the longest run stays quick to draw."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self._each, self._sum = 1, np.zeros(3)

    def add(self, epoch: float, loss: float) -> None:
        """One step. epoch: 2.5 in the middle of the third."""
        self._sum += (epoch, loss, 1)
        if self._sum[2] < self._each:
            return
        self.points.append((float(self._sum[0] / self._sum[2]), float(self._sum[1] / self._sum[2])))
        self._sum[:] = 0
        if len(self.points) == 2 * MOST_POINTS:
            pairs = np.array(self.points).reshape(-1, 2, 2).mean(1)
            self.points, self._each = [(float(x), float(y)) for x, y in pairs], 2 * self._each


def read_history(folder: Path) -> dict[str, list[float]]:
    """The columns of a run's history.csv, by the names of COLUMNS; empty lists before its first epoch.

    A line that is being written is left out.
    """
    path = folder / "history.csv"
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS.values()}
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        for key, name in COLUMNS.items():
            columns[name].append(float(row[key]))
    return columns


def show_curves(scene: Scene, history: dict[str, list[float]], steps: Sequence[tuple[float, float]] = ()) -> Node:
    """Show the curves of a run in place of earlier ones; return the chart's node.

    history: as read_history gives it. steps: (epoch, loss) within epochs.
    """
    with all_or_nothing(scene):
        epochs = _table(scene, "Training by epoch", EPOCHS)
        _fill(epochs, {name: np.array(values, float) for name, values in history.items()})
        points = np.array(steps, float).reshape(-1, 2)
        within = _table(scene, "Training by step", STEPS)
        _fill(within, {"Epoch": points[:, 0], _WITHIN: points[:, 1]})
        chart = find_node(scene, CHART)
        if chart is None:
            chart = add_node(scene, "vtkMRMLPlotChartNode", "Training", CHART)
            chart.SetTitle("Loss")
            chart.SetXAxisTitle("epoch")
            chart.SetYAxisTitle("loss")
            chart.SetLegendVisibility(True)
            for name, colour in _COLOURS.items():
                table = within if name == _WITHIN else epochs
                chart.AddAndObservePlotSeriesNodeID(_series(scene, table, name, colour).GetID())
        chart.Modified()  # its view does not look at the tables
    return chart


def _table(scene: Scene, name: str, kind: str) -> Node:
    table = find_node(scene, kind) or add_node(scene, "vtkMRMLTableNode", name, kind)
    table.RemoveAllColumns()
    return table


def _fill(table: Node, columns: dict[str, NDArray[np.float64]]) -> None:
    for name, values in columns.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        table.AddColumn(array)
    table.SetUseColumnTitleAsColumnHeader(True)


def _series(scene: Scene, table: Node, name: str, colour: tuple[float, float, float]) -> Node:
    series = add_node(scene, "vtkMRMLPlotSeriesNode", name, SERIES)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("Epoch")
    series.SetYColumnName(name)
    series.SetPlotType(series.PlotTypeScatter)
    within = name == _WITHIN
    series.SetMarkerStyle(series.MarkerStyleNone if within else series.MarkerStyleCircle)
    series.SetMarkerSize(5)
    series.SetLineWidth(1 if within else 2)
    series.SetColor(*colour)
    return series
