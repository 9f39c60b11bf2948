"""Radiographs in DICOM: polarity, units, pixel size, beam direction, orientation, compression, and what is refused."""

import warnings
from contextlib import suppress

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from EARReconstructionLib import radiograph_dicom
from EARReconstructionLib.errors import EARError, RadiographError
from EARReconstructionLib.geometry import View
from EARReconstructionLib.radiograph import read_radiograph
from EARReconstructionLib.radiograph_dicom import alpha_beta_from_positioner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SOP_CLASS = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "RF": "1.2.840.10008.5.1.4.1.1.12.2",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
}
HEIGHT, WIDTH = 40, 32


def bone(height=HEIGHT, width=WIDTH):
    """Attenuation of a scene without any symmetry, 0 to 1000, (H, W): bone at the top right, something at the left."""
    v, u = np.mgrid[:height, :width]
    scene = 100 + 2 * v + u
    scene[4:12, width - 10 : width - 4] = 1000
    scene[height - 8 : height - 5, 3:6] = 500
    return scene.astype(np.uint16)


def dicom(path, pixels=None, *, syntax=ExplicitVRLittleEndian, preamble=True, bits=12, **tags):
    """Write one DICOM file; a tag of None is left out."""
    pixels = bone() if pixels is None else pixels
    defaults = {
        "Modality": "CR",
        "PhotometricInterpretation": "MONOCHROME2",
        "ImagerPixelSpacing": [0.2, 0.2],
        "PatientOrientation": ["L", "F"],
        "Rows": pixels.shape[-2] if pixels.ndim == 2 else pixels.shape[-3],
        "Columns": pixels.shape[-1] if pixels.ndim == 2 else pixels.shape[-2],
        "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
        "BitsAllocated": 8 * pixels.dtype.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0 if pixels.dtype.kind == "u" else 1,
        "PatientName": "Nobody^Real",
    }
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SOP_CLASS.get(tags.get("Modality", "CR"), SOP_CLASS["CR"])
    meta.MediaStorageSOPInstanceUID = generate_uid()
    compressed = syntax.is_compressed
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
    dataset = FileDataset(
        str(path), {}, file_meta=meta, preamble=b"\0" * 128, is_little_endian=syntax != ExplicitVRBigEndian
    )
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests write what the standard forbids
        for keyword, value in {**defaults, **tags}.items():
            if value is not None:
                setattr(dataset, keyword, value)
        big = syntax == ExplicitVRBigEndian
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
        dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
        if compressed:
            dataset.compress(syntax, generate_instance_uid=False)
        if preamble:
            dataset.save_as(path, enforce_file_format=True)
        else:
            del dataset.file_meta
            dataset.preamble = None
            dataset.save_as(path, implicit_vr=True, little_endian=True)
    return path


def z_scored(radiograph):
    pixels = radiograph.attenuation().astype(float)
    return (pixels - pixels.mean()) / pixels.std()


def z(pixels):
    return (pixels - pixels.mean()) / pixels.std()


# Polarity and quantity ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "tags"),
    [
        (bone(), {}),
        (4095 - bone(), {"PhotometricInterpretation": "MONOCHROME1"}),
        (4095 - bone(), {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}),
        (bone(), {"PresentationLUTShape": "IDENTITY"}),
        (bone(), {"RescaleSlope": "2.5", "RescaleIntercept": "-1024"}),
        (4095 - bone(), {"RescaleSlope": "-1", "RescaleIntercept": "4095"}),
        (bone().astype(np.int16) - 2000, {"bits": 16}),
        (bone(), {"PixelIntensityRelationship": "DISP"}),
        (bone(), {"Modality": "DX", "PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": -1}),
        (4095 - bone(), {"Modality": "DX", "PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": 1}),
        (
            4095 - bone(),
            {
                "Modality": "DX",
                "PixelIntensityRelationship": "LOG",
                "PixelIntensityRelationshipSign": 1,
                "PhotometricInterpretation": "MONOCHROME1",
                "PresentationLUTShape": "INVERSE",
                "PresentationIntentType": "FOR PRESENTATION",
            },
        ),
        (  # the sign is about stored values, which a negative slope turns around
            bone(),
            {"PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": -1, "RescaleSlope": "-1"},
        ),
        (4095 - bone(), {"Modality": "XA", "PixelIntensityRelationship": "LOG"}),
        (bone(), {"Modality": "RF", "PixelIntensityRelationshipSign": -1}),
    ],
)
def test_bone_is_bright_and_the_attenuation_linear_whatever_the_polarity(tmp_path, stored, tags):
    radiograph = read_radiograph(dicom(tmp_path / "ap.dcm", stored, **tags), "frontal")
    np.testing.assert_allclose(z_scored(radiograph), z(bone().astype(float)), atol=1e-5)


