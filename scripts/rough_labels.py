"""Rough labels for a CT without any, from one point per vertebra: enough to lend its body, not to train on its bones.

    python scripts/rough_labels.py chest_ct.nii.gz chest.csv chest_msk.seg.nrrd

The table has the columns level, r, a, s: the middle of each vertebra's body in mm, without gaps, from head to tail. A
smooth curve runs through them. A voxel belongs to the level that is nearest along the curve: within the body's usual
outline (without the discs) whatever its density, at its rim and behind it where it is bone. Ribs lose the first
centimetres.
Give the patient the split `surroundings` in split.csv, and `ear prepare` keeps these shapes out of all training.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from EARReconstructionLib.geometry import inverse, transform_points
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_labels
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial import KDTree

#: Half width and half depth of a body, mm: T1 and L5; between them they grow evenly with the level.
T1_MM, L5_MM = (14.0, 9.0), (27.0, 19.0)

#: Half of what lies between two bodies, mm.
HALF_DISC_MM = 2.5

#: What is dense belongs to a body up to so many times its half width and depth, its endplates too; a vessel with
#: contrast medium that touches it loses a strip.
RIM = 1.2

#: Arches and processes reach so far to each side, and so far behind the body's middle, mm.
SIDE_MM, BEHIND_MM = 35.0, 85.0

#: Points of the curve per level.
FINE = 50


def rough_labels(
    hu: NDArray[np.float32], ras_from_ijk: NDArray[np.float64], middles: dict[str, NDArray[np.float64]], bone_hu: float
) -> NDArray[np.uint8]:
    """VerSe labels (k, j, i) of the vertebrae whose bodies have their middles at these places, RAS in mm."""
    names = list(middles)
    curve = CubicSpline(np.arange(len(names)), np.array([middles[name] for name in names]))
    steps = np.linspace(-0.5, len(names) - 0.5, FINE * len(names) + 1)
    path = curve(steps)

    # Only what lies about the curve is looked at: a CT has a hundred million voxels.
    corners = np.stack(np.meshgrid(*zip(path.min(0) - BEHIND_MM, path.max(0) + BEHIND_MM, strict=True)), -1)
    box = np.rint(transform_points(inverse(ras_from_ijk), corners.reshape(-1, 3))).astype(int)
    low, high = np.clip(box.min(0), 0, None), np.minimum(box.max(0) + 1, hu.shape[::-1])
    axes = (np.arange(first, last) for first, last in zip(low, high, strict=True))
    ijk = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    ras = transform_points(ras_from_ijk, ijk)

    at = KDTree(path).query(ras)[1]
    up = curve(steps, 1)[at]
    up_mm = np.linalg.norm(up, axis=1)  # from one level to the next
    up = -up / up_mm[:, None]
    off = ras - path[at]
    # Past its ends the nearest point of the curve is an end: what lies beyond is no vertebra of these.
    beyond = np.abs((off * up).sum(1)) > 1.0
    front = np.cross(up, (1.0, 0.0, 0.0))
    front /= np.linalg.norm(front, axis=1)[:, None]
    ahead = (off * front).sum(1)
    side = np.abs((off * np.cross(front, up)).sum(1))

    place = np.clip(np.rint(steps[at]).astype(int), 0, len(names) - 1)
    share = np.interp([LEVELS.index(name) for name in names], [LEVELS.index("T1"), LEVELS.index("L5")], [0.0, 1.0])
    wide, deep = (np.array(T1_MM) + share[:, None] * np.subtract(L5_MM, T1_MM))[place].T
    to_disc_mm = (0.5 - np.abs(steps[at] - place)) * up_mm
    out = np.hypot(side / wide, ahead / deep)
    body = (out < 1) & (to_disc_mm > HALF_DISC_MM)
    rim = out < RIM
    arch = (side < SIDE_MM) & (ahead < -deep) & (ahead > -BEHIND_MM)
    dense = hu[ijk[:, 2], ijk[:, 1], ijk[:, 0]] > bone_hu
    bone = np.zeros(hu.shape, bool)
    bone[ijk[:, 2], ijk[:, 1], ijk[:, 0]] = (body | (dense & (rim | arch))) & ~beyond
    bone = ndimage.binary_closing(bone, iterations=1) | bone

    labels = np.zeros(hu.shape, np.uint8)
    labels[ijk[:, 2], ijk[:, 1], ijk[:, 0]] = np.array([VERSE_LABEL[name] for name in names], np.uint8)[place]
    return np.where(bone, labels, 0).astype(np.uint8)


def read_middles(path: Path) -> dict[str, NDArray[np.float64]]:
    """Level -> middle of its body, RAS in mm, from head to tail. Raises ValueError for anything else."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = {row["level"]: np.array([float(row[axis]) for axis in "ras"]) for row in csv.DictReader(stream)}
    levels = [level for level in LEVELS if level in rows]
    if len(rows) < 3 or list(rows) != levels:
        raise ValueError("give three levels or more, from head to tail, each once")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("middles", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bone-hu", type=float, default=150.0, help="what is denser is bone (150)")
    options = parser.parse_args()
    try:
        middles = read_middles(options.middles)
    except (OSError, KeyError, ValueError) as error:
        parser.error(f"{options.middles}: {error}")
    ct = read_volume(options.ct)
    labels = rough_labels(ct.array, ct.ras_from_ijk, middles, options.bone_hu)
    missing = [level for level in middles if not (labels == VERSE_LABEL[level]).any()]
    if missing:
        parser.error(f"{options.middles}: {', '.join(missing)} lie outside {options.ct}; are these mm in RAS?")
    write_labels(options.output, labels, ct.ras_from_ijk, {VERSE_LABEL[level]: level for level in middles})


if __name__ == "__main__":
    main()
