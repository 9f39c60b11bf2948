"""Training, validation and test: 8 : 1 : 1 of the patients, never of the vertebrae."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from EARReconstructionLib.volume_io import written_whole

from .prepared import SPLITS, SURROUNDINGS
from .readers.scan import DatasetError

#: Share of the patients in validation and in test.
SHARE = 0.1

#: From so many patients on, validation and test get one each at least.
FEWEST_TO_SPLIT = 3


def split_patients(
    patients: Iterable[str],
    seed: int,
    *,
    forced: Mapping[str, str] | None = None,
    kept: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Patient -> one of SPLITS, by the seed and their names alone.

    forced: what the sources fix. kept: an earlier split, honoured: its patients stay where they are, also in
    SURROUNDINGS, and those who joined since fill up what is missing to 8 : 1 : 1 of all others, in an order that the
    seed and their names give.
    Raises DatasetError where a source fixes another split than the earlier one.
    """
    patients = sorted(set(patients))
    forced, kept = forced or {}, kept or {}
    moved = [p for p in patients if p in forced and kept.get(p, forced[p]) != forced[p]]
    if moved:
        raise DatasetError(
            "split.csv",
            f"it has {moved[0]} in {kept[moved[0]]!r}, but the source fixes {forced[moved[0]]!r}",
            "Correct split.csv, or prepare into a new folder",
        )
    split = {p: kept.get(p) or forced[p] for p in patients if p in kept or p in forced}
    waiting = sorted((p for p in patients if p not in split), key=lambda p: _drawn(seed, p))
    count = sum(split.get(p) != SURROUNDINGS for p in patients)
    wanted = round(SHARE * count)
    if count >= FEWEST_TO_SPLIT:
        wanted = max(wanted, 1)
    for name in ("test", "validation"):
        missing = max(wanted - sum(s == name for s in split.values()), 0)
        split |= dict.fromkeys(waiting[:missing], name)
        waiting = waiting[missing:]
    return dict(sorted({**split, **dict.fromkeys(waiting, "train")}.items()))


def _drawn(seed: int, patient: str) -> str:
    return hashlib.sha256(f"{seed} {patient}".encode()).hexdigest()


def forced_splits(fixed: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """(patient, split or None) of every scan -> what the sources fix. Raises DatasetError where they disagree."""
    forced: dict[str, str] = {}
    for patient, name in fixed:
        if name is None:
            continue
        if name not in SPLITS or forced.setdefault(patient, name) != name:
            raise DatasetError(
                f"patient {patient}",
                f"the sources put them into {forced.get(patient, name)!r} and into {name!r}"
                if name in SPLITS
                else f"a source puts them into {name!r}",
                f"Correct the source: every patient is in one of {', '.join(SPLITS)}",
            )
    return forced


def write_split(path: Path, split: Mapping[str, str]) -> None:
    """Write split.csv, whole or not at all."""
    with written_whole(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("patient", "split"))
        writer.writerows(sorted(split.items()))


def read_split(path: Path) -> dict[str, str]:
    """Patient -> split of a split.csv, which users may edit; {} where there is none. One of SPLITS, or SURROUNDINGS.

    Raises DatasetError for a file that is none, or a patient in two splits.
    """
    if not path.is_file():
        return {}
    split: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [(line["patient"], line["split"]) for line in csv.DictReader(stream)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(path, f"it cannot be read ({error!r})", "Give the columns patient and split") from error
    for patient, name in lines:
        if name not in (*SPLITS, SURROUNDINGS) or not patient:
            raise DatasetError(path, f"{patient!r} is in {name!r}", f"Use one of {', '.join(SPLITS)}, {SURROUNDINGS}")
        if split.setdefault(patient, name) != name:
            raise DatasetError(
                path, f"{patient} is in {split[patient]!r} and in {name!r}", "Leave each patient in one split"
            )
    return split
