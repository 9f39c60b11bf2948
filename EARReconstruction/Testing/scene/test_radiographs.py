"""Radiographs in the scene and in their views: every length, side and pixel where it belongs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError, RadiographError
from EARReconstructionLib.geometry import View, transform_points
from EARReconstructionLib.geometry.frames import side_letters
from EARReconstructionLib.radiograph import Radiograph

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.layout import RadiographViews
from EARReconstructionLib.scene.nodes import affine_of, array_of, find_nodes
from EARReconstructionLib.scene.radiographs import (
    geometry_of,
    is_bone_white,
    place_radiograph,
    radiograph_nodes,
    radiograph_of,
    remove_radiograph,
    set_bone_white,
    show_radiograph,
    view_of,
)

AP = View(0, 0, 1000, 1300, 0.7, 260, 200, (7, -13, 21), (90.0, 150.0))
VIEWS = {
    "AP": AP,
    "lateral": replace(AP, alpha_deg=90),
    "oblique": replace(AP, alpha_deg=35, beta_deg=12),
}

#: To the patient's right, to the front and up, seen from the isocentre.
BEAD = (27.0, 17.0, 51.0)


def radiograph(view: View, role: str = "frontal", beads: tuple[Any, ...] = (BEAD,), **fields: Any) -> Radiograph:
    """An image with a bright spot of two pixels' radius where each bead is projected."""
    v, u = np.mgrid[: view.height, : view.width] + 0.5
    pixels = np.zeros((view.height, view.width), np.float32)
    for bead in beads:
        (u0, v0), _ = view.project(bead)
        pixels += np.exp(-((u - u0) ** 2 + (v - v0) ** 2) / 8).astype(np.float32)
    facts = {"quantity": "attenuation", "path": Path("Aufnahme Süd.png"), "notes": ("pixel size: assumed; 50 %",)}
    return Radiograph(
        pixels, pixel_mm=view.pixel_mm, role=role, angles_deg=(view.alpha_deg, view.beta_deg), **facts | fields
    )


def brightest(pixels: np.ndarray) -> tuple[float, float]:
    """(x, y) of a spot, weighted by brightness."""
    weights = np.where(pixels > 0.5 * pixels.max(), pixels, 0).astype(float)
    y, x = np.indices(pixels.shape)
    return float((x * weights).sum() / weights.sum()), float((y * weights).sum() / weights.sum())


def distance_to_ray_mm(view: View, shown: np.ndarray) -> float:
    """Of the bead from the line through the source and an image point."""
    along = shown - view.source_ras_mm
    return float(np.linalg.norm(np.cross(BEAD - view.source_ras_mm, along / np.linalg.norm(along))))


class TestPlace:
    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_source_image_point_and_bead_are_on_one_line(self, stage: Any, view: View) -> None:
        node = show_radiograph(stage.scene, radiograph(view), view)
        column, row = brightest(radiograph_of(node).pixels)
        shown = transform_points(affine_of(node), (column, row, 0))
        assert distance_to_ray_mm(view, shown) < 0.05

    @pytest.mark.parametrize(("name", "role"), [("AP", "frontal"), ("lateral", "lateral"), ("oblique", "frontal")])
    def test_so_they_are_in_the_view(self, stage: Any, name: str, role: str) -> None:
        """What is rendered is the spot where the ray through the bead meets the plane, within a screen pixel."""
        view = VIEWS[name]
        shown = getattr(stage, role)
        show_radiograph(stage.scene, radiograph(view, role), view)
        views = RadiographViews(stage.scene)
        find_nodes(stage.scene, "letters")[0].GetDisplayNode().SetVisibility(False)
        x, from_top = brightest(shown.pixels()[:, :, 0])
        per_pixel = shown.node.GetFieldOfView()[0] / 300
        assert distance_to_ray_mm(view, shown.to_ras(x, 389 - from_top)) < per_pixel
        views.close()

    def test_moves_with_the_geometry(self, stage: Any) -> None:
        node = show_radiograph(stage.scene, radiograph(AP), AP)
        longer = replace(AP, sod_mm=1500, sdd_mm=1800, isocentre_ras_mm=(1, 2, 3))
        place_radiograph(node, longer)
        assert view_of(node) == longer
        assert np.linalg.norm(affine_of(node)[:3, 0]) == pytest.approx(0.7 * 1500 / 1800)
        assert len(find_nodes(stage.scene, "letters")) == 1

    def test_a_view_that_mirrors_the_image_is_refused(self, stage: Any) -> None:
        node = show_radiograph(stage.scene, radiograph(AP), AP)
        before = affine_of(node)
        with pytest.raises(RadiographError, match="mirrored"):
            place_radiograph(node, replace(AP, alpha_deg=180))
        assert view_of(node) == AP
        assert affine_of(node) == pytest.approx(before)

    def test_nothing_is_left_of_one_that_does_not_fit(self, stage: Any) -> None:
        before = stage.scene.GetNumberOfNodes()
        with pytest.raises(RadiographError):
            show_radiograph(stage.scene, radiograph(AP), replace(AP, width=100))
        assert stage.scene.GetNumberOfNodes() == before


