"""Results: every voxel and point at its place, one folder per model, replaced vertebra by vertebra."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.surface import points_of
from EARReconstructionLib.vertebra import VertebraROI

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
from EARReconstructionLib.colours import level_colour
from EARReconstructionLib.scene import rendering
from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.display import show_run
from EARReconstructionLib.scene.layout import show_layers
from EARReconstructionLib.scene.nodes import affine_of, find_node, find_nodes, voxels_of
from EARReconstructionLib.scene.radiographs import radiograph_nodes
from EARReconstructionLib.scene.results import (
    remove_results,
    runs,
    show_results,
    vertebrae,
)
from EARReconstructionLib.scene.terminology import terminology_entry


def ball(level: str, centre: tuple[float, float, float], radius: float = 9.0, model: str = "m") -> Reconstruction:
    """A ball of bone in a cube of 24 voxels of 1.5 mm; its edge map shines at R > 0 of it alone."""
    affine = cube_affine(centre, 24, 1.5)
    k, j, i = np.indices((24, 24, 24))
    place = transform_points(affine, np.stack([i, j, k], -1)) - centre
    hu = (300 + 100 * (radius - np.linalg.norm(place, axis=-1))).astype(np.float32)
    edges = (place[..., 0] > 0).astype(np.float32)
    roi = VertebraROI(level, centre, (20.0, 21.0, 22.0))
    return Reconstruction(roi, hu, hu > 300, edges, affine, 300.0, model, ("a note",))


L1, L2 = ball("L1", (10.3, -20.0, 30.0)), ball("L2", (11.0, -17.5, 3.2))


class TestShow:
    def test_volumes_surfaces_and_spine_at_their_places(self, stage: Any) -> None:
        show_results(stage.scene, [L1, L2])
        for one, shown in zip((L1, L2), vertebrae(stage.scene, "m"), strict=True):
            assert affine_of(shown.volume_node) == pytest.approx(one.ras_from_ijk)
            assert np.array_equal(voxels_of(shown.volume_node), one.volume_hu)
            points = points_of(shown.surface_node.GetPolyData())
            assert np.linalg.norm(points - one.roi.centre_ras_mm, axis=1) == pytest.approx(9, abs=0.15)
            assert shown.surface_node.GetDisplayNode().GetColor() == pytest.approx(level_colour(one.roi.level))
        spine = find_node(stage.scene, "spine", run="m")
        above = np.argwhere(voxels_of(spine) > 300)[:, ::-1]
        middle = transform_points(affine_of(spine), above).mean(0)
        assert middle == pytest.approx(np.add(L1.roi.centre_ras_mm, L2.roi.centre_ras_mm) / 2, abs=0.3)

    def test_record_there_and_back(self, stage: Any) -> None:
        show_results(stage.scene, [replace(L1, edges=None)])
        (shown,) = vertebrae(stage.scene, "m")
        assert shown.roi == L1.roi
        assert (shown.threshold_hu, shown.model, shown.notes) == (300, "m", ("a note",))
        assert np.array_equal(shown.mask, L1.mask)
        assert shown.edges is shown.edges_node is None

    def test_segments_have_names_colours_and_standard_terms(self, stage: Any) -> None:
        show_results(stage.scene, [L1, L2])
        node = find_node(stage.scene, "segmentation", run="m")
        segmentation = node.GetSegmentation()
        assert [segmentation.GetNthSegmentID(n) for n in range(2)] == ["L1", "L2"]
        for one in (L1, L2):
            level = one.roi.level
            segment, term = segmentation.GetSegment(level), slicer.vtkSlicerTerminologyEntry()
            assert segment.GetName() == level
            assert segment.GetColor() == pytest.approx(level_colour(level))
            assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(terminology_entry(level), term)
            assert term.GetTypeObject().GetCodeMeaning() == f"{level} vertebra"
            assert term.GetCategoryObject().GetCodeMeaning() == "Anatomical Structure"
            image = slicer.vtkOrientedImageData()
            node.GetBinaryLabelmapRepresentation(level, image)
            bounds = np.reshape(image.GetBounds(), (3, 2))
            assert bounds.mean(1) == pytest.approx(one.roi.centre_ras_mm, abs=1)
            assert np.ptp(bounds, axis=1) == pytest.approx(17, abs=1.6)

    def test_one_folder_and_references_to_the_inputs(self, stage: Any, sample: Case, in_folder: Any) -> None:
        show_case(stage.scene, sample)
        show_results(stage.scene, [L1])
        names = set(in_folder(stage.scene, "m"))
        assert names == {"L1 volume", "L1 edges", "L1 surface", "Spine m", "Segmentation m"}
        radiographs = radiograph_nodes(stage.scene)
        for kind in ("volume", "surface", "edges"):
            node = find_node(stage.scene, kind)
            assert [node.GetNodeReference(f"EAR.{role}") for role in radiographs] == list(radiographs.values())
            assert node.GetNodeReference("EAR.roi") is find_node(stage.scene, "roi", level="L1")

    def test_no_bone_no_surface(self, stage: Any) -> None:
        show_results(stage.scene, [L1, L2])
        empty = replace(L1, volume_hu=L1.volume_hu * 0 - 1000, mask=L1.mask & False)
        show_results(stage.scene, [empty])
        assert find_node(stage.scene, "surface", run="m", level="L1") is None
        assert find_node(stage.scene, "segmentation").GetSegmentation().GetNumberOfSegments() == 1
        assert len(vertebrae(stage.scene, "m")) == 2

    def test_what_cannot_be_stitched_leaves_the_scene_alone(self, stage: Any) -> None:
        show_results(stage.scene, [L2])
        before = stage.scene.GetNumberOfNodes()
        for wrong in ([L1, L1], [L1, ball("L3", (0, 0, 0), model="other")], []):
            with pytest.raises(EARError):
                show_results(stage.scene, wrong)
        assert stage.scene.GetNumberOfNodes() == before


class TestAgain:
    def test_replaces_the_vertebra_alone_and_keeps_its_nodes(self, stage: Any) -> None:
        show_results(stage.scene, [L1, L2])
        before = {node.GetID() for node in find_nodes(stage.scene)}
        kept = find_node(stage.scene, "surface", run="m", level="L1").GetPolyData()
        moved = ball("L2", (14.0, -17.5, 3.2), radius=7)
        show_results(stage.scene, [moved])
        assert {node.GetID() for node in find_nodes(stage.scene)} == before
        assert find_node(stage.scene, "surface", run="m", level="L1").GetPolyData() is kept
        points = points_of(find_node(stage.scene, "surface", run="m", level="L2").GetPolyData())
        assert np.linalg.norm(points - moved.roi.centre_ras_mm, axis=1) == pytest.approx(7, abs=0.15)

    def test_another_model_stands_beside_it(self, stage: Any) -> None:
        show_results(stage.scene, [L1])
        show_results(stage.scene, [ball("L1", (0.0, 0.0, 0.0), model="other")])
        assert runs(stage.scene) == ["m", "other"]
        show_run(stage.scene, "m", False)
        assert not find_node(stage.scene, "surface", run="m", level="L1").GetDisplayVisibility()
        assert find_node(stage.scene, "surface", run="other", level="L1").GetDisplayVisibility()

    def test_what_was_measured_on_it_goes(self, stage: Any, rebuilt: SimpleNamespace) -> None:
        show_results(stage.scene, rebuilt.reconstructions)
        show_comparisons(stage.scene, rebuilt.comparisons, rebuilt.references, rebuilt.run)
        show_results(stage.scene, rebuilt.reconstructions[1:])  # L2: nobody measured it
        assert find_node(stage.scene, "statistics") is not None
        show_results(stage.scene, rebuilt.reconstructions[:1])
        for kind in ("reference", "statistics", "histogram", "chart", "series", "distance-legend"):
            assert find_node(stage.scene, kind) is None
        assert not find_node(stage.scene, "surface", run=rebuilt.run, level="L1").GetDisplayNode().GetScalarVisibility()


class TestRemove:
    def test_one_level(self, stage: Any, in_folder: Any) -> None:
        show_results(stage.scene, [L1, L2])
        remove_results(stage.scene, "m", ["L1"])
        assert [one.roi.level for one in vertebrae(stage.scene, "m")] == ["L2"]
        assert voxels_of(find_node(stage.scene, "spine", run="m")).shape == (24, 24, 24)
        assert set(in_folder(stage.scene, "m")) == {
            "L2 volume",
            "L2 edges",
            "L2 surface",
            "Spine m",
            "Segmentation m",
        }

    def test_all_of_a_run_and_nothing_else(self, stage: Any, sample: Case, in_folder: Any) -> None:
        show_case(stage.scene, sample)
        before = {node.GetID() for node in stage.scene.GetNodes()}
        show_results(stage.scene, [L1, L2])
        rendering.render_bone(stage.scene, find_node(stage.scene, "spine", run="m"), 300)
        remove_results(stage.scene, "m")
        assert {node.GetID() for node in stage.scene.GetNodes()} == before
        assert in_folder(stage.scene, "m") == []
        assert runs(stage.scene) == []


class TestLook:
    def test_surfaces_in_3d_and_segments_in_the_axial_view(self, stage: Any) -> None:
        show_results(stage.scene, [L1, L2])
        stage.view_3d.look_from((0, 1, 0))
        seen = stage.view_3d.pixels() / 255
        upper, lower = seen[:175].reshape(-1, 3), seen[175:].reshape(-1, 3)
        for part, level in ((upper, "L1"), (lower, "L2")):
            part = part[part.max(1) > 0.5]
            assert np.abs(part / part.max(1, keepdims=True) - np.array(level_colour(level)) / 0.95).mean() < 0.1
        show_layers(stage.scene, stage.axial.node, find_node(stage.scene, "spine", run="m"))
        stage.axial.node.JumpSliceByCentering(*L1.roi.centre_ras_mm)
        stage.axial.node.SetFieldOfView(40, 40, 1)
        x, y = stage.axial.to_xy(L1.roi.centre_ras_mm).round().astype(int)
        red, green, blue = stage.axial.pixels()[249 - y, x]
        assert green > max(red, blue) + 30  # the green of L1 over the grey of bone

    def test_not_on_the_radiographs(self, stage: Any, sample: Case) -> None:
        show_case(stage.scene, sample)
        show_results(stage.scene, [L1])
        for node in find_nodes(stage.scene, run="m"):
            for n in range(node.GetNumberOfDisplayNodes() if node.IsA("vtkMRMLDisplayableNode") else 0):
                display = node.GetNthDisplayNode(n)
                on_radiograph = display.IsDisplayableInView("vtkMRMLSliceNodeEARFrontal")
                assert node.IsA("vtkMRMLVolumeNode") or not on_radiograph or not display.GetVisibility2D()

    def test_edge_map_is_hidden_until_it_is_asked_for(self, stage: Any) -> None:
        """Its side, patient's right, lies on the left of the axial view."""
        show_results(stage.scene, [L1])
        (shown,) = vertebrae(stage.scene, "m")
        find_node(stage.scene, "segmentation").SetDisplayVisibility(False)
        axial = stage.axial
        axial.node.JumpSliceByCentering(*L1.roi.centre_ras_mm)
        axial.node.SetFieldOfView(60, 60, 1)
        sides = [axial.to_xy(np.add(L1.roi.centre_ras_mm, (r, 0, 0))).round().astype(int) for r in (5, -5)]
        (right, y), (left, _) = sides
        assert right < left
        show_layers(stage.scene, axial.node, shown.volume_node)
        plain = axial.pixels()[249 - y]
        assert np.ptp(plain[[left, right]], axis=1).max() == 0  # grey
        show_layers(stage.scene, axial.node, shown.volume_node, shown.edges_node)
        coloured = axial.pixels()[249 - y]
        assert np.ptp(coloured[right]) > 50
        assert coloured[left] == pytest.approx(plain[left], abs=2)


