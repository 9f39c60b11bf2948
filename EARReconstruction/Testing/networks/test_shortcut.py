"""ABS, eq. 3-4."""

from __future__ import annotations

from math import exp

import pytest
import torch
from EARReconstructionLib.networks.blocks.shortcut import AttentionShortcut
from torch import Tensor


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


@pytest.fixture
def small() -> tuple[AttentionShortcut, Tensor]:
    """Two channels of 2 x 2 x 2: ones with a three at voxel (0, 0, 1), and minus two everywhere.

    The MLP copies its two inputs (hidden units 0 and 1), the spatial convolution is its centre: maximum times
    one plus mean times a half minus a quarter.
    """
    attention = AttentionShortcut(2)
    first, _, last = attention.mlp
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()
        first.weight[:2] = torch.eye(2)
        last.weight[:, :2] = torch.eye(2)
        attention.conv.weight[0, :, 3, 3, 3] = torch.tensor([1.0, 0.5])
        attention.conv.bias.fill_(-0.25)
    features = torch.ones(1, 2, 2, 2, 2)
    features[0, 0, 0, 0, 1] = 3
    features[0, 1] = -2
    return attention, features


# Channel 0: mean 1.25, maximum 3. Channel 1: both -2, of which the LeakyReLU leaves -0.02.
CHANNEL = (sigmoid(1.25 + 3), sigmoid(-0.02 - 0.02))


def test_channel_attention_by_hand(small: tuple[AttentionShortcut, Tensor]) -> None:
    attention, features = small
    out = attention.channel_attention(features)
    torch.testing.assert_close(out, torch.tensor(CHANNEL).reshape(1, 2, 1, 1, 1))


def test_output_by_hand(small: tuple[AttentionShortcut, Tensor]) -> None:
    attention, features = small
    out = attention(features)
    for voxel, value in (((0, 0, 1), 3.0), ((1, 1, 1), 1.0)):
        first, second = CHANNEL[0] * value, CHANNEL[1] * -2
        space = sigmoid(first + 0.5 * (first + second) / 2 - 0.25)
        torch.testing.assert_close(out[(0, slice(None), *voxel)], torch.tensor([first, second]) * space)


def test_identity_start_goes_from_the_input_to_the_attended(small: tuple[AttentionShortcut, Tensor]) -> None:
    attention, features = small
    growing = AttentionShortcut(2, identity_start=True)
    growing.load_state_dict(attention.state_dict(), strict=False)
    torch.testing.assert_close(growing(features), features)
    torch.nn.init.ones_(growing.gate.gate)
    torch.testing.assert_close(growing(features), attention(features))


def test_spatial_attention_reaches_three_voxels() -> None:
    """Conv 7, eq. 4: with equal channels only space decides."""
    attention = AttentionShortcut(2)
    torch.nn.init.ones_(attention.conv.weight)
    features = torch.zeros(1, 2, 9, 9, 9)
    features[0, :, 4, 4, 4] = 1
    seen = attention.spatial_attention(features)[0, 0] > attention.spatial_attention(0 * features)[0, 0]
    expected = torch.zeros(9, 9, 9, dtype=torch.bool)
    expected[1:8, 1:8, 1:8] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize(("channels", "hidden"), [(8, 4), (16, 4), (64, 4), (128, 8), (256, 16)])
def test_hidden_units(channels: int, hidden: int) -> None:
    assert AttentionShortcut(channels).mlp[0].out_features == hidden
