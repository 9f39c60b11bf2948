"""A scene: one vertebra and what surrounds it on one small grid, ready to be bent and X-rayed during training.

Shapes are signed distances rather than masks: they can be warped, and density, partial volume and cortex follow from
them. Where there is a CT, its densities come along.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from EARReconstructionLib.geometry import Affine, inverse, transform_points, voxel_sizes_mm
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, largest_piece, resample, written_whole
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

#: Distances beyond this are clipped; float16 then resolves 0.01 mm near the surface.
CLIP_MM = 20.0

#: What a scene shows around the network's cube, mm to each side: all that its crops see of the neighbours.
MARGIN_MM = 12.0

AIR_HU = -1000.0

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Scene:
    """Signed distances in mm, negative inside, (k, j, i) float16, on a grid centred on the target's bounding box.

    target_mm: the vertebra to rebuild. others_mm: all other vertebrae. hu: the CT, int16, on the same grid; None where
    there is none and density is made up. size_mm: the target's box (R, A, S).
    """

    person: str
    source: str
    level: str
    target_mm: NDArray[np.float16]
    others_mm: NDArray[np.float16]
    hu: NDArray[np.int16] | None
    spacing_mm: float
    centre_ras_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]

    @property
    def shape(self) -> Shape:
        """(D, H, W) of the grid."""
        d, h, w = self.target_mm.shape
        return d, h, w


def scene_shape(size: int, spacing_mm: float, reach_mm: ArrayLike = (0.0, 0.0, 0.0)) -> Shape:
    """Grid (D, H, W) around a cube of ``size`` voxels: with MARGIN_MM, or to ``reach_mm`` (R, A, S) if that is more.

    Each side has an even number of voxels more than the cube, so that both have one centre.
    """
    margin = np.ceil(np.maximum(MARGIN_MM, np.asarray(reach_mm, float) - size * spacing_mm / 2) / spacing_mm)
    w, h, d = (size + 2 * margin).astype(int).tolist()
    return d, h, w


def scene(
    person: str,
    source: str,
    level: str,
    labels: Volume,
    shape: Shape,
    spacing_mm: float,
    hu: Volume | None = None,
) -> Scene:
    """One vertebra of a label volume as a Scene. Raises ValueError when its label is not there."""
    target = labels.array == VERSE_LABEL[level]
    box = box_ras_mm(largest_piece(target), labels.ras_from_ijk)  # a stray voxel must not move the centre
    if box is None:
        raise ValueError(f"{person}: no voxel is labelled {level}")
    low, high = box
    centre = (low + high) / 2
    affine = grid_affine(centre, shape, spacing_mm)
    others = (labels.array > 0) & ~target
    density = None
    if hu is not None:
        sampled = resample(hu, affine, shape, AIR_HU)
        density = np.clip(np.rint(sampled), -1024, 32767).astype(np.int16)
    return Scene(
        person,
        source,
        level,
        signed_distance(target, labels.ras_from_ijk, affine, shape),
        signed_distance(others, labels.ras_from_ijk, affine, shape),
        density,
        spacing_mm,
        (float(centre[0]), float(centre[1]), float(centre[2])),
        (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2] - low[2])),
    )


def grid_affine(centre_ras_mm: ArrayLike, shape: Shape, spacing_mm: float) -> Affine:
    """(4, 4) affine of an axis-aligned grid (D, H, W) centred on a point; a cube's is ``geometry.cube_affine``."""
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = np.asarray(centre_ras_mm, float) - spacing_mm * (np.array(shape[::-1]) - 1) / 2
    return affine


