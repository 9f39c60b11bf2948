"""One network under one recipe: what happens in a training step and in a validation."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.networks import build
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARReconstructionLib.volume_io import written_whole
from torch import Tensor, nn
from torch.nn import functional

from ..losses import bone_step, reconstruction_loss, total_loss
from ..samples import Sample
from .checkpoints import ORIGIN
from .data import Batch, Data
from .errors import NotFiniteError, RecipeError
from .recipe import Recipe
from .thresholds import THRESHOLDS_HU, best_threshold, dice_per_threshold

KEPT = (
    "The last checkpoint is kept: mend the data and run again, or train into another folder with a lower learning "
    "rate or clip=1"
)


class Statistics(NamedTuple):
    """Of the training volumes: the z-score of targets in HU, and the scale of their edges where a loss needs it."""

    hu_mean: float
    hu_sd: float
    edge_scale: float | None


class Learner(L.LightningModule):
    """A network, its running average, the losses and the optimiser.

    data: its samples, and the recipe. epoch_steps: optimiser's steps per epoch. origin: what a resumed run must agree
    with, kept in every checkpoint. folder: of the run, for a batch that spoils it.
    ``validated`` holds the numbers of the last validation, ``shown`` its first vertebra (sample, volume in HU),
    ``picture`` where that was drawn, and ``learning_rate`` that of the last step.
    Raises RecipeError for arguments that the network does not take.
    """

    def __init__(
        self, data: Data, statistics: Statistics, epoch_steps: int, origin: Mapping[str, Any], folder: Path
    ) -> None:
        super().__init__()
        recipe = data.recipe
        self.data, self.recipe, self.statistics, self.epoch_steps = data, recipe, statistics, epoch_steps
        bone = recipe.losses.bone or bone_step(statistics.hu_mean, statistics.hu_sd)
        self.weights = replace(recipe.losses, edge_scale=statistics.edge_scale, bone=bone)
        self.origin, self.folder = origin, folder
        self.network = new_network(recipe)
        # Beside the network rather than in a callback: checkpoints, devices and processes then know it already.
        self.averaged = None if recipe.ema is None else copy.deepcopy(self.network).requires_grad_(False)
        if recipe.compile:
            self.network.compile()
        self.validated: dict[str, float] = {}
        self.shown: tuple[Sample, Tensor] | None = None
        self.picture = ""
        self.learning_rate = 0.0
        self._scores: list[Tensor] = []
        self._batch: Batch | None = None

    @property
    def best(self) -> ReconstructionNetwork:
        """What is validated and exported: the average where there is one."""
        return self.network if self.averaged is None else self.averaged

    def configure_optimizers(self) -> Any:
        """Adam or AdamW, and the recipe's learning rate at every step."""
        recipe = self.recipe
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
        optimizer = kind(self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: recipe.learning_rate_at(step, self.epoch_steps) / recipe.learning_rate
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def run_network(self, network: ReconstructionNetwork, sample: Sample) -> NetworkOutput:
        """The network's output (B, 1, N, N, N), z-scored, in the precision of the recipe."""
        x = sample.images if network.input_kind == "images" else sample.lifted
        if self.recipe.channels_last and x.dim() == 5:
            x = x.contiguous(memory_format=torch.channels_last_3d)
        try:
            output: NetworkOutput = network(x)
        except ValueError as error:  # a size that the network cannot take
            raise RecipeError("architecture", str(error), "Prepare the data in another size") from error
        return output

    def losses(self, output: NetworkOutput, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 10 in single precision, also under autocast; and its terms by name."""
        with torch.autocast(self.device.type, enabled=False):
            attention = None if output.edges is None else output.edges.float()
            total, terms = total_loss(output.volume.float(), target, self.weights, attention)
        return total, {"loss": total.detach(), **terms}

    def z_scored(self, target_hu: Tensor) -> Tensor:
        """Targets as the network's output."""
        return (target_hu - self.statistics.hu_mean) / self.statistics.hu_sd

    def training_step(self, batch: Batch, _number: int) -> dict[str, Any]:
        """Loss of one pass. Also gives the terms, averaged over all devices, to the callbacks.

        Raises NotFiniteError on all devices when one of them has a loss that is no number.
        """
        self._batch = batch
        total, terms = self.losses(self.run_network(self.network, batch.sample), self.z_scored(batch.sample.target_hu))
        own = torch.stack([term.float() for term in terms.values()])
        values = self.over_devices(own.clone(), "mean").tolist()
        if not np.isfinite(values).all():
            raise self._not_finite("loss", bool(own.isfinite().all()))
        return {"loss": total, "terms": dict(zip(terms, values, strict=True))}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip, and stop at a gradient that is no number before it reaches the weights."""
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip or torch.inf)
        if not norm.isfinite():
            raise self._not_finite("gradient", False)

    def optimizer_step(self, epoch: int, number: int, optimizer: Any, closure: Any = None) -> None:
        """Step, then move the average: by much at first, so that the untrained weights are soon forgotten."""
        self.learning_rate = optimizer.param_groups[0]["lr"]
        super().optimizer_step(epoch, number, optimizer, closure)
        if self.averaged is not None and self.recipe.ema is not None:
            step = self.trainer.global_step
            follow(self.averaged, self.network, min(self.recipe.ema, (step + 1) / (step + 10)))

    def on_validation_epoch_start(self) -> None:
        """Forget the last one."""
        self._scores = []

    def validation_step(self, batch: Batch, number: int) -> None:
        """Losses of one vertebra, mean absolute difference, and Dice at every threshold."""
        output = self.run_network(self.best, batch.sample)
        target = self.z_scored(batch.sample.target_hu)
        _, terms = self.losses(output, target)
        volume = output.volume.float()
        hu = volume * self.statistics.hu_sd + self.statistics.hu_mean
        if number == 0:
            self.shown = (batch.sample, hu)
        terms["l1"] = reconstruction_loss(volume, target)
        counted = batch.numbers[0] < len(self.data.validation)  # else it fills up another device's share
        values = torch.stack([term.double().cpu() for term in terms.values()])
        score = torch.cat([torch.ones(1), values, dice_per_threshold(hu, batch.sample.mask)])
        self._scores.append(score if counted else torch.zeros_like(score))
        self._names = list(terms)

    def on_validation_epoch_end(self) -> None:
        """Means over the vertebrae of all devices."""
        count, *sums = self.over_devices(torch.stack(self._scores).sum(0).to(self.device), "sum").cpu().unbind()
        means = [float(value / count) for value in sums]
        threshold, dice = best_threshold(torch.tensor(means[-len(THRESHOLDS_HU) :]))
        named = dict(zip(self._names, means, strict=False))
        self.validated = {f"val_{name}": value for name, value in named.items()}
        self.validated |= {"val_dice": dice, "val_threshold_hu": threshold}
        if not np.isfinite(self.validated["val_loss"]):
            raise NotFiniteError(self._place(), "the validation loss is no number", KEPT)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the checkpoint was made from, and how good it is."""
        checkpoint[ORIGIN] = {**self.origin, "validated": self.validated}

    def over_devices(self, values: Tensor, how: str) -> Tensor:
        """Mean or sum over all devices, the same on each."""
        if self.trainer.world_size == 1:
            return values
        reduced: Tensor = self.trainer.strategy.reduce(values, reduce_op=how)
        return reduced

    def _not_finite(self, what: str, elsewhere: bool) -> NotFiniteError:
        """The error for this batch, which is saved first."""
        trainer, batch = self.trainer, self._batch
        if elsewhere or batch is None:
            return NotFiniteError(self._place(), f"the {what} is no number on another device", KEPT)
        names = self.data.names(batch.numbers)
        stem = f"epoch-{trainer.current_epoch + 1:04d}-step-{trainer.global_step + 1:07d}-device-{trainer.global_rank}"
        path = self.folder / "bad-batch" / f"{stem}.npz"
        with written_whole(path) as beside:
            fields = {name: part.cpu().numpy() for name, part in batch.sample._asdict().items()}
            np.savez_compressed(beside, ids=np.array(names), numbers=np.array(batch.numbers), **fields)
        return NotFiniteError(self._place(), f"the {what} of {', '.join(names)} is no number; saved as {path}", KEPT)

    def _place(self) -> str:
        return f"epoch {self.trainer.current_epoch + 1}, step {self.trainer.global_step + 1}"


def new_network(recipe: Recipe) -> ReconstructionNetwork:
    """The recipe's network with the weights that its seed gives, or its start. Raises RecipeError, BundleError."""
    torch.manual_seed(recipe.seed)
    try:
        network = build(recipe.architecture, **recipe.arguments)
    except (ValueError, TypeError) as error:
        raise RecipeError("arguments", str(error), f"Give arguments that {recipe.architecture} takes") from error
    if recipe.start is not None:
        _begin_with(network, Path(recipe.start))
    if recipe.channels_last and network.input_kind == "volumes":
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network


def _begin_with(network: ReconstructionNetwork, start: Path) -> None:
    bundle = load_bundle(start)
    try:
        network.load_state_dict(_grown(bundle.network().state_dict(), network))
    except RuntimeError as error:
        raise RecipeError(
            "start",
            f"the weights of {start} do not fit {type(network).__name__} with these arguments",
            f"Set architecture={bundle.card.architecture} and arguments={bundle.card.arguments}",
        ) from error


def _grown(weights: Mapping[str, Tensor], network: ReconstructionNetwork) -> dict[str, Tensor]:
    """Weights, as wanted by a network that is twice as wide or sees further channels, and does the same with them.

    Each channel is there twice, and what reads it divides its weight between the two at random, so that they become
    different (Net2Net, Chen 2016). Further channels, behind the old ones, count for nothing yet.
    """
    wanted = network.state_dict()
    transposed = {f"{name}.weight" for name, part in network.named_modules() if isinstance(part, nn.ConvTranspose3d)}
    grown = {}
    for name, value in weights.items():
        reads, writes = (0, 1) if name in transposed else (1, 0)
        shape = wanted[name].shape if name in wanted else value.shape
        if value.dim() and shape[writes] == 2 * value.shape[writes]:
            value = value.repeat_interleave(2, writes)
        if value.dim() == 5 and shape[reads] == 2 * value.shape[reads]:
            share = torch.rand_like(value)
            value = torch.stack([share * value, (1 - share) * value], reads + 1).flatten(reads, reads + 1)
        elif value.dim() == 5 and reads == 1 and shape[1] > value.shape[1]:
            value = functional.pad(value, (0, 0) * 3 + (0, shape[1] - value.shape[1]))
        grown[name] = value
    return grown


def follow(averaged: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """Move averaged weights and buffers towards the network's: a = decay a + (1 - decay) b. Counters are copied."""
    with torch.no_grad():
        for a, b in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
            if a.is_floating_point():
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)
