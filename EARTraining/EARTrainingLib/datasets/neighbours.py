"""Neighbours for a vertebra that comes alone, so that its X-ray looks like one of a column."""

from __future__ import annotations

import numpy as np
from EARReconstructionLib.geometry import transform_points, voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from numpy.typing import NDArray
from scipy import ndimage

from .readers.scan import LoadedScan
from .scenes import AIR_HU

#: A vertebra and its copy may share this part of its volume, no more.
COPY_OVERLAP = 0.005

#: Bodies stand at least so far apart, mm.
CLOSEST_MM = 15.0

#: Label of both copies: bone, and nobody's vertebra.
COPY_LABEL = 255


def stands_alone(labels: Volume) -> bool:
    """Whether a label map has one label only."""
    return sum(box is not None for box in ndimage.find_objects(labels.array)) == 1


def with_neighbours(scan: LoadedScan) -> LoadedScan:
    """A lone vertebra with a copy above and one below, as close as they stand without running into it.

    Where there is a CT, the copies bring their densities. A scan of several vertebrae comes back as it is.
    """
    if not stands_alone(scan.labels):
        return scan
    step = scan.labels.ras_from_ijk[:3, :3]
    axis = int(np.abs(step[2]).argmax())  # array axis along S: i, j or k
    labels = np.moveaxis(scan.labels.array, 2 - axis, 0)
    shift = _closest(labels > 0, round(CLOSEST_MM / float(voxel_sizes_mm(scan.labels.ras_from_ijk)[axis])))
    spare = ((shift, shift), (0, 0), (0, 0))
    labels = np.pad(labels, spare)
    hu = None
    if scan.hu is not None:
        hu = np.pad(np.moveaxis(scan.hu.array, 2 - axis, 0), spare, constant_values=AIR_HU)
    own = labels > 0
    alone = None if hu is None else hu.copy()
    for way in (shift, -shift):
        copy = np.roll(own, way, 0) & (labels == 0)
        labels[copy] = COPY_LABEL
        if hu is not None and alone is not None:
            hu[copy] = np.roll(alone, way, 0)[copy]
    affine = np.array(scan.labels.ras_from_ijk, float)
    affine[:3, 3] = transform_points(affine, [-shift if n == axis else 0 for n in range(3)])
    return LoadedScan(
        None if hu is None else Volume(np.ascontiguousarray(np.moveaxis(hu, 0, 2 - axis)), affine),
        Volume(np.ascontiguousarray(np.moveaxis(labels, 0, 2 - axis)), affine),
    )


def _closest(along: NDArray[np.bool_], shift: int) -> int:
    """Voxels by which a copy must move along the first axis to share next to nothing with the mask."""
    shift = max(shift, 1)
    most = COPY_OVERLAP * along.sum()
    while (along[shift:] & along[:-shift]).sum() > most:
        shift += 1
    return shift
