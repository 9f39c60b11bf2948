"""`ear evaluate`: several models on one split of a prepared data set. Every finished model survives a stop."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import EARReconstructionLib
import pandas as pd
import torch
from EARReconstructionLib.bundle import Bundle, load_bundle
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.job import Progress
from EARReconstructionLib.reconstruction import choose_device
from EARReconstructionLib.volume_io import written_whole
from joblib import Parallel, delayed

from ..claim import alone
from ..datasets.manifest import Row
from ..datasets.prepared import SPLITS, PreparedDataset
from ..metrics import METRICS, normalised_fd
from ..refinement import refined_predictions
from ..shape_model.prediction import group_models, group_of, shape_predictions
from .figures import draw_figures
from .measurement import measure
from .prediction import Prediction, check_fit, fit_notes, predictions, write_prediction
from .summary import RESAMPLES, SEED, differences, summarise
from .tables import write_tables

RESULT = "evaluation.json"

#: Rows of finished models, one file each, named after the bundle.
FINISHED = "finished"

#: Name of the method without a network, and of what it is made of: another one would have other rows.
SHAPE_MODEL = "shape model"
_SHAPE_MODEL_VERSION = 1

#: What the name of a refined network ends in.
REFINED = ", refined"
_REFINEMENT_VERSION = 1

_FORMAT = {"format": "EAR evaluation", "version": 2}


@dataclass(frozen=True)
class _Work:
    """What is evaluated: checked, and about to begin. shape_model: whether one stands beside the networks. refine:
    whether each stands beside itself, refined."""

    methods: dict[str, Bundle]
    shape_model: bool
    refine: bool
    dataset: PreparedDataset
    rows: tuple[Row, ...]
    split: str
    out: Path


def evaluate(
    bundles: Mapping[str, Path],
    data: Path,
    out: Path,
    *,
    split: str = "test",
    device: str = "auto",
    reference: str | None = None,
    shape_model: bool = False,
    refine: bool = False,
    jobs: int = 1,
    figures: bool = True,
    save_volumes: bool = False,
    printed: Mapping[str, Mapping[str, float]] | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Measure models (method -> bundle) on a split ("all": every vertebra) of a prepared data set.

    Writes rows.csv (one line per vertebra and method), table.csv, differences.csv, table.md, table.tex,
    evaluation.json and, if wanted, figures/*.png with captions.md and volumes/METHOD-HASH/ID.nrrd; returns the rows.
    A model that was finished in ``out`` on the same data is not run again.

    reference: method that the others are compared with and figures are chosen by; default the first one. shape_model:
    put statistical shape models of the training vertebrae beside the networks, fitted to the same X-rays. refine: put
    each network's volumes beside themselves, moved until their projections look like the X-rays. jobs:
    processes that measure. printed: rows of a paper for table.md and table.tex.

    Raises EARError's kinds, before the work for whatever can be known then; Claimed while another run is at work there.
    """
    work = _checked(bundles, Path(data), Path(out), split, shape_model, refine)
    reference = next(iter(bundles)) if reference is None else reference
    if reference not in work.methods:
        raise EARError(f"reference {reference!r}", "no model has this name", f"Use one of {', '.join(work.methods)}")
    choose_device(device)
    with alone(work.out):
        return _evaluated(work, reference, device, jobs, figures, save_volumes, printed, progress)


def _evaluated(
    work: _Work,
    reference: str,
    device: str,
    jobs: int,
    figures: bool,
    save_volumes: bool,
    printed: Mapping[str, Mapping[str, float]] | None,
    progress: Progress | None,
) -> pd.DataFrame:
    rows, fd_bounds = _rows(work, device, jobs, save_volumes, progress)
    notes = [_scale_of_fd(fd_bounds), *_fit_notes(work)]
    if work.shape_model and (left := [r.id for r in work.rows if r.id not in set(_ids(rows, SHAPE_MODEL))]):
        notes.append(f"{SHAPE_MODEL}: too few shapes of their kind in the training for {', '.join(left)}.")
    metrics = [name for name in METRICS if name in rows]
    with written_whole(work.out / "rows.csv") as beside:
        rows.to_csv(beside, index=False)
    write_tables(work.out, summarise(rows, metrics), differences(rows, metrics, reference), notes, printed)
    captions: dict[str, str] = {}
    if figures:
        captions, undrawn = draw_figures(
            work.out / "figures", rows, work.methods, work.dataset, reference=reference, device=device
        )
        notes += undrawn
    record = {
        **_FORMAT,
        "package": EARReconstructionLib.__version__,
        "torch": torch.__version__,
        "device": choose_device(device).type,
        **_inputs(work),
        "reference": reference,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "unit": "patient"},
        "fd_bounds": fd_bounds,
        "figures": captions,
        "notes": notes,
    }
    _write_json(work.out / RESULT, record)
    return rows


