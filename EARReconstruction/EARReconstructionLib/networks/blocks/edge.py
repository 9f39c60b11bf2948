"""Edge attention module (EAM), eq. 2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .stages import ResidualBlock, conv_stage, resize


class Gate(nn.Module):
    """Gated convolution of eq. 2: g = sigmoid(Conv(Conv(concat(F, Fg)))), out = g F + F.

    F (B, C, D, H, W) and its guide Fg (B, G, D', H', W') -> (B, C, D, H, W). The kernels are not printed: Conv 1
    for both, as in the gated convolution of Gated-SCNN (Takikawa 2019), with BN and LeakyReLU between them,
    because two convolutions in a row are one.

    Fg may be smaller than F: it is enlarged after its half of the first convolution, which is the same as before it,
    because one works across channels and the other across space, and takes a fraction of the time.
    """

    def __init__(self, channels: int, guide_channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            conv_stage(channels + guide_channels, channels, kernel=1),
            nn.Conv3d(channels, channels, 1),
        )

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        mix, *rest = (layer for layer in self.gate.modules() if not isinstance(layer, nn.Sequential))
        own, guiding = mix.get_parameter("weight").split((features.shape[1], guide.shape[1]), dim=1)
        mixed = functional.conv3d(features, own)
        mixed = mixed + resize(functional.conv3d(guide, guiding), features.shape[2:])
        for layer in rest:
            mixed = layer(mixed)
        return torch.sigmoid(mixed) * features + features


class EdgeAttention(nn.Module):
    """EAM, eq. 2: the first three encoder features -> edge map A (B, 1, D, H, W) in (0, 1), at e1's size.

    s = Res(e1);  s = Gate(s, up(e2));  s = Res(s);  s = Gate(s, up(e3));  A = sigmoid(Conv1(s))
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        c1, c2, c3 = channels
        self.residual1 = ResidualBlock(c1, c1)
        self.gate2 = Gate(c1, c2)
        self.residual2 = ResidualBlock(c1, c1)
        self.gate3 = Gate(c1, c3)
        self.head = nn.Conv3d(c1, 1, 1)

    def forward(self, e1: Tensor, e2: Tensor, e3: Tensor) -> Tensor:
        s = self.residual1(e1)
        s = self.gate2(s, e2)
        s = self.residual2(s)
        s = self.gate3(s, e3)
        # float32: a half-precision sigmoid reaches 0 and 1, where an entropy loss has no gradient
        return torch.sigmoid(self.head(s).float())
