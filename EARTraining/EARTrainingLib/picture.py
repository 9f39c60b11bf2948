"""One picture of a result: both radiographs with their ROIs, the spine, and how far off it is, or may be, in mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import vtk
from EARReconstructionLib.colours import RANGE_MM
from EARReconstructionLib.distance import SIGNED_DISTANCE
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.geometry import View
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.report.radiographs import image_sides
from EARReconstructionLib.report.rendering import (
    NoRendererError,
    Shading,
    Studio,
    distance_shading,
    error_shading,
    framed,
)
from EARReconstructionLib.results import Result
from EARReconstructionLib.vertebra import VertebraROI
from EARReconstructionLib.volume_io import written_whole
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

matplotlib.use("Agg")  # a picture needs no screen

#: Where a camera stands, RAS, and what a person calls that view. From the right, so that Anterior is on the right hand
#: as in a lateral radiograph.
CAMERAS = {"from the front": (0, 1, 0), "from the right": (1, 0, 0), "from behind": (0, -1, 0)}

#: Point array -> what its heat map is called, and what stands beside its scale.
HEAT_MAPS = {
    SIGNED_DISTANCE: ("Distance to the reference", "mm   (red: inside the reference, blue: outside)"),
    EXPECTED_ERROR: ("Expected error", "mm   (dark: not to be relied on)"),
}

BACKGROUND = (0x10 / 255, 0x14 / 255, 0x18 / 255)


def draw_picture(result: Result, folder: Path) -> list[str]:
    """Draw ``picture.png`` into a folder of results; returns a note when this machine cannot."""
    if not result.surfaces:
        return []
    case = result.case
    try:
        draw_result(
            folder / "picture.png", case.name, case.radiographs, case.geometry.views, case.rois, result.surfaces
        )
    except NoRendererError as error:
        return [f"There is no picture: {error}."]
    return []


def draw_result(
    path: Path,
    title: str,
    radiographs: Sequence[Radiograph],
    views: Sequence[View],
    rois: Sequence[VertebraROI],
    surfaces: Mapping[str, vtk.vtkPolyData],
    range_mm: float = RANGE_MM,
) -> None:
    """Write a PNG. surfaces: RAS mm by level; those with SIGNED_DISTANCE, else EXPECTED_ERROR, get a heat map.

    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """
    measured, shading = _heat_map(surfaces, range_mm)
    name_of_heat, what_it_says = HEAT_MAPS[shading.scalars]
    figure = Figure(figsize=(19, 8), facecolor="#101418", layout="constrained")
    widths = [1.05, 1.05, *([1] * (3 if measured else 2))]
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    axes = [figure.add_subplot(grid[0, n]) for n in range(len(widths))]
    for axis, radiograph, view, name in zip(axes, radiographs, views, ("AP", "Lateral"), strict=False):
        _draw_radiograph(axis, radiograph, view, rois, name)
    front, side, behind = CAMERAS.items()
    for axis, (name, camera), heat in [(axes[2], side, False)] + (
        [(axes[3], side, True), (axes[4], behind, True)] if measured else [(axes[3], front, False)]
    ):
        shown = measured if heat else surfaces
        _show(axis, render_surfaces(list(shown.values()), camera, shading if heat else None))
        axis.set_title(f"{name_of_heat if heat else 'Reconstruction'}, {name}", color="white")
    if measured:
        ends = Normalize(shading.low_mm, shading.high_mm)
        scale = matplotlib.cm.ScalarMappable(ends, ListedColormap(shading.colours))
        bar = figure.colorbar(scale, ax=axes[3:], fraction=0.03, pad=0.01)
        bar.set_label(what_it_says, color="white")
        bar.ax.tick_params(colors="white")
    figure.suptitle(f"{title}\nResearch software, not a medical device", color="white")
    with written_whole(path) as beside:
        figure.savefig(beside, dpi=110, facecolor=figure.get_facecolor())


def _heat_map(surfaces: Mapping[str, vtk.vtkPolyData], range_mm: float) -> tuple[dict[str, vtk.vtkPolyData], Shading]:
    """The surfaces that have one, and its colours: those of distances, or else of expected errors."""
    for shading in (distance_shading(range_mm), error_shading()):
        marked = {n: s for n, s in surfaces.items() if s.GetPointData().HasArray(shading.scalars)}
        if marked:
            break
    return marked, shading


def _draw_radiograph(axis: Axes, radiograph: Radiograph, view: View, rois: Sequence[VertebraROI], name: str) -> None:
    image = radiograph.attenuation()
    low, high = np.percentile(image, (1, 99.7))
    axis.imshow(image, cmap="gray", vmin=low, vmax=high, extent=(0, view.width, view.height, 0))
    for roi in rois:
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2 * roi.size_mm
        uv, _ = view.project(corners + roi.centre_ras_mm)
        (u0, v0), (u1, v1) = uv.min(0), uv.max(0)
        axis.plot([u0, u1, u1, u0, u0], [v0, v0, v1, v1, v0], color="#f4c430", lw=1)
        axis.text(u1 + 3, (v0 + v1) / 2, roi.level, color="#f4c430", va="center", fontsize=9)
    for side, x in zip(_sides(view), (0.03, 0.97), strict=True):
        axis.text(x, 0.97, side, transform=axis.transAxes, color="white", fontsize=15, va="top", ha="center")
    axis.set_title(f"{name} radiograph", color="white")
    axis.set_xlim(0, view.width)
    axis.set_ylim(view.height, 0)
    axis.set_axis_off()


def _sides(view: View) -> tuple[str, str]:
    """Anatomical letters of the image's left and right edge, one each."""
    left, right = image_sides(view)
    return left[0], right[0]


def _show(axis: Axes, image: NDArray[np.uint8]) -> None:
    axis.imshow(image)
    axis.set_axis_off()


def render_surfaces(
    surfaces: Sequence[vtk.vtkPolyData],
    camera: tuple[float, float, float],
    shading: Shading | None = None,
    size: tuple[int, int] = (520, 980),
) -> NDArray[np.uint8]:
    """Surfaces (RAS mm) seen from a direction, S up, as (h, w, 3), in the colour of bone without a shading.

    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """
    with Studio(size, BACKGROUND) as studio:
        return studio.picture(surfaces, framed(surfaces, camera, size, 0.03), shading)
