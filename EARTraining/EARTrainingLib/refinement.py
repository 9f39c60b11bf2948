"""A reconstruction moved until its own projections look like the X-rays that it was made from.

A network rebuilds what such images usually come from; nothing makes its answer cast the shadow that is there. Here its
volume is bent, smoothly and by as little as will do, by gradients through the ray-marcher. That helps where the X-rays
show the vertebra and nothing else. Among neighbours and soft tissue it does harm, as the shadow is theirs too
(docs/training-notes.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import Affine, View
from torch import Tensor

from .datasets.prepared import PreparedDataset
from .evaluation.prediction import Prediction
from .projection.materials import density_from_hu
from .projection.raymarcher import project
from .samples import noise_seed, stored_sample
from .shape_model.fit import dissimilarity

#: Distance between the points that move, mm; and how many steps of which size, mm.
CELL_MM, STEPS, STEP_MM = 16.0, 30, 0.2

#: Cost of a mean squared move of 1 mm, and of a mean squared strain of 1, beside correlations of 1 at best.
MOVE_COST, STRAIN_COST = 0.02, 1.0

#: Voxels below this, in a soft step of this width, cast no shadow, HU: what a network draws faintly is not there.
AIR_HU, AIR_STEP_HU = -500.0, 100.0


def refine(volume_hu: Tensor, images: Tensor, views: Sequence[View], ras_from_ijk: Affine, spacing_mm: float) -> Tensor:
    """A volume (N, N, N) in HU, bent towards two images of -log(I/I0) (2, H, W), of any gain and offset.

    views: of the images. ras_from_ijk: of the volume, voxels of spacing_mm. All on the CPU. Nothing random is in it.
    """
    points = round(max(volume_hu.shape) * spacing_mm / CELL_MM) + 1
    moves = torch.zeros(1, 3, points, points, points, requires_grad=True)
    optimiser = torch.optim.Adam([moves], lr=STEP_MM)
    for _ in range(STEPS):
        optimiser.zero_grad()
        moved_mm = _smooth(moves, volume_hu)
        shadows = project(_density(_bent(volume_hu, moved_mm, spacing_mm))[None], ras_from_ijk, views)[:, 0]
        unlike = dissimilarity(shadows, images)
        strain = sum((moved_mm.diff(dim=axis) / spacing_mm).square().mean() for axis in (2, 3, 4))
        (unlike + MOVE_COST * moved_mm.square().mean() + STRAIN_COST * strain).backward()
        optimiser.step()
    with torch.no_grad():
        return _bent(volume_hu, _smooth(moves, volume_hu), spacing_mm)


def refined_predictions(found: Iterable[Prediction], dataset: PreparedDataset) -> Iterator[Prediction]:
    """Predictions on a prepared data set, each refined with the X-rays that it was made from, noise included."""
    for one in found:
        row = one.truth.row
        images = stored_sample(dataset, row, "replicate", seed=noise_seed(row)).images
        volume = torch.from_numpy(one.volume_hu)
        bent = refine(volume, images, dataset.xrays(row).views, one.truth.ras_from_ijk, dataset.spacing_mm)
        yield replace(one, volume_hu=bent.numpy())


def _density(volume_hu: Tensor) -> Tensor:
    """g/cm3 of what casts a shadow."""
    return density_from_hu(volume_hu) * torch.sigmoid((volume_hu - AIR_HU) / AIR_STEP_HU)


def _smooth(moves: Tensor, volume: Tensor) -> Tensor:
    """Moves in mm of every voxel (1, 3, D, H, W), along R, A, S, from those of the points, without kinks."""
    dense = F.interpolate(moves, size=tuple(volume.shape), mode="trilinear", align_corners=True)
    return F.avg_pool3d(F.pad(dense, (2,) * 6, mode="replicate"), 5, 1)


def _bent(volume: Tensor, moved_mm: Tensor, spacing_mm: float) -> Tensor:
    """The volume (D, H, W), each voxel taken from so many mm away."""
    d, h, w = volume.shape
    half = torch.tensor([w, h, d]) * spacing_mm / 2
    grid = F.affine_grid(torch.eye(3, 4)[None], [1, 1, d, h, w], align_corners=False)
    grid = grid + moved_mm.permute(0, 2, 3, 4, 1) / half
    return F.grid_sample(volume[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
