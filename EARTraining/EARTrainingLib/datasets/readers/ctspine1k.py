"""CTSpine1K (CC BY-NC-SA: weights that saw it are best treated as non-commercial), in both of its layouts.

``rawdata/volumes/<source>/<stem>.nii.gz`` with ``rawdata/labels/<source>/<stem>_seg.nii.gz``, or, in older copies,
``data/<source>/`` with ``label/<source>/``. Stems hold dots: ``1.3.6.1.4.1.9328.50.4.0001``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .scan import DatasetError, Exclusion, Found, Scan

SOURCE = "CTSpine1K"

_LAYOUTS = (("rawdata/volumes", "rawdata/labels"), ("data", "label"))

#: The sections of data_split.txt that the paper trains and tests on: 610 and 197 scans.
USED_SECTIONS = ("trainset", "test_public")

#: COLONOG scans with wrong labels, by the last number of their stem, as reported in issues 13 and 15 of the data set's
#: repository. Numbers of other sources (liver_103) mean other scans.
_COLONOG = re.compile(r"1\.3\.6\.1\.4\.1\.9328\.50\.4\.(\d{4})")
KNOWN_BAD = {
    "0103": "its labels are known to be wrong: they are not consecutive",
    "0291": "its labels are known to be wrong: 22 is missing",
    "0730": "its labels are known to be wrong: 22 is missing",
    "0482": "its labels are known to be wrong: 14 where it should be 15",
    "0500": "its labels are known to be wrong: 14 where it should be 15",
}


def is_ctspine1k(folder: Path) -> bool:
    """Whether a folder has one of the two layouts."""
    return _layout(folder) is not None


def read_ctspine1k(folder: Path) -> list[Found]:
    """Scans of CTSpine1K, and what is left out. patient: the stem; series: source folder and stem.

    Left out are VerSe's own scans, those with labels known to be wrong, a CT without mask or a mask without CT and,
    where there is a data_split.txt (in ``metadata`` or in the folder itself), what it does not list as trainset or
    test_public. Raises DatasetError for a data_split.txt that cannot be read.
    """
    layout = _layout(folder)
    if layout is None:
        return []
    cts = {name: path for name, path in _files(folder / layout[0])}
    masks = {(source, stem.removesuffix("_seg")): path for (source, stem), path in _files(folder / layout[1])}
    sections = _sections(folder)
    found: list[Found] = []
    for source, stem in sorted(cts.keys() | masks.keys()):
        series, ct, mask = f"{source}/{stem}", cts.get((source, stem)), masks.get((source, stem))
        reason = _reason_against(source, stem, sections)
        if reason is None and ct is not None and mask is not None:
            found.append(Scan(SOURCE, stem, series, ct, mask, licence="CC BY-NC-SA"))
            continue
        unpaired = f"a CT without a mask: {ct}" if mask is None else f"a mask without a CT: {mask}"
        found.append(Exclusion(SOURCE, stem, series, "", reason or unpaired))
    return found


def _layout(folder: Path) -> tuple[str, str] | None:
    for volumes, labels in _LAYOUTS:
        if (folder / volumes).is_dir() and (folder / labels).is_dir():
            return volumes, labels
    return None


def _files(folder: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """((source, stem), file); only .nii.gz is taken off, stems hold dots."""
    for path in sorted(folder.glob("*/*.nii.gz")):
        if not path.name.startswith("."):
            yield (path.parent.name, path.name.removesuffix(".nii.gz")), path


def _reason_against(source: str, stem: str, sections: dict[str, str] | None) -> str | None:
    if re.match(r"(sub-)?verse", stem, re.I) or source.lower().startswith("verse"):
        return "a scan of VerSe: it is read from VerSe itself"
    number = _COLONOG.fullmatch(stem)
    if number is not None and number[1] in KNOWN_BAD:
        return KNOWN_BAD[number[1]]
    if sections is not None and sections.get(stem) not in USED_SECTIONS:
        section = sections.get(stem)
        return f"data_split.txt lists it as {section}" if section else "data_split.txt does not list it"
    return None


def _sections(folder: Path) -> dict[str, str] | None:
    """Stem -> section of data_split.txt; None where there is no such file."""
    path = next((p for p in (folder / "metadata" / "data_split.txt", folder / "data_split.txt") if p.is_file()), None)
    if path is None:
        return None
    sections: dict[str, str] = {}
    current = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        header = re.fullmatch(r"\s*(\w+):\s*", line)
        if header is not None:
            current = header[1]
        else:  # the published file has two names on its last line, without a space
            sections |= {stem.strip(): current for stem in line.split(".nii.gz") if stem.strip()}
    if not set(USED_SECTIONS) & set(sections.values()):
        raise DatasetError(
            path, "it has no scans under 'trainset:' or 'test_public:'", "Download it again, or delete it to use all"
        )
    return sections
