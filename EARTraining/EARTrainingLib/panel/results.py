"""What `ear evaluate` found, as a table node: a row per model and part of the spine, a column per measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from EARReconstructionLib.scene.nodes import Node, Scene, add_node, all_or_nothing, find_node
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIntArray, vtkStringArray

RESULTS = "evaluation"

#: Measure of table.csv -> heading and factor; those that a reader looks at first. The files have all.
MEASURES = {
    "dice": ("Dice", 1),
    "assd_mm": ("ASSD (mm)", 1),
    "hd95_mm": ("HD95 (mm)", 1),
    "sde_rms_mm": ("RMS (mm)", 1),
    "nsd_1mm": ("≤ 1 mm (%)", 100),
    "nsd_2mm": ("≤ 2 mm (%)", 100),
    "psnr_hu4096": ("PSNR (dB)", 1),
    "ssim": ("SSIM", 1),
    "mae": ("MAE", 1),
    "mse": ("MSE", 1),
}

_FAR = float("nan")


def show_results(scene: Scene, lines: Iterable[Mapping[str, Any]]) -> Node:
    """Show the means in place of earlier ones; return the table's node.

    lines: those of table.csv, as `ear evaluate` tells them: scope, group, method, metric, n, mean ...
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        if line["scope"] in ("all", "region"):
            group = "all" if line["scope"] == "all" else line["group"]
            rows.setdefault((line["method"], group), {"n": 0})[line["metric"]] = line["mean"]
            rows[line["method"], group]["n"] = max(rows[line["method"], group]["n"], line["n"])
    with all_or_nothing(scene):
        table = find_node(scene, RESULTS) or add_node(scene, "vtkMRMLTableNode", "Evaluation", RESULTS)
        table.RemoveAllColumns()
        _add(table, vtkStringArray(), "Model", [method for method, _ in rows])
        _add(table, vtkStringArray(), "Vertebrae", [group for _, group in rows])
        _add(table, vtkIntArray(), "n", [row["n"] for row in rows.values()])
        for metric, (heading, factor) in MEASURES.items():
            means = [row.get(metric) for row in rows.values()]
            if any(mean is not None for mean in means):
                rounded = [_FAR if mean is None else round(factor * mean, 4) for mean in means]
                _add(table, vtkDoubleArray(), heading, rounded)
        table.SetUseColumnTitleAsColumnHeader(True)
    return table


def _add(table: Node, column: Any, name: str, values: Iterable[Any]) -> None:
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    table.AddColumn(column)
