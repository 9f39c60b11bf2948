"""SIT: single-image tomography (Henzler 2018), a 2-D network whose output channels are the slices."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from .blocks.slices import slices_to_volume
from .blocks.stages import activation_layer, conv_norm, conv_stage
from .network import NetworkOutput, ReconstructionNetwork, require_images

STEM_CHANNELS = (64, 128, 128, 128, 256)
CHANNELS = STEM_CHANNELS[-1]
LEVELS = 4  # three and the bottom
BLOCKS, BOTTOM_BLOCKS = 3, 5

# The width inside a bottleneck, as a share of its output, is our reading: it gives the network its size of
# about 9 M parameters, where the usual half would give 4 M.
BOTTLENECK = 25 / 32


class SIT(ReconstructionNetwork):
    """The two radiographs as channels (B, 2, N, N) -> volume (B, 1, N, N, N), N = `size` divisible by 16.

    stem     Conv 7 to 64 channels, bottlenecks to 256, at N^2
    down     three levels of max-pool and three blocks, to (N/8)^2
    bottom   max-pool, five blocks, depthwise up-convolution
    up       three levels of block and depthwise up-convolution, back to N^2
    head     Conv 1 to 256, Conv 1 to N slices

    After every up-convolution the features of the same size are added. Made for one image; here two, as
    channels, and with stride 1 in the stem so that the slices have N^2 pixels.
    """

    input_kind = "images"

    def __init__(self, in_channels: int = 2, size: int = 128) -> None:
        super().__init__(in_channels=in_channels, size=size)
        if size <= 0 or size % 2**LEVELS:
            raise ValueError(f"SIT's size must be divisible by {2**LEVELS}, got {size}.")
        self.in_channels, self.size = in_channels, size
        self.stem = nn.Sequential(
            conv_stage(in_channels, STEM_CHANNELS[0], kernel=7, dimensions=2, activation="relu"),
            *(Bottleneck(*pair) for pair in pairwise(STEM_CHANNELS)),
        )
        self.down = nn.ModuleList(blocks(BLOCKS) for _ in range(LEVELS - 1))
        self.up = nn.ModuleList(
            nn.Sequential(blocks(count), upsample()) for count in (BOTTOM_BLOCKS, *[1] * (LEVELS - 1))
        )
        self.head = nn.Sequential(
            conv_stage(CHANNELS, CHANNELS, kernel=1, dimensions=2, activation="relu"),
            nn.Conv2d(CHANNELS, size, 1),
        )

    def forward(self, x: Tensor) -> NetworkOutput:
        require_images(x, self.in_channels, self.size)
        skips = [self.stem(x)]
        for stage in self.down:
            skips.append(stage(functional.max_pool2d(skips[-1], 2)))
        y = functional.max_pool2d(skips[-1], 2)
        for stage, skip in zip(self.up, reversed(skips), strict=True):
            y = stage(y) + skip
        return NetworkOutput(slices_to_volume(self.head(y)))


class Bottleneck(nn.Module):
    """Conv 1, Conv 3, Conv 1 plus the input, each with BN: (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        inner = int(out_channels * BOTTLENECK)
        self.body = nn.Sequential(
            conv_stage(channels, inner, kernel=1, dimensions=2, activation="relu"),
            conv_stage(inner, inner, dimensions=2, activation="relu"),
            conv_norm(inner, out_channels, kernel=1, dimensions=2),
        )
        same = channels == out_channels
        self.project = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1, bias=False)
        self.activation = activation_layer("relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.project(x))


def blocks(count: int) -> nn.Sequential:
    """`count` bottlenecks at the width of all levels."""
    return nn.Sequential(*(Bottleneck(CHANNELS, CHANNELS) for _ in range(count)))


def upsample() -> nn.ConvTranspose2d:
    """Depthwise ConvTranspose 4/2/1: doubles H and W."""
    return nn.ConvTranspose2d(CHANNELS, CHANNELS, 4, stride=2, padding=1, groups=CHANNELS, bias=False)
