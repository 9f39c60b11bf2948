"""The tables of the report, and the few numbers that stand above them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..colours import level_colour
from ..comparison import Comparison
from ..expected_error import EXPECTED_ERROR
from ..results import Result
from .surfaces import expecting
from .svg import css_colour, escaped, number

if TYPE_CHECKING:  # torch stands behind it
    from ..reconstruction import Reconstruction

#: Key of Comparison.to_dict -> heading, digits.
COLUMNS = {
    "dice": ("Dice", 3),
    "assd_mm": ("ASSD", 2),
    "rms_mm": ("RMS", 2),
    "hd95_mm": ("HD95", 2),
    "hd_mm": ("HD", 2),
    "mean_signed_mm": ("Mean signed", 2),
}


def distance_table(comparisons: Sequence[Comparison]) -> str:
    """A row per level and their mean, mm; the worst of each column is bold."""
    rows = [one.to_dict() for one in comparisons]
    worst = {name: max(range(len(rows)), key=lambda n: _badness(name, rows[n][name])) for name in COLUMNS}
    body = []
    for n, row in enumerate(rows):
        marks = {name: ' class="worst"' if len(rows) > 2 and worst[name] == n else "" for name in COLUMNS}
        cells = (f"<td{mark}>{_said(name, row[name])}</td>" for name, mark in marks.items())
        body.append(f"<tr>{_level(row['level'])}{''.join(cells)}</tr>")
    if len(rows) > 1:
        means = (f"<td>{_said(name, float(np.mean([row[name] for row in rows])))}</td>" for name in COLUMNS)
        body.append(f'<tr class="mean"><th scope="row">Mean</th>{"".join(means)}</tr>')
    return _table("distances", ["Level", *(heading for heading, _ in COLUMNS.values())], body)


def vertebra_table(result: Result) -> str:
    """What is known of each rebuilt vertebra without a reference: where it is, how large, how much bone.

    Where errors were asked for, also how far off its surface is expected to be: on average, and its worst twentieth.
    """
    expected = {n: vtk_to_numpy(s.GetPointData().GetArray(EXPECTED_ERROR)) for n, s in expecting(result).items()}
    body = []
    for one in result.reconstructions:
        surface = result.surfaces.get(one.roi.level)
        extent = "no bone" if surface is None else _times(np.ptp(np.reshape(surface.GetBounds(), (3, 2)), axis=1))
        centre = ", ".join(number(x, 0) for x in one.roi.centre_ras_mm)
        cells = [centre, _times(one.roi.size_mm), extent, number(_volume_ml(one), 1)]
        if expected:
            mm = expected.get(one.roi.level)
            cells += ["", ""] if mm is None else [number(mm.mean(), 1), number(np.percentile(mm, 95), 1)]
        body.append(f"<tr>{_level(one.roi.level)}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return _table(
        "vertebrae",
        ["Level", "Centre R, A, S", "Box R \N{MULTIPLICATION SIGN} A \N{MULTIPLICATION SIGN} S",
         "Rebuilt R \N{MULTIPLICATION SIGN} A \N{MULTIPLICATION SIGN} S", "Bone, ml",
         *(["Expected error", "95 % below"] if expected else [])],
        body,
    )  # fmt: skip


def key_figures(comparisons: Sequence[Comparison]) -> str:
    """What a reader wants to know first."""
    worst = max(comparisons, key=lambda one: one.error.hd_mm)
    side = "inside" if worst.error.worst_signed_mm < 0 else "outside"
    figures = {
        "ASSD, average distance": f"{number(_mean(one.error.assd_mm for one in comparisons))} mm",
        "HD95, 95 % lie within": f"{number(_mean(one.error.hd95_mm for one in comparisons))} mm",
        "Dice, overlap": number(_mean(one.dice for one in comparisons), 3),
        f"worst point, {worst.level}, {side}": f"{number(worst.error.hd_mm)} mm",
    }
    return (
        '<dl class="figures">'
        + "".join(f"<div><dd>{escaped(value)}</dd><dt>{escaped(name)}</dt></div>" for name, value in figures.items())
        + "</dl>"
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _badness(name: str, value: float) -> float:
    return -value if name == "dice" else abs(value)


def _said(name: str, value: float) -> str:
    return number(value, COLUMNS[name][1], sign=name == "mean_signed_mm")


def _level(level: str) -> str:
    colour = css_colour(level_colour(level))
    return f'<th scope="row"><i style="background:{colour}"></i>{escaped(level)}</th>'


def _times(sizes: Iterable[float]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(number(size, 0) for size in sizes)


def _volume_ml(one: Reconstruction) -> float:
    return float(one.mask.sum() * abs(np.linalg.det(one.ras_from_ijk[:3, :3])) / 1000)


def _table(kind: str, headings: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escaped(heading)}</th>' for heading in headings)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
