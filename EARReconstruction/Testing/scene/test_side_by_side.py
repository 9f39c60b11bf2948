"""Runs side by side: each alone in its view, the same colours, one turn of all, and the way back."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.comparison import Comparison, Shape, compare
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.surface import isosurface
from EARReconstructionLib.vertebra import VertebraROI

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
from EARReconstructionLib.scene import rendering
from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.display import show_run
from EARReconstructionLib.scene.heatmap import set_heat_map
from EARReconstructionLib.scene.layout import RadiographViews
from EARReconstructionLib.scene.layouts import COMPARED_TAGS, compared_layout
from EARReconstructionLib.scene.nodes import find_node, find_nodes
from EARReconstructionLib.scene.results import show_results
from EARReconstructionLib.scene.side_by_side import (
    MOST_RUNS,
    is_side_by_side,
    leave,
    look_from_front,
    show_side_by_side,
)

#: Radius in mm of the ball that each model made.
RADII = {"small": 6.0, "large": 12.0}


def ball(model: str) -> Reconstruction:
    """L1 at one place, of the model's own radius."""
    affine = cube_affine((10, -20, 30), 24, 1.5)
    k, j, i = np.indices((24, 24, 24))
    place = transform_points(affine, np.stack([i, j, k], -1)) - (10, -20, 30)
    hu = (300 + 100 * (RADII.get(model, 9.0) - np.linalg.norm(place, axis=-1))).astype(np.float32)
    roi = VertebraROI("L1", (10.0, -20.0, 30.0), (20.0,) * 3)
    return Reconstruction(roi, hu, hu > 300, None, affine, 300.0, model)


def measured(model: str) -> tuple[list[Comparison], dict[str, Any]]:
    """Against a ball of 9 mm."""
    one, true = ball(model), ball("true")
    ours, theirs = (isosurface(b.volume_hu, b.ras_from_ijk, 300) for b in (one, true))
    return compare({"L1": Shape(ours)}, {"L1": Shape(theirs)}), {"L1": theirs}


@pytest.fixture
def scene(stage: Any) -> Any:
    """Two runs, both measured; the second is hidden, as a surgeon left it."""
    for model in RADII:
        show_results(stage.scene, [ball(model)])
        show_comparisons(stage.scene, *measured(model), model)
    find_node(stage.scene, "distance-legend").SetVisibility(False)
    show_run(stage.scene, "large", False)
    return stage.scene


def extent(view: Any) -> int:
    """Columns of the view in which something is seen."""
    return int((view.pixels().max(axis=2) > 60).any(axis=0).sum())


def state(scene: Any) -> list[tuple[str, bool, tuple[str, ...]]]:
    """What is visible where."""
    return [
        (node.GetName(), bool(node.GetDisplayVisibility()), tuple(node.GetDisplayNode().GetViewNodeIDs()))
        for kind in ("surface", "reference")
        for node in find_nodes(scene, kind)
    ]


def test_each_in_its_view_in_the_same_colours(stage: Any, scene: Any) -> None:
    views = stage.more_views(COMPARED_TAGS[:3])
    assert show_side_by_side(scene, list(RADII), with_reference=True, range_mm=3.0) == 2423
    look_from_front(scene)
    legend = find_node(scene, "distance-legend")
    with_legend = [view.pixels() for view in views]
    legend.SetVisibility(False)
    changed = [(view.pixels() != then).any(axis=2).sum() for view, then in zip(views, with_legend, strict=True)]
    assert changed[0] > 300
    assert changed[1:] == [0, 0]
    small, large, reference = (extent(view) for view in views)
    assert large / small == pytest.approx(2, abs=0.15)
    assert large / reference == pytest.approx(12 / 9, abs=0.1)
    ranges = {find_node(scene, "surface", run=run, level="L1").GetDisplayNode().GetScalarRange() for run in RADII}
    assert ranges == {(-3.0, 3.0)}
    red, blue = ([int(x) for x in view.pixels()[87, 100]] for view in views[:2])
    assert red[0] > red[2] + 40  # 3 mm inside everywhere
    assert blue[2] > blue[0] + 40
    assert [view.node.GetLayoutLabel() for view in views] == ["small", "large", "Reference"]
    assert extent(stage.view_3d) == 0


