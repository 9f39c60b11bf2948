"""The Radiograph record, the round trip through NRRD, and what an argument changes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.errors import EARError, GeometryError, RadiographError
from EARReconstructionLib.geometry import View
from EARReconstructionLib.radiograph import QUANTITIES, Radiograph, read_radiograph, write_radiograph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEIGHT, WIDTH = 30, 40
PIXELS = np.random.default_rng(3).uniform(0.1, 3, (HEIGHT, WIDTH)).astype(np.float32)


def radiograph(**changes):
    fields = {"pixels": PIXELS, "quantity": "attenuation", "pixel_mm": 0.2, "role": "frontal", "angles_deg": (0.0, 0.0)}
    return Radiograph(**{**fields, **changes})


def test_attenuation_is_the_pixels_or_minus_the_logarithm_of_the_intensity():
    for quantity in ("attenuation", "display"):
        np.testing.assert_array_equal(radiograph(quantity=quantity).attenuation(), PIXELS)
    result = radiograph(quantity="intensity", pixels=1000 * np.exp(-PIXELS)).attenuation()
    np.testing.assert_allclose(result, PIXELS - PIXELS.min(), rtol=1e-5, atol=1e-5)
    assert result.dtype == np.float32


def test_dead_pixels_stay_finite():
    pixels = PIXELS.copy()
    pixels[3, 3], pixels[4, 4] = 0, -5
    result = radiograph(quantity="intensity", pixels=pixels).attenuation()
    assert np.isfinite(result).all()
    assert result[3, 3] == result[4, 4] == pytest.approx(np.log(1e5), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": "oblique"}, "role 'oblique' is not known. Give role as frontal or lateral"),
        ({"quantity": "density"}, "quantity 'density' is not known"),
        ({"pixels": PIXELS.astype(float)}, "float32"),
        ({"pixels": PIXELS[None]}, "not \\(H, W\\)"),
        ({"pixels": PIXELS[:15]}, "40 x 15 pixels are too few"),
        ({"pixels": PIXELS * np.float32(np.nan)}, "infinite or not a number"),
        ({"pixels": np.ones_like(PIXELS)}, "the same value"),
        ({"pixels": -PIXELS, "quantity": "intensity"}, "no positive value"),
        ({"pixel_mm": 0.0}, "a pixel of 0 mm is not possible"),
        ({"pixel_mm": float("nan")}, "not possible"),
        ({"view": View(0, 0, 1000, 1300, 0.2, 99, WIDTH)}, "do not fit a view of 40 x 99 pixels"),
        ({"view": View(0, 0, 1000, 1300, 0.3, HEIGHT, WIDTH)}, "do not fit a view"),
        ({"view": View(180, 0, 1000, 1300, 0.2, HEIGHT, WIDTH)}, "mirrored"),
    ],
)
def test_records_that_cannot_be_are_refused(changes, words):
    with pytest.raises(RadiographError, match=words):
        radiograph(**changes)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(
    "view",
    [
        None,
        View(-12.5, 3.25, 1000.1, 1300.3, 0.2, HEIGHT, WIDTH, (1.5, -2.25, 300.125), (3.3, 17.9)),
        View(0.0, 0.0, 1000.0, 1300.0, 0.2, HEIGHT, WIDTH),
    ],
)
def test_what_is_written_comes_back(tmp_path, quantity, view):
    original = radiograph(
        quantity=quantity,
        view=view,
        angles_deg=(view.alpha_deg, view.beta_deg) if view else (170.0, 2.5),
        notes=("orientation L\\F: kept", "Röntgen “ラ”\nsecond line"),
    )
    path = write_radiograph(original, tmp_path / "Bild ü.nrrd")
    back = read_radiograph(path, "frontal")
    np.testing.assert_array_equal(back.pixels, original.pixels)
    assert back.pixels.dtype == np.float32
    for name in ("quantity", "pixel_mm", "role", "angles_deg", "view"):
        assert getattr(back, name) == getattr(original, name), name
    assert back.notes[:2] == original.notes
    assert back.notes[2:] == (() if view else ("no view yet: sod_mm and sdd_mm not known",))
    again = read_radiograph(write_radiograph(back, tmp_path / "again.nrrd"), "frontal")
    assert again.notes == back.notes


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    alpha=st.floats(-59, 59),
    beta=st.floats(-40, 40),
    sod=st.floats(300, 2000),
    gap=st.floats(1, 900),
    pixel=st.floats(0.01, 3),
    isocentre=st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_every_view_survives_the_round_trip_exactly(tmp_path, alpha, beta, sod, gap, pixel, isocentre):
    if abs(np.cos(np.radians(alpha)) * np.cos(np.radians(beta))) < 0.5:
        return
    view = View(alpha, beta, sod, sod + gap, pixel, HEIGHT, WIDTH, isocentre)
    original = radiograph(view=view, pixel_mm=pixel, angles_deg=(alpha, beta))
    back = read_radiograph(write_radiograph(original, tmp_path / "a.nrrd", overwrite=True), "frontal")
    assert back.view == view


def test_an_argument_outweighs_a_written_view(tmp_path):
    path = write_radiograph(radiograph().placed(1000, 1300), tmp_path / "a.nrrd")
    back = read_radiograph(path, "frontal", sod_mm=900, alpha_deg=5, isocentre_ras_mm=(1, 2, 3), pixel_mm=0.3)
    assert back.view == View(5, 0, 900, 1300, 0.3, HEIGHT, WIDTH, (1, 2, 3))
    assert {"sod_mm 900 given; the file says 1000", "pixel_mm 0.3 given; the file says 0.2"} <= set(back.notes)
    np.testing.assert_array_equal(back.pixels, PIXELS)


def test_a_written_image_is_mirrored_when_its_beam_is_turned_around(tmp_path):
    """What was stored as PA and is read as AP shows the same patient; the central ray stays on its anatomy."""
    view = View(180, 0, 1000, 1300, 0.2, HEIGHT, WIDTH, principal_point=(7.5, 9.0))
    path = write_radiograph(radiograph(view=view, angles_deg=(180.0, 0.0)), tmp_path / "pa.nrrd")
    back = read_radiograph(path, "frontal", alpha_deg=0)
    np.testing.assert_array_equal(back.pixels, PIXELS[:, ::-1])
    assert back.view == View(0, 0, 1000, 1300, 0.2, HEIGHT, WIDTH, principal_point=(WIDTH - 7.5, 9.0))
    assert "stored layout: mirrored, to lie as seen from the source" in back.notes


def test_a_written_file_knows_its_role(tmp_path):
    path = write_radiograph(radiograph(), tmp_path / "a.nrrd")
    with pytest.raises(RadiographError, match=r"saved as the frontal radiograph, not the lateral one. Swap"):
        read_radiograph(path, "lateral")


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("EAR_radiograph", "{", "metadata is damaged"),
        ("EAR_radiograph", json.dumps({"quantity": "display"}), "metadata is damaged"),
        ("EAR_radiograph", "[1, 2]", "metadata is damaged"),
        ("EAR_radiograph_version", "2", "version 2, not 1. Update SlicerEAR"),
    ],
)
def test_damaged_metadata_are_refused(tmp_path, key, text, words):
    path = write_radiograph(radiograph(), tmp_path / "a.nrrd")
    image = sitk.ReadImage(str(path))
    image.SetMetaData(key, text)
    sitk.WriteImage(image, str(path))
    with pytest.raises(RadiographError, match=words):
        read_radiograph(path, "frontal")


def test_nothing_is_overwritten_or_left_half_written(tmp_path, monkeypatch):
    path = write_radiograph(radiograph(), tmp_path / "a.nrrd")
    before = path.read_bytes()
    with pytest.raises(RadiographError, match="the file exists"):
        write_radiograph(radiograph(pixels=PIXELS + 1), path)
    with pytest.raises(RadiographError, match=r"ends in \.nrrd"):
        write_radiograph(radiograph(), tmp_path / "a.png")

    def full(*args, **kwargs):
        raise RuntimeError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sitk, "WriteImage", full)
        with pytest.raises(EARError, match="No space left"):
            write_radiograph(radiograph(), path, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]
    write_radiograph(radiograph(pixels=PIXELS + 1), path, overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ("L/F", lambda a: a),
        ("R\\F", lambda a: a[:, ::-1]),
        ("l/h", lambda a: a[::-1]),
        ("F/L", lambda a: a.T),
        ("LA/F", lambda a: a),
    ],
)
def test_orientation_can_be_given(tmp_path, orientation, turn):
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path))
    np.testing.assert_array_equal(
        read_radiograph(path, "frontal", patient_orientation=orientation).pixels, turn(PIXELS)
    )


@pytest.mark.parametrize("orientation", ["", "L", "L/X", "/", "L/R", "A/F", "LLR/F", "L/FHH"])
def test_a_nonsense_orientation_is_refused(tmp_path, orientation):
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path))
    with pytest.raises(RadiographError, match="patient orientation"):
        read_radiograph(path, "frontal", patient_orientation=orientation)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sod_mm": 1300, "sdd_mm": 1000}, "SOD 1300 mm and SDD 1000 mm do not fit"),
        ({"sod_mm": 0, "sdd_mm": 1000}, "do not fit"),
        ({"quantity": "hu"}, "quantity 'hu' is not known. Give quantity as attenuation or intensity or display"),
        ({"bone": "white"}, "bone 'white' is not known"),
        ({"pixel_mm": 200.0}, "a pixel of 200 mm"),
        ({"alpha_deg": 90}, "does not run A-P"),
        ({"beta_deg": 85}, "85 degrees"),
        ({"alpha_deg": float("nan")}, "not a number"),
    ],
)
def test_impossible_arguments_are_refused_with_the_file_named(tmp_path, options, words):
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS), str(path))
    with pytest.raises(RadiographError, match=words) as caught:
        read_radiograph(path, "frontal", **options)
    assert str(path) in str(caught.value)


def test_placed_refuses_impossible_distances_and_keeps_the_rest():
    assert radiograph().placed(1000, 1300, principal_point=(3, 4)).view.principal_point == (3, 4)
    with pytest.raises(GeometryError):
        radiograph().placed(1300, 1000)
    assert replace(radiograph(), notes=("a",)).placed(1000, 1300).notes == ("a",)
