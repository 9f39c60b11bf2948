"""VerSe19 and VerSe20 as they are unpacked (CC BY-SA 4.0), in their structure by subject.

``<part>/rawdata/sub-<id>/sub-<id>[_dir-<orientation>][_split-<series>]_ct.nii.gz`` and, beside ``rawdata``,
``derivatives/sub-<id>/sub-<id>..._seg-vert_msk.nii.gz``. Parts are ``dataset-verse19training`` and so on, and
``dataset-01training``, ``dataset-02validation``, ``dataset-03test``. These are the challenge's splits, not ours: all
parts are taken together, and the whole is split by patient. Centroid files are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .scan import DatasetError, Exclusion, Found, Scan

_CT = re.compile(r"(sub-.+)_ct\.nii(\.gz)?")
_MASK = re.compile(r"(sub-.+)_seg-vert_msk\.nii(\.gz)?")

#: How the name of a part, or of a folder above it, gives its version away.
_VERSIONS = {19: re.compile(r"verse'?(20)?19", re.I), 20: re.compile(r"verse'?(20)?20|dataset-0[123]", re.I)}


def read_verse19(folder: Path) -> list[Found]:
    """Scans of VerSe19, and what is left out. See `read_verse20`."""
    return _read(folder, 19)


def read_verse20(folder: Path) -> list[Found]:
    """Scans of VerSe20, and what is left out: CT without mask, mask without CT, subjects without files.

    folder: a part, or any folder up to three above parts. Parts that are named as the other version are passed over.
    CT and mask belong together by their names. patient: the subject, ``verse004``; series: the file's stem.
    """
    return _read(folder, 20)


def verse_versions(folder: Path) -> list[int]:
    """The versions, 19 and 20, that lie in a folder; empty where there is no part of VerSe.

    Raises DatasetError for parts whose names do not tell the version.
    """
    versions = {part: _version(part, folder) for part in _parts(folder)}
    for part, version in versions.items():
        if version is None:
            raise DatasetError(
                part,
                "it is VerSe19 or VerSe20, and its name does not say which",
                f"Write verse19:{folder} or verse20:{folder}",
            )
    return sorted({version for version in versions.values() if version is not None})


def scan_identity(scan: Scan) -> tuple[str, str]:
    """What one scan is called in VerSe19 and VerSe20 alike: patient and ``split-`` series. ``dir-`` is VerSe20's."""
    return scan.patient, _entities(scan.series).get("split", "")


def _read(folder: Path, version: int) -> list[Found]:
    found: list[Found] = []
    for part in _parts(folder):
        if _version(part, folder) in (version, None):
            found += _scans(part, f"VerSe{version}")
    return found


def _parts(folder: Path) -> list[Path]:
    """Folders with ``rawdata`` or ``derivatives`` of subjects: this one, or up to three below (archives nest them)."""
    parts = set()
    for above in ("", "*/", "*/*/", "*/*/*/"):
        for name in ("rawdata", "derivatives"):
            parts |= {path.parent for path in folder.glob(above + name) if any(path.glob("sub-*"))}
    return sorted(parts)


def _version(part: Path, folder: Path) -> int | None:
    """By the nearest telling name, from the part up to the folder that was given."""
    for path in (part, *part.parents):
        told = [version for version, pattern in _VERSIONS.items() if pattern.search(path.name)]
        if len(told) == 1:
            return told[0]
        if path == folder:
            break
    return None


def _scans(part: Path, source: str) -> Iterator[Found]:
    cts, masks = dict(_files(part / "rawdata", _CT)), dict(_files(part / "derivatives", _MASK))
    for stem in sorted(cts.keys() | masks.keys()):
        patient = _entities(stem)["sub"]
        if stem in cts and stem in masks:
            yield Scan(source, patient, stem, cts[stem], masks[stem], licence="CC BY-SA 4.0")
        elif stem in cts:
            yield Exclusion(source, patient, stem, "", f"a CT without a mask: {cts[stem]}")
        else:
            yield Exclusion(source, patient, stem, "", f"a mask without a CT: {masks[stem]}")
    with_files = {path.parent.name for path in (*cts.values(), *masks.values())}
    subjects = {path.name for name in ("rawdata", "derivatives") for path in (part / name).glob("sub-*")}
    for name in sorted(subjects - with_files):
        yield Exclusion(source, name.removeprefix("sub-"), name, "", f"no CT and no mask in its folder in {part}")


def _files(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, Path]]:
    """(stem, file) of the files of all subjects whose whole name matches."""
    for path in sorted(folder.glob("sub-*/sub-*")):
        match = pattern.fullmatch(path.name)
        if match is not None:
            yield match[1], path


def _entities(stem: str) -> dict[str, str]:
    """``sub-verse401_split-verse253`` -> {"sub": "verse401", "split": "verse253"}."""
    pairs = (entity.partition("-") for entity in stem.split("_"))
    return {key: value for key, _, value in pairs}