def test_turned_together(stage: Any, scene: Any) -> None:
    """By 3D Slicer's own link, that the views are marked for."""
    first, second = stage.more_views(COMPARED_TAGS[:2])
    show_side_by_side(scene, list(RADII))
    look_from_front(scene)
    cameras = {
        node.GetLayoutName(): node
        for node in scene.GetNodes()
        if node.IsA("vtkMRMLCameraNode") and node.GetLayoutName()
    }
    ours, theirs = (cameras[view.node.GetLayoutName()] for view in (first, second))
    assert ours.GetPosition() == theirs.GetPosition()
    assert (first.node.GetLinkedControl(), first.node.GetViewGroup()) == (1, second.node.GetViewGroup())
    assert stage.view_3d.node.GetViewGroup() != first.node.GetViewGroup()
    middle = np.array(ours.GetFocalPoint())
    assert middle == pytest.approx((10, -20, 30), abs=0.2)
    way = np.array(ours.GetPosition()) - middle
    assert way / np.linalg.norm(way) == pytest.approx((0, 1, 0))  # from the front
    link = slicer.vtkMRMLViewLinkLogic()
    link.SetMRMLScene(scene)
    other = stage.view_3d.renderer.GetActiveCamera().GetPosition()
    ours.SetInteractionFlags(ours.CameraInteractionFlag)  # as the mouse does
    ours.InteractingOn()
    ours.SetPosition(300, 5, 40)
    ours.InteractingOff()
    assert theirs.GetPosition() == (300, 5, 40)
    assert stage.view_3d.renderer.GetActiveCamera().GetPosition() == other
    link.SetMRMLScene(None)


def test_and_back(stage: Any, scene: Any) -> None:
    stage.more_views(COMPARED_TAGS[:2])
    before = state(scene)
    assert [seen for _, seen, _ in before] == [True, False, False, False]
    assert not is_side_by_side(scene)
    show_side_by_side(scene, ["large", "small"])
    show_side_by_side(scene, ["small"], with_reference=True)  # another choice, without leaving
    assert is_side_by_side(scene)
    leave(scene)
    assert state(scene) == before
    assert not is_side_by_side(scene)
    leave(scene)
    assert state(scene) == before


def test_back_after_the_scene_was_saved_and_loaded(stage: Any, scene: Any, tmp_path: Path) -> None:
    stage.more_views(COMPARED_TAGS[:2])
    before = state(scene)
    show_side_by_side(scene, list(RADII))
    stage.save(tmp_path / "case.mrb")
    scene.Clear(0)
    stage.load(tmp_path / "case.mrb")
    assert is_side_by_side(scene)
    leave(scene)
    assert sorted(state(scene)) == sorted(before)


def test_planes_and_rendered_bone_stay_out(stage: Any, scene: Any, sample: Case) -> None:
    views = RadiographViews(scene)
    show_case(scene, sample)
    views.show_in_3d(True)
    for node in find_nodes(scene, "roi"):
        node.SetDisplayVisibility(False)
    rendering.render_bone(scene, find_node(scene, "spine", run="large"), 300)
    set_heat_map(scene, False)
    (view,) = stage.more_views(COMPARED_TAGS[:1])
    show_side_by_side(scene, ["small"])
    look_from_front(scene)
    assert 60 < extent(view) < 170
    leave(scene)
    assert rendering.is_rendered(find_node(scene, "spine", run="large"))
    views.close()


def test_without_a_reference_or_with_too_many(stage: Any) -> None:
    show_results(stage.scene, [ball("small")])
    before = state(stage.scene)
    for runs, reference, words in (
        ([], False, "0 results"),
        (["small"] * (MOST_RUNS + 1), False, "5 results"),
        (["small"], True, "Compare them first"),
    ):
        with pytest.raises(EARError, match=words):
            show_side_by_side(stage.scene, runs, with_reference=reference)
    assert state(stage.scene) == before


@pytest.mark.parametrize(("views", "rows"), [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2])])
def test_layouts(views: int, rows: list[int]) -> None:
    root = ElementTree.fromstring(compared_layout(views))
    assert [len(list(row.iter("view"))) for row in root.findall("item")] == rows
    assert [view.get("singletontag") for view in root.iter("view")] == list(COMPARED_TAGS[:views])
