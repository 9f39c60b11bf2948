"""The command `ear`: what it writes and says, and what it answers to every kind of bad input."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from EARReconstructionLib import resources
from EARReconstructionLib.bundle import METADATA_KEY, ModelCard, load_bundle, read_header, save_bundle
from EARReconstructionLib.case import read_case
from EARReconstructionLib.networks import build
from EARReconstructionLib.reconstruction import reconstruct
from EARReconstructionLib.surface import mask_surface, points_of, polydata, triangles_of, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, read_volume, write_labels, write_volume
from EARTrainingLib.cli import app
from EARTrainingLib.datasets.cases import case_of
from safetensors.torch import save_file
from typer.testing import CliRunner

LEVELS = ("L1", "L2")
AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])
AFFINE[:3, 3] = (-30.0, -20.0, 40.0)


def ear(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


def column():
    """(k, j, i) labels of two ellipsoids, L1 above L2, with a process to the left each."""
    k, j, i = np.indices((70, 34, 40))
    labels = np.zeros(k.shape, np.uint8)
    for level, middle in (("L1", 50), ("L2", 20)):
        body = ((i - 19) / 13) ** 2 + ((j - 17) / 11) ** 2 + ((k - middle) / 9) ** 2 < 1
        process = (np.abs(j - 15) < 3) & (np.abs(k - middle) < 3) & (i > 2) & (i < 19)
        labels[body | process] = VERSE_LABEL[level]
    return labels


def card(**changes):
    fields = {
        "name": "tiny",
        "architecture": "E2E",
        "arguments": {"width": 2},
        "size": 16,  # what E2E can take at least: a coarse surface is measured and drawn in no time
        "spacing_mm": 5.0,
        "lift": "backproject",
        "hu_mean": -700.0,
        "hu_sd": 400.0,
        "threshold_hu": -600.0,
        "angle_range_deg": (80.0, 100.0),
        "sod_range_mm": (500.0, 1600.0),
        "protocol": "column",
        "levels": LEVELS,
        "data_licence": "Apache-2.0",
    }
    return ModelCard(**{**fields, **changes})


def write_bundle(folder):
    """A network without training, and the threshold above which two fifths of what it draws lie."""
    torch.manual_seed(0)
    bundle = save_bundle(folder / "tiny.safetensors", card(), build("E2E", width=2))
    case = read_case(folder / "case")
    drawn = reconstruct(case.radiographs, case.geometry, case.rois, bundle, device="cpu")
    threshold = float(np.percentile([one.volume_hu for one in drawn], 60))
    save_bundle(folder / "tiny.safetensors", card(threshold_hu=threshold), bundle.network())


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """A folder with a sound case, bundle, reference mesh and CT, and results made of them. Read only."""
    folder = tmp_path_factory.mktemp("sound")
    labels = column()
    hu = np.where(labels > 0, 500.0, -1000.0).astype(np.float32)
    case_of("two vertebrae", hu, Volume(labels, AFFINE), LEVELS, folder / "case", iso_pixel_mm=1.5)
    write_surface(folder / "L1.ply", mask_surface(labels == VERSE_LABEL["L1"], AFFINE))
    write_volume(folder / "ct.nrrd", hu, AFFINE)
    write_labels(folder / "labels.seg.nrrd", labels, AFFINE, {VERSE_LABEL[n]: n for n in LEVELS})
    write_bundle(folder)
    run = ear("reconstruct", folder / "case", "-o", folder / "results", "-m", folder / "tiny.safetensors", "--json")
    assert run.exit_code == 0, run.output + run.stderr
    (folder / "said.json").write_text(run.stdout)
    return folder


@pytest.fixture
def place(sound, tmp_path):
    """A copy of the sound folder to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "place"))