@pytest.mark.parametrize(
    ("relationship", "sign", "quantity"),
    [("LIN", 1, "intensity"), ("LOG", -1, "attenuation"), ("DISP", -1, "display"), (None, None, "display")],
)
def test_the_pixel_intensity_relationship_names_the_quantity(tmp_path, relationship, sign, quantity):
    path = dicom(
        tmp_path / "a", PixelIntensityRelationship=relationship, PixelIntensityRelationshipSign=sign, Modality="DX"
    )
    assert read_radiograph(path, "frontal").quantity == quantity


@pytest.mark.parametrize(
    ("turned", "tags"),
    [
        (False, {"PixelIntensityRelationshipSign": 1}),
        (True, {"PixelIntensityRelationshipSign": -1}),
        (False, {"PresentationIntentType": "FOR PROCESSING"}),
        (False, {"Modality": "XA"}),
        (False, {"PixelIntensityRelationshipSign": 1, "PhotometricInterpretation": "MONOCHROME1"}),
    ],
)
def test_a_linear_detector_signal_becomes_minus_its_logarithm(tmp_path, turned, tags):
    line_integral = bone() / 500.0
    intensity = np.round(65535 * np.exp(-line_integral)).astype(np.uint16)
    stored = 65535 - intensity if turned else intensity
    path = dicom(tmp_path / "raw", stored, bits=16, **{"Modality": "DX", "PixelIntensityRelationship": "LIN", **tags})
    radiograph = read_radiograph(path, "frontal")
    assert radiograph.quantity == "intensity"
    expected = line_integral - line_integral.min()
    np.testing.assert_allclose(radiograph.attenuation(), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "XA", "PixelIntensityRelationship": "DISP"}, "XA images are shown with bone bright or dark"),
        ({"Modality": "RF"}, "RF images"),
        ({"PresentationLUTShape": "INVERSE"}, "INVERSE contradicts"),
        ({"PresentationLUTShape": "IDENTITY", "PhotometricInterpretation": "MONOCHROME1"}, "IDENTITY contradicts"),
        (
            {"PresentationIntentType": "FOR PRESENTATION", "PixelIntensityRelationshipSign": 1},
            "contradict each other",
        ),
    ],
)
def test_a_polarity_that_cannot_be_known_is_asked_for(tmp_path, tags, words):
    path = dicom(tmp_path / "a.dcm", **tags)
    with pytest.raises(RadiographError, match=rf"{words}.*give bone, 'bright' or 'dark'"):
        read_radiograph(path, "frontal")
    bright, dark = (read_radiograph(path, "frontal", bone=look) for look in ("bright", "dark"))
    np.testing.assert_allclose(z_scored(bright), -z_scored(dark), atol=1e-5)
    shown = bone() if tags.get("PhotometricInterpretation") != "MONOCHROME1" else 4095 - bone()
    np.testing.assert_allclose(z_scored(bright), z(shown.astype(float)), atol=1e-5)


def test_given_quantity_outweighs_the_file_and_answers_for_the_polarity(tmp_path):
    path = dicom(tmp_path / "a.dcm", Modality="XA")
    assert read_radiograph(path, "frontal", quantity="display").pixels.max() == 1000
    raw = read_radiograph(path, "frontal", quantity="intensity")
    assert raw.attenuation()[8, WIDTH - 6] == 0  # the highest signal is air


def test_padding_becomes_air(tmp_path):
    pixels = bone()
    pixels[:, :5] = 4000
    pixels[:, 5:7] = 4001
    path = dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=4000, PixelPaddingRangeLimit=4001)
    radiograph = read_radiograph(path, "frontal")
    assert radiograph.pixels[:, :7].max() == radiograph.pixels.min()
    assert radiograph.pixels.max() == 1000
    assert any("padding (22%" in note for note in radiograph.notes)


