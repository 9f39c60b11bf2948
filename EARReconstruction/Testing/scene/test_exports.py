"""A run of the scene becomes the folder that the command writes, from a saved scene as well."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.comparison import read_shapes
from EARReconstructionLib.errors import CaseError, EARError, GeometryError
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.report import FILE_NAME, draw_report
from EARReconstructionLib.resources import find_model
from EARReconstructionLib.results import Result, write_result
from EARReconstructionLib.spine import stitch
from EARReconstructionLib.surface import points_of, read_surface
from EARReconstructionLib.volume_io import read_volume
from vtkmodules.util.numpy_support import vtk_to_numpy

pytest.importorskip("slicer", reason="slicer-core is not installed")

from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.exports import result_of
from EARReconstructionLib.scene.nodes import find_node, remove_nodes
from EARReconstructionLib.scene.radiographs import place_radiograph, radiograph_nodes, view_of
from EARReconstructionLib.scene.results import remove_results, show_results
from EARReconstructionLib.scene.rois import roi_nodes
from EARReconstructionLib.scene.tasks import export_task


def export(scene: Any, run: str, folder: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write a run into a folder; return the summary."""
    summary: dict[str, Any] = export_task(scene, run, folder, overwrite=overwrite).run()
    return summary


@pytest.fixture
def shown(stage: Any, sample: Case, rebuilt: SimpleNamespace) -> Any:
    """The sample case with L1 and L2 rebuilt and L1 compared."""
    stage.scene.SetURL("")
    show_case(stage.scene, sample)
    show_results(stage.scene, rebuilt.reconstructions)
    show_comparisons(stage.scene, rebuilt.comparisons, rebuilt.references, rebuilt.run)
    return stage.scene


def files(folder: Path) -> dict[str, bytes]:
    """Name -> content of all files."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_folder_as_the_command_writes(
    shown: Any, sample: Case, rebuilt: SimpleNamespace, tmp_path: Path
) -> None:
    summary = export(shown, rebuilt.run, tmp_path / "Fälle" / "scene")
    case = replace(sample, name="scene", rois=tuple(one.roi for one in rebuilt.reconstructions))
    spine = stitch(rebuilt.reconstructions)
    made = tuple(rebuilt.reconstructions)
    direct = Result(case, rebuilt.run, "cpu", made, spine, tuple(rebuilt.comparisons), checksum=made[0].checksum)
    expected = write_result(direct, tmp_path / "direct", draw=draw_report)
    assert summary == expected
    ours, theirs = files(tmp_path / "Fälle" / "scene"), files(tmp_path / "direct")
    assert list(ours) == list(theirs)
    assert {FILE_NAME, "surfaces/L1.stl", "volumes/L2.nrrd", "distances/L1.vtp", "distances.csv"} <= set(ours)
    for name in ours:
        if name not in (FILE_NAME, "distances/L1.vtp"):  # a time and a card; points through floats
            assert ours[name] == theirs[name], name
    assert b"SPACE=LPS" in ours["surfaces/L1.stl"][:80]
    assert rebuilt.run in ours[FILE_NAME].decode()


def test_expected_errors_go_along(shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    first = rebuilt.reconstructions[0]
    errors = np.full_like(first.volume_hu, 1.25)
    show_results(shown, [replace(first, expected_error_mm=errors)])
    export(shown, rebuilt.run, tmp_path / "out")
    surface = read_surface(tmp_path / "out" / "expected-errors" / f"{first.roi.level}.vtp")
    np.testing.assert_allclose(vtk_to_numpy(surface.GetPointData().GetArray(EXPECTED_ERROR)), 1.25)


def test_what_the_model_says_goes_along_if_it_is_still_the_same(
    shown: Any, rebuilt: SimpleNamespace, sample: Case
) -> None:
    result = result_of(shown, rebuilt.run, "Frau Müller")
    assert result.case.name == "Frau Müller"
    assert result.case.geometry == sample.geometry
    assert result.device == "cpu"
    assert result.checksum == rebuilt.reconstructions[0].checksum != ""
    assert result.card is not None
    assert result.card.name == rebuilt.run
    show_results(shown, [replace(one, checksum="of another one") for one in rebuilt.reconstructions])
    assert result_of(shown, rebuilt.run).card is None


def test_the_card_of_a_model_that_the_user_added(shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    """It is told by its checksum: files get other names, and some are damaged."""
    shutil.copy(find_model(rebuilt.run), tmp_path / "mine.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    card = result_of(shown, rebuilt.run, models=sorted(tmp_path.iterdir())).card
    assert card is not None
    assert card.name == rebuilt.run
    assert result_of(shown, rebuilt.run, models=[]).card is None


def test_of_a_scene_that_was_saved_and_loaded(stage: Any, shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    export(shown, rebuilt.run, tmp_path / "before")
    stage.save(tmp_path / "Süd.mrb")
    shown.Clear(0)
    stage.load(tmp_path / "Süd.mrb")
    export(shown, rebuilt.run, tmp_path / "after")
    before, after = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("before", "after"))
    assert after == {**before, "case": "Süd"}
    for level in ("L1", "L2"):
        then, now = (tmp_path / name / "surfaces" / f"{level}.stl" for name in ("before", "after"))
        assert points_of(read_surface(now)) == pytest.approx(points_of(read_surface(then)), abs=1e-3)
        then, now = (tmp_path / name / "volumes" / f"{level}.nrrd" for name in ("before", "after"))
        assert np.array_equal(read_volume(now).array, read_volume(then).array)
    assert set(read_shapes(tmp_path / "after")) == {"L1", "L2"}


def test_copies_go_out(shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    """They are written on a thread while the scene may be cleared."""
    result = result_of(shown, rebuilt.run)
    shown.Clear(0)
    assert write_result(result, tmp_path / "out")["vertebrae"] == ["L1", "L2"]
    assert (tmp_path / "out" / "distances" / "L1.vtp").is_file()


def test_earlier_results_are_replaced_only_when_asked(shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    export(shown, rebuilt.run, tmp_path / "out")
    with pytest.raises(EARError, match="earlier results"):
        export(shown, rebuilt.run, tmp_path / "out")
    remove_results(shown, rebuilt.run, ["L2"])
    assert export(shown, rebuilt.run, tmp_path / "out", overwrite=True)["vertebrae"] == ["L1"]
    assert not (tmp_path / "out" / "surfaces" / "L2.stl").exists()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(EARError, match=r"letter\.txt"):
        export(shown, rebuilt.run, tmp_path / "out", overwrite=True)


def test_nothing_is_written_when_something_is_missing(shown: Any, rebuilt: SimpleNamespace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(EARError, match="no such run: there are no results"):
        export(shown, "no such run", out)
    remove_nodes(shown, roi_nodes(shown))  # the vertebrae keep the places that they were rebuilt at
    assert len(result_of(shown, rebuilt.run).case.rois) == 2
    lateral = radiograph_nodes(shown)["lateral"]
    view = view_of(lateral)
    place_radiograph(lateral, view.moved((0, 0, 900)))
    with pytest.raises(CaseError, match="L1 lies outside the lateral"):
        export(shown, rebuilt.run, out)
    remove_nodes(shown, [lateral])
    with pytest.raises(GeometryError, match="no lateral radiograph"):
        export(shown, rebuilt.run, out)
    assert list(tmp_path.iterdir()) == []
    assert find_node(shown, "spine") is not None
