"""A comparison is read back from the nodes as it was measured, from a saved scene as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.comparison import Comparison, Shape, compare
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.surface import isosurface, points_of
from EARReconstructionLib.vertebra import VertebraROI
from vtkmodules.vtkCommonDataModel import vtkPolyData

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.comparisons import comparisons_of, show_comparisons
from EARReconstructionLib.scene.heatmap import measured_nodes
from EARReconstructionLib.scene.nodes import find_node, find_nodes, remove_nodes
from EARReconstructionLib.scene.results import show_results

PLACES = {"L1": (10.3, -20.0, 30.0), "L2": (11.0, -17.5, 3.2)}


def ball(level: str, model: str) -> Reconstruction:
    """Of 9 mm radius."""
    affine = cube_affine(PLACES[level], 24, 1.5)
    k, j, i = np.indices((24, 24, 24))
    place = transform_points(affine, np.stack([i, j, k], -1)) - PLACES[level]
    hu = (300 + 100 * (9 - np.linalg.norm(place, axis=-1))).astype(np.float32)
    return Reconstruction(VertebraROI(level, PLACES[level], (20.0,) * 3), hu, hu > 300, None, affine, 300.0, model)


def measured(*levels: str, model: str = "m", smaller: float = 2.0) -> tuple[list[Comparison], dict[str, vtkPolyData]]:
    """Comparisons with balls that are smaller by so many mm, and those."""
    rows, references = [], {}
    for level in levels:
        one = ball(level, model)
        ours, theirs = (isosurface(one.volume_hu, one.ras_from_ijk, hu) for hu in (300, 300 + 100 * smaller))
        rows += compare({level: Shape(ours)}, {level: Shape(theirs)})
        references[level] = theirs
    return rows, references


def same(found: list[Comparison], true: list[Comparison]) -> None:
    """Every number, the single distances as floats of 32 bits hold them."""
    for now, then in zip(found, true, strict=True):
        assert now.to_dict() == then.to_dict()
        assert now.error.signed_mm == pytest.approx(then.error.signed_mm, abs=1e-5)
        assert now.error.reference_signed_mm == pytest.approx(then.error.reference_signed_mm, abs=1e-5)
        assert points_of(now.surface) == pytest.approx(points_of(then.surface), abs=1e-4)


@pytest.fixture
def scene(stage: Any) -> Any:
    """L1 and L2 of two runs."""
    for model in ("m", "other"):
        show_results(stage.scene, [ball(level, model) for level in PLACES])
    return stage.scene


def test_nothing_measured(scene: Any) -> None:
    assert comparisons_of(scene, "m") == comparisons_of(scene, "no such run") == []


def test_there_and_back_for_each_run(scene: Any) -> None:
    first, second = measured("L2", "L1"), measured("L1", model="other", smaller=-1.0)
    show_comparisons(scene, *first, "m")
    show_comparisons(scene, *second, "other")
    same(comparisons_of(scene, "m"), first[0][::-1])  # from head to tail
    same(comparisons_of(scene, "other"), second[0])
    assert comparisons_of(scene, "m")[0].error.mean_signed_mm == pytest.approx(2, abs=0.1)
    assert comparisons_of(scene, "other")[0].error.mean_signed_mm == pytest.approx(-1, abs=0.1)


def test_after_the_scene_was_saved_and_loaded(stage: Any, scene: Any, tmp_path: Path) -> None:
    rows, references = measured("L1", "L2")
    show_comparisons(scene, rows, references, "m")
    stage.save(tmp_path / "case.mrb")
    scene.Clear(0)
    assert comparisons_of(scene, "m") == []
    stage.load(tmp_path / "case.mrb")
    same(comparisons_of(scene, "m"), rows)


def test_what_was_measured_on_other_vertebrae_goes(scene: Any) -> None:
    """It may have been another reference: the table, the chart and the colours must speak of one."""
    show_comparisons(scene, *measured("L1", "L2"), "m")
    show_comparisons(scene, *measured("L1", model="other"), "other")
    chart = find_node(scene, "chart", run="m").GetID()
    again = measured("L2", smaller=1.0)
    show_comparisons(scene, *again, "m")
    same(comparisons_of(scene, "m"), again[0])
    assert [node.GetAttribute("EAR.level") for node in find_nodes(scene, "reference", run="m")] == ["L2"]
    assert find_node(scene, "statistics", run="m").GetTable().GetNumberOfRows() == 1
    assert find_node(scene, "chart", run="m").GetID() == chart  # views keep showing it
    assert len(comparisons_of(scene, "other")) == 1
    assert find_node(scene, "surface", run="m", level="L1") not in measured_nodes(scene)


def test_replaced_or_removed_nodes_are_not_measured(scene: Any) -> None:
    rows, references = measured("L1", "L2")
    show_comparisons(scene, rows, references, "m")
    show_results(scene, [ball("L1", "m")])
    same(comparisons_of(scene, "m"), rows[1:])
    assert find_node(scene, "statistics", run="m") is None
    remove_nodes(scene, [find_node(scene, "reference", run="m", level="L2")])
    assert comparisons_of(scene, "m") == []
