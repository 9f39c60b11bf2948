"""What the colours of surfaces mean: a histogram of signed distances over theirs, and a scale of expected errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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

#: The scale of expected errors on paper: the gap above it and its height with that, its width, and its steps.
SCALE_GAP_MM = 2.0
SCALE_MM, _SCALE_WIDTH_MM, _SCALE_STEPS = SCALE_GAP_MM + _COLOURS_MM + _TICKS_MM, 64.0, 40


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
    parts.append(f'<path class="axis" d="M{low},{base:.2f} H{width_mm - _SIDE:.2f}"/>')
    halves = [n * range_mm / 2 for n in range(-2, 3)]
    labels = [f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0 mm" for value in halves]
    parts += _colour_scale(distance_colours(len(percent)), labels, width_mm, base)
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
    labels = [f"{n / 4 * RANGE_MM:g}" for n in range(5)]
    labels[-1] += " mm"
    tall = _COLOURS_MM + _TICKS_MM
    return (
        f'<svg class="errors" role="img" aria-label="Colours of the expected error" '
        f'viewBox="0 0 {_SCALE_WIDTH_MM:.2f} {tall:.2f}" '
        f'style="width:{_SCALE_WIDTH_MM:.2f}mm;height:{tall:.2f}mm;margin-top:{SCALE_GAP_MM}mm">'
        f"{''.join(_colour_scale(error_colours(_SCALE_STEPS), labels, _SCALE_WIDTH_MM, 0))}</svg>"
    )


def _colour_scale(colours: NDArray[np.float64], labels: Sequence[str], width_mm: float, top_mm: float) -> Iterator[str]:
    """Colours from left to right, and below them labels at even distances from the first colour's to the last's end."""
    across = (width_mm - 2 * _SIDE) / len(colours)
    for n, colour in enumerate(colours):
        yield (
            f'<rect class="legend" x="{_SIDE + n * across:.2f}" y="{top_mm + 0.5:.2f}" width="{across + 0.05:.2f}" '
            f'height="{_COLOURS_MM - 0.5:.2f}" fill="{css_colour(colour)}"/>'
        )
    y = top_mm + _COLOURS_MM
    for x, label in zip(np.linspace(_SIDE, width_mm - _SIDE, len(labels)), labels, strict=True):
        yield f'<path class="axis" d="M{x:.2f},{y:.2f} v0.9"/>'
        yield text(x, y + 2.5, label, _SIZE, "tick", "middle")
