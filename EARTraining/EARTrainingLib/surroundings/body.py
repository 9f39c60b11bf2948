"""A body as a grid of HU around a vertebra, and the box of it that is shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import Affine, inverse

from ..datasets.scenes import Shape


class Body(NamedTuple):
    """HU (D, H, W) on a grid around a vertebra, air outside the skin, and the grid's affine to the scene's RAS mm.

    low_mm, high_mm: (R, A, S) of the box outside which nothing is shown, as beyond the end of a CT.
    """

    hu: torch.Tensor
    ras_from_ijk: Affine
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]

    def sampled(self, shape: Shape, ras_from_ijk: Affine) -> torch.Tensor:
        """HU (D, H, W) on another axis-aligned grid within this one, linear between voxels."""
        x, y, z = _sides(shape, ras_from_ijk)
        to = inverse(self.ras_from_ijk)
        axes = [(to[n, n] * side + to[n, 3]) * 2 / (self.hu.shape[2 - n] - 1) - 1 for n, side in enumerate((x, y, z))]
        k, j, i = torch.meshgrid(*axes[::-1], indexing="ij")
        grid = torch.stack([i, j, k], -1)[None].to(self.hu)
        return F.grid_sample(self.hu[None, None], grid, padding_mode="border", align_corners=True)[0, 0]

    def outside_mm(self, shape: Shape, ras_from_ijk: Affine) -> torch.Tensor:
        """Distance (D, H, W) to the box that is shown, negative inside, largest along one axis."""
        x, y, z = (
            torch.maximum(low - side, side - high)
            for side, low, high in zip(_sides(shape, ras_from_ijk), self.low_mm, self.high_mm, strict=True)
        )
        return torch.maximum(torch.maximum(x, y[:, None]), z[:, None, None]).to(self.hu)


def _sides(shape: Shape, ras_from_ijk: Affine) -> list[torch.Tensor]:
    """R, A and S in mm of an axis-aligned grid's voxel centres (D, H, W), one after the other."""
    return [
        torch.from_numpy(ras_from_ijk[n, 3] + ras_from_ijk[n, n] * np.arange(count)).float()
        for n, count in enumerate(shape[::-1])
    ]
