"""Local contrast: what stands out from its surroundings, however little it adds to them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Side of a cell, voxels; sides of the windows, cells; and the spread below which a window counts as flat, in the
#: standard deviations of a z-scored image.
CELL, WINDOWS, FLAT = 4, (3, 5), 0.05


@torch.no_grad()
def local_contrast(x: Tensor) -> Tensor:
    """Lifted volumes (B, C, N, N, N) -> (B, 2 C, N, N, N): per window, less the mean around and over the spread there.

    N must be divisible by 4. In an X-ray of a patient soft tissue decides mean and spread of the whole image, and the
    spread within 18 mm is 0.2 to 0.7 of that; of a bare column it is 0.6 to 0.9. Means of cells are interpolated: their
    centres lie alike on both sides, so that a mirrored input gives the mirrored output.
    """
    cells = [functional.avg_pool3d(part, CELL) for part in (x, x * x)]
    found = []
    for window in WINDOWS:
        mean, square = (functional.avg_pool3d(part, window, 1, window // 2, count_include_pad=False) for part in cells)
        spread = (square - mean * mean).clamp_min(FLAT * FLAT).sqrt()
        mean, spread = (
            functional.interpolate(part, x.shape[2:], mode="trilinear", align_corners=False) for part in (mean, spread)
        )
        found.append((x - mean) / spread)
    return torch.cat(found, 1)
