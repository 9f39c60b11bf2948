"""The phantom as a CT in Hounsfield units: a dense shell, a lighter and grainy core, air around.

The values are chosen by us within the usual ranges (cortical about 700 to 1100 HU, trabecular 80 to 280 HU).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .implicit import Array
from .morphometry import VERSE_LABEL
from .spine import PhantomSpine, PlacedVertebra, Slices, grid_ras

AIR_HU = -1000.0
_ARCH_CORE_HU = 110.0  # the arch holds less marrow than the body


def _grain(rng: np.random.Generator, shape: tuple[int, ...], sigma_voxels: NDArray[np.float64]) -> Array:
    """Smooth noise of mean 0 and standard deviation 1."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma_voxels, mode="wrap")
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)


def ct(
    spine: PhantomSpine,
    ras_from_ijk: NDArray[np.float64],
    shape_kji: Sequence[int],
    rng: np.random.Generator,
    *,
    trabecular_hu: float | None = None,
    cortical_hu: float | None = None,
    cortex_mm: float | None = None,
    background_hu: float = AIR_HU,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Sample the spine on a grid.

    ``ras_from_ijk`` (4, 4) maps integer voxel centres (i, j, k) to RAS. Returns HU float32 and VerSe labels uint8,
    both (k, j, i). The surface is antialiased over one voxel. What is None is drawn for this patient.
    """
    trabecular_hu = rng.uniform(110, 230) if trabecular_hu is None else trabecular_hu
    cortical_hu = rng.uniform(800, 1020) if cortical_hu is None else cortical_hu
    cortex_mm = rng.uniform(1.1, 1.5) if cortex_mm is None else cortex_mm
    seeds = rng.integers(2**32, size=max(VERSE_LABEL.values()) + 1)
    spacing_kji = np.linalg.norm(np.asarray(ras_from_ijk)[:3, :3], axis=0)[::-1]
    voxel_mm = float(np.prod(spacing_kji) ** (1 / 3))

    hu = np.full(tuple(shape_kji), background_hu, np.float32)
    labels = np.zeros(tuple(shape_kji), np.uint8)
    for vertebra, where, d in spine.patches(ras_from_ijk, shape_kji):
        # One stream per level: a bone keeps its grain when other levels are left out.
        own = np.random.default_rng(seeds[vertebra.label])
        fine, coarse = (_grain(own, d.shape, mm / spacing_kji) for mm in (0.9, 4.0))
        core = trabecular_hu + 12 * own.normal() + 32 * fine + 22 * coarse
        core = np.clip(core + _ARCH_CORE_HU * _behind_body(vertebra, ras_from_ijk, where), 20, 600)
        shell = cortical_hu + 25 * own.normal() + 45 * coarse + 25 * fine
        thickness = cortex_mm * (1 + 0.10 * coarse)
        inner = np.clip(0.5 - (d + thickness) / voxel_mm, 0, 1)
        bone = shell + (core - shell) * inner
        cover = np.clip(0.5 - d / voxel_mm, 0, 1)
        hu[where] += cover * (bone - np.float32(background_hu))
        labels[where][d < 0] = vertebra.label
    return hu, labels


def _behind_body(vertebra: PlacedVertebra, ras_from_ijk: NDArray[np.float64], where: Slices) -> Array:
    """0 in the body, 1 in the arch, with a smooth change at the roots of the pedicles."""
    k, j, i = where
    x, y, z = grid_ras(ras_from_ijk, (i.start, j.start, k.start), (i.stop, j.stop, k.stop))
    behind = vertebra.shape.back_y_mm - 1.0 - vertebra.to_local(x, y, z)[1]
    return np.clip(0.5 + behind / 6.0, 0, 1)
