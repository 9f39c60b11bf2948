"""Pictures and images through SimpleITK: what is believed, and every file that is refused."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.errors import RadiographError
from EARReconstructionLib.radiograph import read_radiograph

HEIGHT, WIDTH = 24, 36


def scene(dtype=np.uint16, height=HEIGHT, width=WIDTH):
    v, u = np.mgrid[:height, :width]
    picture = 10 + v + 2 * u
    picture[2:6, width - 8 : width - 3] = 200
    return picture.astype(dtype)


def image(path, array=None, spacing=(0.25, 0.25), vector=False):
    picture = sitk.GetImageFromArray(scene() if array is None else array, isVector=vector)
    picture.SetSpacing(spacing[: picture.GetDimension()] + (1.0,) * (picture.GetDimension() - 2))
    sitk.WriteImage(picture, str(path))
    return path


def tiff(path, array, **tags):
    """A TIFF of one strip with these tags: number -> SHORT value."""
    entries = {
        256: array.shape[1],
        257: array.shape[0],
        258: array.dtype.itemsize * 8,
        259: 1,
        262: 1,
        277: 1,
        278: 9999,
    }
    entries |= {int(number[1:]): value for number, value in tags.items()}
    entries |= {273: 0, 279: array.nbytes}
    body = b""
    for number, value in sorted(entries.items()):
        offset = 8 + 2 + 12 * len(entries) + 4
        kind, content = (4, offset if number == 273 else value) if number in (273, 279) else (3, value)
        body += struct.pack("<HHI", number, kind, 1) + struct.pack(
            "<I" if kind == 4 else "<HH", *([content] if kind == 4 else [content, 0])
        )
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + array.tobytes())
    return path


def read(path, **options):
    return read_radiograph(path, "frontal", **options)


@pytest.mark.parametrize("ending", ["nrrd", "mha", "nii", "nii.gz", "mhd", "nhdr"])
def test_scientific_formats_bring_their_spacing(tmp_path, ending):
    radiograph = read(image(tmp_path / f"ap.{ending}"))
    assert radiograph.pixel_mm == pytest.approx(0.25)
    np.testing.assert_array_equal(radiograph.pixels, scene())
    assert radiograph.quantity == "display"
    assert "bone taken as bright, as a viewer shows the image" in radiograph.notes


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dots_per_inch_are_never_believed(tmp_path, ending, dtype):
    path = image(tmp_path / f"ap.{ending}", scene(dtype))
    with pytest.raises(RadiographError, match=r"dots per inch.*Give pixel_mm"):
        read(path)
    radiograph = read(path, pixel_mm=0.5)
    assert radiograph.pixel_mm == 0.5
    np.testing.assert_array_equal(radiograph.pixels, scene())


@pytest.mark.parametrize(
    ("ending", "line"), [("nrrd", b"space directions: (0.25,0) (0,0.25)\n"), ("mha", b"ElementSpacing = 0.25 0.25\n")]
)
def test_a_header_without_spacing_is_not_taken_for_1_mm(tmp_path, ending, line):
    path = image(tmp_path / f"ap.{ending}")
    content = path.read_bytes()
    assert line in content
    content = content.replace(line, b"").replace(b"space dimension: 2\n", b"").replace(b"space origin: (0,0)\n", b"")
    path.write_bytes(content)
    with pytest.raises(RadiographError, match=r"gives no pixel size. Give pixel_mm"):
        read(path)
    assert read(path, pixel_mm=0.4).pixel_mm == 0.4


def test_a_nifti_with_zero_spacing_is_not_taken_for_1_mm(tmp_path):
    path = image(tmp_path / "ap.nii")
    content = bytearray(path.read_bytes())
    content[80:88] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(RadiographError, match=r"Give pixel_mm|damaged"):
        read(path)


def test_a_third_dimension_of_one_is_accepted(tmp_path):
    np.testing.assert_array_equal(read(image(tmp_path / "ap.nrrd", scene()[None])).pixels, scene())


def test_pixels_that_are_not_square_are_resampled(tmp_path):
    radiograph = read(image(tmp_path / "ap.nrrd", spacing=(0.2, 0.4)))  # SimpleITK: columns first
    assert radiograph.pixels.shape == (2 * HEIGHT, WIDTH)
    assert radiograph.pixel_mm == pytest.approx(0.2)
    assert any("0.4 x 0.2 mm resampled to 0.2 mm squares" in note for note in radiograph.notes)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_in_colours_is_accepted_and_colour_refused(tmp_path, channels, ending):
    grey = np.repeat(scene(np.uint8)[..., None], channels, -1)
    if channels == 4:
        grey[..., 3] = 255
    radiograph = read(image(tmp_path / f"grey.{ending}", grey, vector=True), pixel_mm=0.2)
    np.testing.assert_array_equal(radiograph.pixels, scene())
    grey[5, 5, 2] += 1
    with pytest.raises(RadiographError, match="colour picture"):
        read(image(tmp_path / f"colour.{ending}", grey, vector=True), pixel_mm=0.2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_minis_white_of_tiff_is_turned_around(tmp_path, dtype):
    shown = scene(dtype)
    stored = (np.iinfo(dtype).max - shown).astype(dtype)
    np.testing.assert_array_equal(read(tiff(tmp_path / "a.tif", stored, t262=0), pixel_mm=1).pixels, shown)
    np.testing.assert_array_equal(read(tiff(tmp_path / "b.tif", shown, t262=1), pixel_mm=1).pixels, shown)


@pytest.mark.parametrize(
    ("array", "tags", "words"),
    [
        (scene(np.float16), {"t339": 3}, "1 x 16-bit values that cannot be read"),
        (np.repeat(scene(), 2, 1), {"t256": WIDTH, "t277": 2}, "TIFF of 2 x 16-bit"),
        (np.zeros((32, 32), np.uint16) + np.arange(32, dtype=np.uint16), {"t322": 32, "t323": 32, "t284": 2}, "bit"),
    ],
)
def test_tiffs_that_would_lose_grey_values_are_refused(tmp_path, array, tags, words):
    path = tiff(tmp_path / "a.tif", array, **tags)
    if "t322" in tags:  # tiled: the same bytes under other tags
        content = path.read_bytes()
        for strip, tile in ((273, 324), (279, 325)):
            content = content.replace(struct.pack("<HH", strip, 4), struct.pack("<HH", tile, 4))
        path.write_bytes(content)
    with pytest.raises(RadiographError, match=words):
        read(path, pixel_mm=0.2)


def test_bone_and_quantity_are_taken_as_given(tmp_path):
    path = image(tmp_path / "ap.nrrd", scene(np.float32))
    assert read(path, quantity="intensity").attenuation()[3, WIDTH - 5] == 0
    dark = read(path, bone="dark")
    np.testing.assert_allclose(dark.pixels, 200 + 10 - scene(np.float32))
    assert read(path, quantity="attenuation").quantity == "attenuation"


def _png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return header + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def _nrrd(sizes, kind="float", extra=b""):
    text = f"NRRD0004\ntype: {kind}\ndimension: {len(sizes)}\nsizes: {' '.join(map(str, sizes))}\n"
    return text.encode() + b"encoding: raw\nendian: little\n" + extra + b"\n"


def _floats(bad):
    array = scene(np.float32)
    array[3, 3] = bad
    return _nrrd((WIDTH, HEIGHT), extra=b"spacings: 0.2 0.2\n") + array.tobytes()


CONTENTS = {
    "empty": (b"", "the file is empty. Export or copy it again"),
    "text": (b"AP spine, L1 fracture?\n" * 9, "not an image that can be read here. Export it as DICOM, PNG"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200), "not an image that can be read here"),
    "zip": (b"PK\x03\x04" + bytes(200), "not an image that can be read here"),
    "gzip of nothing": (gzip.compress(b"hello"), "not an image that can be read here"),
    "damaged gzip": (b"\x1f\x8b" + bytes(40), "not an image that can be read here"),
    "png without pixels": (_png_header(100, 100), "damaged or cut off"),
    "huge png": (_png_header(60000, 60000), "60000 x 60000 pixels are more than a radiograph can have"),
    "huge nrrd": (_nrrd((30000, 30000)), "30000 x 30000 pixels are more"),
    "tiff of nothing": (b"II*\0\x08\0\0\0", "damaged or cut off"),
    "tiff pointing outside": (b"II*\0\xff\xff\xff\x7f", "damaged or cut off"),
    "cut nrrd": (_nrrd((100, 100)) + bytes(400), "damaged or cut off"),
    "volume": (_nrrd((20, 20, 20)) + bytes(32000), "a volume of 20 x 20 x 20, not one image"),
    "nan": (_floats(np.nan), "infinite or not a number"),
    "infinity": (_floats(np.inf), "infinite or not a number"),
    "constant": (_nrrd((20, 20), extra=b"spacings: 1 1\n") + bytes(1600), "the same value. Choose the exposed image"),
    "too small": (
        _nrrd((10, 40), extra=b"spacings: 1 1\n") + np.arange(400, dtype=np.float32).tobytes(),
        "10 x 40 pixels are too few",
    ),
    "dicom of nothing": (bytes(128) + b"DICM", "holds no image, or is cut off"),
    "nearly dicom": (b"\x08\0\x05\0" + b"\xff" * 100, "."),
}


@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize(("content", "words"), CONTENTS.values(), ids=CONTENTS)
def test_bad_contents_are_refused_with_name_cause_and_advice(tmp_path, content, words):
    path = tmp_path / "röntgen 1.dcm"
    path.write_bytes(content)
    with pytest.raises(RadiographError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.advice


@pytest.mark.parametrize("ending", ["png", "tif", "nrrd", "mha", "nii", "nii.gz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_files_are_refused(tmp_path, ending, share):
    noise = np.random.default_rng(1).integers(0, 65535, (60, 50)).astype(np.uint16)
    path = image(tmp_path / f"a.{ending}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RadiographError):
        read(path, pixel_mm=0.2)


def test_missing_files_folders_and_devices(tmp_path):
    with pytest.raises(RadiographError, match=r"there is no such file. Check the path"):
        read(tmp_path / "missing.dcm")
    with pytest.raises(RadiographError, match=r"it is a folder. Choose the one image file"):
        read(tmp_path)
    with pytest.raises(RadiographError, match="it is not a file"):
        read("/dev/null")
    with pytest.raises(RadiographError, match="there is no such file"):
        read("nul\0byte")


def test_a_denied_permission_is_named(tmp_path, monkeypatch):
    path = image(tmp_path / "ap.nrrd")

    def denied(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # file modes do not stop root, who runs some test machines
    with pytest.raises(RadiographError, match=r"permission to read it was denied. Ask for access"):
        read(path)


@pytest.mark.parametrize("name", ["Röntgen ラ.png", "ap", "ap.dcm", "ap.jpg"])
def test_the_kind_is_told_by_content(tmp_path, name):
    (tmp_path / name).write_bytes(image(tmp_path / "x.png").read_bytes())
    np.testing.assert_array_equal(read(tmp_path / name, pixel_mm=0.2).pixels, scene())
