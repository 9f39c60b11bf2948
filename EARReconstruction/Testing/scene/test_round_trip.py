"""A saved scene brings everything back; a cleared one keeps nothing. And the layout that the desktop reads."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
from EARReconstructionLib.scene.cases import case_of, show_case
from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.layout import RadiographViews
from EARReconstructionLib.scene.layouts import XRAYS_ID, add_layouts, xrays_layout
from EARReconstructionLib.scene.nodes import find_node, find_nodes
from EARReconstructionLib.scene.projected_rois import BOX, ProjectedROIs
from EARReconstructionLib.scene.radiographs import is_bone_white, radiograph_nodes, set_bone_white
from EARReconstructionLib.scene.results import remove_results, runs, show_results, vertebrae
from EARReconstructionLib.scene.rois import crop_mm, roi_nodes, roi_of, show_crop


@pytest.mark.parametrize(("name", "cleared"), [("case.mrb", True), ("Fälle Süd.mrb", False)])
def test_saved_and_loaded(
    stage: Any, sample: Case, rebuilt: SimpleNamespace, tmp_path: Path, name: str, cleared: bool, in_folder: Any
) -> None:
    """Into an empty scene, or in place of the one that is there: its nodes have the same ids and are others."""
    scene, run = stage.scene, rebuilt.run
    views, boxes = RadiographViews(scene), ProjectedROIs(scene)
    show_case(scene, sample)
    set_bone_white(radiograph_nodes(scene)["lateral"], False)
    show_crop(roi_nodes(scene)[0], 96.0)
    show_results(scene, rebuilt.reconstructions)
    show_comparisons(scene, rebuilt.comparisons, rebuilt.references, run, range_mm=2.5)
    case, kinds = case_of(scene), kinds_and_names(scene)
    labels = label_voxels(scene)
    stage.save(tmp_path / name)

    if cleared:
        scene.Clear(0)
        assert find_nodes(scene) == runs(scene) == []
        assert stage.frontal.pixels().max() == 0
    stage.load(tmp_path / name)
    back = case_of(scene)
    assert kinds_and_names(scene) == kinds
    assert back.geometry == case.geometry == sample.geometry
    assert back.rois == case.rois
    for now, then in zip(back.radiographs, sample.radiographs, strict=True):
        assert np.array_equal(now.pixels, then.pixels)
        assert (now.quantity, now.path, now.notes) == (then.quantity, then.path, then.notes)
    assert [is_bone_white(node) for node in radiograph_nodes(scene).values()] == [True, False]
    assert crop_mm(roi_nodes(scene)[0]) == 96
    assert len(find_nodes(scene, BOX)) == 2 * len(sample.rois)

    for now, then in zip(vertebrae(scene, run), rebuilt.reconstructions, strict=True):
        assert (now.roi, now.threshold_hu, now.notes) == (then.roi, then.threshold_hu, then.notes)
        assert np.array_equal(now.volume_hu, then.volume_hu)
        assert np.array_equal(now.edges, then.edges)
        assert now.ras_from_ijk == pytest.approx(then.ras_from_ijk, abs=1e-9)
        assert now.volume_node.GetNodeReference("EAR.frontal") is radiograph_nodes(scene)["frontal"]
    assert np.array_equal(label_voxels(scene), labels)
    assert len(in_folder(scene, run)) == 14
    display = find_node(scene, "surface", run=run, level="L1").GetDisplayNode()
    assert display.GetScalarVisibility()
    assert display.GetScalarRange() == (-2.5, 2.5)
    assert display.GetColorNode() is find_node(scene, "distance-colours")
    assert find_node(scene, "distance-legend").GetDisplayableNode() is find_node(scene, "surface", run=run, level="L1")
    assert find_node(scene, "statistics").GetTable().GetNumberOfRows() == 1
    assert find_node(scene, "chart").GetNthPlotSeriesNode(0).GetTableNode() is find_node(scene, "histogram")
    assert stage.frontal.pixels().max() > 200  # shown again, without a click
    stage.frontal.node.SetSliceOffset(stage.frontal.node.GetSliceOffset() + 40)
    assert stage.frontal.pixels().max() > 200
    box = find_nodes(scene, BOX)[0]
    stage.frontal.drag(stage.frontal.to_xy(box.GetCenterWorld()), (20, 0))
    assert roi_of(roi_nodes(scene)[0]).centre_ras_mm[0] < case.rois[0].centre_ras_mm[0] - 5

    remove_results(scene, run, ["L1"])  # and it can be worked on
    assert [one.roi.level for one in vertebrae(scene, run)] == ["L2"]
    boxes.close()
    views.close()


def kinds_and_names(scene: Any) -> list[tuple[str, str]]:
    """Of all our nodes."""
    return sorted((node.GetAttribute("EAR.kind"), node.GetName()) for node in find_nodes(scene))


def label_voxels(scene: Any) -> np.ndarray:
    """The voxels of L1's segment."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    assert find_node(scene, "segmentation").GetBinaryLabelmapRepresentation("L1", image)
    return np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])) + [
        image.GetExtent()[n] for n in (4, 2, 0)
    ]


def test_layout_is_two_by_two_with_the_tags_of_the_views(stage: Any) -> None:
    root = ElementTree.fromstring(xrays_layout())
    rows = [[view.get("singletontag") for view in row.iter("view")] for row in root.findall("item")]
    assert rows == [["EARFrontal", "EARLateral"], ["Red", "1"]]
    names = {view.get("singletontag"): view.findtext("property[@name='viewlabel']") for view in root.iter("view")}
    assert (names["EARFrontal"], names["EARLateral"]) == ("AP", "Lateral")
    assert [view.node.GetID() for view in (stage.frontal, stage.lateral)] == [
        "vtkMRMLSliceNodeEARFrontal",
        "vtkMRMLSliceNodeEARLateral",
    ]


def test_layout_is_known_to_the_layout_node() -> None:
    node = slicer.vtkMRMLLayoutNode()
    add_layouts(node)
    add_layouts(node)
    node.SetViewArrangement(XRAYS_ID)
    assert node.GetCurrentLayoutDescription() == xrays_layout()
