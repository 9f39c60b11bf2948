"""`ear xray`: what it writes for a CT, a mask and a phantom, the check of an engine, and every kind of bad input."""

import json
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.case import read_case
from EARReconstructionLib.radiograph import read_radiograph
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_labels, write_volume
from EARTrainingLib.cli import app
from EARTrainingLib.projection import calibration
from typer.testing import CliRunner

LEVELS = ("L1", "L2")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A folder with a CT in which two vertebrae stand in soft tissue, and their mask. Read only."""
    folder = tmp_path_factory.mktemp("scan")
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (40.0, -35.0, 60.0)
    k, j, i = np.indices((56, 36, 40))
    labels = np.zeros(k.shape, np.uint8)
    for level, middle in (("L1", 40), ("L2", 16)):
        body = ((i - 20) / 9) ** 2 + ((j - 20) / 8) ** 2 + ((k - middle) / 7) ** 2 < 1
        process = (np.abs(j - 18) < 2) & (np.abs(k - middle) < 2) & (i > 5) & (i < 20)  # to the right
        labels[body | process] = VERSE_LABEL[level]
    hu = np.full(k.shape, -1000, np.int16)
    hu[:, 3:-3, 2:-2] = 40
    hu[labels > 0] = (700 + 5 * i)[labels > 0]
    write_volume(folder / "ct.nii.gz", hu, affine)
    write_labels(folder / "mask.seg.nrrd", labels, affine, {VERSE_LABEL[n]: n for n in LEVELS})
    return folder


class TestImages:
    def test_any_views_of_a_ct(self, ear, scan, tmp_path):
        result = ear(
            "xray", scan / "ct.nii.gz", "-o", tmp_path / "out", "--view", "0,0", "--view", "-30,10",
            "--alpha", 90, "--beta", -5, "--sod", 800, "--sdd", 1000, "--pixel", 1.5, "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        told = json.loads(result.stdout)
        assert told["output"] == str((tmp_path / "out").resolve())
        angles = [(view["alpha_deg"], view["beta_deg"]) for view in told["views"]]
        assert angles == [(0, 0), (-30, 10), (90, -5)]
        assert (told["protocol"], told["engine"], told["spectrum"]) == ("in-situ", "torch", "60kV-3.5mmAl")
        assert (told["photons"], told["seed"]) == (2e6, 0)
        for view in told["views"]:
            radiograph = read_radiograph(tmp_path / "out" / view["image"], view["role"])
            np.testing.assert_allclose(radiograph.view.P, view["P"])
            assert (radiograph.view.sod_mm, radiograph.view.sdd_mm, radiograph.pixel_mm) == (800, 1000, 1.5)
        said = json.loads((tmp_path / "out" / "views.json").read_text())
        assert said.items() <= told.items()

    def test_ap_and_lateral_unless_told_otherwise_and_words_say_where(self, scan, tmp_path):
        arguments = ["xray", str(scan / "ct.nii.gz"), "-o", str(tmp_path / "out")]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"})
        assert result.exit_code == 0, result.stderr
        for word in ("attenuation", "1-a0-b0.png", "2-a90-b0.nrrd", "views.json"):
            assert word in result.stdout
        assert str((tmp_path / "out").resolve()) in result.stdout.replace("\n", "")

    def test_the_picture_has_the_patient_s_right_on_its_left(self, ear, scan, tmp_path):
        result = ear(
            "xray", scan / "ct.nii.gz", "--mask", scan / "mask.seg.nrrd", "--level", "l1", "--protocol", "isolated",
            "--view", "0,0", "--photons", 0, "-o", tmp_path / "out", "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        (view,) = json.loads(result.stdout)["views"]
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / view["picture"])))
        assert picture.dtype == np.uint8
        columns = np.flatnonzero(picture.max(0))
        body = np.flatnonzero(picture.max(0) > 200).mean()  # the process to the right leaves it on one side
        assert body - columns[0] > columns[-1] - body + 5

    def test_protocols_differ_in_what_is_shown(self, ear, scan, tmp_path):
        total = {}
        for protocol in ("isolated", "column", "in-situ"):
            result = ear(
                "xray", scan / "ct.nii.gz", "--mask", scan / "mask.seg.nrrd", "--level", "L2", "--protocol", protocol,
                "--quantity", "area-density", "--size", "170x160", "--view", "0,0", "-o", tmp_path / protocol, "--json",
            )  # fmt: skip
            assert result.exit_code == 0, result.stderr
            (view,) = json.loads(result.stdout)["views"]
            assert (view["height"], view["width"]) == (170, 160)
            soft, bone = read_volume(tmp_path / protocol / view["image"]).array
            total[protocol] = soft.sum(), bone.sum()
        assert total["column"][1] == pytest.approx(2 * total["isolated"][1], rel=0.02)
        assert total["in-situ"][1] == pytest.approx(total["column"][1], rel=0.02)
        assert total["in-situ"][0] > 5 * total["column"][0]

    def test_intensity_noise_and_tube(self, ear, scan, tmp_path):
        images = {}
        for name, options in {
            "still": ["--photons", 0],
            "one": ["--photons", 1000, "--seed", 1],
            "again": ["--photons", 1000, "--seed", 1],
            "hard": ["--photons", 0, "--spectrum", "80kV-2.5mmAl"],
        }.items():
            result = ear(
                "xray", scan / "ct.nii.gz", "-o", tmp_path / name, "--view", "0,0", "--quantity", "intensity", *options
            )
            assert result.exit_code == 0, result.stderr
            images[name] = read_radiograph(tmp_path / name / "1-a0-b0.nrrd", "frontal").pixels
        np.testing.assert_array_equal(images["one"], images["again"])
        assert np.std(images["one"] - images["still"]) > 0.005
        assert images["hard"].mean() > images["still"].mean()


class TestCase:
    def test_a_case_of_a_ct_and_its_mask(self, ear, scan, tmp_path):
        result = ear(
            "xray", scan / "ct.nii.gz", "--mask", scan / "mask.seg.nrrd", "--protocol", "in-situ", "--preset", "c-arm",
            "--view", "5,0", "--view", "90,0", "--case", tmp_path / "case",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert "ear reconstruct" in result.stdout
        case = read_case(tmp_path / "case")
        assert case.name == "ct, in-situ"
        assert [roi.level for roi in case.rois] == list(LEVELS)
        assert case.geometry.frontal.alpha_deg == 5
        assert case.geometry.lateral.sdd_mm == 1020
        truth = read_volume(case.reference.segmentation)
        np.testing.assert_array_equal(truth.array, read_volume(scan / "mask.seg.nrrd").array)

    def test_it_is_what_reconstruct_takes(self, ear, scan, sound, tmp_path):
        made = ear("xray", "--mask", scan / "mask.seg.nrrd", "--case", tmp_path / "case", "--level", "L2")
        assert made.exit_code == 0, made.stderr
        result = ear(
            "reconstruct", tmp_path / "case", "-o", tmp_path / "out", "-m", sound / "tiny.safetensors", "--json"
        )
        assert result.exit_code == 0, result.stderr
        assert [row["level"] for row in json.loads(result.stdout)["comparison"]] == ["L2"]

    def test_the_sample_case(self, ear, tmp_path):
        """The case that ships, to the last pixel."""
        from EARReconstructionLib.resources import SAMPLE_CASE

        result = ear("xray", "phantom:7", "--case", tmp_path / "case")
        assert result.exit_code == 0, result.stderr
        made, ships = read_case(tmp_path / "case"), read_case(SAMPLE_CASE)
        assert made.geometry == ships.geometry
        assert made.rois == ships.rois
        for one, other in zip(made.radiographs, ships.radiographs, strict=True):
            np.testing.assert_allclose(one.pixels, other.pixels, atol=0.0021)  # two steps: sums differ by machine

    def test_an_earlier_case_is_replaced_when_asked(self, ear, scan, tmp_path):
        arguments = ["xray", "--mask", scan / "mask.seg.nrrd", "--case", tmp_path / "case"]
        assert ear(*arguments).exit_code == 0
        assert "--overwrite" in ear(*arguments).stderr
        assert ear(*arguments, "--overwrite").exit_code == 0


class TestCheckEngine:
    def test_the_ray_marcher_needs_nothing(self, ear):
        result = ear("xray", "--check-engine", "torch")
        assert result.exit_code == 0, result.stderr
        assert "px from its place" in result.stdout
        told = json.loads(ear("xray", "--check-engine", "torch", "--json").stdout)
        assert told["ready"]
        assert told["error_px"] < 0.02

    def test_what_deepdrr_lacks_is_named(self):
        arguments = ["xray", "--check-engine", "deepdrr", "--deepdrr-python", sys.executable]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert result.exit_code == 2, result.stderr
        for word in ("piece", "found", "needed", "what to do", "deepdrr==1.2.2", "nothing", "NVIDIA driver", "12.x"):
            assert word in result.stdout
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == 2
        told = json.loads(result.stdout)
        assert not told["ready"]
        assert {"name", "found", "needed", "advice", "there"} == set(told["pieces"][0])

    def test_with_every_piece_a_bead_is_measured(self, ear, monkeypatch):
        from EARTrainingLib.projection import deepdrr_check, engine

        piece = deepdrr_check.Piece("deepdrr", "1.2.2", "deepdrr==1.2.2", "")
        monkeypatch.setattr(deepdrr_check, "check_deepdrr", lambda python: [piece])
        monkeypatch.setattr(engine, "make_engine", lambda name, python: engine.TorchEngine())
        result = ear("xray", "--check-engine", "deepdrr", "--deepdrr-python", sys.executable)
        assert result.exit_code == 0, result.stderr
        assert "px from its place" in result.stdout

    def test_an_engine_that_draws_nonsense(self, ear, monkeypatch):
        monkeypatch.setattr(calibration, "TOLERANCE_PX", 0.0)
        monkeypatch.setattr(calibration, "LARGEST_SHIFT", -1.0)
        result = ear("xray", "--check-engine", "torch")
        assert result.exit_code == 2
        assert "px from where it is" in result.stderr


def taking(*more):
    """An X-ray of the CT with more options."""
    return lambda place: ["xray", place / "ct.nii.gz", "-o", place / "out", *more]


def of_file(name, write, *more):
    """An X-ray of a spoilt CT."""

    def arguments(place):
        write(place / name)
        return ["xray", place / name, "-o", place / "out", *more]

    return arguments


def write_four_dimensions(path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), False), str(path))


def write_water(path):
    hu = np.full((9, 9, 9), -1000, np.int16)
    hu[3:6, 3:6, 3:6] = 0
    write_volume(path, hu, np.eye(4))


def write_raw_values(path):
    write_volume(path, np.arange(729, dtype=np.uint16).reshape(9, 9, 9) * 3, np.eye(4))


def case_without_a_mask(place):
    return ["xray", place / "ct.nii.gz", "--case", place / "case"]


def case_with_one_view(place):
    return ["xray", "--mask", place / "mask.seg.nrrd", "--case", place / "case", "--view", "0,0"]


def case_of_two_like_views(place):
    return ["xray", "--mask", place / "mask.seg.nrrd", "--case", place / "case", "--view", "0,0", "--view", "5,0"]


def case_of_a_cut_vertebra(place):
    mask = read_volume(place / "mask.seg.nrrd")
    write_volume(place / "cut.nrrd", mask.array[38:], mask.ras_from_ijk)
    return ["xray", "--mask", place / "cut.nrrd", "--case", place / "case"]


def case_in_a_strange_folder(place):
    (place / "case").mkdir()
    (place / "case" / "thesis.txt").write_text("years of work")
    return ["xray", "--mask", place / "mask.seg.nrrd", "--case", place / "case"]


def case_and_images_in_one_folder(place):
    return ["xray", "--mask", place / "mask.seg.nrrd", "--case", place / "out", "-o", place / "out"]


def output_in_use(place):
    (place / "out").mkdir()
    (place / "out" / "thesis.txt").write_text("years of work")
    return ["xray", place / "ct.nii.gz", "-o", place / "out", "--overwrite"]


def mask_of_another_grid(place):
    mask = read_volume(place / "mask.seg.nrrd")
    moved = mask.ras_from_ijk.copy()
    moved[2, 3] += 30
    write_volume(place / "far.nrrd", mask.array, moved)
    return ["xray", place / "ct.nii.gz", "--mask", place / "far.nrrd", "-o", place / "out"]


past_the_patient = taking("--centre", "300,0,90", "--size", "40x40", "--view", "0,0")

BAD_INPUT = [
    pytest.param(lambda place: ["xray", "-o", place / "out"], ["nothing to take it of", "phantom:7"], id="nothing"),
    pytest.param(lambda place: ["xray", place / "ct.nii.gz"], ["--output", "no folder"], id="no folder"),
    pytest.param(lambda place: ["xray", place / "none.nii.gz", "-o", place / "o"], ["none.nii.gz"], id="missing"),
    pytest.param(of_file("4d.nii.gz", write_four_dimensions), ["4d.nii.gz", "4 dimensions"], id="4-D"),
    pytest.param(of_file("water.nrrd", write_water), ["water.nrrd", "no bone"], id="no bone"),
    pytest.param(of_file("raw.nrrd", write_raw_values), ["raw.nrrd", "no HU"], id="no HU"),
    pytest.param(of_file("t.nrrd", lambda path: path.write_text("Dear")), ["t.nrrd", "cannot be read"], id="text"),
    pytest.param(taking("--sod", 20), ["view 0,0", "source lies", "inside"], id="source inside"),
    pytest.param(taking("--sod", 990, "--sdd", 1000), ["view 0,0", "detector lies", "inside"], id="detector inside"),
    pytest.param(taking("--sod", 1500), ["SOD 1500", "SDD 1300"], id="SOD beyond SDD"),
    pytest.param(taking("--pixel", 0.001), ["view 0,0", "pixels"], id="tiny pixels"),
    pytest.param(taking("--view", "0,85"), ["tilt of 85"], id="tilt"),
    pytest.param(taking("--view", "AP"), ["--view AP", "--view 30,30"], id="view in words"),
    pytest.param(taking("--view", "nan,0"), ["not a number"], id="nan"),
    pytest.param(taking("--alpha", 0, "--alpha", 90, "--beta", 5), ["--beta", "one --beta for each"], id="betas"),
    pytest.param(taking("--size", "100"), ["--size 100"], id="size"),
    pytest.param(taking("--size", "4x4"), ["--size 4x4"], id="few pixels"),
    pytest.param(taking("--centre", "1,2"), ["--centre 1,2", "3 numbers"], id="centre"),
    pytest.param(past_the_patient, ["view 0,0", "nothing is in its image"], id="past the patient"),
    pytest.param(taking("--preset", "tabletop"), ["tabletop", "c-arm"], id="preset"),
    pytest.param(taking("--spectrum", "90kV"), ["90kV", "60kV-3.5mmAl"], id="spectrum"),
    pytest.param(taking("--quantity", "grey"), ["grey", "attenuation"], id="quantity"),
    pytest.param(taking("--engine", "siemens"), ["siemens", "torch, deepdrr"], id="engine"),
    pytest.param(taking("--engine", "deepdrr"), ["deepdrr", "--deepdrr-python"], id="deepdrr without a Python"),
    pytest.param(taking("--protocol", "column"), ["protocol column", "mask"], id="column without a mask"),
    pytest.param(taking("--protocol", "x-ray"), ["x-ray", "in-situ"], id="protocol"),
    pytest.param(taking("--level", "L1"), ["mask"], id="level without a mask"),
    pytest.param(mask_of_another_grid, ["far.nrrd", "not on the grid"], id="mask of another grid"),
    pytest.param(
        lambda place: [*taking("--level", "T4")(place), "--mask", place / "mask.seg.nrrd"], ["T4"], id="another level"
    ),
    pytest.param(lambda place: ["xray", "phantom:x", "-o", place / "out"], ["phantom:x", "phantom:7"], id="phantom"),
    pytest.param(
        lambda place: ["xray", "phantom:1", "-o", place / "out", "--mask", place / "mask.seg.nrrd"],
        ["mask.seg.nrrd", "its own labels"],
        id="phantom with a mask",
    ),
    pytest.param(case_without_a_mask, ["ct", "--mask"], id="case without a mask"),
    pytest.param(case_with_one_view, ["--case", "two radiographs"], id="case with one view"),
    pytest.param(case_of_two_like_views, ["same direction"], id="case of two like views"),
    pytest.param(case_of_a_cut_vertebra, ["cut.nrrd", "no whole vertebra"], id="case of a cut vertebra"),
    pytest.param(case_in_a_strange_folder, ["case", "something else"], id="case in a strange folder"),
    pytest.param(case_and_images_in_one_folder, ["out", "two folders"], id="case and images in one folder"),
    pytest.param(output_in_use, ["out", "something else"], id="output in use"),
    pytest.param(lambda _: ["xray", "--check-engine", "siemens"], ["siemens", "torch, deepdrr"], id="check of nothing"),
    pytest.param(lambda _: ["xray", "--check-engine", "deepdrr"], ["--deepdrr-python"], id="check without a Python"),
    pytest.param(
        lambda _: ["xray", "--check-engine", "deepdrr", "--deepdrr-python", "/none/python"],
        ["/none/python", "cannot be run"],
        id="check of a missing Python",
    ),
]


@pytest.mark.parametrize(("spoil", "words"), BAD_INPUT)
def test_bad_input_is_one_sentence_and_writes_nothing(scan, tmp_path, refuses, spoil, words):
    for name in ("ct.nii.gz", "mask.seg.nrrd"):
        (tmp_path / name).symlink_to(scan / name)
    refuses(spoil(tmp_path), words)


def test_bad_input_in_json(scan, tmp_path, refuses_in_json):
    refuses_in_json(["xray", scan / "ct.nii.gz", "-o", tmp_path / "out", "--sod", 20], ["source lies"])
