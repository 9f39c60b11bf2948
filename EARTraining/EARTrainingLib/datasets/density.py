"""Bone density for label maps that have no CT: a dense shell around a lighter, uneven core."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from EARReconstructionLib.geometry import voxel_sizes_mm
from EARReconstructionLib.volume_io import Volume
from numpy.typing import NDArray
from scipy import ndimage

#: Ranges from which one person's bone is drawn: thickness of the shell in mm, HU of shell, core and its unevenness.
SHELL_MM = (1.0, 2.0)
SHELL_HU = (550.0, 900.0)
CORE_HU = (100.0, 280.0)
GRAIN_HU = (20.0, 60.0)
GRAIN_MM = 1.5


def made_up_density(labels: Volume, seed: Sequence[int]) -> NDArray[np.float32]:
    """HU (k, j, i) on the grid of the labels, one draw of bone for all of them.

    Every label is a bone of its own: where two touch, both have their shell. Outside the bones the shell goes on: an
    interpolation at a surface then mixes in no air, and whoever shows the bones cuts them out by their labels.
    """
    rng = np.random.default_rng(seed)
    shell_mm, shell_hu, core_hu, grain_hu = (float(rng.uniform(*r)) for r in (SHELL_MM, SHELL_HU, CORE_HU, GRAIN_HU))
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
        bone = core_hu + grain + (shell_hu - core_hu - grain) * shell
        hu[box][inside] = bone[inside]
    return hu
