"""Answers that disagree by a known distance give a known spread in mm, at the place where they disagree."""

import numpy as np
import pytest
from EARReconstructionLib.expected_error import (
    EXPECTED_ERROR,
    FAR_MM,
    at_points,
    calibrated,
    spread,
    with_expected_errors,
)
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.surface import isosurface, points_of
from vtkmodules.util.numpy_support import vtk_to_numpy

SIZE, SPACING_MM = 32, 1.5
CENTRE = np.array([12.0, -7.0, 90.0])
AFFINE = cube_affine(CENTRE, SIZE, SPACING_MM)
RADIUS_MM = 13.0


def ball(offset=(0.0, 0.0, 0.0), radius=RADIUS_MM):
    """Above 0 in a ball, with a slope of 100 per mm."""
    k, j, i = np.indices((SIZE,) * 3)
    points = transform_points(AFFINE, np.stack([i, j, k], -1))
    return (100 * (radius - np.linalg.norm(points - CENTRE - offset, axis=-1))).astype(np.float32)


def at(values, *directions):
    """Values on the ball's surface in these directions from its middle."""
    return at_points(values, AFFINE, CENTRE + RADIUS_MM * np.array(directions, float))


class TestSpread:
    def test_is_how_far_the_answers_lie_apart(self):
        found = spread([ball(), ball((2.0, 0, 0))], AFFINE, 0.0)
        # Two numbers that differ by d have a standard deviation of d / sqrt(2).
        np.testing.assert_allclose(at(found, (1, 0, 0), (-1, 0, 0)), 2 / np.sqrt(2), atol=0.05)
        across = np.hypot(RADIUS_MM, 2.0) - RADIUS_MM  # 0.15 mm
        np.testing.assert_allclose(at(found, (0, 1, 0), (0, 0, -1)), across / np.sqrt(2), atol=0.05)

    def test_counts_every_answer(self):
        sizes = [13.0, 14.0, 12.0, 16.0]
        found = spread([ball(radius=size) for size in sizes], AFFINE, 0.0)
        np.testing.assert_allclose(at(found, (0, 1, 0), (0.6, 0, 0.8)), np.std(sizes, ddof=1), atol=0.05)

    def test_is_nothing_where_all_agree(self):
        assert spread([ball()] * 3, AFFINE, 0.0).max() < 1e-6

    def test_is_known_on_the_whole_surface_and_not_far_from_it(self):
        found = spread([ball(), ball(radius=15.0)], AFFINE, 0.0)
        on = at_points(found, AFFINE, points_of(isosurface(ball(), AFFINE, 0.0)))
        assert on.min() > 1.3
        assert at_points(found, AFFINE, CENTRE[None]) == 0
        assert found[0, 0, 0] == 0

    def test_an_answer_without_bone_is_far(self):
        found = spread([ball(), ball(radius=-5.0)], AFFINE, 0.0)
        np.testing.assert_allclose(at(found, (1, 0, 0)), FAR_MM / np.sqrt(2), rtol=0.02)

    def test_without_bone_there_is_none(self):
        assert not spread([ball(radius=-5.0), ball()], AFFINE, 0.0).any()


def test_a_calibration_is_linear_between_its_points_and_level_beyond_them():
    given = np.array([[[0.0, 0.1, 1.0, 2.0, 9.0]]], np.float32)
    expected = calibrated(given, ((0.5, 1.0), (1.5, 3.0)))
    np.testing.assert_allclose(expected, [[[0.0, 1.0, 2.0, 3.0, 3.0]]])


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_surface_carries_them_at_its_points(mirrored):
    affine = AFFINE @ np.diag([-1.0, 1, 1, 1]) if mirrored else AFFINE
    surface = isosurface(ball(), affine, 0.0)
    k, j, i = np.indices((SIZE,) * 3)
    places = transform_points(affine, np.stack([i, j, k], -1))
    marked = with_expected_errors(surface, (places @ [0.1, 0.02, -0.03]).astype(np.float32), affine)
    carried = vtk_to_numpy(marked.GetPointData().GetArray(EXPECTED_ERROR))
    np.testing.assert_allclose(carried, points_of(surface) @ [0.1, 0.02, -0.03], atol=1e-3)
    assert surface.GetPointData().GetArray(EXPECTED_ERROR) is None
    assert marked.GetPointData().GetScalars() is None
