"""A prepared data set written file by file: cheap, and with vertebrae whose every number is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_labels, write_volume
from EARTrainingLib.datasets.manifest import Row, write_manifest
from EARTrainingLib.datasets.prepared import StoredXrays, save_xrays
from EARTrainingLib.datasets.scenes import save_scene, scene, scene_shape
from EARTrainingLib.datasets.settings import PreparationSettings
from EARTrainingLib.projection import ACQUISITIONS, material_densities, project

SIZE, SPACING_MM = 32, 3.0

#: Boxes (low, high) of a bone about its centre, RAS mm: a body, a long process on the left, one at the back.
BOXES = (((-14, -9, -9), (14, 15, 9)), ((-34, -12, -4), (-14, -4, 4)), ((-4, -33, -15), (4, -9, -3)))


def bone(centre, size_mm=108.0, step_mm=1.5, scale=1.0):
    """HU (shell 700, core 200, air around) and mask of one bone on a grid of its own, as Volumes."""
    n = int(size_mm / step_mm)
    affine = cube_affine(centre, n, step_mm)
    k, j, i = np.indices((n, n, n))
    where = (transform_points(affine, np.stack([i, j, k], -1)) - centre) / scale
    inside, core = np.zeros((n,) * 3, bool), np.zeros((n,) * 3, bool)
    for low, high in BOXES:
        inside |= ((where > low) & (where < high)).all(-1)
        core |= ((where > np.add(low, 2)) & (where < np.subtract(high, 2))).all(-1)
    hu = np.where(inside, np.where(core, 200, 700), -1000).astype(np.int16)
    return Volume(hu, affine), Volume(inside, affine)


def write_dataset(folder: Path, people=None, *, size=SIZE, spacing_mm=SPACING_MM, scenes=True, seed=0) -> Path:
    """people: (name, split, source, levels) each. One bone per level, a little larger from one to the next."""
    people = people or (
        ("p1", "train", "VerSe20", ("T12", "L1")),
        ("p2", "train", "phantom", ("L1", "L2")),
        ("p3", "validation", "VerSe20", ("L1",)),
        ("p4", "test", "VerSe20", ("L1", "L2")),
    )
    rng = np.random.default_rng(seed)
    settings = PreparationSettings(size=size, spacing_mm=spacing_mm, protocol="isolated", scenes=scenes).to_dict()
    rows, volumes = [], []
    for name, split, source, levels in people:
        for number, level in enumerate(levels):
            centre = rng.uniform(-60, 60, 3).round(1)
            hu, mask = bone(centre, scale=0.9 + 0.08 * number + 0.02 * len(rows) % 0.1)
            labels = Volume(mask.array.astype(np.uint8) * VERSE_LABEL[level], mask.ras_from_ijk)
            made = scene(name, source, level, labels, scene_shape(size, spacing_mm), spacing_mm, hu)
            key = f"{source}-{name}-{level}"
            affine = cube_affine(made.centre_ras_mm, size, spacing_mm)
            margin = (made.shape[0] - size) // 2
            inner = (slice(margin, margin + size),) * 3
            inside = made.target_mm[inner] < 0
            target = np.where(inside, made.hu[inner], -1000).astype(np.int16)
            write_volume(folder / "volumes" / f"{key}.nrrd", target, affine)
            write_labels(
                folder / "masks" / f"{key}.seg.nrrd", inside * VERSE_LABEL[level], affine, {VERSE_LABEL[level]: level}
            )
            exposure = ACQUISITIONS["paper"].draw(rng, made.centre_ras_mm)
            crops = exposure.crops(made.centre_ras_mm, size, spacing_mm)
            area = project(material_densities(torch.from_numpy(hu.array.astype(np.float32))), hu.ras_from_ijk, crops)
            save_xrays(
                folder / "xrays" / f"{key}.npz",
                StoredXrays(area.numpy(), crops, exposure.spectrum, exposure.photons),
            )
            if scenes:
                save_scene(folder / "scenes" / f"{key}.npz", made)
            if split == "train":
                volumes.append(target)
            place = dict(zip(("centre_r_mm", "centre_a_mm", "centre_s_mm"), made.centre_ras_mm, strict=True))
            density = "phantom" if source == "phantom" else "ct"
            rows.append(
                Row(
                    key, "kept", "", source, name, name, level, VERSE_LABEL[level],
                    split=split, licence="CC0", density=density, **place,
                )
            )  # fmt: skip
    rows.append(Row("", "excluded", "cut by the border of the scan: 0 voxels from it", "VerSe20", "p1", "p1", "L2"))
    write_manifest(folder / "manifest.csv", rows)
    statistics = {"hu_mean": float(np.mean(volumes)), "hu_sd": float(np.std(volumes))}
    header = {"format": "EAR dataset", "version": 1, "settings": settings, "statistics": statistics}
    (folder / "dataset.json").write_text(json.dumps(header))
    return folder
