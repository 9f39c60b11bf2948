"""Curves and maps over the angle between the X-rays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..evaluation.figures.sheet import METHOD_COLOURS, add_caption, house_style, save
from ..evaluation.tables import heading
from ..metrics import METRICS

_LINES = (("-", "o"), ("-", "s"), ("--", "^"))


def draw_curves(path: Path, lines: pd.DataFrame, metrics: Sequence[str], note: str) -> None:
    """One panel per metric, one curve per method of ``lines`` (summarise with angle_deg), with its interval as band."""
    with house_style():
        figure = Figure(figsize=(3.3 * len(metrics), 3.1), facecolor="white")
        for axis, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            chosen = lines[lines["metric"] == metric].sort_values("angle_deg")
            for n, method in enumerate(lines["method"].unique()):
                own = chosen[chosen["method"] == method]
                colour, (style, marker) = METHOD_COLOURS[n], _LINES[n % len(_LINES)]
                x = own["angle_deg"]
                axis.plot(x, own["mean"], style, marker=marker, ms=3.5, color=colour, lw=1.3, label=method)
                axis.fill_between(x, own["low"], own["high"], color=colour, alpha=0.15, lw=0)
            axis.set_xticks(sorted(chosen["angle_deg"].unique()))
            axis.set_xlabel("Angle between the X-rays [°]")
            axis.set_ylabel(heading(metric))
            axis.grid(color="#e4e4e4", lw=0.5)
            axis.set_axisbelow(True)
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1 - 0.25 / figure.get_figheight()), w_pad=1.5)
        add_caption(figure, f"Means over the test vertebrae; bands: 95 % intervals over patients. {note}")
        save(figure, path)


def draw_matrix(path: Path, lines: pd.DataFrame, models: Sequence[str], metrics: Sequence[str], note: str) -> None:
    """One map per metric: a row for each model, a column for each angle that it was tested at, with the mean in it."""
    angles = sorted(lines["angle_deg"].unique())
    width, height = 0.45 * len(angles) + 1.5, 0.32 * len(models) + 1.35
    with house_style():
        figure = Figure(figsize=(max(width, 2.4) * len(metrics), height), facecolor="white")
        for axis, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            table = lines[lines["metric"] == metric].pivot(index="method", columns="angle_deg", values="mean")
            values = table.loc[list(models), angles].to_numpy(float)
            better = METRICS[metric][2]
            shown = axis.imshow(values, cmap="cividis" if better == "higher" else "cividis_r", aspect="auto")
            for (row, column), value in np.ndenumerate(values):
                dark = np.isfinite(value) and shown.norm(value) < 0.5
                colour = "white" if dark == (better == "higher") else "black"
                axis.text(column, row, f"{value:.2f}", ha="center", va="center", size=6, color=colour)
            axis.set_xticks(range(len(angles)), [f"{angle}°" for angle in angles])
            axis.set_yticks(range(len(models)), models)
            axis.tick_params(length=0)
            axis.set_xlabel("tested at")
            axis.set_ylabel("trained at")
            axis.set_title(heading(metric))
            for spine in axis.spines.values():
                spine.set_visible(False)
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1), w_pad=1.5)
        add_caption(figure, f"Means over the test vertebrae; lighter is better. {note}")
        save(figure, path)