def test_padding_of_a_raw_image_is_air_too(tmp_path):
    """Padding of 0 would be infinite attenuation."""
    raw = 4000 - bone()
    raw[:, :5] = 0
    path = dicom(tmp_path / "a.dcm", raw, PixelPaddingValue=0, PixelIntensityRelationship="LIN", Modality="XA")
    attenuation = read_radiograph(path, "frontal").attenuation()
    np.testing.assert_array_equal(attenuation[:, :5], 0)
    assert attenuation.max() == pytest.approx(np.log((4000 - bone()[:, 5:].min()) / 3000), rel=1e-4)


def test_a_modality_lut_is_applied_to_cr_and_not_to_xa(tmp_path):
    lut = pydicom.Dataset()
    lut.LUTDescriptor, lut.ModalityLUTType = [1024, 0, 16], "US"
    lut.LUTData = [int(v) for v in np.arange(1024)[::-1] * 3]
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    scene = np.minimum(bone(), 1023)
    cr = dicom(tmp_path / "cr", 1023 - scene, ModalityLUTSequence=[lut])
    np.testing.assert_allclose(z_scored(read_radiograph(cr, "frontal")), z(scene.astype(float)), atol=1e-5)
    xa = dicom(tmp_path / "xa", scene, ModalityLUTSequence=[lut], Modality="XA", PixelIntensityRelationship="LIN")
    assert read_radiograph(xa, "frontal").pixels.max() == 1000


# Pixel size -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PixelSpacing": [0.15, 0.15], "PixelSpacingCalibrationType": "GEOMETRY"}, 0.2),  # the imager's wins
        ({"ImagerPixelSpacing": None, "PixelSpacing": [0.17, 0.17]}, 0.17),
        ({"ImagerPixelSpacing": None, "NominalScannedPixelSpacing": [0.1, 0.1]}, 0.1),
        (
            {
                "ImagerPixelSpacing": None,
                "PixelSpacing": [0.1, 0.1],
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "EstimatedRadiographicMagnificationFactor": "1.3",
            },
            0.13,
        ),
        (
            {
                "ImagerPixelSpacing": None,
                "PixelSpacing": [0.1, 0.1],
                "PixelSpacingCalibrationType": "GEOMETRY",
                "DistanceSourceToPatient": "1000",
                "DistanceSourceToDetector": "1500",
            },
            0.15,
        ),
    ],
)
def test_pixel_size_on_the_detector(tmp_path, tags, expected):
    assert read_radiograph(dicom(tmp_path / "a", **tags), "frontal").pixel_mm == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ImagerPixelSpacing": None}, "the file gives no pixel size"),
        ({"ImagerPixelSpacing": [0, 0]}, "zero or not a number"),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "GEOMETRY"},
            "corrected for magnification",
        ),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": [0.1, 0.1], "Modality": "XA"},
            "on the detector or in the patient",
        ),
        ({"ImagerPixelSpacing": [0.0002, 0.0002]}, "a pixel of 0.0002 mm is not possible"),
    ],
)
def test_an_unknown_pixel_size_is_asked_for(tmp_path, tags, words):
    path = dicom(tmp_path / "a", PixelIntensityRelationshipSign=-1, **tags)
    with pytest.raises(RadiographError, match=rf"{words}.*Give pixel_mm \(size of a pixel on the detector in mm\)"):
        read_radiograph(path, "frontal")
    assert read_radiograph(path, "frontal", pixel_mm=0.3).pixel_mm == 0.3


def test_a_given_pixel_size_outweighs_the_file_and_is_noted(tmp_path):
    radiograph = read_radiograph(dicom(tmp_path / "a"), "frontal", pixel_mm=0.25)
    assert radiograph.pixel_mm == 0.25
    assert "pixel_mm 0.25 given; the file says 0.2" in radiograph.notes


def test_rows_come_first_in_a_spacing_and_pixels_are_made_square(tmp_path):
    """0.3 x 0.2 mm: the image keeps its 12 x 6.4 mm outline and gets 60 x 32 pixels."""
    radiograph = read_radiograph(dicom(tmp_path / "a", ImagerPixelSpacing=[0.3, 0.2]), "frontal")
    assert radiograph.pixels.shape == (60, 32)
    assert radiograph.pixel_mm == pytest.approx(0.2)
    smooth = radiograph.pixels[20:45, 10:20]  # the ramp 100 + 2 v + u, v every 0.2 mm of 0.3 mm rows
    v, u = np.mgrid[20:45, 10:20]
    np.testing.assert_allclose(smooth, 100 + 2 * ((v + 0.5) / 1.5 - 0.5) + u, atol=1e-3)


