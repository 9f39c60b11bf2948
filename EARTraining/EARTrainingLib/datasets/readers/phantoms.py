"""The parametric spine as a source of scans: exact labels, plausible HU, and nobody's data."""

from __future__ import annotations

import re

import numpy as np
from EARReconstructionLib.volume_io import Volume

from ..phantom import ct, random_spine
from .scan import DatasetError, Scan

#: Voxels of a phantom, mm.
SPACING_MM = 1.0


def read_phantoms(text: str) -> list[Scan]:
    """Scans of ``COUNT`` or ``COUNT@FIRST``: "24@100" are phantom0100 to phantom0123. Raises DatasetError."""
    match = re.fullmatch(r"(\d+)(?:@(\d+))?", text)
    if match is None or int(match[1]) < 1:
        raise DatasetError(f"phantoms:{text}", "this is no number of phantoms", "Write phantoms:24, or phantoms:24@100")
    first = int(match[2] or 0)
    names = {seed: f"phantom{seed:04d}" for seed in range(first, first + int(match[1]))}
    return [
        Scan("phantom", name, name, None, None, phantom_seed=seed, licence="Apache-2.0") for seed, name in names.items()
    ]


def phantom_volumes(seed: int, levels: tuple[str, ...] | None = None) -> tuple[Volume, Volume]:
    """CT (float32 HU, air around) and VerSe labels (uint8) of a random spine, T1 to L5 or some of its levels."""
    rng = np.random.default_rng((seed, 77))
    spine = random_spine(rng) if levels is None else random_spine(rng, levels)
    low, high = spine.bounding_box_mm()
    size = np.ceil((np.asarray(high) - np.asarray(low)) / SPACING_MM).astype(int) + 4
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = np.asarray(low) - 2 * SPACING_MM
    hu, labels = ct(spine, affine, (int(size[2]), int(size[1]), int(size[0])), rng)
    return Volume(hu, affine), Volume(labels, affine)
