"""Bone density for label maps that have no CT: a dense shell around a lighter, uneven core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from numpy.typing import NDArray
from scipy import ndimage

GRAIN_MM = 1.5


@dataclass(frozen=True)
class Bone:
    """Ranges from which one person's bone is drawn: thickness of the shell in mm, HU of shell, core and unevenness.

    patches: SD of the logarithm of the shell's HU from place to place, in training.
    Raises ValueError for a range that ends before it begins, and for a shell that is none.
    """

    shell_mm: tuple[float, float]
    shell_hu: tuple[float, float]
    core_hu: tuple[float, float]
    grain_hu: tuple[float, float] = (20.0, 60.0)
    patches: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("shell_mm", "shell_hu", "core_hu", "grain_hu", "patches"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} is a range from low to high, got {low:g} to {high:g}")
        if not (self.shell_mm[0] > 0 and self.shell_hu[0] > 0):
            raise ValueError("a shell's thickness and HU are above 0")


#: Young bone at full resolution, for bones in air; bone as it stands out from soft tissue in CTs of 1 to 3 mm (medians
#: of two people: 180 to 280 HU to a depth of 1.6 mm, 200 to 250 to 3.2 mm, 50 to 115 beyond 5 mm); and both and all
#: between, for training.
BRIGHT = Bone((1.0, 2.0), (550.0, 900.0), (100.0, 280.0))
LIKE_CT = Bone((1.5, 3.5), (200.0, 500.0), (40.0, 160.0))
LIVE = Bone((1.0, 3.5), (160.0, 700.0), (20.0, 200.0), (10.0, 70.0), (0.0, 0.4))


def made_up_density(labels: Volume, seed: Sequence[int], bone: Bone = BRIGHT) -> NDArray[np.float32]:
    """HU (k, j, i) on the grid of the labels, one draw of bone for all of them.

    Every label is a bone of its own: where two touch, both have their shell. Outside the bones the shell goes on: an
    interpolation at a surface then mixes in no air, and whoever shows the bones cuts them out by their labels.
    """
    rng = np.random.default_rng(seed)
    ranges = (bone.shell_mm, bone.shell_hu, bone.core_hu, bone.grain_hu)
    shell_mm, shell_hu, core_hu, grain_hu = (float(rng.uniform(*r)) for r in ranges)
    spacing = voxel_sizes_mm(labels.ras_from_ijk)[::-1]
    hu = np.full(labels.array.shape, shell_hu, np.float32)
    for label, box in enumerate(ndimage.find_objects(labels.array), 1):
        if box is None:
            continue
        inside = labels.array[box] == label
        depth = ndimage.distance_transform_edt(np.pad(inside, 1), spacing)[1:-1, 1:-1, 1:-1] - spacing.min() / 2
        grain = ndimage.gaussian_filter(rng.standard_normal(inside.shape, np.float32), GRAIN_MM / spacing)
        grain *= grain_hu / max(float(grain.std()), 1e-6)
        shell = np.clip(0.5 + (shell_mm - depth) / spacing.min(), 0, 1)
        own = core_hu + grain + (shell_hu - core_hu - grain) * shell
        hu[box][inside] = own[inside]
    return hu
