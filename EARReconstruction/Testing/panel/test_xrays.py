"""Section 1: opening X-rays in every way, questions about them, geometry, display, and what is refused."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from EARReconstructionLib.resources import SAMPLE_CASE
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

HEIGHT, WIDTH = 120, 80


def write_dicom(path: Path, seed: int = 0, **tags: Any) -> Path:
    """A CR image of noise; a tag of None is left out."""
    pixels = np.random.default_rng(seed).integers(0, 4000, (HEIGHT, WIDTH)).astype(np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    facts = {
        **{"Modality": "CR", "PhotometricInterpretation": "MONOCHROME2", "ImagerPixelSpacing": [1.0, 1.0]},
        **{"Rows": HEIGHT, "Columns": WIDTH, "SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 12},
        **{"HighBit": 11, "PixelRepresentation": 0, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID},
        "PixelData": pixels.tobytes(),
        **tags,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in facts.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset["PixelData"].VR = "OW"
        dataset.save_as(path, enforce_file_format=True)
    return path


def write_image(path: Path, seed: int = 1) -> Path:
    """A picture of noise in the format of the file's ending."""
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.5, 0.5))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    """An AP and a lateral X-ray in DICOM; the AP states its distances."""
    return SimpleNamespace(
        frontal=write_dicom(
            tmp_path / "1.dcm", ViewPosition="AP", DistanceSourceToDetector=1800, DistanceSourceToPatient=1500
        ),
        lateral=write_dicom(tmp_path / "2.dcm", 2, ViewPosition="LL"),
    )


def radiographs(driver: Any) -> dict[str, Any]:
    """Role -> node."""
    from EARReconstructionLib.scene.radiographs import radiograph_nodes

    return radiograph_nodes(driver.scene)


def shown_file(driver: Any, role: str) -> Path:
    """The file of a radiograph."""
    from EARReconstructionLib.scene.radiographs import radiograph_of

    return radiograph_of(radiographs(driver)[role]).path


class TestSampleCase:
    def test_by_its_button(self, driver: Any, slicer: Any) -> None:
        from EARReconstructionLib.scene.layouts import XRAYS_ID
        from EARReconstructionLib.scene.rois import roi_nodes

        driver.click("sampleButton")
        assert list(radiographs(driver)) == ["frontal", "lateral"]
        assert [node.GetName() for node in roi_nodes(driver.scene)][::7] == ["T10", "L5"]
        assert slicer.app.layoutManager().layout == XRAYS_ID
        assert driver.ui.frontalSelector.currentText == "frontal.nrrd"
        assert driver.ui.frontalGeometryLabel.text == "SOD 1000 mm, SDD 1300 mm, 0° (from the case)"
        assert "sample case" in driver.message
        reference = driver.parameters.referenceNode
        assert (reference.GetName(), reference.GetDisplayNode().GetVisibility()) == ("Sample reference", 0)

    def test_twice(self, driver: Any) -> None:
        driver.click("sampleButton")
        count = driver.scene.GetNumberOfNodes()
        driver.click("sampleButton")
        assert driver.scene.GetNumberOfNodes() == count

    def test_its_pictures(self, driver: Any) -> None:
        """Both X-rays are seen, whole, bone white; and the letters stand on the right sides."""
        driver.click("sampleButton")
        for role, left, right in (("frontal", "R", "L"), ("lateral", "P", "A")):
            seen = letters(driver, role)
            assert list(seen) == sorted([left, right, "S", "I"])
            assert seen[left].x < seen[right].x
            assert seen["S"].y > seen["I"].y
            # What tells the letters apart as they are drawn: R and P have a bow at the top right, L has none there,
            # and P has no foot at its right, as A has.
            assert seen[left].quarter("top right") > 0.1
            if role == "frontal":
                assert seen["L"].quarter("top right") < 0.02 < seen["R"].quarter("bottom right")
            else:
                assert seen["P"].quarter("bottom right") < 0.02 < seen["A"].quarter("bottom right")

    def test_through_sample_data(self, driver: Any, slicer: Any, desktop: Any) -> None:
        sample = next(each for each in desktop.sample_data if each["sampleName"] == "EARSampleSpine")
        slicer.util.selectModule("SampleData")
        nodes = sample["customDownloader"](sample)
        assert [node.GetName() for node in nodes] == ["AP", "Lateral"]
        assert slicer.util.selectedModule() == "EARReconstruction"


