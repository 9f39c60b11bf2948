"""The rebuilt spine from the front and from the side, in the colour of bone or in those of its distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..expected_error import EXPECTED_ERROR
from ..geometry import View
from ..results import Result
from ..surface import points_of
from .rendering import Camera, Shading, Studio, at_one_scale, distance_shading, error_shading, framed
from .svg import LABEL_MM, picture, side_letters_of, text

#: Pixels along the longer side of what is drawn.
LONGEST = 1200

#: Widest picture, as width over height: a vertebra alone is twice as wide as high.
_WIDEST = 3.0

#: Shares of a picture's height: around the bone, and at its right for the names of the levels.
_MARGIN, _FOR_NAMES = 0.05, 0.12

#: Half the height that a name keeps free of bone at its left, as a share of the picture's.
_HALF_NAME = 0.012


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture of surfaces. labels: level -> (x, y) beside it, as shares of width and height from the upper left."""

    title: str
    pixels: NDArray[np.uint8]
    camera: Camera
    labels: Mapping[str, tuple[float, float]]

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.pixels.shape[:2]
        return width / height

    def svg(self, width_mm: float) -> str:
        """The picture with the patient's sides, the levels and a scale bar; coordinates in mm of paper."""
        box = (width_mm, width_mm / self.aspect)
        left, right, *_ = self.camera.letters
        content = side_letters_of((left, right), box, 1.0)
        content += [text(x * box[0], y * box[1], n, LABEL_MM, "level") for n, (x, y) in self.labels.items()]
        return picture(self.pixels, box, width_mm, self.title, [*content, self._scale(box)], "surface")

    def _scale(self, box: tuple[float, float]) -> str:
        """A bar of a round length at the lower left."""
        paper_per_mm = box[1] / self.camera.height_mm
        length = next(n for n in (100, 50, 20, 10, 5, 2, 1) if n * paper_per_mm <= 0.45 * box[0] or n == 1)
        x, y = 0.8, box[1] - 0.8
        return f'<path class="scale" d="M{x},{y - 0.9:.2f} V{y:.2f} H{x + length * paper_per_mm:.2f} v-0.9"/>' + text(
            x + 0.6, y - 2.2, f"{length} mm", 2.1, "scale"
        )


def side_of(lateral: View) -> tuple[str, tuple[float, float, float]]:
    """The side from which the lateral X-rays came, in words and as a RAS direction: picture and radiograph agree."""
    return ("right", (1.0, 0.0, 0.0)) if lateral.direction[0] <= 0 else ("left", (-1.0, 0.0, 0.0))


def draw_surfaces(result: Result, range_mm: float) -> tuple[list[Drawn], list[Drawn]]:
    """The vertebrae in the colour of bone, and those with distances in colours up to +- ``range_mm``; front and side.

    Where nothing was compared, expected errors have the place of distances. All pictures have one size and one scale;
    there is none where there is nothing to draw. Raises NoRendererError when this machine cannot draw in 3-D without a
    screen.
    """
    if not result.surfaces:
        return [], []
    side, towards = side_of(result.case.geometry.lateral)
    size = _size(result.surfaces)
    framing = [framed(list(result.surfaces.values()), eye, size, _MARGIN) for eye in ((0.0, 1.0, 0.0), towards)]
    views = list(zip(("front", side), at_one_scale(framing), strict=True))
    with Studio(size) as studio:

        def drawn(title: str, shown: Mapping[str, vtkPolyData], shading: Shading | None) -> list[Drawn]:
            return [
                _cut(f"{title}, {name}", studio.picture(list(shown.values()), camera, shading), camera, shown)
                for name, camera in views
                if shown
            ]

        bone = drawn("Rebuilt", result.surfaces, None)
        if result.comparisons:
            measured = {one.level: one.surface for one in result.comparisons}
            return bone, drawn("Distance", measured, distance_shading(range_mm))
        return bone, drawn("Exp. error", expecting(result), error_shading())


def expecting(result: Result) -> dict[str, vtkPolyData]:
    """Level -> rebuilt surface, of those that know how far off they may be."""
    return {n: s for n, s in result.spine.surfaces.items() if s.GetPointData().HasArray(EXPECTED_ERROR)}


def _size(surfaces: Mapping[str, vtkPolyData]) -> tuple[int, int]:
    """Pixels, (width, height), of pictures that hold all surfaces from every side; what is empty is cut off later."""
    extent = np.ptp(np.concatenate([points_of(surface) for surface in surfaces.values()]), axis=0)
    across = max(extent[0], extent[1]) / max(extent[2], 1e-6) + 2 * _FOR_NAMES + 2 * _MARGIN
    aspect = min(float(across), _WIDEST)
    height = LONGEST / max(aspect, 1)
    return round(height * aspect), round(height)


def _cut(title: str, pixels: NDArray[np.uint8], camera: Camera, surfaces: Mapping[str, vtkPolyData]) -> Drawn:
    """A picture without its empty sides, and where the names go: right of the bone that is at their height."""
    height, width = pixels.shape[:2]
    seen = {level: _places(surface, camera, width, height) for level, surface in surfaces.items()}
    every = np.concatenate(list(seen.values()))
    first = max(int(every[:, 0].min() - _MARGIN * height), 0)
    last = min(int(every[:, 0].max() + _FOR_NAMES * height), width)
    names = {}
    for level, places in seen.items():
        y = float(places[:, 1].mean())
        beside = every[np.abs(every[:, 1] - y) < _HALF_NAME * height, 0]
        x = max(beside.max(initial=0), places[:, 0].mean()) + 0.01 * height
        names[level] = (float(x - first) / (last - first), y / height)
    return Drawn(title, pixels[:, first:last], camera, names)


def _places(surface: vtkPolyData, camera: Camera, width: int, height: int) -> NDArray[np.float64]:
    """(N, 2) pixels (column, row) of a surface's points."""
    from_centre = points_of(surface) - np.asarray(camera.centre_ras_mm)
    per_mm = height / camera.height_mm
    return np.stack(
        [width / 2 + per_mm * (from_centre @ camera.right), height / 2 - per_mm * (from_centre @ camera.up)], axis=1
    )
