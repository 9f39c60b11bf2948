"""Boxes where the X-rays throw them, and the patient's sides."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.geometry import View
from EARReconstructionLib.report.radiographs import box_corners, draw_radiograph, image_sides
from EARReconstructionLib.vertebra import VertebraROI

VIEW = View(0.0, 0.0, 1000.0, 1300.0, 1.3, 100, 80)


@pytest.mark.parametrize(
    ("alpha", "sides"),
    [
        (0, ("R", "L")),  # AP, as radiologists look at it
        (180, ("L", "R")),  # PA as its detector saw it
        (90, ("P", "A")),
        (-90, ("A", "P")),
        (30, ("RP", "LA")),
    ],
)
def test_sides(alpha: float, sides: tuple[str, str]) -> None:
    assert image_sides(replace(VIEW, alpha_deg=alpha)) == sides


def test_a_box_is_seen_in_perspective() -> None:
    """By hand: the face towards the source is at 1000 - 20, the far one at 1000 + 20 mm; 1300 mm / 1.3 mm = 1000."""
    corners = box_corners(VIEW, VertebraROI("L1", (10.0, 0.0, 15.0), (20.0, 40.0, 10.0)))
    u, v = corners.T
    assert u.min() == pytest.approx(40 - 1000 * 20 / 980)  # the patient's right is at the left of an AP
    assert u.max() == pytest.approx(40)
    assert v.min() == pytest.approx(50 - 1000 * 20 / 980)  # above is up
    assert v.max() == pytest.approx(50 - 1000 * 10 / 1020)


def numbers(text: str) -> np.ndarray:
    return np.array(re.findall(r"-?[\d.]+", text), float).reshape(-1, 2)


@pytest.mark.parametrize("role", [0, 1])
def test_boxes_names_and_letters_of_a_case(case, role) -> None:
    view, radiograph = case.geometry.views[role], case.radiographs[role]
    svg = draw_radiograph(radiograph, view, case.rois, "X-ray", 60.0)
    assert f'viewBox="0 0 {view.width} {view.height}"' in svg
    assert "width:60.00mm;height:80.00mm" in svg
    drawn = {
        level: numbers(points) for level, points in re.findall(r'data-level="(\w+)".*?<polygon points="(.*?)"', svg)
    }
    assert set(drawn) == {"T12", "L1"}
    for roi in case.rois:
        expected = box_corners(view, roi)
        np.testing.assert_allclose(drawn[roi.level].min(0), expected.min(0), atol=0.01)
        np.testing.assert_allclose(drawn[roi.level].max(0), expected.max(0), atol=0.01)
        (u, v), _ = view.project(roi.centre_ras_mm)
        name = re.search(rf'class="level" x="([\d.]+)" y="([\d.]+)" font-size="([\d.]+)"[^>]*>{roi.level}<', svg)
        assert name is not None
        x, y, size = map(float, name.groups())
        assert y - 0.36 * size == pytest.approx(v, abs=0.02)
        assert x >= expected[:, 0].max()
        middle = view.width / 2
        is_left_in_the_image = roi.level == ("T12" if role == 0 else "L1")  # right side, and behind
        assert (u < middle) == is_left_in_the_image
    letters = re.findall(r'class="side" x="([\d.]+)".*?>(\w)</text>', svg)
    assert [letter for _, letter in letters] == [["R", "L"], ["P", "A"]][role]
    assert float(letters[0][0]) < 0.1 * view.width < 0.9 * view.width < float(letters[1][0])


@pytest.mark.parametrize("role", [0, 1])
def test_the_picture_lies_as_its_boxes_and_letters_do(case, role, tmp_path) -> None:
    """What is bright in the radiograph is bright within its vertebra's box, not on the other side."""
    view, roi = case.geometry.views[role], case.rois[0]
    (u, v), _ = view.project(roi.centre_ras_mm)
    rows, columns = np.indices((view.height, view.width)) + 0.5
    pixels = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 40).astype(np.float32)
    svg = draw_radiograph(replace(case.radiographs[role], pixels=pixels), view, [roi], "X-ray", 60.0)
    (tmp_path / "p.png").write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", svg).group(1)))  # type: ignore[union-attr]
    seen = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p.png"))).astype(float)
    rows, columns = np.indices(seen.shape) + 0.5
    scale = view.width / seen.shape[1]
    place = [float((axis * seen).sum() / seen.sum()) * scale for axis in (columns, rows)]
    assert place == pytest.approx([u, v], abs=2)


def test_a_name_stays_in_the_image(case) -> None:
    view = case.geometry.frontal
    roi = VertebraROI("T10", (-52.0, 0.0, 0.0), (14.0, 14.0, 14.0))
    svg = draw_radiograph(case.frontal, view, [roi], "X-ray", 60.0)
    x, anchor = re.search(r'class="level" x="([\d.]+)".*?text-anchor="(\w+)"', svg).groups()  # type: ignore[union-attr]
    assert anchor == "end"
    assert float(x) < view.width
