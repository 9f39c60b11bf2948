"""Terms of the training loss (section 3.4 of the paper). Volumes are (B, 1, D, H, W), z-scored."""

from __future__ import annotations

import torch


def reconstruction_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Eq. 5: mean absolute difference."""
    return (predicted - target).abs().mean()


def projection_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Eq. 9: L1 of the maximum-intensity projections along the three axes, summed."""
    total = predicted.new_zeros(())
    for axis in (2, 3, 4):
        total = total + (predicted.amax(axis) - target.amax(axis)).abs().mean()
    return total
