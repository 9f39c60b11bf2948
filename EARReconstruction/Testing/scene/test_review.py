"""Heat maps, legend, tables, chart, and the way to the worst point."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.colours import distance_colours
from EARReconstructionLib.comparison import Comparison
from EARReconstructionLib.distance import SIGNED_DISTANCE, surface_error, with_distances
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.surface import with_normals
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkSphereSource

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.display import show_run
from EARReconstructionLib.scene.heatmap import (
    forget_distances,
    measured_nodes,
    set_heat_map,
    set_range,
    show_distances,
    update_legend,
)
from EARReconstructionLib.scene.nodes import SURFACE, add_node, array_of, find_node, find_nodes, remove_nodes
from EARReconstructionLib.scene.review import jump, mark, worst_point
from EARReconstructionLib.scene.tables import show_histogram, show_statistics


def sphere(centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> vtkPolyData:
    """Of 20 mm radius."""
    source = vtkSphereSource()
    source.SetRadius(20)
    source.SetCenter(*centre)
    source.SetThetaResolution(48)
    source.SetPhiResolution(48)
    source.Update()
    return with_normals(source.GetOutput())


@pytest.fixture(scope="module")
def shifted() -> Comparison:
    """A ball that was rebuilt 3 mm too far to the patient's right: outside there, inside at the left."""
    ours = sphere((3.0, 0.0, 0.0))
    error = surface_error(ours, sphere())
    return Comparison("L3", 0.8, error, with_distances(ours, error.signed_mm))


def show_model(scene: Any, surface: vtkPolyData, level: str = "L3") -> Any:
    """A rebuilt surface in the scene."""
    node = add_node(scene, "vtkMRMLModelNode", f"{level} surface", SURFACE, level=level, run="m")
    node.SetAndObservePolyData(surface)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetColor(0.2, 0.9, 0.2)
    return node


class TestHeatMap:
    def test_red_inside_blue_outside_pale_between(self, stage: Any, shifted: Comparison) -> None:
        """Seen from the front: the patient's right, where it is outside, is on the left."""
        node = show_model(stage.scene, shifted.surface)
        show_distances(node, shifted.surface, range_mm=3)
        find_node(stage.scene, "distance-legend").SetVisibility(False)
        stage.view_3d.look_from((0, 1, 0))
        image = stage.view_3d.pixels()[175]
        body = np.flatnonzero(image.max(axis=1) > 60)
        width = body[-1] - body[0]
        outside, between, inside = (image[body[0] + int(share * width)] for share in (0.12, 0.5, 0.88))
        assert outside[2] > outside[0] + 40
        assert inside[0] > inside[2] + 40
        assert np.ptp(between) < 25
        assert between.min() > 150

    def test_colours_run_over_the_range_in_mm(self, stage: Any, shifted: Comparison) -> None:
        node = show_model(stage.scene, shifted.surface)
        show_distances(node, shifted.surface, range_mm=3)
        display = node.GetDisplayNode()
        assert display.GetScalarRange() == (-3, 3)
        table = display.GetColorNode()
        assert table.GetNumberOfColors() == 256
        lookup = table.GetLookupTable()
        assert lookup.GetTableValue(0)[:3] == pytest.approx(distance_colours()[0], abs=1 / 255)
        assert lookup.GetTableValue(255)[:3] == pytest.approx(distance_colours()[-1], abs=1 / 255)
        values = vtk_to_numpy(node.GetPolyData().GetPointData().GetArray(SIGNED_DISTANCE))
        assert (values.min(), values.max()) == pytest.approx((-3, 3), abs=0.05)
        set_range(stage.scene, 1.5)
        assert display.GetScalarRange() == (-1.5, 1.5)

    def test_switched_off_and_on(self, stage: Any, shifted: Comparison) -> None:
        node = show_model(stage.scene, shifted.surface)
        show_distances(node, shifted.surface)
        set_heat_map(stage.scene, False)
        stage.view_3d.look_from((0, 1, 0))
        red, green, blue = stage.view_3d.pixels()[175, 200]
        assert green > 2 * red
        assert green > 2 * blue
        assert measured_nodes(stage.scene) == [node]
        set_heat_map(stage.scene, True)
        assert np.ptp(stage.view_3d.pixels()[175, 200]) < 40

    def test_without_distances_or_range_is_refused(self, stage: Any, shifted: Comparison) -> None:
        node = show_model(stage.scene, sphere())
        with pytest.raises(EARError, match="L3 surface: it has not been compared"):
            show_distances(node, sphere())
        with pytest.raises(EARError, match="above 0 mm"):
            show_distances(node, shifted.surface, 0)
        assert measured_nodes(stage.scene) == []

    def test_forgotten(self, stage: Any, shifted: Comparison) -> None:
        node = show_model(stage.scene, shifted.surface)
        show_distances(node, shifted.surface)
        forget_distances(node)
        assert measured_nodes(stage.scene) == find_nodes(stage.scene, "distance-legend") == []
        assert not node.GetDisplayNode().GetScalarVisibility()


