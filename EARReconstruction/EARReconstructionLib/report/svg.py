"""Pieces of SVG: text that is safe, pictures with a rim of letters, numbers as readers write them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..colours import Colour
from .images import data_uri

#: Sizes of letters in pictures, mm on paper.
LETTER_MM, LABEL_MM = 3.6, 2.3


def escaped(text: object) -> str:
    """Text for HTML and SVG, in and outside attributes."""
    return html.escape(str(text), quote=True)


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """A number with a true minus sign; never minus zero. sign: with a plus sign too."""
    said = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not float(said):
        said = f"{0:.{digits}f}"
    return said.replace("-", "\N{MINUS SIGN}")


def css_colour(colour: Colour | Sequence[float]) -> str:
    """A colour of 0 to 1 as #rrggbb."""
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in colour[:3])


def coordinates(points: Iterable[Sequence[float]]) -> str:
    """(x, y) pairs for ``points`` and ``d`` attributes."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def picture(
    pixels: NDArray[np.uint8],
    box: tuple[float, float],
    width_mm: float,
    title: str,
    content: Iterable[str],
    kind: str,
) -> str:
    """An SVG with an image that fills it. box: width and height of its coordinates. kind: its class."""
    width, height = box
    return (
        f'<svg class="{kind}" role="img" aria-label="{escaped(title)}" viewBox="0 0 {width:g} {height:g}" '
        f'style="width:{width_mm:.2f}mm;height:{width_mm * height / width:.2f}mm">'
        f'<image width="{width:g}" height="{height:g}" preserveAspectRatio="none" href="{data_uri(pixels)}"/>'
        f"{''.join(content)}</svg>"
    )


def text(x: float, y: float, words: str, size: float, kind: str, anchor: str = "start", extra: str = "") -> str:
    """Words at a place, ``y`` the middle of the line. extra: more attributes."""
    return (
        f'<text class="{kind}" x="{x:.2f}" y="{y + 0.36 * size:.2f}" font-size="{size:.2f}" '
        f'text-anchor="{anchor}"{extra}>{escaped(words)}</text>'
    )


def side_letters_of(sides: tuple[str, str], box: tuple[float, float], per_mm: float) -> list[str]:
    """The sides of the body at the left and right of a picture, in its upper corners."""
    size, edge = LETTER_MM * per_mm, 1.4 * per_mm
    left, right = sides
    return [
        text(edge, edge + size / 2, left, size, "side"),
        text(box[0] - edge, edge + size / 2, right, size, "side", "end"),
    ]
