"""Attention-based shortcut (ABS), eq. 3-4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .stages import GrowingGate, activation_layer

REDUCTION = 16
FEWEST_HIDDEN = 4


class AttentionShortcut(nn.Module):
    """ABS, eq. 3-4: CBAM (Woo 2018) in three dimensions, (B, C, D, H, W) -> (B, C, D, H, W).

    Channel, eq. 3: F' = sigmoid(MLP(avg pool F) + MLP(max pool F)) F, one MLP for both. Its activation is the
    network's LeakyReLU: with four hidden units, and pooled features that are much alike in all samples, ReLU
    now and then starts with all four at zero and stays there.
    Space, eq. 4:   out = sigmoid(Conv7(concat(max, mean over the channels of F'))) F'.

    identity_start: out = F + g (out - F) with g = 0 at the start, where eq. 3 and 4 alone leave about a quarter of F.
    """

    def __init__(self, channels: int, identity_start: bool = False) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, FEWEST_HIDDEN)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), activation_layer("leaky_relu"), nn.Linear(hidden, channels)
        )
        self.conv = nn.Conv3d(2, 1, 7, padding=3)
        self.gate = GrowingGate(channels) if identity_start else None

    def forward(self, features: Tensor) -> Tensor:
        attended = self.channel_attention(features) * features
        attended = self.spatial_attention(attended) * attended
        return attended if self.gate is None else self.gate(features, attended)

    def channel_attention(self, features: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C, 1, 1, 1) in (0, 1)."""
        pooled = self.mlp(features.mean((2, 3, 4))) + self.mlp(features.amax((2, 3, 4)))
        return torch.sigmoid(pooled)[:, :, None, None, None]

    def spatial_attention(self, features: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, 1, D, H, W) in (0, 1)."""
        pooled = torch.cat([features.amax(1, keepdim=True), features.mean(1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(pooled))