class TestRecord:
    @pytest.mark.parametrize("quantity", ["attenuation", "intensity", "display"])
    def test_there_and_back(self, stage: Any, quantity: Any) -> None:
        image = radiograph(VIEWS["oblique"], quantity=quantity)
        back = radiograph_of(show_radiograph(stage.scene, image, VIEWS["oblique"]))
        assert np.array_equal(back.pixels, image.pixels)
        for field in ("quantity", "pixel_mm", "role", "angles_deg", "path", "notes"):
            assert getattr(back, field) == getattr(image, field)
        assert back.view == VIEWS["oblique"]

    def test_another_image_in_the_same_node(self, stage: Any) -> None:
        node = show_radiograph(stage.scene, radiograph(AP), AP)
        small = replace(AP, height=100, width=80, principal_point=None)
        assert show_radiograph(stage.scene, radiograph(small), small, node) is node
        assert radiograph_of(node).pixels.shape == (100, 80)
        assert len(find_nodes(stage.scene, "radiograph")) == 1

    def test_geometry_of_the_pair(self, stage: Any, sample: Case) -> None:
        show_radiograph(stage.scene, sample.frontal, sample.geometry.frontal)
        with pytest.raises(GeometryError, match="no lateral radiograph"):
            geometry_of(stage.scene)
        show_radiograph(stage.scene, sample.lateral, sample.geometry.lateral)
        assert geometry_of(stage.scene) == sample.geometry

    def test_the_same_way_twice_is_refused(self, stage: Any) -> None:
        show_radiograph(stage.scene, radiograph(AP), AP)
        show_radiograph(stage.scene, radiograph(AP, "lateral"), AP)
        with pytest.raises(GeometryError, match="same direction"):
            geometry_of(stage.scene)

    def test_a_volume_that_is_no_radiograph_is_refused(self, stage: Any) -> None:
        ct = stage.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
        with pytest.raises(RadiographError, match=r"^CT: it is no radiograph"):
            radiograph_of(ct)
        assert radiograph_nodes(stage.scene) == {}

    def test_goes_with_its_letters(self, stage: Any) -> None:
        before = stage.scene.GetNumberOfNodes()
        remove_radiograph(stage.scene, show_radiograph(stage.scene, radiograph(AP), AP))
        assert stage.scene.GetNumberOfNodes() == before


