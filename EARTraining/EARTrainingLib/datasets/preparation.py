"""From scans as downloaded to a data set for training, on one machine or on a cluster.

Safe to kill at any moment. A scan is done when its ``scans/<key>.json`` is there, which is written last; the next run
goes on with the others, and ends with the same files as a run that was never stopped.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch
from EARReconstructionLib.errors import Cancelled, EARError
from EARReconstructionLib.job import Cancel, Progress
from EARReconstructionLib.volume_io import written_whole

from ..claim import alone
from ..projection.engine import make_engine
from .manifest import KEPT, Row, excluded, in_order, write_manifest
from .parallel import WorkerLost, each
from .prepared import FORMAT, VERSION
from .readers.scan import DatasetError, Exclusion, Found, Scan
from .scan_preparation import OutputError, prepare_scan, written_files
from .settings import PreparationSettings, differences
from .split import forced_splits, read_split, split_patients, write_split

#: Rule under which the manifest counts scans that could not be prepared; the next run tries them again.
FAILED = "failed"

#: What a killed run may leave: files that were not renamed yet, and notes of scans that were being worked on.
_LEFT_OVER = re.compile(r"\.[0-9a-f]{32}(\..+)?|.+\.started")


@dataclass(frozen=True)
class Plan:
    """What a run has to do. done: markers of scans that are finished. excluded: what the readers left out."""

    todo: tuple[Scan, ...]
    done: tuple[dict[str, Any], ...]
    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True)
class Summary:
    """What a data set holds after a run. scans: those that could be used; failed: those that could not."""

    out: Path
    rows: tuple[Row, ...]
    scans: int
    failed: int

    @property
    def kept(self) -> tuple[Row, ...]:
        """The vertebrae of the data set."""
        return tuple(row for row in self.rows if row.status == KEPT)


@dataclass(frozen=True)
class _Outcome:
    """What became of a scan. Errors travel as words: not every exception survives the way back from a worker."""

    scan: Scan
    failure: str = ""
    stop: tuple[str, str, str] | None = None


def prepare(
    found: Sequence[Found],
    settings: PreparationSettings,
    out: Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    deepdrr_python: str | Path | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Summary:
    """Prepare a data set, or go on with one that was begun.

    found: what ``read_sources`` gives. jobs: processes on this machine. scheduler: address of a dask scheduler instead.
    deepdrr_python: interpreter for the engine "deepdrr". progress: told after each scan.
    cancel: asked after each scan. A scan that cannot be used becomes a row of the manifest and stops nothing.

    Raises DatasetError for a folder that was begun with other settings or sources, or when no vertebra is left; Claimed
    while another run is at work in it; EARError when the folder cannot be written to, the engine cannot start or a
    worker dies; Cancelled. What is finished is kept.
    """
    out = Path(os.path.abspath(out))
    with alone(out):
        plan = make_plan(found, settings, out)
        _begin(out, settings)
        failed: list[Exclusion] = []
        total, done = len(plan.todo) + len(plan.done), len(plan.done)
        todo = [_absolute(scan) for scan in plan.todo]
        work = partial(_work, settings=settings, out=out, python=deepdrr_python)
        try:
            for outcome in each(work, todo, jobs, scheduler):
                scan = outcome.scan
                if outcome.stop is not None:
                    raise EARError(*outcome.stop)
                if outcome.failure:
                    failed.append(Exclusion(scan.source, scan.patient, scan.series, "", f"{FAILED}: {outcome.failure}"))
                done += 1
                if progress is not None:
                    progress(done, total, scan.key)
                if cancel is not None and cancel():
                    raise Cancelled
        except WorkerLost as error:
            raise _worker_lost(out) from error
        return _finish(found, settings, out, plan.excluded, failed)


def _absolute(scan: Scan) -> Scan:
    """The same scan for a worker in another folder, and for a manifest that is read in another one."""

    def whole(path: Path) -> Path:
        return Path(os.path.abspath(path))  # links stay: they may be how a data set was put together

    meshes = tuple((level, whole(path)) for level, path in scan.meshes)
    return replace(scan, ct=scan.ct and whole(scan.ct), mask=scan.mask and whole(scan.mask), meshes=meshes)


def make_plan(found: Sequence[Found], settings: PreparationSettings, out: Path) -> Plan:
    """What ``prepare`` would do; changes nothing. Raises DatasetError as prepare does."""
    header = out / "dataset.json"
    if header.is_file():
        told = differences(_read_json(header).get("settings", {}), settings.to_dict())
        if told:
            raise DatasetError(
                out,
                f"it was begun with other settings ({'; '.join(told)})",
                "Give the same settings, or another folder for the new ones",
            )
    elif out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise DatasetError(out, "it holds other files, and no dataset.json", "Give a folder of its own to the data set")
    scans = [item for item in found if isinstance(item, Scan)]
    left_out = [item for item in found if isinstance(item, Exclusion)]
    markers = {path.stem: _read_json(path) for path in sorted((out / "scans").glob("[!.]*.json"))}
    _check_sources(out, markers, found)
    done = [scan for scan in scans if scan.key in markers and _is_complete(out, markers[scan.key], settings)]
    keys = {scan.key for scan in done}
    return Plan(
        tuple(scan for scan in scans if scan.key not in keys),
        tuple(markers[scan.key] for scan in done),
        tuple(left_out),
    )


def _check_sources(out: Path, markers: dict[str, dict[str, Any]], found: Sequence[Found]) -> None:
    """Scans of an earlier run must be among the sources: duplicates are merged over all sources at once."""
    known = {(item.source, item.series) for item in found}
    strange = [key for key, marker in markers.items() if (marker.get("source"), marker.get("series")) not in known]
    if strange:
        raise DatasetError(
            out,
            f"{len(strange)} of its scans are not among the sources, {strange[0]} for instance",
            "Give all earlier sources too, or another folder",
        )


def _is_complete(out: Path, marker: dict[str, Any], settings: PreparationSettings) -> bool:
    kept = [row["id"] for row in marker.get("rows", ()) if row["status"] == KEPT]
    return "sums" in marker and all((out / name).is_file() for id in kept for name in written_files(id, settings))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(path, f"it is damaged ({error})", "Delete it and run the same command again") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _begin(out: Path, settings: PreparationSettings) -> None:
    """The settings first, so that no other run mixes with this one; then away with what a killed run left."""
    header = out / "dataset.json"
    if not header.is_file():
        content = {"format": FORMAT, "version": VERSION, "settings": settings.to_dict(), "statistics": None}
        _write_json(header, content)
    for folder in (out, *(path for path in out.iterdir() if path.is_dir())):
        for path in folder.iterdir():
            if _LEFT_OVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _work(scan: Scan, *, settings: PreparationSettings, out: Path, python: str | Path | None) -> _Outcome:
    """Prepare one scan, in whatever process. Never raises but for Ctrl-C."""
    try:
        engine = make_engine(settings.engine, python)
    except EARError as error:  # of the machine, not of the scan
        return _Outcome(scan, stop=(error.subject, error.cause, error.advice))
    note = out / "scans" / f"{scan.key}.started"
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
        with closing(engine), _one_thread():
            prepare_scan(scan, settings, engine, out)
        return _Outcome(scan)
    except OutputError as error:
        return _Outcome(scan, stop=(error.subject, error.cause, error.advice))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _Outcome(scan, stop=(str(error.filename or out), "the disk is full", "Make room and run again"))
        return _Outcome(scan, failure=str(error))
    except EARError as error:
        return _Outcome(scan, failure=str(error))
    except Exception as error:  # one scan must not cost the others
        return _Outcome(scan, failure=f"{type(error).__name__}: {error}")
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One core per scan: scans are what is worked on side by side."""
    threads, itk_threads = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(itk_threads)


