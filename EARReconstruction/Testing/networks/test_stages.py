"""Convolution stages, resizing, and the layout of slices."""

from __future__ import annotations

import pytest
import torch
from EARReconstructionLib.geometry import View, replicate
from EARReconstructionLib.networks.blocks.slices import slices_to_volume
from EARReconstructionLib.networks.blocks.stages import (
    LEAKY_SLOPE,
    ResidualBlock,
    UpConcat,
    conv_norm,
    conv_stage,
    resize,
)
from torch.nn import functional


@pytest.mark.parametrize(
    ("kernel", "stride", "side"),
    [(1, 1, 8), (3, 1, 8), (3, 2, 4), (4, 2, 4), (7, 1, 8)],
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_conv_norm_keeps_or_halves_the_size(kernel: int, stride: int, side: int, dimensions: int) -> None:
    stage = conv_norm(3, 5, kernel, stride, dimensions)
    assert stage(torch.randn(2, 3, *[8] * dimensions)).shape == (2, 5, *[side] * dimensions)
    assert stage[0].bias is None


@pytest.mark.parametrize(("activation", "slope"), [("relu", 0.0), ("leaky_relu", LEAKY_SLOPE)])
def test_conv_stage_is_conv_norm_activation(activation: str, slope: float) -> None:
    stage = conv_stage(3, 5, activation=activation)
    x = torch.randn(2, 3, 4, 4, 4)
    convolved = functional.conv3d(x, stage[0].weight, padding=1)
    normed = functional.batch_norm(convolved, None, None, training=True)
    torch.testing.assert_close(stage(x), functional.leaky_relu(normed, slope))


@pytest.mark.parametrize("out_channels", [3, 5])
def test_residual_block_adds_its_input(out_channels: int) -> None:
    block = ResidualBlock(3, out_channels)
    torch.nn.init.zeros_(block.body[1][1].weight)  # the body's last BN: nothing but the input is left
    x = torch.randn(2, 3, 4, 4, 4)
    expected = x if out_channels == 3 else functional.conv3d(x, block.project.weight)
    torch.testing.assert_close(block(x), functional.leaky_relu(expected, LEAKY_SLOPE))


def test_up_concat_doubles_the_size_and_keeps_the_shortcut_unchanged() -> None:
    shortcut = torch.randn(2, 3, 8, 8, 8)
    out = UpConcat(6, 4)(torch.randn(2, 6, 4, 4, 4), shortcut)
    assert out.shape == (2, 7, 8, 8, 8)
    assert torch.equal(out[:, 4:], shortcut)


def test_resize_averages_cells_when_shrinking() -> None:
    x = torch.randn(1, 1, 8, 8, 8)
    expected = x.reshape(1, 1, 2, 4, 2, 4, 2, 4).mean((3, 5, 7))
    torch.testing.assert_close(resize(x, torch.Size([2, 2, 2])), expected)


def test_resize_interpolates_when_enlarging() -> None:
    ramp = torch.arange(4.0).reshape(1, 1, 4, 1, 1).expand(1, 1, 4, 4, 4)
    out = resize(ramp, torch.Size([8, 8, 8]))
    torch.testing.assert_close(out[0, 0, 1:-1, 3, 3], torch.arange(0.25, 3, 0.5))


def test_slices_become_a_volume_in_k_j_i() -> None:
    """Row v is N - 1 - k, slice is j, column u is N - 1 - i."""
    slices = torch.zeros(1, 3, 4, 5)
    slices[0, 2, 1, 4] = 1
    volume = slices_to_volume(slices)
    assert volume.shape == (1, 1, 4, 3, 5)
    assert volume[0].nonzero().tolist() == [[0, 4 - 1 - 1, 2, 5 - 1 - 4]]


def test_slices_that_copy_the_ap_image_are_its_replication() -> None:
    """The slices' layout and the geometry's lift agree on where a pixel of the AP image lies."""
    ap = View(alpha_deg=0, beta_deg=0, sod_mm=1000, sdd_mm=1300, pixel_mm=1.3, height=6, width=6)
    image = torch.randn(6, 6)
    volume = slices_to_volume(image.expand(1, 6, 6, 6))
    assert torch.equal(volume[0, 0], replicate(image, ap, "frontal"))
