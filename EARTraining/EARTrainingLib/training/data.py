"""The samples of a run in the order of the run, on one device or many."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from EARReconstructionLib.errors import EARError
from torch.utils.data import DataLoader, Dataset, Sampler

from ..datasets.prepared import PreparedDataset
from ..samples import Raw, Sample, Samples, stacked
from .errors import RecipeError
from .recipe import Recipe


class Batch(NamedTuple):
    """Numbers of the samples, and the samples, stacked."""

    numbers: list[int]
    sample: Sample


class Order(Sampler[int]):
    """The samples that one of ``world`` devices takes in an epoch, in an order that seed and epoch alone decide.

    Every pass takes ``batch_size`` neighbours of the order, each device its share of them: the samples of a pass do
    not depend on the number of devices. What does not fill a step is left out of the epoch.
    """

    def __init__(self, samples: Samples, recipe: Recipe, rank: int = 0, world: int = 1) -> None:
        share = recipe.batch_size // world
        step = recipe.batch_size * recipe.accumulate
        if share * world != recipe.batch_size:
            raise RecipeError(
                "batch_size",
                f"{recipe.batch_size} samples do not spread evenly over {world} devices",
                f"Give a batch size that is a multiple of {world}",
            )
        if len(samples) < step:
            raise RecipeError(
                "batch_size",
                f"a step takes {step} samples, and there are {len(samples)} per epoch",
                "Give a smaller batch size or accumulate less, or set epoch_samples",
            )
        self.samples, self.seed = samples, recipe.seed
        self.batch_size, self.share, self.rank, self.world = recipe.batch_size, share, rank, world
        self.passes = len(samples) // step * recipe.accumulate
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        """Of a whole epoch, also when the next one begins in its middle."""
        return self.passes * self.share

    def go_to(self, epoch: int, first: int = 0) -> None:
        """Begin the next iteration at pass ``first`` of an epoch."""
        self.epoch, self.first = epoch, first
        self.samples.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Lightning says at the start of each epoch which it is, also of one that it resumes."""
        if epoch != self.epoch:
            self.go_to(epoch)

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch, 3)).permutation(len(self.samples))
        passes = order[: self.passes * self.batch_size].reshape(self.passes, self.world, self.share)
        return iter(passes[self.first :, self.rank].ravel().tolist())


class Even(Sampler[int]):
    """Every ``world``-th position of a split, as many for each device: beyond the end it begins again."""

    def __init__(self, count: int, rank: int = 0, world: int = 1) -> None:
        self.positions = range(rank, -(-count // world) * world, world)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions)


class Data(L.LightningDataModule):
    """Training samples in the recipe's order, and every validation vertebra once, one at a time.

    workers: processes that load, and on a CPU also make, the training samples. On CUDA samples are made on the device.
    """

    def __init__(self, dataset: PreparedDataset, recipe: Recipe, workers: int = 0) -> None:
        super().__init__()
        self.dataset, self.recipe, self.workers = dataset, recipe, workers
        simulation = recipe.simulation if recipe.xrays == "live" else None
        still = None if simulation is None else simulation.undeformed()
        lift, seed = recipe.lift, recipe.seed
        self.training = Samples(
            dataset,
            "train",
            lift=lift,
            simulation=simulation,
            count=recipe.epoch_samples,
            phantom_share=recipe.phantom_share,
            seed=seed,
        )
        self.validation = Samples(dataset, "validation", lift=lift, simulation=still, random=False, seed=seed)
        self._from = (0, 0)

    def steps_per_epoch(self, world: int = 1) -> int:
        """Steps of the optimiser in an epoch. Raises RecipeError when batches do not fit the split or the devices."""
        return Order(self.training, self.recipe, 0, world).passes // self.recipe.accumulate

    def train_dataloader(self) -> DataLoader[Any]:
        """This device's share of every pass, from where a checkpoint said."""
        assert self.trainer is not None
        order = Order(self.training, self.recipe, self.trainer.global_rank, self.trainer.world_size)
        order.go_to(*self._from)
        return self._loader(self.training, order, order.share, self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """This device's share of the validation vertebrae, by position."""
        assert self.trainer is not None
        even = Even(len(self.validation), self.trainer.global_rank, self.trainer.world_size)
        return self._loader(self.validation, even, 1, min(self.workers, 2))

    def _loader(self, samples: Samples, order: Sampler[int], batch_size: int, workers: int) -> DataLoader[Any]:
        device = self._device
        return DataLoader(
            _Numbered(samples, raw=device.type != "cpu"),
            batch_size=batch_size,
            sampler=order,
            num_workers=workers,
            collate_fn=_collated if device.type == "cpu" else _gathered,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
            worker_init_fn=_quiet,
        )

    @property
    def _device(self) -> torch.device:
        assert self.trainer is not None
        return self.trainer.strategy.root_device

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Batch:
        """To a CPU nothing moves; on another device the samples are made. Raises the error that a worker met."""
        if isinstance(batch, _Failure):
            raise batch.kind(batch.subject, batch.cause, batch.advice)
        if isinstance(batch, Batch):
            return batch
        assert self.trainer is not None
        numbers, raws = batch
        samples = self.training if self.trainer.training else self.validation
        return Batch(numbers, stacked([samples.realise(raw, device) for raw in raws]))

    def names(self, numbers: Sequence[int]) -> list[str]:
        """Ids of the training vertebrae that a batch shows."""
        return [self.training.row(number).id for number in numbers]

    def state_dict(self) -> dict[str, int]:
        """Where the run stands: an epoch, and its passes that are done."""
        assert self.trainer is not None
        loop: Any = self.trainer.fit_loop
        done = loop.epoch_loop.batch_progress.current.ready
        return {"epoch": loop.epoch_progress.current.processed, "passes": done % int(self.trainer.num_training_batches)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from there."""
        self._from = (state_dict["epoch"], state_dict["passes"])


class _Failure(NamedTuple):
    """An error's parts: DataLoader cannot bring an EARError itself from a worker."""

    kind: type[EARError]
    subject: str
    cause: str
    advice: str


class _Numbered(Dataset[tuple[int, Any]]):
    """Samples, or what they are made of, with their numbers; a number beyond the end begins again."""

    def __init__(self, samples: Samples, raw: bool) -> None:
        self.samples, self.make = samples, samples.raw if raw else samples.__getitem__

    def __getitem__(self, number: int) -> tuple[int, Sample | Raw | _Failure]:
        try:
            return number, self.make(number % len(self.samples))
        except EARError as error:
            return number, _Failure(type(error), error.subject, error.cause, error.advice)


def _gathered(pairs: Sequence[tuple[int, Any]]) -> tuple[list[int], list[Any]] | _Failure:
    failed = [made for _, made in pairs if isinstance(made, _Failure)]
    return failed[0] if failed else ([number for number, _ in pairs], [made for _, made in pairs])


def _collated(pairs: Sequence[tuple[int, Any]]) -> Batch | _Failure:
    gathered = _gathered(pairs)
    return gathered if isinstance(gathered, _Failure) else Batch(gathered[0], stacked(gathered[1]))


def _quiet(_worker: int) -> None:
    """One thread; and signals are for the run, which still needs its workers to finish the step."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
