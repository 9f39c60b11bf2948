"""Surface distances against numbers that can be worked out by hand, and their sign against the winding number."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.distance import (
    SIGNED_DISTANCE,
    SurfaceError,
    dice,
    signed_distances,
    surface_error,
    with_distances,
)
from EARReconstructionLib.errors import ReferenceSurfaceError
from EARReconstructionLib.surface import isosurface, points_of, polydata, read_surface, triangles_of, write_surface
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData

CENTRE = np.array([12.0, -34.0, 560.0])


def moved(r: float, a: float, s: float) -> np.ndarray:
    return CENTRE + np.array([r, a, s])


def globe(radius: float, *, rings: int = 40, sectors: int = 80, centre=CENTRE) -> vtkPolyData:
    """A sphere of meridians and parallels: its points crowd at the poles."""
    theta, phi = np.linspace(0, np.pi, rings + 1)[1:-1], np.arange(sectors) * 2 * np.pi / sectors
    t, p = np.meshgrid(theta, phi, indexing="ij")
    inner = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    points = np.concatenate([[[0, 0, 1]], inner, [[0, 0, -1]]])
    number = 1 + np.arange((rings - 1) * sectors).reshape(rings - 1, sectors)
    here, right = number, np.roll(number, -1, axis=1)
    bands = [(here[:-1], here[1:], right[1:]), (here[:-1], right[1:], right[:-1])]
    triangles = [np.stack(corners, -1).reshape(-1, 3) for corners in bands]
    triangles.append(np.stack([np.zeros(sectors, int), here[0], right[0]], -1))
    triangles.append(np.stack([np.full(sectors, len(points) - 1), right[-1], here[-1]], -1))
    return polydata(points * radius + centre, np.concatenate(triangles))


def box(low, high) -> vtkPolyData:
    """Twelve triangles."""
    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles = [t for a, b, c, d in faces for t in ((a, b, c), (a, c, d))]
    return polydata(np.asarray(low) + corners * (np.asarray(high, float) - low), np.array(triangles))


def changed(surface: vtkPolyData, matrix=None, shift=(0.0, 0.0, 0.0), triangles=None) -> vtkPolyData:
    points = points_of(surface) if matrix is None else points_of(surface) @ np.asarray(matrix).T
    return polydata(points + shift, triangles_of(surface) if triangles is None else triangles)


def test_a_smaller_ball_inside_is_negative_everywhere() -> None:
    error = surface_error(globe(20), globe(23))
    for signed in (error.signed_mm, error.reference_signed_mm):
        np.testing.assert_allclose(signed, -3, atol=0.06)
    for value in (error.assd_mm, error.rms_mm, error.hd95_mm, error.hd_mm, -error.mean_signed_mm):
        assert value == pytest.approx(3, abs=0.06)
    assert error.nsd_1mm == error.nsd_2mm == 0
    assert error.notes == ()


def test_a_larger_ball_outside_is_positive_everywhere() -> None:
    error = surface_error(globe(21.5), globe(20))
    for signed in (error.signed_mm, error.reference_signed_mm):
        np.testing.assert_allclose(signed, 1.5, atol=0.06)
    assert error.mean_signed_mm == pytest.approx(1.5, abs=0.05)
    assert (error.nsd_1mm, error.nsd_2mm) == (0, 1)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, 1), (0.6, 0.0, -0.8)])
def test_a_shifted_ball(direction: tuple[float, float, float]) -> None:
    """At the angle t from the shift s it is sqrt(R^2 + 2 R s cos t + s^2) - R, and cos t is even over a sphere."""
    radius, shift = 20.0, 3.0
    error = surface_error(
        globe(radius, centre=CENTRE + shift * np.array(direction), rings=60, sectors=120),
        globe(radius, rings=60, sectors=120),
    )
    cosines = np.linspace(-1, 1, 200_001)
    signed = np.sqrt(radius**2 + 2 * radius * shift * cosines + shift**2) - radius
    far = np.abs(signed)
    assert error.assd_mm == pytest.approx(far.mean(), abs=0.02)
    assert error.rms_mm == pytest.approx(np.sqrt((far**2).mean()), abs=0.02)
    assert error.hd_mm == pytest.approx(shift, abs=0.05)
    assert error.hd95_mm == pytest.approx(np.quantile(far, 0.95), abs=0.05)
    assert error.nsd_1mm == pytest.approx((far <= 1).mean(), abs=0.02)
    assert error.nsd_2mm == pytest.approx((far <= 2).mean(), abs=0.02)
    assert error.mean_signed_mm == pytest.approx(0, abs=0.02)
    end = np.dot(np.array(error.worst_ras_mm) - CENTRE, direction)
    # Ahead, the reconstruction sticks out; behind, the reference does, and bone is missing there.
    assert error.worst_signed_mm == pytest.approx(3 if end > 0 else -3, abs=0.05)
    assert abs(end) == pytest.approx(radius + (shift if end > 0 else 0), abs=0.1)


def test_shifted_boxes_of_twelve_triangles() -> None:
    """By hand: one face is 1.5 outside, strips beside it 0 to 1.5, one face inside up to 1.5 (less at its rim)."""
    reference = box((-20, -15, -10), (20, 15, 10))
    error = surface_error(changed(reference, shift=(1.5, 0, 0)), reference)
    outer, strips, whole = 600 * 1.5, 100 * 1.5**2 / 2, 5200
    inner = outer - strips + 4 * 1.5**3 / 3  # integral of (30 - 2 t)(20 - 2 t) from 0 to 1.5
    assert error.assd_mm == pytest.approx((outer + strips + inner) / whole, rel=0.01)
    assert error.mean_signed_mm == pytest.approx(0, abs=1e-6)
    assert error.hd_mm == pytest.approx(1.5, abs=1e-5)
    assert error.nsd_1mm == pytest.approx(1 - (600 + 100 * 0.5 + 28 * 18) / whole, abs=0.01)
    x = points_of(reference)[:, 0]
    np.testing.assert_allclose(error.signed_mm[x > 0], 1.5, atol=1e-5)
    np.testing.assert_allclose(error.signed_mm[x < 0], 0, atol=1e-5)  # on the sides of the reference
    np.testing.assert_allclose(error.reference_signed_mm[x < 0], -1.5, atol=1e-5)


def test_the_two_directions_differ() -> None:
    """The reference has a knob that the reconstruction lacks: seen from the reference only, and missing bone."""
    k, j, i = np.indices((40, 40, 48))
    points = np.stack([i, j, k], -1) - 20.0
    body = 10 - np.linalg.norm(points, axis=-1)
    knob = 3 - np.linalg.norm(points - [14, 0, 0], axis=-1)
    matrix = np.eye(4)
    matrix[:3, 3] = -20
    plain = isosurface(body, matrix, 0)
    error = surface_error(plain, isosurface(np.maximum(np.maximum(body, knob), -1e3), matrix, 0, keep_largest=False))
    assert np.abs(error.signed_mm).max() < 1.1
    assert error.hd95_mm > 2  # the knob is a twelfth of the reference; seen from the reconstruction it is below 1
    assert error.reference_signed_mm.min() == pytest.approx(-7, abs=0.1)
    assert error.hd_mm == pytest.approx(7, abs=0.1)
    assert error.worst_signed_mm == pytest.approx(-7, abs=0.1)
    np.testing.assert_allclose(error.worst_ras_mm, [17, 0, 0], atol=0.3)


def test_exchanging_the_two_turns_the_sign() -> None:
    a, b = globe(12, rings=20, sectors=30), globe(11, rings=24, sectors=36, centre=moved(1, 2, 0))
    there, back = surface_error(a, b), surface_error(b, a)
    np.testing.assert_allclose(there.signed_mm, -back.reference_signed_mm, atol=1e-6)
    np.testing.assert_allclose(there.reference_signed_mm, -back.signed_mm, atol=1e-6)
    assert there.assd_mm == pytest.approx(back.assd_mm)
    assert there.hd95_mm == pytest.approx(back.hd95_mm)
    assert there.mean_signed_mm == pytest.approx(-back.mean_signed_mm)


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(-300, 300)] * 3))
def test_moving_both_changes_nothing(angles: tuple, shift: tuple) -> None:
    a, b = globe(12, rings=16, sectors=24), globe(11, rings=16, sectors=24, centre=moved(1, 2, 0))
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    here, there = surface_error(a, b), surface_error(changed(a, turn, shift), changed(b, turn, shift))
    np.testing.assert_allclose(there.signed_mm, here.signed_mm, atol=2e-3)
    for name in ("assd_mm", "rms_mm", "mean_signed_mm", "hd_mm", "hd95_mm"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=2e-3)
    np.testing.assert_allclose(there.worst_signed_mm, here.worst_signed_mm, atol=2e-3)


def refined(surface: vtkPolyData, rounds: int) -> vtkPolyData:
    """The upper half cut finer, each triangle into three at its centre: the same shape, other points."""
    points, triangles = points_of(surface), triangles_of(surface)
    for _ in range(rounds):
        upper = points[triangles][:, :, 2].mean(axis=1) > CENTRE[2]
        a, b, c = triangles[upper].T
        middle = len(points) + np.arange(upper.sum())
        points = np.concatenate([points, points[triangles[upper]].mean(axis=1)])
        triples = [np.stack(t, -1) for t in ((a, b, middle), (b, c, middle), (c, a, middle))]
        triangles = np.concatenate([triangles[~upper], *triples])
    return polydata(points, triangles)


def test_a_finer_region_does_not_weigh_more() -> None:
    plain = globe(20, centre=moved(0, 0, 2.0))
    fine = refined(plain, 2)
    assert fine.GetNumberOfPoints() > 4 * plain.GetNumberOfPoints()
    one, other = (surface_error(mesh, globe(19)) for mesh in (plain, fine))
    for name in ("assd_mm", "rms_mm", "mean_signed_mm", "hd95_mm", "hd_mm"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=0.02)
    assert other.nsd_2mm == pytest.approx(one.nsd_2mm, abs=0.02)
    assert np.abs(other.signed_mm).mean() > 1.1 * one.assd_mm  # what the bare points would say


def winding_numbers(surface: vtkPolyData, queries: np.ndarray) -> np.ndarray:
    """How often a surface winds about each query: the definition of inside (van Oosterom and Strackee 1983)."""
    corners = points_of(surface)[triangles_of(surface)]
    found = []
    for query in queries:
        a, b, c = np.moveaxis(corners - query, 1, 0)
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        volume = np.einsum("ij,ij->i", a, np.cross(b, c))
        rest = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        found.append(np.arctan2(volume, rest).sum() / (2 * np.pi))
    return np.array(found)


def test_the_sign_is_right_beside_spikes_and_in_pits() -> None:
    rng = np.random.default_rng(1)
    sphere = globe(1, rings=12, sectors=16, centre=(0, 0, 0))
    star = changed(
        polydata(points_of(sphere) * rng.uniform(4, 25, (sphere.GetNumberOfPoints(), 1)), triangles_of(sphere))
    )
    near = points_of(star)[rng.integers(0, star.GetNumberOfPoints(), 600)]
    queries = near * rng.uniform(0.8, 1.2, (600, 1)) + rng.normal(0, 0.5, near.shape)
    probes = polydata(queries, np.arange(600).reshape(-1, 3))  # triangles between them do not matter here
    star_to_itself = surface_error(star, star)
    assert star_to_itself.hd_mm < 1e-5
    signed = signed_distances(points_of(probes), star)
    inside = winding_numbers(star, points_of(probes)) > 0.5
    assert 100 < inside.sum() < 500
    np.testing.assert_array_equal(signed < 0, inside)


def test_distances_come_in_the_order_of_the_points() -> None:
    """A soup, as STL has it: each triangle with points of its own, shuffled."""
    rng = np.random.default_rng(0)
    whole = globe(12, rings=16, sectors=24, centre=moved(0.5, 0, 0))
    corners = points_of(whole)[triangles_of(whole)]
    soup = polydata(rng.permutation(corners).reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))
    error = surface_error(soup, globe(10, rings=60, sectors=120))
    expected = np.linalg.norm(points_of(soup) - CENTRE, axis=1) - 10
    assert error.notes == ()
    np.testing.assert_allclose(error.signed_mm, expected, atol=0.03)
    assert error.mean_signed_mm == pytest.approx(surface_error(whole, globe(10, rings=60, sectors=120)).mean_signed_mm)


def test_a_point_without_a_triangle_does_not_count() -> None:
    ball = globe(12, rings=16, sectors=24)
    stray = polydata(np.concatenate([points_of(ball), [moved(0, 0, 14)]]), triangles_of(ball))
    error, plain = surface_error(globe(10), stray), surface_error(globe(10), ball)
    assert error.hd_mm == pytest.approx(plain.hd_mm)
    assert error.assd_mm == pytest.approx(plain.assd_mm)
    assert len(error.reference_signed_mm) == len(plain.reference_signed_mm) + 1


def test_long_slivers_take_no_longer() -> None:
    """A tall prism of 600 sides: triangles of 100 x 0.1 mm."""
    n = 600
    turn = np.arange(n) * 2 * np.pi / n
    ring = np.stack([10 * np.cos(turn), 10 * np.sin(turn), 0 * turn], -1)
    up = np.array([0.0, 0, 100])
    points = np.concatenate([ring, ring + up, [0 * up, up]])
    a, b = np.arange(n), np.roll(np.arange(n), -1)
    bottom, top = np.full(n, 2 * n), np.full(n, 2 * n + 1)
    sides = [(a, b, b + n), (a, b + n, a + n), (b, a, bottom), (a + n, b + n, top)]
    prism = polydata(points, np.concatenate([np.stack(t, -1) for t in sides]))
    start = time.process_time()
    error = surface_error(changed(prism, shift=(0, 0, 1.5)), prism)
    assert error.hd_mm == pytest.approx(1.5, abs=0.01)
    assert time.process_time() - start < 8


def test_distances_as_scalars_of_a_copy(tmp_path: Path) -> None:
    surface = globe(12, rings=16, sectors=24)
    error = surface_error(surface, globe(10))
    coloured = with_distances(surface, error.signed_mm)
    write_surface(tmp_path / "heat.vtp", coloured)
    for mesh in (coloured, read_surface(tmp_path / "heat.vtp")):
        scalars = mesh.GetPointData().GetScalars()
        assert scalars.GetName() == SIGNED_DISTANCE == "SignedDistance"
        np.testing.assert_allclose(vtk_to_numpy(scalars), error.signed_mm, atol=1e-5)
    assert surface.GetPointData().GetScalars() is None
    with pytest.raises(ValueError, match="distances for"):
        with_distances(surface, error.signed_mm[:-1])


def test_the_summary_is_json() -> None:
    error = surface_error(globe(12, rings=16, sectors=24), globe(10))
    assert isinstance(error, SurfaceError)
    fields = json.loads(json.dumps(error.to_dict()))
    assert set(fields) == {
        *("assd_mm", "rms_mm", "mean_signed_mm", "hd_mm", "hd95_mm", "nsd_1mm", "nsd_2mm"),
        *("worst_signed_mm", "worst_ras_mm", "notes"),
    }
    assert fields["hd_mm"] == error.hd_mm


def test_a_small_hole_is_closed_and_said() -> None:
    ball = globe(20)
    # Single triangles of one band (their holes touch), and a pole with its whole fan.
    missing = np.r_[1000:1006, np.flatnonzero((triangles_of(ball) == 0).any(axis=1))]
    pierced = changed(ball, triangles=np.delete(triangles_of(ball), missing, axis=0))
    error = surface_error(globe(19), pierced)
    assert len(error.notes) == 1
    assert "reference" in error.notes[0]
    np.testing.assert_allclose(error.signed_mm, -1, atol=0.15)
    other = surface_error(pierced, globe(19))
    assert "reconstruction" in other.notes[0]
    np.testing.assert_allclose(other.signed_mm, 1, atol=0.15)


def test_half_a_surface_is_refused() -> None:
    ball = globe(20)
    upper = points_of(ball)[triangles_of(ball)][:, :, 2].mean(axis=1) > CENTRE[2]
    half = changed(ball, triangles=triangles_of(ball)[upper])
    with pytest.raises(ReferenceSurfaceError, match=r"reference surface: it is open.*Fill holes"):
        surface_error(globe(19), half)


def test_triangles_that_look_inward_do_not_turn_the_sign() -> None:
    ball, reference = globe(19), globe(20)
    inside_out = changed(reference, triangles=triangles_of(reference)[:, ::-1])
    assert surface_error(ball, inside_out).mean_signed_mm == pytest.approx(-1, abs=0.05)
    mixed = triangles_of(reference).copy()
    mixed[::3] = mixed[::3, ::-1]
    error = surface_error(ball, changed(reference, triangles=mixed))
    np.testing.assert_allclose(error.signed_mm, -1, atol=0.06)
    assert "turned outward" in error.notes[0]


@pytest.mark.parametrize(
    ("matrix", "shift", "cause"),
    [
        (0.001 * np.eye(3), (0, 0, 0), "metres.*millimetres"),
        (0.1 * np.eye(3), (0, 0, 0), "centimetres"),
        (np.eye(3) / 25.4, (0, 0, 0), "inches"),
        (1000 * np.eye(3), (0, 0, 0), "far more"),
        (np.eye(3), (0, 0, 60), "60 mm apart.*same frame of reference"),
        (np.diag([-1, -1, 1]), (0, 0, 0), "read it as LPS"),
    ],
)
def test_a_reference_in_another_unit_or_place(matrix, shift, cause: str) -> None:
    reference = changed(globe(20), matrix, shift)
    with pytest.raises(ReferenceSurfaceError, match=cause):
        surface_error(globe(19), reference)


@pytest.mark.parametrize(("a", "b"), [(vtkPolyData(), globe(9)), (globe(9), vtkPolyData())])
def test_an_empty_surface_is_named(a: vtkPolyData, b: vtkPolyData) -> None:
    with pytest.raises(ReferenceSurfaceError, match="empty"):
        surface_error(a, b)


def test_twenty_thousand_points_in_seconds() -> None:
    reference = globe(30, rings=101, sectors=200)
    assert reference.GetNumberOfPoints() > 20_000
    reconstruction = changed(reference, shift=(0.5, 1.0, -1.0))
    start = time.process_time()
    surface_error(reconstruction, reference)
    assert time.process_time() - start < 4  # about 1 on a free core of 2024


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1, 1, 0, 0], [0, 1, 1, 0], 0.5), ([1, 0], [0, 1], 0.0), ([2, 2], [True, True], 1.0), ([0, 0], [0, 0], 1.0)],
)
def test_dice(a: list, b: list, expected: float) -> None:
    assert dice(np.array(a), np.array(b)) == expected


def test_dice_of_other_grids_is_refused() -> None:
    with pytest.raises(ReferenceSurfaceError, match="grid"):
        dice(np.zeros((3, 3, 3)), np.zeros((3, 3, 4)))
