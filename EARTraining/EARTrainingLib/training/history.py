"""The numbers of a run: CSV files that a resumed run continues without a seam, TensorBoard, and lines for programs."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from EARReconstructionLib.volume_io import written_whole

#: Steps between two points of TensorBoard's curves; the CSV file has every step.
TOLD_EVERY = 50

#: Told one event of the run: ``event`` and the fields that Progress names.
Tell = Callable[[dict[str, Any]], None]


class History(L.Callback):
    """steps.csv, a row per step of the optimiser, and history.csv, a row per epoch with means and validation.

    Losses are means over the passes of a step, and over the steps of an epoch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epoch: dict[str, float] = {}
        self._passes: list[dict[str, float]] = []
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Sums over the epoch so far."""
        return {"epoch": dict(self.epoch), "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of state_dict."""
        self.epoch, self._steps = dict(state_dict["epoch"]), state_dict["steps"]

    def on_train_start(self, trainer: L.Trainer, learner: Any) -> None:
        """Forget rows of steps that a run made and was killed before a checkpoint: they come again."""
        if trainer.is_global_zero:
            for name in ("steps.csv", "history.csv"):
                _forget_after(trainer.global_step, self.folder / name)

    def on_train_batch_end(self, trainer: L.Trainer, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """Note a step."""
        self._passes.append(outputs["terms"])
        if (number + 1) % trainer.accumulate_grad_batches:
            return
        terms = {name: sum(one[name] for one in self._passes) / len(self._passes) for name in self._passes[0]}
        self._passes = []
        self._steps += 1
        self.epoch = {name: self.epoch.get(name, 0.0) + value for name, value in terms.items()}
        row = terms | {"learning_rate": learner.learning_rate}
        self._note(trainer, "steps.csv", row, trainer.global_step % TOLD_EVERY == 0)

    def on_train_epoch_end(self, trainer: L.Trainer, learner: Any) -> None:
        """Note an epoch."""
        means = {f"train_{name}": value / self._steps for name, value in self.epoch.items()}
        self._note(trainer, "history.csv", means | learner.validated, True)
        self.epoch, self._steps = {}, 0

    def _note(self, trainer: L.Trainer, name: str, values: dict[str, float], to_loggers: bool) -> None:
        if not trainer.is_global_zero:
            return
        _append(self.folder / name, {"epoch": trainer.current_epoch + 1, "step": trainer.global_step} | values)
        for logger in trainer.loggers if to_loggers else ():
            logger.log_metrics(values, step=trainer.global_step)


class Progress(L.Callback):
    """Tells a program or a person where the run stands, in one record per step and per epoch.

    step: epoch, epochs, step, steps (of the whole run), loss, seconds (since this process began), eta_s (to the end of
    the run). epoch: epoch, epochs, step, steps, seconds, eta_s, the numbers of the validation, and the picture's path.
    """

    def __init__(self, tell: Tell, began: float) -> None:
        self.tell, self.began = tell, began
        self._first = 0
        self._started = began

    def on_train_start(self, trainer: L.Trainer, learner: Any) -> None:
        """Steps before this one say nothing on how fast this process is."""
        self._first, self._started = trainer.global_step, time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """A step of the optimiser is done."""
        if (number + 1) % trainer.accumulate_grad_batches == 0:
            self._say(trainer, learner, "step", {"loss": outputs["terms"]["loss"]})

    def on_train_epoch_end(self, trainer: L.Trainer, learner: Any) -> None:
        """An epoch and its validation are done."""
        self._say(trainer, learner, "epoch", learner.validated | {"picture": learner.picture})

    def _say(self, trainer: L.Trainer, learner: Any, event: str, values: dict[str, Any]) -> None:
        if not trainer.is_global_zero:
            return
        now, step, epochs = time.monotonic(), trainer.global_step, trainer.max_epochs or 0
        steps = epochs * learner.epoch_steps
        pace = (now - self._started) / max(step - self._first, 1)
        place = {"epoch": trainer.current_epoch + 1, "epochs": epochs, "step": step, "steps": steps}
        times = {"seconds": round(now - self.began, 3), "eta_s": round(pace * (steps - step), 3)}
        self.tell({"event": event, **place, **values, **times})


def _append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _forget_after(step: int, path: Path) -> None:
    """Keep the heading and the whole rows up to a step."""
    if step == 0:
        path.unlink(missing_ok=True)
    if not path.exists():
        return
    heading, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[1]) <= step]
    with written_whole(path) as beside:
        beside.write_text("".join([heading, *kept]), encoding="utf-8")
