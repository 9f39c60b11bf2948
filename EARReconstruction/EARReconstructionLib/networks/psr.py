"""PSR: patient-specific reconstruction of volumetric CT from few views (Shen 2019)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .blocks.slices import slices_to_volume
from .blocks.stages import activation_layer, conv_norm
from .network import NetworkOutput, ReconstructionNetwork, require_images

FIRST_CHANNELS = 256  # of the encoder's first stage at width 1; each stage doubles them
STAGES = 5
FIRST_DEPTH = 2  # of the first three-dimensional map; the decoder's stages double it


class PSR(ReconstructionNetwork):
    """The two radiographs as channels (B, 2, N, N) -> volume (B, 1, N, N, N), N = `size` divisible by 32.

    For N = 128 and width 1 (589 M parameters; 0.25 has 37 M):

        encoder      256 x 64^2   512 x 32^2   1024 x 16^2   2048 x 8^2   4096 x 4^2
        transform    Conv 1, ReLU; (4096, 4, 4) seen as (2048, 2, 4, 4); ConvTranspose 1, ReLU
        decoder      1024 x (4, 8, 8)   512 x (8, 16, 16)  ...  64 x (64, 128, 128)
        head         Conv 1 to one channel, ReLU, (64, 128, 128); Conv2d 1 from 64 maps to 128 slices

    Another size changes the maps and not the layers: the plane has N / 32 pixels a side at the transform and
    N at the end, the depth has 2 and 64 whatever N is, and only the last convolution's slices follow N.
    """

    input_kind = "images"

    def __init__(self, in_channels: int = 2, size: int = 128, width: float = 1.0) -> None:
        super().__init__(in_channels=in_channels, size=size, width=width)
        if size <= 0 or size % 2**STAGES:
            raise ValueError(f"PSR's size must be divisible by {2**STAGES}, got {size}.")
        first = FIRST_CHANNELS * width
        if first < 4 or first % 4:
            raise ValueError(f"{FIRST_CHANNELS} x width must be a multiple of 4, got a width of {width}.")
        self.in_channels, self.size = in_channels, size

        widths = [int(first) * 2**stage for stage in range(STAGES)]
        self.encoder = nn.Sequential(*(EncoderStage(*pair) for pair in pairwise([in_channels, *widths])))
        self.transform = Transform(widths[-1])
        channels = widths[-1] // FIRST_DEPTH
        self.decoder = nn.Sequential()
        for stage in range(STAGES):
            self.decoder.append(decoder_stage(channels, channels // 2, refine=stage > 0))
            channels //= 2
        self.flatten = nn.Sequential(nn.Conv3d(channels, 1, 1), nn.ReLU())
        self.slices = nn.Conv2d(FIRST_DEPTH * 2**STAGES, size, 1)

    def forward(self, x: Tensor) -> NetworkOutput:
        require_images(x, self.in_channels, self.size)
        maps = self.flatten(self.decoder(self.transform(self.encoder(x)))).squeeze(1)
        return NetworkOutput(slices_to_volume(self.slices(maps)))


class EncoderStage(nn.Module):
    """y = BN(Conv 4/2/1(x)); ReLU(y + BN(Conv 3/1/1(ReLU(y)))): (B, C, H, W) -> (B, C', H/2, W/2)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.halve = conv_norm(channels, out_channels, kernel=4, stride=2, dimensions=2)
        self.refine = conv_norm(out_channels, out_channels, dimensions=2)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.halve(x)
        return self.activation(y + self.refine(self.activation(y)))


class Transform(nn.Module):
    """Feature transform from two to three dimensions: (B, C, H, W) -> (B, C/2, 2, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.plane = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU())
        out_channels = channels // FIRST_DEPTH
        self.space = nn.Sequential(nn.ConvTranspose3d(out_channels, out_channels, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.space(self.plane(x).unflatten(1, (-1, FIRST_DEPTH)))


def decoder_stage(channels: int, out_channels: int, refine: bool) -> nn.Sequential:
    """ConvTranspose 4/2/1, then Conv 3/1/1 if `refine`, each with BN and ReLU: doubles D, H and W.

    The first stage has no second convolution: this is the reading with 589 M parameters; with it, 617 M.
    """
    stage = nn.Sequential(
        nn.ConvTranspose3d(channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(out_channels),
        activation_layer("relu"),
    )
    if refine:
        stage.extend([conv_norm(out_channels, out_channels), activation_layer("relu")])
    return stage
