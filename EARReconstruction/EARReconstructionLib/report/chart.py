"""What the colours of surfaces mean: a histogram of signed distances over theirs, and a scale of expected errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..colours import RANGE_MM, distance_colours, error_colours
from ..comparison import Comparison
from .svg import css_colour, number, text

_BINS = 40

#: Rows of the chart, mm on paper: bars, colours, ticks and their numbers, what the ends mean.
_COLOURS_MM, _TICKS_MM, _WORDS_MM = 2.4, 4.2, 3.4
_SIZE = 2.5
_SIDE = 4.0

#: Height on paper of the scale of expected errors, with the gap above it; its width, and its steps.
SCALE_MM, _SCALE_WIDTH_MM, _SCALE_STEPS = 8.6, 64.0, 40


def shares(comparisons: Sequence[Comparison], range_mm: float, bins: int = _BINS) -> NDArray[np.float64]:
    """(bins,) percent of the points of both surfaces from - to + ``range_mm``; what lies beyond is in the last bins."""
    signed = np.concatenate([d for one in comparisons for d in (one.error.signed_mm, one.error.reference_signed_mm)])
    counts, _ = np.histogram(np.clip(signed, -range_mm, range_mm), bins, (-range_mm, range_mm))
    return 100 * counts / len(signed)


def draw_histogram(comparisons: Sequence[Comparison], range_mm: float, width_mm: float, height_mm: float) -> str:
    """SVG, coordinates in mm of paper."""
    percent = shares(comparisons, range_mm)
    low, across = _SIDE, (width_mm - 2 * _SIDE) / len(percent)
    base = height_mm - _COLOURS_MM - _TICKS_MM - _WORDS_MM
    colours = [css_colour(colour) for colour in distance_colours(len(percent))]
    parts = []
    for n, (share, colour) in enumerate(zip(percent, colours, strict=True)):
        x, tall = low + n * across, (base - 4) * share / max(percent.max(), 1e-9)
        parts.append(
            f'<rect class="bar" x="{x + 0.06:.2f}" y="{base - tall:.2f}" width="{across - 0.12:.2f}" '
            f'height="{tall:.2f}" fill="{colour}"><title>{number(share, 1)} %</title></rect>'
        )
        parts.append(
            f'<rect class="legend" x="{x:.2f}" y="{base + 0.5:.2f}" width="{across + 0.05:.2f}" '
            f'height="{_COLOURS_MM - 0.5:.2f}" fill="{colour}"/>'
        )
    parts.append(f'<path class="axis" d="M{low},{base:.2f} H{width_mm - _SIDE:.2f}"/>')
    for value in (-range_mm, -range_mm / 2, 0.0, range_mm / 2, range_mm):
        x = width_mm / 2 + value / range_mm * (width_mm / 2 - _SIDE)
        y = base + _COLOURS_MM
        parts.append(f'<path class="axis" d="M{x:.2f},{y:.2f} v0.9"/>')
        said = f"{abs(value):g}"
        if value:
            said = ("\N{MINUS SIGN}" if value < 0 else "+") + said
        parts.append(text(x, y + 2.5, f"{said} mm" if not value else said, _SIZE, "tick", "middle"))
    words = height_mm - _WORDS_MM / 2
    parts.append(text(_SIDE - 2, words, "\N{LEFTWARDS ARROW} inside: bone missing", _SIZE, "inside"))
    parts.append(
        text(width_mm - _SIDE + 2, words, "outside: bone too much \N{RIGHTWARDS ARROW}", _SIZE, "outside", "end")
    )
    parts.append(text(_SIDE, 2, f"highest bar: {number(percent.max(), 1)} % of the points", _SIZE, "tick"))
    return (
        f'<svg class="chart" role="img" aria-label="Histogram of signed distances" '
        f'viewBox="0 0 {width_mm:.2f} {height_mm:.2f}" style="width:{width_mm:.2f}mm;height:{height_mm:.2f}mm">'
        f"{''.join(parts)}</svg>"
    )


def draw_scale() -> str:
    """SVG of the colours of expected errors, in mm of paper."""
    across = (_SCALE_WIDTH_MM - 2 * _SIDE) / _SCALE_STEPS
    parts = [
        f'<rect class="legend" x="{_SIDE + n * across:.2f}" y="0" width="{across + 0.05:.2f}" '
        f'height="{_COLOURS_MM:.2f}" fill="{css_colour(colour)}"/>'
        for n, colour in enumerate(error_colours(_SCALE_STEPS))
    ]
    for n in range(5):
        x = _SIDE + n / 4 * (_SCALE_WIDTH_MM - 2 * _SIDE)
        parts.append(f'<path class="axis" d="M{x:.2f},{_COLOURS_MM:.2f} v0.9"/>')
        said = f"{n / 4 * RANGE_MM:g}" + (" mm" if n == 4 else "")
        parts.append(text(x, _COLOURS_MM + 2.5, said, _SIZE, "tick", "middle"))
    tall = _COLOURS_MM + _TICKS_MM
    return (
        f'<svg class="errors" role="img" aria-label="Colours of the expected error" '
        f'viewBox="0 0 {_SCALE_WIDTH_MM:.2f} {tall:.2f}" style="width:{_SCALE_WIDTH_MM:.2f}mm;height:{tall:.2f}mm">'
        f"{''.join(parts)}</svg>"
    )
