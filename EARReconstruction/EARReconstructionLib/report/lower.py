"""The lower half of the page: distances to the reference, or without one what is known of each vertebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..results import Result
from .chart import SCALE_MM, draw_histogram, draw_scale
from .layout import CAPTION_MM, GAP_MM
from .parts import notes_height, notes_list
from .style import WIDTH_MM
from .surfaces import Drawn, expecting
from .svg import escaped
from .tables import distance_table, key_figures, vertebra_table

#: Heights on paper, mm: heading, key figures, head of a table, words below it, its rows from narrow to wide.
_HEADING_MM, _FIGURES_MM, _TABLE_HEAD_MM, _WORDS_MM, _ROW_MM = 6.0, 14.0, 5.4, 4.4, (3.9, 5.0, 6.2)

#: A table of more rows may have narrow ones.
_FEW_ROWS = 10

#: With a reference, mm: range of the left column's width, gap between the columns, least height of the heat maps, range
#: of the histogram's height.
_LEFT_MM, _COLUMN_GAP_MM, _HEAT_MM, _CHART_MM = (72.0, 88.0), 7.0, 50.0, (31.0, 60.0)

#: Least and greatest height that is kept for notes, mm, and that of this part with them: of more notes, only as many as
#: there is room for are shown.
_NOTES_MM, _ALL_MM = (10.5, 36.0), 126.0


@dataclass(frozen=True)
class Lower:
    """A part of the page. least_mm: the height it needs. html: made for a height. areas_mm2: of its pictures then."""

    least_mm: float
    html: Callable[[float], str]
    areas_mm2: Callable[[float], list[float]]


def measured(result: Result, heat: Sequence[Drawn], notes: Sequence[str], range_mm: float) -> Lower:
    """Heat maps, if they are not elsewhere, over their histogram at the left; at the right the table per level.

    The notes are where there is more room: below the table beside heat maps, else below the histogram.
    """
    comparisons = result.comparisons
    count = len(comparisons) + (len(comparisons) > 1)
    head_mm = _HEADING_MM + _FIGURES_MM
    table_mm = _TABLE_HEAD_MM + _WORDS_MM + count * _least_row(count)
    notes_mm = _for_notes(notes, _LEFT_MM[0], head_mm + (table_mm if heat else _CHART_MM[0]))
    if heat:
        body_mm = max(_HEAT_MM + CAPTION_MM + _CHART_MM[0], table_mm + notes_mm)
    else:
        body_mm = max(table_mm, _CHART_MM[0] + notes_mm)

    def html(height_mm: float) -> str:
        inside = max(height_mm - head_mm, body_mm)
        left, tall = _heat_size(heat, inside)
        right = WIDTH_MM - left - _COLUMN_GAP_MM
        chart_mm = _CHART_MM[0] if heat else min(inside - notes_mm, _CHART_MM[1])
        chart = draw_histogram(comparisons, range_mm, left, chart_mm)
        row = _row_mm(count, inside - _TABLE_HEAD_MM - _WORDS_MM - (notes_mm if heat else 0))
        words = (
            notes_list(notes, right, inside - _TABLE_HEAD_MM - _WORDS_MM - count * row)
            if heat
            else notes_list(notes, left, inside - chart_mm)
        )
        of = f" <span>means of {len(comparisons)} vertebrae</span>" if len(comparisons) > 1 else ""
        return (
            f"<h2>Distance to the reference{of}</h2>{key_figures(comparisons)}"
            f'<div class="measured"><div style="width:{left:.2f}mm">{_heat_maps(heat, tall)}{chart}'
            f"{'' if heat else words}</div>"
            f'<div style="--row:{row:.2f}mm">{distance_table(comparisons)}<p class="words">{_SIGN}</p>'
            f"{words if heat else ''}</div></div>"
        )

    def areas_mm2(height_mm: float) -> list[float]:
        _, tall = _heat_size(heat, max(height_mm - head_mm, body_mm))
        return [tall**2 * drawn.aspect for drawn in heat]

    return Lower(head_mm + body_mm, html, areas_mm2)


#: Below the table of distances.
_SIGN = "In mm, both directions. Below zero: inside the reference, bone missing."


def listed(result: Result, notes: Sequence[str]) -> Lower:
    """The table of the vertebrae over the notes, both as wide as the page."""
    count = len(result.reconstructions)
    scale, words = "", "Lengths in mm. Rebuilt: extent of the rebuilt surface along R, A and S."
    if expecting(result):
        scale = draw_scale()
        words += " Expected error: mean, and what 95 % of it stay below."
    around_mm = _HEADING_MM + _TABLE_HEAD_MM + _WORDS_MM + (SCALE_MM if scale else 0)
    notes_mm = _for_notes(notes, WIDTH_MM, around_mm + count * _least_row(count))

    def html(height_mm: float) -> str:
        row = _row_mm(count, height_mm - around_mm - notes_mm)
        return (
            f'<h2>Rebuilt vertebrae</h2><div style="--row:{row:.2f}mm">{vertebra_table(result)}</div>'
            f'<p class="words">{words}</p>{scale}'
            f"{notes_list(notes, WIDTH_MM, height_mm - around_mm - count * row)}"
        )

    return Lower(around_mm + count * _least_row(count) + notes_mm, html, lambda _: [])


def _for_notes(notes: Sequence[str], width_mm: float, others_mm: float) -> float:
    """The height kept for notes where other things have ``others_mm``."""
    least, most = _NOTES_MM
    return min(notes_height(notes, width_mm), most, max(_ALL_MM - others_mm, least))


def _least_row(count: int) -> float:
    return _ROW_MM[0] if count > _FEW_ROWS else _ROW_MM[1]


def _row_mm(count: int, room_mm: float) -> float:
    """Rows that fill the room, within reason."""
    return min(max(room_mm / max(count, 1), _least_row(count)), _ROW_MM[2])


def _heat_size(heat: Sequence[Drawn], inside_mm: float) -> tuple[float, float]:
    """Width of the left column and height of its heat maps, mm."""
    if not heat:
        return _LEFT_MM[0], 0.0
    aspects, gaps = sum(drawn.aspect for drawn in heat), GAP_MM * (len(heat) - 1)
    tall = min(inside_mm - _CHART_MM[0] - CAPTION_MM, (_LEFT_MM[1] - gaps) / aspects)
    return max(aspects * tall + gaps, _LEFT_MM[0]), tall


def _heat_maps(heat: Sequence[Drawn], tall: float) -> str:
    figures = "".join(
        f"<figure><figcaption>{escaped(drawn.title)}</figcaption>{drawn.svg(drawn.aspect * tall)}</figure>"
        for drawn in heat
    )
    return f'<div class="columns">{figures}</div>' if heat else ""
