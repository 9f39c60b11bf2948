"""Many reconstructed vertebrae -> one spine: one volume, one label map, one surface per vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .errors import EARError
from .expected_error import with_expected_errors
from .geometry.frames import Affine, transform_points, voxel_sizes_mm
from .surface import isosurface, write_surface
from .vertebra import LEVELS, VERSE_LABEL
from .volume_io import Volume, resample, write_labels, write_volume

#: HU of air, where no vertebra is.
AIR_HU = -1000

#: HU above the threshold at which a voxel is bone without doubt.
_FULL_BONE_HU = 300.0

#: Voxels of a spine at most: its label map, volume and scores take 7 bytes each.
_MAX_VOXELS = 400_000_000

#: Of a voxel: places that come from files have single precision.
_ROUND_OFF = 1e-4

Slices = tuple[slice, slice, slice]


class VertebraBox(Protocol):
    """The part of a VertebraROI that is needed here. size_mm: edges (R, A, S) of the box around the vertebra."""

    @property
    def level(self) -> str: ...
    @property
    def centre_ras_mm(self) -> ArrayLike: ...
    @property
    def size_mm(self) -> ArrayLike: ...


class RebuiltVertebra(Protocol):
    """The part of a Reconstruction that is needed here. Arrays are (k, j, i)."""

    @property
    def roi(self) -> VertebraBox: ...
    @property
    def volume_hu(self) -> NDArray[np.float32]: ...
    @property
    def mask(self) -> NDArray[np.bool_]: ...
    @property
    def ras_from_ijk(self) -> Affine: ...
    @property
    def threshold_hu(self) -> float: ...
    @property
    def expected_error_mm(self) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True, eq=False)
class Spine:
    """A stitched spine in RAS mm.

    volume: int16 HU, air where no vertebra is. labels: uint8 VerSe labels on the same grid. surfaces: level -> surface,
    each from its own reconstruction, so none is coarsened by the common grid, with the expected errors of its points
    where they are known; a vertebra without bone has none.
    """

    volume: Volume
    labels: Volume
    surfaces: dict[str, vtkPolyData]


def stitch(reconstructions: Sequence[RebuiltVertebra], spacing_mm: float | None = None) -> Spine:
    """Put vertebrae together in one grid along R, A and S.

    spacing_mm: of the common grid; None is the finest of the reconstructions. Where cubes overlap, the greater HU
    stays. A voxel that two vertebrae claim gets the label of the one with the better claim: more bone, and nearer to
    the centre of its own ROI. So bone that a network drew far outside its ROI never wins against the true owner.

    Raises EARError for no vertebra, a level twice or unknown, a spacing or extent that does not fit into memory.
    """
    _check(reconstructions)
    grid, shape = _common_grid(reconstructions, spacing_mm)
    volume = np.full(shape, AIR_HU, np.int16)
    labels = np.zeros(shape, np.uint8)
    claims = np.zeros(shape, np.float32)
    surfaces = {}
    for one in reconstructions:
        where, place = _part(one, grid, shape)
        size = volume[where].shape
        hu = resample(Volume(one.volume_hu, one.ras_from_ijk), place, size, AIR_HU)
        np.maximum(volume[where], np.clip(np.rint(hu), -32768, 32767).astype(np.int16), out=volume[where])
        if not one.mask.any():
            continue
        # HU knows the border within a voxel, which a resampled mask would round; the mask tells the bone from islands.
        inside = (hu > one.threshold_hu) & (resample(Volume(one.mask, one.ras_from_ijk), place, size) > 0)
        claim = np.where(inside, _claim(one, hu, grid, where), 0)
        better = claim > claims[where]
        labels[where][better] = VERSE_LABEL[one.roi.level]
        claims[where][better] = claim[better]
        surface = isosurface(one.volume_hu, one.ras_from_ijk, one.threshold_hu)
        if one.expected_error_mm is not None:
            surface = with_expected_errors(surface, one.expected_error_mm, one.ras_from_ijk)
        surfaces[one.roi.level] = surface
    return Spine(Volume(volume, grid), Volume(labels, grid), surfaces)


def write_spine(spine: Spine, folder: str | Path) -> list[Path]:
    """Write spine.nrrd (HU), spine-labels.seg.nrrd (named segments) and surfaces/<level>.stl; return the paths.

    Each file is complete or not there. Surfaces of levels that an earlier spine left in the folder are removed.
    Raises EARError when the folder cannot be written to.
    """
    folder = Path(folder)
    volume, labels = folder / "spine.nrrd", folder / "spine-labels.seg.nrrd"
    surfaces = {level: folder / "surfaces" / f"{level}.stl" for level in spine.surfaces}
    present = set(np.unique(spine.labels.array).tolist()) | {VERSE_LABEL[level] for level in surfaces}
    names = {VERSE_LABEL[level]: level for level in LEVELS if VERSE_LABEL[level] in present}
    write_volume(volume, spine.volume.array, spine.volume.ras_from_ijk, metadata={"unit": "HU"})
    write_labels(labels, spine.labels.array, spine.labels.ras_from_ijk, names)
    for level, path in surfaces.items():
        write_surface(path, spine.surfaces[level])
    for level in set(LEVELS) - surfaces.keys():
        (folder / "surfaces" / f"{level}.stl").unlink(missing_ok=True)
    return [volume, labels, *surfaces.values()]


def _check(reconstructions: Sequence[RebuiltVertebra]) -> None:
    levels = [one.roi.level for one in reconstructions]
    if not levels:
        raise EARError("spine", "there is no vertebra", "Reconstruct at least one")
    twice = sorted({level for level in levels if levels.count(level) > 1})
    if twice:
        raise EARError("spine", f"{', '.join(twice)} occurs more than once", "Name each vertebra once")
    unknown = sorted(set(levels) - VERSE_LABEL.keys())
    if unknown:
        raise EARError("spine", f"unknown level {', '.join(unknown)}", "Use C1 to C7, T1 to T13, L1 to L6")


def _common_grid(
    reconstructions: Sequence[RebuiltVertebra], spacing_mm: float | None
) -> tuple[Affine, tuple[int, int, int]]:
    """Affine and (k, j, i) shape of an axis-aligned grid over all voxels, one of them on the first one's first voxel.

    So a vertebra of the same spacing and axes keeps its values without interpolation.
    """
    spacing = float(min(voxel_sizes_mm(one.ras_from_ijk).min() for one in reconstructions))
    spacing = spacing if spacing_mm is None else spacing_mm
    if not 0 < spacing < np.inf:
        raise EARError("spine", f"a spacing of {spacing:g} mm", "Give a positive spacing, such as 1 mm")
    corners = np.concatenate([_corners(one) for one in reconstructions])
    anchor = transform_points(reconstructions[0].ras_from_ijk, [0, 0, 0])
    first = np.ceil((corners.min(axis=0) - anchor) / spacing - _ROUND_OFF)
    last = np.floor((corners.max(axis=0) - anchor) / spacing + _ROUND_OFF)
    counts = np.maximum(last - first, 0) + 1
    if counts.prod() > _MAX_VOXELS:
        raise EARError(
            "spine",
            f"{' x '.join(f'{n:.0f}' for n in counts)} voxels of {spacing:g} mm do not fit into memory",
            "Choose a larger spacing, or check the places of the vertebrae",
        )
    grid = np.diag([spacing, spacing, spacing, 1.0])
    grid[:3, 3] = anchor + first * spacing
    i, j, k = (int(n) for n in counts)
    return grid, (k, j, i)


def _corners(one: RebuiltVertebra) -> NDArray[np.float64]:
    """(8, 3) outermost voxel centres, RAS mm."""
    ends = [(0, n - 1) for n in one.volume_hu.shape[::-1]]
    corners: NDArray[np.float64] = np.array(list(product(*ends)), float)
    return transform_points(one.ras_from_ijk, corners)


def _part(one: RebuiltVertebra, grid: Affine, shape: tuple[int, int, int]) -> tuple[Slices, Affine]:
    """The part of the grid (k, j, i) that a reconstruction covers, and that part's own affine."""
    reach = transform_points(np.linalg.inv(grid).astype(float), _corners(one))
    low = np.maximum(np.ceil(reach.min(axis=0) - _ROUND_OFF), 0).astype(int)
    high = np.minimum(np.floor(reach.max(axis=0) + _ROUND_OFF) + 1, shape[::-1]).astype(int)
    place = grid.copy()
    place[:3, 3] = transform_points(grid, low)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (k, j, i), place


def _claim(one: RebuiltVertebra, hu: NDArray[np.float32], grid: Affine, where: Slices) -> NDArray[np.float32]:
    """How good a vertebra's claim on its voxels is, (0, 1]: how surely they are bone, times how near its ROI they are.

    The second factor is 1 in the middle of the ROI, 1/2 on its faces, 1/12 half a size further out, 1/65 a full size.
    """
    half = np.broadcast_to(np.asarray(one.roi.size_mm, float), 3) / 2
    steps = [
        (grid[a, a] * np.arange(w.start, w.stop) + grid[a, 3] - np.asarray(one.roi.centre_ras_mm, float)[a]) / half[a]
        for a, w in enumerate(where[::-1])
    ]
    i, j, k = (np.abs(step).astype(np.float32) for step in steps)
    distance = np.maximum(np.maximum(k[:, None, None], j[:, None]), i)  # 1 on the faces of the ROI
    bone = np.clip((hu - one.threshold_hu) / _FULL_BONE_HU, 0.05, 1)
    claim: NDArray[np.float32] = bone / (1 + distance**6)
    return claim
