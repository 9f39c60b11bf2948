"""The same voxels on other grids: a part of them, fewer of them, or slices as close together as the pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
from EARReconstructionLib.geometry import inverse, transform_points, voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .scenes import CLIP_MM, Shape, signed_distance

Box = tuple[slice, slice, slice]

#: X-rays and distances need no finer voxels: the paper's CTs have 1 mm.
WORKING_MM = 1.0

#: Slices farther apart than this many times the pixel size would show as steps in the bones made of them.
EVEN_RATIO = 1.25

#: Voxel size of label maps whose slices were too far apart.
EVENED_MM = 1.0


def part(volume: Volume, box: Box) -> Volume:
    """Some voxels (k, j, i slices) of a volume, uncopied, in their place."""
    affine = np.array(volume.ras_from_ijk, float)
    affine[:3, 3] = transform_points(affine, [float(side.start) for side in box[::-1]])
    return Volume(volume.array[box], affine)


def grown(box: Box, voxels: ArrayLike, shape: tuple[int, ...]) -> Box:
    """A box larger by some voxels (k, j, i) on every side, as far as the grid reaches."""
    more = np.broadcast_to(np.ceil(np.asarray(voxels, float)).astype(int), 3)
    k, j, i = (
        slice(max(side.start - int(m), 0), min(side.stop + int(m), n))
        for side, m, n in zip(box, more, shape, strict=True)
    )
    return k, j, i


def part_around(volume: Volume, points_ras_mm: ArrayLike, spare_voxels: int = 2) -> Volume:
    """The part of a volume that holds points (N, 3) and a few voxels more; one voxel at least."""
    ijk = transform_points(inverse(volume.ras_from_ijk), points_ras_mm)
    last = np.array(volume.array.shape[::-1]) - 1
    low = np.clip(np.floor(ijk.min(0)).astype(int) - spare_voxels, 0, last)
    high = np.clip(np.ceil(ijk.max(0)).astype(int) + spare_voxels, low, last)
    i, j, k = (slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    return part(volume, (k, j, i))


def thinned(volume: Volume, finest_mm: float, *, smooth: bool) -> Volume:
    """Every n-th voxel along axes finer than half of ``finest_mm``; no axis becomes coarser than that.

    smooth: densities are averaged first, so that what lies between the voxels that stay is not lost. Labels are not.
    """
    spacing = voxel_sizes_mm(volume.ras_from_ijk)
    step = np.maximum(np.floor(finest_mm / spacing + 1e-6).astype(int), 1)
    if not (step > 1).any():
        return volume
    array = averaged(volume.array, step[::-1]) if smooth else volume.array
    affine = np.array(volume.ras_from_ijk, float)
    affine[:3, :3] *= step
    return Volume(np.ascontiguousarray(array[:: step[2], :: step[1], :: step[0]]), affine)


def averaged(array: NDArray[Any], voxels: ArrayLike) -> NDArray[np.float32]:
    """Each voxel becomes the mean of so many (k, j, i) around it, parts of voxels too: nothing is shifted.

    Of every n-th of them none counts a voxel twice or leaves one out.
    """
    out = np.asarray(array, np.float32)
    for axis, n in enumerate(np.asarray(voxels, float)):
        if n > 1:
            reach = int(np.ceil(n / 2))
            weights = np.clip(n / 2 + 0.5 - np.abs(np.arange(-reach, reach + 1)), 0, 1) / n
            out = ndimage.correlate1d(out, weights, axis, mode="nearest")
    return out


def evened(labels: Volume) -> Volume:
    """Labels with voxels as long as they are wide, by shape-based interpolation of every label; else as they are.

    For bones that are made of the labels themselves: slices 2 mm apart would give them steps of 2 mm.
    """
    spacing = voxel_sizes_mm(labels.ras_from_ijk)
    if spacing.max() <= EVEN_RATIO * spacing.min():
        return labels
    affine = np.array(labels.ras_from_ijk, float)
    affine[:3, :3] *= EVENED_MM / spacing
    edge = transform_points(labels.ras_from_ijk, (-0.5, -0.5, -0.5))
    affine[:3, 3] = edge + affine[:3, :3].sum(1) / 2
    counts = np.ceil(np.array(labels.array.shape[::-1]) * spacing / EVENED_MM - 1e-6).astype(int)
    out = np.zeros(tuple(counts[::-1]), labels.array.dtype)
    nearest = np.zeros(out.shape, np.float16)
    for label, box in enumerate(ndimage.find_objects(labels.array), 1):
        if box is None:
            continue
        spare = CLIP_MM / 4 / spacing[::-1]
        near = part(labels, grown(box, spare, labels.array.shape))
        scale = spacing[::-1] / EVENED_MM
        there: Box = tuple(
            slice(max(int((side.start - m) * s), 0), min(int(np.ceil((side.stop + m) * s)) + 1, n))
            for side, m, s, n in zip(box, spare, scale, out.shape, strict=True)
        )  # type: ignore[assignment]
        grid = part(Volume(out, affine), there)
        shape: Shape = grid.array.shape  # type: ignore[assignment]
        distance = signed_distance(near.array == label, near.ras_from_ijk, grid.ras_from_ijk, shape)
        inside = distance < nearest[there]
        grid.array[inside] = label
        nearest[there][inside] = distance[inside]
    return Volume(out, affine)
