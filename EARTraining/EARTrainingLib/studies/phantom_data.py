"""Phantoms that a study makes for itself where no data are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from EARReconstructionLib.job import Progress

from ..datasets.preparation import prepare
from ..datasets.prepared import SPLITS, PreparedDataset
from ..datasets.readers import DatasetError, Found, read_sources
from ..datasets.readers.scan import Scan
from ..datasets.settings import PreparationSettings
from .scales import Phantoms


def made_data(wanted: Phantoms, out: Path, jobs: int, progress: Progress | None) -> PreparedDataset:
    """The phantoms of a scale, prepared in ``out``; gone on with where they were begun."""
    try:
        return PreparedDataset.open(out)
    except DatasetError:  # nothing there yet, or not finished
        settings = PreparationSettings(size=wanted.size, spacing_mm=wanted.spacing_mm)
        prepare(phantoms(wanted), settings, out, jobs=jobs, progress=progress)
        return PreparedDataset.open(out)


def phantoms(wanted: Phantoms) -> list[Found]:
    """The made-up spines of a scale, each in its split."""
    splits = [split for split, count in zip(SPLITS, wanted.spines, strict=True) for _ in range(count)]
    scans = (scan for scan in read_sources([f"phantoms:{len(splits)}"]) if isinstance(scan, Scan))
    return [replace(scan, split=split, targets=wanted.levels) for scan, split in zip(scans, splits, strict=True)]
