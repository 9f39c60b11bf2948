"""Made-up data sets in the exact layouts of VerSe19, VerSe20, CTSpine1K, plain pairs and collections.

Reached through the fixture ``trees`` of ``Testing/conftest.py``. A vertebra is three boxes that no mirror or turn maps
on themselves: a body in front, a spinous process behind that points down, a transverse process on the left only.
Files are small: three vertebrae at 3 mm are about 20 x 24 x 34 voxels.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_volume
from EARTrainingLib.datasets.make_example_tree import stored_along

LEVELS = ("T12", "L1", "L2")
PITCH_MM = 30.0

#: Boxes of one vertebra about its body's centre, RAS mm: (low, high).
BODY = ((-15.0, -12.0, -9.0), (15.0, 12.0, 9.0))
SPINOUS = ((-3.0, -36.0, -12.0), (3.0, -12.0, 0.0))
LEFT_TRANSVERSE = ((-30.0, -15.0, -3.0), (-15.0, -9.0, 3.0))


def spine(
    levels: Sequence[str] = LEVELS, *, seed: int = 0, spacing_mm: float = 3.0, margin_mm: float = 9.0
) -> tuple[Volume, Volume]:
    """CT (int16 HU) and VerSe labels (uint8) of a column from head to foot, on one RAS grid, margin all around.

    seed: moves the column as a whole, and draws the grain of the bone, so that no two people are alike. A margin of 0
    lets the outer vertebrae end at the border: they are cut.
    """
    rng = np.random.default_rng(seed)
    low = np.array([-30.0, -36.0, -12.0 - PITCH_MM * (len(levels) - 1)]) - margin_mm
    high = np.array([15.0, 12.0, 9.0]) + margin_mm
    size = np.round((high - low) / spacing_mm).astype(int)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low + spacing_mm / 2
    k, j, i = np.indices(tuple(size[::-1]))
    where = np.stack([i, j, k], -1) * spacing_mm + affine[:3, 3]
    hu = np.where(np.abs(where[..., 0] + 7) < 20, 40, -1000) + rng.normal(0, 10, where.shape[:3])
    labels = np.zeros(where.shape[:3], np.uint8)
    for number, level in enumerate(levels):
        local = where + np.array([0, 0, PITCH_MM * number])
        for corner, opposite in (BODY, SPINOUS, LEFT_TRANSVERSE):
            inside = ((local > corner) & (local < opposite)).all(-1)
            labels[inside] = VERSE_LABEL[level]
            hu[inside] = rng.uniform(150, 250) + rng.normal(0, 30, int(inside.sum()))
    affine[:3, 3] += rng.uniform(-50, 50, 3)
    return Volume(hu.astype(np.int16), affine), Volume(labels, affine)


def write_pair(
    ct: Path | None,
    mask: Path | None,
    levels: Sequence[str] = LEVELS,
    *,
    seed: int = 0,
    axes: str = "RAS",
    mask_axes: str | None = None,
    margin_mm: float = 9.0,
) -> None:
    """A made-up CT and its mask; None leaves one out. axes, mask_axes: how each is stored."""
    for path, volume, stored in zip(
        (ct, mask), spine(levels, seed=seed, margin_mm=margin_mm), (axes, mask_axes), strict=True
    ):
        if path is not None:
            moved = stored_along(volume, stored or axes)
            write_volume(path, moved.array, moved.ras_from_ijk)


def verse(
    folder: Path,
    scans: Iterable[str] = ("sub-verse004", "sub-verse401_split-verse201", "sub-verse401_split-verse253"),
    *,
    version: int = 20,
    part: str = "training",
    levels: Sequence[str] = LEVELS,
    first_seed: int = 0,
) -> Path:
    """A part of VerSe19 or VerSe20 as it is unpacked. Returns ``folder``; call again for another part.

    scans: stems, for instance ``sub-verse500_dir-sag``, ``sub-gl003_dir-ax``, ``sub-verse401_split-verse253``. Each
    is stored in another orientation, with a centroid file beside its mask.
    """
    names = {"training": "01training", "validation": "02validation", "test": "03test"}
    root = Path(folder) / (f"dataset-verse19{part}" if version == 19 else f"dataset-{names[part]}")
    for number, stem in enumerate(scans):
        subject = stem.split("_")[0]
        raw, derived = root / "rawdata" / subject, root / "derivatives" / subject
        axes = ("PIR", "LAS", "LPS", "ASL")[number % 4]
        write_pair(
            raw / f"{stem}_ct.nii.gz", derived / f"{stem}_seg-vert_msk.nii.gz", levels,
            seed=first_seed + number, axes=axes,
        )  # fmt: skip
        (derived / f"{stem}_seg-subreg_ctd.json").write_text(
            '[{"direction": ["P", "I", "R"]}, {"label": 20, "X": 8.5, "Y": NaN, "Z": 11.0}]'
        )
    return Path(folder)


def ctspine1k(
    folder: Path,
    scans: Mapping[str, Sequence[str]] | None = None,
    *,
    old: bool = False,
    split: Mapping[str, Sequence[str]] | None = None,
    levels: Sequence[str] = LEVELS,
    first_seed: int = 100,
) -> Path:
    """CTSpine1K in its present layout, or in the older one (old). Returns ``folder``.

    scans: source folder -> stems. split: section -> stems for ``metadata/data_split.txt``; None writes no such file.
    """
    volumes, masks = ("data", "label") if old else ("rawdata/volumes", "rawdata/labels")
    if scans is None:
        colon = [f"1.3.6.1.4.1.9328.50.4.{n:04d}" for n in (1, 2)]
        scans = {"colon" if old else "COLONOG": colon, "liver": ["liver_7"]}
    number = first_seed
    for source, stems in scans.items():
        for stem in stems:
            write_pair(
                Path(folder) / volumes / source / f"{stem}.nii.gz",
                Path(folder) / masks / source / f"{stem}_seg.nii.gz",
                levels, seed=number, axes=("LPS", "LAS")[number % 2],
            )  # fmt: skip
            number += 1
    if split is not None:
        text = "\n\n".join(
            "\n".join([f"{section}:", *(f"{stem}.nii.gz" for stem in stems)]) for section, stems in split.items()
        )
        (Path(folder) / "metadata").mkdir(parents=True, exist_ok=True)
        (Path(folder) / "metadata" / "data_split.txt").write_text(text + "\n")
    return Path(folder)


#: Columns of a collection's manifest.
MANIFEST = ("file", "kind", "source", "repo", "path", "commit", "licence", "subject", "level", "spacing", "complete",
            "notes", "use")  # fmt: skip


def manifest(folder: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write ``manifest.csv`` of a collection; what a row does not give is "-". Returns ``folder``."""
    with (Path(folder) / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, MANIFEST, restval="-")
        writer.writeheader()
        writer.writerows(rows)
    return Path(folder)
