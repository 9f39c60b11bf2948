"""What holds for all terms of the loss, their sum, and its weights. Numbers by hand: test_losses_terms.py."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from functools import partial

import pytest
import torch
from EARTrainingLib.losses import (
    LossWeights,
    attention_loss,
    bone_step,
    dice_loss,
    edge_loss,
    frequency_loss,
    projection_loss,
    reconstruction_loss,
    total_loss,
)
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

BONE = (0.3, 0.4)

WEIGHTS = LossWeights(dice=0.5, edge_scale=0.8, bone=BONE)

TERMS: dict[str, Loss] = {
    "reconstruction": reconstruction_loss,
    "edge": partial(edge_loss, scale=0.8),
    "frequency": frequency_loss,
    "amplitudes": partial(frequency_loss, exponent=1, epsilon=0.5),
    "high pass": partial(frequency_loss, high_pass=1.5),
    "projection": projection_loss,
    "dice": partial(dice_loss, bone=BONE),
    "total": lambda predicted, target: total_loss(predicted, target, WEIGHTS)[0],
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    return noise(*shape), noise(*shape, seed=1)


def gradient(loss: Loss, predicted: Tensor, target: Tensor) -> Tensor:
    predicted = predicted.clone().requires_grad_()
    loss(predicted, target).backward()
    assert predicted.grad is not None
    return predicted.grad


class TestAllTerms:
    @pytest.mark.parametrize("name", TERMS)
    def test_a_perfect_volume_has_no_loss_and_no_gradient(self, name: str) -> None:
        volume = noise(2, 1, 6, 7, 8).float()
        predicted = volume.clone().requires_grad_()
        loss = TERMS[name](predicted, volume)
        loss.backward()
        assert loss.item() == (pytest.approx(math.log10(0.5)) if name == "amplitudes" else 0)
        assert not predicted.grad.any()

    @pytest.mark.parametrize("name", TERMS)
    def test_the_gradient_is_that_of_finite_differences(self, name: str) -> None:
        """Random volumes: away from the kinks of |x| and of the maxima."""
        predicted, target = pair(2, 1, 3, 4, 5)
        assert torch.autograd.gradcheck(lambda p: TERMS[name](p, target), predicted.requires_grad_())

    @pytest.mark.parametrize("name", TERMS)
    def test_a_flat_prediction_has_a_finite_gradient(self, name: str) -> None:
        """A network may begin with one: no root and no logarithm of 0."""
        target = torch.zeros(1, 1, 6, 6, 6)
        target[..., 1:4, 2:5, 3:] = 4
        for value in (0.0, -0.3):
            assert gradient(TERMS[name], torch.full_like(target, value), target).isfinite().all()
        assert gradient(TERMS[name], torch.zeros_like(target), torch.zeros_like(target)).isfinite().all()

    @pytest.mark.parametrize("name", TERMS)
    def test_a_batch_is_the_mean_of_its_samples(self, name: str) -> None:
        """Else gradient accumulation and several GPUs would train something else."""
        predicted, target = pair(3, 1, 4, 5, 6)
        singles = [TERMS[name](predicted[n : n + 1], target[n : n + 1]) for n in range(3)]
        torch.testing.assert_close(TERMS[name](predicted, target), torch.stack(singles).mean())

    @pytest.mark.parametrize("name", TERMS)
    def test_half_precision_is_computed_in_single(self, name: str) -> None:
        predicted, target = (volume.bfloat16() for volume in pair(1, 1, 6, 6, 6))
        leaf = predicted.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = TERMS[name](leaf, target)
        loss.backward()
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, TERMS[name](predicted.float(), target.float()), rtol=1e-6, atol=0)
        expected = gradient(TERMS[name], predicted.float(), target.float())
        torch.testing.assert_close(leaf.grad, expected.bfloat16())

    @pytest.mark.parametrize("name", TERMS)
    def test_the_layout_does_not_matter(self, name: str) -> None:
        predicted, target = pair(2, 1, 4, 6, 8)
        last = predicted.to(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(TERMS[name](last, target), TERMS[name](predicted, target))
        turned = (volume.permute(0, 1, 4, 2, 3) for volume in (predicted, target))
        torch.testing.assert_close(TERMS[name](*turned), TERMS[name](predicted, target))

    @pytest.mark.parametrize("name", TERMS)
    @pytest.mark.parametrize("shape", [(2, 1, 4, 4, 4), (1, 1, 4, 4, 5), (4, 4, 4)])
    def test_shapes_that_do_not_fit_are_refused(self, name: str, shape: tuple[int, ...]) -> None:
        other = torch.zeros(1, 1, 4, 4, 4) if len(shape) == 5 else torch.zeros(shape)
        with pytest.raises(ValueError, match="one shape"):
            TERMS[name](torch.zeros(shape), other)


class TestTotal:
    def test_the_weighted_sum_and_its_terms(self) -> None:
        predicted, target = pair(1, 1, 4, 4, 4)
        attention = torch.sigmoid(noise(1, 1, 4, 4, 4, seed=2))
        weights = LossWeights(
            1.0,
            0.2,
            0.3,
            0.4,
            0.5,
            0.6,
            edge_scale=0.7,
            bone=BONE,
            frequency_epsilon=2.0,
            frequency_exponent=1,
            frequency_high_pass=0.5,
        )
        total, terms = total_loss(predicted.requires_grad_(), target, weights, attention)
        expected = {
            "reconstruction": reconstruction_loss(predicted, target),
            "edge": edge_loss(predicted, target, scale=0.7),
            "frequency": frequency_loss(predicted, target, epsilon=2.0, exponent=1, high_pass=0.5),
            "projection": projection_loss(predicted, target),
            "dice": dice_loss(predicted, target, bone=BONE),
            "attention": attention_loss(attention, target, scale=0.7),
        }
        values = {
            "reconstruction": 1.0,
            "edge": 0.2,
            "frequency": 0.3,
            "projection": 0.4,
            "attention": 0.5,
            "dice": 0.6,
        }
        assert list(terms) == list(expected)
        for name, value in expected.items():
            torch.testing.assert_close(terms[name], value.detach())
            assert not terms[name].requires_grad
        torch.testing.assert_close(total, sum(values[name] * term for name, term in expected.items()))
        assert total.requires_grad

    def test_the_attention_is_trained_too(self) -> None:
        target = noise(1, 1, 4, 4, 4)
        attention = torch.full_like(target, 0.5).requires_grad_()
        total_loss(target, target, replace(WEIGHTS, attention=0.1), attention)[0].backward()
        assert attention.grad.any()

    def test_what_weighs_nothing_is_not_computed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARTrainingLib import losses

        for name in ("edge_loss", "frequency_loss", "projection_loss", "dice_loss", "attention_loss"):
            monkeypatch.setattr(losses, name, None)
        predicted, target = pair(1, 1, 4, 4, 4)
        total, terms = total_loss(predicted, target, LossWeights(2, 0, 0, 0), attention=predicted)
        assert list(terms) == ["reconstruction"]
        torch.testing.assert_close(total, 2 * reconstruction_loss(predicted, target))

    def test_a_network_without_attention(self) -> None:
        predicted, target = pair(1, 1, 4, 4, 4)
        weights = replace(WEIGHTS, attention=0.1)
        torch.testing.assert_close(total_loss(predicted, target, weights)[0], total_loss(predicted, target, WEIGHTS)[0])

    def test_the_scale_of_edges_is_not_guessed(self) -> None:
        predicted, target = pair(1, 1, 4, 4, 4)
        with pytest.raises(ValueError, match="edge_scale"):
            total_loss(predicted, target, LossWeights())
        total_loss(predicted, target, LossWeights(edge=0))
        with pytest.raises(ValueError, match="edge_scale"):
            total_loss(predicted, target, LossWeights(edge=0, attention=0.1), attention=torch.sigmoid(predicted))

    def test_where_bone_begins_is_not_guessed(self) -> None:
        predicted, target = pair(1, 1, 4, 4, 4)
        with pytest.raises(ValueError, match="bone is not set"):
            total_loss(predicted, target, LossWeights(edge=0, dice=1))
        assert bone_step(-900.0, 250.0) == (2.0, 0.4)  # -400 HU, 100 HU wide


class TestWeights:
    def test_the_papers(self) -> None:
        weights = LossWeights()
        assert (weights.reconstruction, weights.edge, weights.frequency, weights.projection) == (1, 0.1, 0.1, 0.1)
        assert (weights.attention, weights.dice, weights.frequency_high_pass) == (0, 0, 0)

    def test_through_json_and_back(self) -> None:
        weights = LossWeights(0.5, attention=0.2, edge_scale=1.25, bone=(1.5, 0.5), frequency_exponent=1)
        assert LossWeights.from_dict(json.loads(json.dumps(weights.to_dict()))) == weights
        assert LossWeights.from_dict({"edge": 0}) == LossWeights(edge=0)

    def test_frozen(self) -> None:
        with pytest.raises(FrozenInstanceError):
            WEIGHTS.edge = 1  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({"edge": -0.1}, "edge"),
            ({"reconstruction": math.nan}, "reconstruction"),
            ({"projection": math.inf}, "projection"),
            ({"attention": -1}, "attention"),
            ({"edge_scale": 0}, "edge_scale"),
            ({"dice": -1}, "dice"),
            ({"bone": (1.0, 0.0)}, "bone"),
            ({"frequency_epsilon": 0}, "frequency_epsilon"),
            ({"frequency_exponent": 3}, "frequency_exponent"),
            ({"frequency_high_pass": -1}, "high_pass"),
            ({"edges": 1}, "edges"),
            ({"reconstruction": 0, "edge": 0, "frequency": 0, "projection": 0, "attention": 1}, "at least one"),
        ],
    )
    def test_values_that_make_no_loss(self, values: dict[str, float], name: str) -> None:
        with pytest.raises(ValueError, match=name):
            LossWeights.from_dict(values)
