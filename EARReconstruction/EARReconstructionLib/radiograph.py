"""DICOM, PNG, TIFF, NRRD, MetaImage or NIfTI -> a Radiograph in known units, polarity and orientation.

What a file does not say is asked for by name (``pixel_mm``, ``bone``, ``alpha_deg`` ...), or assumed and written down
in ``Radiograph.notes``; an argument always outweighs the file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .errors import GeometryError, RadiographError
from .geometry import View
from .radiograph_file import METADATA_KEY, VERSION, VERSION_KEY, Bone, Quantity, StoredImage, read_picture, sniff
from .radiograph_layout import (
    ROLES,
    camera,
    check_pixel_mm,
    make_square,
    note_override,
    orient,
    resolve_angles,
    resolve_spacing,
    turn_bone,
)
from .volume_io import written_whole

__all__ = ["QUANTITIES", "ROLES", "Bone", "Quantity", "Radiograph", "read_radiograph", "write_radiograph"]

QUANTITIES: tuple[str, ...] = get_args(Quantity)

#: Smallest I / I0 that counts: about the step of a 16-bit detector. It keeps -log of a dead pixel finite.
INTENSITY_FLOOR = 1e-5

MINIMUM_SIZE = 16


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One X-ray image as its detector saw it, seen from the source (columns and rows as View says).

    pixels: (H, W) float32, row 0 at the top. quantity: "attenuation" is -log(I / I0), up to a scale and an offset when
    it comes from a logarithmic detector; "intensity" the linear signal, bone dark; "display" has bone bright and grows
    with attenuation along an unknown curve. pixel_mm: size of a (square) pixel on the detector. role: "frontal" or
    "lateral". angles_deg: (alpha, beta) of the beam for which the pixels are laid out; view: None until SOD and SDD
    are known (``placed``). notes: what was assumed, for the user to read. path: where it was read from.

    Raises RadiographError for pixels that are no radiograph, and for a view that is not theirs.
    """

    pixels: NDArray[np.float32]
    quantity: Quantity
    pixel_mm: float
    role: str
    angles_deg: tuple[float, float]
    view: View | None = None
    path: Path = Path("radiograph")
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = self.path
        _check_choice(name, "role", self.role, tuple(ROLES))
        _check_choice(name, "quantity", self.quantity, QUANTITIES)
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            raise RadiographError(name, "its pixels are not (H, W) float32", "Convert them")
        height, width = self.pixels.shape
        if min(height, width) < MINIMUM_SIZE:
            raise RadiographError(
                name, f"{width} x {height} pixels are too few", f"Choose an image of at least {MINIMUM_SIZE} pixels"
            )
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RadiographError(name, "some pixels are infinite or not a number", "Export the image again")
        if low == high:
            raise RadiographError(name, "all its pixels have the same value", "Choose the exposed image")
        if self.quantity == "intensity" and high <= 0:
            raise RadiographError(name, "an intensity image has no positive value", "Give its true quantity")
        check_pixel_mm(name, self.pixel_mm)
        view = self.view
        if view and ((view.height, view.width) != (height, width) or not math.isclose(view.pixel_mm, self.pixel_mm)):
            raise RadiographError(
                name,
                f"{width} x {height} pixels of {self.pixel_mm:g} mm do not fit a view of {view.width} x {view.height} "
                f"pixels of {view.pixel_mm:g} mm",
                "Give the view of this image",
            )
        if view and not self.lies_as(view):
            raise RadiographError(
                name, "its view sees it mirrored", "Read the image again with the angles of that view"
            )

    def lies_as(self, view: View) -> bool:
        """Whether the columns run to the same side of the patient as those of a view: AP and PA do not."""
        return bool(camera(self.path, self.angles_deg)[0] @ view.camera_from_ras[0, :3] > 0)

    def attenuation(self) -> NDArray[np.float32]:
        """(H, W) float32, bone bright: the pixels themselves, or -log(I / I0) of an intensity image.

        I0 is the image's maximum: another one only adds an offset, which goes when crops are z-scored. I / I0 is
        clipped at 1e-5.
        """
        if self.quantity != "intensity":
            return self.pixels
        return -np.log(np.clip(self.pixels / self.pixels.max(), np.float32(INTENSITY_FLOOR), None))

    def placed(
        self,
        sod_mm: float,
        sdd_mm: float,
        *,
        isocentre_ras_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        principal_point: tuple[float, float] | None = None,
    ) -> Radiograph:
        """The same radiograph with a View at these distances. Raises GeometryError when they cannot be."""
        height, width = self.pixels.shape
        alpha, beta = self.angles_deg
        view = View(alpha, beta, sod_mm, sdd_mm, self.pixel_mm, height, width, isocentre_ras_mm, principal_point)
        return replace(self, view=view)


