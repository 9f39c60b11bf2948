"""Lengths on a standing radiograph: source, image point and patient point on one line; boxes there and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import View, crop_image, crop_view, transform_points
from EARReconstructionLib.scene.projection import (
    along_ray,
    box_from_plane,
    box_on_plane,
    crop_share,
    magnification,
    on_plane,
    plane_affine,
    slice_to_ras,
)
from EARReconstructionLib.vertebra import VertebraROI
from hypothesis import given
from hypothesis import strategies as st

#: Nothing is symmetric: isocentre, principal point, image and pixels.
AP = View(0, 0, 1000, 1300, 0.7, 400, 300, (7, -13, 21), (140.0, 230.0))
LATERAL = replace(AP, alpha_deg=90)
OBLIQUE = replace(AP, alpha_deg=35, beta_deg=12)
OBLIQUE_LATERAL = replace(AP, alpha_deg=75, beta_deg=-8)
VIEWS = {"AP": AP, "lateral": LATERAL, "oblique": OBLIQUE}
ROLES = {"AP": "frontal", "lateral": "lateral", "oblique": "frontal"}

ROI = VertebraROI("L2", (30.0, 40.0, -50.0), (82.0, 84.0, 52.0))
near = st.floats(-120, 120)


def distance_to_line_mm(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """Of a point from the line through two others."""
    along = (end - start) / np.linalg.norm(end - start)
    return float(np.linalg.norm(np.cross(point - start, along)))


class TestPlane:
    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    @given(bead=st.tuples(near, near, near))
    def test_source_image_point_and_bead_are_on_one_line(self, view: View, bead: tuple[float, float, float]) -> None:
        (u, v), _ = view.project(bead)
        shown = transform_points(plane_affine(view), (u - 0.5, v - 0.5, 0))
        assert distance_to_line_mm(np.array(bead), view.source_ras_mm, shown) < 1e-6
        assert shown == pytest.approx(on_plane(view, bead), abs=1e-6)

    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_stands_through_the_isocentre_across_the_beam(self, view: View) -> None:
        corners = transform_points(plane_affine(view), [(0, 0, 0), (299, 0, 0), (0, 399, 0)])
        assert (corners - view.isocentre_ras_mm) @ view.direction == pytest.approx(0, abs=1e-9)

    def test_ap_has_the_patients_right_on_the_left_and_the_head_up(self) -> None:
        affine = plane_affine(AP)
        assert affine[:3, 0] == pytest.approx([-0.7 / 1.3, 0, 0])
        assert affine[:3, 1] == pytest.approx([0, 0, -0.7 / 1.3])

    def test_lateral_has_the_front_on_the_right(self) -> None:
        assert plane_affine(LATERAL)[:3, 0] == pytest.approx([0, 0.7 / 1.3, 0])

    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_slice_view_lies_in_the_middle_of_the_image(self, view: View) -> None:
        plane, image = slice_to_ras(view), plane_affine(view)
        assert plane[:3, 3] == pytest.approx(transform_points(image, (149.5, 199.5, 0)))
        assert np.linalg.det(plane) == pytest.approx(1)
        assert plane[:3, 0] @ image[:3, 0] > 0  # as displayed: columns to the right,
        assert plane[:3, 1] @ image[:3, 1] < 0  # rows downwards


class TestMagnification:
    def test_of_known_depths(self) -> None:
        assert magnification(AP, (7, -13, 21)) == pytest.approx(1)
        assert magnification(AP, (0, -13 + 100, 0)) == pytest.approx(1000 / 900)  # the source is in front
        assert magnification(LATERAL, (7 - 100, 0, 0)) == pytest.approx(1000 / 1100)  # and on the right

    @pytest.mark.parametrize("a", [1000, -320], ids=["behind the source", "behind the detector"])
    def test_outside_the_beam_is_refused(self, a: float) -> None:
        with pytest.raises(GeometryError, match="between source and detector"):
            magnification(AP, (7, a, 21))


class TestAlongRay:
    def test_keeps_the_coordinate(self) -> None:
        assert along_ray(OBLIQUE, on_plane(OBLIQUE, ROI.centre_ras_mm), 1, 40.0) == pytest.approx(ROI.centre_ras_mm)

    def test_a_ray_along_the_plane_is_refused(self) -> None:
        with pytest.raises(GeometryError, match="R = 30 mm"):
            along_ray(AP, AP.isocentre_ras_mm, 0, 30.0)


class TestBox:
    def test_of_ap_shows_r_and_s(self) -> None:
        """The ROI is 53 mm nearer to the source than the isocentre: 1000 / 947 as large."""
        centre, size = box_on_plane(AP, ROI)
        assert size == pytest.approx((82 / 0.947, 52 / 0.947))
        assert centre == pytest.approx((7 + (30 - 7) / 0.947, -13, 21 + (-50 - 21) / 0.947))

    def test_of_lateral_shows_a_and_s(self) -> None:
        centre, size = box_on_plane(LATERAL, ROI)  # 23 mm nearer to the source, which is on the right
        assert size == pytest.approx((84 / 0.977, 52 / 0.977))
        assert centre == pytest.approx((7, -13 + (40 + 13) / 0.977, 21 + (-50 - 21) / 0.977))

    def test_the_documented_error_of_the_outline(self) -> None:
        """Corners of the front face lie up to 5 % further out than the box that is drawn."""
        front = np.array(ROI.centre_ras_mm) + np.array(ROI.size_mm) / 2
        centre, (width, _) = box_on_plane(AP, ROI)
        beyond = abs(on_plane(AP, front)[0] - centre[0]) / (width / 2) - 1
        assert 0.03 < beyond < 0.08

    @pytest.mark.parametrize(
        ("view", "role"),
        [(AP, "frontal"), (LATERAL, "lateral"), (OBLIQUE, "frontal"), (OBLIQUE_LATERAL, "lateral")],
        ids=["AP", "lateral", "oblique", "oblique lateral"],
    )
    def test_there_and_back(self, view: View, role: str) -> None:
        back = box_from_plane(view, role, ROI, *box_on_plane(view, ROI))
        assert back.level == "L2"
        assert back.centre_ras_mm == pytest.approx(ROI.centre_ras_mm)
        assert back.size_mm == pytest.approx(ROI.size_mm)

    def test_dragged_in_ap_moves_by_the_demagnified_length(self) -> None:
        """10 mm to the image's right and 6 mm up, at 947 of 1000 mm."""
        centre, size = box_on_plane(AP, ROI)
        moved = box_from_plane(AP, "frontal", ROI, np.add(centre, (-10, 0, 6)), size)
        assert moved.centre_ras_mm == pytest.approx((30 - 9.47, 40, -50 + 5.682))
        assert moved.centre_ras_mm[1] == 40  # to the last bit
        assert moved.size_mm == pytest.approx(ROI.size_mm)

    def test_dragged_in_lateral_moves_by_the_demagnified_length(self) -> None:
        centre, size = box_on_plane(LATERAL, ROI)
        moved = box_from_plane(LATERAL, "lateral", ROI, np.add(centre, (0, 10, -6)), size)
        assert moved.centre_ras_mm == pytest.approx((30, 40 + 9.77, -50 - 5.862))
        assert moved.centre_ras_mm[0] == 30

    def test_dragged_in_an_oblique_view_lies_where_it_was_put(self) -> None:
        centre, size = box_on_plane(OBLIQUE, ROI)
        put = centre + slice_to_ras(OBLIQUE)[:3, :2] @ (12, -7)
        moved = box_from_plane(OBLIQUE, "frontal", ROI, put, size)
        assert moved.centre_ras_mm[1] == 40
        assert on_plane(OBLIQUE, moved.centre_ras_mm) == pytest.approx(put)

    def test_stretched_in_ap_changes_r_and_s_alone(self) -> None:
        centre, (width, height) = box_on_plane(AP, ROI)
        stretched = box_from_plane(AP, "frontal", ROI, centre, (width + 10, height - 4))
        assert stretched.size_mm == pytest.approx((82 + 9.47, 84, 52 - 3.788))

    def test_no_size_that_no_vertebra_has(self) -> None:
        centre, _ = box_on_plane(AP, ROI)
        assert box_from_plane(AP, "frontal", ROI, centre, (0.0, 900.0)).size_mm == (1, 84, 200)


class TestCropShare:
    @pytest.mark.parametrize("point", [(7, -13, 21), (60, 20, 21), (7, -13, 200), (70, 0, -100)])
    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_is_what_the_model_finds(self, view: View, point: tuple[float, float, float]) -> None:
        _, inside = crop_image(torch.zeros(view.height, view.width), view, crop_view(view, point, 64, 1.5))
        assert crop_share(view, point, 96.0) == pytest.approx(inside, abs=0.03)

    def test_whole_half_and_nothing(self) -> None:
        assert crop_share(AP, (7, -13, 21), 50) == 1
        assert crop_share(AP, (7 + 140 * 0.7 / 1.3, -13, 21), 50) == pytest.approx(0.5)  # on the left edge
        assert crop_share(AP, (900, -13, 21), 50) == 0
