"""E2E: end-to-end convolutional reconstruction from biplanar X-rays (Kasten 2020), a 3-D U-Net."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks.contrast import CELL, WINDOWS, local_contrast
from .blocks.stages import ResidualBlock, UpConcat, conv_stage
from .network import NetworkOutput, ReconstructionNetwork, require_volumes

LEVELS = 5


class E2E(ReconstructionNetwork):
    """The replicated pair (B, 2, N, N, N) -> volume (B, 1, N, N, N), N divisible by 16.

    Channels 8, 16, 32, 64, 128 at N^3 ... (N/16)^3 for `width` 8. Per level two Conv 3 with BN and ReLU and a
    residual, then max-pool 2; up with ConvTranspose 2, stride 2, concatenation and two Conv 3; a Conv 1 head.

    `local_contrast` (ours) shows the first level the local contrast of the pair beside the pair; N is 32 or more then.
    """

    input_kind = "volumes"

    def __init__(self, in_channels: int = 2, width: int = 8, local_contrast: bool = False) -> None:
        super().__init__(in_channels=in_channels, width=width, local_contrast=local_contrast)
        self.in_channels, self.local_contrast = in_channels, local_contrast
        seen = in_channels * (1 + len(WINDOWS)) if local_contrast else in_channels
        widths = [width * 2**level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(ResidualBlock(*pair, activation="relu") for pair in pairwise([seen, *widths]))
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for channels in reversed(widths[:-1]):
            self.up.append(UpConcat(2 * channels, channels))
            self.decoder.append(
                nn.Sequential(
                    conv_stage(2 * channels, channels, activation="relu"),
                    conv_stage(channels, channels, activation="relu"),
                )
            )
        self.head = nn.Conv3d(width, 1, 1)

    def forward(self, x: Tensor) -> NetworkOutput:
        at_least = CELL * max(WINDOWS) if self.local_contrast else 0
        require_volumes(x, self.in_channels, 2 ** (LEVELS - 1), at_least)
        if self.local_contrast:
            x = torch.cat([x, local_contrast(x)], 1)
        return NetworkOutput(self.head(self.decode(self.encode(x))[-1]))

    def encode(self, x: Tensor) -> list[Tensor]:
        """(B, 2, N, N, N) -> the features of each level, finest first."""
        features = [self.encoder[0](x)]
        for stage in self.encoder[1:]:
            features.append(stage(functional.max_pool3d(features[-1], 2)))
        return features

    def decode(self, features: list[Tensor]) -> list[Tensor]:
        """The features of each level, finest first -> the decoder's, coarsest first."""
        *shortcuts, below = features
        decoded = []
        for up, stage, shortcut in zip(self.up, self.decoder, reversed(shortcuts), strict=True):
            below = stage(up(below, shortcut))
            decoded.append(below)
        return decoded
