"""BX2S: BX2S-Net, 3-D spine from biplanar X-rays with fused and guided features (Chen 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks.stages import conv_stage
from .network import NetworkOutput, ReconstructionNetwork, require_volumes

DOWNS = 4


class BX2S(ReconstructionNetwork):
    """The replicated pair (B, 2, N, N, N) -> volume (B, 1, N, N, N), N divisible by 16.

    For N = 128 and width 8: a stem of 8 x 128^3; down to 16 x 64^3, 32 x 32^3, 64 x 16^3 and 128 x 8^3; up
    with ConvTranspose 2, stride 2 and Conv 3, and at each of the four decoder levels an FFAG that reads the
    encoder's maps of those four sizes; a Conv 1 head.
    """

    input_kind = "volumes"

    def __init__(self, in_channels: int = 2, width: int = 8) -> None:
        super().__init__(in_channels=in_channels, width=width)
        if width < DOWNS or width % DOWNS:
            raise ValueError(f"BX2S's width must be divisible by {DOWNS}, got {width}.")
        self.in_channels = in_channels
        widths = [width * 2**level for level in range(DOWNS + 1)]
        skips = widths[:-1]
        self.stem = conv_stage(in_channels, width, activation="relu")
        self.down = nn.ModuleList(
            nn.Sequential(
                conv_stage(channels, 2 * channels, stride=2, activation="relu"),
                conv_stage(2 * channels, 2 * channels, activation="relu"),
            )
            for channels in skips
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose3d(2 * channels, channels, 2, stride=2, bias=False),
                conv_stage(channels, channels, activation="relu"),
            )
            for channels in reversed(skips)
        )
        self.fuse = nn.ModuleList(FFAG(skips, channels) for channels in reversed(skips))
        self.head = nn.Conv3d(width, 1, 1)

    def forward(self, x: Tensor) -> NetworkOutput:
        require_volumes(x, self.in_channels, divisor=2**DOWNS)
        features = [self.stem(x)]
        for down in self.down:
            features.append(down(features[-1]))
        *skips, y = features
        for up, fuse in zip(self.up, self.fuse, strict=True):
            y = fuse(skips, up(y))
        return NetworkOutput(self.head(y))


class FFAG(nn.Module):
    """Feature fusion with attention guidance, at a decoder level of C channels.

    S = concat of the encoder's maps, each brought to this level's size with C / 4 channels
    guide = sigmoid(FC(ReLU(FC(GAP(conv(concat(S, up)))))));  out = conv(concat(S guide, up))

    maps: four of (B, C_e, ...), any sizes; up (B, C, D, H, W) -> (B, C, D, H, W).
    """

    def __init__(self, map_channels: list[int], channels: int) -> None:
        super().__init__()
        share = channels // len(map_channels)
        self.bring = nn.ModuleList(conv_stage(c, share, activation="relu") for c in map_channels)
        self.mix = conv_stage(2 * channels, channels, activation="relu")
        self.guide = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))
        self.out = conv_stage(2 * channels, channels, activation="relu")

    def forward(self, maps: list[Tensor], up: Tensor) -> Tensor:
        size = up.shape[2:]
        fused = torch.cat([bring_to(size, m, conv) for m, conv in zip(maps, self.bring, strict=True)], dim=1)
        pooled = self.mix(torch.cat([fused, up], dim=1)).mean((2, 3, 4))
        guide = torch.sigmoid(self.guide(pooled))[:, :, None, None, None]
        return self.out(torch.cat([fused * guide, up], dim=1))


def bring_to(size: torch.Size, x: Tensor, conv: nn.Module) -> Tensor:
    """A larger map is max-pooled and convolved, a smaller one convolved and repeated: the cheaper order."""
    if x.shape[2] > size[0]:
        return conv(functional.adaptive_max_pool3d(x, list(size)))
    x = conv(x)
    return x if x.shape[2:] == size else functional.interpolate(x, size, mode="nearest")
