"""Columns of labelled vertebrae: from masks, from meshes and from phantoms, all in one record.

A collection is a folder with a ``manifest.csv`` (columns ``file, kind, source, subject, level, complete, use,
licence``): ``full_msk`` rows are label volumes with VerSe labels, ``mesh`` rows are one closed surface in RAS mm each.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from EARReconstructionLib.comparison import surface_mask
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.surface import read_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, read_volume
from vtkmodules.vtkCommonDataModel import vtkPolyData

#: Spacing at which meshes become masks, mm.
MESH_SPACING_MM = 0.75

#: Masks finer than this are thinned before distances are computed: shapes at 1 mm do not need 0.3 mm pixels.
FINEST_SPACING_MM = 0.75

#: A single vertebra's copies stand where they share less than this part of its volume.
COPY_OVERLAP = 0.005

#: Thoracic and lumbar levels, the ones a model is trained on.
TRAINED_LEVELS = tuple(f"T{n}" for n in range(1, 13)) + tuple(f"L{n}" for n in range(1, 6))


class CollectionError(EARError):
    """A collection of shapes that cannot be read."""


@dataclass(frozen=True)
class Column:
    """Vertebrae of one person in one frame.

    labels: (k, j, i) uint8, VerSe labels. targets: levels that are whole, hence may be learned; the others are
    neighbours only.
    """

    person: str
    source: str
    use: str
    licence: str
    labels: Volume
    targets: tuple[str, ...]


def read_columns(folder: Path, use: tuple[str, ...] | None = None) -> Iterator[Column]:
    """Columns of a collection, one per person and source, in the manifest's order.

    use: keep rows whose ``use`` is one of these. Cervical vertebrae are neighbours, never targets.
    Raises CollectionError when the manifest or a file of it is missing.
    """
    manifest = Path(folder) / "manifest.csv"
    if not manifest.is_file():
        raise CollectionError(folder, "there is no manifest.csv in it", "Give the folder of a collection")
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if use is None or row["use"] in use]
    complete: dict[tuple[str, str], set[str]] = defaultdict(set)
    meshes: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        person = row["source"], row["subject"]
        if row["kind"] in ("mask_crop", "mask_only", "mesh") and row["complete"] == "y":
            complete[person].add(row["level"])
        if row["kind"] == "mesh":
            meshes[person].append(row)
    for row in rows:
        if row["kind"] == "full_msk":
            person = row["source"], row["subject"]
            labels = read_volume(Path(folder) / row["file"])
            yield _column(row, labels, complete[person])
    for person, group in meshes.items():
        surfaces = {row["level"]: read_surface(Path(folder) / row["file"], space="RAS") for row in group}
        yield _column(group[0], rasterise(surfaces), complete[person])


def _column(row: dict[str, str], labels: Volume, complete: set[str]) -> Column:
    targets = tuple(level for level in TRAINED_LEVELS if level in complete)
    return Column(row["subject"], row["source"], row["use"], row["licence"], labels, targets)


def rasterise(surfaces: dict[str, vtkPolyData], spacing_mm: float = MESH_SPACING_MM) -> Volume:
    """Closed surfaces (RAS mm) of several levels -> one label volume, (k, j, i) uint8."""
    bounds = np.array([s.GetBounds() for s in surfaces.values()])
    low, high = bounds[:, 0::2].min(0) - 2 * spacing_mm, bounds[:, 1::2].max(0) + 2 * spacing_mm
    size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    labels = np.zeros(size[::-1], np.uint8)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    for level, surface in surfaces.items():
        labels[surface_mask(surface, affine, labels.shape)] = VERSE_LABEL[level]
    return Volume(labels, affine)


def with_neighbours(labels: Volume) -> Volume:
    """A lone vertebra with a copy above and one below (label 255), as close as they stand without running into it.

    A column of several comes back as it is.
    """
    if len(np.unique(labels.array)) != 2:
        return labels
    mask = labels.array > 0
    step = labels.ras_from_ijk[:3, :3]
    axis = int(np.abs(step[2]).argmax())  # array axis along S: i, j or k
    spacing = abs(float(step[2, axis]))
    shift = round(15 / spacing)
    along = np.moveaxis(mask, 2 - axis, 0)
    while (along[shift:] & along[:-shift]).sum() > COPY_OVERLAP * mask.sum():
        shift += 1
    padded = np.pad(np.moveaxis(labels.array, 2 - axis, 0), ((shift, shift), (0, 0), (0, 0)))
    copies = (np.roll(padded, shift, 0) > 0) | (np.roll(padded, -shift, 0) > 0)
    padded[copies & (padded == 0)] = 255
    affine = labels.ras_from_ijk.copy()
    affine[:3, 3] -= step[:, axis] * shift
    return Volume(np.ascontiguousarray(np.moveaxis(padded, 0, 2 - axis)), affine)


def thinned(labels: Volume) -> Volume:
    """Every n-th voxel along axes that are finer than needed."""
    spacing = np.linalg.norm(labels.ras_from_ijk[:3, :3], axis=0)
    step = np.maximum(np.floor(FINEST_SPACING_MM / spacing + 1e-6).astype(int), 1)
    affine = labels.ras_from_ijk.copy()
    affine[:3, :3] *= step
    return Volume(labels.array[:: step[2], :: step[1], :: step[0]], affine)
