"""Convolution stages shared by the networks.

A convolution that a norm follows has no bias: the norm would subtract it again.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["relu", "leaky_relu"]

LEAKY_SLOPE = 0.01  # the paper names LeakyReLU without its slope; this is PyTorch's default


def activation_layer(activation: Activation) -> nn.Module:
    """In place, because only norms and sums precede it and neither needs its output for its gradient."""
    if activation == "relu":
        return nn.ReLU(inplace=True)
    return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)


def conv_norm(
    channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dimensions: Literal[2, 3] = 3
) -> nn.Sequential:
    """Conv, BN: (B, C, D, H, W) -> (B, C', D / stride, H / stride, W / stride), or (B, C, H, W) in 2-D."""
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dimensions == 2 else (nn.Conv3d, nn.BatchNorm3d)
    padding = (kernel - 1) // 2
    return nn.Sequential(
        conv(channels, out_channels, kernel, stride=stride, padding=padding, bias=False), norm(out_channels)
    )


def conv_stage(
    channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    dimensions: Literal[2, 3] = 3,
    activation: Activation = "leaky_relu",
) -> nn.Sequential:
    """Conv, BN, activation; shapes as in `conv_norm`."""
    stage = conv_norm(channels, out_channels, kernel, stride, dimensions)
    return stage.append(activation_layer(activation))


class ResidualBlock(nn.Module):
    """Conv 3, BN, activation, Conv 3, BN, plus the input, activation: (B, C, D, H, W) -> (B, C', D, H, W).

    The input passes a Conv 1 where the number of channels changes.
    """

    def __init__(self, channels: int, out_channels: int, activation: Activation = "leaky_relu") -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_stage(channels, out_channels, activation=activation), conv_norm(out_channels, out_channels)
        )
        same = channels == out_channels
        self.project = nn.Identity() if same else nn.Conv3d(channels, out_channels, 1, bias=False)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.project(x))


class GrowingGate(nn.Module):
    """x + g (block(x) - x) with one learnt g per channel, 0 at the start: a block that begins as the identity.

    At g = 1 it is the block itself. So a block that is not trained yet neither loses what its input says nor stands in
    the way of the gradient (SkipInit, De 2020; ReZero, Bachlechner 2021). x, block(x) (B, C, D, H, W) -> the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, changed: Tensor) -> Tensor:
        return torch.lerp(x, changed, self.gate.to(x.dtype)[:, None, None, None])


class UpConcat(nn.Module):
    """ConvTranspose 2, stride 2, then concatenation: (B, C, D, H, W) -> (B, C' + beside, 2D, 2H, 2W)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(channels, out_channels, 2, stride=2, bias=False)

    def forward(self, below: Tensor, *beside: Tensor) -> Tensor:
        return torch.cat([self.up(below), *beside], dim=1)


def resize(x: Tensor, size: torch.Size) -> Tensor:
    """(B, C, D, H, W) -> (B, C, *size): trilinear when enlarging, the mean of each cell when shrinking.

    The mean, because trilinear sampling at a stride of eight would see two voxels in eight and skip edges.
    """
    if size == x.shape[2:]:
        return x
    if size[0] < x.shape[2]:
        return functional.interpolate(x, size, mode="area")
    return functional.interpolate(x, size, mode="trilinear", align_corners=False)