class TestLegend:
    def test_is_drawn_in_mm(self, stage: Any, shifted: Comparison) -> None:
        """Bar and numbers at the right of the 3-D view: blue above, red below; the title ends in mm."""
        node = show_model(stage.scene, shifted.surface)
        show_distances(node, shifted.surface)
        stage.view_3d.look_from((0, 1, 0))
        (legend,) = find_nodes(stage.scene, "distance-legend")
        assert legend.GetTitleText() == "Signed distance (mm)"
        shown = stage.view_3d.pixels()
        legend.SetVisibility(False)
        drawn = np.abs(shown - stage.view_3d.pixels()).max(axis=2) > 60
        columns = np.nonzero(drawn)[1]
        assert columns.min() > 250  # at the right,
        assert columns.max() < 400  # whole,
        bar = shown[:, columns.max() - 3]
        blue, red = (np.flatnonzero(bar[:, one] > bar[:, other] + 60) for one, other in ((2, 0), (0, 2)))
        assert len(blue) > 10 < len(red)
        assert blue.max() < red.min()  # outside above inside

    def test_is_one_and_moves_to_what_can_be_seen(self, stage: Any, shifted: Comparison) -> None:
        nodes = [show_model(stage.scene, shifted.surface, level) for level in ("L3", "L4")]
        for node in nodes:
            show_distances(node, shifted.surface)
        (legend,) = find_nodes(stage.scene, "distance-legend")
        assert legend.GetDisplayableNode() is nodes[0]
        nodes[0].SetDisplayVisibility(False)
        update_legend(stage.scene)
        (legend,) = find_nodes(stage.scene, "distance-legend")
        assert legend.GetDisplayableNode() is nodes[1]
        assert len(find_nodes(stage.scene, "distance-colours")) == 1
        remove_nodes(stage.scene, nodes)
        update_legend(stage.scene)
        assert find_nodes(stage.scene, "distance-legend") == []


class TestComparisons:
    def test_both_sides(self, stage: Any, shifted: Comparison) -> None:
        """The reference carries its own distances, with the same meaning of the sign."""
        rebuilt = show_model(stage.scene, sphere((3.0, 0.0, 0.0)))
        show_comparisons(stage.scene, [shifted], {"L3": sphere()}, "m", range_mm=2)
        reference = find_node(stage.scene, "reference", level="L3")
        points = vtk_to_numpy(reference.GetPolyData().GetPoints().GetData())
        values = vtk_to_numpy(reference.GetPolyData().GetPointData().GetArray(SIGNED_DISTANCE))
        assert values[points[:, 0].argmin()] == pytest.approx(-3, abs=0.1)  # the left is not covered
        assert values[points[:, 0].argmax()] == pytest.approx(3, abs=0.1)
        assert (rebuilt.GetDisplayVisibility(), reference.GetDisplayVisibility()) == (1, 0)
        show_run(stage.scene, "m", True, on_reference=True)
        assert (rebuilt.GetDisplayVisibility(), reference.GetDisplayVisibility()) == (0, 1)
        assert find_node(stage.scene, "distance-legend").GetDisplayableNode() is reference

    def test_twice_is_as_once(self, stage: Any, shifted: Comparison) -> None:
        show_model(stage.scene, shifted.surface)
        for _ in range(2):
            show_comparisons(stage.scene, [shifted], {"L3": sphere()}, "m")
        for kind in ("reference", "statistics", "histogram", "chart", "distance-legend"):
            assert len(find_nodes(stage.scene, kind)) == 1
        assert len(find_nodes(stage.scene, "series")) == 2

    def test_a_vertebra_that_is_not_there_leaves_the_scene_alone(self, stage: Any, shifted: Comparison) -> None:
        before = stage.scene.GetNumberOfNodes()
        with pytest.raises(EARError, match="vertebra L3"):
            show_comparisons(stage.scene, [shifted], {"L3": sphere()}, "m")
        assert stage.scene.GetNumberOfNodes() == before


