"""What the figures share: a grid of pictures with headings, letters, scale bars, legends and a caption."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from EARReconstructionLib.colours import distance_colours
from EARReconstructionLib.volume_io import written_whole
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import NDArray

#: Dots per inch: what journals ask of figures with photographs.
DPI = 300

#: Okabe and Ito's colours, told apart by colour-blind readers too.
METHOD_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_STYLE: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_LETTER_COLOUR = "#4a4a4a"
_CAPTION_SIZE = 6.5

#: Letters of the legends' size that an inch holds.
_LETTERS_PER_INCH = 17


@contextmanager
def house_style() -> Iterator[None]:
    """Sizes and lines of all figures."""
    with matplotlib.rc_context(_STYLE):
        yield


class Sheet:
    """Rows and columns of equal pictures, sized in inches, with room for row labels, a legend and a caption.

    cell: width and height of a picture. label: width of the row labels. legend: height of what stands below the
    pictures. right: width of what stands beside them. pixels: of a picture that is rendered for a cell.
    """

    def __init__(
        self,
        rows: int,
        headings: Sequence[str],
        *,
        cell: tuple[float, float] = (1.4, 1.2),
        label: float = 0.62,
        legend: float = 0.0,
        caption: str = "",
        right: float = 0.0,
    ) -> None:
        gap, top = 0.05, 0.24
        inside = label + len(headings) * (cell[0] + gap)
        text = _wrapped(caption, inside + right)
        below = 0.1 + 0.115 * len(text) if text else 0.0
        width, height = inside + right, top + rows * (cell[1] + gap) + legend + below
        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.pixels = round(cell[0] * DPI), round(cell[1] * DPI)
        self._cell, self._gap, self._top, self._label, self._inside = cell, gap, top, label, inside
        self._size, self._below, self._legend = (width, height), below, legend
        for column, heading in enumerate(headings):
            x = label + column * (cell[0] + gap) + cell[0] / 2
            self.figure.text(x / width, 1 - 0.5 * top / height, heading, ha="center", va="center", weight="bold")
        self.figure.text(0.06 / width, 0.04 / height, "\n".join(text), size=_CAPTION_SIZE, va="bottom")

    def axis(self, row: int, column: int) -> Axes:
        """The place of one picture, without ticks and frame."""
        (w, h), (width, height) = self._cell, self._size
        left = self._label + column * (w + self._gap)
        bottom = height - self._top - row * (h + self._gap) - h
        axis = self.figure.add_axes((left / width, bottom / height, w / width, h / height))
        axis.set_axis_off()
        return axis

    def label(self, row: int, text: str, rows: int = 1) -> None:
        """Words at the left of one or several rows."""
        (_, h), (width, height) = self._cell, self._size
        middle = height - self._top - row * (h + self._gap) - (rows * (h + self._gap) - self._gap) / 2
        self.figure.text(
            0.5 * self._label / width, middle / height, text, rotation=90, ha="center", va="center", linespacing=1.3
        )

    def rule(self, row: int) -> None:
        """A thin line above a row."""
        width, height = self._size
        y = (height - self._top - row * (self._cell[1] + self._gap) + self._gap / 2) / height
        line = matplotlib.lines.Line2D([0.06 / width, self._inside / width], [y, y], color="#bbbbbb", lw=0.5)
        self.figure.add_artist(line)

    def colour_bar(self, colours: Colormap, low: float, high: float, text: str, *, extend: str = "neither") -> None:
        """The one legend of all pictures, below them."""
        width, height = self._size
        span = min(0.55 * self._inside, 4.0)
        lines = textwrap.wrap(text, max(int(self._inside * _LETTERS_PER_INCH), 30))
        above = self._below + 0.18 + 0.12 * len(lines)
        place = ((self._inside - span) / 2 / width, above / height)  # in the middle of what the text may fill
        axis = self.figure.add_axes((*place, span / width, 0.09 / height))
        bar = self.figure.colorbar(
            ScalarMappable(Normalize(low, high), colours), cax=axis, orientation="horizontal", extend=extend
        )
        bar.outline.set_linewidth(0.5)
        bar.set_label("\n".join(lines), labelpad=2, linespacing=1.2)

    def distance_bar(self, range_mm: float) -> None:
        """The legend of signed surface distances."""
        self.colour_bar(
            ListedColormap(distance_colours()),
            -range_mm,
            range_mm,
            "Signed surface distance [mm] (red: inside the truth, bone missing; blue: outside, bone too much)",
            extend="both",
        )

    def beside(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """An axis at a place in inches, from the lower left corner of the pictures' area."""
        w, h = self._size
        start = self._below + self._legend
        return self.figure.add_axes(((self._inside + left) / w, (start + bottom) / h, width / w, height / h))

    def save(self, path: Path) -> None:
        """Write a PNG, whole or not at all."""
        save(self.figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all. Raises EARError when it cannot be written."""
    with written_whole(path) as beside:
        figure.savefig(beside, dpi=DPI, facecolor="white")


def add_caption(figure: Figure, caption: str) -> None:
    """Words in the lower left corner of a figure that is no Sheet."""
    width, height = figure.get_size_inches()
    text = "\n".join(_wrapped(caption, width))
    figure.text(0.06 / width, 0.04 / height, text, size=_CAPTION_SIZE, va="bottom")


def show(axis: Axes, picture: NDArray[np.uint8]) -> None:
    """A rendered picture, pixel for pixel."""
    axis.imshow(picture, interpolation="none")


def letters(axis: Axes, sides: Sequence[str], colour: str = _LETTER_COLOUR) -> None:
    """Sides of the body at the left, right, upper and lower edge of a picture; "" for none."""
    for text, x, y, ha, va in zip(
        sides, (0.02, 0.98, 0.5, 0.5), (0.5, 0.5, 0.99, 0.01), ("left", "right", "center", "center"),
        ("center", "center", "top", "bottom"), strict=True,
    ):  # fmt: skip
        axis.text(x, y, text, transform=axis.transAxes, ha=ha, va=va, size=6.5, color=colour, path_effects=_rim(colour))


def scale_bar(axis: Axes, width_mm: float, colour: str = "black") -> None:
    """A bar of a round length at the lower left. width_mm: what the picture shows from left to right."""
    length = next(n for n in (100, 50, 20, 10, 5) if n <= 0.3 * width_mm or n == 5)
    axis.plot([0.04, 0.04 + length / width_mm], [0.06, 0.06], transform=axis.transAxes, color=colour, lw=1.5,
              solid_capstyle="butt", clip_on=False)  # fmt: skip
    text = axis.text(0.04, 0.085, f"{length} mm", transform=axis.transAxes, size=6, va="bottom", color=colour)
    text.set_path_effects(_rim(colour))


def _rim(colour: str) -> list[AbstractPathEffect]:
    """A dark rim for white letters, which may stand on bone."""
    return [withStroke(linewidth=1.2, foreground="black")] if colour == "white" else []


def round_up(value: float, steps: Sequence[float] = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)) -> float:
    """The next round number at or above a positive value."""
    scale = 10.0 ** math.floor(math.log10(max(value, 1e-6)))
    return scale * next(step for step in steps if step * scale >= value * (1 - 1e-9))


def _wrapped(caption: str, width_inches: float) -> list[str]:
    return textwrap.wrap(caption, max(int((width_inches - 0.12) * 21.5), 40)) if caption else []
