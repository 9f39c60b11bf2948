"""`ear reconstruct`: what it writes and says, and what it answers to every kind of bad input."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from EARReconstructionLib import resources
from EARReconstructionLib.bundle import load_bundle, save_bundle
from EARReconstructionLib.model_card import METADATA_KEY, read_header
from EARReconstructionLib.networks import build
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_labels
from safetensors.torch import save_file

LEVELS = ("L1", "L2")


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class TestReconstruct:
    def test_everything_is_written(self, sound):
        written = files_of(sound / "results")
        expected = [
            "distances.csv",
            *(f"distances/{n}.vtp" for n in LEVELS),
            "picture.png",
            "report.html",
            "spine-labels.seg.nrrd",
            "spine.nrrd",
            "summary.json",
            *(f"surfaces/{n}.stl" for n in LEVELS),
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

    def test_words_say_where_things_are(self, ear, place):
        result = ear(
            "reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--device", "cpu"
        )
        assert result.exit_code == 0, result.stderr
        text = result.stdout.replace("\n", "")
        assert str((place / "out").resolve()) in text
        assert "2 vertebrae with tiny on cpu" in text
        for word in ("report.html", "picture.png", "volumes", "spine-labels.seg.nrrd", "surfaces", "distances.csv"):
            assert word in result.stdout
        for word in ("Dice", "ASSD"):
            assert word in result.stdout
        assert "not a medical device" in text
        assert "Traceback" not in result.stderr

    def test_the_json_file_will_do_and_some_levels_too(self, ear, place):
        result = ear(
            "reconstruct", place / "case" / "case.json", "-o", place / "out", "-m", place / "tiny.safetensors",
            "--levels", " l2 ,", "--batch-size", 1, "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["vertebrae"] == ["L2"]
        assert (place / "out" / "volumes" / "L2.nrrd").is_file()

    def test_one_vertebra_is_one(self, ear, place):
        result = ear(
            "reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--levels", "L2"
        )
        assert "1 vertebra with tiny on cpu" in result.stdout.replace("\n", "")
        assert not (place / "out" / "volumes" / "L1.nrrd").exists()

    def test_without_a_reference_there_is_no_comparison(self, ear, place):
        edit(place, lambda c: c.pop("reference"))
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["comparison"] == []
        assert not (place / "out" / "distances.csv").exists()
        assert (place / "out" / "picture.png").is_file()
        assert "no reference" in (place / "out" / "report.html").read_text(encoding="utf-8")

    def test_a_reference_that_does_not_fit_does_not_cost_the_reconstruction(self, ear, place):
        labels = read_volume(place / "labels.seg.nrrd")
        far = labels.ras_from_ijk.copy()
        far[0, 3] += 900
        write_labels(place / "case" / "far.seg.nrrd", labels.array, far, {VERSE_LABEL[n]: n for n in LEVELS})
        edit(place, lambda c: c.update(reference={"segmentation": "far.seg.nrrd"}))
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", "--json")
        assert result.exit_code == 0, result.stderr
        notes = json.loads(result.stdout)["notes"]
        assert any("L1" in n and "mm apart" in n for n in notes)

    def test_earlier_results_are_replaced_when_asked(self, ear, place):
        arguments = ["reconstruct", place / "case", "-o", place / "results", "-m", place / "tiny.safetensors"]
        result = ear(*arguments, "--levels", "L2", "--overwrite")
        assert result.exit_code == 0, result.stderr
        assert not (place / "results" / "volumes" / "L1.nrrd").exists()
        assert (place / "results" / "volumes" / "L2.nrrd").exists()

    def test_an_installed_model_goes_by_its_name(self, ear, place, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", place)
        result = ear("reconstruct", place / "case", "-o", place / "out", "-m", "tiny", "--levels", "L1", "--json")
        assert result.exit_code == 0, result.stderr


# Bad input. Each function spoils a copy of the sound folder and returns the arguments of `ear`, and words that the
# answer must hold: the file and the cause.


def edit(place, change):
    path = place / "case" / "case.json"
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def rebuild(place, *more):
    return ["reconstruct", place / "case", "-o", place / "out", "-m", place / "tiny.safetensors", *more]


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
    return rebuild(place), ["truth.nii.gz", "cut short"]


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


def rewritten(place, width=2, **changes):
    """The same bundle with another card or another network."""
    card = load_bundle(place / "tiny.safetensors").card
    save_bundle(place / "tiny.safetensors", replace(card, **changes), build("E2E", width=width))


def bundle_of_unknown_network(place):
    rewritten(place, architecture="ViT")
    return rebuild(place), ["tiny.safetensors", "ViT"]


def bundle_of_other_weights(place):
    rewritten(place, width=4)
    return rebuild(place), ["tiny.safetensors", "do not fit"]


def bundle_of_an_impossible_size(place):
    rewritten(place, size=30, spacing_mm=1.2)
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
]


class TestBadInput:
    @pytest.mark.parametrize("spoil", BAD_INPUT)
    def test_a_sentence_exit_code_2_and_nothing_written(self, place, refuses, spoil):
        refuses(*spoil(place))

    @pytest.mark.parametrize("spoil", [image_with_nan, bundle_pickled, output_has_earlier_results])
    def test_json_carries_the_same(self, place, refuses_in_json, spoil):
        refuses_in_json(*spoil(place))

    def test_cuda_where_there_is_none(self, ear, place, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        result = ear(*rebuild(place, "--device", "cuda"))
        assert result.exit_code == 2
        assert "CUDA" in result.stderr
        assert not (place / "out").exists()

    def test_the_installed_program_itself(self, python, place):
        """In a process of its own: no handler of ours stands between an exception and the terminal."""
        code = "from EARTrainingLib.cli import main; main()"
        arguments, words = image_with_nan(place)
        done = python(code, *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert all(word in done.stderr for word in words)
        assert "Traceback" not in done.stderr

    def test_ctrl_c_writes_nothing(self, ear, place, monkeypatch):
        from EARReconstructionLib import reconstruction

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(reconstruction, "reconstruct", interrupted)
        result = ear(*rebuild(place))
        assert result.exit_code == 130
        assert "Traceback" not in result.stderr
        assert not (place / "out").exists()
