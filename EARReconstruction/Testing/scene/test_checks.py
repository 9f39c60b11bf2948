"""Warnings: what a crop misses, what the model does not know, and levels that stand in the wrong order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.model_card import ModelCard, read_card
from EARReconstructionLib.resources import DEFAULT_MODEL, find_model
from EARReconstructionLib.vertebra import TYPICAL_SIZE_MM, VertebraROI

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.checks import GEOMETRY, warnings
from EARReconstructionLib.scene.nodes import remove_nodes
from EARReconstructionLib.scene.radiographs import place_radiograph, radiograph_nodes, view_of
from EARReconstructionLib.scene.rois import roi_nodes, roi_of, show_roi


@pytest.fixture(scope="module")
def card() -> ModelCard:
    """Of the bundled model."""
    return read_card(find_model(DEFAULT_MODEL))


@pytest.fixture
def shown(stage: Any, sample: Case) -> Any:
    """The sample case's radiographs and its L1, L2."""
    show_case(stage.scene, replace(sample, rois=tuple(one for one in sample.rois if one.level in ("L1", "L2"))))
    return stage.scene


def move(scene: Any, level: str, place: Any) -> None:
    """Put a ROI elsewhere, RAS mm."""
    (node,) = [node for node in roi_nodes(scene) if node.GetName() == level]
    r, a, s = (float(x) for x in place)
    show_roi(scene, replace(roi_of(node), centre_ras_mm=(r, a, s)), node)


def test_all_in_order(shown: Any, card: ModelCard) -> None:
    assert warnings(shown) == {}
    assert warnings(shown, card) == {}


def test_an_empty_scene_lacks_radiographs(stage: Any, card: ModelCard) -> None:
    (sentence,) = warnings(stage.scene, card)[GEOMETRY]
    assert "no frontal radiograph" in sentence


def test_one_view_gone(shown: Any, card: ModelCard) -> None:
    remove_nodes(shown, [radiograph_nodes(shown)["lateral"]])
    found = warnings(shown, card)
    assert list(found) == [GEOMETRY]
    assert "no lateral radiograph" in found[GEOMETRY][0]


def test_twice_the_same_view(shown: Any, card: ModelCard) -> None:
    node = radiograph_nodes(shown)["lateral"]
    place_radiograph(node, replace(view_of(node), alpha_deg=10))
    assert "same direction (10 degrees" in warnings(shown, card)[GEOMETRY][0]


def test_geometry_outside_the_training_range(shown: Any, card: ModelCard) -> None:
    for role, sod in (("frontal", 300.0), ("lateral", 1000.0)):
        node = radiograph_nodes(shown)[role]
        place_radiograph(node, replace(view_of(node), sod_mm=sod, alpha_deg=0 if role == "frontal" else 25))
    angle, distance = warnings(shown, card)[GEOMETRY]
    assert "25 degrees apart" in angle
    assert "frontal source is 300 mm" in distance
    assert GEOMETRY not in warnings(shown)


def test_share_of_the_crop_that_an_image_misses(shown: Any, card: ModelCard) -> None:
    """L2 at the isocentre's depth, its crop 30 % below the lower edge of the lateral image."""
    view = view_of(radiograph_nodes(shown)["lateral"])
    side = card.size * card.spacing_mm
    assert side == pytest.approx(96)
    bottom = view.isocentre_ras_mm[2] - view.height / 2 * view.pixel_mm * view.sod_mm / view.sdd_mm
    r, a, _ = view.isocentre_ras_mm

    def place(share: float) -> None:
        move(shown, "L2", (r, a, bottom + (0.5 - share) * side))

    place(0.3)
    found = warnings(shown, replace(card, levels=("L2",)))
    assert "30 % of the crop of L2 lies outside the lateral image." in found["L2"]
    assert found["L1"] == ["The model is not made for L1."]
    place(0.49)
    assert any("49 % of the crop of L2 lies outside the lateral" in one for one in warnings(shown, card)["L2"])
    place(0.51)  # with its centre: there is nothing in between
    assert any("centre of L2 lies outside the lateral image" in one for one in warnings(shown, card)["L2"])


def test_too_little_of_a_crop_in_a_corner(shown: Any, card: ModelCard) -> None:
    view = view_of(radiograph_nodes(shown)["frontal"])
    half = view.height / 2, view.width / 2
    down, across = (n * view.pixel_mm * view.sod_mm / view.sdd_mm - 10 for n in half)
    move(shown, "L2", np.subtract(view.isocentre_ras_mm, (across, 0, down)))
    share = ((48 + 10) / 96) ** 2
    assert any(
        f"Only {100 * share:.0f} % of the crop of L2 lies in the frontal" in x for x in warnings(shown, card)["L2"]
    )


def test_a_roi_behind_the_source(shown: Any, card: ModelCard) -> None:
    view = view_of(radiograph_nodes(shown)["frontal"])
    move(shown, "L2", view.source_ras_mm - 50 * view.direction)
    assert any("not between source and detector" in one for one in warnings(shown, card)["L2"])


def test_a_box_of_a_size_that_no_vertebra_has(shown: Any) -> None:
    (node,) = [node for node in roi_nodes(shown) if node.GetName() == "L1"]
    node.SetSize(300, 20, 20)
    found = warnings(shown)
    assert list(found) == ["L1"]
    assert "300 x 20 x 20" in found["L1"][0]


class TestLevels:
    def roi(self, scene: Any, level: str, s: float) -> None:
        """A ROI on the axis of the column."""
        show_roi(scene, VertebraROI(level, (0.0, 0.0, s), TYPICAL_SIZE_MM[level]))

    def test_the_other_way_round(self, stage: Any) -> None:
        self.roi(stage.scene, "L1", 0)
        self.roi(stage.scene, "L2", 30)
        assert warnings(stage.scene)["L2"] == ["L2 lies above L1: are their levels right?"]

    def test_a_level_left_out(self, stage: Any) -> None:
        self.roi(stage.scene, "L1", 0)
        self.roi(stage.scene, "L3", -31)
        assert warnings(stage.scene)["L3"] == ["L3 is 31 mm from L1, 63 mm are typical: are their levels right?"]

    def test_a_gap_is_no_mistake(self, stage: Any) -> None:
        self.roi(stage.scene, "T12", 61)
        self.roi(stage.scene, "L3", -32)
        assert list(warnings(stage.scene)) == [GEOMETRY]