def letters(driver: Any, role: str) -> dict[str, SimpleNamespace]:
    """Letter -> where it is drawn in a radiograph's view, and how its pixels are spread."""
    from EARReconstructionLib.scene.nodes import find_node
    from EARReconstructionLib.scene.radiographs import LETTERS
    from EARReconstructionLib.scene.views import VIEW_TAGS

    view = driver.view(VIEW_TAGS[role])
    for node in list(driver.scene.GetNodes()):  # the boxes lie over some letters
        if node.IsA("vtkMRMLMarkupsROINode"):
            node.GetDisplayNode().SetVisibility(False)
    driver.settle()
    view.forceRender()
    picture = driver.desktop.grab(view)
    node = find_node(driver.scene, LETTERS, of=radiographs(driver)[role].GetID())
    found = {}
    for n in range(node.GetNumberOfControlPoints()):
        place = [0.0, 0.0, 0.0]
        node.GetNthControlPointPosition(n, place)
        x, y, _ = view.convertRASToXYZ(tuple(place))
        row, column = round(picture.shape[0] - y), round(x)
        white = picture[max(row - 25, 0) : row + 25, max(column - 20, 0) : column + 30].min(axis=2) > 200
        rows, columns = np.nonzero(white)
        assert rows.size > 20, f"no letter at {x:.0f}, {y:.0f}"
        glyph = white[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        found[node.GetNthControlPointLabel(n)] = SimpleNamespace(
            x=x, y=y, quarter=lambda name, g=glyph: quarter(g, name)
        )
    return dict(sorted(found.items()))


def quarter(glyph: Any, name: str) -> float:
    """Share of white pixels in a quarter, away from the middle lines."""
    vertical, horizontal = name.split()
    height, width = glyph.shape
    rows = slice(0, int(height * 0.45)) if vertical == "top" else slice(int(height * 0.62), int(height * 0.85))
    columns = slice(0, int(width * 0.5)) if horizontal == "left" else slice(int(width * 0.55), width)
    return float(glyph[rows, columns].mean())


class TestOpening:
    def test_one_after_the_other(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer(str(files.frontal))
        driver.click("openFrontalButton")
        assert list(radiographs(driver)) == ["frontal"]
        assert driver.ui.frontalGeometryLabel.text.startswith("SOD 1500 mm, SDD 1800 mm, 0° (from the image)")
        desktop.answer(str(files.lateral))
        driver.click("openLateralButton")
        assert shown_file(driver, "lateral") == files.lateral
        assert "(preset: Default)" in driver.ui.lateralGeometryLabel.text
        assert driver.message == ""

    def test_both_at_once_told_apart_by_their_tags(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer([str(files.lateral), str(files.frontal)])
        driver.click("openBothButton")
        assert (shown_file(driver, "frontal"), shown_file(driver, "lateral")) == (files.frontal, files.lateral)

    def test_both_at_once_by_their_order(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        paths = [write_image(tmp_path / "1.nrrd"), write_image(tmp_path / "2.nrrd", 2)]
        desktop.answer([str(path) for path in paths])
        driver.click("openBothButton")
        assert shown_file(driver, "frontal") == paths[0]
        assert "1.nrrd was taken as AP" in driver.message

    @pytest.mark.parametrize("count", [1, 3])
    def test_not_two(self, driver: Any, desktop: Any, files: Any, count: int) -> None:
        desktop.answer([str(files.frontal)] * count)
        driver.click("openBothButton")
        assert "Choose two files" in driver.message
        assert radiographs(driver) == {}

    @pytest.mark.parametrize(("button", "answer"), [("openFrontalButton", ""), ("openBothButton", [])])
    def test_no_file_after_all(self, driver: Any, desktop: Any, button: str, answer: Any) -> None:
        desktop.answer(answer)
        driver.click(button)
        assert radiographs(driver) == {}

    def test_a_path_in_another_script(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        folder = tmp_path / "Röntgen 脊柱"
        folder.mkdir()
        for role in ("frontal", "lateral"):
            shutil.copyfile(SAMPLE_CASE / f"{role}.nrrd", folder / f"Fräulein Müller {role}.nrrd")
        desktop.answer([str(path) for path in sorted(folder.iterdir())])
        driver.click("openBothButton")
        assert driver.ui.frontalSelector.currentText == "Fräulein Müller frontal.nrrd"
        assert driver.ui.frontalSelector.toolTip == str(folder / "Fräulein Müller frontal.nrrd")

    def test_the_dialog_starts_where_the_last_file_was(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer(str(files.frontal), "")
        driver.click("openFrontalButton")
        driver.click("openLateralButton")
        assert desktop.dialogs[-1].details == str(files.frontal.parent)


class TestQuestions:
    def test_the_size_of_a_pixel(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        path, ui = write_image(tmp_path / "ap.png"), driver.ui
        desktop.answer(str(path))
        driver.click("openFrontalButton")
        assert ui.questionFrame.isVisibleTo(driver.widget.parent)
        assert ui.questionLabel.text.startswith("ap.png does not say how large a pixel is")
        assert not ui.questionContinueButton.enabled
        assert ui.questionContinueButton.toolTip == "Give the size first"
        assert radiographs(driver) == {}
        ui.questionSpinBox.value = 0.25
        driver.click("questionContinueButton")
        assert not ui.questionFrame.isVisibleTo(driver.widget.parent)
        spacing = radiographs(driver)["frontal"].GetSpacing()[0]
        assert spacing == pytest.approx(0.25 * 1000 / 1300)

    def test_of_both_one_after_the_other(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        paths = [write_image(tmp_path / "lat.png"), write_image(tmp_path / "ap.png", 2)]
        desktop.answer([str(path) for path in paths])
        driver.click("openBothButton")
        for name, size in (("ap.png", 0.5), ("lat.png", 0.25)):
            assert name in driver.ui.questionLabel.text
            driver.ui.questionSpinBox.value = size
            driver.click("questionContinueButton")
        assert shown_file(driver, "lateral") == paths[0]
        assert radiographs(driver)["lateral"].GetSpacing()[0] == pytest.approx(0.25 * 1000 / 1300)

    def test_bone(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        desktop.answer(str(write_dicom(tmp_path / "xa.dcm", Modality="XA")))
        driver.click("openFrontalButton")
        assert [driver.ui.questionComboBox.itemText(n) for n in range(2)] == ["bright", "dark"]
        assert driver.ui.questionContinueButton.enabled
        driver.click("questionContinueButton")
        assert list(radiographs(driver)) == ["frontal"]

    def test_an_oblique_view(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        desktop.answer(str(write_dicom(tmp_path / "x.dcm", ViewPosition="LAO")))
        driver.click("openFrontalButton")
        driver.ui.questionSpinBox.value = 30
        driver.click("questionContinueButton")
        assert "30°" in driver.ui.frontalGeometryLabel.text

    @pytest.mark.parametrize(
        ("tags", "cause"),
        [
            ({"ViewPosition": "LL"}, "its beam (alpha 90, beta 0) does not run A-P"),
            ({"PatientOrientation": ["A", "F"]}, "its patient orientation A/F does not fit a frontal radiograph"),
        ],
    )
    def test_a_lateral_in_the_place_of_the_ap(
        self, driver: Any, desktop: Any, tmp_path: Path, tags: dict[str, Any], cause: str
    ) -> None:
        """What the file says is told: an answer given by habit would show a lateral as AP."""
        desktop.answer(str(write_dicom(tmp_path / "x.dcm", **tags)))
        driver.click("openFrontalButton")
        text = driver.ui.questionLabel.text
        assert text.startswith(f"x.dcm: {cause}")
        assert "Unless AP and lateral are swapped" in text
        assert radiographs(driver) == {}

    @pytest.mark.parametrize(
        ("role", "answer", "mirrored"),
        [
            ("frontal", "left side", False),  # as radiologists look at it
            ("frontal", "right side", True),
            ("lateral", "front", False),
            ("lateral", "back", True),
        ],
    )
    def test_what_the_right_edge_shows(
        self, driver: Any, desktop: Any, tmp_path: Path, role: str, answer: str, mirrored: bool
    ) -> None:
        """Left stays left: the answer says how the stored pixels lie."""
        from EARReconstructionLib.scene.radiographs import radiograph_of

        path = write_dicom(tmp_path / "x.dcm", PatientOrientation=["H", "F"])
        stored = pydicom.dcmread(path).pixel_array
        desktop.answer(str(path))
        driver.click({"frontal": "openFrontalButton", "lateral": "openLateralButton"}[role])
        combo = driver.ui.questionComboBox
        combo.currentIndex = [combo.itemText(n) for n in range(combo.count)].index(answer)
        driver.click("questionContinueButton")
        shown = radiograph_of(radiographs(driver)[role]).pixels
        assert np.array_equal(shown, stored[:, ::-1] if mirrored else stored)

    def test_an_answer_that_does_not_help(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        desktop.answer(str(write_image(tmp_path / "ap.png")))
        driver.click("openFrontalButton")
        driver.ui.questionSpinBox.value = 0.001
        driver.click("questionContinueButton")
        assert "a pixel of 0.001 mm is not possible" in driver.message

    def test_never_mind(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        desktop.answer(str(write_image(tmp_path / "ap.png")))
        driver.click("openFrontalButton")
        driver.click("questionCancelButton")
        assert not driver.ui.questionFrame.isVisibleTo(driver.widget.parent)
        assert radiographs(driver) == {}

    def test_a_closed_scene_asks_no_more(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        desktop.answer(str(write_image(tmp_path / "ap.png")))
        driver.click("openFrontalButton")
        driver.scene.Clear()
        driver.settle()
        assert not driver.ui.questionFrame.isVisibleTo(driver.widget.parent)


class TestLoadedImages:
    """Volumes that 3D Slicer loaded by itself, or its DICOM module."""

    def choose(self, driver: Any, role: str, name: str) -> None:
        selector = getattr(driver.ui, f"{role}Selector")
        index = next(n for n in range(selector.count) if selector.itemText(n) == name)
        selector.setCurrentIndex(index)
        selector.activated.emit(index)
        driver.settle()

    def test_of_a_file(self, driver: Any, slicer: Any, tmp_path: Path) -> None:
        path = write_image(tmp_path / "chest.nrrd")
        slicer.util.loadVolume(str(path))
        driver.settle()
        self.choose(driver, "lateral", "chest")
        assert shown_file(driver, "lateral") == path
        assert driver.ui.lateralSelector.currentText == "chest.nrrd"

    def test_of_the_dicom_module(self, driver: Any, slicer: Any, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The database knows the file; the volume itself has none."""
        database = SimpleNamespace(fileForInstance={"1.2": str(files.frontal)}.get)
        monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
        node = slicer.util.addVolumeFromArray(np.ones((1, 8, 8)), name="1: XR spine")
        node.SetAttribute("DICOM.instanceUIDs", "1.2")
        driver.settle()
        self.choose(driver, "frontal", "1: XR spine")
        assert shown_file(driver, "frontal") == files.frontal

    def test_without_a_file(self, driver: Any, slicer: Any) -> None:
        slicer.util.addVolumeFromArray(np.ones((1, 8, 8)), name="made up")
        driver.settle()
        self.choose(driver, "frontal", "made up")
        assert driver.message == "made up: it was not loaded from a file. Open the file of the radiograph."
        assert driver.ui.frontalSelector.currentText == "not loaded"

    def test_what_is_offered(self, driver: Any, slicer: Any) -> None:
        """No CT, no label map, none of our own volumes."""
        slicer.util.addVolumeFromArray(np.ones((4, 8, 8)), name="CT")
        slicer.util.addVolumeFromArray(np.ones((1, 8, 8)), name="labels", nodeClassName="vtkMRMLLabelMapVolumeNode")
        driver.click("sampleButton")
        assert driver.ui.frontalSelector.count == 1


class TestWhatIsRefused:
    def refuse(self, driver: Any, desktop: Any, path: Path, button: str = "openFrontalButton") -> str:
        before = dict(radiographs(driver))
        desktop.answer(str(path))
        driver.click(button)
        assert radiographs(driver) == before
        return str(driver.message)

    def test_the_same_view_twice(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        path = write_image(tmp_path / "one.nrrd")
        desktop.answer(str(path))
        driver.click("openFrontalButton")
        assert "are the same image" in self.refuse(driver, desktop, path, "openLateralButton")

    def test_a_ct(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((20, 30, 40), np.int16)), str(tmp_path / "ct.nii.gz"))
        assert "it is a volume of 40 x 30 x 20" in self.refuse(driver, desktop, tmp_path / "ct.nii.gz")
        assert "it is a CT image" in self.refuse(driver, desktop, write_dicom(tmp_path / "ct.dcm", Modality="CT"))

    def test_a_broken_file(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        path = write_image(tmp_path / "cut.png")
        path.write_bytes(path.read_bytes()[:200])
        assert str(path) in self.refuse(driver, desktop, path)

    def test_one_that_is_gone(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        assert "there is no such file" in self.refuse(driver, desktop, tmp_path / "gone.dcm")

    def test_the_other_view(self, driver: Any, desktop: Any) -> None:
        assert "saved as the lateral" in self.refuse(driver, desktop, SAMPLE_CASE / "lateral.nrrd")

    def test_a_good_pair_stays(self, driver: Any, desktop: Any, tmp_path: Path) -> None:
        driver.click("sampleButton")
        (tmp_path / "bad.dcm").write_bytes(b"")
        assert "the file is empty" in self.refuse(driver, desktop, tmp_path / "bad.dcm")
        assert driver.ui.frontalSelector.currentText == "frontal.nrrd"


class TestGeometry:
    def spacing(self, driver: Any, role: str) -> float:
        return float(radiographs(driver)[role].GetSpacing()[0])

    def choose(self, driver: Any, name: str) -> None:
        combo = driver.ui.presetComboBox
        index = combo.findData(name)
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        driver.settle()

    def test_a_preset_moves_both(self, driver: Any) -> None:
        driver.click("sampleButton")
        self.choose(driver, "c-arm")
        assert driver.ui.frontalGeometryLabel.text == "SOD 530 mm, SDD 1020 mm, 0° (preset: C-arm)"
        for role in ("frontal", "lateral"):
            assert self.spacing(driver, role) == pytest.approx(1.04 * 530 / 1020)
        assert driver.ui.presetComboBox.currentText == "C-arm 530 / 1020 mm"

    def test_a_preset_before_the_files(self, driver: Any, desktop: Any, files: Any) -> None:
        self.choose(driver, "long-film")
        desktop.answer(str(files.lateral))
        driver.click("openLateralButton")
        assert "SOD 1500 mm, SDD 1800 mm" in driver.ui.lateralGeometryLabel.text

    def test_back_to_what_the_images_state(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer(str(files.frontal))
        driver.click("openFrontalButton")
        self.choose(driver, "c-arm")
        assert self.spacing(driver, "frontal") == pytest.approx(530 / 1020)
        self.choose(driver, "image")
        assert self.spacing(driver, "frontal") == pytest.approx(1500 / 1800)

    def test_by_hand(self, driver: Any) -> None:
        driver.click("sampleButton")
        driver.ui.frontalSddSpinBox.value = 1500
        driver.settle()
        assert driver.ui.frontalGeometryLabel.text == "SOD 1000 mm, SDD 1500 mm, 0° (set by hand)"
        assert self.spacing(driver, "frontal") == pytest.approx(1.04 * 1000 / 1500)
        assert self.spacing(driver, "lateral") == pytest.approx(1.04 * 1000 / 1300)
        assert driver.ui.presetComboBox.currentText == "Set by hand"

    def test_angles_by_hand(self, driver: Any) -> None:
        from EARReconstructionLib.scene.radiographs import geometry_of

        driver.click("sampleButton")
        driver.ui.frontalAlphaSpinBox.value = 20
        driver.ui.lateralBetaSpinBox.value = 5
        driver.settle()
        geometry = geometry_of(driver.scene)
        assert (geometry.frontal.alpha_deg, geometry.lateral.beta_deg) == (20, 5)
        assert "20°" in driver.ui.frontalGeometryLabel.text
        assert "90° / +5°" in driver.ui.lateralGeometryLabel.text
        normal = driver.view("EARFrontal").mrmlSliceNode().GetSliceToRAS()
        assert abs(normal.GetElement(0, 2)) == pytest.approx(np.sin(np.radians(20)), abs=1e-6)

    @pytest.mark.parametrize(("name", "value"), [("frontalSodSpinBox", 1400), ("frontalAlphaSpinBox", 80)])
    def test_what_cannot_be(self, driver: Any, name: str, value: float) -> None:
        driver.click("sampleButton")
        before = getattr(driver.ui, name).value
        getattr(driver.ui, name).value = value
        driver.settle()
        assert driver.message
        assert getattr(driver.ui, name).value == before

    def test_what_was_assumed(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer(str(files.frontal))
        driver.click("openFrontalButton")
        label = driver.ui.frontalGeometryLabel
        assert "assumed</a>" in label.text
        assert "bone taken as bright" in label.toolTip
        label.linkActivated.emit("notes")
        assert "Bone taken as bright, as a viewer shows the image." in driver.message


class TestDisplay:
    def brightness(self, driver: Any, name: str) -> float:
        view = driver.view(name)
        view.forceRender()
        picture = driver.desktop.grab(view)
        height, width = picture.shape[:2]
        return float(picture[height // 6 : height // 3, int(width * 0.34) : int(width * 0.37)].mean())

    def test_bone_white(self, driver: Any) -> None:
        driver.click("sampleButton")
        white = self.brightness(driver, "EARFrontal")
        driver.click("boneWhiteCheckBox")
        black = self.brightness(driver, "EARFrontal")
        assert white < 128 < black  # the air beside the spine
        driver.click("sampleButton")  # it stays so for the next images
        assert self.brightness(driver, "EARFrontal") > 128
        driver.click("boneWhiteCheckBox")
        assert self.brightness(driver, "EARFrontal") == pytest.approx(white, abs=3)

    def test_in_3d(self, driver: Any) -> None:
        driver.click("sampleButton")
        nodes = [driver.view(name).mrmlSliceNode() for name in ("EARFrontal", "EARLateral")]
        assert [node.GetSliceVisible() for node in nodes] == [1, 1]
        nodes[0].SetSliceVisible(False)  # by the eye in the view's bar
        driver.panel.changed()
        driver.settle()
        assert [node.GetSliceVisible() for node in nodes] == [0, 1]
        driver.click("showIn3DCheckBox")
        assert [node.GetSliceVisible() for node in nodes] == [0, 0]

    def test_contrast(self, driver: Any) -> None:
        driver.click("sampleButton")
        display = radiographs(driver)["frontal"].GetDisplayNode()
        widget = driver.ui.frontalContrastWidget
        assert (widget.minimumValue, widget.maximumValue) == pytest.approx(
            (display.GetWindowLevelMin(), display.GetWindowLevelMax()), abs=0.01
        )
        widget.setValues(0.5, 1.5)
        driver.settle()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0.5, 1.5))

    def test_fit(self, driver: Any, slicer: Any) -> None:
        from EARReconstructionLib.scene.layouts import XRAYS_ID

        driver.click("sampleButton")
        node = driver.view("EARFrontal").mrmlSliceNode()
        field = node.GetFieldOfView()
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        node.SetFieldOfView(10, 10, 1)
        driver.click("fitButton")
        assert slicer.app.layoutManager().layout == XRAYS_ID
        assert node.GetFieldOfView() == pytest.approx(field, rel=0.01)


class TestStates:
    """Every button in every state."""

    ALWAYS = ("openBothButton", "sampleButton", "openFrontalButton", "openLateralButton", "presetComboBox")
    NUMBERS = ("SodSpinBox", "SddSpinBox", "AlphaSpinBox", "BetaSpinBox", "ContrastWidget")

    def numbers(self, driver: Any, role: str) -> set[bool]:
        return {bool(getattr(driver.ui, role + name).enabled) for name in self.NUMBERS}

    def test_empty(self, driver: Any) -> None:
        ui = driver.ui
        assert ui.hintLabel.text.startswith("Open the AP and the lateral X-ray")
        assert ui.hintLabel.isVisibleTo(driver.widget.parent)
        assert all(getattr(ui, name).enabled for name in self.ALWAYS)
        assert (ui.fitButton.enabled, ui.fitButton.toolTip) == (False, "Open an X-ray first")
        assert not ui.boneWhiteCheckBox.enabled
        assert self.numbers(driver, "frontal") == self.numbers(driver, "lateral") == {False}
        assert ui.frontalSodSpinBox.toolTip == "Open this X-ray first"
        assert not ui.frontalGeometryLabel.isVisibleTo(driver.widget.parent)

    def test_one_view(self, driver: Any, desktop: Any, files: Any) -> None:
        desktop.answer(str(files.frontal))
        driver.click("openFrontalButton")
        assert driver.ui.fitButton.enabled
        assert (self.numbers(driver, "frontal"), self.numbers(driver, "lateral")) == ({True}, {False})
        assert driver.ui.lateralSelector.currentText == "not loaded"
        assert driver.ui.addButton.toolTip == "Open both X-rays first, in step 1"

    def test_two_views(self, driver: Any) -> None:
        driver.click("sampleButton")
        assert self.numbers(driver, "frontal") == self.numbers(driver, "lateral") == {True}
        assert not driver.ui.hintLabel.isVisibleTo(driver.widget.parent)

    def test_refreshing_leaves_the_pixels_alone(self, driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The panel follows every drag, and those of a large image take long to copy."""
        from EARReconstructionLib.scene import radiographs

        driver.click("sampleButton")
        monkeypatch.setattr(radiographs, "voxels_of", lambda _: pytest.fail("pixels were copied"))
        driver.panel.changed()
        driver.settle()
        assert driver.ui.frontalSelector.currentText == "frontal.nrrd"

    def test_busy(self, driver: Any) -> None:
        import threading

        driver.click("sampleButton")
        gate = threading.Event()
        driver.panel.start("Work", lambda *_: gate.wait(10), lambda _: None)
        driver.settle()
        for name in (*self.ALWAYS, "fitButton", "frontalSodSpinBox", "frontalSelector"):
            assert not getattr(driver.ui, name).enabled, name
            assert getattr(driver.ui, name).toolTip == "Wait for the work to end, or cancel it"
        gate.set()
        driver.wait()
        assert all(getattr(driver.ui, name).enabled for name in self.ALWAYS)

    def test_closed(self, driver: Any) -> None:
        driver.click("sampleButton")
        driver.scene.Clear()
        driver.settle()
        self.test_empty(driver)
        driver.click("sampleButton")
        self.test_two_views(driver)
