"""Vertebra ROIs: nodes there and back, boxes in both radiographs, dragged with the mouse, undone, cropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.vertebra import VertebraROI

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.colours import level_colour
from EARReconstructionLib.scene.cases import case_of, show_case
from EARReconstructionLib.scene.layout import RadiographViews
from EARReconstructionLib.scene.nodes import array_of, find_node, find_nodes, remove_nodes
from EARReconstructionLib.scene.projected_rois import BOX, CROP, ProjectedROIs
from EARReconstructionLib.scene.projection import box_on_plane, magnification, on_plane
from EARReconstructionLib.scene.radiographs import place_radiograph, radiograph_nodes, view_of
from EARReconstructionLib.scene.rois import crop_mm, roi_nodes, roi_of, show_crop, show_roi

L2 = VertebraROI("L2", (12.5, -31.25, 40.75), (82.0, 84.0, 52.0))


class Bench:
    """The sample case in its views, with all boxes."""

    def __init__(self, stage: Any, case: Case) -> None:
        show_case(stage.scene, case)
        self.stage, self.scene = stage, stage.scene
        self.views = RadiographViews(self.scene)
        self.told: list[str] = []
        self.boxes = ProjectedROIs(self.scene, lambda node: self.told.append(node.GetName()))

    def roi(self, level: str = "L2") -> Any:
        """The node of a ROI."""
        return find_node(self.scene, "roi", level=level)

    def box(self, role: str, level: str = "L2", kind: str = BOX) -> Any:
        """The node of its box on a radiograph."""
        return find_node(self.scene, kind, role=role, of=self.roi(level).GetID())

    def view(self, role: str) -> Any:
        """The view of a radiograph, from its node."""
        return view_of(radiograph_nodes(self.scene)[role])

    def drag(self, role: str, point_ras_mm: Any, step: tuple[int, int]) -> None:
        """With the mouse, in the view of a radiograph."""
        seen = getattr(self.stage, role)
        seen.drag(seen.to_xy(point_ras_mm), step)


@pytest.fixture
def bench(stage: Any, sample: Case) -> Iterator[Bench]:
    """Five vertebrae of the sample case, T12 to L4, closed at the end."""
    made = Bench(stage, replace(sample, rois=sample.rois[2:7]))
    yield made
    made.boxes.close()
    made.views.close()


class TestNode:
    def test_there_and_back(self, stage: Any) -> None:
        node = show_roi(stage.scene, L2)
        assert roi_of(node) == L2  # these numbers have no rounding
        assert (node.GetName(), node.GetDisplayNode().GetSelectedColor()) == ("L2", level_colour("L2"))

    def test_renamed_and_moved_in_place(self, stage: Any) -> None:
        node = show_roi(stage.scene, L2)
        other = replace(L2, level="T4", centre_ras_mm=(1.0, 2.0, 3.0))
        assert show_roi(stage.scene, other, node) is node
        assert roi_of(node) == other
        assert node.GetDisplayNode().GetSelectedColor() == level_colour("T4")

    def test_a_level_twice_is_refused(self, stage: Any) -> None:
        show_roi(stage.scene, L2)
        other = show_roi(stage.scene, replace(L2, level="L3"))
        before = stage.scene.GetNumberOfNodes()
        for node in (None, other):
            with pytest.raises(GeometryError, match="vertebra L2: it has a ROI already"):
                show_roi(stage.scene, L2, node)
        assert roi_of(other).level == "L3"
        assert stage.scene.GetNumberOfNodes() == before

    def test_turned_box_becomes_the_one_around_it(self, stage: Any) -> None:
        import vtk

        node = show_roi(stage.scene, replace(L2, centre_ras_mm=(0.0, 0.0, 0.0), size_mm=(10.0, 20.0, 30.0)))
        turn = vtk.vtkTransform()
        turn.RotateZ(90)
        node.SetAndObserveObjectToNodeMatrix(turn.GetMatrix())
        assert roi_of(node).size_mm == pytest.approx((20, 10, 30))

    def test_squeezed_to_nothing_is_an_error_not_a_crash(self, stage: Any) -> None:
        node = show_roi(stage.scene, L2)
        node.SetSize(0, 10, 10)
        with pytest.raises(GeometryError, match="L2"):
            roi_of(node)

    def test_from_head_to_tail(self, stage: Any) -> None:
        for level in ("L2", "C7", "T12"):
            show_roi(stage.scene, replace(L2, level=level))
        assert [node.GetName() for node in roi_nodes(stage.scene)] == ["C7", "T12", "L2"]


class TestCase:
    def test_there_and_back(self, stage: Any, sample: Case) -> None:
        show_case(stage.scene, sample)
        back = case_of(stage.scene, sample.name)
        assert back.geometry == sample.geometry
        for now, then in zip(back.rois, sample.rois, strict=True):
            assert now.level == then.level
            assert now.centre_ras_mm == pytest.approx(then.centre_ras_mm, abs=1e-5)
            assert now.size_mm == pytest.approx(then.size_mm, abs=1e-5)
        for now, then in zip(back.radiographs, sample.radiographs, strict=True):
            assert np.array_equal(now.pixels, then.pixels)

    def test_replaces_the_case_before(self, stage: Any, sample: Case) -> None:
        show_case(stage.scene, sample)
        nodes = stage.scene.GetNumberOfNodes()
        show_case(stage.scene, replace(sample, rois=sample.rois[:2]))
        assert [node.GetName() for node in roi_nodes(stage.scene)] == ["T10", "T11"]
        show_case(stage.scene, sample)
        assert stage.scene.GetNumberOfNodes() == nodes


class TestBoxes:
    def test_lie_where_the_xray_shows_the_roi(self, bench: Bench, sample: Case) -> None:
        for roi in sample.rois[2:7]:
            for role, view in zip(("frontal", "lateral"), sample.geometry.views, strict=True):
                box = bench.box(role, roi.level)
                centre, size = box_on_plane(view, roi)
                assert box.GetCenterWorld() == pytest.approx(centre, abs=1e-3)
                assert box.GetSize()[:2] == pytest.approx(size, abs=1e-3)

    def test_are_seen_each_in_its_own_view(self, bench: Bench) -> None:
        """In the colour of the level, at the middle of the box's left edge."""
        for role in ("frontal", "lateral"):
            seen, box = getattr(bench.stage, role), bench.box(role)
            for other in ("frontal", "lateral"):
                assert (
                    bench.box(role).GetDisplayNode().IsDisplayableInView(getattr(bench.stage, other).node.GetID())
                ) == (other == role)
            frame = array_of(box.GetObjectToNodeMatrix())
            x, y = seen.to_xy((frame @ (-box.GetSize()[0] / 2, 8, 0, 1))[:3]).round().astype(int)
            near = seen.pixels()[389 - y, x - 2 : x + 3] / 255
            assert np.abs(near - level_colour("L2")).max(axis=1).min() < 0.35
            assert near.max() > 0.5

    @pytest.mark.parametrize(("role", "moved", "kept"), [("frontal", 0, 1), ("lateral", 1, 0)])
    def test_dragged_by_the_middle(self, bench: Bench, role: str, moved: int, kept: int) -> None:
        """The ROI follows by the demagnified length along its own axes, and so does the box in the other view."""
        view, before, box = bench.view(role), roi_of(bench.roi()), bench.box(role)
        start = np.array(box.GetCenterWorld())
        bench.drag(role, start, (24, 16))
        after, step = roi_of(bench.roi()), np.array(box.GetCenterWorld()) - start
        per_pixel = getattr(bench.stage, role).node.GetFieldOfView()[0] / 300
        along = step @ view.camera_from_ras[0, :3], step @ -view.camera_from_ras[1, :3]
        assert along == pytest.approx((24 * per_pixel, 16 * per_pixel), abs=per_pixel)
        change = np.subtract(after.centre_ras_mm, before.centre_ras_mm)
        scale = magnification(view, before.centre_ras_mm)
        assert change[moved] == pytest.approx(step[moved] / scale, abs=1e-3)
        assert change[2] == pytest.approx(step[2] / scale, abs=1e-3)
        assert change[kept] == pytest.approx(0, abs=1e-5)
        assert after.size_mm == pytest.approx(before.size_mm, abs=1e-3)
        for other in ("frontal", "lateral"):
            seen = on_plane(bench.view(other), after.centre_ras_mm)
            assert bench.box(other).GetCenterWorld() == pytest.approx(seen, abs=1e-3)

    @pytest.mark.parametrize(("role", "changed", "kept"), [("frontal", 0, 1), ("lateral", 1, 0)])
    def test_stretched_by_a_corner(self, bench: Bench, role: str, changed: int, kept: int) -> None:
        bench.boxes.activate(bench.roi())
        view, before, box = bench.view(role), roi_of(bench.roi()), bench.box(role)
        width, height, _ = box.GetSize()
        frame = array_of(box.GetObjectToNodeMatrix())
        bench.drag(role, (frame @ (width / 2 - 1, height / 2 - 1, 0, 1))[:3], (15, 9))
        after, scale = roi_of(bench.roi()), magnification(view, before.centre_ras_mm)
        wider, higher = np.subtract(box.GetSize()[:2], (width, height))
        assert wider > 6 > 3 < higher
        grown = np.subtract(after.size_mm, before.size_mm)
        assert grown[changed] == pytest.approx(wider / scale, abs=0.02)
        assert grown[2] == pytest.approx(higher / scale, abs=0.02)
        assert grown[kept] == pytest.approx(0, abs=1e-5)
        opposite = np.array(before.centre_ras_mm) - np.array(before.size_mm) / 2 * (-1 if role == "frontal" else 1)
        stays = np.array(after.centre_ras_mm) - np.array(after.size_mm) / 2 * (-1 if role == "frontal" else 1)
        assert stays[changed] == pytest.approx(opposite[changed], abs=0.02)

    def test_follow_the_roi_and_the_geometry_without_going_round(self, bench: Bench, sample: Case) -> None:
        """One change of the ROI is answered by the boxes; the boxes' own changes by nobody."""
        box, roi = bench.box("frontal"), bench.roi()
        seen: list[str] = []
        tags = [
            (node, node.AddObserver(node.PointModifiedEvent, lambda caller, _: seen.append(caller.GetID())))
            for node in (box, roi)
        ]
        roi.SetCenter(-20, -10, -30)
        assert seen.count(roi.GetID()) == 1
        assert 1 <= seen.count(box.GetID()) <= 2
        for node, tag in tags:
            node.RemoveObserver(tag)
        nearer = replace(sample.geometry.frontal, sod_mm=600, sdd_mm=900)
        place_radiograph(radiograph_nodes(bench.scene)["frontal"], nearer)
        assert box.GetCenterWorld() == pytest.approx(on_plane(nearer, (-20, -10, -30)), abs=1e-3)

    def test_a_roi_behind_the_source_has_no_box_until_it_comes_back(self, bench: Bench) -> None:
        bench.roi().SetCenter(0, 5000, 0)
        assert bench.box("frontal") is None
        bench.roi().SetCenter(0, 0, 0)
        assert bench.box("frontal") is not None
        assert bench.box("lateral") is not None

    def test_come_and_go_with_rois_and_radiographs(self, bench: Bench) -> None:
        count = len(find_nodes(bench.scene, BOX))
        assert count == 10
        show_roi(bench.scene, replace(L2, level="T9", centre_ras_mm=(0.0, -30.0, 100.0)))
        assert len(find_nodes(bench.scene, BOX)) == count + 2
        remove_nodes(bench.scene, [bench.roi("T9"), bench.roi("L1")])
        assert len(find_nodes(bench.scene, BOX)) == count - 2
        remove_nodes(bench.scene, [radiograph_nodes(bench.scene)["lateral"]])
        assert len(find_nodes(bench.scene, BOX)) == (count - 2) / 2
        bench.boxes.close()
        assert find_nodes(bench.scene, BOX) == []

    def test_hidden_with_their_roi(self, bench: Bench) -> None:
        bench.roi().GetDisplayNode().SetVisibility(False)
        assert not bench.box("frontal").GetDisplayNode().GetVisibility()
        assert bench.box("frontal", "L1").GetDisplayNode().GetVisibility()

    def test_none_is_saved_or_listed(self, bench: Bench) -> None:
        for box in find_nodes(bench.scene, BOX):
            for node in (box, box.GetDisplayNode()):
                assert not node.GetSaveWithScene()
                assert node.GetHideFromEditors()

    def test_those_of_one_that_was_never_closed_are_cleared_away(self, bench: Bench) -> None:
        second = ProjectedROIs(bench.scene)
        assert len(find_nodes(bench.scene, BOX)) == 10
        second.close()