def _worker_lost(out: Path) -> EARError:
    started = sorted(path.stem for path in (out / "scans").glob("*.started"))
    return EARError(
        "worker process",
        f"it died during {', '.join(started) or 'an unknown scan'}; most often memory runs out",
        "Everything finished is kept: run the same command again, with fewer --jobs or on a machine with more memory",
    )


def _finish(
    found: Sequence[Found],
    settings: PreparationSettings,
    out: Path,
    left_out: Sequence[Exclusion],
    failed: Sequence[Exclusion],
) -> Summary:
    """Split, manifest and statistics over all finished scans; dataset.json last, which says that it is complete."""
    scans = [item for item in found if isinstance(item, Scan)]
    licences = {(scan.source, scan.series): scan.licence for scan in scans}
    lost = {(item.source, item.series) for item in failed}
    usable = [scan for scan in scans if (scan.source, scan.series) not in lost]
    markers = [_read_json(out / "scans" / f"{scan.key}.json") for scan in usable]
    rows = [Row.from_dict(row) for marker in markers for row in marker["rows"]]
    sums = {id: three for marker in markers for id, three in marker["sums"].items()}
    rows += [excluded(item, licences.get((item.source, item.series), "")) for item in (*left_out, *failed)]
    earlier = read_split(out / "split.csv")
    patients = {row.patient for row in rows if row.status == KEPT}
    forced = forced_splits((scan.patient, scan.split) for scan in scans)
    split = split_patients(patients, settings.seed, forced=forced, kept=earlier)
    rows = in_order(replace(row, split=split.get(row.patient, "") if row.status == KEPT else "") for row in rows)
    write_manifest(out / "manifest.csv", rows)
    kept = [row for row in rows if row.status == KEPT]
    if not kept:
        raise DatasetError(out, "no vertebra is left", f"See the reasons in {out / 'manifest.csv'}")
    write_split(out / "split.csv", {**earlier, **split})
    training = [row for row in kept if row.split == "train"] or kept  # a data set may be for tests only
    statistics = _statistics([sums[row.id] for row in training])
    header = {"format": FORMAT, "version": VERSION, "settings": settings.to_dict(), "statistics": statistics}
    _write_json(out / "dataset.json", header)
    return Summary(out, tuple(rows), len(markers), len(failed))


def _statistics(sums: Sequence[Sequence[int]]) -> dict[str, float]:
    """Mean and SD in HU from (voxels, sum, sum of squares) of each volume: whole numbers, so no order changes them."""
    count, total, squares = (sum(column) for column in zip(*sums, strict=True))
    return {"hu_mean": total / count, "hu_sd": math.sqrt(count * squares - total * total) / count}
