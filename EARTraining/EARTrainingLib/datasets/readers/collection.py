"""A collection: scans, masks and meshes from several places in one folder, listed in ``manifest.csv``.

Columns: ``file`` (within the folder), ``kind``, ``source``, ``licence``, ``subject``, ``level``, ``complete`` (y or n:
whether that vertebra is whole), ``use``. Kinds: ``full_msk`` is a label volume with VerSe labels and ``full_ct`` its
CT; ``mask_crop`` is one vertebra and ``ct_crop`` its CT; ``mask_only`` is one vertebra without CT; ``mesh`` is one
closed surface in RAS mm. ``density_crop`` is calibrated bone density in place of HU and is not read: its mask counts
as one without CT. ``use`` is ``training``, ``training-idealised`` (shapes of models: for training, never for a test)
or ``validation``; what has another use is left out.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL

from .scan import DatasetError, Exclusion, Found, Scan

Row = dict[str, str]

MANIFEST = "manifest.csv"
_COLUMNS = {"file", "kind", "source", "licence", "subject", "level", "complete", "use"}

#: Use -> split; None leaves the split to the 8:1:1 by patient.
_SPLITS: dict[str, str | None] = {"training": None, "training-idealised": "train", "validation": "validation"}

_VERSE_ID = re.compile(r"(verse|gl)\d{3}")


def is_collection(folder: Path) -> bool:
    """Whether a folder has a manifest.csv."""
    return (folder / MANIFEST).is_file()


def read_collection(folder: Path) -> list[Found]:
    """Scans of a collection, and what is left out.

    A person yields each vertebra once: from a full scan if there is one with it, else from the first single vertebra
    listed, else from a mesh. patient: a subject called like one of VerSe (verse004, gl003) is that patient, whatever
    the source; others are named by source and subject. All meshes of one source and subject lie in one frame.

    Raises DatasetError when the manifest is missing, unreadable or without a column.
    """
    collection = _Collection(folder, _rows(folder / MANIFEST))
    return [*collection.full_scans(), *collection.single_vertebrae(), *collection.mesh_columns(), *collection.others()]


@dataclass
class _Collection:
    """The rows of a manifest, and what of each person was already taken: (patient, level) -> file."""

    folder: Path
    rows: list[Row]
    taken: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row["kind"] == kind]

    def full_scans(self) -> Iterator[Found]:
        cts = {_person(row): row["file"] for row in self.of("full_ct")}
        for row in self.of("full_msk"):
            if row["use"] not in _SPLITS:
                yield _unused(row)
                continue
            levels = {r["level"]: r["complete"] for r in self.rows if _person(r) == _person(row)}
            listed = [level for level in LEVELS if level in levels]
            self.taken |= {(_patient(row), level): row["file"] for level in listed}
            whole = tuple(level for level in listed if levels[level] == "y")
            ct = cts.get(_person(row))
            yield _scan(
                row, row["subject"], ct=self.folder / ct if ct else None, mask=self.folder / row["file"],
                targets=whole if listed else None,
            )  # fmt: skip

    def single_vertebrae(self) -> Iterator[Found]:
        cts = {(*_person(row), row["level"]): row["file"] for row in self.of("ct_crop")}
        for row in self.rows:
            if row["kind"] not in ("mask_crop", "mask_only"):
                continue
            reason = self.reason_against(row)
            if reason is None and row["complete"] != "y":
                reason = "the collection says that it is not whole"
            if reason is not None:
                yield _exclusion(row, reason)
                continue
            self.taken[_patient(row), row["level"]] = row["file"]
            ct = cts.get((*_person(row), row["level"])) if row["kind"] == "mask_crop" else None
            yield _scan(
                row, f"{row['subject']}_{row['level']}", ct=self.folder / ct if ct else None,
                mask=self.folder / row["file"], targets=(row["level"],),
            )  # fmt: skip

    def mesh_columns(self) -> Iterator[Found]:
        columns: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in self.of("mesh"):
            reason = self.reason_against(row)
            if reason is not None:
                yield _exclusion(row, reason)
                continue
            self.taken[_patient(row), row["level"]] = row["file"]
            columns[(*_person(row), row["use"])].append(row)
        for rows in columns.values():
            rows.sort(key=lambda row: LEVELS.index(row["level"]))
            meshes = tuple((row["level"], self.folder / row["file"]) for row in rows)
            whole = tuple(row["level"] for row in rows if row["complete"] == "y")
            yield _scan(rows[0], f"{rows[0]['subject']}_mesh", meshes=meshes, targets=whole)

    def others(self) -> Iterator[Exclusion]:
        """CTs without mask, and kinds that nobody knows."""
        full = {_person(row) for row in self.of("full_msk")}
        crops = {(*_person(row), row["level"]) for row in self.of("mask_crop")}
        has_mask: dict[str, Callable[[Row], bool]] = {
            "full_ct": lambda row: _person(row) in full,
            "ct_crop": lambda row: (*_person(row), row["level"]) in crops,
            "density_crop": lambda row: (*_person(row), row["level"]) in crops,
        }
        for row in self.rows:
            if row["kind"] in has_mask:
                if not has_mask[row["kind"]](row):
                    yield _exclusion(row, f"a CT without a mask: {row['file']}")
            elif row["kind"] not in ("full_msk", "mask_crop", "mask_only", "mesh"):
                yield _exclusion(row, f"its kind, {row['kind']!r}, is not known: {row['file']}")

    def reason_against(self, row: Row) -> str | None:
        """Why a single vertebra is left out, if it is."""
        if row["use"] not in _SPLITS:
            return _unused(row).reason
        if row["level"] not in VERSE_LABEL:
            return f"its level, {row['level']!r}, is none of C1 to L6"
        earlier = self.taken.get((_patient(row), row["level"]))
        return f"the same person's {row['level']} is in {earlier}" if earlier else None


def _rows(manifest: Path) -> list[Row]:
    if not manifest.is_file():
        raise DatasetError(manifest.parent, f"there is no {MANIFEST} in it", "Give the folder of a collection")
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = sorted(_COLUMNS - set(reader.fieldnames or ()))
            rows = [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(manifest, f"it cannot be read ({error})", "Save it as CSV in UTF-8") from error
    if missing:
        raise DatasetError(manifest, f"columns are missing: {', '.join(missing)}", "Add them")
    return rows


def _person(row: Row) -> tuple[str, str]:
    return row["source"], row["subject"]


def _patient(row: Row) -> str:
    return row["subject"] if _VERSE_ID.fullmatch(row["subject"]) else f"{row['source']}_{row['subject']}"


def _scan(
    row: Row, series: str, *, targets: tuple[str, ...] | None, ct: Path | None = None, mask: Path | None = None,
    meshes: tuple[tuple[str, Path], ...] = (),
) -> Scan:  # fmt: skip
    return Scan(
        row["source"], _patient(row), series, ct, mask, meshes,
        split=_SPLITS[row["use"]], licence=row["licence"] or "not stated", targets=targets,
    )  # fmt: skip


def _exclusion(row: Row, reason: str) -> Exclusion:
    level = row["level"] if row["level"] in VERSE_LABEL else ""
    series = f"{row['subject']}_{level}" if level else row["subject"]
    return Exclusion(row["source"], _patient(row), series, level, reason)


def _unused(row: Row) -> Exclusion:
    return _exclusion(row, f"the collection keeps it for another use: {row['use'] or 'none given'}")
