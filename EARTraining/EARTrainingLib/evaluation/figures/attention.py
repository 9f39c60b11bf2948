"""Figure 9 of the paper: the network's edge attention over slices, beside the edges of the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from ...losses import edge_map, edge_scale
from ..prediction import Prediction
from .sheet import Sheet, house_style
from .slices import SLICE_CELL, Plane, Window, draw_slice, mark

#: Heading -> plane and share of the vertebra's extent at which it is cut.
CUTS: dict[str, tuple[Plane, float]] = {
    "Axial, 25 %": ("axial", 0.25),
    "Axial, 50 %": ("axial", 0.5),
    "Axial, 75 %": ("axial", 0.75),
    "Coronal, 75 %": ("coronal", 0.75),
    "Sagittal, 50 %": ("sagittal", 0.5),
}

#: What a CT of bone is looked at with, HU.
BONE_WINDOW = (-400.0, 1000.0)


def draw_attention(
    path: Path, predictions: Mapping[str, Prediction], hu_statistics: tuple[float, float], caption: str
) -> None:
    """Rows: the truth, its edges (eq. 6's soft Sobel), and the edge attention of each method that has one.

    predictions: method -> prediction of the same vertebra, all with edges. hu_statistics: of the z-score.
    """
    truth = next(iter(predictions.values())).truth
    window = Window.around(truth)
    colours = matplotlib.colormaps["magma"]
    rows: dict[str, tuple[NDArray[np.float32], Colormap, tuple[float, float]]] = {
        "Truth": (truth.volume_hu, matplotlib.colormaps["gray"], BONE_WINDOW),
        "Edges of the truth": (true_edges(truth.volume_hu, hu_statistics), colours, (0, 1)),
    }
    for method, prediction in predictions.items():
        assert prediction.edges is not None
        rows[f"Attention of {method}"] = (prediction.edges, colours, (0, 1))
    with house_style():
        sheet = Sheet(len(rows), list(CUTS), cell=SLICE_CELL, label=0.3, legend=0.62, caption=caption)
        for row, (label, (volume, colour, (low, high))) in enumerate(rows.items()):
            sheet.label(row, label)
            for column, (plane, share) in enumerate(CUTS.values()):
                axis = sheet.axis(row, column)
                draw_slice(axis, volume, window, plane, window.index(plane, share), cmap=colour, vmin=low, vmax=high)
                if row == 0:
                    mark(axis, window, plane)
        sheet.colour_bar(colours, 0, 1, "Edge probability (rows below the truth)")
        sheet.save(path)


def true_edges(volume_hu: NDArray[np.float32], hu_statistics: tuple[float, float]) -> NDArray[np.float32]:
    """The edge map E(G) of a volume in HU, (k, j, i) in (0, 1), scaled by its own gradients."""
    mean, sd = hu_statistics
    z_scored = torch.from_numpy((volume_hu - mean) / sd).float()[None, None]
    edges: NDArray[np.float32] = edge_map(z_scored, edge_scale(z_scored))[0, 0].numpy()
    return edges
