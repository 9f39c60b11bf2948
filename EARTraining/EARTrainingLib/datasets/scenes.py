"""A scene: one vertebra and its neighbours as signed distances on one small grid, ready to be bent and X-rayed.

Distances rather than masks: they can be warped, and density, partial volume and cortex follow from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from EARReconstructionLib.geometry import Affine, cube_affine
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, largest_piece, resample, written_whole
from numpy.typing import NDArray
from scipy import ndimage

from .columns import Column, thinned, with_neighbours

#: Distances beyond this are clipped, mm; float16 then resolves 0.01 mm near the surface.
CLIP_MM = 20.0


@dataclass(frozen=True)
class Scene:
    """Signed distances in mm, negative inside, (k, j, i) float16, on a cube centred on the target's bounding box.

    target_mm: the vertebra to rebuild. others_mm: all other bone. size_mm: the target's box (R, A, S).
    """

    person: str
    source: str
    level: str
    target_mm: NDArray[np.float16]
    others_mm: NDArray[np.float16]
    spacing_mm: float
    centre_ras_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]


def scenes(column: Column, size: int, spacing_mm: float) -> Iterator[Scene]:
    """A scene of ``size`` voxels per side for each target of a column.

    A vertebra that stands alone gets copies of itself above and below, as its neighbours in the X-ray.
    """
    volume = thinned(column.labels)
    labels = with_neighbours(volume) if column.targets else volume
    for level in column.targets:
        yield scene(column.person, column.source, level, labels, size, spacing_mm)


def scene(person: str, source: str, level: str, labels: Volume, size: int, spacing_mm: float) -> Scene:
    """One vertebra of a label volume as a Scene. Raises ValueError when its label is not there."""
    target = labels.array == VERSE_LABEL[level]
    box = box_ras_mm(largest_piece(target), labels.ras_from_ijk)  # a stray voxel must not move the centre
    if box is None:
        raise ValueError(f"{person}: no voxel is labelled {level}")
    low, high = box
    centre = (low + high) / 2
    affine = cube_affine(centre, size, spacing_mm)
    others = (labels.array > 0) & ~target
    return Scene(
        person,
        source,
        level,
        signed_distance(target, labels.ras_from_ijk, affine, size),
        signed_distance(others, labels.ras_from_ijk, affine, size),
        spacing_mm,
        (float(centre[0]), float(centre[1]), float(centre[2])),
        (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2] - low[2])),
    )


def box_ras_mm(mask: NDArray[np.bool_], ras_from_ijk: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Bounding box (low, high) of a mask in RAS mm, to the outer faces of its voxels; None when it is empty."""
    k, j, i = np.nonzero(mask)
    if not len(k):
        return None
    points = np.stack([i, j, k], -1) @ ras_from_ijk[:3, :3].T + ras_from_ijk[:3, 3]
    half = np.abs(ras_from_ijk[:3, :3]).sum(1) / 2
    return points.min(0) - half, points.max(0) + half


def signed_distance(
    mask: NDArray[np.bool_], ras_from_ijk: Affine, cube: Affine, size: int, margin_mm: float = CLIP_MM
) -> NDArray[np.float16]:
    """Distance to the surface of a mask, sampled on a cube: (size, size, size), mm, negative inside, clipped.

    The transform runs on the mask's own grid, where the surface lies midway between voxel centres, and is then
    interpolated: between thick slices that is shape-based interpolation.
    """
    # Only the part of the mask that the cube can see, and a margin for the distances.
    corners = np.array([[i, j, k, 1] for i in (0, size - 1) for j in (0, size - 1) for k in (0, size - 1)], float)
    ijk = (corners @ (np.linalg.inv(ras_from_ijk) @ cube).T)[:, :3]
    spacing = np.linalg.norm(ras_from_ijk[:3, :3], axis=0)
    low = np.maximum(np.floor(ijk.min(0) - margin_mm / spacing).astype(int), 0)
    high = np.minimum(np.ceil(ijk.max(0) + margin_mm / spacing).astype(int) + 1, mask.shape[::-1])
    if np.any(high <= low):
        return np.full((size,) * 3, CLIP_MM, np.float16)
    part = mask[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    if not part.any():
        return np.full((size,) * 3, CLIP_MM, np.float16)
    part = np.pad(part, 1)  # a mask that fills its grid still has a surface
    sampling = spacing[::-1]
    distance = ndimage.distance_transform_edt(~part, sampling) - ndimage.distance_transform_edt(part, sampling)
    distance -= np.sign(distance) * spacing.min() / 2  # the transform measures to voxel centres, not to faces
    shifted = ras_from_ijk.copy()
    shifted[:3, 3] += ras_from_ijk[:3, :3] @ (low - 1)
    sampled = resample(Volume(distance, shifted), cube, (size,) * 3, CLIP_MM)
    smooth = ndimage.gaussian_filter(sampled, 0.5)  # takes the voxel stairs off
    return np.clip(smooth, -CLIP_MM, CLIP_MM).astype(np.float16)


def save_scenes(path: Path, items: list[Scene]) -> None:
    """Write scenes to one compressed .npz, whole or not at all."""
    with written_whole(path) as beside:
        np.savez_compressed(
            beside,
            names=np.array([(s.person, s.source, s.level) for s in items]),
            target_mm=np.stack([s.target_mm for s in items]),
            others_mm=np.stack([s.others_mm for s in items]),
            spacing_mm=np.array([s.spacing_mm for s in items]),
            centre_ras_mm=np.array([s.centre_ras_mm for s in items]),
            size_mm=np.array([s.size_mm for s in items]),
        )


def load_scenes(path: Path) -> list[Scene]:
    """Read what save_scenes wrote."""
    with np.load(path, allow_pickle=False) as data:
        fields = {name: data[name] for name in data.files}
    return [
        Scene(
            person=str(person),
            source=str(source),
            level=str(level),
            target_mm=fields["target_mm"][n],
            others_mm=fields["others_mm"][n],
            spacing_mm=float(fields["spacing_mm"][n]),
            centre_ras_mm=tuple(fields["centre_ras_mm"][n].tolist()),
            size_mm=tuple(fields["size_mm"][n].tolist()),
        )
        for n, (person, source, level) in enumerate(fields["names"])
    ]
