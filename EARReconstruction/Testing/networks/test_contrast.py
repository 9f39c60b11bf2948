"""Local contrast: faint edges beside strong gradients, and the same whatever the exposure and whichever side."""

from __future__ import annotations

import pytest
import torch
from EARReconstructionLib.networks import build
from EARReconstructionLib.networks.blocks.contrast import CELL, WINDOWS, local_contrast
from torch import Tensor

SIZE = 32


@pytest.fixture
def lifted() -> Tensor:
    """(2, 2, N, N, N), no two sides alike."""
    return torch.randn(2, 2, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def test_each_window_gives_a_volume_for_each_of_the_pair(lifted: Tensor) -> None:
    found = local_contrast(lifted)
    assert found.shape == (2, 2 * len(WINDOWS), SIZE, SIZE, SIZE)
    for window in range(len(WINDOWS)):
        for image in range(2):
            own = local_contrast(lifted[:, image : image + 1])[:, window]
            torch.testing.assert_close(found[:, 2 * window + image], own)


def test_gain_and_offset_make_no_difference(lifted: Tensor) -> None:
    torch.testing.assert_close(local_contrast(0.3 * lifted + 2), local_contrast(lifted), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_a_mirrored_input_gives_the_mirrored_output(lifted: Tensor, axis: int) -> None:
    torch.testing.assert_close(local_contrast(lifted.flip(axis)), local_contrast(lifted).flip(axis))


def test_a_faint_plate_stands_out_from_a_strong_gradient() -> None:
    """An endplate in a lateral X-ray, where soft tissue fades by 3.5 SD of the image from one side to the other."""
    gradient = torch.linspace(-1.73, 1.73, 64).expand(1, 1, 64, 64, 64)
    plate = torch.zeros_like(gradient)
    plate[:, :, 29] = 0.15
    for found in local_contrast(gradient + plate)[0]:
        middle = found[8:56, 8:56, 32]
        assert (middle[29 - 8] - middle[24 - 8]).min() > 3 * 0.15
        assert middle.argmax(0).unique().tolist() == [29 - 8]


def test_what_is_flat_has_no_contrast() -> None:
    assert local_contrast(torch.full((1, 2, SIZE, SIZE, SIZE), 1.7)).abs().max() < 1e-4


def test_the_network_sees_it_behind_the_pair(lifted: Tensor) -> None:
    """Without weights for it, it is the network that does not see it; with them, it is another."""
    torch.manual_seed(0)
    seeing, plain = (build("E2E", width=4, local_contrast=sees).eval() for sees in (True, False))
    first = [name for name, weights in plain.state_dict().items() if weights.shape != seeing.state_dict()[name].shape]
    assert len(first) == 2  # the first convolution and the residual beside it
    weights = seeing.state_dict()
    plain.load_state_dict(weights | {name: weights[name][:, :2] for name in first})
    with torch.no_grad():
        assert not torch.allclose(seeing(lifted).volume, plain(lifted).volume, atol=1e-2)
        for name in first:
            weights[name][:, 2:] = 0
        torch.testing.assert_close(seeing(lifted).volume, plain(lifted).volume)


def test_a_size_that_cells_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="divisible by 16"):
        build("E2E", width=2, local_contrast=True)(torch.zeros(1, 2, SIZE + CELL, SIZE, SIZE))


def test_a_size_that_is_smaller_than_a_window_is_refused() -> None:
    small = torch.zeros(1, 2, 16, 16, 16)
    with pytest.raises(ValueError, match="20 or more"):
        build("E2E", width=2, local_contrast=True)(small)
    build("E2E", width=2).eval()(small)
