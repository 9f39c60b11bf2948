"""Radiographs from files and from volumes of the scene: who says what about them, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import GeometryError, RadiographError
from EARReconstructionLib.resources import SAMPLE_CASE
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
from EARReconstructionLib.scene.cases import show_case
from EARReconstructionLib.scene.loading import (
    distances_source,
    load_case,
    load_radiograph,
    load_radiographs,
    path_of_volume,
    role_of,
    set_angles,
    set_distances,
    set_preset,
)
from EARReconstructionLib.scene.nodes import find_nodes
from EARReconstructionLib.scene.radiographs import geometry_of, radiograph_nodes, radiograph_of, view_of


def write_dicom(path: Path, seed: int = 0, **tags: Any) -> Path:
    """A CR image of noise, 40 x 32; a tag of None is left out."""
    pixels = np.random.default_rng(seed).integers(0, 4000, (40, 32)).astype(np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    facts = {
        "Modality": "CR",
        "PhotometricInterpretation": "MONOCHROME2",
        "ImagerPixelSpacing": [0.5, 0.5],
        "Rows": 40,
        "Columns": 32,
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
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


def write_png(path: Path, seed: int = 1) -> Path:
    """A picture of noise, 60 x 50."""
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 50)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    return path


class TestLoading:
    def test_a_file_that_states_its_distances(self, stage: Any, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "ap.dcm", DistanceSourceToDetector=1800, DistanceSourceToPatient=1500)
        node = load_radiograph(stage.scene, path, "frontal", preset="c-arm")
        assert (view_of(node).sod_mm, view_of(node).sdd_mm, distances_source(node)) == (1500, 1800, "image")
        assert radiograph_of(node).path == path

    def test_a_preset_for_one_that_does_not(self, stage: Any, tmp_path: Path) -> None:
        node = load_radiograph(stage.scene, write_dicom(tmp_path / "ap.dcm"), "frontal", preset="c-arm")
        assert (view_of(node).sod_mm, view_of(node).sdd_mm, distances_source(node)) == (530, 1020, "c-arm")

    def test_facts_outweigh_the_file(self, stage: Any, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "ap.dcm", DistanceSourceToDetector=1800, DistanceSourceToPatient=1500)
        node = load_radiograph(stage.scene, path, "frontal", sod_mm=900, sdd_mm=1100, pixel_mm=0.25)
        assert (view_of(node).sod_mm, view_of(node).pixel_mm, distances_source(node)) == (900, 0.25, "manual")

    def test_a_second_one_takes_the_place_of_the_first(self, stage: Any, tmp_path: Path) -> None:
        first = load_radiograph(stage.scene, write_dicom(tmp_path / "a.dcm"), "frontal")
        second = load_radiograph(stage.scene, write_dicom(tmp_path / "b.dcm", 2), "frontal")
        assert first is second
        assert list(radiograph_nodes(stage.scene)) == ["frontal"]

    def test_both_or_none(self, stage: Any, tmp_path: Path) -> None:
        good, bad = write_dicom(tmp_path / "a.dcm"), tmp_path / "b.dcm"
        bad.write_bytes(b"nothing")
        with pytest.raises(RadiographError, match=r"b\.dcm"):
            load_radiographs(stage.scene, {"frontal": good, "lateral": bad})
        assert not find_nodes(stage.scene)

    def test_a_name_in_another_script(self, stage: Any, tmp_path: Path) -> None:
        (tmp_path / "Röntgen 脊柱").mkdir()
        path = write_png(tmp_path / "Röntgen 脊柱" / "Wirbelsäule ap.png")
        assert radiograph_of(load_radiograph(stage.scene, path, "frontal", pixel_mm=0.2)).path == path

    def test_a_case(self, stage: Any, sample: Case, tmp_path: Path) -> None:
        load_radiograph(stage.scene, write_dicom(tmp_path / "ap.dcm"), "frontal", preset="c-arm")
        assert load_case(stage.scene, SAMPLE_CASE).geometry == geometry_of(stage.scene) == sample.geometry
        assert [distances_source(node) for node in radiograph_nodes(stage.scene).values()] == ["case", "case"]


class TestWhatIsRefused:
    def test_the_same_file_twice(self, stage: Any, tmp_path: Path) -> None:
        path = write_png(tmp_path / "one.png")
        load_radiograph(stage.scene, path, "frontal", pixel_mm=0.2)
        with pytest.raises(RadiographError, match="same image"):
            load_radiograph(stage.scene, path, "lateral", pixel_mm=0.2)
        assert list(radiograph_nodes(stage.scene)) == ["frontal"]

    def test_the_same_image_under_two_names(self, stage: Any, tmp_path: Path) -> None:
        """The frontal one is mirrored when it is read."""
        load_radiograph(stage.scene, write_png(tmp_path / "a.png"), "frontal", pixel_mm=0.2, patient_orientation="R/F")
        with pytest.raises(RadiographError, match="same image"):
            load_radiograph(stage.scene, write_png(tmp_path / "b.png"), "lateral", pixel_mm=0.2)

    def test_a_stack(self, stage: Any, tmp_path: Path) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((30, 40, 50), np.int16)), str(tmp_path / "ct.nrrd"))
        with pytest.raises(RadiographError, match="volume of 50 x 40 x 30"):
            load_radiograph(stage.scene, tmp_path / "ct.nrrd", "frontal")

    def test_a_slice_of_a_ct(self, stage: Any, tmp_path: Path) -> None:
        with pytest.raises(RadiographError, match="CT image"):
            load_radiograph(stage.scene, write_dicom(tmp_path / "ct.dcm", Modality="CT"), "frontal")

    def test_the_other_role(self, stage: Any) -> None:
        with pytest.raises(RadiographError, match="saved as the lateral"):
            load_radiograph(stage.scene, SAMPLE_CASE / "lateral.nrrd", "frontal")

    def test_two_that_look_the_same_way(self, stage: Any, tmp_path: Path) -> None:
        load_radiograph(stage.scene, write_dicom(tmp_path / "a.dcm"), "frontal", alpha_deg=50)
        with pytest.raises(GeometryError, match="same direction"):
            load_radiograph(stage.scene, write_dicom(tmp_path / "b.dcm", 2), "lateral", alpha_deg=60)
        assert list(radiograph_nodes(stage.scene)) == ["frontal"]


@pytest.mark.parametrize(
    ("tags", "fact"),
    [
        ({"ImagerPixelSpacing": None}, "pixel_mm"),
        ({"Modality": "XA"}, "bone"),
        ({"ViewPosition": "LAO"}, "alpha_deg"),
        ({"ViewPosition": "LL"}, "alpha_deg"),
        ({"PatientOrientation": ["A", "R"]}, "patient_orientation"),
        ({"ImagerPixelSpacing": [50, 50]}, "pixel_mm"),
        ({"Modality": "CT"}, ""),
    ],
)
def test_what_must_be_asked_for(tmp_path: Path, stage: Any, tags: dict[str, Any], fact: str) -> None:
    with pytest.raises(RadiographError) as caught:
        load_radiograph(stage.scene, write_dicom(tmp_path / "x.dcm", **tags), "frontal")
    assert caught.value.asks == fact


class TestRoles:
    @pytest.mark.parametrize(
        ("tags", "role"),
        [
            ({"ViewPosition": "PA"}, "frontal"),
            ({"ViewPosition": "LL"}, "lateral"),
            ({"PatientOrientation": ["A", "F"]}, "lateral"),
            ({}, None),
        ],
    )
    def test_by_tags(self, tmp_path: Path, tags: dict[str, Any], role: str | None) -> None:
        assert role_of(write_dicom(tmp_path / "image.dcm", **tags)) == role

    @pytest.mark.parametrize(
        ("name", "role"),
        [("Spine_AP.png", "frontal"), ("lat-2.png", "lateral"), ("map.png", None), ("ap_lat.png", None)],
    )
    def test_by_name(self, tmp_path: Path, name: str, role: str | None) -> None:
        assert role_of(write_png(tmp_path / name)) == role

    def test_tags_outweigh_the_name(self, tmp_path: Path) -> None:
        assert role_of(write_dicom(tmp_path / "ap.dcm", ViewPosition="LL")) == "lateral"


class TestVolumes:
    """What 3D Slicer, or its DICOM module, has loaded."""

    @staticmethod
    def volume(stage: Any, path: Path | None = None, uids: str = "") -> Any:
        node = stage.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "image")
        if path is not None:
            storage = stage.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
            storage.SetFileName(str(path))
            node.SetAndObserveStorageNodeID(storage.GetID())
        if uids:
            node.SetAttribute("DICOM.instanceUIDs", uids)
        return node

    def test_its_file(self, stage: Any, tmp_path: Path) -> None:
        assert path_of_volume(self.volume(stage, tmp_path / "a.png"), lambda _: "") == tmp_path / "a.png"

    def test_its_file_in_the_database(self, stage: Any, tmp_path: Path) -> None:
        files = {"1.2.3": str(tmp_path / "a.dcm")}
        node = self.volume(stage, tmp_path / "old.dcm", "1.2.3")
        assert path_of_volume(node, files.__getitem__) == tmp_path / "a.dcm"

    def test_a_database_that_knows_it_no_more(self, stage: Any, tmp_path: Path) -> None:
        node = self.volume(stage, tmp_path / "a.dcm", "1.2.3")
        assert path_of_volume(node, lambda _: "") == tmp_path / "a.dcm"

    def test_a_series(self, stage: Any) -> None:
        with pytest.raises(RadiographError, match="stack of 3 images"):
            path_of_volume(self.volume(stage, None, "1.1 1.2 1.3"), lambda uid: uid)

    def test_no_file(self, stage: Any) -> None:
        with pytest.raises(RadiographError, match="not loaded from a file"):
            path_of_volume(self.volume(stage), lambda _: "")


class TestByHand:
    @pytest.fixture
    def scene(self, stage: Any, sample: Case) -> slicer.vtkMRMLScene:
        show_case(stage.scene, sample)
        return stage.scene

    def test_distances(self, scene: Any) -> None:
        set_distances(scene, "frontal", 1500, 1800)
        geometry = geometry_of(scene)
        assert (geometry.frontal.sod_mm, geometry.frontal.sdd_mm) == (1500, 1800)
        assert (geometry.lateral.sod_mm, geometry.lateral.sdd_mm) == (1000, 1300)
        assert [distances_source(node) for node in radiograph_nodes(scene).values()] == ["manual", "case"]
        # A pixel at the isocentre measures its size on the detector by SOD / SDD.
        assert radiograph_nodes(scene)["frontal"].GetSpacing()[0] == pytest.approx(1.04 * 1500 / 1800)

    def test_distances_that_cannot_be(self, scene: Any) -> None:
        with pytest.raises(GeometryError, match="SOD 1300 mm and SDD 1200 mm"):
            set_distances(scene, "frontal", 1300, 1200)
        assert geometry_of(scene).frontal.sod_mm == 1000

    def test_a_preset(self, scene: Any) -> None:
        set_preset(scene, "long-film")
        assert [view.sod_mm for view in geometry_of(scene).views] == [1500, 1500]
        assert {distances_source(node) for node in radiograph_nodes(scene).values()} == {"long-film"}
        with pytest.raises(GeometryError, match="no such preset"):
            set_preset(scene, "short-film")

    def test_back_to_what_the_files_state(self, stage: Any, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "ap.dcm", DistanceSourceToDetector=1800, DistanceSourceToPatient=1500)
        node = load_radiograph(stage.scene, path, "frontal")
        set_preset(stage.scene, "c-arm")
        set_preset(stage.scene, "image")
        assert (view_of(node).sod_mm, distances_source(node)) == (1500, "image")

    def test_files_that_state_none(self, scene: Any) -> None:
        with pytest.raises(GeometryError, match="do not state"):
            set_preset(scene, "image")

    def test_angles(self, scene: Any) -> None:
        set_angles(scene, "frontal", 30, -5)
        assert geometry_of(scene).frontal.direction == pytest.approx(
            (-np.sin(np.pi / 6) * np.cos(np.pi / 36), -np.cos(np.pi / 6) * np.cos(np.pi / 36), -np.sin(np.pi / 36))
        )
        assert distances_source(radiograph_nodes(scene)["frontal"]) == "case"

    @pytest.mark.parametrize(("role", "alpha"), [("frontal", 80), ("frontal", 180), ("lateral", 10)])
    def test_angles_that_cannot_be(self, scene: Any, role: str, alpha: float) -> None:
        with pytest.raises((GeometryError, RadiographError)):
            set_angles(scene, role, alpha, 0)
        assert geometry_of(scene).angle_deg == pytest.approx(90)

    def test_no_radiograph(self, stage: Any) -> None:
        with pytest.raises(GeometryError, match="no lateral radiograph"):
            set_distances(stage.scene, "lateral", 1000, 1300)
