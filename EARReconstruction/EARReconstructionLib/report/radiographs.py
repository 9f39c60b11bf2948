"""A radiograph with the boxes of its vertebrae, as the X-rays project them, and the letters of the patient's sides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from ..colours import level_colour
from ..geometry import View
from ..geometry.frames import side_letters
from ..radiograph import Radiograph
from ..vertebra import VertebraROI
from .images import grey
from .svg import LABEL_MM, coordinates, css_colour, picture, side_letters_of, text

#: Pixels per mm of paper: 250 dpi.
_PIXELS_PER_MM = 10

#: The 8 corners of a box, as shares of its size from its centre, and its 12 edges.
_CORNERS = np.array(list(product((-0.5, 0.5), repeat=3)))
_EDGES = [(a, b) for a, b in combinations(range(8), 2) if (_CORNERS[a] != _CORNERS[b]).sum() == 1]


def image_sides(view: View) -> tuple[str, str]:
    """Letters of the patient's sides at the left and right edge of an image, the main side first: oblique ones, two."""
    right = view.camera_from_ras[0, :3]
    return side_letters(-right), side_letters(right)


def box_corners(view: View, roi: VertebraROI) -> NDArray[np.float64]:
    """(8, 2) corners of a vertebra's box on the detector, pixels (u, v)."""
    return view.project(_CORNERS * roi.size_mm + np.asarray(roi.centre_ras_mm))[0]


def draw_radiograph(
    radiograph: Radiograph, view: View, rois: Sequence[VertebraROI], title: str, width_mm: float
) -> str:
    """SVG in the radiograph's pixels, bone bright, ``width_mm`` wide on paper."""
    box = (float(view.width), float(view.height))
    per_mm = view.width / width_mm
    longest = round(_PIXELS_PER_MM * max(box) / per_mm)
    content = [*(_box(view, roi, per_mm) for roi in rois), *(_label(view, roi, per_mm) for roi in rois)]
    content += side_letters_of(image_sides(view), box, per_mm)
    return picture(grey(radiograph.attenuation(), longest), box, width_mm, title, content, "radiograph")


def _box(view: View, roi: VertebraROI, per_mm: float) -> str:
    corners = box_corners(view, roi)
    colour = css_colour(level_colour(roi.level))
    inner = " ".join(f"M{coordinates(corners[[a, b]])}" for a, b in _EDGES)
    outline = coordinates(corners[ConvexHull(corners).vertices])
    return (
        f'<g class="box" data-level="{roi.level}" fill="none" stroke="{colour}" stroke-linejoin="round">'
        f'<path d="{inner}" stroke-width="{0.12 * per_mm:.2f}" opacity="0.35"/>'
        f'<polygon points="{outline}" stroke-width="{0.25 * per_mm:.2f}"/></g>'
    )


def _label(view: View, roi: VertebraROI, per_mm: float) -> str:
    """The level at the right of its box, or inside the image's edge where there is no room."""
    size = LABEL_MM * per_mm
    _, v = view.project(roi.centre_ras_mm)[0]
    u = box_corners(view, roi)[:, 0].max() + 0.6 * per_mm
    place, anchor = (u, "start") if u + 2.2 * size < view.width else (view.width - 0.8 * per_mm, "end")
    return text(place, v, roi.level, size, "level", anchor, f' fill="{css_colour(level_colour(roi.level))}"')
