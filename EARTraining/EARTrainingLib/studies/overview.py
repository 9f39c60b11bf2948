"""One picture of a study's table: means with their intervals, and the paper's values beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..evaluation.figures.sheet import METHOD_COLOURS, add_caption, house_style, save
from ..evaluation.tables import MISSING, heading

METRICS = ("mse", "dice", "fd_minmax", "assd_mm")

_PANEL = (1.75, 1.75)


def draw_overview(
    path: Path, summary: pd.DataFrame, names: Sequence[str], paper: Mapping[str, Mapping[str, float]], note: str
) -> None:
    """One panel per metric, runs from left to right.

    summary: lines of summarise for all vertebrae. note: ends the caption.
    """
    metrics = [metric for metric in METRICS if metric in set(summary["metric"])]
    with house_style():
        figure = Figure(figsize=(_PANEL[0] * len(metrics), _PANEL[1] + 0.6), facecolor="white")
        for axis, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            own = summary[summary["metric"] == metric].set_index("method")
            for x, name in enumerate(names):
                colour = METHOD_COLOURS[x % len(METHOD_COLOURS)]
                if name in own.index and np.isfinite(own.loc[name, "mean"]):
                    low, mean, high = (float(own.loc[name, column]) for column in ("low", "mean", "high"))
                    axis.plot([x - 0.12], [mean], "o", color=colour, ms=4)
                    if np.isfinite(low):
                        axis.plot([x - 0.12] * 2, [low, high], color=colour, lw=1.4)
                else:
                    axis.text(x - 0.12, 0.03, MISSING, transform=axis.get_xaxis_transform(), ha="center", size=6)
                if metric in paper.get(name, {}):
                    axis.plot([x + 0.2], [paper[name][metric]], "D", mfc="none", mec="#777777", mew=0.8, ms=3.5)
            axis.set_title(heading(metric))
            axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axis.set_xlim(-0.6, len(names) - 0.4)
            axis.grid(axis="y", color="#e4e4e4", lw=0.5)
            axis.set_axisbelow(True)
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1), w_pad=1.0)
        text = "Points: means over the test vertebrae, with 95 % intervals over patients. "
        text += "Open diamonds: the paper's values, from other data. " if paper else ""
        add_caption(figure, text + note)
        save(figure, path)
