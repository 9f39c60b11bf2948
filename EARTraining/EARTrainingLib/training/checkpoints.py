"""Checkpoints that are whole or not there, read without running code, and the ways in which a run stops."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
import torch
from EARReconstructionLib.volume_io import written_whole
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from .errors import CheckpointError, Stopped

#: Seconds between checkpoints within an epoch: what a kill can cost.
CHECKPOINT_S = 600.0

#: Where a checkpoint holds what it was made from.
ORIGIN = "ear_run"


class WholeFiles(TorchCheckpointIO):
    """Files that are written beside their place, brought to the disk and then renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``path`` whole, or leave an older one as it was. Raises EARError when there is no room."""
        with written_whole(path) as beside, beside.open("wb") as stream:
            torch.save(checkpoint, stream)
            stream.flush()
            os.fsync(stream.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents on the CPU. Raises CheckpointError for what is damaged or no checkpoint of a run."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        checkpoint[ORIGIN]["recipe"]
    except Exception as error:  # the reader of a damaged file fails in any way
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            path,
            f"it is damaged, or no checkpoint of a training run ({cause[:200]})",
            "Delete it to train again from the beginning, or bring back a copy of it",
        ) from error
    return checkpoint


class Checkpoints(Checkpoint):
    """last.ckpt after every epoch, every ten minutes, and where the run stops; best.ckpt by validation loss.

    A run stops at the end of a step: when its time is over, or at the first Ctrl-C or SIGTERM. Then Stopped is raised
    on every device. began: of the run, time.monotonic().
    """

    def __init__(self, folder: Path, began: float, max_time_s: float | None = None) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.began, self.max_time_s = began, max_time_s
        self.best_loss: float | None = None
        self._saved = began
        self._signalled = False

    def state_dict(self) -> dict[str, Any]:
        """The best validation loss so far."""
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of state_dict."""
        self.best_loss = state_dict["best_loss"]

    def on_train_start(self, trainer: L.Trainer, learner: Any) -> None:
        """Listen to signals. Lightning puts back the earlier handlers when it is done."""
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._signal)
            signal.signal(signal.SIGTERM, self._signal)

    def on_train_batch_end(self, trainer: L.Trainer, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """Save and stop within an epoch, but only between steps of the optimiser."""
        done = number + 1
        if done % trainer.accumulate_grad_batches or done == trainer.num_training_batches:
            return  # after the last step come validation and the end of the epoch
        stop = self._stops(trainer)
        due = time.monotonic() - self._saved > CHECKPOINT_S
        if stop or trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)
        if stop:
            self._stop()

    def on_train_epoch_end(self, trainer: L.Trainer, learner: Any) -> None:
        """Save after validation; the best first, so that the last one never speaks of a best that is not there."""
        loss = learner.validated["val_loss"]
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss = loss
            trainer.save_checkpoint(self.best, weights_only=True)
        self._save(trainer)
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0) and self._stops(trainer):
            self._stop()

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.last)
        self._saved = time.monotonic()

    def _stops(self, trainer: L.Trainer) -> bool:
        """Whether to stop here, the same on all devices."""
        late = self.max_time_s is not None and time.monotonic() - self.began >= self.max_time_s
        return bool(trainer.strategy.reduce_boolean_decision(late or self._signalled, all=False))

    def _stop(self) -> NoReturn:
        raise Stopped(by_user=self._signalled)

    def _signal(self, _number: int, _frame: Any) -> None:
        if self._signalled:
            raise Stopped(by_user=True)
        self._signalled = True
        print("Stopping after this step with a checkpoint. Again: stop at once, without.", file=sys.stderr)
