"""Closed surfaces of several vertebrae of one person as one label volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from EARReconstructionLib.comparison import surface_mask
from EARReconstructionLib.errors import ReferenceSurfaceError
from EARReconstructionLib.surface import read_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume
from vtkmodules.vtkCommonDataModel import vtkPolyData

#: Spacing at which meshes become masks, mm.
MESH_SPACING_MM = 0.75

#: Neighbours whose surfaces were smoothed share up to 2 % at their joints; beyond this they are not in one frame.
MOST_OVERLAP = 0.1


def read_meshes(files: Iterable[tuple[str, Path]]) -> dict[str, vtkPolyData]:
    """Surfaces in RAS mm by level. Raises ReferenceSurfaceError for a file that is no mesh."""
    return {level: read_surface(path, space="RAS") for level, path in files}


def rasterise(surfaces: Mapping[str, vtkPolyData], spacing_mm: float = MESH_SPACING_MM) -> Volume:
    """Closed surfaces (RAS mm) of several levels -> one label volume, (k, j, i) uint8.

    Where two overlap a little, the later one wins. Raises ReferenceSurfaceError when two share more than a tenth of
    the smaller: they are not in one frame.
    """
    bounds = np.array([s.GetBounds() for s in surfaces.values()])
    low, high = bounds[:, 0::2].min(0) - 2 * spacing_mm, bounds[:, 1::2].max(0) + 2 * spacing_mm
    size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    labels = np.zeros(size[::-1], np.uint8)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    voxels: dict[str, int] = {}
    for (level, surface), box in zip(surfaces.items(), bounds, strict=True):
        first = np.floor((box[0::2] - low) / spacing_mm).astype(int)
        last = np.ceil((box[1::2] - low) / spacing_mm).astype(int) + 1
        part = labels[first[2] : last[2], first[1] : last[1], first[0] : last[0]]
        own = affine.copy()
        own[:3, 3] += first * spacing_mm
        inside = surface_mask(surface, own, part.shape)
        for other, count in voxels.items():
            shared = int((part[inside] == VERSE_LABEL[other]).sum())
            if shared > MOST_OVERLAP * min(int(inside.sum()), count):
                raise ReferenceSurfaceError(
                    f"meshes of {other} and {level}",
                    "they lie in each other: they are not in one frame",
                    "Bring the meshes into one frame, or give them as different subjects",
                )
        voxels[level] = int(inside.sum())
        part[inside] = VERSE_LABEL[level]
    return Volume(labels, affine)
