"""What an image file says about the radiograph in it; PNG, TIFF, NRRD, MetaImage and NIfTI through SimpleITK.

DICOM is read by ``radiograph_dicom``. Both give a StoredImage: the pixels as stored and the facts of the header, with
nothing assumed yet. ``radiograph.read_radiograph`` turns that into a Radiograph.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .errors import RadiographError

Quantity = Literal["attenuation", "intensity", "display"]
Bone = Literal["bright", "dark"]

#: Larger images are a mistake or an attack; the largest long-film radiographs have about 30 million pixels.
MAXIMUM_PIXELS = 400_000_000

FORMATS = "DICOM, PNG, TIFF, NRRD, MetaImage (MHA) or NIfTI"
_IMAGE_IO = {
    "png": "PNGImageIO",
    "tiff": "TIFFImageIO",
    "nrrd": "NrrdImageIO",
    "metaimage": "MetaImageIO",
    "nifti": "NiftiImageIO",
}

#: Keys of the metadata that write_radiograph puts into an NRRD: a JSON text, and the version of its layout.
METADATA_KEY, VERSION_KEY, VERSION = "EAR_radiograph", "EAR_radiograph_version", "1"


@dataclass
class StoredImage:
    """Pixels as stored, and what the file says about them; None where it says nothing.

    pixels: (H, W) float32, after rescale, not turned around. span: (low, high) of the values that the file could hold.
    shown_inverted: a viewer shows low values bright (MONOCHROME1, MINISWHITE). bone: how bone looks in the stored
    values. unsure: why a viewer's picture may not show bone bright. padding: (H, W) true outside the image.
    spacing_mm: (row, column), on the detector, or within the patient when in_patient is true, then larger on the
    detector by ``magnification`` = SDD / SOD. orientation: anatomical letters of (image right, image down).
    oblique: why the angle must be asked for. oriented: pixels already lie as their view wants them.
    """

    pixels: NDArray[np.float32]
    span: tuple[float, float]
    shown_inverted: bool = False
    quantity: Quantity | None = None
    bone: Bone | None = None
    unsure: str | None = None
    padding: NDArray[np.bool_] | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_reason: str = "the file gives no pixel size"
    in_patient: bool = False
    magnification: float | None = None
    role: str | None = None
    orientation: tuple[str, str] | None = None
    oriented: bool = False
    alpha_deg: float | None = None
    beta_deg: float | None = None
    oblique: str | None = None
    sod_mm: float | None = None
    sdd_mm: float | None = None
    isocentre_ras_mm: tuple[float, float, float] | None = None
    principal_point: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)


def sniff(path: Path) -> str:
    """Kind of an image file by its first bytes, never by its extension: "dicom" or a key of the table above.

    Raises RadiographError for a file that is missing, empty, unreadable or of another kind.
    """
    if path.is_dir():
        raise RadiographError(path, "it is a folder", "Choose the one image file of this radiograph")
    if not path.exists():
        raise RadiographError(path, "there is no such file", "Check the path")
    if not path.is_file():  # a pipe or a device would block for ever
        raise RadiographError(path, "it is not a file", "Choose an image file")
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
    except PermissionError as error:
        raise RadiographError(path, "permission to read it was denied", "Ask for access or copy the file") from error
    except OSError as error:
        raise RadiographError(path, f"it cannot be opened ({error.strerror})", "Check the disk or copy it") from error
    if not head:
        raise RadiographError(path, "the file is empty", "Export or copy it again")
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(31).decompress(head, 352)
        except zlib.error:
            head = b""
    kind = _kind(head)
    if kind is None:
        raise RadiographError(path, "it is not an image that can be read here", f"Export it as {FORMATS}")
    return kind


def _kind(head: bytes) -> str | None:
    if head[128:132] == b"DICM":  # first: PS3.10 lets the preamble be the header of a TIFF
        return "dicom"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:4] == b"NRRD":
        return "nrrd"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and head[344:347] in (b"n+1", b"ni1"):
        return "nifti"
    if re.search(rb"^(ObjectType|NDims)\s*=", head, re.MULTILINE):
        return "metaimage"
    if head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0":  # DICOM data set without its preamble
        return "dicom"
    return None


def check_size(path: Path, height: int, width: int) -> None:
    """Raises RadiographError before memory is asked for an image that no X-ray device makes."""
    if height * width > MAXIMUM_PIXELS:
        raise RadiographError(
            path,
            f"{width} x {height} pixels are more than a radiograph can have",
            "Check the file, or export it at a lower resolution",
        )


def grey(path: Path, array: NDArray) -> NDArray:
    """(H, W) of an (H, W) image, or of an (H, W, 3 or 4) one whose colours are all equal; alpha is dropped.

    Raises RadiographError for colour.
    """
    if array.ndim == 2:
        return array
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        first = array[..., 0]
        if all(np.array_equal(first, array[..., c]) for c in (1, 2)):
            return first
        raise RadiographError(path, "it is a colour picture", "Export the radiograph in grey, without annotations")
    raise RadiographError(path, f"its pixels have {array.shape[-1]} values each", "Export it with one grey value each")


def read_picture(path: Path, kind: str) -> StoredImage:
    """A PNG, TIFF, NRRD, MetaImage or NIfTI file; the first row is taken as the top.

    Dots per inch of a PNG or TIFF describe the paper, not the detector, and are not read. Raises RadiographError.
    """
    tags = _tiff_tags(path) if kind == "tiff" else {}
    if kind == "nifti":
        _check_nifti_length(path)
    reader = sitk.ImageFileReader()
    try:
        reader.SetFileName(str(path))
        reader.SetImageIO(_IMAGE_IO[kind])
        reader.ReadImageInformation()
        size = list(reader.GetSize())
        if len(size) > 3 or (len(size) == 3 and size[2] != 1):
            raise RadiographError(
                path, f"it is a volume of {' x '.join(map(str, size))}, not one image", "Choose a single 2-D radiograph"
            )
        check_size(path, size[1], size[0])
        if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
            raise RadiographError(path, "its pixels are complex numbers", "Export it with one grey value each")
        image = reader.Execute()
    except (RuntimeError, UnicodeEncodeError) as error:
        reason = str(error).strip().splitlines()[-1].rpartition(": ")[2].replace(str(path), path.name).strip()
        raise RadiographError(path, f"it is damaged or cut off ({reason})", "Copy or export it again") from error
    array = sitk.GetArrayFromImage(image)
    values = grey(path, array[0] if len(size) == 3 else array)
    if kind == "tiff" and values.dtype.itemsize * 8 != tags["bits"]:
        # SimpleITK falls back to 8 bits for tiles and separate planes, with no more than a warning on the terminal.
        raise RadiographError(
            path,
            f"its {tags['bits']}-bit grey values are stored in a way that would be cut to 8 bits",
            "Save it as a plain (strip, not tiled) TIFF or as a 16-bit PNG",
        )
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        span = (float(limits.min), float(limits.max))
    else:
        span = (float(np.min(values)), float(np.max(values)))
    stored = StoredImage(values.astype(np.float32), span, shown_inverted=tags.get("photometric") == 0)
    if kind in ("nrrd", "metaimage", "nifti"):
        column_mm, row_mm = image.GetSpacing()[:2]
        if _states_spacing(path, kind):
            stored.spacing_mm = (row_mm, column_mm)
    else:
        stored.spacing_reason = "dots per inch of a picture say nothing about the detector"
    if image.HasMetaDataKey(METADATA_KEY):
        version = image.GetMetaData(VERSION_KEY) if image.HasMetaDataKey(VERSION_KEY) else "none"
        _apply_metadata(path, image.GetMetaData(METADATA_KEY), version, stored)
    return stored


def _apply_metadata(path: Path, text: str, version: str, stored: StoredImage) -> None:
    """The facts that write_radiograph left in an NRRD. Raises RadiographError when they were damaged."""
    if version != VERSION:
        raise RadiographError(path, f"its EAR metadata has version {version}, not {VERSION}", "Update SlicerEAR")
    try:
        facts = json.loads(text)
        view = facts["view"] or {}
        stored.quantity, stored.role = facts["quantity"], facts["role"]
        stored.bone = "dark" if facts["quantity"] == "intensity" else "bright"
        stored.alpha_deg, stored.beta_deg = (float(x) for x in facts["angles_deg"])
        stored.sod_mm, stored.sdd_mm = view.get("sod_mm"), view.get("sdd_mm")
        stored.isocentre_ras_mm = tuple(view["isocentre_ras_mm"]) if view else None
        stored.principal_point = tuple(view["principal_point"]) if view.get("principal_point") else None
        stored.notes = [str(note) for note in facts["notes"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RadiographError(
            path, f"its EAR metadata is damaged ({error!r})", "Write it again with write_radiograph"
        ) from error
    stored.oriented = True


def _states_spacing(path: Path, kind: str) -> bool:
    """Whether a header names the pixel size: SimpleITK says 1 mm where the file says nothing."""
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
        head = stream.read(65536)
    if kind == "nifti":
        order = "<" if head[:4] == b"\x5c\x01\0\0" else ">"
        return all(abs(size) > 0 for size in struct.unpack(order + "2f", head[80:88]))  # pixdim[1], pixdim[2]
    if kind == "metaimage":
        return re.search(rb"^Element(Spacing|Size)\s*=", head, re.MULTILINE) is not None
    header = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    return re.search(rb"^(spacings|space directions):", header, re.MULTILINE | re.IGNORECASE) is not None


def _check_nifti_length(path: Path) -> None:
    """SimpleITK fills the missing end of a cut NIfTI with zeros and says nothing. Raises RadiographError instead."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            head = stream.read(352)
            order = "<" if head[:4] == b"\x5c\x01\0\0" else ">"
            dim = struct.unpack(order + "8h", head[40:56])
            (bits,) = struct.unpack(order + "h", head[72:74])
            (offset,) = struct.unpack(order + "f", head[108:112])
            count = int(np.prod([max(1, n) for n in dim[1 : dim[0] + 1]], dtype=np.int64))
            if head[344:347] == b"ni1" or count > MAXIMUM_PIXELS:  # pixels in another file; too large is said later
                return
            missing = offset + count * bits / 8 - 352
            while missing > 0 and (block := stream.read(1 << 20)):
                missing -= len(block)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise RadiographError(path, f"it is damaged or cut off ({error})", "Copy or export it again") from error
    if missing > 0:
        raise RadiographError(path, "it is cut off: the end of its pixels is missing", "Copy or export it again")


