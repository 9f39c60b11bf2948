"""Vertebrae: their levels, labels and typical sizes, and the place of one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import GeometryError

#: Levels from head to tail. T13 and L6 are variants that VerSe knows too.
LEVELS: tuple[str, ...] = tuple(
    f"{part}{n}" for part, count in (("C", 7), ("T", 13), ("L", 6)) for n in range(1, count + 1)
)

#: Level -> label in VerSe and CTSpine1K masks.
VERSE_LABEL: dict[str, int] = {
    **{f"C{n}": n for n in range(1, 8)},
    **{f"T{n}": n + 7 for n in range(1, 13)},
    **{f"L{n}": n + 19 for n in range(1, 7)},
    "T13": 28,
}

#: Level -> box (R, A, S) in mm around the whole vertebra with its processes, as it stands in the body. Rounded medians
#: of 1 to 12 complete adult vertebrae per level, measured on VerSe masks, other open CT segmentations and models (C1 to
#: C7: two each). Starting values for a ROI, not norms. T13 and L6 are those of their neighbours.
TYPICAL_SIZE_MM: dict[str, tuple[float, float, float]] = {
    "C1": (85.0, 50.0, 29.0),
    "C2": (59.0, 56.0, 46.0),
    "C3": (58.0, 47.0, 29.0),
    "C4": (58.0, 46.0, 28.0),
    "C5": (60.0, 52.0, 29.0),
    "C6": (64.0, 58.0, 30.0),
    "C7": (70.0, 64.0, 32.0),
    "T1": (75.0, 68.0, 38.0),
    "T2": (70.0, 70.0, 40.0),
    "T3": (66.0, 71.0, 42.0),
    "T4": (64.0, 72.0, 44.0),
    "T5": (64.0, 71.0, 50.0),
    "T6": (64.0, 69.0, 53.0),
    "T7": (66.0, 67.0, 55.0),
    "T8": (65.0, 68.0, 54.0),
    "T9": (62.0, 69.0, 51.0),
    "T10": (58.0, 71.0, 47.0),
    "T11": (54.0, 71.0, 45.0),
    "T12": (51.0, 75.0, 47.0),
    "T13": (58.0, 77.0, 49.0),
    "L1": (70.0, 79.0, 52.0),
    "L2": (82.0, 84.0, 52.0),
    "L3": (93.0, 89.0, 51.0),
    "L4": (90.0, 88.0, 48.0),
    "L5": (95.0, 82.0, 50.0),
    "L6": (95.0, 82.0, 50.0),
}

#: No vertebra with its processes is larger, and none is smaller than a unit slip from metres would make it; mm.
SIZE_RANGE_MM = (1.0, 200.0)


@dataclass(frozen=True)
class VertebraROI:
    """The box around one vertebra: level, centre and size along R, A and S, in RAS mm.

    Raises GeometryError for an unknown level, a centre that is not finite, or a size that no vertebra has.
    """

    level: str
    centre_ras_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        name = f"vertebra {self.level}"
        if self.level not in LEVELS:
            raise GeometryError(name, "there is no such level", "Use C1 to C7, T1 to T13 or L1 to L6")
        for what, values in (("centre", self.centre_ras_mm), ("size", self.size_mm)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise GeometryError(name, f"its {what} is not three numbers", "Give it along R, A and S in mm")
        smallest, largest = SIZE_RANGE_MM
        if min(self.size_mm) <= 0 or max(self.size_mm) > largest:
            raise GeometryError(
                name, f"a size of {_text(self.size_mm)} mm", f"Give a size above 0 and up to {largest:g} mm"
            )
        if min(self.size_mm) < smallest:
            raise GeometryError(
                name, f"a size of {_text(self.size_mm)} mm is below 1 mm: it looks like metres", "Give it in mm"
            )


def _text(size: tuple[float, float, float]) -> str:
    return " x ".join(f"{value:g}" for value in size)