class TestActive:
    def test_a_click_on_the_middle_gives_the_handles(self, bench: Bench) -> None:
        bench.drag("lateral", bench.box("lateral", "L4").GetCenterWorld(), (0, 0))
        assert bench.told == ["L4"]
        assert bench.boxes.active is bench.roi("L4")
        handles = [
            box.GetName() for box in find_nodes(bench.scene, BOX) if box.GetDisplayNode().GetHandlesInteractive()
        ]
        assert handles == ["L4", "L4"]

    def test_every_middle_can_be_taken_though_edges_of_neighbours_run_over_it(self, bench: Bench) -> None:
        for role in ("frontal", "lateral"):
            seen = getattr(bench.stage, role)
            seen.window.Render()
            for roi in bench.scene.GetNodesByClass("vtkMRMLMarkupsROINode"):
                if roi.GetAttribute("EAR.kind") != "roi":
                    continue
                box = bench.box(role, roi.GetName())
                seen.event("MouseMove", *seen.to_xy(box.GetCenterWorld()))
                assert box.GetDisplayNode().GetActiveComponentType() == box.GetDisplayNode().ComponentControlPoint

    def test_from_the_list(self, bench: Bench) -> None:
        bench.boxes.activate(bench.roi("L1"))
        bench.boxes.activate(None)
        assert bench.boxes.active is None
        assert not any(box.GetDisplayNode().GetHandlesInteractive() for box in find_nodes(bench.scene, BOX))
        assert bench.told == []

    def test_of_a_roi_that_is_gone(self, bench: Bench) -> None:
        bench.boxes.activate(bench.roi("L1"))
        remove_nodes(bench.scene, [bench.roi("L1")])
        assert bench.boxes.active is None