def _tiff_tags(path: Path) -> dict[str, int]:
    """``bits`` per sample and ``photometric`` (0 = MINISWHITE) of the first image (TIFF 6.0 sections 2 and 8).

    SimpleITK ignores MINISWHITE, and misreads half floats and grey with alpha: they are refused here.
    """
    try:
        with path.open("rb") as stream:
            order = "<" if stream.read(2) == b"II" else ">"
            big = struct.unpack(order + "H", stream.read(2))[0] == 43
            count_of, entry_of, offset_of = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
            stream.seek(8 if big else 4)
            stream.seek(*struct.unpack(order + offset_of, stream.read(struct.calcsize(offset_of))))
            (entries,) = struct.unpack(order + count_of, stream.read(struct.calcsize(count_of)))
            found: dict[int, int] = {}
            room = struct.calcsize(offset_of)
            for _ in range(min(entries, 4096)):
                tag, kind, number = struct.unpack(order + entry_of, stream.read(struct.calcsize("=" + entry_of)))
                value = stream.read(room)
                if kind == 3 and number * 2 <= room:
                    found[tag] = struct.unpack(order + "H", value[:2])[0]
                elif kind == 3 and number < 16:  # one per colour: they are elsewhere
                    here = stream.tell()
                    stream.seek(*struct.unpack(order + offset_of, value))
                    found[tag] = struct.unpack(order + "H", stream.read(2))[0]
                    stream.seek(here)
    except (struct.error, OSError, ValueError) as error:
        raise RadiographError(path, f"it is damaged or cut off ({error})", "Copy or export it again") from error
    bits, photometric, samples, sample_format = (found.get(tag, default) for tag, default in _TIFF_DEFAULTS.items())
    if samples not in (1, 3, 4) or (sample_format == 3 and bits != 32):
        raise RadiographError(
            path,
            f"it is a TIFF of {samples} x {bits}-bit values that cannot be read here",
            "Save it in grey, 8 or 16 bits",
        )
    return {"bits": bits, "photometric": photometric}


#: BitsPerSample, PhotometricInterpretation, SamplesPerPixel, SampleFormat.
_TIFF_DEFAULTS = {258: 1, 262: 1, 277: 1, 339: 1}