# Beam, distances, orientation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("primary", "secondary", "towards"),
    [
        (0, 0, (0, 1, 0)),  # C.8.7.5.1.2: the patient faces the detector
        (90, 0, (-1, 0, 0)),  # the patient's left hand side
        (-90, 0, (1, 0, 0)),
        (180, 0, (0, -1, 0)),
        (-180, 0, (0, -1, 0)),
        (0, 30, (0, np.cos(np.pi / 6), 0.5)),  # cranial
        (180, -30, (0, -np.cos(np.pi / 6), -0.5)),
        (30, 0, (-0.5, np.cos(np.pi / 6), 0)),  # LAO
    ],
)
def test_positioner_angles_name_the_side_of_the_detector(primary, secondary, towards):
    view = View(*alpha_beta_from_positioner(primary, secondary), 800, 1200, 1, 10, 10)
    np.testing.assert_allclose(view.direction, towards, atol=1e-12)


@given(st.floats(-180, 180), st.floats(-79, 79))
def test_positioner_angles_are_longitude_and_latitude_of_the_detector(primary, secondary):
    alpha, beta = alpha_beta_from_positioner(primary, secondary)
    p, q = np.radians([primary, secondary])
    detector = (-np.sin(p) * np.cos(q), np.cos(p) * np.cos(q), np.sin(q))
    np.testing.assert_allclose(View(alpha, beta, 1, 2, 1, 1, 1).direction, detector, atol=1e-9)
    assert -180 < alpha <= 180


