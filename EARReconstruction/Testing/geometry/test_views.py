"""Views: which way the beam and the image axes run, the matrices, validation, storage."""

import dataclasses
import json

import numpy as np
import pytest
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import View
from hypothesis import given
from hypothesis import strategies as st

AP = View(0.0, 0.0, 1000.0, 1300.0, 1.3, 128, 128)
LATERAL = dataclasses.replace(AP, alpha_deg=90.0)

finite = st.floats(-300, 300)
views = st.builds(
    lambda alpha, beta, sod, gap, pixel, height, width, iso, point: View(
        alpha, beta, sod, sod + gap, pixel, height, width, iso, point
    ),
    st.floats(-180, 180),
    st.floats(-79, 79),
    st.floats(400, 2000),
    st.floats(50, 1000),
    st.floats(0.1, 4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.tuples(finite, finite, finite),
    st.none() | st.tuples(finite, finite),
)


def image_shift(view, step_ras_mm):
    """Where a step from the isocentre moves the image of a point: (right, down) in pixels."""
    (start, _), (end, _) = view.project(view.isocentre_ras_mm), view.project(np.add(view.isocentre_ras_mm, step_ras_mm))
    return end - start


def test_the_source_of_an_ap_view_stands_in_front_of_the_patient():
    np.testing.assert_allclose(AP.direction, (0, -1, 0), atol=1e-12)
    np.testing.assert_allclose(AP.source_ras_mm, (0, 1000, 0), atol=1e-9)


def test_the_source_of_a_left_lateral_view_stands_on_the_right_of_the_patient():
    np.testing.assert_allclose(LATERAL.direction, (-1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(LATERAL.source_ras_mm, (1000, 0, 0), atol=1e-9)


def test_ap_columns_run_to_the_patients_left_and_rows_to_inferior():
    np.testing.assert_allclose(image_shift(AP, (-10, 0, 0)), (10, 0), atol=1e-9)
    np.testing.assert_allclose(image_shift(AP, (0, 0, -10)), (0, 10), atol=1e-9)
    np.testing.assert_allclose(image_shift(AP, (0, -10, 0)), (0, 0), atol=1e-9)


def test_lateral_columns_run_to_anterior_and_rows_to_inferior():
    np.testing.assert_allclose(image_shift(LATERAL, (0, 10, 0)), (10, 0), atol=1e-9)
    np.testing.assert_allclose(image_shift(LATERAL, (0, 0, -10)), (0, 10), atol=1e-9)
    np.testing.assert_allclose(image_shift(LATERAL, (10, 0, 0)), (0, 0), atol=1e-9)


def test_a_cranial_tilt_raises_the_detector():
    tilted = dataclasses.replace(AP, beta_deg=20.0)
    assert tilted.direction[2] == pytest.approx(np.sin(np.radians(20)))
    assert tilted.source_ras_mm[2] < 0


def test_what_is_nearer_to_the_source_is_larger():
    shifts = [image_shift(AP, (-10, towards_source, 0))[0] for towards_source in (100, 0, -100)]
    np.testing.assert_allclose(shifts, [10 / 0.9, 10, 10 / 1.1])


@given(views)
def test_camera_axes_are_right_handed_with_down_pointing_down(view):
    rotation = view.camera_from_ras[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation[2], view.direction, atol=1e-9)
    assert rotation[1, 2] < 0
    assert rotation[0, 2] == pytest.approx(0, abs=1e-9)


@given(views)
def test_the_isocentre_meets_the_detector_at_the_principal_point(view):
    pixel, depth = view.project(view.isocentre_ras_mm)
    np.testing.assert_allclose(pixel, view.principal_point or (view.width / 2, view.height / 2), atol=1e-6)
    assert depth == pytest.approx(view.sod_mm)


@given(views, st.floats(1, 2000))
def test_rays_pass_through_pixel_centres(view, distance_mm):
    pixels, _ = view.project(view.source_ras_mm + distance_mm * view.rays())
    u, v = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=1e-5)


@given(views)
def test_the_projection_matrix_is_intrinsics_times_camera(view):
    np.testing.assert_array_equal(view.P, view.K @ view.camera_from_ras[:3])
    point = view.camera_from_ras @ (1.0, 2.0, 3.0, 1.0)
    on_detector_mm = point[:2] / point[2] * view.sdd_mm
    centre = np.array(view.principal_point or (view.width / 2, view.height / 2))
    np.testing.assert_allclose(view.project((1, 2, 3))[0], on_detector_mm / view.pixel_mm + centre, atol=1e-6)


@given(views, st.tuples(finite, finite, finite))
def test_a_moved_view_sees_the_moved_world_alike(view, isocentre):
    point = np.array([3.0, -5.0, 8.0])
    moved = view.moved(isocentre)
    shift = np.subtract(isocentre, view.isocentre_ras_mm)
    np.testing.assert_allclose(moved.project(point + shift)[0], view.project(point)[0], atol=1e-6)


@given(views)
def test_json_round_trip(view):
    again = View.from_dict(json.loads(json.dumps(view.to_dict())))
    assert again == view
    np.testing.assert_array_equal(again.P, view.P)


def test_the_stored_matrix_is_for_other_readers_and_never_read_back():
    fields = {**AP.to_dict(), "P": np.zeros((3, 4)).tolist()}
    np.testing.assert_array_equal(View.from_dict(fields).P, AP.P)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sod_mm": 1300.0},
        {"sod_mm": 1400.0},
        {"sod_mm": 0.0},
        {"sod_mm": -1000.0},
        {"sdd_mm": float("inf")},
        {"alpha_deg": float("nan")},
        {"isocentre_ras_mm": (0.0, float("nan"), 0.0)},
        {"principal_point": (float("nan"), 3.0)},
        {"pixel_mm": 0.0},
        {"pixel_mm": -1.0},
        {"height": 0},
        {"width": 0},
        {"beta_deg": 80.0},
        {"beta_deg": -85.0},
    ],
    ids=str,
)
def test_impossible_views_are_refused(wrong):
    with pytest.raises(GeometryError):
        dataclasses.replace(AP, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sod_mm": None},
        {"sod_mm": "far"},
        {"height": float("inf")},
        {"isocentre_ras_mm": [0, 0]},
        {"principal_point": [3.0]},
        {"principal_point": 3.0},
    ],
    ids=str,
)
def test_malformed_fields_are_refused(wrong):
    with pytest.raises(GeometryError, match="malformed"):
        View.from_dict({**AP.to_dict(), **wrong})


@pytest.mark.parametrize("missing", ["alpha_deg", "sod_mm", "sdd_mm", "pixel_mm", "height", "width"])
def test_missing_fields_are_refused(missing):
    fields = AP.to_dict()
    del fields[missing]
    with pytest.raises(GeometryError, match=missing):
        View.from_dict(fields)


def test_no_fields_at_all_are_refused():
    with pytest.raises(GeometryError):
        View.from_dict([])  # type: ignore[arg-type]
