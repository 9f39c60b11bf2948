"""Where pictures of different shapes go on a page: in columns of one height, as large as there is room for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Between columns, between pictures of one column, and the caption above each, mm.
GAP_MM, BELOW_MM, CAPTION_MM = 4.0, 3.0, 4.2

#: Pictures -> the ways to arrange them: columns of their numbers. Radiographs come first, then pairs of views.
WAYS: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    2: (((0,), (1,)),),
    4: (((0,), (1,), (2,), (3,)), ((0,), (1,), (2, 3)), ((0, 1), (2, 3))),
    6: (((0,), (1,), (2,), (3,), (4,), (5,)), ((0,), (1,), (2, 4), (3, 5)), ((0, 1), (2, 3), (4, 5))),
}


@dataclass(frozen=True)
class Column:
    """Pictures of one width below each other. numbers: which ones."""

    numbers: tuple[int, ...]
    width_mm: float


@dataclass(frozen=True)
class Arrangement:
    """Columns side by side. height_mm: of each, with captions. areas_mm2: of the pictures, in the columns' order."""

    columns: tuple[Column, ...]
    height_mm: float
    areas_mm2: tuple[float, ...]

    @property
    def width_mm(self) -> float:
        """What the columns and the gaps between them take."""
        return sum(column.width_mm for column in self.columns) + GAP_MM * (len(self.columns) - 1)


def merit(areas_mm2: Sequence[float]) -> float:
    """How well pictures can be seen: one that is twice as large does not make up for one that is a quarter."""
    return sum(math.log(max(area, 1e-6)) for area in areas_mm2)


def arranged(aspects: Sequence[float], width_mm: float, height_mm: float) -> Arrangement:
    """The way in which the pictures are seen best. aspects: width over height of each, two, four or six of them."""
    ways = (_fitted(aspects, way, width_mm, height_mm) for way in WAYS[len(aspects)])
    return max(ways, key=lambda one: merit(one.areas_mm2))


def _fitted(aspects: Sequence[float], way: Sequence[tuple[int, ...]], width_mm: float, height_mm: float) -> Arrangement:
    """A column's height is its width times ``rise``, and ``fixed``: all columns together fill height or width."""
    rise = [sum(1 / aspects[n] for n in numbers) for numbers in way]
    fixed = [CAPTION_MM * len(numbers) + BELOW_MM * (len(numbers) - 1) for numbers in way]
    room = width_mm - GAP_MM * (len(way) - 1) + sum(f / r for f, r in zip(fixed, rise, strict=True))
    height = min(height_mm, room / sum(1 / r for r in rise))
    columns = tuple(Column(numbers, (height - f) / r) for numbers, f, r in zip(way, fixed, rise, strict=True))
    areas = tuple(column.width_mm**2 / aspects[n] for column in columns for n in column.numbers)
    return Arrangement(columns, height, areas)