@pytest.mark.parametrize(
    ("role", "tags", "alpha", "beta"),
    [
        ("frontal", {}, 0, 0),
        ("lateral", {"PatientOrientation": ["A", "F"]}, 90, 0),
        ("frontal", {"ViewPosition": "AP"}, 0, 0),
        ("frontal", {"ViewPosition": "PA"}, 180, 0),
        ("lateral", {"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, 90, 0),
        ("lateral", {"ViewPosition": "RL", "PatientOrientation": ["A", "F"]}, -90, 0),
        ("frontal", {"PositionerType": "CARM", "PositionerPrimaryAngle": 170, "PositionerSecondaryAngle": 5}, 10, 5),
        ("frontal", {"PositionerType": "COLUMN", "PositionerPrimaryAngle": 90}, 0, 0),
        ("frontal", {"Modality": "XA", "PositionerPrimaryAngle": 0, "PositionerSecondaryAngle": -10}, 180, -10),
        ("frontal", {"PositionerPrimaryAngle": 90}, 0, 0),  # no C-arm: not an angle about the patient
    ],
)
def test_beam_direction(tmp_path, role, tags, alpha, beta):
    path = dicom(tmp_path / "a", **{"PixelIntensityRelationshipSign": -1, **tags})
    assert read_radiograph(path, role).angles_deg == pytest.approx((alpha, beta))


def test_defaults_and_unknown_positions_are_noted(tmp_path):
    notes = read_radiograph(dicom(tmp_path / "a", ViewPosition="LORDOTIC"), "frontal").notes
    assert "no beam direction in the file: taken as AP" in notes
    assert "View Position 'LORDOTIC' is none of AP, PA, LL, RL: not used" in notes


def test_an_oblique_view_needs_its_angle(tmp_path):
    path = dicom(tmp_path / "a", ViewPosition="LLO")
    with pytest.raises(RadiographError, match=r"LLO is oblique.*Give alpha_deg"):
        read_radiograph(path, "frontal")
    assert read_radiograph(path, "frontal", alpha_deg=30).angles_deg == (30, 0)


@pytest.mark.parametrize(
    ("role", "tags"),
    [
        ("frontal", {"ViewPosition": "LL"}),
        ("lateral", {"ViewPosition": "AP"}),
        ("frontal", {"PatientOrientation": ["A", "F"]}),
        ("lateral", {"PatientOrientation": ["L", "F"]}),
        ("lateral", {"PositionerType": "CARM", "PositionerPrimaryAngle": 5}),
    ],
)
def test_swapped_files_are_noticed(tmp_path, role, tags):
    with pytest.raises(RadiographError, match="Check that frontal and lateral are not swapped"):
        read_radiograph(dicom(tmp_path / "a", **tags), role)


@pytest.mark.parametrize(
    ("tags", "sod", "sdd"),
    [
        ({"DistanceSourceToPatient": "1000", "DistanceSourceToDetector": "1300"}, 1000, 1300),
        ({"EstimatedRadiographicMagnificationFactor": "1.25", "DistanceSourceToDetector": "1500"}, 1200, 1500),
    ],
)
def test_the_view_is_built_from_the_header(tmp_path, tags, sod, sdd):
    view = read_radiograph(dicom(tmp_path / "a", **tags), "frontal").view
    assert view == View(0.0, 0.0, sod, sdd, 0.2, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({}, "no view yet: sod_mm and sdd_mm not known"),
        ({"DistanceSourceToDetector": "1500", "DistanceSourceToPatient": "0"}, "no view yet: sod_mm not known"),
        (
            {"DistanceSourceToDetector": "1000", "DistanceSourceToPatient": "1000"},
            "distances in the file not used: SOD 1000 mm and SDD 1000 mm do not fit",
        ),
    ],
)
def test_without_distances_there_is_no_view_until_they_are_given(tmp_path, tags, note):
    path = dicom(tmp_path / "a", **tags)
    radiograph = read_radiograph(path, "frontal")
    assert radiograph.view is None
    assert any(note in n for n in radiograph.notes)
    assert read_radiograph(path, "frontal", sod_mm=900, sdd_mm=1400).view.sod_mm == 900
    assert radiograph.placed(900, 1400).view == read_radiograph(path, "frontal", sod_mm=900, sdd_mm=1400).view


@pytest.mark.parametrize("letters", ["LF", "RF", "LH", "RH", "FL", "FR", "HL", "HR"])
@pytest.mark.parametrize(("position", "columns_to"), [("AP", "L"), ("PA", "R")])
def test_every_way_to_store_a_frontal_image_ends_as_seen_from_the_source(tmp_path, letters, position, columns_to):
    wanted = bone()  # image right = columns_to, image down = F
    stored = wanted
    horizontal, vertical = (letters[0], letters[1]) if letters[0] in "LR" else (letters[1], letters[0])
    stored = stored[:, ::-1] if horizontal != columns_to else stored
    stored = stored[::-1] if vertical == "H" else stored
    stored = stored.T if letters[0] in "HF" else stored
    path = dicom(tmp_path / "a", np.ascontiguousarray(stored), PatientOrientation=list(letters), ViewPosition=position)
    np.testing.assert_array_equal(read_radiograph(path, "frontal").pixels, wanted)


@pytest.mark.parametrize(("position", "columns_to"), [("LL", "A"), ("RL", "P")])
@pytest.mark.parametrize("stored_to", ["A", "P"])
def test_a_lateral_image_lies_as_its_view_has_it(tmp_path, position, columns_to, stored_to):
    stored = bone() if stored_to == columns_to else bone()[:, ::-1]
    path = dicom(
        tmp_path / "a", np.ascontiguousarray(stored), PatientOrientation=[stored_to, "F"], ViewPosition=position
    )
    radiograph = read_radiograph(path, "lateral")
    np.testing.assert_array_equal(radiograph.pixels, bone())
    assert any("mirrored" in note for note in radiograph.notes) == (stored_to != columns_to)


def test_a_spacing_turns_with_an_image_that_lies_on_its_side(tmp_path):
    path = dicom(tmp_path / "a", PatientOrientation=["F", "L"], ImagerPixelSpacing=[0.2, 0.4])
    assert read_radiograph(path, "frontal").pixels.shape == (WIDTH * 2, HEIGHT)


@pytest.mark.parametrize(
    ("primary", "secondary", "role"),
    [(180, 0, "frontal"), (0, 0, "frontal"), (150, 10, "frontal"), (20, -15, "frontal"), (90, 0, "lateral"),
     (-90, 5, "lateral"), (70, 0, "lateral")],
)  # fmt: skip
def test_a_bead_in_the_patient_is_found_where_its_view_projects_it(tmp_path, primary, secondary, role):
    """An independent C-arm: the detector's own axes are labelled by where they point in the patient."""
    bead = np.array([12.0, 9.0, 15.0])
    p, q = np.radians([primary, secondary])
    towards = np.array([-np.sin(p) * np.cos(q), np.cos(p) * np.cos(q), np.sin(q)])
    down = -np.array([0, 0, 1]) + towards[2] * towards
    down /= np.linalg.norm(down)
    across = np.cross(towards, down)  # some in-plane axis, of whatever side
    source, sdd, pixel = -700 * towards, 1100, 1.0
    ray = bead - source
    on_detector = ray * sdd / (ray @ towards)
    u, v = 30 + on_detector @ across / pixel, 40 + on_detector @ down / pixel
    image = np.full((80, 60), 100, np.uint16) + np.arange(60, dtype=np.uint16)
    image[int(v), int(u)] = 4000
    axis = int(np.abs(across[:2]).argmax())
    letter = ("RL", "AP")[axis][int(across[axis] < 0)]
    path = dicom(
        tmp_path / "a", image, Modality="XA", PositionerPrimaryAngle=primary, PositionerSecondaryAngle=secondary,
        PatientOrientation=[letter, "F"], ImagerPixelSpacing=[pixel, pixel], PixelIntensityRelationshipSign=-1,
        DistanceSourceToPatient="700", DistanceSourceToDetector=str(sdd),
    )  # fmt: skip
    radiograph = read_radiograph(path, role)
    found = np.unravel_index(radiograph.pixels.argmax(), radiograph.pixels.shape)
    (u, v), _ = radiograph.view.project(bead)
    assert found == (int(v), int(u))


def test_without_an_orientation_a_frontal_image_is_taken_as_radiological_display(tmp_path):
    ap = read_radiograph(dicom(tmp_path / "ap", PatientOrientation=None), "frontal")
    pa = read_radiograph(dicom(tmp_path / "pa", PatientOrientation=None, ViewPosition="PA"), "frontal")
    np.testing.assert_array_equal(ap.pixels, bone())
    np.testing.assert_array_equal(pa.pixels, bone()[:, ::-1])
    for radiograph in (ap, pa):
        assert any("no patient orientation: taken as radiological display" in note for note in radiograph.notes)


def test_without_an_orientation_a_lateral_image_is_kept_and_the_note_says_how(tmp_path):
    left = read_radiograph(dicom(tmp_path / "l", PatientOrientation=None), "lateral")
    right = read_radiograph(dicom(tmp_path / "r", PatientOrientation=None, ViewPosition="RL"), "lateral")
    assert "no patient orientation: image right taken as Anterior" in left.notes
    assert "no patient orientation: image right taken as Posterior" in right.notes
    np.testing.assert_array_equal(left.pixels, bone())


# Storage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless,
               JPEGLSLossless],
    ids=lambda syntax: syntax.name,
)  # fmt: skip
def test_transfer_syntaxes(tmp_path, syntax):
    if syntax.is_compressed and not pydicom.pixels.get_encoder(syntax).is_available:
        pytest.skip("no encoder")
    radiograph = read_radiograph(dicom(tmp_path / "a.dcm", syntax=syntax), "frontal")
    np.testing.assert_array_equal(radiograph.pixels, bone())