class TestRendering:
    def test_bone_and_edges_on_demand(self, stage: Any) -> None:
        show_results(stage.scene, [L1])
        (shown,) = vertebrae(stage.scene, "m")
        shown.surface_node.SetDisplayVisibility(False)
        seen = stage.view_3d
        assert not rendering.is_rendered(shown.volume_node)
        rendering.render_bone(stage.scene, shown.volume_node, 300)
        seen.look_from((0, 1, 0))
        image = seen.pixels()
        bone = image.max(axis=2) > 90
        assert 0.02 < bone.mean() < 0.3
        red, green, blue = image[bone].mean(0)
        assert red > green > blue
        rendering.stop_rendering(stage.scene, shown.volume_node)
        rendering.render_edges(stage.scene, shown.edges_node)
        assert rendering.is_rendered(shown.edges_node)
        seen.look_from((0, 1, 0))
        lit = np.argwhere(seen.pixels().max(axis=2) > 90)
        assert lit[:, 1].mean() < 200  # the half at the patient's right, on the left as seen from the front
        rendering.stop_rendering(stage.scene, shown.edges_node)
        assert (seen.pixels().max(axis=2) > 90).sum() == 0
        assert find_nodes(stage.scene, "rendering") + find_nodes(stage.scene, "rendering-property") == []
