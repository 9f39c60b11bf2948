"""What stands in the beam of an X-ray: a CT, a CT with a mask of its vertebrae, a mask alone, or a made-up spine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from EARReconstructionLib.errors import ReferenceSurfaceError
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, read_volume
from scipy import ndimage

from ..projection.materials import BONE_HU
from .density import made_up_density
from .grids import evened, grown, part
from .neighbours import with_neighbours
from .phantom import ct, random_spine
from .readers.scan import DatasetError, LoadedScan, Scan, load_scan
from .scenes import AIR_HU
from .settings import PROTOCOLS
from .vertebrae import examine

#: Space around a vertebra that is cut out of a CT, mm.
MARGIN_MM = 10.0

#: Left-right marker of the made-up spine: its left transverse processes are longer by this, mm.
MARKER_MM = 6.0

#: The sample's vertebrae.
PHANTOM_LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")


@dataclass(frozen=True, eq=False)
class Subject:
    """Somebody to X-ray. hu: (k, j, i) float32. labels: VerSe labels on the same grid, None where nothing is labelled.

    levels: the vertebrae that are there as a whole, from head to foot.
    """

    name: str
    hu: Volume
    labels: Volume | None = None
    levels: tuple[str, ...] = ()


def read_subject(ct_path: Path | None, mask_path: Path | None) -> Subject:
    """A CT, a mask, or both on one grid. A mask alone gets a made-up density, and a lone vertebra in it neighbours.

    Raises DatasetError for a file that cannot be used, and for a CT that is not in HU or has no bone.
    """
    path = ct_path or mask_path
    if path is None:
        raise DatasetError("X-ray", "there is nothing to take it of", "Give a CT, a mask, or phantom:7")
    name = path.name.split(".")[0]
    if mask_path is None:
        return Subject(name, _with_bone(_read_ct(path), path))
    scan = Scan("pairs", name, name, ct_path, mask_path)
    loaded = load_scan(scan)
    levels = tuple(v.level for v in examine(scan, loaded) if not v.reason)
    if loaded.hu is not None:
        hu = _with_bone(Volume(loaded.hu.array.astype(np.float32), loaded.hu.ras_from_ijk), path)
        return Subject(name, hu, loaded.labels, levels)
    labels = with_neighbours(LoadedScan(None, evened(loaded.labels))).labels
    made_up = np.where(labels.array > 0, made_up_density(labels, (0,)), np.float32(AIR_HU))
    return Subject(name, Volume(made_up, labels.ras_from_ijk), labels, levels)


def phantom_subject(seed: int, levels: Sequence[str] = PHANTOM_LEVELS) -> Subject:
    """A made-up lower spine, one more vertebra above as a neighbour, transverse processes longer on the left."""
    rng = np.random.default_rng(seed)
    column = [level for level in LEVELS if level[0] in "TL" and level not in ("T13", "L6")]
    first, last = (column.index(level) for level in (levels[0], levels[-1]))
    spine = random_spine(rng, tuple(column[max(first - 1, 0) : last + 1]), scoliosis_deg=12.0, marker_mm=MARKER_MM)
    low, high = (np.asarray(x) for x in spine.bounding_box_mm())
    size = np.ceil(high - low).astype(int) + 6
    affine = np.eye(4)
    affine[:3, 3] = low - 3
    hu, labels = ct(spine, affine, (int(size[2]), int(size[1]), int(size[0])), rng)
    return Subject("Sample spine (phantom)", Volume(hu, affine), Volume(labels, affine), tuple(levels))


def shown(subject: Subject, protocol: str, level: str | None = None) -> Volume:
    """The HU that an X-ray meets: everything (in-situ), all labelled bone (column), or one vertebra (isolated).

    Raises DatasetError when the subject has no labels for that, or not that level.
    """
    if protocol not in PROTOCOLS:
        raise DatasetError(f"protocol {protocol!r}", "there is no such thing", f"Use one of {', '.join(PROTOCOLS)}")
    if protocol == "in-situ":
        return subject.hu
    if subject.labels is None:
        raise DatasetError(f"protocol {protocol}", "it needs to know which voxels are bone", "Give a mask")
    if protocol == "isolated" and level is None:
        raise DatasetError(
            "protocol isolated", "it shows one vertebra, and none is named", "Give its level, such as L1"
        )
    if protocol == "column":  # on the whole grid: its images lie as those in situ
        return Volume(np.where(subject.labels.array > 0, subject.hu.array, np.float32(AIR_HU)), subject.hu.ras_from_ijk)
    if level is None:
        raise DatasetError("protocol isolated", "it shows one vertebra, and none is named", "Name it, such as L1")
    bone = subject.labels.array == label_of(subject, level)
    (box,) = ndimage.find_objects(bone.astype(np.uint8))
    box = grown(box, MARGIN_MM / voxel_sizes_mm(subject.hu.ras_from_ijk)[::-1], bone.shape)
    near = part(subject.hu, box)
    return Volume(np.where(bone[box], near.array, np.float32(AIR_HU)), near.ras_from_ijk)


def label_of(subject: Subject, level: str) -> int:
    """The label of a vertebra that the subject has. Raises DatasetError when it has not."""
    there = [] if subject.labels is None else np.unique(subject.labels.array).tolist()
    have = [name for name in LEVELS if VERSE_LABEL[name] in there]
    if level not in have:
        raise DatasetError(
            subject.name, f"there is no {level} in its mask", f"Its vertebrae: {', '.join(have) or 'none (no mask)'}"
        )
    return VERSE_LABEL[level]


def _read_ct(path: Path) -> Volume:
    try:
        volume = read_volume(path)
    except ReferenceSurfaceError as error:
        raise DatasetError(error.subject, error.cause, error.advice) from error
    return Volume(volume.array.astype(np.float32), volume.ras_from_ijk)


def _with_bone(volume: Volume, path: Path) -> Volume:
    """The volume itself, if it can be a CT in HU with a bone in it."""
    low, high = float(volume.array.min()), float(volume.array.max())
    if low >= 0:
        raise DatasetError(
            path, f"its values start at {low:g}: these are no HU, where air is -1000", "Give the CT in Hounsfield units"
        )
    if high <= BONE_HU:
        raise DatasetError(
            path, f"there is no bone in it: its largest value is {high:g}, and bone starts at {BONE_HU:g} HU",
            "Give a CT in Hounsfield units that shows bone",
        )  # fmt: skip
    return volume
