"""Figures 6 and 7 of the paper: rebuilt surfaces beside the truth, and how far they are from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from EARReconstructionLib.report.rendering import Camera, Shading, Studio, at_one_scale, distance_shading, framed
from matplotlib.axes import Axes
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..prediction import Prediction, Truth
from .sheet import Sheet, house_style, letters, round_up, scale_bar, show

#: Where the eye is: from the body, RAS.
OBLIQUE = {"front": (0.62, 0.70, 0.40), "back": (-0.62, -0.70, 0.40)}

TRUTH = "Truth"

#: Room around the truth, as a share of it: a reconstruction may be larger.
MARGIN = 0.1

#: Number of a row, its truth, its predictions by method, and its camera.
_Row = tuple[int, Truth, Mapping[str, Prediction], Camera]

#: Share of a prediction's distances that a legend's range holds.
_SHOWN = 0.95


def draw_reconstructions(path: Path, examples: Mapping[str, Mapping[str, Prediction]], caption: str) -> None:
    """Rows: vertebrae from two sides; columns: truth and methods. examples: row label -> method -> prediction.

    One camera for a row, one scale for all.
    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """
    with house_style():
        sheet = _sheet(examples, caption, legend=0.0)
        with Studio(sheet.pixels) as studio:
            for row, truth, cells, camera in _rows(examples, sheet):
                _truth(sheet, studio, row, truth, camera)
                for column, prediction in enumerate(cells.values(), 1):
                    _cell(sheet, studio, row, column, prediction.surface, camera, None)
        sheet.save(path)


def draw_distances(
    path: Path,
    examples: Mapping[str, Mapping[str, Prediction]],
    assd_mm: Mapping[tuple[str, str], float],
    caption: str,
) -> None:
    """The same with every reconstruction coloured by its signed distance to the truth, and one legend in mm.

    assd_mm: (method, id of the vertebra) -> what is written beside it.
    """
    shading = distance_shading(distance_range_mm([p for cells in examples.values() for p in cells.values()]))
    with house_style():
        sheet = _sheet(examples, caption, legend=0.62)
        with Studio(sheet.pixels) as studio:
            for row, truth, cells, camera in _rows(examples, sheet):
                _truth(sheet, studio, row, truth, camera)
                for column, (method, prediction) in enumerate(cells.items(), 1):
                    axis = _cell(sheet, studio, row, column, prediction.coloured, camera, shading)
                    assd = assd_mm[method, truth.row.id]
                    if row % len(OBLIQUE) == 0 and np.isfinite(assd):
                        said = f"ASSD {assd:.2f} mm"
                        axis.text(0.98, 0.98, said, transform=axis.transAxes, ha="right", va="top", size=6)
        sheet.distance_bar(shading.high_mm)
        sheet.save(path)


def distance_range_mm(predictions: list[Prediction]) -> float:
    """The range of a common legend: a round number of mm that holds nearly all distances of the middle prediction.

    Not of all together: one that failed would bleach the others.
    """
    far = [np.quantile(np.abs(p.error.signed_mm), _SHOWN) for p in predictions if p.error is not None]
    return round_up(max(float(np.median(far)), 1.0)) if far else 1.0


def _sheet(examples: Mapping[str, Mapping[str, Prediction]], caption: str, legend: float) -> Sheet:
    methods = list(next(iter(examples.values())))
    sheet = Sheet(len(OBLIQUE) * len(examples), [TRUTH, *methods], legend=legend, caption=caption)
    for n, label in enumerate(examples):
        sheet.label(n * len(OBLIQUE), label, rows=len(OBLIQUE))
        if n:
            sheet.rule(n * len(OBLIQUE))
    return sheet


def _rows(examples: Mapping[str, Mapping[str, Prediction]], sheet: Sheet) -> list[_Row]:
    rows = [
        (truth, cells, framed([truth.surface], towards, sheet.pixels, MARGIN))
        for cells in examples.values()
        for truth in [next(iter(cells.values())).truth]
        for towards in OBLIQUE.values()
    ]
    cameras = at_one_scale([camera for *_, camera in rows])
    return [(n, truth, cells, camera) for n, ((truth, cells, _), camera) in enumerate(zip(rows, cameras, strict=True))]


def _truth(sheet: Sheet, studio: Studio, row: int, truth: Truth, camera: Camera) -> None:
    axis = _cell(sheet, studio, row, 0, truth.surface, camera, None)
    letters(axis, camera.letters)
    if row == 0:  # one scale for all rows
        scale_bar(axis, camera.height_mm * sheet.pixels[0] / sheet.pixels[1])


def _cell(
    sheet: Sheet,
    studio: Studio,
    row: int,
    column: int,
    surface: vtkPolyData | None,
    camera: Camera,
    shading: Shading | None,
) -> Axes:
    axis = sheet.axis(row, column)
    show(axis, studio.picture([] if surface is None else [surface], camera, shading))
    if surface is None:
        axis.text(0.5, 0.5, "no bone", transform=axis.transAxes, ha="center", va="center", color="#888888")
    return axis
