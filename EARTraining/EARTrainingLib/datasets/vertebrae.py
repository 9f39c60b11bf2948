"""Which vertebrae of a scan are learned from: the rules, each with the reason it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL
from numpy.typing import NDArray
from scipy import ndimage

from .grids import Box, part
from .readers.scan import LoadedScan, Scan

#: Voxels between a whole vertebra's box and every border of the scan.
BORDER_VOXELS = 2

#: Share of its voxels that hang together in a whole vertebra.
LARGEST_SHARE = 0.95

#: No vertebra is smaller; what is, is a fragment or a slip of the brush.
SMALLEST_CM3 = 1.0

#: Median HU inside a mask below which there is no bone in the CT there.
NO_BONE_HU = -200.0

#: Levels that few people have: kept, and flagged as this.
VARIANTS, VARIANT_FLAG = ("T13", "L6"), "rare level"

NOT_WHOLE = "the source does not list it as whole"


@dataclass(frozen=True)
class Vertebra:
    """A labelled vertebra of a scan. box: its voxels' (k, j, i) slices. reason: why it is left out; "" if it is kept.

    flags: what a user of the data may want to know.
    """

    level: str
    box: Box
    reason: str = ""
    flags: str = ""

    @property
    def label(self) -> int:
        """Its VerSe label."""
        return VERSE_LABEL[self.level]


def examine(scan: Scan, loaded: LoadedScan) -> list[Vertebra]:
    """The vertebrae of a scan, from head to foot, and for each that must be left out the reason why.

    Levels that the source lists as whole but whose label is not in the mask come too, with an empty box.

    A vertebra is cut when its box comes within BORDER_VOXELS of the border of the scan. That holds for masks without CT
    too: they are as large as the scan that they were drawn in. It does not hold for meshes and phantoms, whose grid is
    made to fit, nor where the source lists the vertebrae that are whole: its masks may be cut out tightly.
    """
    array = loaded.labels.array
    found = dict(enumerate(ndimage.find_objects(array), 1))
    border = not scan.meshes and scan.phantom_seed is None and scan.targets is None
    vertebrae = []
    for level in LEVELS:
        box = found.get(VERSE_LABEL[level])
        flags = VARIANT_FLAG if level in VARIANTS else ""
        if box is not None:
            reason = _reason(scan, loaded, level, box, border)
            vertebrae.append(Vertebra(level, box, reason, flags))
        elif scan.targets is not None and level in scan.targets:
            nowhere = (slice(0, 0),) * 3
            vertebrae.append(Vertebra(level, nowhere, "missing: it is listed, but no voxel has its label", flags))
    return vertebrae


def _reason(scan: Scan, loaded: LoadedScan, level: str, box: Box, border: bool) -> str:
    """Why a vertebra is left out: a rule and, after a colon, what was found; "" if every rule is kept."""
    if scan.targets is not None and level not in scan.targets:
        return NOT_WHOLE
    labels = loaded.labels
    inside = part(labels, box).array == VERSE_LABEL[level]
    voxel_cm3 = float(np.prod(voxel_sizes_mm(labels.ras_from_ijk))) / 1000
    volume_cm3 = float(inside.sum()) * voxel_cm3
    if volume_cm3 < SMALLEST_CM3:
        return f"too small: {volume_cm3:.2f} cm3 are labelled"
    if border:
        room = min(min(side.start, n - side.stop) for side, n in zip(box, labels.array.shape, strict=True))
        if room < BORDER_VOXELS:
            return f"cut by the border of the scan: {room} voxels from it"
    share = largest_share(inside)
    if share < LARGEST_SHARE:
        return f"in pieces: the largest holds {100 * share:.0f} % of it"
    if loaded.hu is not None:
        hu = part(loaded.hu, box).array[inside]
        if hu.min() == hu.max():
            return f"defective CT: {hu[0]:g} HU everywhere inside the mask"
        if np.median(hu) < NO_BONE_HU:
            return f"defective CT: a median of {np.median(hu):.0f} HU inside the mask, where bone should be"
    return ""


def largest_share(mask: NDArray[np.bool_]) -> float:
    """Share of a mask's voxels that lie in its largest piece (26 neighbours)."""
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    return float(sizes.max() / sizes.sum())
