"""Each term of the loss against numbers worked out by hand, and what must not change it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from EARTrainingLib.losses import (
    attention_loss,
    dice_loss,
    edge_loss,
    edge_map,
    edge_scale,
    frequency_distance,
    frequency_loss,
    projection_loss,
    reconstruction_loss,
)
from scipy import ndimage
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def row(*values: float) -> Tensor:
    """(1, 1, 1, 1, W)"""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 1, -1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    return noise(*shape), noise(*shape, seed=1)


def gradient(loss: Loss, predicted: Tensor, target: Tensor) -> Tensor:
    predicted = predicted.clone().requires_grad_()
    loss(predicted, target).backward()
    assert predicted.grad is not None
    return predicted.grad


class TestReconstruction:
    def test_by_hand(self) -> None:
        """|1 - 0|, |2 - 4|, |-1 - 2| -> 6 / 3."""
        assert reconstruction_loss(row(1, 2, -1), row(0, 4, 2)).item() == 2


class TestProjection:
    def test_by_hand(self) -> None:
        """Nothing against [[[5, 1], [0, 0]], [[0, 0], [2, -3]]]: maxima

        along k  [[5, 1], [2, 0]]   mean 8 / 4
        along j  [[5, 1], [2, 0]]   mean 8 / 4
        along i  [[5, 0], [0, 2]]   mean 7 / 4
        """
        predicted = torch.tensor([[[5.0, 1], [0, 0]], [[0, 0], [2, -3]]])[None, None]
        assert projection_loss(predicted, torch.zeros(1, 1, 2, 2, 2)).item() == 23 / 4

    def test_only_what_stands_out_along_an_axis_is_seen(self) -> None:
        """A voxel of 0.5 behind walls of 1 along k and j: one of the 16 pixels along i. With a third wall: nothing."""
        target = torch.zeros(1, 1, 4, 4, 4)
        target[0, 0, 0] = target[0, 0, :, 0] = 1
        predicted = target.clone()
        predicted[0, 0, 1, 1, 1] = 0.5
        assert projection_loss(predicted, target).item() == 0.5 / 16
        target[..., 0] = predicted[..., 0] = 1
        assert projection_loss(predicted, target).item() == 0


class TestDice:
    def test_by_hand(self) -> None:
        """A sharp step: one voxel of three found, one more that is none: 1 - 2 1 / (2 + 3)."""
        predicted, target = row(9, 9, 0, 0, 0), row(9, 0, 9, 9, 0)
        assert dice_loss(predicted, target, bone=(4.5, 0.01)).item() == pytest.approx(1 - 2 / 5)

    def test_the_inside_of_the_bone_and_the_air_around_it_do_not_count(self) -> None:
        target = row(0, 0, 5, 5)
        assert dice_loss(row(-2, 1, 9, 4), target, bone=(2.5, 0.05)).item() == pytest.approx(0, abs=1e-6)
        padded = torch.nn.functional.pad(torch.cat([row(0, 5, 5, 0), target]), (50, 50))
        loss = dice_loss(padded[:1], padded[1:], bone=(2.5, 0.05))
        torch.testing.assert_close(loss, dice_loss(row(0, 5, 5, 0), target, bone=(2.5, 0.05)))


class TestEdges:
    def test_a_ramp(self) -> None:
        """Slope 2 per voxel and scale 2: (4 + 0.01 4) / (4 + 4); flat: 0.01."""
        ramp = 2 * torch.arange(7.0)
        for axis in (-1, -2, -3):
            shape = [1, 1, 5, 5, 5]
            shape[axis] = 7
            along = [1] * 5
            along[axis] = 7
            edges = edge_map(ramp.reshape(along).expand(shape), 2.0)
            torch.testing.assert_close(edges.narrow(axis, 1, 5), torch.full((1, 1, 5, 5, 5), 0.505))
        torch.testing.assert_close(edge_map(torch.ones(1, 1, 4, 4, 4), 2.0), torch.full((1, 1, 4, 4, 4), 0.01))

    def test_one_bright_voxel(self) -> None:
        """8 at the centre. One voxel above it: (0 - 8) / 2 smoothed by 1/2 and 1/2 is -1 along k, and 0 along j and i.

        One above and one beside: -4 times 1/4 and 1/2 is -1/2 along k, the same along j. At the centre itself: 0.
        """
        volume = torch.zeros(1, 1, 5, 5, 5)
        volume[0, 0, 2, 2, 2] = 8
        edges = edge_map(volume, 1.0)[0, 0]
        assert edges[2, 2, 2] == pytest.approx(0.01)
        for above in (edges[3, 2, 2], edges[2, 1, 2], edges[2, 2, 3]):
            assert above == pytest.approx(1.01 / 2)
        for beside in (edges[3, 1, 2], edges[2, 1, 1]):
            assert beside == pytest.approx((0.5 + 0.01) / 1.5)

    def test_scipy_has_the_same_gradient(self) -> None:
        volume = noise(6, 7, 8)
        squared = sum((ndimage.sobel(volume.numpy(), axis, mode="nearest") / 32) ** 2 for axis in range(3))
        expected = torch.from_numpy((squared + 0.0225) / (squared + 2.25))
        torch.testing.assert_close(edge_map(volume[None, None], 1.5)[0, 0], expected)

    def test_loss_by_hand(self) -> None:
        """Target 0, 1, 2 with repeated borders: m = 1/2, 1, 1/2, E = 0.26 / 1.25, 1.01 / 2, 0.26 / 1.25 at scale 1.

        The prediction is flat: E = 0.01. Each voxel costs t log(t / 0.01) + (1 - t) log((1 - t) / 0.99).
        """
        cost = [t * math.log(t / 0.01) + (1 - t) * math.log((1 - t) / 0.99) for t in (0.208, 0.505, 0.208)]
        loss = edge_loss(row(3, 3, 3), row(0, 1, 2), scale=1.0)
        assert loss.item() == pytest.approx(sum(cost) / 3, rel=1e-6)

    def test_it_is_a_matter_of_edges_only(self) -> None:
        predicted, target = pair(1, 1, 6, 6, 6)
        torch.testing.assert_close(edge_loss(predicted + 3, target, scale=0.8), edge_loss(predicted, target, scale=0.8))

    def test_strong_edges_do_not_overflow(self) -> None:
        target = torch.zeros(1, 1, 6, 6, 6)
        target[..., 3:] = 1
        predicted = 1e4 * target
        assert gradient(partial(edge_loss, scale=0.5), predicted, target).isfinite().all()

    def test_scale_by_hand(self) -> None:
        """m = 1/2, 1, 1/2: half of (1/4 + 1 + 1/4) / 2."""
        assert edge_scale([row(0, 1, 2)]) == pytest.approx(0.375)

    def test_scale_grows_with_contrast_and_not_with_air(self) -> None:
        volume = torch.zeros(1, 1, 8, 9, 10)
        volume[..., 3:5, 2:6, 4:7] = noise(2, 4, 3).float() + 5
        scale = edge_scale([volume])
        assert edge_scale([3 * volume]) == pytest.approx(3 * scale)
        assert edge_scale([torch.nn.functional.pad(volume, (4,) * 6)]) == pytest.approx(scale)
        assert edge_scale(v for v in (volume, volume, torch.zeros(1, 1, 4, 4, 4))) == pytest.approx(scale)

    def test_no_scale_without_an_edge(self) -> None:
        with pytest.raises(ValueError, match="not flat"):
            edge_scale([torch.ones(1, 1, 4, 4, 4)])


class TestAttention:
    def test_the_targets_edges_are_the_best_map(self) -> None:
        target = 2 * noise(1, 1, 5, 5, 5)
        ideal = edge_map(target, 0.8)
        assert attention_loss(ideal, target, scale=0.8).item() == pytest.approx(0, abs=1e-12)
        assert attention_loss(0.9 * ideal, target, scale=0.8) > 0
        assert attention_loss(1 - ideal, target, scale=0.8) > attention_loss(
            torch.full_like(ideal, 0.5), target, scale=0.8
        )

    def test_by_hand(self) -> None:
        """Target flat (E = 0.01), A = 1/2: 0.01 log(0.01 / 0.5) + 0.99 log(0.99 / 0.5)."""
        loss = attention_loss(row(0.5, 0.5), row(1, 1), scale=1.0)
        assert loss.item() == pytest.approx(0.01 * math.log(0.02) + 0.99 * math.log(1.98), rel=1e-6)

    def test_gradient(self) -> None:
        target = noise(1, 1, 3, 4, 5)
        attention = torch.sigmoid(noise(1, 1, 3, 4, 5, seed=1)).requires_grad_()
        assert torch.autograd.gradcheck(lambda a: attention_loss(a, target, scale=0.8), attention)

    def test_a_map_that_is_too_sure_stays_finite(self) -> None:
        def loss(attention: Tensor, target: Tensor) -> Tensor:
            return attention_loss(attention, target, scale=1.0)

        assert gradient(loss, row(0, 1, 1), row(1, 1, 1)).isfinite().all()
        assert loss(row(0, 1, 1), row(1, 1, 1)).isfinite()


class TestFrequency:
    @pytest.mark.parametrize("shape", [(2, 1, 4, 5, 6), (1, 1, 3, 4, 7), (1, 1, 2, 2, 1)])
    def test_parseval(self, shape: tuple[int, ...]) -> None:
        predicted, target = pair(*shape)
        squared = (predicted - target).square().sum((1, 2, 3, 4))
        torch.testing.assert_close(frequency_distance(predicted, target), squared)

    @pytest.mark.parametrize("width", [5, 6])
    @pytest.mark.parametrize("exponent", [1, 2])
    @pytest.mark.parametrize("high_pass", [0.0, 1.0, 2.5])
    def test_half_the_spectrum_counts_as_the_whole(self, width: int, exponent: int, high_pass: float) -> None:
        predicted, target = pair(1, 1, 4, 3, width)
        spectrum = torch.fft.fftn(predicted, norm="ortho") - torch.fft.fftn(target, norm="ortho")
        parts = spectrum.real.abs() ** exponent + spectrum.imag.abs() ** exponent
        axes = torch.meshgrid(*(torch.fft.fftfreq(n, dtype=torch.float64) for n in (4, 3, width)), indexing="ij")
        weights = sum(axis**2 for axis in axes) ** (high_pass / 2)
        expected = (parts * weights / weights.mean()).sum()
        torch.testing.assert_close(
            frequency_distance(predicted, target, exponent=exponent, high_pass=high_pass)[0], expected
        )

    def test_by_hand(self) -> None:
        """Difference 3, 1: spectrum 4 / sqrt 2, 2 / sqrt 2. D = 8 + 2; with exponent 1, 6 / sqrt 2."""
        predicted, target = row(3, 2), row(0, 1)
        assert frequency_loss(predicted, target).item() == pytest.approx(math.log10(11))
        assert frequency_loss(predicted, target, epsilon=90).item() == pytest.approx(2)
        assert frequency_loss(predicted, target, epsilon=1e-9).item() == pytest.approx(1)
        assert frequency_distance(predicted, target, exponent=1).item() == pytest.approx(6 / math.sqrt(2))

    def test_real_and_imaginary_parts_both_count(self) -> None:
        """One voxel of 1 among four: the spectrum is 1/2 times 1, -i, -1, i."""
        predicted, target = row(0, 1, 0, 0), row(0, 0, 0, 0)
        assert frequency_distance(predicted, target).item() == pytest.approx(1)
        assert frequency_distance(predicted, target, exponent=1).item() == pytest.approx(2)

    def test_high_pass_by_hand(self) -> None:
        """Radii 0, 1/4, 1/2, 1/4 have mean 1/4: weights 0, 1, 2, 1. An offset of 1 is 2 at frequency 0 and no other."""
        target = row(0, 0, 0, 0)
        for difference, plain, passed in (
            (row(1, 1, 1, 1), 4, 0),
            (row(1, -1, 1, -1), 4, 8),
            (row(1, 0, -1, 0), 2, 2),
        ):
            assert frequency_distance(difference, target).item() == pytest.approx(plain)
            assert frequency_distance(difference, target, high_pass=1).item() == pytest.approx(passed, abs=1e-6)

    def test_a_blurred_volume_costs_more_by_its_high_frequencies(self) -> None:
        """Same squared error, once by an offset and once by noise: only the high pass tells them apart."""
        target = noise(1, 1, 16, 16, 16)
        rough = noise(1, 1, 16, 16, 16, seed=1)
        offset = rough.square().mean().sqrt()
        torch.testing.assert_close(frequency_loss(target + offset, target), frequency_loss(target + rough, target))
        assert frequency_loss(target + offset, target, high_pass=1) < 0.01
        white = frequency_distance(target + rough, target)
        torch.testing.assert_close(frequency_distance(target + rough, target, high_pass=1), white, rtol=0.05, atol=0)

    def test_what_does_not_change_it(self) -> None:
        """Both moved or turned alike, and taken for each other."""
        predicted, target = pair(1, 1, 4, 6, 8)
        for high_pass in (0.0, 1.0):
            before = frequency_distance(predicted, target, high_pass=high_pass)
            for change in (partial(torch.roll, shifts=(1, 3), dims=(2, 4)), partial(torch.flip, dims=(3,))):
                after = frequency_distance(change(predicted), change(target), high_pass=high_pass)
                torch.testing.assert_close(after, before)
            torch.testing.assert_close(frequency_distance(target, predicted, high_pass=high_pass), before)

    @pytest.mark.parametrize("size", [1e-4, 1e-2, 1.0, 1e2])
    def test_the_gradient_is_bounded(self, size: float) -> None:
        """2 sqrt(D) / ((1 + D) log 10) is greatest at D = 1. As printed, it is 2 / (sqrt(D) log 10)."""
        target, direction = pair(1, 1, 4, 4, 4)
        predicted = target + size * direction
        assert gradient(frequency_loss, predicted, target).norm() <= 1 / math.log(10) + 1e-9
        printed = gradient(partial(frequency_loss, epsilon=1e-30), predicted, target)
        assert printed.norm().item() == pytest.approx(2 / (size * direction.norm().item() * math.log(10)))
