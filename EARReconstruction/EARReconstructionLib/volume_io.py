"""Volumes on disk: NRRD and NIfTI in, RAS affines out. Besides DICOM, the one place that speaks LPS to SimpleITK.

Arrays are (k, j, i); ``ras_from_ijk`` maps the integer voxel centres (i, j, k) to RAS mm. Whatever is written stands
beside its target under a temporary name until it is complete, and is then renamed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from .colours import level_colour
from .errors import EARError, ReferenceSurfaceError
from .geometry.frames import LPS_FROM_RAS, Affine, voxel_sizes_mm
from .nifti import damage
from .vertebra import LEVELS

#: Endings of one file format that consist of two or three parts.
_LONG_SUFFIXES = (".seg.nrrd", ".nii.gz")

#: Formats of one file each: two files cannot be replaced in one step.
_WRITABLE = (".nrrd", ".nii", ".nii.gz", ".mha")

#: Shares of a voxel: how far an affine's axes may be from orthogonal. NIfTI stores single precision.
_SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar volume in its place. array: (k, j, i). ras_from_ijk: (4, 4), voxel centres to RAS mm.

    metadata: the text fields of the file's header, without those of the file format itself.
    """

    array: NDArray[Any]
    ras_from_ijk: Affine
    metadata: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``, with its ending; rename it to ``path`` if the block succeeds.

    Missing folders are made. On any error nothing is left behind and an older ``path`` stays as it was.
    Raises EARError when the place cannot be written to.
    """
    path = Path(path)
    suffix = next((s for s in _LONG_SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    temporary = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise EARError(
            path, f"it could not be written ({error.strerror or error})", "Choose a folder with room and write access"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_volume(path: str | Path) -> Volume:
    """Read a NRRD, NIfTI, MetaImage ... file with one scalar 3-D volume.

    Raises ReferenceSurfaceError when the file is missing, damaged, or not a single 3-D scalar volume, and when a
    voxel is no number.
    """
    path = Path(path)
    if not path.is_file():
        raise ReferenceSurfaceError(path, "there is no such file", "Choose a volume or mask (.nrrd, .nii.gz)")
    try:
        if (trouble := damage(path)) is not None:
            raise ReferenceSurfaceError(path, trouble, "Copy or download it again, or mend it")
        image = sitk.ReadImage(str(path))
    except OSError as error:
        raise ReferenceSurfaceError(
            path, f"it cannot be opened ({error.strerror or error})", "Check the file"
        ) from error
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise ReferenceSurfaceError(
                path, "its voxel axes are not at right angles", "Resample it onto a grid without shear"
            ) from error
        raise ReferenceSurfaceError(
            path, "it cannot be read as a volume", "Give a complete .nrrd, .seg.nrrd, .nii or .nii.gz file"
        ) from error
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:  # NIfTI with a time axis of one step
        image = image[:, :, :, 0]
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ReferenceSurfaceError(
            path,
            f"it holds {image.GetNumberOfComponentsPerPixel()} values per voxel (a colour image, or a segmentation "
            "with overlapping segments)",
            "Export one scalar volume; in 3D Slicer: Segmentations > Export to labelmap",
        )
    if image.GetDimension() != 3:
        raise ReferenceSurfaceError(path, f"it has {image.GetDimension()} dimensions, not 3", "Give one 3-D volume")
    own = (key for key in image.GetMetaDataKeys() if not key.startswith(("ITK_", "NRRD_")))
    metadata = {key: image.GetMetaData(key) for key in own}
    array = sitk.GetArrayFromImage(image)
    if not np.isfinite(array).all():
        raise ReferenceSurfaceError(
            path, "some voxels hold no number (NaN or infinity)", "Replace them by air, -1000 HU, or by 0 in a mask"
        )
    return Volume(array, _affine(image), metadata)


def write_volume(
    path: str | Path, array: NDArray[Any], ras_from_ijk: Affine, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write (k, j, i) voxels with their place, compressed. Booleans become 0 and 1.

    metadata: text fields for the header; NRRD keeps them, NIfTI has no room for them.
    Raises EARError when the affine has shear, the ending is unknown or the place cannot be written to.
    """
    if not str(path).lower().endswith(_WRITABLE):
        raise EARError(path, "volumes are not written with this ending", f"Use one of {', '.join(_WRITABLE)}")
    image = _image(array, ras_from_ijk, path)
    for key, value in (metadata or {}).items():
        image.SetMetaData(key, str(value))
    with written_whole(path) as temporary:
        _write(image, temporary)


