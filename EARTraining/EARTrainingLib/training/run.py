"""A run: from a recipe and a prepared data set to a bundle, on one device or many, through any interruptions."""

from __future__ import annotations

import inspect
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from EARReconstructionLib.errors import DeviceError, EARError
from EARReconstructionLib.model_card import read_card
from EARReconstructionLib.networks import NETWORKS
from EARReconstructionLib.reconstruction import choose_device
from EARReconstructionLib.volume_io import written_whole
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ..claim import alone
from ..datasets.prepared import PreparedDataset
from ..losses import edge_scale
from .checkpoints import ORIGIN, Checkpoints, WholeFiles, read_checkpoint
from .data import Data
from .errors import CheckpointError, Stopped
from .export import export, exported, xrays_of
from .history import History, Progress
from .module import Learner, Statistics
from .pictures import Pictures
from .recipe import Recipe

#: Training volumes over which the scale of edges is measured.
EDGE_SCALE_VOLUMES = 32

#: Lightning's warnings of what is meant: few workers, short epochs, and resuming within an epoch, which Data knows how
#: to do; and one of its own making.
_KNOWN = (
    ".*does not have many workers",
    "The number of training batches",
    "You're resuming from a checkpoint that ended before the epoch ended",
    ".*LeafSpec",
    "TF32 acceleration",
    "Grad strides do not match",
)


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    device: str = "auto",
    workers: int = 0,
    max_time_s: float | None = None,
    devices: int = 1,
    nodes: int = 1,
    progress: Callable[[dict[str, Any]], None] | None = None,
    name: str | None = None,
) -> Path | None:
    """Train, or go on where ``out/last.ckpt`` stands, and write the bundle ``out/NAME.safetensors``; returns its path.

    Returns None after max_time_s, with a checkpoint: the same call goes on, and ends as if there had been no stop.
    The bundle holds the weights of the best validation loss. devices: per node; torchrun says both itself. progress:
    told the records of ``history.Progress``. name: of the bundle; by default network, protocol and size.

    Writes recipe.json, steps.csv, history.csv, pictures/, tensorboard/, last.ckpt and best.ckpt into ``out``.
    Raises DatasetError, RecipeError, DeviceError, CheckpointError (damaged, or of another recipe or data set),
    NotFiniteError, Claimed while another run is at work in ``out``, EARError (full disk, killed worker), and
    KeyboardInterrupt once the checkpoint is written after a Ctrl-C or SIGTERM.
    """
    began, out = time.monotonic(), Path(out)
    dataset = PreparedDataset.open(data)
    if recipe.levels is not None:
        dataset = dataset.between(*recipe.levels)
    recipe = _sized(recipe, dataset.size)
    target = choose_device(device)
    devices, nodes = _spread(target, devices, nodes)
    parts = Data(dataset, recipe, workers)
    steps = parts.steps_per_epoch(devices * nodes)
    bundle = out / f"{name or _name(recipe, dataset)}.safetensors"
    checkpoints = Checkpoints(out, began, max_time_s)
    # One claim for all devices of a run: the processes of the others are started by the first, or beside it.
    with nullcontext() if getattr(rank_zero_only, "rank", 0) else alone(out):
        earlier = _earlier(checkpoints.last, recipe, dataset)
        if earlier is not None and exported(bundle, recipe, dataset):
            return bundle
        statistics = Statistics(**earlier[ORIGIN]["statistics"]) if earlier else _statistics(recipe, dataset)
        origin = {"recipe": recipe.to_dict(), "data": dataset.fingerprint, "statistics": statistics._asdict()}
        learner = Learner(parts, statistics, steps, origin, out)
        callbacks = [History(out), Pictures(out), checkpoints]
        if progress is not None:
            callbacks.append(Progress(progress, began))
        resumed_step = earlier["global_step"] if earlier else None
        trainer = _trainer(recipe, out, target, (devices, nodes), callbacks, resumed_step)
        if trainer.is_global_zero:
            for path in out.glob(".*.ckpt"):  # what a kill left behind
                path.unlink()
            with written_whole(out / "recipe.json") as beside:
                beside.write_text(json.dumps(recipe.to_dict(), indent=1) + "\n", encoding="utf-8")
        try:
            with _quietly(), _in_words(out), _sound_bf16(recipe, target):
                trainer.fit(learner, parts, ckpt_path=checkpoints.last if earlier else None, weights_only=True)
        except Stopped as stop:
            if stop.by_user:
                raise KeyboardInterrupt from None
            return None
        except SystemExit:  # what Lightning makes of a Ctrl-C before the first step
            raise KeyboardInterrupt from None
        if trainer.is_global_zero:
            best = read_checkpoint(checkpoints.best)
            validated = best[ORIGIN]["validated"]
            learner.load_state_dict(best["state_dict"])
            export(bundle, learner.best, recipe, dataset, parts.validation, statistics, validated, target)
    return bundle


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _KNOWN:
            warnings.filterwarnings("ignore", message)
        yield


