"""From what a file says to pixels laid out as a View wants them: polarity, beam, pixel size, orientation.

Each step takes the StoredImage and what the caller gave, which outweighs it, and adds to its notes what it assumed.
All raise RadiographError, naming the argument that is missing.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .errors import GeometryError, RadiographError
from .geometry import View
from .radiograph_file import Bone, Quantity, StoredImage, check_size

#: Role -> alpha in degrees when nothing says otherwise: AP, left lateral.
ROLES = {"frontal": 0.0, "lateral": 90.0}

#: Pixel sizes outside are a slip of the unit, in mm.
PIXEL_RANGE_MM = (0.005, 20.0)

_GIVE_PIXEL = "Give pixel_mm (size of a pixel on the detector in mm)"

_LETTERS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}

Spacing = tuple[float, float]
Pixels = NDArray[np.float32]


def turn_bone(path: Path, stored: StoredImage, quantity: Quantity | None, bone: Bone | None) -> tuple[Pixels, Quantity]:
    """Pixels (H, W) with bone as their quantity has it (dark in an intensity, else bright), and that quantity."""
    result: Quantity = quantity or stored.quantity or "display"
    if bone is not None:
        bright = (bone == "bright") != stored.shown_inverted
    elif stored.bone is not None:
        bright = stored.bone == "bright"
    elif result == "intensity":
        bright = False
    elif quantity is None and stored.unsure:
        raise RadiographError(path, stored.unsure, "Look at the picture and give bone, 'bright' or 'dark'", asks="bone")
    else:
        bright = not stored.shown_inverted
        if quantity is None:
            stored.notes.append("bone taken as bright, as a viewer shows the image")
    pixels = stored.pixels
    if bright != (result != "intensity"):
        pixels = np.float32(sum(stored.span)) - pixels
    if stored.padding is not None and not stored.padding.all():
        seen = pixels[~stored.padding]
        pixels = np.where(stored.padding, seen.max() if result == "intensity" else seen.min(), pixels)
    return pixels, result


def resolve_angles(
    path: Path, stored: StoredImage, role: str, alpha_deg: float | None, beta_deg: float | None
) -> tuple[float, float]:
    """(alpha, beta) in degrees: given, else the file's, else the role's. A beam that belies the role is refused."""
    if alpha_deg is None and stored.oblique:
        raise RadiographError(path, stored.oblique, "Give alpha_deg (0 is AP, 90 the left lateral)", asks="alpha_deg")
    alpha = alpha_deg if alpha_deg is not None else stored.alpha_deg
    if alpha is None:
        alpha = ROLES[role]
        stored.notes.append(f"no beam direction in the file: taken as {'AP' if role == 'frontal' else 'left lateral'}")
    beta = beta_deg if beta_deg is not None else (stored.beta_deg or 0.0)
    beam = camera(path, (alpha, beta))[2]
    along, name = (beam[1], "A-P") if role == "frontal" else (beam[0], "left-right")
    if abs(along) < 0.5:  # more than 60 degrees off: useful pairs go to 50
        raise RadiographError(
            path,
            f"its beam (alpha {alpha:g}, beta {beta:g}) does not run {name}, as that of a {role} radiograph does",
            "Check that frontal and lateral are not swapped, or give alpha_deg and beta_deg",
            asks="alpha_deg",
        )
    return float(alpha), float(beta)


def resolve_spacing(
    path: Path, stored: StoredImage, pixel_mm: float | None, sod_mm: float | None, sdd_mm: float | None
) -> Spacing:
    """(row, column) spacing on the detector in mm."""
    spacing = stored.spacing_mm
    if spacing is not None and stored.in_patient:
        factor = stored.magnification or (sdd_mm / sod_mm if sod_mm and sdd_mm else None)
        spacing = (spacing[0] * factor, spacing[1] * factor) if factor else None
        if factor and pixel_mm is None:
            stored.notes.append(f"Pixel Spacing times the magnification {factor:.3g} taken as the size on the detector")
    if pixel_mm is not None:
        check_pixel_mm(path, pixel_mm)
        for size in spacing or ():
            note_override(stored.notes, "pixel_mm", pixel_mm, size)
        return pixel_mm, pixel_mm
    if spacing is None:
        raise RadiographError(path, stored.spacing_reason, _GIVE_PIXEL, asks="pixel_mm")
    for size in spacing:
        check_pixel_mm(path, size)
    return spacing


def orient(
    path: Path,
    stored: StoredImage,
    pixels: Pixels,
    spacing: Spacing,
    role: str,
    angles: tuple[float, float],
    given: str | None,
) -> tuple[Pixels, Spacing]:
    """Pixels and (row, column) spacing, turned so that they lie as the View of these angles has them.

    given: as Patient Orientation (0020,0020), the anatomical letters of image right and image down, "L/F". Without it
    a frontal image is taken as radiological display and a lateral one as its view has it.
    """
    right, down, _ = camera(path, angles)
    name = "stored layout"
    if given is not None or stored.orientation is not None:
        letters = _letters(given) if given is not None else stored.orientation
        name = f"patient orientation {'/'.join(letters or ())}"
        image_right, image_down = (_direction(path, word, name) for word in letters or ())
    elif stored.oriented:
        image_right, image_down, _ = camera(path, (stored.alpha_deg or 0.0, stored.beta_deg or 0.0))
    elif role == "frontal":
        stored.notes.append("no patient orientation: taken as radiological display (patient's Left on the right)")
        image_right, image_down = (np.array(_LETTERS[letter], float) for letter in "LF")
    else:
        side = "Anterior" if right[1] > 0 else "Posterior"
        stored.notes.append(f"no patient orientation: image right taken as {side}")
        return pixels, spacing
    point = stored.principal_point
    if abs(image_right @ right) < abs(image_right @ down):
        pixels, spacing, image_right, image_down = pixels.T, spacing[::-1], image_down, image_right
        point = point and point[::-1]
        stored.notes.append(f"{name}: the image lay on its side and was turned")
    along, downward = image_right @ right, image_down @ down
    if abs(along) < 0.3 or abs(downward) < 0.3:
        raise RadiographError(
            path,
            f"its {name} does not fit a {role} radiograph (alpha {angles[0]:g})",
            "Check that frontal and lateral are not swapped, or give patient_orientation",
            asks="patient_orientation",
        )
    if along < 0:
        pixels = pixels[:, ::-1]
        point = point and (pixels.shape[1] - point[0], point[1])
        stored.notes.append(f"{name}: mirrored, to lie as seen from the source")
    if downward < 0:
        pixels = pixels[::-1]
        point = point and (point[0], pixels.shape[0] - point[1])
        stored.notes.append(f"{name}: turned head up")
    stored.principal_point = point
    return np.ascontiguousarray(pixels), spacing


def make_square(path: Path, pixels: Pixels, spacing: Spacing, notes: list[str]) -> tuple[Pixels, float]:
    """Resample (H, W) linearly to square pixels of the smaller side, mm; the image keeps its outline."""
    row_mm, column_mm = spacing
    size = min(spacing)
    if math.isclose(row_mm, column_mm, rel_tol=1e-3):
        return pixels, size
    height, width = (round(n * mm / size) for n, mm in zip(pixels.shape, spacing, strict=True))
    check_size(path, height, width)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((column_mm, row_mm))
    image.SetOrigin((column_mm / 2, row_mm / 2))
    resample = sitk.ResampleImageFilter()
    resample.SetSize((width, height))
    resample.SetOutputSpacing((size, size))
    resample.SetOutputOrigin((size / 2, size / 2))
    resample.SetInterpolator(sitk.sitkLinear)
    resample.UseNearestNeighborExtrapolatorOn()
    notes.append(f"pixels of {row_mm:g} x {column_mm:g} mm resampled to {size:g} mm squares")
    return sitk.GetArrayFromImage(resample.Execute(image)), size


def camera(subject: str | Path, angles: tuple[float, float]) -> NDArray[np.float64]:
    """(3, 3) RAS directions of image right, image down and beam."""
    try:
        return View(*angles, 1.0, 2.0, 1.0, 1, 1).camera_from_ras[:3, :3]
    except GeometryError as error:
        raise RadiographError(subject, error.cause, error.advice) from error


def check_pixel_mm(subject: str | Path, size: float) -> None:
    """Raises RadiographError for a pixel size that no detector has."""
    low, high = PIXEL_RANGE_MM
    if not low <= size <= high:  # nan too
        raise RadiographError(subject, f"a pixel of {size:g} mm is not possible", _GIVE_PIXEL, asks="pixel_mm")


def note_override(notes: list[str], name: str, given: float | None, stated: float | None) -> None:
    """Note that the caller's value replaces another one of the file."""
    if given is not None and stated is not None and not math.isclose(given, stated, rel_tol=1e-3):
        notes.append(f"{name} {given:g} given; the file says {stated:g}")


def _letters(orientation: str) -> tuple[str, str]:
    """("L", "F") of "L/F" or "L\\F"."""
    first, _, second = orientation.upper().replace("\\", "/").partition("/")
    return first.strip(), second.strip()


def _direction(path: Path, word: str, name: str) -> NDArray[np.float64]:
    """Unit vector of anatomical letters, the first one the main direction: "L", "LA" (C.7.6.1.1.1)."""
    pairs = [next((pair for pair in ("LR", "AP", "HF") if letter in pair), "") for letter in word]
    if not word or "" in pairs or len(set(pairs)) < len(pairs):
        raise RadiographError(path, f"its {name} is not made of L or R, A or P, H or F", "Give it as 'L/F'")
    total = sum((np.array(_LETTERS[letter], float) / 2**i for i, letter in enumerate(word)), np.zeros(3))
    return total / np.linalg.norm(total)
