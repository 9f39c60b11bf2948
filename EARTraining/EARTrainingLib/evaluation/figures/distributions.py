"""How the values of a metric lie: a box over vertebrae and a point for each patient, method by method."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..tables import HEADLINES, heading
from .sheet import METHOD_COLOURS, add_caption, house_style, save

_COLUMNS = 4
_PANEL = (1.75, 1.55)

#: Names of so many letters together stand side by side below a panel; more would overlap.
_LETTERS = 16


def draw_distributions(path: Path, rows: pd.DataFrame, caption: str) -> None:
    """One panel per headline metric. rows: as evaluate returns them."""
    metrics = [m for group in HEADLINES.values() for m in group if m in rows]
    methods = list(rows["method"].unique())
    slanted = sum(map(len, methods)) > _LETTERS
    with house_style():
        height = math.ceil(len(metrics) / _COLUMNS)
        figure = Figure(figsize=(_PANEL[0] * _COLUMNS, _PANEL[1] * height + 0.2), facecolor="white")
        axes = figure.subplots(height, _COLUMNS, squeeze=False).ravel()
        for axis, metric in zip(axes, metrics, strict=False):
            for n, method in enumerate(methods):
                own = rows[rows["method"] == method]
                finite = own[np.isfinite(own[metric])]
                colour = METHOD_COLOURS[n % len(METHOD_COLOURS)]
                if finite.empty:
                    continue
                axis.boxplot(
                    finite[metric],
                    positions=[n],
                    widths=0.6,
                    showfliers=False,
                    medianprops={"color": colour, "lw": 1.4},
                    boxprops={"color": "#555555", "lw": 0.7},
                    whiskerprops={"color": "#555555", "lw": 0.7},
                    capprops={"color": "#555555", "lw": 0.7},
                )
                patients = finite.groupby("patient")[metric].mean()
                across = n + np.linspace(-0.22, 0.22, len(patients)) if len(patients) > 1 else [n]
                axis.scatter(across, patients, s=7, color=colour, alpha=0.75, lw=0, zorder=3)
            axis.set_title(heading(metric))
            axis.set_xticks(range(len(methods)), methods, rotation=30 * slanted, ha="right" if slanted else "center")
            axis.set_xlim(-0.6, len(methods) - 0.4)
        for axis in axes[len(metrics) :]:
            axis.set_axis_off()
        figure.tight_layout(rect=(0, 0.2 / figure.get_figheight(), 1, 1), h_pad=1.2, w_pad=1.0)
        add_caption(figure, caption)
        save(figure, path)
