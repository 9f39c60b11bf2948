"""Figure 5 of the paper: a whole spine, and vertebrae, from several sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from EARReconstructionLib.report.rendering import Studio, at_one_scale, distance_shading, framed

from ..prediction import Prediction
from .sheet import Sheet, house_style, letters, scale_bar, show
from .surfaces import MARGIN, TRUTH, distance_range_mm

#: Heading -> where the eye is: from the body, RAS.
SIDES = {
    "Front": (0.0, 1.0, 0.0),
    "Left side": (-1.0, 0.0, 0.0),
    "Back": (0.0, -1.0, 0.0),
    "Oblique": (-0.62, -0.70, 0.40),
}
FROM_ABOVE = {"Above": (0.0, 0.0, 1.0)}

_SPINE_CELL = (1.3, 2.5)


def draw_spine(path: Path, vertebrae: Sequence[Prediction], method: str, caption: str) -> None:
    """Rows: truth, reconstruction, distance to the truth; columns: sides. Every vertebra stands where it is (RAS).

    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """
    truth = [p.truth.surface for p in vertebrae]
    rebuilt = [p.surface for p in vertebrae if p.surface is not None]
    coloured = [p.coloured for p in vertebrae if p.coloured is not None]
    range_mm = distance_range_mm(list(vertebrae))
    with house_style():
        sheet = Sheet(3, list(SIDES), cell=_SPINE_CELL, label=0.32, legend=0.62, caption=caption)
        cameras = at_one_scale([framed(truth, towards, sheet.pixels) for towards in SIDES.values()])
        with Studio(sheet.pixels) as studio:
            for column, camera in enumerate(cameras):
                for row, surfaces in enumerate((truth, rebuilt, coloured)):
                    axis = sheet.axis(row, column)
                    show(axis, studio.picture(surfaces, camera, distance_shading(range_mm) if row == 2 else None))
                    if row == 0:
                        letters(axis, camera.letters)
                    if row == column == 0:
                        scale_bar(axis, camera.height_mm * _SPINE_CELL[0] / _SPINE_CELL[1])
        for row, label in enumerate((TRUTH, method, f"{method}, distance")):
            sheet.label(row, label)
        sheet.distance_bar(range_mm)
        sheet.save(path)


def draw_vertebrae(path: Path, examples: Mapping[str, Prediction], method: str, caption: str) -> None:
    """Rows: truth and reconstruction of each vertebra; columns: sides. examples: row label -> prediction.

    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """
    sides = {**SIDES, **FROM_ABOVE}
    with house_style():
        sheet = Sheet(2 * len(examples), list(sides), caption=caption)
        places = [(n, column) for n in range(len(examples)) for column in range(len(sides))]
        towards, shown = list(sides.values()), list(examples.values())
        cameras = at_one_scale(
            [framed([shown[n].truth.surface], towards[column], sheet.pixels, MARGIN) for n, column in places]
        )
        with Studio(sheet.pixels) as studio:
            for (n, column), camera in zip(places, cameras, strict=True):
                for row, surface in enumerate((shown[n].truth.surface, shown[n].surface)):
                    axis = sheet.axis(2 * n + row, column)
                    show(axis, studio.picture([] if surface is None else [surface], camera))
                    if row == 0:
                        letters(axis, camera.letters)
                    if n == row == column == 0:
                        scale_bar(axis, camera.height_mm * sheet.pixels[0] / sheet.pixels[1])
        for n, label in enumerate(examples):
            for row, name in enumerate((TRUTH, method)):
                sheet.label(2 * n + row, f"{label}\n{name}")
            if n:
                sheet.rule(2 * n)
        sheet.save(path)
