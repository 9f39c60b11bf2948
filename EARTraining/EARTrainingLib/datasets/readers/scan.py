"""A scan of a data set: as it is found, and as it is loaded, CT and labels on one grid.

Finding opens no image, so that 1400 scans are listed in a second; loading checks everything that can be wrong with
the files of one scan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, read_volume
from numpy.typing import NDArray

#: Labels of VerSe's table that are no vertebra, sacrum and coccyx. They stay in the labels as bone nearby.
OTHER_LABELS = (26, 27)

#: Voxels of a CT and of its mask lie at the same places up to this share of the smallest voxel edge. Single precision
#: makes a hundredth of it; half a voxel, the usual mistake of a resampler, is refused.
GRID_TOLERANCE = 0.25


class DatasetError(EARError):
    """A data set, or a file of one, that cannot be used."""


@dataclass(frozen=True)
class Scan:
    """One scan as it was found; nothing is opened yet.

    source: "VerSe19", "VerSe20", "CTSpine1K", "pairs", the name that a collection gives, or "phantom".
    patient: the unit of a split; one person has one name in VerSe19, VerSe20 and collections.
    series: one scan of that patient; (source, series) is unique.
    ct: None where bone density has to be made up.
    meshes: (level, file) of closed surfaces in RAS mm in one frame, instead of a mask.
    split: "train", "validation" or "test" where the source fixes it. licence: as the source states it.
    targets: the levels that the source says are whole; None where the source says nothing.
    """

    source: str
    patient: str
    series: str
    ct: Path | None
    mask: Path | None
    meshes: tuple[tuple[str, Path], ...] = ()
    phantom_seed: int | None = None
    split: str | None = None
    licence: str = "not stated"
    targets: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """A name for files."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", f"{self.source}-{self.series}")


@dataclass(frozen=True)
class Exclusion:
    """What is left out, and why. level: "" for a whole scan."""

    source: str
    patient: str
    series: str
    level: str
    reason: str


Found = Scan | Exclusion


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """hu: the CT in HU, or None. labels: (k, j, i) uint8, VerSe labels, on the grid of the CT where there is one."""

    hu: Volume | None
    labels: Volume


def load_scan(scan: Scan) -> LoadedScan:
    """Open the files of a scan. The mask may be stored along other axes than its CT; it comes back along the CT's.

    Raises DatasetError for a missing, damaged, cut short, colour or 4-D file, a CT with values that are not numbers, a
    mask with fractions, without a label or with labels outside VerSe's table, and a mask on another grid than its CT.
    """
    # Imported where they are needed: listing scans needs neither VTK nor phantoms, and phantoms.py makes Scans.
    if scan.phantom_seed is not None:
        from .phantoms import phantom_volumes

        return LoadedScan(*phantom_volumes(scan.phantom_seed))
    if scan.meshes:
        from .meshes import rasterise, read_meshes

        try:
            return LoadedScan(None, rasterise(read_meshes(scan.meshes)))
        except ReferenceSurfaceError as error:
            raise DatasetError(error.subject, error.cause, error.advice) from error
    if scan.mask is None:
        raise DatasetError(scan.key, "there is no mask", "Give a mask with VerSe labels")
    labels = read_labels(scan.mask)
    if scan.ct is None:
        return LoadedScan(None, labels)
    hu = read_ct(scan.ct)
    offset, tolerance = corner_offset_mm(labels, hu), GRID_TOLERANCE * _spacing(hu).min()
    turned = turned_like(labels, hu)
    if offset > tolerance or turned is None:
        sizes = " and ".join("x".join(map(str, volume.array.shape[::-1])) for volume in (labels, hu))
        raise DatasetError(
            scan.mask,
            f"it is not on the grid of {scan.ct}: corners lie up to {offset:.2f} mm apart ({sizes} voxels)",
            "Give the CT that the mask was drawn on, or resample the mask onto it",
        )
    return LoadedScan(hu, turned)


def read_ct(path: Path) -> Volume:
    """A CT, (k, j, i) integer or float32 HU as stored. Raises DatasetError as load_scan does."""
    volume = _read(path)
    if not np.issubdtype(volume.array.dtype, np.floating):
        return volume
    return Volume(volume.array.astype(np.float32, copy=False), volume.ras_from_ijk)


def read_labels(path: Path) -> Volume:
    """A mask, (k, j, i) uint8 with labels of VerSe's table. Raises DatasetError as load_scan does."""
    volume = _read(path)
    # Slice by slice: sorting a whole scan would take its memory several times over.
    found: set[float] = set().union(*(np.unique(part).tolist() for part in volume.array))
    if not all(float(value).is_integer() for value in found):
        raise DatasetError(
            path,
            "it holds fractions, as probabilities or a mask that was interpolated do",
            "Give the label map, or resample it again with nearest neighbour",
        )
    unknown = sorted(found - {0, *VERSE_LABEL.values(), *OTHER_LABELS})
    if unknown:
        named = ", ".join(f"{value:g}" for value in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        raise DatasetError(
            path,
            f"labels outside VerSe's table: {named}{more}",
            "Renumber them: 1-7 are C1-C7, 8-19 T1-T12, 20-25 L1-L6, 28 T13",
        )
    if found == {0}:
        raise DatasetError(path, "nothing is labelled in it", "Give a mask with at least one vertebra")
    return Volume(volume.array.astype(np.uint8), volume.ras_from_ijk)


def corner_offset_mm(volume: Volume, like: Volume) -> float:
    """How far a corner of one grid lies at most from the nearest corner of the other, in mm."""
    a, b = _corners(volume), _corners(like)
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float(max(distance.min(0).max(), distance.min(1).max()))


def turned_like(volume: Volume, like: Volume) -> Volume | None:
    """A volume with its axes swapped and flipped to run along those of another of the same grid, with its affine.

    None where no axes or sizes match.
    """
    step = np.linalg.inv(like.ras_from_ijk[:3, :3]) @ volume.ras_from_ijk[:3, :3]
    turn = np.rint(step).astype(int)  # rows: axes i, j, k of ``like``; columns: those of ``volume``
    if not (np.abs(turn).sum(0) == 1).all() or not (np.abs(turn).sum(1) == 1).all():
        return None
    order, signs = np.abs(turn).argmax(1), turn.sum(1)
    array = volume.array.transpose([2 - int(axis) for axis in order[::-1]])
    array = np.flip(array, tuple(2 - axis for axis in range(3) if signs[axis] < 0))
    if array.shape != like.array.shape:
        return None
    return Volume(np.ascontiguousarray(array), like.ras_from_ijk)


def _corners(volume: Volume) -> NDArray[np.float64]:
    """(8, 3) centres of the corner voxels, RAS mm."""
    return transform_points(volume.ras_from_ijk, list(product(*((0, n - 1) for n in volume.array.shape[::-1]))))


def _spacing(volume: Volume) -> NDArray[np.float64]:
    return np.linalg.norm(volume.ras_from_ijk[:3, :3], axis=0)


def _read(path: Path) -> Volume:
    try:
        return read_volume(path)
    except OSError as error:
        raise DatasetError(path, f"it cannot be opened ({error.strerror or error})", "Check the file") from error
    except ReferenceSurfaceError as error:
        raise DatasetError(error.subject, error.cause, error.advice) from error
