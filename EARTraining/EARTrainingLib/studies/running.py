"""A study from the first training to its table, through any number of interruptions and on any number of machines."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.job import Progress
from EARReconstructionLib.reconstruction import choose_device

from ..claim import Claim, Claimed
from ..datasets.prepared import SPLITS, PreparedDataset
from ..training.data import Data
from ..training.export import exported
from ..training.recipe import PRESETS
from ..training.run import train
from .pace import Pace, Stopwatch, read_pace
from .phantom_data import made_data
from .record import begin, check_begun, recipes
from .scales import SCALES, StudyError
from .study import ELSEWHERE, FAILED, FINISHED, WAITING, Finished, Run, Study, parameters, shared_recipe
from .texts import write_text


@dataclass(frozen=True)
class Order:
    """What a call may decide about a study.

    data: a prepared data set; None for what the scale makes. settings: changes of all recipes, as
    Recipe.with_overrides takes them. only: names of runs to train; a run that failed is tried again when it is among
    them. jobs: processes that prepare, load and measure. max_time_s: after which no training goes on.
    """

    out: Path
    data: Path | None = None
    scale: str = "paper"
    preset: str = "paper"
    settings: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    device: str = "auto"
    jobs: int = 1
    max_time_s: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a study stands. states: run -> FINISHED, FAILED, ELSEWHERE (another process has it) or WAITING.

    reasons: run -> why it failed, or who has it. written: tables and figures; empty while a run is missing.
    """

    out: Path
    states: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)
    written: tuple[Path, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether every run has finished or failed."""
        return all(state in (FINISHED, FAILED) for state in self.states.values())


def run_study(
    study: Study, order: Order, *, progress: Progress | None = None, say: Callable[[str], None] | None = None
) -> Outcome:
    """Do what is left of a study: data, trainings, evaluation, table and figures. The same call goes on after any stop.

    progress: where the present piece of work stands. say: told a sentence when a run begins or ends.

    A run that fails is noted and the others go on. Raises StudyError for a study that was begun otherwise, an unknown
    name or no run that finished, and EARError's kinds for what concerns all runs.
    """
    began = time.monotonic()
    for name, value, known in (("scale", order.scale, SCALES), ("preset", order.preset, PRESETS)):
        if value not in known:
            raise StudyError(f"{name} {value!r}", "there is none of this name", f"Use one of {', '.join(known)}")
    scale, out = SCALES[order.scale], order.out
    target = choose_device(order.device)
    head = {"study": study.name, "scale": scale.name, "preset": order.preset}
    check_begun(out, head)
    dataset = _data(order, head, progress)
    runs = tuple(study.runs(shared_recipe(order.preset, scale, order.settings, dataset), scale, dataset))
    chosen = _chosen(runs, order.only)
    _check(runs, dataset)
    begin(out, {**head, "data": dataset.fingerprint, "runs": recipes(runs)})
    work = _Work(out, dataset, runs, order, target, progress, say or (lambda _: None))
    for run in chosen:
        left_s = None if order.max_time_s is None else order.max_time_s - (time.monotonic() - began)
        if left_s is not None and left_s <= 0:
            break
        work.do(run, left_s)
    outcome = work.outcome()
    late = order.max_time_s is not None and time.monotonic() - began >= order.max_time_s
    if not outcome.settled or late:
        return outcome
    finished = Finished(
        out,
        study.title,
        scale,
        order.preset,
        dataset,
        runs,
        {run.name: work.bundle(run) for run in runs if outcome.states[run.name] == FINISHED},
        outcome.reasons,
        work.paces(),
    )
    if not finished.bundles:
        name, reason = next(iter(outcome.reasons.items()))
        raise StudyError(out, f"all runs failed, {name} because {reason}", "Mend that, and name runs with --only")
    try:
        with Claim(out / "claims" / "evaluation"):
            return replace(outcome, written=tuple(_reported(study, finished, order, progress)))
    except Claimed as claimed:
        work.say(f"Not evaluated: {claimed.cause}.")
        return outcome


def _reported(study: Study, finished: Finished, order: Order, progress: Progress | None) -> list[Path]:
    """Table and figures; those of the same models are left as they are, unless one of them is missing."""
    path = order.out / "report.json"
    key = {name: load_bundle(bundle).sha256 for name, bundle in finished.bundles.items()} | finished.failures
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        written = [order.out / name for name in earlier["written"]]
        if earlier["of"] == key and all(file.is_file() for file in written):
            return written
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none yet
    written = study.report(finished, order.device, order.jobs, progress)
    names = [file.relative_to(order.out).as_posix() for file in written]
    write_text(path, json.dumps({"of": key, "written": names}, indent=1) + "\n")
    return written


def _data(order: Order, head: dict[str, Any], progress: Progress | None) -> PreparedDataset:
    """The data as given, or those that the scale makes in the study's folder."""
    scale = SCALES[order.scale]
    if order.data is not None:
        return PreparedDataset.open(order.data)
    if scale.phantoms is None:
        raise StudyError(
            f"scale {scale.name!r}",
            "it makes no data for itself",
            "Give a folder that `ear prepare` wrote with --data, or another scale",
        )
    begin(order.out, head)  # what is made belongs to this study
    place = order.out / "data"
    try:
        with Claim(order.out / "claims" / "data"):
            return made_data(scale.phantoms, place, order.jobs, progress)
    except Claimed as claimed:
        raise StudyError(place, claimed.cause, "Run the same command again when it is done") from claimed


def _chosen(runs: Sequence[Run], only: Sequence[str]) -> list[Run]:
    known = {name: run for run in runs for name in (run.folder, run.name)}
    unknown = [name for name in only if name not in known]
    if unknown:
        names = ", ".join(run.name for run in runs)
        raise StudyError(f"--only {unknown[0]}", "the study has no such run", f"Use one of {names}")
    wanted = {known[name].name for name in only} or {run.name for run in runs}
    return [run for run in runs if run.name in wanted]


def _check(runs: Sequence[Run], dataset: PreparedDataset) -> None:
    """What would make a run fail at its start must be found out before the first. Raises EARError's kinds."""
    for split in SPLITS:
        dataset.rows_of(split)
    for run in runs:
        parameters(run.recipe)
        Data(dataset, run.recipe).steps_per_epoch()
    if any(run.recipe.xrays == "live" for run in runs):
        dataset.scene(dataset.rows[0])


@dataclass(frozen=True)
class _Work:
    """The runs of a study in its folder."""

    out: Path
    dataset: PreparedDataset
    runs: tuple[Run, ...]
    order: Order
    device: torch.device
    progress: Progress | None
    say: Callable[[str], None]
    taken: dict[str, str] = field(default_factory=dict)

    def folder(self, run: Run) -> Path:
        return self.out / "runs" / run.folder

    def bundle(self, run: Run) -> Path:
        return self.folder(run) / f"{run.folder}.safetensors"

    def is_finished(self, run: Run) -> bool:
        return exported(self.bundle(run), run.recipe, self.dataset)

    def failure(self, run: Run) -> str | None:
        """Why a run failed earlier; None when it did not."""
        try:
            return str(json.loads((self.folder(run) / "failed.json").read_text(encoding="utf-8"))["reason"])
        except (OSError, ValueError, KeyError):
            return None

    def do(self, run: Run, max_time_s: float | None) -> None:
        """Train a run unless it has finished, failed, or somebody else is at it."""
        try:
            with Claim(self.out / "claims" / run.folder):
                again = bool(self.order.only)
                if not self.is_finished(run) and (again or self.failure(run) is None):
                    self._train(run, max_time_s)
        except Claimed as claimed:
            self.taken[run.name] = claimed.cause
            self.say(f"{run.name}: {claimed.cause}.")

    def _train(self, run: Run, max_time_s: float | None) -> None:
        folder, place = self.folder(run), f"run {self.runs.index(run) + 1} of {len(self.runs)}, {run.name}"
        (folder / "failed.json").unlink(missing_ok=True)
        watch, began = Stopwatch(folder / "pace.json", self.device), time.monotonic()
        self.say(f"{place}: {'goes on' if (folder / 'last.ckpt').exists() else 'begins'}.")

        def note(event: dict[str, Any]) -> None:
            watch.note(event)
            if self.progress is not None and event["event"] == "step":
                words = f"{place}: epoch {event['epoch']} of {event['epochs']}, loss {event['loss']:.4f}"
                self.progress(event["step"], event["steps"], words)

        try:
            bundle = train(
                run.recipe,
                self.dataset.folder,
                folder,
                device=self.order.device,
                workers=self.order.jobs if self.order.jobs > 1 else 0,
                max_time_s=max_time_s,
                progress=note,
                name=run.folder,
            )
        except Claimed:  # by somebody who trains it outside of the study
            raise
        except (EARError, RuntimeError, MemoryError) as error:
            write_text(folder / "failed.json", json.dumps({"reason": _reason(error)}, indent=1) + "\n")
            self.say(f"{place}: failed: {_reason(error)}")
        else:
            state = "finished" if bundle is not None else "stopped with a checkpoint"
            self.say(f"{place}: {state} after {(time.monotonic() - began) / 60:.1f} minutes.")
        gc.collect()  # the next run needs the memory
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def outcome(self) -> Outcome:
        states, reasons = {}, {}
        for run in self.runs:
            failure = self.failure(run)
            if self.is_finished(run):
                states[run.name] = FINISHED
            elif failure is not None:
                states[run.name], reasons[run.name] = FAILED, failure
            elif run.name in self.taken:
                states[run.name], reasons[run.name] = ELSEWHERE, self.taken[run.name]
            else:
                states[run.name] = WAITING
        return Outcome(self.out, states, reasons)

    def paces(self) -> dict[str, Pace]:
        found = {run.name: read_pace(self.folder(run) / "pace.json") for run in self.runs}
        return {name: pace for name, pace in found.items() if pace is not None}


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