class TestTables:
    def test_statistics_in_both_directions(self, stage: Any, shifted: Comparison) -> None:
        table = show_statistics(stage.scene, [shifted, shifted], "m").GetTable()
        assert (table.GetNumberOfRows(), table.GetValueByName(0, "Level").ToString()) == (2, "L3")

        def value(name: str) -> float:
            return float(table.GetValueByName(0, name).ToDouble())

        assert value("Dice") == 0.8
        assert value("ASSD (mm)") == round(shifted.error.assd_mm, 3)
        assert value("HD (mm)") == pytest.approx(3, abs=0.05)
        assert value("Most outside, to the reference (mm)") == pytest.approx(3, abs=0.05)
        assert value("Most inside, to the reconstruction (mm)") == pytest.approx(-3, abs=0.05)
        assert value("Within 1 mm (%)") == pytest.approx(100 / 3, abs=2)  # |3 cos| <= 1 on a third of a sphere

    def test_histogram_and_its_chart(self, stage: Any, shifted: Comparison) -> None:
        """Shares of points in percent; what lies beyond the range is in the outermost bins."""
        chart = show_histogram(stage.scene, [shifted], "m", range_mm=2.0, bins=8)
        table = find_node(stage.scene, "histogram").GetTable()
        names = [table.GetColumnName(n) for n in range(3)]
        assert names == ["Signed distance (mm)", "to the reference", "to the reconstruction"]
        middles, shares, back = (vtk_to_numpy(table.GetColumn(n)) for n in range(3))
        assert middles == pytest.approx(np.arange(-1.75, 2, 0.5))
        assert shares.sum() == back.sum() == pytest.approx(100)
        signed = shifted.error.signed_mm
        assert shares[0] == pytest.approx(100 * (signed < -1.5).mean())
        assert shares[5] == pytest.approx(100 * ((signed >= 0.5) & (signed < 1)).mean())
        assert chart.GetNumberOfPlotSeriesNodes() == 2
        assert chart.GetXAxisTitle() == "mm"
        for n in range(2):
            assert chart.GetNthPlotSeriesNode(n).GetTableNode() is find_node(stage.scene, "histogram")
            assert chart.GetNthPlotSeriesNode(n).GetYColumnName() == names[n + 1]


class TestWorstPoint:
    def test_of_the_sample(self, rebuilt: SimpleNamespace) -> None:
        point, text = worst_point(rebuilt.comparisons)
        error = rebuilt.comparisons[0].error
        assert point == error.worst_ras_mm
        assert text == f"L1 {error.worst_signed_mm:+.1f} mm"

    def test_of_several(self, shifted: Comparison) -> None:
        ours = sphere((0.0, 1.0, 0.0))
        error = surface_error(ours, sphere())
        nearer = Comparison("L2", 0.9, error, with_distances(ours, error.signed_mm))
        for comparisons in ([nearer, shifted], [shifted, nearer]):
            point, text = worst_point(comparisons)
            assert text.startswith("L3 ")
            assert point == shifted.error.worst_ras_mm

    def test_of_nothing(self) -> None:
        with pytest.raises(EARError, match="nothing has been compared"):
            worst_point([])

    def test_jump_turns_the_volumes_views_not_the_radiographs(self, stage: Any) -> None:
        planes = [array_of(view.node.GetSliceToRAS()) for view in (stage.frontal, stage.lateral)]
        camera = stage.scene.GetFirstNodeByClass("vtkMRMLCameraNode")
        way = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
        jump(stage.scene, (12.0, -34.0, 56.0))
        middle = [size / 2 for size in stage.axial.node.GetDimensions()[:2]]
        assert stage.axial.to_ras(*middle) == pytest.approx((12, -34, 56), abs=1)
        assert camera.GetFocalPoint() == pytest.approx((12, -34, 56))
        assert np.subtract(camera.GetPosition(), camera.GetFocalPoint()) == pytest.approx(way)
        for view, plane in zip((stage.frontal, stage.lateral), planes, strict=True):
            assert array_of(view.node.GetSliceToRAS()) == pytest.approx(plane)

    def test_marked_once_in_3d(self, stage: Any) -> None:
        mark(stage.scene, (1.0, 2.0, 3.0), "L3 -5.2 mm")
        node = mark(stage.scene, (4.0, 5.0, 6.0), "L4 +2.0 mm")
        assert len(find_nodes(stage.scene, "mark")) == node.GetNumberOfControlPoints() == 1
        assert node.GetNthControlPointPosition(0) == pytest.approx((4, 5, 6))
        assert node.GetNthControlPointLabel(0) == "L4 +2.0 mm"
        assert not node.GetDisplayNode().IsDisplayableInView(stage.frontal.node.GetID())
