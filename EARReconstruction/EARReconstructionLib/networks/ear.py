"""EAR, edge-aware reconstruction of vertebrae from two radiographs (arXiv 2407.20937, section 3)."""

from __future__ import annotations

from itertools import zip_longest
from typing import Literal

import torch
from torch import Tensor, nn

from .blocks.edge import EdgeAttention
from .blocks.frequency import FrequencyEnhancement, FrequencyNorm
from .blocks.shortcut import AttentionShortcut
from .blocks.stages import GrowingGate, UpConcat, conv_stage, resize
from .network import NetworkOutput, ReconstructionNetwork, require_volumes

LEVELS = 5
ENHANCED_LEVELS = 3  # e1, e2, e3: those with a FEM, and those the EAM reads

EdgeFusion = Literal["multiply", "concat"]


class EAR(ReconstructionNetwork):
    """The two lifted radiographs (B, 2, N, N, N) -> volume and edge map, N divisible by 32.

    Shapes for N = 128 and width 16 (N^3 stands for N x N x N):

        e1 .. e5    16 x 64^3   32 x 32^3   64 x 16^3   128 x 8^3   256 x 4^3
        d1 .. d5   128 x  8^3   64 x 16^3   32 x 32^3    16 x 64^3    8 x 128^3
        A_1 .. A_5   1 x the size of d1 .. d5
        volume       1 x 128^3

    in_channels: number of lifted images.
    width: channels of e1; each level doubles them.
    stem_stride: 2 as in the paper; 1 adds e0 (width / 2 at N^3) before e1, with a shortcut of its own to d5: a plain
        one, because attention over N^3 voxels takes as long as the whole encoder.
    input_shortcut: d5, the only stage at N^3, also gets the lifted images themselves; not in the paper.
    frequency_enhancement, edge_attention, attention_shortcuts: the paper's three modules, each on or off
        (Table 2). Without attention a shortcut is a plain concatenation.
    edge_fusion: "multiply" weights each decoder stage with (1 + A_l); "concat" gives A_l to the stage's
        convolution as one more channel.
    frequency_kernel: kernel of the FEM's convolutions on the spectrum, 1 or 3. The paper does not print it.
    frequency_norm: of the FEM; "instance" as printed, "batch" keeps how bright each sample is.
    identity_start: FEM, ABS and the edges' weighting begin as the identity (``GrowingGate``), so that the network
        begins as a plain U-Net and each block grows as far as it helps; not in the paper.
    """

    input_kind = "volumes"

    def __init__(
        self,
        in_channels: int = 2,
        width: int = 16,
        stem_stride: int = 2,
        frequency_enhancement: bool = True,
        edge_attention: bool = True,
        attention_shortcuts: bool = True,
        edge_fusion: EdgeFusion = "multiply",
        frequency_kernel: int = 3,
        frequency_norm: FrequencyNorm = "instance",
        identity_start: bool = False,
        input_shortcut: bool = False,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            width=width,
            stem_stride=stem_stride,
            frequency_enhancement=frequency_enhancement,
            edge_attention=edge_attention,
            attention_shortcuts=attention_shortcuts,
            edge_fusion=edge_fusion,
            frequency_kernel=frequency_kernel,
            frequency_norm=frequency_norm,
            identity_start=identity_start,
            input_shortcut=input_shortcut,
        )
        if width < 2 or width % 2:
            raise ValueError(f"The width must be even, because the last stage has half of it; got {width}.")
        if stem_stride not in (1, 2):
            raise ValueError(f"The stem's stride must be 1 or 2, got {stem_stride}.")
        if edge_fusion not in ("multiply", "concat"):
            raise ValueError(f"The edge fusion must be 'multiply' or 'concat', got {edge_fusion!r}.")

        widths = [width * 2**level for level in range(LEVELS)]
        finest = width // 2
        self.in_channels, self.input_shortcut = in_channels, input_shortcut
        self.encoder = nn.ModuleList()
        channels = in_channels
        if stem_stride == 1:
            self.encoder.append(EncoderStage(channels, finest, stride=1))
            channels = finest
        for level, out_channels in enumerate(widths):
            enhance = None
            if frequency_enhancement and level < ENHANCED_LEVELS:
                enhance = FrequencyEnhancement(out_channels, frequency_kernel, frequency_norm, identity_start)
            self.encoder.append(EncoderStage(channels, out_channels, enhance=enhance))
            channels = out_channels

        e1, e2, e3 = widths[:ENHANCED_LEVELS]
        self.edge_attention = EdgeAttention((e1, e2, e3)) if edge_attention else None

        self.decoder = nn.ModuleList()
        for out_channels in [*reversed(widths[:-1]), finest]:
            last = out_channels == finest
            beside = out_channels
            if last:
                beside = finest * (stem_stride == 1) + in_channels * input_shortcut
            self.decoder.append(
                DecoderStage(
                    channels,
                    out_channels,
                    shortcut_channels=beside,
                    attention_shortcut=attention_shortcuts and not last,
                    edge_fusion=edge_fusion if edge_attention else None,
                    identity_start=identity_start,
                )
            )
            channels = out_channels
        self.head = nn.Conv3d(channels, 1, 1)

    def forward(self, x: Tensor) -> NetworkOutput:
        require_volumes(x, self.in_channels, divisor=2**LEVELS)
        features = self.encode(x)
        edges = self.attend(features)
        decoded = self.decode(features, edges, x)
        volume = self.head(decoded[-1])
        return NetworkOutput(volume, None if edges is None else resize(edges, volume.shape[2:]))

    def encode(self, x: Tensor) -> list[Tensor]:
        """(B, 2, N, N, N) -> [e1, ..., e5], with e0 before them where the stem's stride is 1."""
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        return features

    def attend(self, features: list[Tensor]) -> Tensor | None:
        """The encoder's features -> edge map A (B, 1, N/2, N/2, N/2), or None without edge attention."""
        if self.edge_attention is None:
            return None
        return self.edge_attention(*features[-LEVELS:][:ENHANCED_LEVELS])

    def decode(self, features: list[Tensor], edges: Tensor | None, x: Tensor) -> list[Tensor]:
        """The encoder's features, the edge map and the network's input -> [d1, ..., d5]."""
        *shortcuts, below = features[-LEVELS:]
        finest = features[:-LEVELS] + [x] * self.input_shortcut
        if finest:
            shortcuts = [torch.cat(finest, dim=1), *shortcuts]
        decoded = []
        for stage, shortcut in zip_longest(self.decoder, reversed(shortcuts)):
            below = stage(below, shortcut, edges)
            decoded.append(below)
        return decoded


