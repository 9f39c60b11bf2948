"""`ear compare`: its numbers, and what it answers to every kind of bad reference."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.surface import mask_surface, points_of, polydata, triangles_of, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_labels, write_volume
from EARTrainingLib.cli import app
from typer.testing import CliRunner

LEVELS = ("L1", "L2")


def first_vertebra(place):
    """The surface of L1."""
    labels = read_volume(place / "labels.seg.nrrd")
    return mask_surface(labels.array == VERSE_LABEL["L1"], labels.ras_from_ijk)


def write_unmarked_stl(path, surface):
    corners = points_of(surface)[triangles_of(surface)].astype("<f4")
    records = np.zeros(len(corners), np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    records["c"] = corners
    path.write_bytes(b" " * 80 + np.uint32(len(records)).tobytes() + records.tobytes())


class TestCompare:
    def test_results_with_the_reference_give_what_reconstruct_gave(self, ear, sound):
        reference = next((sound / "case" / "reference").iterdir())
        result = ear("compare", sound / "results", reference, "--json")
        assert result.exit_code == 0, result.stderr
        rows = json.loads(result.stdout)["comparison"]
        assert [row["level"] for row in rows] == list(LEVELS)
        for row, made in zip(rows, json.loads((sound / "said.json").read_text())["comparison"], strict=True):
            for name in ("dice", "assd_mm", "hd95_mm"):
                assert row[name] == pytest.approx(made[name], abs=0.01)

    def test_a_thing_compared_with_itself(self, ear, sound):
        for arguments in (
            [sound / "labels.seg.nrrd", sound / "labels.seg.nrrd"],
            [sound / "L1.ply", sound / "L1.ply"],
            [sound / "labels.seg.nrrd", sound / "L1.ply", "--level", "l1"],
        ):
            result = ear("compare", *arguments, "--json")
            assert result.exit_code == 0, result.stderr
            assert json.loads(result.stdout)["notes"] == []
            for row in json.loads(result.stdout)["comparison"]:
                assert row["dice"] > 0.97
                assert row["assd_mm"] < 0.1

    def test_a_ct_with_its_threshold(self, ear, sound):
        for rebuilt in ("labels.seg.nrrd", "L1.ply"):
            result = ear("compare", sound / rebuilt, sound / "ct.nrrd", "--threshold", 0, "--json")
            assert result.exit_code == 0, result.stderr
            for row in json.loads(result.stdout)["comparison"]:
                assert row["dice"] > 0.95
                assert row["assd_mm"] < 0.5
            assert "rough" in json.loads(result.stdout)["notes"][0]
        result = ear("compare", sound / "L1.ply", sound / "ct.nrrd", "--threshold", 0)
        assert "Note: a threshold is a rough reference" in " ".join(result.stdout.split())

    def test_the_table_in_words_and_as_csv(self, ear, sound, tmp_path):
        result = ear("compare", sound / "labels.seg.nrrd", sound / "labels.seg.nrrd", "--csv", tmp_path / "a" / "t.csv")
        assert result.exit_code == 0, result.stderr
        for word in ("L1", "L2", "mean", "1.000", "0.00", "100%"):
            assert word in result.stdout
        with (tmp_path / "a" / "t.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["level"] for row in rows] == list(LEVELS)
        assert float(rows[0]["dice"]) == 1

    def test_no_number_is_cut_off_in_a_narrow_terminal(self, sound):
        arguments = ["compare", str(sound / "labels.seg.nrrd"), str(sound / "labels.seg.nrrd")]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
        assert "…" not in result.stdout

    def test_meshes_in_lps_can_be_named_so(self, ear, place):
        surface = first_vertebra(place)
        points = points_of(surface) * (-1, -1, 1)
        write_unmarked_stl(place / "lps.stl", polydata(points, triangles_of(surface)))
        result = ear("compare", place / "L1.ply", place / "lps.stl", "--space", "LPS", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["comparison"][0]["dice"] > 0.97


# Bad input. Each function spoils a copy of the sound folder and returns the arguments of `ear`, and words that the
# answer must hold: the file and the cause.


def comparing(name, *more):
    """A comparison of the mesh of L1 with a spoilt reference."""
    return lambda place: ["compare", place / "L1.ply", place / name, *more]


def scaled_mesh(factor, shift=(0, 0, 0)):
    def write(place, name):
        surface = first_vertebra(place)
        write_surface(place / name, polydata(points_of(surface) * factor + shift, triangles_of(surface)))

    return write


def reference_in_metres(place):
    scaled_mesh(1e-3)(place, "reference.stl")
    return comparing("reference.stl")(place), ["reference.stl", "metres", "millimetres"]


def both_in_metres(place):
    scaled_mesh(1e-3)(place, "a.stl")
    return ["compare", place / "a.stl", place / "a.stl"], ["a.stl", "metres"]


def both_in_micrometres(place):
    scaled_mesh(1e3)(place, "a.stl")
    return ["compare", place / "a.stl", place / "a.stl"], ["a.stl"]


def results_with_reference_in_metres(place):
    scaled_mesh(1e-3)(place, "L1.stl")
    return ["compare", place / "results", place / "L1.stl", "--level", "L1"], ["L1.stl", "metres"]


def reference_far_away(place):
    scaled_mesh(1, (0, 0, 700))(place, "reference.stl")
    return comparing("reference.stl")(place), ["reference.stl", "700 mm apart"]


def reference_in_lps(place):
    surface = first_vertebra(place)
    write_unmarked_stl(
        place / "lps.stl", polydata(points_of(surface) * (-1, -1, 1) - (90, 0, 0), triangles_of(surface))
    )
    return comparing("lps.stl")(place), ["lps.stl"]


def labels_far_away(place):
    labels = read_volume(place / "labels.seg.nrrd")
    far = labels.ras_from_ijk.copy()
    far[2, 3] += 700
    write_labels(place / "far.seg.nrrd", labels.array, far, {VERSE_LABEL[n]: n for n in LEVELS})
    return ["compare", place / "labels.seg.nrrd", place / "far.seg.nrrd"], ["far.seg.nrrd", "700 mm apart"]


def reference_mesh_missing(place):
    return comparing("none.stl")(place), ["none.stl", "no such file"]


def reference_mesh_truncated(place):
    path = place / "cut.ply"
    path.write_bytes((place / "L1.ply").read_bytes()[:900])
    return comparing("cut.ply")(place), ["cut.ply", "damaged"]


def reference_mesh_empty(place):
    (place / "empty.stl").write_bytes(b"")
    return comparing("empty.stl")(place), ["empty.stl"]


def reference_mesh_text(place):
    (place / "letter.obj").write_text("Dear colleague")
    return comparing("letter.obj")(place), ["letter.obj"]


def reference_mesh_open(place):
    surface = first_vertebra(place)
    triangles = triangles_of(surface)
    write_surface(place / "open.stl", polydata(points_of(surface), triangles[: len(triangles) // 2]))
    return comparing("open.stl")(place), ["open.stl", "it is open"]


def reference_volume_truncated(place):
    path = place / "labels.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-200])
    return comparing("labels.seg.nrrd", "--level", "L1")(place), ["labels.seg.nrrd", "cannot be read"]


def reference_volume_empty(place):
    (place / "empty.nii.gz").write_bytes(b"")
    return comparing("empty.nii.gz")(place), ["empty.nii.gz"]


def reference_ct_without_threshold(place):
    return comparing("ct.nrrd")(place), ["ct.nrrd", "threshold"]


def reference_ct_below_threshold(place):
    return comparing("ct.nrrd", "--threshold", 4000)(place), ["ct.nrrd", "4000"]


def reference_ct_with_nan(place):
    ct = sitk.Cast(sitk.ReadImage(str(place / "ct.nrrd")), sitk.sitkFloat32)
    ct[19, 17, 50] = float("nan")
    sitk.WriteImage(ct, str(place / "nan.nrrd"))
    return comparing("nan.nrrd", "--threshold", 0)(place), ["nan.nrrd", "no number"]


def reference_mask_empty(place):
    write_volume(place / "zero.nrrd", np.zeros((9, 9, 9), np.uint8), np.eye(4))
    return comparing("zero.nrrd", "--level", "L1")(place), ["zero.nrrd"]


def reference_of_another_spine(place):
    labels = read_volume(place / "labels.seg.nrrd")
    cervical = (labels.array > 0).astype(np.uint8) * 3 + (labels.array == VERSE_LABEL["L1"])
    write_labels(place / "c.seg.nrrd", cervical, labels.ras_from_ijk, {3: "C3", 4: "C4"})
    return ["compare", place / "labels.seg.nrrd", place / "c.seg.nrrd"], ["C3, C4", "L1, L2"]


def reference_without_the_level(place):
    return ["compare", place / "results", place / "labels.seg.nrrd", "--level", "T3"], ["T3"]


def reconstruction_is_no_results(place):
    return ["compare", place / "case", place / "L1.ply"], ["case", "no folder of results"]


def space_unknown(place):
    return comparing("L1.ply", "--space", "XYZ")(place), ["XYZ"]


def csv_in_a_file(place):
    return [*comparing("L1.ply")(place), "--csv", place / "L1.ply" / "t.csv"], ["t.csv"]


BAD_INPUT = [
    reference_in_metres,
    both_in_metres,
    both_in_micrometres,
    results_with_reference_in_metres,
    reference_far_away,
    reference_in_lps,
    labels_far_away,
    reference_mesh_missing,
    reference_mesh_truncated,
    reference_mesh_empty,
    reference_mesh_text,
    reference_mesh_open,
    reference_volume_truncated,
    reference_volume_empty,
    reference_ct_without_threshold,
    reference_ct_below_threshold,
    reference_ct_with_nan,
    reference_mask_empty,
    reference_of_another_spine,
    reference_without_the_level,
    reconstruction_is_no_results,
    space_unknown,
    csv_in_a_file,
]


class TestBadInput:
    @pytest.mark.parametrize("spoil", BAD_INPUT)
    def test_a_sentence_exit_code_2_and_nothing_written(self, place, refuses, spoil):
        refuses(*spoil(place))

    def test_json_carries_the_same(self, place, refuses_in_json):
        refuses_in_json(*reference_far_away(place))