def write_labels(path: str | Path, labels: NDArray[Any], ras_from_ijk: Affine, names: Mapping[int, str]) -> None:
    """Write a label map (k, j, i) as .seg.nrrd, which 3D Slicer opens as a segmentation with named segments.

    names: label value -> segment name, in the order in which they are listed. A named label without voxels becomes an
    empty segment. Raises EARError when ``labels`` holds a value without a name, and as write_volume.
    """
    path = Path(path)
    if not path.name.lower().endswith(".seg.nrrd"):
        raise EARError(path, "segment names need a .seg.nrrd file", "Change the ending")
    unnamed = sorted(set(np.unique(labels).tolist()) - {0} - set(names))
    if unnamed or not all(0 < value < 65536 for value in names):
        raise EARError(path, f"labels without a name or out of range: {unnamed}", "Name every label, 1 to 65535")
    labels = np.asarray(labels, np.uint8 if max(names, default=0) < 256 else np.uint16)
    header = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for number, (value, name) in enumerate(names.items()):
        colour = level_colour(name if name in LEVELS else LEVELS[number % len(LEVELS)])
        header |= {
            f"Segment{number}_ID": f"Segment_{value}",
            f"Segment{number}_Name": name,
            f"Segment{number}_NameAutoGenerated": "0",
            f"Segment{number}_LabelValue": str(value),
            f"Segment{number}_Layer": "0",
            f"Segment{number}_Color": " ".join(f"{c:.4f}" for c in colour),
            f"Segment{number}_ColorAutoGenerated": "0",
            f"Segment{number}_Extent": _extent(labels == value),
            f"Segment{number}_Tags": "|",
        }
    write_volume(path, labels, ras_from_ijk, metadata=header)


def resample(volume: Volume, ras_from_ijk: Affine, shape: tuple[int, ...], outside: float = 0.0) -> NDArray[np.float32]:
    """Linear interpolation of a volume on another grid, (k, j, i) = ``shape``; ``outside`` where it does not reach.

    Raises EARError when an affine has shear.
    """
    source = _image(np.asarray(volume.array, np.float32), volume.ras_from_ijk, "volume")
    place = _image(np.zeros((1, 1, 1), np.uint8), ras_from_ijk, "grid")
    moving = sitk.ResampleImageFilter()
    moving.SetReferenceImage(place)
    moving.SetSize([int(n) for n in shape[::-1]])
    moving.SetInterpolator(sitk.sitkLinear)
    moving.SetDefaultPixelValue(outside)
    sampled: NDArray[np.float32] = sitk.GetArrayFromImage(moving.Execute(source))
    return sampled


def resample_mask_to(mask: Volume, like: Volume) -> NDArray[np.bool_]:
    """Sample a mask (non-zero = inside) on another grid: inside where its linear interpolation reaches 0.5.

    Outside the mask's own grid there is nothing; what the other grid does not reach is lost. Returns booleans of
    ``like``'s shape.

    Raises ReferenceSurfaceError when the mask has voxels but none of them lies on the other grid.
    """
    inside = mask.array != 0
    sampled = resample(Volume(inside, mask.ras_from_ijk), like.ras_from_ijk, like.array.shape) >= 0.5
    if not sampled.any() and inside.any():
        raise ReferenceSurfaceError(
            "reference mask",
            "it lies outside the reconstruction",
            "Check that both belong to the same patient and frame of reference (RAS mm)",
        )
    return sampled


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece (26 neighbours) of a mask; an empty mask stays empty."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()


def _write(image: sitk.Image, path: Path) -> None:
    """Write compressed and read back: ITK does not notice when the last block of a file finds no room on the disk.

    Raises OSError.
    """
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1]) from error
    try:
        whole = sitk.Hash(sitk.ReadImage(str(path), image.GetPixelID())) == sitk.Hash(image)
    except RuntimeError:
        whole = False
    if not whole:
        raise OSError("the disk is full")


def _affine(image: sitk.Image) -> Affine:
    """(4, 4) RAS affine of a 3-D SimpleITK image."""
    lps_from_ijk = np.eye(4)
    lps_from_ijk[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps_from_ijk[:3, 3] = image.GetOrigin()
    return LPS_FROM_RAS @ lps_from_ijk


def _image(array: NDArray[Any], ras_from_ijk: Affine, subject: str | Path) -> sitk.Image:
    """A 3-D SimpleITK image, LPS, of (k, j, i) voxels. Raises EARError for shear or an impossible array."""
    sizes = voxel_sizes_mm(np.asarray(ras_from_ijk, float))
    lps_from_ijk = LPS_FROM_RAS @ ras_from_ijk
    if array.ndim != 3 or 0 in array.shape or not np.all(np.isfinite(lps_from_ijk)) or not np.all(sizes > 0):
        raise EARError(
            subject, f"no 3-D volume (shape {array.shape}) with a usable place", "Give (k, j, i) and an affine"
        )
    direction = lps_from_ijk[:3, :3] / sizes
    if not np.allclose(direction.T @ direction, np.eye(3), atol=_SHEAR_TOLERANCE):
        raise EARError(subject, "its voxel axes are not at right angles", "Resample it onto a grid without shear")
    if not np.isfinite(array).all():
        raise EARError(subject, "some voxels hold no number (NaN or infinity)", "Give numbers only")
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:  # ITK has no half precision
        array = array.astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(sizes.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(lps_from_ijk[:3, 3].tolist())
    return image


def _extent(inside: NDArray[np.bool_]) -> str:
    """Slicer's extent of a segment: first and last voxel along i, j and k; "0 -1" where there is none."""
    ends = []
    for axis in (2, 1, 0):
        where = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        ends += [where[0], where[-1]] if where.size else [0, -1]
    return " ".join(str(int(end)) for end in ends)
