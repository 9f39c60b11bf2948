"""Cases on disk: reading, writing, and every way in which a hand-written one can be wrong."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.case import Case, Reference, read_case, write_case
from EARReconstructionLib.errors import CaseError, EARError, GeometryError, RadiographError
from EARReconstructionLib.geometry import BiplanarGeometry, View
from EARReconstructionLib.radiograph import Radiograph, read_radiograph, write_radiograph
from EARReconstructionLib.vertebra import VertebraROI

HEIGHT, WIDTH = 60, 48
PIXELS = np.random.default_rng(5).uniform(0, 1000, (2, HEIGHT, WIDTH)).astype(np.float32)
L1 = {"level": "L1", "centre_ras_mm": [3.0, -4.0, 10.0], "size_mm": [70.0, 79.0, 52.0]}


def views(pixel_mm=2.0):
    return {
        role: View(alpha, 0.0, 1000.0, 1300.0, pixel_mm, HEIGHT, WIDTH, (1.0, 2.0, 3.0)).to_dict()
        for role, alpha in (("frontal", 0.0), ("lateral", 90.0))
    }


def case_json(**changes):
    """A sound case file; a change of None removes a field."""
    fields = {
        "format": "EAR case",
        "version": 1,
        "name": "Fall Ü",
        "radiographs": {"frontal": {"file": "ap.mha"}, "lateral": {"file": "lateral.mha"}},
        "geometry": views(),
        "vertebrae": [L1],
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    """A folder with both images and a sound case.json."""
    folder = tmp_path / "Fälle" / "eins"
    folder.mkdir(parents=True)
    for pixels, name in zip(PIXELS, ("ap.mha", "lateral.mha"), strict=True):
        image = sitk.GetImageFromArray(pixels)
        image.SetSpacing((2.0, 2.0))
        sitk.WriteImage(image, str(folder / name))
    write(folder, case_json())
    return folder


def write(folder, fields):
    (folder / "case.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def with_geometry(role, **changes):
    fields = views()
    fields[role] = {name: value for name, value in {**fields[role], **changes}.items() if value is not ...}
    return {"geometry": fields}


def with_roi(**changes):
    return {"vertebrae": [{name: value for name, value in {**L1, **changes}.items() if value is not ...}]}


def test_a_case_is_read_from_its_folder_or_its_file(folder):
    for path in (folder, folder / "case.json", str(folder)):
        case = read_case(path)
        assert case.name == "Fall Ü"
        assert case.folder == folder
        assert case.rois == (VertebraROI("L1", (3.0, -4.0, 10.0), (70.0, 79.0, 52.0)),)
        assert case.geometry.to_dict() == views()
        for radiograph, view, pixels in zip(case.radiographs, case.geometry.views, PIXELS, strict=True):
            np.testing.assert_array_equal(radiograph.pixels, pixels)
            assert radiograph.view == view
    os.rename(folder / "case.json", folder / "other name.json")
    assert read_case(folder / "other name.json").name == "Fall Ü"


def test_a_preset_gives_the_distances_and_the_image_the_rest(folder):
    case = read_case(write(folder, case_json(geometry={"preset": "c-arm", "isocentre_ras_mm": [0, 5, 0]})))
    assert case.geometry.frontal == View(0.0, 0.0, 530.0, 1020.0, 2.0, HEIGHT, WIDTH, (0.0, 5.0, 0.0))
    assert case.geometry.lateral.alpha_deg == 90
    oblique = read_case(write(folder, case_json(geometry={"preset": "default", "angle_deg": 70})))
    assert oblique.geometry.frontal.alpha_deg == 20
    assert oblique.geometry.angle_deg == pytest.approx(70)


def test_pictures_carry_their_pixel_size_and_polarity_in_the_case(folder):
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS[0].astype(np.uint16)), str(folder / "ap.png"))
    frontal = {"file": "ap.png", "pixel_mm": 0.5, "bone": "dark", "patient_orientation": "R/F"}
    fields = case_json(geometry={"preset": "default"}, vertebrae=[])
    fields["radiographs"] = {**fields["radiographs"], "frontal": frontal}
    case = read_case(write(folder, fields))
    np.testing.assert_array_equal(case.frontal.pixels, 65535 - np.floor(PIXELS[0])[:, ::-1])
    assert case.frontal.pixel_mm == case.geometry.frontal.pixel_mm == 0.5


def test_images_that_carry_their_view_need_no_geometry(folder):
    for role, view, pixels in zip(views(), views().values(), PIXELS, strict=True):
        view = View.from_dict(view)
        written = Radiograph(pixels, "attenuation", 2.0, role, (view.alpha_deg, 0.0), view)
        write_radiograph(written, folder / f"{role}.nrrd")
    entries = {role: {"file": f"{role}.nrrd"} for role in ("frontal", "lateral")}
    case = read_case(write(folder, case_json(radiographs=entries, geometry=None)))
    assert case.geometry.to_dict() == views()


def test_paths_start_from_the_case_and_may_be_absolute(folder, tmp_path):
    elsewhere = tmp_path / "images"
    elsewhere.mkdir()
    for name in ("ap.mha", "lateral.mha"):
        shutil.move(folder / name, elsewhere)
    entries = {"frontal": {"file": "../../images/ap.mha"}, "lateral": {"file": str(elsewhere / "lateral.mha")}}
    np.testing.assert_array_equal(read_case(write(folder, case_json(radiographs=entries))).lateral.pixels, PIXELS[1])


# Writing --------------------------------------------------------------------------------------------------------------


def assert_same(a, b):
    assert (a.name, a.rois, a.geometry) == (b.name, b.rois, b.geometry)
    for one, two in zip(a.radiographs, b.radiographs, strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)
        assert (one.quantity, one.pixel_mm, one.role, one.view, one.notes) == (
            two.quantity, two.pixel_mm, two.role, two.view, two.notes)  # fmt: skip


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def reference_files(folder):
    files = {"mask": "mask.seg.nrrd", "ct": "ct.nii.gz", "L1": "vertebra.STL", "T12": "T12.ply"}
    for name in files.values():
        (folder / name).write_bytes(name.encode())
    return {key: folder / name for key, name in files.items()}


def test_a_written_case_comes_back_and_stands_alone(folder, tmp_path):
    case = read_case(folder)
    target = tmp_path / "neu" / "Fall ラ"
    assert write_case(case, target) == target / "case.json"
    shutil.rmtree(folder)
    back = read_case(target)
    assert_same(case, back)
    assert contents(target) == ["case.json", "frontal.nrrd", "lateral.nrrd"]
    assert contents(target.parent) == sorted(["Fall ラ", *(f"Fall ラ/{name}" for name in contents(target))])
    np.testing.assert_allclose(json.loads((target / "case.json").read_text("utf-8"))["geometry"]["frontal"]["P"],
                               case.geometry.frontal.P)  # fmt: skip


@pytest.mark.parametrize("kind", ["segmentation", "volume", "volume with threshold", "meshes"])
def test_references_are_copied(folder, tmp_path, kind):
    files = reference_files(folder)
    given, copied = {
        "segmentation": ({"segmentation": "mask.seg.nrrd"}, {"segmentation": "reference/segmentation.seg.nrrd"}),
        "volume": ({"volume": "ct.nii.gz"}, {"volume": "reference/volume.nii.gz"}),
        "volume with threshold": (
            {"volume": str(files["ct"]), "threshold_hu": 180},
            {"volume": "reference/volume.nii.gz", "threshold_hu": 180.0},
        ),
        "meshes": (
            {"meshes": {"L1": "vertebra.STL", "T12": "T12.ply"}},
            {"meshes": {"L1": "reference/L1.STL", "T12": "reference/T12.ply"}},
        ),
    }[kind]
    case = read_case(write(folder, case_json(reference=given)))
    assert set(case.reference.files) <= set(files.values())
    path = write_case(case, tmp_path / "copy")
    assert json.loads(path.read_text("utf-8"))["reference"] == copied
    back = read_case(path).reference
    assert back.threshold_hu == given.get("threshold_hu")
    assert [p.read_bytes() for p in back.files] == [p.read_bytes() for p in case.reference.files]


def test_a_detached_reference_is_not_torn_from_its_voxels(folder, tmp_path):
    (folder / "ct.mhd").write_text("header")
    case = replace(read_case(folder), reference=Reference(volume=folder / "ct.mhd"))
    with pytest.raises(CaseError, match="its voxels lie in a second file"):
        write_case(case, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_nothing_is_overwritten_unasked(folder, tmp_path):
    case = read_case(folder)
    with pytest.raises(CaseError, match="there is a case already"):
        write_case(case, folder)
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "beach.jpg").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(CaseError, match="it holds something else than a case"):
            write_case(case, other, overwrite=overwrite)
        with pytest.raises(CaseError, match="it holds something else"):
            write_case(case, other / "beach.jpg", overwrite=overwrite)
    assert contents(other) == ["beach.jpg"]
    (tmp_path / "empty").mkdir()
    write_case(case, tmp_path / "empty")


def test_overwriting_keeps_files_that_are_not_the_case_s_own(folder):
    reference_files(folder)
    (folder / "results" / "deep").mkdir(parents=True)
    (folder / "results" / "deep" / "L1.vtk").write_text("result")
    case = read_case(write(folder, case_json(reference={"segmentation": "mask.seg.nrrd"})))
    before = set(contents(folder))
    write_case(replace(case, name="second"), folder, overwrite=True)
    assert set(contents(folder)) == before | {
        "frontal.nrrd", "lateral.nrrd", "reference", "reference/segmentation.seg.nrrd"}  # fmt: skip
    assert read_case(folder).name == "second"
    assert (folder / "results" / "deep" / "L1.vtk").read_text() == "result"
    write_case(replace(read_case(folder), name="third"), folder, overwrite=True)
    assert read_case(folder).name == "third"
    assert contents(folder.parent) == sorted(["eins", *(f"eins/{name}" for name in contents(folder))])


@pytest.mark.parametrize("step", ["radiograph", "json", "rename"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_the_old_case_and_no_rest(folder, tmp_path, monkeypatch, step, overwrite):
    case = read_case(folder)
    target = folder if overwrite else tmp_path / "new"
    before = contents(tmp_path)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    whole_rename = Path.rename

    def rename(self, other):
        if Path(other) == target and (self / "frontal.nrrd").exists():
            full()
        return whole_rename(self, other)

    with monkeypatch.context() as patch:
        if step == "radiograph":
            patch.setattr(sitk, "WriteImage", full)
        elif step == "json":
            patch.setattr(Path, "write_text", full)
        else:
            patch.setattr(Path, "rename", rename)
        with pytest.raises(CaseError, match="No space left on device") as caught:
            write_case(replace(case, name="new"), target, overwrite=overwrite)
    assert str(caught.value).startswith(str(target))
    assert contents(tmp_path) == before
    assert read_case(folder).name == "Fall Ü"


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ("{'name': 1}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a case: its format is not 'EAR case'"),
        ("{}", "it is not a case"),
        ('{"format": "EAR case"}', "its version is None, this SlicerEAR reads 1. Update SlicerEAR"),
        ('{"format": "EAR case", "version": 2}', "its version is 2"),
        ('{"format": "EAR case", "version": 1}', "name is missing"),
    ],
)
def test_what_is_not_a_case_file(tmp_path, text, words):
    (tmp_path / "case.json").write_text(text)
    with pytest.raises(CaseError, match=words) as caught:
        read_case(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "case.json"))


def test_missing_binary_and_denied_files(tmp_path, monkeypatch):
    with pytest.raises(CaseError, match=r"there is no such file. Choose the folder of a case, or its case\.json"):
        read_case(tmp_path / "nowhere")
    with pytest.raises(CaseError, match="there is no such file"):
        read_case(tmp_path)
    (tmp_path / "case.json").write_bytes(bytes(range(256)))
    with pytest.raises(CaseError, match="it is not JSON"):
        read_case(tmp_path)

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(CaseError, match="Permission denied"):
        read_case(tmp_path)


BAD = {
    "no radiographs": ({"radiographs": None}, "radiographs is missing. Add it; the fields are format, version"),
    "no vertebrae": ({"vertebrae": None}, "vertebrae is missing"),
    "misspelt field": ({"vertebra": []}, "there is no field 'vertebra'. Use format"),
    "name": ({"name": 7}, "name is not a text"),
    "radiographs as list": ({"radiographs": []}, "radiographs is not an object"),
    "one radiograph": ({"radiographs": {"frontal": {"file": "ap.mha"}}}, "radiographs: lateral is missing"),
    "no file": ({"radiographs": {"frontal": {}, "lateral": {}}}, "radiographs: frontal: file is missing"),
    "file is number": ({"radiographs": {"frontal": {"file": 1}, "lateral": {}}}, "frontal: file is not a text"),
    "pixel_mm is text": (
        {"radiographs": {"frontal": {"file": "ap.mha", "pixel_mm": "2"}, "lateral": {"file": "lateral.mha"}}},
        "radiographs: frontal: pixel_mm is not a number",
    ),
    "two pixel sizes": (
        {"radiographs": {"frontal": {"file": "ap.mha", "pixel_mm": 1}, "lateral": {"file": "lateral.mha"}}},
        "pixel_mm of the frontal radiograph and of its view differ. Give it once",
    ),
    "no geometry": ({"geometry": None}, r"the frontal radiograph does not carry its geometry .*Add \"geometry\""),
    "unknown preset": ({"geometry": {"preset": "eos"}}, "there is no preset 'eos'. Use one of default, c-arm"),
    "preset is list": ({"geometry": {"preset": []}}, "geometry: preset is not a text"),
    "preset and view": ({"geometry": {"preset": "default", "frontal": {}}}, "there is no field 'frontal'"),
    "geometry is text": ({"geometry": "default"}, "geometry is not an object"),
    "one view": ({"geometry": {"frontal": {}}}, "geometry: lateral is missing"),
    "misspelt distance": (with_geometry("frontal", sod=1000), "geometry: frontal: there is no field 'sod'"),
    "true as number": (with_geometry("lateral", sod_mm=True), "geometry: lateral: sod_mm is not a number"),
    "endless number": (with_geometry("lateral", sod_mm=float("inf")), "sod_mm is not a number"),
    "huge number": (with_geometry("lateral", sod_mm=10**400), "sod_mm is not a number"),
    "short isocentre": (with_geometry("frontal", isocentre_ras_mm=[1, 2]), "isocentre_ras_mm is not a list of 3"),
    "image and view differ": (
        with_geometry("lateral", height=50),
        "the lateral image has 48 x 60 pixels, its view 48 x 50. Correct the view's width and height",
    ),
    "no distance": (with_geometry("frontal", sod_mm=...), "the frontal radiograph does not carry its geometry"),
    "vertebrae as object": ({"vertebrae": {}}, "vertebrae is not a list"),
    "vertebra without size": (with_roi(size_mm=...), "vertebra 1: size_mm is missing"),
    "unknown level": (with_roi(level="L9"), "vertebra L9: there is no such level. Use C1 to C7"),
    "level is number": (with_roi(level=20), "vertebra 1: level is not a text"),
    "two numbers": (
        with_roi(centre_ras_mm=[1, 2]),
        r"centre_ras_mm is not a list of 3 numbers. Write it as \[1, 2, 3\]",
    ),
    "null": (with_roi(centre_ras_mm=[1, 2, None]), "vertebra 1: centre_ras_mm is not a number"),
    "not a number": (with_roi(centre_ras_mm=[1, 2, float("nan")]), "centre_ras_mm is not a number"),
    "metres": (with_roi(size_mm=[0.07, 0.08, 0.05]), "vertebra L1: .*looks like metres. Give it in mm"),
    "giant": (with_roi(size_mm=[70, 300, 50]), "up to 200 mm"),
    "twice": ({"vertebrae": [L1, L1]}, "vertebra L1 appears twice. Give each level once"),
    "above both": (
        with_roi(centre_ras_mm=[0, 0, 200]),
        "vertebra L1 lies outside the frontal radiograph. Move the ROI",
    ),
    "beside the frontal one": (with_roi(centre_ras_mm=[90, 0, 0]), "L1 lies outside the frontal radiograph"),
    "in front of the lateral one": (with_roi(centre_ras_mm=[0, 90, 0]), "L1 lies outside the lateral radiograph"),
    "behind the source": (with_roi(centre_ras_mm=[0, 1500, 0]), "L1 lies outside the frontal radiograph"),
    "at the source": (with_roi(centre_ras_mm=[1, 1002, 3]), "L1 lies outside the frontal radiograph"),
    "reference is text": ({"reference": "ct.nrrd"}, "reference is not an object"),
    "empty reference": ({"reference": {}}, "needs one of segmentation, volume and meshes"),
    "two references": ({"reference": {"volume": "a", "segmentation": "b"}}, "needs one of segmentation, volume"),
    "stray threshold": (
        {"reference": {"segmentation": "ap.mha", "threshold_hu": 1}},
        "threshold_hu belongs to a volume",
    ),
    "text threshold": ({"reference": {"volume": "ap.mha", "threshold_hu": "x"}}, "threshold_hu is not a number"),
    "missing reference": ({"reference": {"volume": "ct.nrrd"}}, "its reference .*ct.nrrd does not exist"),
    "mesh of no level": ({"reference": {"meshes": {"S1": "ap.mha"}}}, "there is no level 'S1'"),
    "meshes as list": ({"reference": {"meshes": ["L1.stl"]}}, "reference: meshes is not an object"),
}


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD)
def test_a_bad_case_is_refused_with_file_cause_and_advice(folder, changes, words):
    write(folder, case_json(**changes))
    with pytest.raises(CaseError, match=words) as caught:
        read_case(folder)
    assert str(caught.value).startswith(str(folder / "case.json"))
    assert caught.value.advice


def test_a_bad_image_is_named_itself(folder):
    (folder / "lateral.mha").unlink()
    with pytest.raises(RadiographError, match=r"lateral\.mha: there is no such file"):
        read_case(folder)


def test_two_views_of_one_direction_name_the_case(folder):
    geometry = {"frontal": {**views()["frontal"], "alpha_deg": 50}, "lateral": {**views()["lateral"], "alpha_deg": 50}}
    with pytest.raises(GeometryError, match="look in the same direction") as caught:
        read_case(write(folder, case_json(geometry=geometry)))
    assert str(caught.value).startswith(str(folder / "case.json"))


def test_swapped_roles_and_mirrored_views_are_refused_in_the_record_too(folder):
    case = read_case(folder)
    with pytest.raises(CaseError, match="its frontal radiograph is a lateral one"):
        replace(case, frontal=case.lateral, lateral=case.frontal)
    pa = replace(case.geometry.frontal, alpha_deg=180.0)
    with pytest.raises(CaseError, match="was read for alpha 0 and lies mirrored to alpha 180"):
        replace(case, geometry=BiplanarGeometry(pa, case.geometry.lateral))
    small = replace(case.geometry.frontal, pixel_mm=1.0)
    with pytest.raises(CaseError, match="pixels of 2 mm, its view 48 x 60 of 1 mm"):
        replace(case, geometry=BiplanarGeometry(small, case.geometry.lateral))


def test_a_geometry_that_was_adjusted_is_the_one_that_is_written(folder, tmp_path):
    case = read_case(folder)
    geometry = BiplanarGeometry(replace(case.geometry.frontal, alpha_deg=4.0, sod_mm=990.0), case.geometry.lateral)
    case = Case(case.name, *case.radiographs, geometry, case.rois)
    back = read_case(write_case(case, tmp_path / "copy"))
    assert back.geometry == geometry
    assert back.frontal.view == geometry.frontal
    assert read_radiograph(tmp_path / "copy" / "frontal.nrrd", "frontal").angles_deg == (4.0, 0.0)


def test_every_error_is_one_that_a_face_shows(folder):
    for error in (CaseError, RadiographError, GeometryError):
        assert issubclass(error, EARError)