class TestLook:
    def test_the_patients_right_is_on_the_left_of_ap_and_the_front_on_the_right_of_lateral(self, stage: Any) -> None:
        """The bead lies to the right, in front and above."""
        found = {}
        for role, name in (("frontal", "AP"), ("lateral", "lateral")):
            seen, view = getattr(stage, role), VIEWS[name]
            node = show_radiograph(stage.scene, radiograph(view, role), view)
            views = RadiographViews(stage.scene)
            find_nodes(stage.scene, "letters", of=node.GetID())[0].GetDisplayNode().SetVisibility(False)
            x, from_top = brightest(seen.pixels()[:, :, 0])
            found[role] = np.subtract((x, 389 - from_top), seen.to_xy(view.isocentre_ras_mm))
            views.close()
        assert found["frontal"][0] < -30
        assert found["lateral"][0] > 30
        assert found["frontal"][1] > 30 < found["lateral"][1]

    def test_letters_are_on_their_sides(self, stage: Any) -> None:
        """Read from the picture: an R has ink at its upper right, an L none; and the labels say the same."""
        seen = stage.frontal
        show_radiograph(stage.scene, radiograph(AP), AP)
        views = RadiographViews(stage.scene)
        letters = find_nodes(stage.scene, "letters")[0]
        with_letters = seen.pixels()
        letters.GetDisplayNode().SetVisibility(False)
        ink = np.abs(with_letters - seen.pixels()).max(axis=2) > 100
        glyphs = {}
        for n in range(4):
            x, y = seen.to_xy(letters.GetNthControlPointPosition(n)).round().astype(int)
            part = ink[max(389 - y - 25, 0) : 389 - y + 12, max(x - 12, 0) : x + 25]
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            glyphs[letters.GetNthControlPointLabel(n)] = (
                part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
                x,
                y,
            )
        assert set(glyphs) == {"R", "L", "S", "I"}
        (right, r_x, _), (left, l_x, _) = glyphs["R"], glyphs["L"]
        assert r_x < 100 < 200 < l_x
        assert glyphs["I"][2] < 100 < 290 < glyphs["S"][2]
        upper_right = [g[: g.shape[0] // 2, g.shape[1] // 2 :].mean() for g in (right, left)]
        assert upper_right[0] > 0.3 > 0.1 > upper_right[1]
        views.close()

    @pytest.mark.parametrize("white", [True, False])
    def test_letters_are_read_on_any_image(self, stage: Any, white: bool) -> None:
        """White on dark, bone white or black: what is known by its letters must not depend on the display."""
        seen = stage.frontal
        node = show_radiograph(stage.scene, radiograph(AP), AP)
        views = RadiographViews(stage.scene)
        set_bone_white(node, white)
        letters, picture = find_nodes(stage.scene, "letters")[0], seen.pixels()
        for n in range(4):
            x, y = seen.to_xy(letters.GetNthControlPointPosition(n)).round().astype(int)
            part = picture[max(389 - y - 12, 0) : 389 - y + 5, max(x - 3, 0) : x + 5].max(axis=2)
            assert part.max() > 220 > 130 > np.percentile(part, 25), letters.GetNthControlPointLabel(n)
        views.close()

    def test_letters_and_names_are_those_of_the_own_view(self, stage: Any, sample: Case) -> None:
        show_case(stage.scene, sample)
        letters = {node.GetName(): node.GetDisplayNode() for node in find_nodes(stage.scene, "letters")}
        assert {name: display.GetViewNodeIDs() for name, display in letters.items()} == {
            "AP sides": (stage.frontal.node.GetID(),),
            "Lateral sides": (stage.lateral.node.GetID(),),
        }
        names = {role: node.GetName() for role, node in radiograph_nodes(stage.scene).items()}
        assert names == {"frontal": "AP", "lateral": "Lateral"}

    def test_letters_of_lateral_and_oblique_edges(self) -> None:
        right, down, _ = VIEWS["lateral"].camera_from_ras[:3, :3]
        assert [side_letters(way) for way in (right, -right, -down, down)] == ["A", "P", "S", "I"]
        right = VIEWS["oblique"].camera_from_ras[0, :3]
        assert side_letters(right) == "LA"
        assert side_letters(-right) == "RP"

    @pytest.mark.parametrize("quantity", ["attenuation", "intensity"])
    def test_bone_is_white_until_inverted(self, stage: Any, quantity: Any) -> None:
        seen = stage.frontal
        image = radiograph(AP, quantity="attenuation")
        if quantity == "intensity":
            image = replace(image, quantity="intensity", pixels=1.5 - image.pixels)
        node = show_radiograph(stage.scene, image, AP)
        views = RadiographViews(stage.scene)
        x, y = seen.to_xy(node_point(node, AP)).round().astype(int)
        assert is_bone_white(node)
        assert seen.pixels()[389 - y, x].min() > 200 > 50 > seen.pixels()[389 - y, x + 30].max()
        set_bone_white(node, False)
        assert not is_bone_white(node)
        assert seen.pixels()[389 - y, x].max() < 50 < 200 < seen.pixels()[389 - y, x + 30].min()
        assert np.array_equal(radiograph_of(node).pixels, image.pixels)
        views.close()


def node_point(node: Any, view: View) -> np.ndarray:
    """Where the bead stands in the scene's image."""
    (u, v), _ = view.project(BEAD)
    return transform_points(affine_of(node), (u - 0.5, v - 0.5, 0))


class TestViews:
    def test_keep_their_plane(self, stage: Any, sample: Case) -> None:
        """Scrolling, jumping and turning are undone; zoom and pan stay."""
        seen = stage.frontal
        views = RadiographViews(stage.scene)
        show_radiograph(stage.scene, sample.frontal, sample.geometry.frontal)
        plane = array_of(seen.node.GetSliceToRAS())
        assert seen.pixels().max() > 200  # shown as soon as it is there
        before = seen.pixels()
        for leave in (
            lambda: seen.node.SetSliceOffset(seen.node.GetSliceOffset() + 40),
            lambda: seen.node.JumpSliceByCentering(10, 20, 30),
            lambda: seen.node.SetOrientationToSagittal(),
            lambda: seen.event("MouseWheelForward", 100, 100),
        ):
            leave()
            assert array_of(seen.node.GetSliceToRAS()) == pytest.approx(plane)
            assert np.abs(seen.pixels() - before).max() < 5
        seen.node.SetFieldOfView(50, 60, 1)
        seen.node.SetXYZOrigin(5, 6, 0)
        assert seen.node.GetFieldOfView()[:2] == (50, 60)
        assert seen.node.GetXYZOrigin()[:2] == (5, 6)
        views.fit()
        assert seen.node.GetFieldOfView()[1] >= 396 * 0.8
        views.close()
        seen.node.SetSliceOffset(seen.node.GetSliceOffset() + 40)
        assert array_of(seen.node.GetSliceToRAS()) != pytest.approx(plane)

    def test_follow_a_radiograph_that_is_moved(self, stage: Any) -> None:
        seen = stage.frontal
        views = RadiographViews(stage.scene)
        node = show_radiograph(stage.scene, radiograph(AP), AP)
        place_radiograph(node, replace(AP, alpha_deg=20, isocentre_ras_mm=(1, 50, 3)))
        assert seen.pixels().max() > 200
        assert array_of(seen.node.GetSliceToRAS())[:3, 2] == pytest.approx(-view_of(node).direction)
        views.close()

    def test_a_scene_that_is_cleared_and_filled_again(self, stage: Any) -> None:
        views = RadiographViews(stage.scene)
        show_radiograph(stage.scene, radiograph(AP), AP)
        stage.scene.Clear(0)
        assert stage.frontal.pixels().max() == 0
        show_radiograph(stage.scene, radiograph(AP), AP)
        assert stage.frontal.pixels().max() > 200
        views.close()

    def test_planes_in_3d(self, stage: Any, sample: Case) -> None:
        """Both planes are seen from the side, each image in its own."""
        for role in ("frontal", "lateral"):
            show_radiograph(stage.scene, getattr(sample, role), getattr(sample.geometry, role))
        views = RadiographViews(stage.scene)
        seen = stage.view_3d
        assert (seen.pixels() > 100).mean() < 0.001
        views.show_in_3d(True)
        seen.look_from((-0.6, 0.7, 0.3))
        both = (seen.pixels() > 100).mean()
        views.show_in_3d(False)
        assert both > 0.02 > 0.001 > (seen.pixels() > 100).mean()
        views.close()