def test_jpeg_lossless_the_common_compression_of_detectors(tmp_path):
    image = sitk.GetImageFromArray(bone())
    for tag, value in (("0008|0060", "CR"), ("0020|0020", "L\\F")):
        image.SetMetaData(tag, value)
    sitk.WriteImage(image, str(tmp_path / "a.dcm"), useCompression=True, compressor="JPEG")
    assert "JPEG Lossless" in pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID.name
    radiograph = read_radiograph(tmp_path / "a.dcm", "frontal", pixel_mm=0.2)
    np.testing.assert_array_equal(radiograph.pixels, bone())


def test_a_missing_decoder_is_named(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", syntax=RLELossless)

    class Nothing:
        is_available = False

    monkeypatch.setattr(radiograph_dicom, "get_decoder", lambda uid: Nothing)
    with pytest.raises(RadiographError, match=r"RLE Lossless \(1\.2\.840\.10008\.1\.2\.5\).*pip install 'pylibjpeg"):
        read_radiograph(path, "frontal")


def test_an_unknown_transfer_syntax_is_named(tmp_path):
    path = dicom(tmp_path / "a.dcm")
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5.6.7.8.9.1\0", 1)
    path.write_bytes(content)
    with pytest.raises(RadiographError, match=r"1.2.3.4.5.6.7.8.9.1"):
        read_radiograph(path, "frontal")


@pytest.mark.parametrize("name", ["no_extension", "misleading.png", "Wirbelsäule ラ.dcm", "1.2.840.113619"])
def test_the_name_of_the_file_does_not_matter(tmp_path, name):
    radiograph = read_radiograph(dicom(tmp_path / name), "frontal")
    assert radiograph.path.name == name
    np.testing.assert_array_equal(radiograph.pixels, bone())


def test_a_data_set_without_preamble_is_read(tmp_path):
    path = dicom(tmp_path / "old", preamble=False)
    assert path.read_bytes()[:2] == b"\x08\0"
    np.testing.assert_array_equal(read_radiograph(path, "frontal").pixels, bone())


def test_grey_in_three_colours_is_accepted(tmp_path):
    grey = np.repeat((bone() // 4).astype(np.uint8)[..., None], 3, -1)
    tags = {"PhotometricInterpretation": "RGB", "bits": 8, "Modality": "OT", "PlanarConfiguration": 0}
    radiograph = read_radiograph(dicom(tmp_path / "a", grey, **tags), "frontal")
    np.testing.assert_array_equal(radiograph.pixels, bone() // 4)
    assert "Modality OT: taken as a radiograph" in radiograph.notes
    grey[3, 3] = (200, 0, 0)
    with pytest.raises(RadiographError, match="colour picture"):
        read_radiograph(dicom(tmp_path / "b", grey, **tags), "frontal")


def test_nothing_of_the_patient_is_kept(tmp_path):
    assert "Nobody" not in repr(read_radiograph(dicom(tmp_path / "a"), "frontal"))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "CT"}, "it is a CT image, not a radiograph. Choose an image of kind CR, DX"),
        ({"Modality": "MR"}, "it is a MR image"),
        ({"NumberOfFrames": 12}, "it holds 12 frames. Export the one frame"),
        ({"Rows": 65535, "Columns": 65535}, "65535 x 65535 pixels are more"),
        ({"Rows": 4000}, "damaged or cut off"),
        ({"Rows": None}, "rows and columns"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"RescaleSlope": "0"}, "Rescale Slope is 0"),
        ({"RescaleSlope": "1e300"}, "infinite or not a number"),
        ({"pixels": np.full((40, 32), 7, np.uint16)}, "the same value"),
        ({"pixels": bone(40, 20)[:12]}, "20 x 12 pixels are too few"),
        ({"PatientOrientation": ["LEFT", "FEET"]}, "not made of L or R, A or P, H or F"),
        ({"PatientOrientation": ["L", "A"]}, "does not fit a frontal radiograph"),
        ({"PositionerType": "CARM", "PositionerPrimaryAngle": 180, "PositionerSecondaryAngle": 85}, "85 degrees"),
    ],
)
def test_what_is_not_a_radiograph_is_refused_with_its_name(tmp_path, tags, words):
    path = dicom(tmp_path / "bad.dcm", **tags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RadiographError, match=words) as caught:
            read_radiograph(path, "frontal")
    assert str(caught.value).startswith(str(path))
    assert caught.value.advice


def test_a_report_without_an_image_is_refused(tmp_path):
    dataset = pydicom.dcmread(dicom(tmp_path / "a"))
    del dataset.PixelData
    dataset.save_as(tmp_path / "report")
    with pytest.raises(RadiographError, match="holds no image"):
        read_radiograph(tmp_path / "report", "frontal")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless], ids=["plain", "compressed"])
def test_a_cut_file_is_refused(tmp_path, share, syntax):
    if syntax.is_compressed and not pydicom.pixels.get_encoder(syntax).is_available:
        pytest.skip("no encoder")
    path = dicom(tmp_path / "a.dcm", syntax=syntax)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RadiographError):
            read_radiograph(path, "frontal")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 899), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_header_never_ends_in_anything_but_a_clear_error(tmp_path, changes):
    whole = tmp_path / "whole.dcm"
    if not whole.exists():
        dicom(whole)
    content = bytearray(whole.read_bytes())
    for place, byte in changes:
        content[128 + place] = byte
    path = tmp_path / "damaged.dcm"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(EARError):
            assert np.isfinite(read_radiograph(path, "frontal", pixel_mm=0.2).attenuation()).all()
