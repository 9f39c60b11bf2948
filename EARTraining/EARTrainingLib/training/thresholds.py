"""The threshold above which a network's volume is bone: one for all vertebrae, where their mean Dice is best."""

from __future__ import annotations

import torch

#: Candidates in HU, ascending.
THRESHOLDS_HU = tuple(float(t) for t in range(-900, 501, 25))


def dice_per_threshold(volume_hu: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Dice of (volume > t) with a mask of the same shape, for each t of THRESHOLDS_HU: (T,) float64, on the CPU.

    An empty mask has a Dice of 0 with anything but nothing, and of 1 with nothing.
    """
    candidates = torch.tensor(THRESHOLDS_HU, device=volume_hu.device)
    below = torch.bucketize(volume_hu.float().flatten(), candidates)  # number of candidates that a voxel is above
    above = [_above(part, len(candidates)) for part in (below, below[mask.flatten()])]
    size = above[0] + int(mask.sum())
    return torch.where(size > 0, 2 * above[1] / size.clamp_min(1), 1.0)


def best_threshold(mean_dice: torch.Tensor) -> tuple[float, float]:
    """(threshold in HU, Dice there) of mean Dices in the order of THRESHOLDS_HU; the middle of equally good ones."""
    best = (mean_dice >= mean_dice.max() - 1e-9).nonzero().flatten()
    place = int(best[len(best) // 2])
    return THRESHOLDS_HU[place], float(mean_dice[place])


def _above(below: torch.Tensor, count: int) -> torch.Tensor:
    """Voxels above each candidate."""
    bins = torch.bincount(below, minlength=count + 1).cpu().double()
    return bins.flip(0).cumsum(0).flip(0)[1:]
