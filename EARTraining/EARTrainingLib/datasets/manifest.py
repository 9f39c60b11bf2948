"""The manifest of a prepared data set: a row for every vertebra and for every exclusion, with its reason."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from EARReconstructionLib.vertebra import LEVELS
from EARReconstructionLib.volume_io import written_whole

from .readers.scan import DatasetError, Exclusion

KEPT, EXCLUDED = "kept", "excluded"


@dataclass(frozen=True)
class Row:
    """A vertebra of the data set, or something that was left out of it; the fields are the manifest's columns.

    id: name of its files. level: "" where a whole scan was left out; label: its VerSe label. flags: separated by "; ".
    density: "ct", "made-up" or "phantom". ct, mask: files that it was made of. centre, size: of its box, RAS mm.
    Its X-rays: angles of view 1 (frontal) and 2 (lateral), distances, how far the isocentre lies from its centre (RAS),
    tube spectrum, photons per pixel (None: no noise), engine. What an excluded row does not have is "" or None.
    """

    id: str
    status: str
    reason: str
    source: str
    patient: str
    series: str
    level: str
    label: int | None = None
    flags: str = ""
    split: str = ""
    licence: str = ""
    density: str = ""
    ct: str = ""
    mask: str = ""
    centre_r_mm: float | None = None
    centre_a_mm: float | None = None
    centre_s_mm: float | None = None
    size_r_mm: float | None = None
    size_a_mm: float | None = None
    size_s_mm: float | None = None
    alpha1_deg: float | None = None
    beta1_deg: float | None = None
    alpha2_deg: float | None = None
    beta2_deg: float | None = None
    sod_mm: float | None = None
    sdd_mm: float | None = None
    off_r_mm: float | None = None
    off_a_mm: float | None = None
    off_s_mm: float | None = None
    spectrum: str = ""
    photons: float | None = None
    engine: str = ""

    @property
    def centre_ras_mm(self) -> tuple[float, float, float]:
        """Centre of its box. Raises ValueError for an excluded row."""
        return _three(self.centre_r_mm, self.centre_a_mm, self.centre_s_mm)

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Its box along R, A and S. Raises ValueError for an excluded row."""
        return _three(self.size_r_mm, self.size_a_mm, self.size_s_mm)

    @property
    def rule(self) -> str:
        """The reason without what was found and without names, to count by."""
        return re.sub(r"\S*[\d/_]\S*", "...", self.reason.split(":")[0])

    def to_dict(self) -> dict[str, str | int | float | None]:
        """JSON-able: column -> value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, str | int | float | None]) -> Row:
        """Inverse of to_dict, for a line of a CSV file too. Raises KeyError or ValueError when it is none."""
        parsed: dict[str, str | int | float | None] = {}
        for column, kind in _KINDS.items():
            value = values[column]
            parsed[column] = kind(value or "") if kind is str else None if value in ("", None) else kind(value)
        if parsed["status"] not in (KEPT, EXCLUDED):
            raise ValueError(f"status {parsed['status']!r}")
        return cls(**parsed)  # type: ignore[arg-type]


_KINDS: dict[str, type] = {
    f.name: next(kind for kind in (str, int, float) if str(f.type).startswith(kind.__name__)) for f in fields(Row)
}


def _three(*values: float | None) -> tuple[float, float, float]:
    r, a, s = values
    if r is None or a is None or s is None:
        raise ValueError("an excluded row has no place")
    return r, a, s


def excluded(exclusion: Exclusion, licence: str = "") -> Row:
    """The row of something that a reader or a failure left out."""
    e = exclusion
    return Row("", EXCLUDED, " ".join(e.reason.split()), e.source, e.patient, e.series, e.level, licence=licence)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows by source, patient and series, from head to foot."""
    place = {level: n for n, level in enumerate(LEVELS)}
    return sorted(rows, key=lambda r: (r.source, r.patient, r.series, place.get(r.level, -1), r.level, r.reason))


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, whole or not at all. Raises EARError when the place cannot be written to."""
    with written_whole(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(_KINDS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.to_dict() for row in rows)


def read_manifest(path: str | Path) -> list[Row]:
    """Read what write_manifest wrote. Raises DatasetError for a file that is missing or none."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            return [Row.from_dict(line) for line in csv.DictReader(stream)]
    except OSError as error:
        raise DatasetError(path, f"it cannot be read ({error.strerror})", "Run `ear prepare`") from error
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(
            path, f"it is no manifest of a prepared data set ({error!r})", "Run the same `ear prepare` command again"
        ) from error