def _ids(rows: pd.DataFrame, method: str) -> list[str]:
    return [str(one) for one in rows.loc[rows["method"] == method, "id"]]


def read_evaluation(out: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Summary (table.csv), differences and evaluation.json of a folder that evaluate wrote. Raises EARError."""
    try:
        said = json.loads((out / RESULT).read_text(encoding="utf-8"))
        return pd.read_csv(out / "table.csv"), pd.read_csv(out / "differences.csv"), dict(said)
    except (OSError, ValueError) as error:
        raise EARError(out, f"it is no finished evaluation ({error})", "Run `ear evaluate` into it") from error


def _checked(bundles: Mapping[str, Path], data: Path, out: Path, split: str, shape_model: bool, refine: bool) -> _Work:
    if not bundles:
        raise EARError("models", "there is none to evaluate", "Give at least one bundle")
    beside = [name + REFINED for name in bundles] if refine else []
    folders = [_folder_name(method) for method in (*bundles, *beside, *([SHAPE_MODEL] if shape_model else []))]
    if len(set(folders)) < len(folders) or not all(folders):
        raise EARError("models", "two of their names cannot be told apart as folders", "Name them with --name")
    if split not in (*SPLITS, "all"):
        raise EARError(f"split {split!r}", "there is no such split", f"Use one of {', '.join(SPLITS)} or all")
    dataset = PreparedDataset.open(data)
    rows = dataset.rows if split == "all" else dataset.rows_of(split)
    methods = {}
    for method, path in bundles.items():
        methods[method] = load_bundle(Path(path))
        check_fit(methods[method], dataset)
        methods[method].network()  # weights that do not fit must not be found out after hours
    if shape_model and not (dataset.folder / "scenes").is_dir():
        raise EARError(
            dataset.folder, "it has no scenes, which shape models are made of", "Prepare it without --no-scenes"
        )
    protocol, field = dataset.settings["protocol"], dataset.settings["field"]
    if refine and (protocol, field) != ("isolated", "cube"):
        raise EARError(
            dataset.folder,
            f"its X-rays are of the protocol {protocol!r} and the field {field!r}; refinement needs cubes, and X-rays "
            "that show nothing but the vertebra",
            "Leave out --refine, or prepare with --protocol isolated --field cube",
        )
    return _Work(methods, shape_model, refine, dataset, rows, split, out)


def _rows(
    work: _Work, device: str, jobs: int, save_volumes: bool, progress: Progress | None
) -> tuple[pd.DataFrame, tuple[float, float]]:
    """The rows of all models, from an earlier run where they are finished, and the bounds of fd_minmax."""
    everything: list[dict[str, Any]] = []
    methods = list(_methods(work, device))
    total = sum(len(method.rows) for method in methods)

    def tell(done: int, words: str) -> None:
        if progress is not None:
            progress(done, total, words)

    for method in methods:
        own = _finished(work, method, save_volumes)
        if own is None:
            own = []
            tell(len(everything), method.name)
            for row in _measured(work, method, jobs, save_volumes):
                own.append(row)
                tell(len(everything) + len(own), f"{method.name} {row['id']}")
            _keep(work, method, own)
        everything += [{"method": method.name, **row} for row in own]
        tell(len(everything), method.name)
    rows, bounds = normalised_fd(everything)
    return pd.DataFrame(rows), bounds


@dataclass(frozen=True)
class _Method:
    """One line of the table. key: SHA-256 of what it is. rows: the vertebrae that it can rebuild; rebuild begins to."""

    name: str
    model: str
    key: str
    rows: tuple[Row, ...]
    rebuild: Callable[[], Iterator[Prediction]]


def _methods(work: _Work, device: str) -> Iterator[_Method]:
    data, rows = work.dataset, work.rows
    for name, bundle in work.methods.items():
        rebuild = partial(predictions, bundle, data, rows, device=device)
        yield _Method(name, bundle.card.name, bundle.sha256, rows, rebuild)
        if work.refine:
            key = hashlib.sha256(f"{REFINED} {_REFINEMENT_VERSION} {bundle.sha256}".encode()).hexdigest()
            yield _Method(name + REFINED, bundle.card.name, key, rows, partial(_refined, rebuild, data))
    if work.shape_model:
        trained = Counter(group_of(row.level) for row in data.rows_of("train"))
        known = tuple(row for row in rows if (group := group_of(row.level)) and trained[group] > 1)
        key = hashlib.sha256(f"{SHAPE_MODEL} {_SHAPE_MODEL_VERSION} {data.fingerprint}".encode()).hexdigest()
        yield _Method(SHAPE_MODEL, SHAPE_MODEL, key, known, lambda: shape_predictions(data, known, group_models(data)))


def _refined(rebuild: Callable[[], Iterator[Prediction]], data: PreparedDataset) -> Iterator[Prediction]:
    return refined_predictions(rebuild(), data)


def _inputs(work: _Work) -> dict[str, Any]:
    """What was evaluated on what, for the record."""
    dataset = work.dataset
    data = {
        "folder": str(dataset.folder.resolve()),
        "fingerprint": dataset.fingerprint,
        "split": work.split,
        "vertebrae": len(work.rows),
        "patients": len({row.patient for row in work.rows}),
        "settings": dict(dataset.settings),
        "hu_statistics": list(dataset.hu_statistics),
    }
    models = {
        method: {"name": b.card.name, "sha256": b.sha256, "file": str(b.path), "threshold_hu": b.card.threshold_hu}
        for method, b in work.methods.items()
    }
    return {"data": data, "models": models}


def _scale_of_fd(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"FD (min-max): 0 and 1 are the least and the greatest FD of this evaluation, {low:.3f} and {high:.3f}."


def _fit_notes(work: _Work) -> list[str]:
    """What is to be known of models, each sentence once, with the models that it is about."""
    about: dict[str, list[str]] = {}
    for method, bundle in work.methods.items():
        for note in fit_notes(bundle, work.dataset, work.rows):
            about.setdefault(note, []).append(method)
    return [f"{', '.join(methods)}: {note}." for note, methods in about.items()]


def _measured(work: _Work, method: _Method, jobs: int, save_volumes: bool) -> Iterator[dict[str, Any]]:
    """A row for every vertebra, measured by ``jobs`` processes while the network goes on."""

    def saved() -> Iterator[Prediction]:
        for prediction in method.rebuild():
            if save_volumes:
                write_prediction(_volume(work, method, prediction.truth.row), prediction, method.model)
            yield prediction

    statistics = work.dataset.hu_statistics
    yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(measure)(p, statistics) for p in saved())


def _volume(work: _Work, method: _Method, row: Row) -> Path:
    return work.out / "volumes" / f"{_folder_name(method.name)}-{method.key[:8]}" / f"{row.id}.nrrd"


def _key(work: _Work, method: _Method) -> dict[str, Any]:
    """What rows depend on. Rows with the same key can be used again."""
    return {
        **_FORMAT,
        "sha256": method.key,
        "fingerprint": work.dataset.fingerprint,
        "hu_statistics": list(work.dataset.hu_statistics),
        "split": work.split,
        "metrics": list(METRICS),
    }


def _finished(work: _Work, method: _Method, save_volumes: bool) -> list[dict[str, Any]] | None:
    """The rows of a model that an earlier run finished; None when there are none, or its volumes are wanted now."""
    try:
        kept = json.loads((work.out / FINISHED / f"{method.key[:16]}.json").read_text(encoding="utf-8"))
        same = kept["key"] == _key(work, method) and [row["id"] for row in kept["rows"]] == [r.id for r in method.rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same or (save_volumes and not all(_volume(work, method, row).is_file() for row in method.rows)):
        return None
    return list(kept["rows"])


def _keep(work: _Work, method: _Method, rows: Sequence[dict[str, Any]]) -> None:
    _write_json(work.out / FINISHED / f"{method.key[:16]}.json", {"key": _key(work, method), "rows": list(rows)})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _folder_name(method: str) -> str:
    return re.sub(r"[^\w+.-]+", "_", method).strip("._")