@contextmanager
def _in_words(out: Path) -> Iterator[None]:
    """Says what has happened where a machine, not the program, is at its end."""
    go_on = "run the same command again: it goes on from the last checkpoint"
    try:
        yield
    except OSError as error:
        raise EARError(out, f"the run could not write or read ({error})", f"Make room, then {go_on}") from error
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise DeviceError(
                "device cuda", "its memory is too small for a pass", "Train with a smaller batch size, or in bf16"
            ) from error
        if "DataLoader worker" in str(error):
            cause = "a process that loads samples was killed, as happens when memory runs out"
            raise EARError("workers", cause, f"Give fewer workers and {go_on}") from error
        raise


@contextmanager
def _sound_bf16(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """On a CPU, bf16 without oneDNN: its gradients of small volumes' kernels held unset memory (torch 2.13, AVX-512).

    That makes it slow there; it is for trying, since bf16 is for CUDA.
    """
    if recipe.precision == "bf16" and device.type == "cpu":
        with torch.backends.mkldnn.flags(enabled=False):
            yield
    else:
        yield


def _sized(recipe: Recipe, size: int) -> Recipe:
    """Tells the size of the data to a network that is made for one size."""
    if "size" not in inspect.signature(NETWORKS[recipe.architecture]).parameters:
        return recipe
    return replace(recipe, arguments={"size": size, **recipe.arguments})


def _spread(device: torch.device, devices: int, nodes: int) -> tuple[int, int]:
    """Devices per node and nodes. Raises DeviceError for more CUDA devices than there are."""
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise DeviceError(
            f"{devices} devices", f"this machine has {torch.cuda.device_count()} CUDA devices", "Ask for fewer"
        )
    return devices, nodes


def _name(recipe: Recipe, dataset: PreparedDataset) -> str:
    protocol, _ = xrays_of(recipe, dataset)
    return f"{recipe.architecture.lower()}-{protocol}-{dataset.size}"


def _earlier(path: Path, recipe: Recipe, dataset: PreparedDataset) -> dict[str, Any] | None:
    """The checkpoint to go on from. Raises CheckpointError when it is damaged or not of this recipe and data set."""
    if not path.exists():
        return None
    checkpoint = read_checkpoint(path)
    origin = checkpoint[ORIGIN]
    changed = [f"{n} was {old!r}, is {new!r}" for n, (new, old) in recipe.differences(origin["recipe"]).items()]
    if origin["data"] != dataset.fingerprint:
        changed.append(f"the data set was another one, or {dataset.folder} was prepared again")
    if changed:
        raise CheckpointError(
            path, f"it is of another run: {'; '.join(changed)}", "Train as before, or give another output folder"
        )
    return checkpoint


def _statistics(recipe: Recipe, dataset: PreparedDataset) -> Statistics:
    """Of the training set, or what the weights know; the scale of edges only where it is needed and not said."""
    mean, sd = dataset.hu_statistics
    if recipe.start is not None:
        card = read_card(Path(recipe.start))
        mean, sd = card.hu_mean, card.hu_sd
    losses = recipe.losses
    if losses.edge_scale is not None or not (losses.edge or losses.attention):
        return Statistics(mean, sd, losses.edge_scale)
    rows = dataset.rows_of("train")
    chosen = rows[:: -(-len(rows) // EDGE_SCALE_VOLUMES)]
    scale = edge_scale((torch.from_numpy(dataset.volume(row).array.astype(np.float32)) - mean) / sd for row in chosen)
    return Statistics(mean, sd, scale)


def _trainer(
    recipe: Recipe,
    out: Path,
    device: torch.device,
    spread: tuple[int, int],
    callbacks: list[L.Callback],
    resumed_step: int | None,
) -> L.Trainer:
    """Lightning's part: devices, processes, precision and the loop."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # it would tell which devices it does not use
    devices, nodes = spread
    plugins: list[Any] = [WholeFiles()]
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))  # a signal stops the run with its own checkpoint
    logger = None
    if find_spec("tensorboard") is not None:
        forget = None if resumed_step is None else resumed_step + 1
        logger = TensorBoardLogger(out, name="tensorboard", version="", purge_step=forget)
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        sync_batchnorm=device.type == "cuda" and devices * nodes > 1,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        benchmark=device.type == "cuda",
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=plugins,
        logger=logger or False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_autolog_hparams=False,
        default_root_dir=out,
    )
