"""Lengths as colours: measured distances and expected errors, one at a time, with the legend that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.colours import RANGE_MM, distance_colours, error_colours
from EARReconstructionLib.comparison import Shape, compare
from EARReconstructionLib.distance import SIGNED_DISTANCE
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.surface import isosurface, points_of, polydata, triangles_of
from EARReconstructionLib.vertebra import VertebraROI
from vtkmodules.util.numpy_support import vtk_to_numpy

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.heatmap import (
    LEGEND,
    expecting_nodes,
    set_expected_errors,
    set_heat_map,
    set_range,
)
from EARReconstructionLib.scene.nodes import SURFACE, find_node, find_nodes, voxels_of
from EARReconstructionLib.scene.results import show_results, vertebrae

CENTRE = (10.3, -20.0, 30.0)


def ball() -> Reconstruction:
    """Of 9 mm radius, expected to be 2 mm off at its right end, 1 mm at its left one."""
    affine = cube_affine(CENTRE, 24, 1.5)
    k, j, i = np.indices((24, 24, 24))
    place = transform_points(affine, np.stack([i, j, k], -1)) - CENTRE
    hu = (300 + 100 * (9 - np.linalg.norm(place, axis=-1))).astype(np.float32)
    expected = (1.5 + place[..., 0] / 18).astype(np.float32)
    roi = VertebraROI("L1", CENTRE, (20.0,) * 3)
    return Reconstruction(roi, hu, hu > 300, None, affine, 300.0, "m", expected_error_mm=expected)


def compared(scene: Any, smaller: float = 2.0) -> None:
    """Measure the shown ball against one that is smaller by so many mm, as a bare copy of its surface."""
    shown = find_node(scene, SURFACE, run="m").GetPolyData()
    ours = polydata(points_of(shown), triangles_of(shown))
    theirs = isosurface(ball().volume_hu, ball().ras_from_ijk, 300 + 100 * smaller)
    show_comparisons(scene, compare({"L1": Shape(ours)}, {"L1": Shape(theirs)}), {"L1": theirs}, "m", 3.0)


def look(scene: Any) -> tuple[str | None, tuple[float, float] | None, str | None]:
    """The scalars that the vertebra shows, from where to where, and what the legend says."""
    display = find_node(scene, SURFACE, run="m").GetDisplayNode()
    legends = [node.GetTitleText() for node in find_nodes(scene, LEGEND) if node.GetVisibility()]
    assert len(legends) < 2
    legend = legends[0] if legends else None
    if not display.GetScalarVisibility():
        return None, None, legend
    return display.GetActiveScalarName(), display.GetScalarRange(), legend


ERRORS = (EXPECTED_ERROR, (0.0, RANGE_MM), "Expected error (mm)")
DISTANCES = (SIGNED_DISTANCE, (-3.0, 3.0), "Signed distance (mm)")
PLAIN = (None, None, None)


@pytest.fixture
def scene(stage: Any) -> Any:
    show_results(stage.scene, [ball()])
    return stage.scene


class TestExpectedErrors:
    def test_are_kept_with_the_vertebra(self, scene: Any) -> None:
        (shown,) = vertebrae(scene, "m")
        np.testing.assert_array_equal(shown.expected_error_mm, ball().expected_error_mm)
        (volume,) = find_nodes(scene, "expected-error", run="m", level="L1")
        np.testing.assert_array_equal(voxels_of(volume), ball().expected_error_mm)

    def test_are_an_option(self, scene: Any) -> None:
        assert look(scene) == PLAIN
        set_expected_errors(scene, True)
        assert look(scene) == ERRORS
        set_expected_errors(scene, False)
        assert look(scene) == PLAIN

    def test_lie_where_they_belong(self, scene: Any) -> None:
        surface = find_node(scene, SURFACE, run="m").GetPolyData()
        carried = vtk_to_numpy(surface.GetPointData().GetArray(EXPECTED_ERROR))
        np.testing.assert_allclose(carried, 1.5 + (points_of(surface)[:, 0] - CENTRE[0]) / 18, atol=0.01)

    def test_have_colours_of_their_own(self, scene: Any) -> None:
        compared(scene)
        display = find_node(scene, SURFACE, run="m").GetDisplayNode()

        def middle() -> list[float]:
            colour = [0.0] * 4
            display.GetColorNode().GetColor(128, colour)
            return colour[:3]

        assert middle() == pytest.approx(distance_colours()[128], abs=0.01)
        set_expected_errors(scene, True)
        assert middle() == pytest.approx(error_colours()[128], abs=0.01)

    def test_go_with_the_vertebra_that_had_them(self, scene: Any) -> None:
        set_expected_errors(scene, True)
        show_results(scene, [replace(ball(), expected_error_mm=None)])
        assert find_nodes(scene, "expected-error") == expecting_nodes(scene) == []
        (shown,) = vertebrae(scene, "m")
        assert shown.expected_error_mm is None
        assert look(scene) == PLAIN

    def test_come_back_from_a_saved_scene(self, stage: Any, scene: Any, tmp_path: Path) -> None:
        set_expected_errors(scene, True)
        stage.save(tmp_path / "case.mrb")
        scene.Clear(0)
        stage.load(tmp_path / "case.mrb")
        assert look(scene) == ERRORS
        set_expected_errors(scene, False)
        assert look(scene) == PLAIN


class TestBoth:
    def test_a_comparison_keeps_the_expected_errors(self, scene: Any) -> None:
        compared(scene)
        assert look(scene) == DISTANCES
        set_expected_errors(scene, True)
        assert look(scene) == ERRORS

    def test_either_takes_the_place_of_the_other(self, scene: Any) -> None:
        compared(scene)
        set_expected_errors(scene, True)
        set_heat_map(scene, True)
        assert look(scene) == DISTANCES
        set_expected_errors(scene, True)
        set_heat_map(scene, False)  # which is not shown
        assert look(scene) == ERRORS
        set_expected_errors(scene, False)
        assert look(scene) == PLAIN

    def test_a_range_is_that_of_the_distances(self, scene: Any) -> None:
        compared(scene)
        set_expected_errors(scene, True)
        set_range(scene, 1.5)
        assert look(scene) == ERRORS
        set_heat_map(scene, True)
        assert look(scene) == (SIGNED_DISTANCE, (-1.5, 1.5), "Signed distance (mm)")
