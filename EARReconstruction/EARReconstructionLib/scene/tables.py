"""Numbers of a comparison as nodes: a table of statistics, and a histogram with its chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkStringArray

from .folders import file_under
from .layouts import NUMBERS_TAG
from .nodes import Node, Scene, add_node, all_or_nothing, find_node, find_nodes, remove_nodes

if TYPE_CHECKING:
    from ..comparison import Comparison

STATISTICS, HISTOGRAM, SERIES, CHART = "statistics", "histogram", "series", "chart"

#: Colours of the two directions in the chart.
_COLOURS = {"to the reference": (0.20, 0.40, 0.75), "to the reconstruction": (0.90, 0.55, 0.15)}


def show_statistics(scene: Scene, comparisons: Sequence[Comparison], run: str) -> Node:
    """A table with a row per vertebra, lengths in mm, to three decimals; return its node. It replaces an earlier one.

    The first columns are those of SurfaceError, weighted by area over both surfaces. Those "to the reference" are over
    the points of the reconstruction, those "to the reconstruction" over the points of the reference.
    """
    columns: dict[str, list[float]] = {}
    for one in comparisons:
        for name, value in _row(one).items():
            columns.setdefault(name, []).append(value)
    with all_or_nothing(scene):
        table = _table(scene, f"Distances {run}", STATISTICS, run)
        levels = vtkStringArray()
        levels.SetName("Level")
        for one in comparisons:
            levels.InsertNextValue(one.level)
        table.AddColumn(levels)
        _fill(table, {name: np.round(values, 3) for name, values in columns.items()})
        table.SetUseColumnTitleAsColumnHeader(True)
    return table


def show_histogram(
    scene: Scene, comparisons: Sequence[Comparison], run: str, range_mm: float = 4.0, bins: int = 40
) -> Node:
    """A histogram of the signed distances of all vertebrae, both directions, as a chart; return the chart's node.

    range_mm: from minus to plus this; what lies beyond counts in the outermost bins. Shares are percent of points.
    """
    edges = np.linspace(-range_mm, range_mm, bins + 1)
    signed = {
        "to the reference": [one.error.signed_mm for one in comparisons],
        "to the reconstruction": [one.error.reference_signed_mm for one in comparisons],
    }
    with all_or_nothing(scene):
        table = _table(scene, f"Histogram {run}", HISTOGRAM, run)
        _fill(
            table,
            {
                "Signed distance (mm)": (edges[:-1] + edges[1:]) / 2,
                **{name: _shares(np.concatenate(values), edges) for name, values in signed.items()},
            },
        )
        chart = find_node(scene, CHART, run=run)
        if chart is None:
            chart = add_node(scene, "vtkMRMLPlotChartNode", f"Distances {run}", CHART, run=run)
            file_under(scene, chart, run)
            for name, colour in _COLOURS.items():
                chart.AddAndObservePlotSeriesNodeID(_series(scene, table, name, colour, run).GetID())
        chart.SetTitle("Signed distance: red side inside the reference, blue side outside")
        chart.SetXAxisTitle("mm")
        chart.SetYAxisTitle("share of points (%)")
        chart.SetLegendVisibility(True)
    return chart


def show_numbers(scene: Scene, run: str) -> None:
    """Show the histogram and the statistics of a run in the views of the layout; nothing where it has none."""
    for view_class, kind, setter in (
        ("vtkMRMLPlotViewNode", CHART, "SetPlotChartNodeID"),
        ("vtkMRMLTableViewNode", STATISTICS, "SetTableNodeID"),
    ):
        view, node = scene.GetSingletonNode(NUMBERS_TAG, view_class), find_node(scene, kind, run=run)
        if view is not None:
            getattr(view, setter)(node.GetID() if node else None)


def remove_tables(scene: Scene, run: str) -> None:
    """Remove the tables and the chart of a run."""
    kinds = (CHART, SERIES, HISTOGRAM, STATISTICS)
    remove_nodes(scene, [node for kind in kinds for node in find_nodes(scene, kind, run=run)])


def _row(one: Comparison) -> dict[str, float]:
    error = one.error
    row = {
        "Dice": one.dice,
        "ASSD (mm)": error.assd_mm,
        "RMS (mm)": error.rms_mm,
        "HD95 (mm)": error.hd95_mm,
        "HD (mm)": error.hd_mm,
        "Mean signed (mm)": error.mean_signed_mm,
        "Within 1 mm (%)": 100 * error.nsd_1mm,
        "Within 2 mm (%)": 100 * error.nsd_2mm,
    }
    for name, signed in (("reference", error.signed_mm), ("reconstruction", error.reference_signed_mm)):
        row |= {
            f"Mean to the {name} (mm)": float(np.abs(signed).mean()),
            f"Most inside, to the {name} (mm)": float(signed.min()),
            f"Most outside, to the {name} (mm)": float(signed.max()),
        }
    return row


def _shares(signed: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(np.clip(signed, edges[0], edges[-1]), edges)
    return 100 * counts / max(len(signed), 1)


def _table(scene: Scene, name: str, kind: str, run: str) -> Node:
    """The empty table of this kind and run."""
    table = find_node(scene, kind, run=run)
    if table is None:
        table = add_node(scene, "vtkMRMLTableNode", name, kind, run=run)
        file_under(scene, table, run)
    table.RemoveAllColumns()
    return table


def _fill(table: Node, columns: dict[str, NDArray[np.float64]]) -> None:
    for name, values in columns.items():
        array = numpy_to_vtk(np.asarray(values, float), deep=True)
        array.SetName(name)
        table.AddColumn(array)


def _series(scene: Scene, table: Node, name: str, colour: tuple[float, float, float], run: str) -> Node:
    series = add_node(scene, "vtkMRMLPlotSeriesNode", name, SERIES, run=run)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("Signed distance (mm)")
    series.SetYColumnName(name)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleNone)
    series.SetLineWidth(2)
    series.SetColor(*colour)
    file_under(scene, series, run)
    return series