class TestHelp:
    def test_the_command_lists_its_verbs(self):
        result = ear("--help")
        assert result.exit_code == 0
        words = " ".join(result.stdout.split())
        for verb in ("demo", "reconstruct", "compare", "models", "not a medical device"):
            assert verb in words

    @pytest.mark.parametrize(
        ("verb", "words"),
        [
            ("demo", ["--output", "--model", "--device", "--json", "phantom", "replaced"]),
            ("reconstruct", ["CASE", "case.json", "--output", "--levels", "--overwrite", "--batch-size", "3D Slicer"]),
            ("compare", ["RECONSTRUCTION", "REFERENCE", "--level", "--threshold", "--space", "--csv", "--json", "mm"]),
            ("models", ["--json", "trained on"]),
        ],
    )
    def test_each_verb_explains_itself(self, verb, words):
        result = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
        assert result.exit_code == 0
        said = " ".join(result.stdout.split()).lower()
        for word in words:
            assert word.lower() in said, word

    def test_help_does_not_wait_for_torch(self):
        code = "import sys, EARTrainingLib.cli as c; print([m for m in ('torch', 'vtkmodules') if m in sys.modules])"
        assert python(code).stdout.strip() == "[]"

    def test_nothing_is_help(self):
        assert "Usage" in (result := ear()).stdout + result.stderr


