"""Frequency enhancement module (FEM), eq. 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPACE = (2, 3, 4)


class FrequencyEnhancement(nn.Module):
    """FEM, eq. 1: (B, C, D, H, W) -> (B, C, D, H, W).

    u = IN(F);  Z = FFT(u);  R = Conv_r(Re Z);  I = Conv_i(Im Z);  m = |IFFT(R + iI)|
    out = ReLU(IN(Conv3(concat(m, F))))

    The FFT runs over the three axes of space with norm="ortho". Everything is computed in float32, also under
    autocast, since half precision has neither the range nor the operators for a spectrum; the result is cast
    back to the dtype of the input.

    `kernel` 3 also mixes neighbouring frequencies, with circular padding because a spectrum is periodic.
    `kernel` 1 treats each frequency alone: a real input's spectrum then stays Hermitian, and half of it
    (rfft) is enough. Both convolutions have no bias: a constant over all frequencies is an impulse at voxel
    (0, 0, 0).
    """

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        if kernel not in (1, 3):
            raise ValueError(f"The frequency kernel must be 1 or 3, got {kernel}.")
        self.half_spectrum = kernel == 1
        self.normalise = nn.InstanceNorm3d(channels)
        self.conv_real, self.conv_imaginary = (
            nn.Conv3d(channels, channels, kernel, padding=kernel // 2, padding_mode="circular", bias=False)
            for _ in range(2)
        )
        self.fuse = nn.Sequential(
            nn.Conv3d(2 * channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm3d(channels, affine=True),
            nn.ReLU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            f = features.float()
            out = self.fuse(torch.cat([self.filter(self.normalise(f)), f], dim=1))
        return out.to(features.dtype)

    def filter(self, u: Tensor) -> Tensor:
        """m = |IFFT(Conv_r(Re Z) + i Conv_i(Im Z))| of Z = FFT(u), float32."""
        if self.half_spectrum:
            z = torch.fft.rfftn(u, dim=SPACE, norm="ortho")
            return torch.fft.irfftn(self.convolve(z), s=u.shape[2:], dim=SPACE, norm="ortho").abs()
        z = torch.fft.fftn(u, dim=SPACE, norm="ortho")
        return torch.fft.ifftn(self.convolve(z), dim=SPACE, norm="ortho").abs()

    def convolve(self, z: Tensor) -> Tensor:
        """Real and imaginary part, each with its own convolution."""
        return torch.complex(self.conv_real(z.real), self.conv_imaginary(z.imag))