class TestCrop:
    def test_cube_and_squares_of_the_models_size(self, bench: Bench) -> None:
        show_crop(bench.roi(), 96.0)
        assert crop_mm(bench.roi()) == 96
        centre = roi_of(bench.roi()).centre_ras_mm
        assert bench.box("3d", kind=CROP).GetSize() == (96, 96, 96)
        assert bench.box("3d", kind=CROP).GetCenterWorld() == pytest.approx(centre, abs=1e-4)
        for role in ("frontal", "lateral"):
            side = 96 * magnification(bench.view(role), centre)
            assert bench.box(role, kind=CROP).GetSize()[:2] == pytest.approx((side, side))
            assert bench.box(role, kind=CROP).GetLocked()
        bench.roi().SetCenter(0, 0, 0)
        assert bench.box("3d", kind=CROP).GetCenterWorld() == pytest.approx((0, 0, 0), abs=1e-4)
        show_crop(bench.roi(), None)
        assert find_nodes(bench.scene, CROP) == []


class TestUndo:
    def test_of_a_drag(self, bench: Bench) -> None:
        bench.scene.SetUndoOn()
        before = roi_of(bench.roi())
        bench.drag("frontal", bench.box("frontal").GetCenterWorld(), (30, 0))
        assert roi_of(bench.roi()) != before
        bench.scene.Undo()
        assert roi_of(bench.roi()) == before
        seen = on_plane(bench.view("frontal"), before.centre_ras_mm)
        assert bench.box("frontal").GetCenterWorld() == pytest.approx(seen, abs=1e-3)
        bench.scene.Redo()
        assert roi_of(bench.roi()) != before

    def test_of_a_removal(self, bench: Bench) -> None:
        bench.scene.SetUndoOn()
        before = roi_of(bench.roi())
        bench.scene.SaveStateForUndo()
        remove_nodes(bench.scene, [bench.roi()])
        assert len(find_nodes(bench.scene, BOX)) == 8
        bench.scene.Undo()
        assert roi_of(bench.roi()) == before
        assert len(find_nodes(bench.scene, BOX)) == 10
        assert not bench.roi().GetDisplayNode().GetVisibility2D()  # dressed again: only its boxes are on radiographs
        bench.drag("frontal", bench.box("frontal").GetCenterWorld(), (30, 0))
        assert roi_of(bench.roi()) != before

    def test_of_an_addition(self, bench: Bench) -> None:
        bench.scene.SetUndoOn()
        bench.scene.SaveStateForUndo()
        show_roi(bench.scene, replace(L2, level="T9"))
        bench.scene.Undo()
        assert bench.roi("T9") is None
        assert len(find_nodes(bench.scene, BOX)) == 10