def read_radiograph(
    path: str | Path,
    role: str,
    *,
    quantity: Quantity | None = None,
    bone: Bone | None = None,
    pixel_mm: float | None = None,
    patient_orientation: str | None = None,
    sod_mm: float | None = None,
    sdd_mm: float | None = None,
    alpha_deg: float | None = None,
    beta_deg: float | None = None,
    isocentre_ras_mm: tuple[float, float, float] | None = None,
    principal_point: tuple[float, float] | None = None,
) -> Radiograph:
    """Read a radiograph; the kind of file is told by its content.

    role: "frontal" or "lateral". quantity: see Radiograph. bone: "bright" or "dark", as a viewer shows the picture.
    pixel_mm: size of a pixel on the detector; pixels that are not square are resampled to the smaller side.
    patient_orientation: where image right and image down point, as DICOM has it: "L/F" is an AP in radiological
    display. principal_point: in pixels of the result.

    The image is mirrored or turned to lie as View has it, seen from the source with the head up: so a PA image comes
    out with the patient's Right on its right. A View is built when SOD and SDD are known. Raises RadiographError.
    """
    path = Path(path)
    _check_choice(path, "role", role, tuple(ROLES))
    for name, value, choices in (("quantity", quantity, QUANTITIES), ("bone", bone, get_args(Bone))):
        if value is not None:
            _check_choice(path, name, value, choices)
    stored = _read_stored(path)
    if stored.role not in (None, role):
        raise RadiographError(
            path, f"it was saved as the {stored.role} radiograph, not the {role} one", "Swap the two files"
        )
    notes = stored.notes
    sod = sod_mm if sod_mm is not None else stored.sod_mm
    sdd = sdd_mm if sdd_mm is not None else stored.sdd_mm
    pixels, resolved_quantity = turn_bone(path, stored, quantity, bone)
    angles = resolve_angles(path, stored, role, alpha_deg, beta_deg)
    spacing = resolve_spacing(path, stored, pixel_mm, sod, sdd)
    pixels, spacing = orient(path, stored, pixels, spacing, role, angles, patient_orientation)
    pixels, size_mm = make_square(path, pixels, spacing, notes)
    note_override(notes, "sod_mm", sod_mm, stored.sod_mm)
    note_override(notes, "sdd_mm", sdd_mm, stored.sdd_mm)
    radiograph = Radiograph(pixels, resolved_quantity, size_mm, role, angles, path=path)
    if sod is None or sdd is None:
        missing = [name for name, value in (("sod_mm", sod), ("sdd_mm", sdd)) if value is None]
        notes.append(f"no view yet: {' and '.join(missing)} not known")
    else:
        centre = isocentre_ras_mm or stored.isocentre_ras_mm or (0.0, 0.0, 0.0)
        point = principal_point or stored.principal_point
        try:
            radiograph = radiograph.placed(sod, sdd, isocentre_ras_mm=centre, principal_point=point)
        except GeometryError as error:
            if sod_mm is not None or sdd_mm is not None:
                raise RadiographError(path, error.cause, error.advice) from error
            notes.append(f"distances in the file not used: {error.cause}; give sod_mm and sdd_mm")
    return replace(radiograph, notes=tuple(dict.fromkeys(notes)))


def write_radiograph(radiograph: Radiograph, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write an NRRD that read_radiograph gives back unchanged: pixels, quantity, role, view and notes.

    The file appears whole or not at all. Raises RadiographError for another ending or a file that exists, EARError when
    the place cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() != ".nrrd":
        raise RadiographError(path, "radiographs are written as NRRD", "Choose a file name that ends in .nrrd")
    if path.exists() and not overwrite:
        raise RadiographError(path, "the file exists", "Choose another name or allow it to be overwritten")
    facts = {
        "quantity": radiograph.quantity,
        "role": radiograph.role,
        "angles_deg": list(radiograph.angles_deg),
        "view": radiograph.view.to_dict() if radiograph.view else None,
        "notes": list(radiograph.notes),
    }
    image = sitk.GetImageFromArray(np.ascontiguousarray(radiograph.pixels))
    image.SetSpacing((radiograph.pixel_mm, radiograph.pixel_mm))
    image.SetMetaData(VERSION_KEY, VERSION)
    image.SetMetaData(METADATA_KEY, json.dumps(facts))
    with written_whole(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True, imageIO="NrrdImageIO")
        except RuntimeError as error:
            raise OSError(str(error).strip().splitlines()[-1]) from error
    return path


def _read_stored(path: Path) -> StoredImage:
    kind = sniff(path)
    if kind != "dicom":
        return read_picture(path, kind)
    try:
        from .radiograph_dicom import read_dicom  # at need: pydicom is slow to import
    except ModuleNotFoundError as error:
        raise RadiographError(path, "pydicom, which reads DICOM, is missing", "Run: pip install pydicom") from error
    return read_dicom(path)


def _check_choice(subject: str | Path, name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RadiographError(subject, f"{name} {value!r} is not known", f"Give {name} as {' or '.join(choices)}")
