"""A folder of results is whole or not there, and nothing that is not a result is ever deleted."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib import results as module
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.case import Case, Reference
from EARReconstructionLib.comparison import Shape, compare
from EARReconstructionLib.distance import SIGNED_DISTANCE
from EARReconstructionLib.errors import Cancelled, CaseError, EARError, ReferenceSurfaceError
from EARReconstructionLib.expected_error import EXPECTED_ERROR
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine, transform_points
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.results import COLUMNS, Result, check_output, run_case, write_distances, write_result
from EARReconstructionLib.spine import stitch
from EARReconstructionLib.surface import mask_surface, read_surface, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL, VertebraROI
from EARReconstructionLib.volume_io import read_volume, write_labels
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

SIZE = 32
PLACES = {"T12": (2.0, -3.0, 30.0), "L1": (0.0, 4.0, -5.0)}


def roi(level):
    return VertebraROI(level, PLACES[level], (26.0, 26.0, 26.0))


def distance_from(centre, affine, size=SIZE):
    k, j, i = np.indices((size,) * 3)
    return np.linalg.norm(transform_points(affine, np.stack([i, j, k], -1)) - centre, axis=-1)


def rebuilt(level, radius=9.0, edges=False):
    affine = cube_affine(PLACES[level], SIZE, 1.0)
    hu = (-80.0 * (distance_from(PLACES[level], affine) - radius)).clip(-1000, 700).astype(np.float32)
    return Reconstruction(
        roi(level),
        hu,
        hu > 0,
        np.linspace(0, 1, SIZE**3, dtype=np.float32).reshape((SIZE,) * 3) if edges else None,
        affine,
        0.0,
        "tiny",
        (f"Something about {level}.", "Something about both."),
    )


@pytest.fixture
def case():
    geometry = BiplanarGeometry.from_preset(height=200, width=160)
    pixels = np.random.default_rng(1).uniform(0, 2, (200, 160)).astype(np.float32)
    frontal, lateral = (
        Radiograph(
            pixels,
            "attenuation",
            view.pixel_mm,
            role,
            (view.alpha_deg, view.beta_deg),
            view,
            Path(f"{role}.nrrd"),
            (f"A note on the {role} image.",),
        )
        for role, view in zip(("frontal", "lateral"), geometry.views, strict=True)
    )
    return Case("test case", frontal, lateral, geometry, tuple(map(roi, PLACES)))


def result_of(case, *levels, compared=True, edges=False):
    parts = [rebuilt(level, edges=edges) for level in levels or PLACES]
    spine = stitch(parts)
    comparisons = []
    for one in parts if compared else ():
        truth = distance_from(PLACES[one.roi.level], one.ras_from_ijk) < 10
        shape = Shape(spine.surfaces[one.roi.level])
        comparisons += compare({one.roi.level: shape}, {"r": Shape(mask_surface(truth, one.ras_from_ijk))})
    return Result(case, "tiny", "cpu", tuple(parts), spine, tuple(comparisons), ("A remark.",))


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestWriting:
    def test_every_file_holds_what_it_says(self, case, tmp_path):
        result = result_of(case, edges=True)
        summary = write_result(result, tmp_path / "deep" / "out")
        out = tmp_path / "deep" / "out"
        assert sorted([*summary["files"], "summary.json"]) == sorted(contents(out))
        for one in result.reconstructions:
            volume = read_volume(out / "volumes" / f"{one.roi.level}.nrrd")
            np.testing.assert_allclose(volume.array, one.volume_hu, atol=0.51)
            np.testing.assert_allclose(volume.ras_from_ijk, one.ras_from_ijk, atol=1e-6)
            assert volume.metadata["model"] == "tiny"
            assert float(volume.metadata["threshold_hu"]) == 0
            edges = read_volume(out / "volumes" / f"{one.roi.level}-edges.nrrd")
            np.testing.assert_allclose(edges.array, one.edges, atol=0.005)
            box = np.reshape(read_surface(out / "surfaces" / f"{one.roi.level}.stl").GetBounds(), (3, 2))
            np.testing.assert_allclose(box.mean(1), PLACES[one.roi.level], atol=0.1)
            np.testing.assert_allclose(np.ptp(box, axis=1), 18, atol=0.3)
        labels = read_volume(out / "spine-labels.seg.nrrd")
        for level, place in PLACES.items():
            i, j, k = np.rint(transform_points(np.linalg.inv(labels.ras_from_ijk), place)).astype(int)
            assert labels.array[k, j, i] == VERSE_LABEL[level]
        spine = read_volume(out / "spine.nrrd")
        assert spine.array.shape == labels.array.shape
        assert spine.array.min() == -1000

    def test_expected_errors_are_written_where_they_were_asked_for(self, case, tmp_path):
        result = result_of(case)
        first, second = result.reconstructions
        expected = np.full(first.volume_hu.shape, 1.25, np.float32)
        rebuilt = (replace(first, expected_error_mm=expected), second)
        summary = write_result(replace(result, reconstructions=rebuilt, spine=stitch(rebuilt)), tmp_path / "out")
        files = {name for name in summary["files"] if "expected" in name}
        assert files == {"volumes/T12-expected-error.nrrd", "expected-errors/T12.vtp"}
        stored = read_volume(tmp_path / "out" / "volumes" / "T12-expected-error.nrrd")
        np.testing.assert_allclose(stored.array, 1.25)
        np.testing.assert_allclose(stored.ras_from_ijk, first.ras_from_ijk, atol=1e-6)
        assert stored.metadata["unit"] == "mm"
        surface = read_surface(tmp_path / "out" / "expected-errors" / "T12.vtp")
        np.testing.assert_allclose(vtk_to_numpy(surface.GetPointData().GetArray(EXPECTED_ERROR)), 1.25)

    def test_the_summary(self, case, tmp_path):
        summary = write_result(result_of(case), tmp_path / "out")
        assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
        assert summary["case"] == "test case"
        assert summary["model"] == "tiny"
        assert summary["device"] == "cpu"
        assert summary["vertebrae"] == list(PLACES)
        assert [row["level"] for row in summary["comparison"]] == list(PLACES)
        assert summary["notes"] == [
            "A note on the frontal image.",
            "A note on the lateral image.",
            "Something about T12.",
            "Something about both.",
            "Something about L1.",
            "A remark.",
        ]

    def test_the_table_of_distances(self, case, tmp_path):
        result = result_of(case)
        write_result(result, tmp_path / "out")
        with (tmp_path / "out" / "distances.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert tuple(rows[0]) == COLUMNS
        assert COLUMNS == (
            "level", "dice", "assd_mm", "rms_mm", "hd95_mm", "hd_mm", "mean_signed_mm", "nsd_1mm", "nsd_2mm",
        )  # fmt: skip
        assert [row["level"] for row in rows] == list(PLACES)
        for row, one in zip(rows, result.comparisons, strict=True):
            assert float(row["dice"]) == pytest.approx(one.dice, abs=1e-4)
            assert float(row["assd_mm"]) == pytest.approx(1, abs=0.15)
            assert float(row["mean_signed_mm"]) == pytest.approx(-1, abs=0.15)  # inside the reference
            assert float(row["nsd_2mm"]) == 1
        write_distances(result.comparisons[:1], tmp_path / "one.csv")
        assert len((tmp_path / "one.csv").read_text().splitlines()) == 2

    def test_surfaces_that_carry_their_distances(self, case, tmp_path):
        result = result_of(case)
        write_result(result, tmp_path / "out")
        for one in result.comparisons:
            reader = vtkXMLPolyDataReader()
            reader.SetFileName(str(tmp_path / "out" / "distances" / f"{one.level}.vtp"))
            reader.Update()
            scalars = reader.GetOutput().GetPointData().GetArray(SIGNED_DISTANCE)
            np.testing.assert_allclose(vtk_to_numpy(scalars), one.error.signed_mm, atol=1e-4)
            box = np.reshape(read_surface(tmp_path / "out" / "distances" / f"{one.level}.vtp").GetBounds(), (3, 2))
            np.testing.assert_allclose(box.mean(1), PLACES[one.level], atol=0.1)

    def test_without_a_reference_there_is_no_table(self, case, tmp_path):
        summary = write_result(result_of(case, compared=False), tmp_path / "out")
        assert summary["comparison"] == []
        assert not (tmp_path / "out" / "distances.csv").exists()
        assert not (tmp_path / "out" / "distances").exists()

    def test_what_is_drawn_is_listed_and_its_notes_are_kept(self, case, tmp_path):
        def draw(result, folder):
            assert result.case is case
            (folder / "picture.png").write_bytes(b"PNG")
            return ["A note on the picture."]

        summary = write_result(result_of(case), tmp_path / "out", draw=draw)
        assert "picture.png" in summary["files"]
        assert summary["notes"][-1] == "A note on the picture."

    def test_surfaces_of_a_result_carry_their_distances(self, case):
        result = result_of(case)
        for surface in result.surfaces.values():
            assert surface.GetPointData().GetArray(SIGNED_DISTANCE) is not None
        for surface in result_of(case, compared=False).surfaces.values():
            assert surface.GetPointData().GetArray(SIGNED_DISTANCE) is None

    def test_a_relative_folder_and_one_behind_a_link(self, case, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_result(result_of(case), Path("here"))
        assert (tmp_path / "here" / "summary.json").is_file()
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        write_result(result_of(case), tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "summary.json").is_file()


class Boom(Exception):
    pass


#: Every function that writes, and how it fails.
WRITERS = ["write_spine", "write_volume", "write_surface", "write_distances"]


class TestWholeOrAbsent:
    @pytest.mark.parametrize("earlier", [False, True])
    @pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), Boom(), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("where", [*WRITERS, "draw", "os.replace"])
    def test_a_failure_in_the_middle_leaves_what_was_there(self, case, tmp_path, monkeypatch, where, trouble, earlier):
        out = tmp_path / "out"
        if earlier:
            write_result(result_of(case, "L1"), out)
        before = contents(tmp_path)

        def fails(*_, **__):
            raise trouble

        if where == "os.replace":
            monkeypatch.setattr(module.os, "replace", failing_once(module.os.replace, out, trouble))
        elif where != "draw":
            monkeypatch.setattr(module, where, fails)
        expected = EARError if isinstance(trouble, OSError) else type(trouble)
        with pytest.raises(expected) as caught:
            write_result(result_of(case), out, overwrite=True, draw=fails if where == "draw" else None)
        if isinstance(trouble, OSError):
            assert str(out) in str(caught.value)
            assert "No space left" in str(caught.value)
        monkeypatch.undo()
        assert contents(tmp_path) == before
        assert {p.name for p in tmp_path.iterdir()} == ({"out"} if earlier else set())

    def test_a_second_failure_can_be_followed_by_a_success(self, case, tmp_path, monkeypatch):
        def fails(*_, **__):
            raise Boom

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_volume", fails)
            with pytest.raises(Boom):
                write_result(result_of(case), tmp_path / "out")
        write_result(result_of(case), tmp_path / "out")


def failing_once(replace_, target_that_fails, trouble):
    """The first rename to a place fails; an attempt to put back what was there is let through."""
    failed = []

    def replacing(source, target):
        if Path(target) == target_that_fails and not failed:
            failed.append(source)
            raise trouble
        return replace_(source, target)

    return replacing


class TestOverwriting:
    def test_earlier_results_stay_unless_told(self, case, tmp_path):
        write_result(result_of(case), tmp_path / "out")
        before = contents(tmp_path)
        for attempt in (
            lambda: check_output(tmp_path / "out", False),
            lambda: write_result(result_of(case), tmp_path / "out"),
        ):
            with pytest.raises(EARError, match=r"out: .*earlier results.*--overwrite"):
                attempt()
        assert contents(tmp_path) == before

    def test_earlier_results_are_replaced_whole(self, case, tmp_path):
        write_result(result_of(case, edges=True), tmp_path / "out")
        check_output(tmp_path / "out", True)
        summary = write_result(result_of(case, "L1", compared=False), tmp_path / "out", overwrite=True)
        assert sorted([*summary["files"], "summary.json"]) == sorted(contents(tmp_path / "out"))
        assert not any("T12" in name or "edges" in name or "distances" in name for name in contents(tmp_path / "out"))
        assert [p.name for p in tmp_path.iterdir()] == ["out"]

    def test_an_empty_folder_is_free(self, case, tmp_path):
        (tmp_path / "out").mkdir()
        check_output(tmp_path / "out", False)
        write_result(result_of(case), tmp_path / "out")
        check_output(tmp_path / "new", False)

    @pytest.mark.parametrize("overwrite", [True, False])
    @pytest.mark.parametrize(
        "files",
        [
            {"thesis.txt": "years of work"},
            {"summary.json": "{}"},
            {"summary.json": '{"patients": 12}', "thesis.txt": "years of work"},
            {"summary.json": "[1, 2]"},
            {"summary.json": "not JSON"},
            {"summary.json": '{"files": "all"}'},
            {"summary.json/thesis.txt": "years of work"},
            {".git/config": "[core]"},
        ],
        ids=str,
    )
    def test_a_foreign_folder_is_never_touched(self, case, tmp_path, files, overwrite):
        for name, text in files.items():
            (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "out" / name).write_text(text)
        before = contents(tmp_path)
        for attempt in (
            lambda: check_output(tmp_path / "out", overwrite),
            lambda: write_result(result_of(case), tmp_path / "out", overwrite=overwrite),
        ):
            with pytest.raises(EARError, match=r"out: .*something else"):
                attempt()
        assert contents(tmp_path) == before

    def test_what_someone_put_among_the_results_is_never_deleted(self, case, tmp_path):
        write_result(result_of(case), tmp_path / "out")
        (tmp_path / "out" / "surfaces" / "repaired.ply").write_text("an afternoon of work")
        before = contents(tmp_path)
        with pytest.raises(EARError, match=r"repaired\.ply"):
            write_result(result_of(case), tmp_path / "out", overwrite=True)
        assert contents(tmp_path) == before

    def test_a_file_is_no_folder(self, case, tmp_path):
        (tmp_path / "out").write_text("a file")
        for overwrite in (True, False):
            with pytest.raises(EARError, match="out: "):
                check_output(tmp_path / "out", overwrite)
        with pytest.raises(EARError, match=r"below: .*out is a file"):
            check_output(tmp_path / "out" / "below", False)
        assert (tmp_path / "out").read_text() == "a file"


class Ball(ReconstructionNetwork):
    """A ball in the middle of every cube, and a count of what it was asked for."""

    input_kind = "volumes"

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, x):
        import torch

        self.seen += len(x)
        radius = distance_from((0, 0, 0), cube_affine((0, 0, 0), SIZE, 1.0))
        volume = torch.from_numpy((-80.0 * (radius - 9)).clip(-1000, 700).astype(np.float32))
        return NetworkOutput(volume.expand(len(x), 1, SIZE, SIZE, SIZE).clone())


class Fake(Bundle):
    def __init__(self, made):
        card = ModelCard(
            "tiny", "EAR", {}, SIZE, 1.0, "backproject", 0.0, 1.0, 0.0, (50.0, 130.0), (500.0, 1600.0),
            "column", tuple(PLACES), "none",
        )  # fmt: skip
        super().__init__(card, {}, "0")
        object.__setattr__(self, "made", made)

    def network(self):
        return self.made


class TestRunning:
    def test_all_of_a_case_or_some(self, case):
        bundle = Fake(Ball())
        result = run_case(case, bundle, device="cpu")
        assert [one.roi.level for one in result.reconstructions] == list(PLACES)
        assert (result.model, result.device, result.comparisons, result.remarks) == ("tiny", "cpu", (), ())
        assert set(result.surfaces) == set(PLACES)
        some = run_case(case, bundle, levels=["L1"], device="cpu")
        assert [one.roi.level for one in some.reconstructions] == ["L1"]

    @pytest.mark.parametrize(("levels", "word"), [(["L1", "T3"], "T3"), (["X1"], "X1")])
    def test_a_level_that_the_case_does_not_have(self, case, levels, word):
        network = Ball()
        with pytest.raises(CaseError, match=f"{word}.*T12, L1"):
            run_case(case, Fake(network), levels=levels)
        assert network.seen == 0

    def test_a_case_without_rois(self, case):
        with pytest.raises(CaseError, match="no ROI"):
            run_case(replace(case, rois=()), Fake(Ball()))

    def test_a_reference_is_compared_with(self, case, tmp_path):
        affine = cube_affine((1, 0, 12), 80, 1.0)
        labels = np.zeros((80,) * 3, np.uint8)
        for level, place in PLACES.items():
            labels[distance_from(place, affine, 80) < 10] = VERSE_LABEL[level]
        write_labels(tmp_path / "t.seg.nrrd", labels, affine, {VERSE_LABEL[n]: n for n in PLACES})
        result = run_case(replace(case, reference=Reference(segmentation=tmp_path / "t.seg.nrrd")), Fake(Ball()))
        assert [c.level for c in result.comparisons] == list(PLACES)
        for one in result.comparisons:
            assert one.dice == pytest.approx(2 * 9**3 / (9**3 + 10**3), abs=0.02)
            assert one.error.mean_signed_mm == pytest.approx(-1, abs=0.15)

    def test_a_reference_that_does_not_fit_becomes_a_remark(self, case, tmp_path):
        for level, shift in (("T12", 0), ("L1", 500)):
            affine = cube_affine(np.add(PLACES[level], (shift, 0, 0)), SIZE, 1.0)
            surface = mask_surface(distance_from(np.add(PLACES[level], (shift, 0, 0)), affine) < 10, affine)
            write_surface(tmp_path / f"{level}.ply", surface)
        reference = Reference(meshes={level: tmp_path / f"{level}.ply" for level in PLACES})
        result = run_case(replace(case, reference=reference), Fake(Ball()))
        assert [c.level for c in result.comparisons] == ["T12"]
        (remark,) = result.remarks
        assert "L1" in remark
        assert "L1.ply" in remark
        assert "500 mm apart" in remark
        assert remark in result.notes

    def test_a_reference_that_cannot_be_read_is_told_before_the_work(self, case, tmp_path):
        (tmp_path / "t.nrrd").write_text("no volume")
        network = Ball()
        with pytest.raises(ReferenceSurfaceError, match=r"t\.nrrd"):
            run_case(replace(case, reference=Reference(segmentation=tmp_path / "t.nrrd")), Fake(network))
        assert network.seen == 0

    def test_a_network_that_finds_no_bone_still_gives_a_result(self, case, tmp_path):
        class Nothing(Ball):
            def forward(self, x):
                return NetworkOutput(super().forward(x).volume - 2000)

        result = run_case(case, Fake(Nothing()))
        assert result.surfaces == {}
        summary = write_result(result, tmp_path / "out")
        assert sum("No bone" in note for note in summary["notes"]) == 2

    def test_progress_and_cancel_go_through(self, case):
        told = []
        run_case(case, Fake(Ball()), batch_size=1, progress=lambda *step: told.append(step[:2]))
        assert told == [(0, 2), (1, 2), (2, 2)]
        with pytest.raises(Cancelled):
            run_case(case, Fake(Ball()), cancel=lambda: True)
