"""Frequency enhancement module (FEM), eq. 1."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .stages import GrowingGate

SPACE = (2, 3, 4)

FrequencyNorm = Literal["instance", "batch"]


class FrequencyEnhancement(nn.Module):
    """FEM, eq. 1: (B, C, D, H, W) -> (B, C, D, H, W).

    u = IN(F);  Z = FFT(u);  R = Conv_r(Re Z);  I = Conv_i(Im Z);  m = |IFFT(R + iI)|
    out = ReLU(IN(Conv3(concat(m, F))))

    The FFT runs over the three axes of space with norm="ortho". Everything is computed in float32, also under
    autocast, since half precision has neither the range nor the operators for a spectrum; the result is cast
    back to the dtype of the input.

    `kernel` 3 also mixes neighbouring frequencies, with circular padding because a spectrum is periodic.
    `kernel` 1 treats each frequency alone, and then needs no transform: the real part of a real input's spectrum is
    that of its even half (u(x) + u(-x)) / 2, the imaginary part that of its odd half, and a convolution across
    channels commutes with the FFT. So m = |Conv_r(even) + Conv_i(odd)|, to the digit. Both convolutions have no bias:
    a constant over all frequencies is an impulse at voxel (0, 0, 0).

    norm: "instance" as printed takes each sample's own mean and spread out of its features, and with them how much
    bone its rays passed; "batch" keeps it. identity_start: out = F + g (out - F) with g = 0 at the start.
    """

    def __init__(
        self, channels: int, kernel: int = 3, norm: FrequencyNorm = "instance", identity_start: bool = False
    ) -> None:
        super().__init__()
        if kernel not in (1, 3):
            raise ValueError(f"The frequency kernel must be 1 or 3, got {kernel}.")
        if norm not in ("instance", "batch"):
            raise ValueError(f"The frequency norm must be 'instance' or 'batch', got {norm!r}.")
        kind = nn.InstanceNorm3d if norm == "instance" else nn.BatchNorm3d
        self.kernel = kernel
        self.normalise = kind(channels, affine=False)
        self.conv_real, self.conv_imaginary = (
            nn.Conv3d(channels, channels, kernel, padding=kernel // 2, padding_mode="circular", bias=False)
            for _ in range(2)
        )
        self.fuse = nn.Sequential(
            nn.Conv3d(2 * channels, channels, 3, padding=1, bias=False),
            kind(channels, affine=True),
            nn.ReLU(),
        )
        self.gate = GrowingGate(channels) if identity_start else None

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            f = features.float()
            out = self.fuse(torch.cat([self.filter(self.normalise(f)), f], dim=1))
            if self.gate is not None:
                out = self.gate(f, out)
        return out.to(features.dtype)

    def filter(self, u: Tensor) -> Tensor:
        """m = |IFFT(Conv_r(Re Z) + i Conv_i(Im Z))| of Z = FFT(u), float32."""
        if self.kernel == 1:
            opposite = u.flip(SPACE).roll((1, 1, 1), SPACE)  # u(-x), the grid being periodic
            return (self.conv_real(u + opposite) / 2 + self.conv_imaginary(u - opposite) / 2).abs()
        z = torch.fft.fftn(u, dim=SPACE, norm="ortho")
        z = torch.complex(self.conv_real(z.real), self.conv_imaginary(z.imag))
        return torch.fft.ifftn(z, dim=SPACE, norm="ortho").abs()