def python(code, *arguments):
    """Run a program of one line in a process of its own."""
    root = Path(__file__).resolve().parents[2]
    folders = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class TestReconstruct:
    def test_everything_is_written(self, sound):
        written = files_of(sound / "results")
        expected = [
            "distances.csv",
            *(f"distances/{n}.vtp" for n in LEVELS),
            "picture.png",
            "spine-labels.seg.nrrd",
            "spine.nrrd",
            "summary.json",
            *(f"surfaces/{n}.ply" for n in LEVELS),
            *(f"volumes/{n}.nrrd" for n in LEVELS),
        ]
        assert set(expected) <= set(written)
        volume = read_volume(sound / "results" / "volumes" / "L1.nrrd")
        assert volume.array.shape == (16, 16, 16)

    def test_json_is_the_summary_and_where_it_is(self, sound):
        said = json.loads((sound / "said.json").read_text())
        assert said.pop("output") == str((sound / "results").resolve())
        assert said == json.loads((sound / "results" / "summary.json").read_text())
        assert said["vertebrae"] == list(LEVELS)
        assert said["model"] == "tiny"
        assert [row["level"] for row in said["comparison"]] == list(LEVELS)

    def test_words_say_where_things_are(self, place):
        result = ear(
            "reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--device", "cpu"
        )
        assert result.exit_code == 0, result.stderr
        text = result.stdout.replace("\n", "")
        assert str((place / "out").resolve()) in text
        assert "2 vertebrae with tiny on cpu" in text
        for word in ("picture.png", "volumes", "spine-labels.seg.nrrd", "surfaces", "distances.csv", "Dice", "ASSD"):
            assert word in result.stdout
        assert "not a medical device" in text
        assert "Traceback" not in result.stderr

    def test_the_json_file_will_do_and_some_levels_too(self, place):
        result = ear(
            "reconstruct", place / "case" / "case.json", "-o", place / "out", "-m", place / "tiny.safetensors",
            "--levels", " l2 ,", "--batch-size", 1, "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["vertebrae"] == ["L2"]
        assert (place / "out" / "volumes" / "L2.nrrd").is_file()
        assert not (place / "out" / "volumes" / "L1.nrrd").exists()

    def test_without_a_reference_there_is_no_comparison(self, place):
        edit(place, lambda c: c.pop("reference"))
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["comparison"] == []
        assert not (place / "out" / "distances.csv").exists()
        assert (place / "out" / "picture.png").is_file()

    def test_a_reference_that_does_not_fit_does_not_cost_the_reconstruction(self, place):
        far = AFFINE.copy()
        far[0, 3] += 900
        write_labels(place / "case" / "far.seg.nrrd", column(), far, {VERSE_LABEL[n]: n for n in LEVELS})
        edit(place, lambda c: c.update(reference={"segmentation": "far.seg.nrrd"}))
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--json")
        assert result.exit_code == 0, result.stderr
        notes = json.loads(result.stdout)["notes"]
        assert any("L1" in n and "mm apart" in n for n in notes)

    def test_earlier_results_are_replaced_when_asked(self, place):
        arguments = ["reconstruct", place / "case", "-o", place / "results", "-m", place / "tiny.safetensors"]
        result = ear(*arguments, "--levels", "L2", "--overwrite")
        assert result.exit_code == 0, result.stderr
        assert not (place / "results" / "volumes" / "L1.nrrd").exists()
        assert (place / "results" / "volumes" / "L2.nrrd").exists()

    def test_an_installed_model_goes_by_its_name(self, place, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", place)
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", "tiny", "--levels", "L1", "--json")
        assert result.exit_code == 0, result.stderr


class TestCompare:
    def test_results_with_the_reference_give_what_reconstruct_gave(self, sound):
        reference = next((sound / "case" / "reference").iterdir())
        result = ear("compare", sound / "results", reference, "--json")
        assert result.exit_code == 0, result.stderr
        rows = json.loads(result.stdout)["comparison"]
        assert [row["level"] for row in rows] == list(LEVELS)
        for row, made in zip(rows, json.loads((sound / "said.json").read_text())["comparison"], strict=True):
            for name in ("dice", "assd_mm", "hd95_mm"):
                assert row[name] == pytest.approx(made[name], abs=0.01)

    def test_a_thing_compared_with_itself(self, sound):
        for arguments in (
            [sound / "labels.seg.nrrd", sound / "labels.seg.nrrd"],
            [sound / "L1.ply", sound / "L1.ply"],
            [sound / "labels.seg.nrrd", sound / "L1.ply", "--level", "l1"],
        ):
            result = ear("compare", *arguments, "--json")
            assert result.exit_code == 0, result.stderr
            for row in json.loads(result.stdout)["comparison"]:
                assert row["dice"] > 0.97
                assert row["assd_mm"] < 0.1

    def test_a_ct_with_its_threshold(self, sound):
        for rebuilt in ("labels.seg.nrrd", "L1.ply"):
            result = ear("compare", sound / rebuilt, sound / "ct.nrrd", "--threshold", 0, "--json")
            assert result.exit_code == 0, result.stderr
            for row in json.loads(result.stdout)["comparison"]:
                assert row["dice"] > 0.95
                assert row["assd_mm"] < 0.5

    def test_the_table_in_words_and_as_csv(self, sound, tmp_path):
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

    def test_meshes_in_lps_can_be_named_so(self, place):
        surface = mask_surface(column() == VERSE_LABEL["L1"], AFFINE)
        points = points_of(surface) * (-1, -1, 1)
        write_unmarked_stl(place / "lps.stl", polydata(points, triangles_of(surface)))
        result = ear("compare", place / "L1.ply", place / "lps.stl", "--space", "LPS", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["comparison"][0]["dice"] > 0.97


class TestModels:
    def test_installed_models_are_told(self, sound, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", sound)
        result = CliRunner().invoke(app, ["models"], env={"COLUMNS": "140"})
        assert result.exit_code == 0, result.stderr
        for word in ("tiny", "E2E", "16", "5 mm", "column", "80", "100", "500", "1600", "L1", "L2", "Apache-2.0"):
            assert word in result.stdout, word
        (told,) = json.loads(ear("models", "--json").stdout)
        assert told["name"] == "tiny"
        assert told["sha256"] == load_bundle(sound / "tiny.safetensors").sha256
        assert told["path"] == str(sound / "tiny.safetensors")

    def test_no_model_is_an_empty_list(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", tmp_path)
        assert ear("models").exit_code == 0
        assert json.loads(ear("models", "--json").stdout) == []

    def test_the_default_model_is_installed(self):
        (told,) = [m for m in json.loads(ear("models", "--json").stdout) if m["name"] == resources.DEFAULT_MODEL]
        assert told["protocol"] == "column"
        assert told["data_licence"] not in ("", "not stated")
        assert Path(told["path"]).stat().st_size <= 15_000_000


class TestDemo:
    def test_the_sample_spine_is_rebuilt(self, tmp_path):
        result = ear("demo", "-o", tmp_path / "demo", "--device", "cpu", "--json")
        assert result.exit_code == 0, result.stdout + result.stderr
        said = json.loads(result.stdout)
        assert len(said["vertebrae"]) >= 5
        assert said["model"] == resources.DEFAULT_MODEL
        rows = said["comparison"]
        assert [row["level"] for row in rows] == said["vertebrae"]
        assert np.mean([row["dice"] for row in rows]) > 0.6
        assert np.mean([row["assd_mm"] for row in rows]) < 4
        for name in [
            "picture.png",
            "distances.csv",
            "spine.nrrd",
            "spine-labels.seg.nrrd",
            *(f"surfaces/{level}.ply" for level in said["vertebrae"]),
            *(f"volumes/{level}.nrrd" for level in said["vertebrae"]),
        ]:
            assert (tmp_path / "demo" / name).stat().st_size > 100
        assert set(said["files"]) <= set(files_of(tmp_path / "demo"))
        labels = np.unique(read_volume(tmp_path / "demo" / "spine-labels.seg.nrrd").array)
        assert set(labels) == {0, *(VERSE_LABEL[level] for level in said["vertebrae"])}


# Bad input. Each function spoils a copy of the sound folder and returns the arguments of `ear`, and words that the
# answer must hold: the file and the cause.


def edit(place, change):
    path = place / "case" / "case.json"
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def rebuild(place, *more):
    return ["reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", *more]


def write_unmarked_stl(path, surface):
    corners = points_of(surface)[triangles_of(surface)].astype("<f4")
    records = np.zeros(len(corners), np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    records["c"] = corners
    path.write_bytes(b" " * 80 + np.uint32(len(records)).tobytes() + records.tobytes())


def image_missing(place):
    (place / "case" / "frontal.nrrd").unlink()
    return rebuild(place), ["frontal.nrrd", "no such file"]


def image_truncated(place):
    path = place / "case" / "lateral.nrrd"
    path.write_bytes(path.read_bytes()[:-700])
    return rebuild(place), ["lateral.nrrd", "damaged"]


def image_header_only(place):
    path = place / "case" / "lateral.nrrd"
    path.write_bytes(path.read_bytes()[:60])
    return rebuild(place), ["lateral.nrrd", "damaged"]


def image_empty(place):
    (place / "case" / "frontal.nrrd").write_bytes(b"")
    return rebuild(place), ["frontal.nrrd", "empty"]


def image_is_text(place):
    (place / "case" / "frontal.nrrd").write_text("Dear colleague, please find attached")
    return rebuild(place), ["frontal.nrrd", "not an image"]


def image_is_a_folder(place):
    (place / "case" / "frontal.nrrd").unlink()
    (place / "case" / "frontal.nrrd").mkdir()
    return rebuild(place), ["frontal.nrrd", "folder"]


def image_is_a_ct(place):
    shutil.copy(place / "ct.nrrd", place / "case" / "frontal.nrrd")
    return rebuild(place), ["frontal.nrrd", "volume"]


def image_is_a_ct_slice(place):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = place / "case" / "slice.dcm"
    slice_ = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SOPClassUID, slice_.SOPInstanceUID, slice_.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
    slice_.Rows = slice_.Columns = 64
    slice_.BitsAllocated = slice_.BitsStored = 16
    slice_.HighBit, slice_.PixelRepresentation, slice_.SamplesPerPixel = 15, 0, 1
    slice_.PhotometricInterpretation = "MONOCHROME2"
    slice_.PixelSpacing = [0.8, 0.8]
    slice_.PixelData = np.arange(64 * 64, dtype=np.uint16).tobytes()
    slice_.save_as(path, enforce_file_format=True)
    edit(place, lambda c: c["radiographs"].update(frontal={"file": "slice.dcm"}))
    return rebuild(place), ["slice.dcm", "CT"]


def image_without_spacing(place):
    image = sitk.ReadImage(str(place / "case" / "frontal.nrrd"))
    low, high = (f(sitk.GetArrayViewFromImage(image)) for f in (np.min, np.max))
    scaled = sitk.Cast(sitk.ShiftScale(image, -float(low), 60000.0 / float(high - low)), sitk.sitkUInt16)
    sitk.WriteImage(scaled, str(place / "case" / "ap.png"))

    def change(case):
        case["radiographs"]["frontal"] = {"file": "ap.png", "bone": "bright"}
        case["geometry"] = {"preset": "default"}

    edit(place, change)
    return rebuild(place), ["ap.png", "pixel_mm"]


def respoiled(place, role, change):
    """The same file with other pixels."""
    path = str(place / "case" / f"{role}.nrrd")
    image = sitk.ReadImage(path)
    pixels = change(sitk.GetArrayFromImage(image))
    other = sitk.GetImageFromArray(pixels)
    other.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        if key.startswith("EAR"):
            other.SetMetaData(key, image.GetMetaData(key))
    sitk.WriteImage(other, path)


def image_with_nan(place):
    def hole(pixels):
        pixels[5, 5] = np.nan
        return pixels

    respoiled(place, "lateral", hole)
    return rebuild(place), ["lateral.nrrd", "not a number"]


def image_of_nan(place):
    respoiled(place, "lateral", lambda pixels: np.full_like(pixels, np.nan))
    return rebuild(place), ["lateral.nrrd", "not a number"]


def image_constant(place):
    respoiled(place, "frontal", lambda pixels: np.full_like(pixels, 3))
    return rebuild(place), ["frontal.nrrd", "same value"]


def image_constant_around_the_vertebra(place):
    def blind(pixels):
        pixels[: pixels.shape[0] - 8] = 1.0
        return pixels

    respoiled(place, "frontal", blind)
    return rebuild(place), ["frontal.nrrd", "L1", "same value"]


def images_swapped(place):
    swapped = {"frontal": {"file": "lateral.nrrd"}, "lateral": {"file": "frontal.nrrd"}}
    edit(place, lambda c: c.update(radiographs=swapped))
    return rebuild(place), ["lateral.nrrd", "frontal"]


def image_of_another_size(place):
    edit(place, lambda c: c["geometry"]["frontal"].update(width=999))
    return rebuild(place), ["case.json", "frontal", "999"]


def same_direction(frontal, lateral, *words):
    def spoil(place):
        edit(place, lambda c: c["geometry"]["frontal"].update(alpha_deg=frontal))
        edit(place, lambda c: c["geometry"]["lateral"].update(alpha_deg=lateral))
        return rebuild(place), words

    return spoil


def roi_outside(place):
    edit(place, lambda c: c["vertebrae"][1].update(centre_ras_mm=[0, 0, 5000]))
    return rebuild(place), ["case.json", "L2", "outside"]


def roi_half_outside(place):
    def change(case):  # the centre is in both images, its surroundings are mostly not
        top = case["geometry"]["frontal"]
        u, z = top["isocentre_ras_mm"][0], top["isocentre_ras_mm"][2]
        half = 0.5 * top["height"] * top["pixel_mm"] * top["sod_mm"] / top["sdd_mm"]
        wide = 0.5 * top["width"] * top["pixel_mm"] * top["sod_mm"] / top["sdd_mm"]
        corner = [u + 0.9 * wide, top["isocentre_ras_mm"][1], z + 0.9 * half]
        case["vertebrae"] = [{**case["vertebrae"][0], "centre_ras_mm": corner}]

    edit(place, change)
    return rebuild(place), ["frontal.nrrd", "L1", "% of the crop"]


def roi_in_metres(place):
    edit(place, lambda c: c["vertebrae"][0].update(size_mm=[0.07, 0.08, 0.05]))
    return rebuild(place), ["case.json", "L1", "metres"]


def no_roi(place):
    edit(place, lambda c: c.update(vertebrae=[]))
    return rebuild(place), ["two vertebrae", "no ROI"]


def unknown_level(place):
    return rebuild(place, "--levels", "L1,T4"), ["two vertebrae", "T4", "L1, L2"]


def case_missing(place):
    return ["reconstruct", place / "none", "-o", place / "out"], ["none", "no such file"]


def case_folder_empty(place):
    (place / "bare").mkdir()
    return ["reconstruct", place / "bare", "-o", place / "out"], ["bare", "case.json", "no such file"]


def case_truncated(place):
    path = place / "case" / "case.json"
    path.write_text(path.read_text()[:200])
    return rebuild(place), ["case.json", "not JSON"]


def case_binary(place):
    (place / "case" / "case.json").write_bytes(b"\xff\xfe\x00\x81" * 9)
    return rebuild(place), ["case.json", "not JSON"]


def case_of_another_version(place):
    edit(place, lambda c: c.update(version=7))
    return rebuild(place), ["case.json", "version"]


def case_with_nan(place):
    edit(place, lambda c: c["vertebrae"][0].update(centre_ras_mm=[0, float("nan"), 0]))
    return rebuild(place), ["case.json", "not a number"]


def reference_missing(place):
    edit(place, lambda c: c.update(reference={"segmentation": "truth.nii.gz"}))
    return rebuild(place), ["case.json", "truth.nii.gz", "does not exist"]


def reference_garbage(place):
    (place / "case" / "truth.nii.gz").write_bytes(b"\x1f\x8bnothing")
    edit(place, lambda c: c.update(reference={"segmentation": "truth.nii.gz"}))
    return rebuild(place), ["truth.nii.gz", "cannot be read"]


def bundle_missing(place):
    return [*rebuild(place)[:-1], place / "none.safetensors"], ["none.safetensors", "no such model"]


def bundle_unknown_name(place):
    return [*rebuild(place)[:-1], "best-model"], ["best-model", "no such model"]


def bundle_truncated(place):
    path = place / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return rebuild(place), ["tiny.safetensors", "truncated"]


def bundle_empty(place):
    (place / "tiny.safetensors").write_bytes(b"")
    return rebuild(place), ["tiny.safetensors", "truncated"]


def reheaded(place, change):
    path = place / "tiny.safetensors"
    header, weights = read_header(path), dict(load_bundle(path).weights)
    change(header)
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(header)})


def bundle_of_another_version(place):
    reheaded(place, lambda h: h.update(version=9))
    return rebuild(place), ["tiny.safetensors", "version 9"]


def bundle_changed(place):
    reheaded(place, lambda h: h["card"].update(hu_mean=0.0))
    return rebuild(place), ["tiny.safetensors", "checksum"]


def bundle_of_another_program(place):
    save_file({"a": torch.zeros(3)}, place / "tiny.safetensors")
    return rebuild(place), ["tiny.safetensors", "not an EAR bundle"]


def bundle_pickled(place):
    (place / "tiny.safetensors").write_bytes(pickle.dumps({"a": 1}))
    return rebuild(place), ["tiny.safetensors", "pickle"]


def bundle_zipped_pickle(place):
    torch.save({"a": torch.zeros(3)}, place / "tiny.safetensors")
    return rebuild(place), ["tiny.safetensors", "pickle"]


def bundle_of_unknown_network(place):
    save_bundle(place / "tiny.safetensors", card(architecture="ViT"), build("E2E", width=2))
    return rebuild(place), ["tiny.safetensors", "ViT"]


def bundle_of_other_weights(place):
    save_bundle(place / "tiny.safetensors", card(), build("E2E", width=4))
    return rebuild(place), ["tiny.safetensors", "do not fit"]


def bundle_of_an_impossible_size(place):
    save_bundle(place / "tiny.safetensors", card(size=30, spacing_mm=1.2), build("E2E", width=2))
    return rebuild(place), ["tiny.safetensors", "divisible"]


def device_unknown(place):
    return rebuild(place, "--device", "gpu"), ["gpu", "no such device"]


def output_holds_something_else(place):
    (place / "out").mkdir()
    (place / "out" / "thesis.txt").write_text("years of work")
    return rebuild(place, "--overwrite"), ["out", "something else"]


def output_holds_someone_else_s_summary(place):
    (place / "out").mkdir()
    (place / "out" / "summary.json").write_text('{"patients": 12}')
    (place / "out" / "thesis.txt").write_text("years of work")
    return rebuild(place, "--overwrite"), ["out", "something else"]


def output_holds_results_and_something_else(place):
    (place / "results" / "thesis.txt").write_text("years of work")
    return ["reconstruct", place / "case", "-o", place / "results", "-m", place / "tiny.safetensors", "--overwrite"], [
        "results",
        "thesis.txt",
    ]


def output_is_a_file(place):
    (place / "out").write_text("a file")
    return rebuild(place), ["out"]


def output_lies_in_a_file(place):
    (place / "file").write_text("a file")
    return ["reconstruct", place / "case", "-o", place / "file" / "out", "-m", place / "tiny.safetensors"], ["file"]


def output_has_earlier_results(place):
    return ["reconstruct", place / "case", "-o", place / "results", "-m", place / "tiny.safetensors"], [
        "results",
        "--overwrite",
    ]


def comparing(name, *more):
    """A comparison of the mesh of L1 with a spoilt reference."""
    return lambda place: ["compare", place / "L1.ply", place / name, *more]


def scaled_mesh(factor, shift=(0, 0, 0)):
    def write(place, name):
        surface = mask_surface(column() == VERSE_LABEL["L1"], AFFINE)
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
    surface = mask_surface(column() == VERSE_LABEL["L1"], AFFINE)
    write_unmarked_stl(
        place / "lps.stl", polydata(points_of(surface) * (-1, -1, 1) - (90, 0, 0), triangles_of(surface))
    )
    return comparing("lps.stl")(place), ["lps.stl"]


def labels_far_away(place):
    far = AFFINE.copy()
    far[2, 3] += 700
    write_labels(place / "far.seg.nrrd", column(), far, {VERSE_LABEL[n]: n for n in LEVELS})
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
    surface = mask_surface(column() == VERSE_LABEL["L1"], AFFINE)
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
    hu = read_volume(place / "ct.nrrd").array
    hu[50, 17, 19] = np.nan
    write_volume(place / "nan.nrrd", hu, AFFINE)
    return comparing("nan.nrrd", "--threshold", 0)(place), ["nan.nrrd", "not numbers"]


def reference_mask_empty(place):
    write_volume(place / "zero.nrrd", np.zeros((9, 9, 9), np.uint8), AFFINE)
    return comparing("zero.nrrd", "--level", "L1")(place), ["zero.nrrd"]


def reference_of_another_spine(place):
    write_labels(
        place / "c.seg.nrrd", (column() > 0).astype(np.uint8) * 3 + (column() == 20), AFFINE, {3: "C3", 4: "C4"}
    )
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
    image_missing,
    image_truncated,
    image_header_only,
    image_empty,
    image_is_text,
    image_is_a_folder,
    image_is_a_ct,
    image_is_a_ct_slice,
    image_without_spacing,
    image_with_nan,
    image_of_nan,
    image_constant,
    image_constant_around_the_vertebra,
    images_swapped,
    image_of_another_size,
    pytest.param(same_direction(0.0, 0.0, "lateral.nrrd", "alpha 0"), id="both views AP"),
    pytest.param(same_direction(0.0, 180.0, "lateral.nrrd", "alpha 180"), id="AP and PA"),
    pytest.param(same_direction(90.0, 90.0, "frontal.nrrd", "alpha 90"), id="both views lateral"),
    pytest.param(same_direction(42.0, 50.0, "case.json", "same direction", "8 degrees apart"), id="8 degrees apart"),
    roi_outside,
    roi_half_outside,
    roi_in_metres,
    no_roi,
    unknown_level,
    case_missing,
    case_folder_empty,
    case_truncated,
    case_binary,
    case_of_another_version,
    case_with_nan,
    reference_missing,
    reference_garbage,
    bundle_missing,
    bundle_unknown_name,
    bundle_truncated,
    bundle_empty,
    bundle_of_another_version,
    bundle_changed,
    bundle_of_another_program,
    bundle_pickled,
    bundle_zipped_pickle,
    bundle_of_unknown_network,
    bundle_of_other_weights,
    bundle_of_an_impossible_size,
    device_unknown,
    output_holds_something_else,
    output_holds_someone_else_s_summary,
    output_holds_results_and_something_else,
    output_is_a_file,
    output_lies_in_a_file,
    output_has_earlier_results,
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


def contents(folder):
    """Every file of a folder with its bytes, and every folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


class TestBadInput:
    @pytest.mark.parametrize("spoil", BAD_INPUT)
    def test_a_sentence_exit_code_2_and_nothing_written(self, place, spoil):
        arguments, words = spoil(place)
        before = contents(place)
        result = ear(*arguments)
        assert result.exit_code == 2, result.output + result.stderr + repr(result.exception)
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        said = result.stderr.strip()
        assert said.startswith("Error: ")
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1, said
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"
        _, _, advice = said.rstrip(".").rpartition(". ")  # the next step is its last sentence
        assert len(advice.split()) >= 2, said
        assert contents(place) == before

    @pytest.mark.parametrize("spoil", [image_with_nan, bundle_pickled, reference_far_away, output_has_earlier_results])
    def test_json_carries_the_same(self, place, spoil):
        arguments, words = spoil(place)
        result = ear(*arguments, "--json")
        assert result.exit_code == 2
        fields = json.loads(result.stdout)["error"]
        assert set(fields) == {"subject", "cause", "advice"}
        assert all(fields.values())
        for word in words:
            assert word in " ".join(fields.values())
        assert "Traceback" not in result.stderr

    def test_cuda_where_there_is_none(self, place, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        result = ear(*rebuild(place, "--device", "cuda"))
        assert result.exit_code == 2
        assert "CUDA" in result.stderr
        assert not (place / "out").exists()

    def test_the_installed_program_itself(self, place):
        """In a process of its own: no handler of ours stands between an exception and the terminal."""
        code = "from EARTrainingLib.cli import main; main()"
        arguments, words = image_with_nan(place)
        done = python(code, *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert all(word in done.stderr for word in words)
        assert "Traceback" not in done.stderr

    def test_ctrl_c_writes_nothing(self, place, monkeypatch):
        from EARReconstructionLib import results

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(results, "reconstruct", interrupted)
        result = ear(*rebuild(place))
        assert result.exit_code == 130
        assert "Traceback" not in result.stderr
        assert not (place / "out").exists()