class EncoderStage(nn.Module):
    """Conv 3, stride 2; Conv 3; each with BN and LeakyReLU; FEM where one is given.

    (B, C, D, H, W) -> (B, C', D/2, H/2, W/2).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        stride: int = 2,
        enhance: FrequencyEnhancement | None = None,
    ) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            conv_stage(channels, out_channels, stride=stride), conv_stage(out_channels, out_channels)
        )
        self.enhance = enhance or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.enhance(self.convolve(x))


class DecoderStage(nn.Module):
    """ConvTranspose 2, stride 2; concat ABS(e); Conv 3, BN, LeakyReLU; weighted with the edge map A_l.

    below (B, C, D, H, W), shortcut (B, S, 2D, 2H, 2W) or None, edges (B, 1, ...) of any size or None
    -> (B, C', 2D, 2H, 2W).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        shortcut_channels: int,
        attention_shortcut: bool,
        edge_fusion: EdgeFusion | None,
        identity_start: bool = False,
    ) -> None:
        super().__init__()
        self.edge_fusion = edge_fusion
        attended = attention_shortcut and shortcut_channels > 0
        self.attend = AttentionShortcut(shortcut_channels, identity_start) if attended else nn.Identity()
        self.up = UpConcat(channels, out_channels)
        beside = shortcut_channels + (edge_fusion == "concat")
        self.convolve = conv_stage(out_channels + beside, out_channels)
        self.weigh = GrowingGate(out_channels) if identity_start and edge_fusion == "multiply" else None
        if identity_start and edge_fusion == "concat":
            with torch.no_grad():
                self.convolve.get_parameter("0.weight")[:, -1].zero_()  # the edges' channel

    def forward(self, below: Tensor, shortcut: Tensor | None, edges: Tensor | None) -> Tensor:
        x = self.up(below) if shortcut is None else self.up(below, self.attend(shortcut))
        if edges is None:
            return self.convolve(x)
        edges = resize(edges, x.shape[2:]).to(x.dtype)
        if self.edge_fusion == "concat":
            return self.convolve(torch.cat([x, edges], dim=1))
        x = self.convolve(x)
        weighted = x * (1 + edges)
        return weighted if self.weigh is None else self.weigh(x, weighted)
