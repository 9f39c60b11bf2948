"""Radiographs in DICOM (CR, DX, RF, XA; PS3.3): pixels and the facts of the header.

Only attributes about the picture are read; nothing about the patient's identity is read, kept or shown.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_modality_lut, get_decoder
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from .errors import RadiographError
from .radiograph_file import Quantity, StoredImage, check_size, grey

#: Modality (0008,0060) of a projection image; RG is the retired "radiographic imaging (conventional film)".
RADIOGRAPHS = ("CR", "DX", "RF", "XA", "RG")
FLUOROSCOPY = ("RF", "XA")

#: View Position (0018,5101), C.8.11.5.1.1, as alpha: a left lateral has the left side at the detector.
ALPHA_OF_VIEW_POSITION = {"AP": 0.0, "PA": 180.0, "LL": 90.0, "RL": -90.0}
OBLIQUE_VIEW_POSITIONS = ("RLO", "LLO", "RAO", "LAO", "RPO", "LPO")

_EXPORT_AGAIN = "Copy or export it again"


def read_dicom(path: Path) -> StoredImage:
    """One single-frame radiograph. Raises RadiographError for anything else, and when its pixels cannot be decoded."""
    try:
        return _read(path, pydicom.dcmread(path, force=True))
    except RadiographError:
        raise
    except Exception as error:  # pydicom converts values late, and damaged ones raise what they like
        raise RadiographError(path, f"its DICOM header is damaged ({error})", _EXPORT_AGAIN) from error


def _read(path: Path, dataset: Dataset) -> StoredImage:
    modality = _word(dataset, "Modality")
    _check_kind(path, dataset, modality)
    raw = grey(path, _decode(path, dataset))
    values, span, falling = _rescaled(path, dataset, raw, modality)
    stored = StoredImage(values, span)
    if modality not in RADIOGRAPHS:
        stored.notes.append(f"Modality {modality or 'not stated'}: taken as a radiograph")
    _padding(dataset, raw, stored)
    _polarity(dataset, modality, falling, stored)
    _spacing(dataset, modality, stored)
    _distances(dataset, modality, stored)
    _angles(dataset, modality, stored)
    letters: Any = dataset.get("PatientOrientation")
    if isinstance(letters, MultiValue) and len(letters) == 2:
        stored.orientation = (str(letters[0]).upper(), str(letters[1]).upper())
    return stored


def alpha_beta_from_positioner(primary_deg: float, secondary_deg: float) -> tuple[float, float]:
    """Positioner Primary (0018,1510) and Secondary Angle (0018,1511) -> (alpha, beta) of a View, degrees.

    C.8.7.5.1.2 gives the place of the *detector* as a longitude p and a latitude q: p = q = 0 is in front of the chest,
    p = +90 at the patient's left hand side (LAO), -90 at the right (RAO), q = +90 cranial. In RAS the detector lies
    from the isocentre along (-sin p cos q, cos p cos q, sin q). Our beam, from source to detector, has that direction:
    n = (-sin a cos b, -cos a cos b, sin b). So sin a = sin p and cos a = -cos p: a = 180 - p, b = q. p = 0 (detector in
    front) is PA, p = +-180 is AP, p = +90 the left lateral.
    """
    alpha = math.remainder(180.0 - primary_deg, 360.0)
    return (180.0 if alpha == -180.0 else alpha), secondary_deg


def _word(dataset: Dataset, keyword: str) -> str:
    """A code string in capitals; empty when it is missing."""
    value = dataset.get(keyword)
    return str(value).strip().upper() if value is not None and not isinstance(value, MultiValue) else ""


def _numbers(dataset: Dataset, keyword: str, count: int = 1) -> tuple[float, ...] | None:
    """``count`` finite numbers; None when missing or no numbers."""
    try:
        value = dataset.get(keyword)
        values = tuple(float(v) for v in (value if count > 1 else (value,)))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _length(dataset: Dataset, keyword: str) -> float | None:
    """One positive number; devices write 0 for "unknown"."""
    values = _numbers(dataset, keyword)
    return values[0] if values and values[0] > 0 else None


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """(row, column) spacing, both positive: vertical first (10.7.1.3)."""
    values = _numbers(dataset, keyword, 2)
    return (values[0], values[1]) if values and min(values) > 0 else None


def _check_kind(path: Path, dataset: Dataset, modality: str) -> None:
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise RadiographError(path, "this DICOM file holds no image, or is cut off", "Choose the image of the series")
    if modality not in (*RADIOGRAPHS, "OT", ""):
        raise RadiographError(
            path, f"it is a {modality} image, not a radiograph", f"Choose an image of kind {', '.join(RADIOGRAPHS)}"
        )
    frames = int((_numbers(dataset, "NumberOfFrames") or (1.0,))[0])
    if frames > 1:
        raise RadiographError(path, f"it holds {frames} frames", "Export the one frame that you want as a single image")
    size = _numbers(dataset, "Rows"), _numbers(dataset, "Columns")
    if size[0] is None or size[1] is None:
        raise RadiographError(path, "it does not state its rows and columns", _EXPORT_AGAIN)
    check_size(path, int(size[0][0]), int(size[1][0]))
    if _word(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        raise RadiographError(path, "it is a colour picture", "Export the radiograph in grey")


def _decode(path: Path, dataset: Dataset) -> NDArray:
    """Stored values, (H, W) or (H, W, 3)."""
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):  # a data set without its preamble
        implicit, little = dataset.original_encoding
        if not little:
            raise RadiographError(path, "it does not state its transfer syntax", "Export it as DICOM with a header")
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise RadiographError(
            path,
            f"its pixels are compressed with {syntax.name} ({syntax}) and no decoder for that is installed",
            "Install one with: pip install 'pylibjpeg[libjpeg,openjpeg]' (in 3D Slicer: slicer.util.pip_install), or "
            "export the image uncompressed",
        )
    try:
        return np.asarray(dataset.pixel_array)
    except Exception as error:  # decoders are plug-ins and raise what they like
        raise RadiographError(path, f"its pixels are damaged or cut off ({error})", _EXPORT_AGAIN) from error


def _stored_range(dataset: Dataset) -> tuple[float, float]:
    """Lowest and highest value that the file can hold."""
    bits = int((_numbers(dataset, "BitsStored") or (16.0,))[0])
    signed = (_numbers(dataset, "PixelRepresentation") or (0.0,))[0] == 1
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)


def _rescaled(
    path: Path, dataset: Dataset, raw: NDArray, modality: str
) -> tuple[NDArray[np.float32], tuple[float, float], bool]:
    """Values after the modality LUT (C.11.1), the range they could have, and whether they fall with stored values.

    In XA and RF a Modality LUT Sequence leads back to beam intensity and is not for display (C.8.7.1.1.2): there the
    stored values are kept.
    """
    if dataset.get("ModalityLUTSequence") and modality not in FLUOROSCOPY:
        values = np.asarray(apply_modality_lut(raw, dataset), np.float32)
        ends = values.flat[int(raw.argmin())], values.flat[int(raw.argmax())]
        return values, (float(values.min()), float(values.max())), bool(ends[0] > ends[1])
    slope = (_numbers(dataset, "RescaleSlope") or (1.0,))[0]
    intercept = (_numbers(dataset, "RescaleIntercept") or (0.0,))[0]
    if slope == 0:
        raise RadiographError(path, "its Rescale Slope is 0", _EXPORT_AGAIN)
    low, high = sorted(slope * end + intercept for end in _stored_range(dataset))
    return (raw * np.float64(slope) + intercept).astype(np.float32), (low, high), slope < 0


def _padding(dataset: Dataset, raw: NDArray, stored: StoredImage) -> None:
    """Pixel Padding Value (0028,0120) and Range Limit (0028,0121): pixels that the detector never saw."""
    value = _numbers(dataset, "PixelPaddingValue")
    if value is not None:
        limit = _numbers(dataset, "PixelPaddingRangeLimit") or value
        mask = (raw >= min(value[0], limit[0])) & (raw <= max(value[0], limit[0]))
        if mask.any():
            stored.padding = mask
            stored.notes.append(f"padding ({mask.mean():.0%} of the pixels) filled with air")


def _polarity(dataset: Dataset, modality: str, falling: bool, stored: StoredImage) -> None:
    """Quantity, and how bone looks in the values.

    Pixel Intensity Relationship (0028,1040): LIN is the detector's signal, LOG its logarithm, DISP or nothing a display
    curve. Its Sign (0028,1041) is about *stored* values (C.8.11.3.1.2): +1, low values are low intensity, bone is dark.
    Photometric Interpretation (0028,0004) and Presentation LUT Shape (2050,0020) say how a viewer shows the picture,
    after rescale. falling: the rescale slope is negative.
    """
    quantities: dict[str, Quantity] = {"LIN": "intensity", "LOG": "attenuation", "DISP": "display"}
    relationship = _word(dataset, "PixelIntensityRelationship")
    stored.quantity = quantities.get(relationship)
    if stored.quantity == "attenuation":
        stored.notes.append("logarithmic pixels: attenuation up to a scale and an offset")
    photometric, shape = _word(dataset, "PhotometricInterpretation"), _word(dataset, "PresentationLUTShape")
    stored.shown_inverted = photometric == "MONOCHROME1"
    sign = (_numbers(dataset, "PixelIntensityRelationshipSign") or (0.0,))[0]
    for_processing = _word(dataset, "PresentationIntentType") == "FOR PROCESSING"
    if sign == 0 and relationship in ("LIN", "LOG") and (modality in FLUOROSCOPY or for_processing):
        sign = 1.0  # "proportional to X-ray beam intensity"
    if sign != 0:
        stored.bone = "dark" if (sign > 0) != falling else "bright"
        shown_bright = (stored.bone == "bright") != stored.shown_inverted
        if not shown_bright and _word(dataset, "PresentationIntentType") == "FOR PRESENTATION":
            # One of the two headers is wrong, and nothing tells which: the picture itself must decide.
            stored.bone = None
            stored.unsure = "Pixel Intensity Relationship Sign and Photometric Interpretation contradict each other"
    elif shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != stored.shown_inverted:
        stored.unsure = f"Presentation LUT Shape {shape} contradicts Photometric Interpretation {photometric}"
    elif modality in FLUOROSCOPY:
        stored.unsure = f"{modality} images are shown with bone bright or dark, and this one does not say which"


def _spacing(dataset: Dataset, modality: str, stored: StoredImage) -> None:
    """Pixel size (10.7.1.3): on the detector where a tag says so, else within the patient."""
    stored.magnification = _length(dataset, "EstimatedRadiographicMagnificationFactor")
    imager = _pair(dataset, "ImagerPixelSpacing") or _pair(dataset, "NominalScannedPixelSpacing")
    spacing = _pair(dataset, "PixelSpacing")
    calibration = _word(dataset, "PixelSpacingCalibrationType")
    if imager is not None:
        stored.spacing_mm = imager
    elif spacing is not None and calibration:
        stored.spacing_mm, stored.in_patient = spacing, True
        stored.spacing_reason = f"Pixel Spacing is corrected for magnification ({calibration}), which is not stated"
    elif spacing is not None and modality not in FLUOROSCOPY:
        stored.spacing_mm = spacing
        stored.notes.append("Pixel Spacing of unknown calibration: taken as the size on the detector")
    elif spacing is not None:
        stored.spacing_reason = "Pixel Spacing does not say whether it is measured on the detector or in the patient"
    elif any(dataset.get(keyword) for keyword in ("PixelSpacing", "ImagerPixelSpacing")):
        stored.spacing_reason = "the pixel size in the file is zero or not a number"


def _distances(dataset: Dataset, modality: str, stored: StoredImage) -> None:
    """SDD (0018,1110); SOD (0018,1111), or SDD by the magnification factor (0018,1114 = SID / SOD)."""
    stored.sdd_mm = _length(dataset, "DistanceSourceToDetector")
    stored.sod_mm = _length(dataset, "DistanceSourceToPatient")
    magnification = stored.magnification
    derived = stored.sdd_mm / magnification if stored.sdd_mm and magnification and magnification > 1 else None
    if stored.sod_mm and modality not in FLUOROSCOPY:
        stored.notes.append("Distance Source to Patient of a CR or DX image may be that of the table: taken as SOD")
    elif derived:
        stored.sod_mm = derived
        stored.notes.append("SOD from the estimated magnification factor")


def _angles(dataset: Dataset, modality: str, stored: StoredImage) -> None:
    """Beam direction from the positioner of a C-arm, else from View Position."""
    positioner = _word(dataset, "PositionerType")
    primary, secondary = (_numbers(dataset, f"Positioner{name}Angle") for name in ("Primary", "Secondary"))
    if primary and (positioner == "CARM" or (modality in FLUOROSCOPY and not positioner)):
        stored.alpha_deg, stored.beta_deg = alpha_beta_from_positioner(primary[0], (secondary or (0.0,))[0])
        return
    position = _word(dataset, "ViewPosition")
    stored.alpha_deg = ALPHA_OF_VIEW_POSITION.get(position)
    if position in OBLIQUE_VIEW_POSITIONS:
        stored.oblique = f"View Position {position} is oblique and its angle is not stated"
    elif position and stored.alpha_deg is None:
        stored.notes.append(f"View Position {position!r} is none of {', '.join(ALPHA_OF_VIEW_POSITION)}: not used")