def box_ras_mm(mask: NDArray[np.bool_], ras_from_ijk: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Bounding box (low, high) of a mask in RAS mm, to the outer faces of its voxels; None when it is empty."""
    k, j, i = np.nonzero(mask)
    if not len(k):
        return None
    points = transform_points(ras_from_ijk, np.stack([i, j, k], -1))
    half = np.abs(ras_from_ijk[:3, :3]).sum(1) / 2
    return points.min(0) - half, points.max(0) + half


def signed_distance(
    mask: NDArray[np.bool_], ras_from_ijk: Affine, grid: Affine, shape: Shape, margin_mm: float = CLIP_MM
) -> NDArray[np.float16]:
    """Distance to the surface of a mask, sampled on a grid (D, H, W) = ``shape``: mm, negative inside, clipped.

    The transform runs on the mask's own grid, where the surface lies midway between voxel centres, and is then
    interpolated: between thick slices that is shape-based interpolation.
    """
    far = np.full(shape, CLIP_MM, np.float16)
    # Only the part of the mask that the grid can see, and a margin for the distances.
    corners = [[i, j, k] for i in (0, shape[2] - 1) for j in (0, shape[1] - 1) for k in (0, shape[0] - 1)]
    ijk = transform_points(inverse(ras_from_ijk) @ grid, corners)
    spacing = voxel_sizes_mm(ras_from_ijk)
    low = np.maximum(np.floor(ijk.min(0) - margin_mm / spacing).astype(int), 0)
    high = np.minimum(np.ceil(ijk.max(0) + margin_mm / spacing).astype(int) + 1, mask.shape[::-1])
    if np.any(high <= low):
        return far
    part = mask[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    found = ndimage.find_objects(part.astype(np.uint8))
    if not found:
        return far
    # Beyond the margin around the mask everything is clipped anyway; inside distances need no margin at all.
    margin = np.ceil(margin_mm / spacing[::-1]).astype(int) + 1
    first = [max(side.start - m, 0) for side, m in zip(found[0], margin, strict=True)]
    last = [min(side.stop + m, n) for side, m, n in zip(found[0], margin, part.shape, strict=True)]
    part = np.pad(part[tuple(map(slice, first, last))], 1)  # a mask that fills its grid still has a surface
    low = low + np.array(first[::-1])
    (bone,) = ndimage.find_objects(part.astype(np.uint8))
    near = tuple(slice(side.start - 1, side.stop + 1) for side in bone)
    sampling = spacing[::-1]
    distance = ndimage.distance_transform_edt(~part, sampling)
    distance[near] -= ndimage.distance_transform_edt(part[near], sampling)
    distance -= np.sign(distance) * spacing.min() / 2  # the transform measures to voxel centres, not to faces
    shifted = np.array(ras_from_ijk, float)
    shifted[:3, 3] = transform_points(ras_from_ijk, low - 1)
    sampled = resample(Volume(distance, shifted), grid, shape, CLIP_MM)
    smooth = ndimage.gaussian_filter(sampled, 0.5)  # takes the voxel stairs off
    return np.clip(smooth, -CLIP_MM, CLIP_MM).astype(np.float16)


def save_scene(path: Path, item: Scene) -> None:
    """Write a scene to one compressed .npz, whole or not at all. Distances are rounded to 0.05 mm: a third the size."""
    arrays: dict[str, Any] = {
        "target": np.rint(item.target_mm.astype(np.float32) * 20).astype(np.int16),
        "others": np.rint(item.others_mm.astype(np.float32) * 20).astype(np.int16),
        "names": np.array([item.person, item.source, item.level]),
        "spacing_mm": np.array(item.spacing_mm),
        "centre_ras_mm": np.array(item.centre_ras_mm),
        "size_mm": np.array(item.size_mm),
    }
    if item.hu is not None:
        arrays["hu"] = item.hu
    with written_whole(path) as beside:
        np.savez_compressed(beside, **arrays)


def load_scene(path: Path) -> Scene:
    """Read what save_scene wrote."""
    with np.load(path, allow_pickle=False) as data:
        fields = {name: data[name] for name in data.files}
    person, source, level = (str(name) for name in fields["names"])
    return Scene(
        person=person,
        source=source,
        level=level,
        target_mm=(fields["target"].astype(np.float32) / 20).astype(np.float16),
        others_mm=(fields["others"].astype(np.float32) / 20).astype(np.float16),
        hu=fields.get("hu"),
        spacing_mm=float(fields["spacing_mm"]),
        centre_ras_mm=tuple(fields["centre_ras_mm"].tolist()),
        size_mm=tuple(fields["size_mm"].tolist()),
    )
