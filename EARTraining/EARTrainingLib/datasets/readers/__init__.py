"""Readers of data sets: from a folder as downloaded to a list of scans, with a reason for each that is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from .collection import is_collection, read_collection
from .ctspine1k import is_ctspine1k, read_ctspine1k
from .pairs import read_pairs
from .phantoms import read_phantoms
from .scan import DatasetError, Exclusion, Found, LoadedScan, Scan, load_scan
from .verse import read_verse19, read_verse20, scan_identity, verse_versions

#: Kind of data set -> reader of a folder of that kind.
READERS: dict[str, Callable[[Path], list[Found]]] = {
    "verse19": read_verse19,
    "verse20": read_verse20,
    "ctspine1k": read_ctspine1k,
    "pairs": read_pairs,
    "collection": read_collection,
}

_HOW = f"Give a folder as it was unpacked, or say its kind, as in verse20:FOLDER. Kinds: {', '.join(READERS)}"

__all__ = ["READERS", "DatasetError", "Exclusion", "Found", "LoadedScan", "Scan", "load_scan", "read_sources"]


def read_sources(sources: Iterable[str | Path]) -> list[Found]:
    """Scans of several data sets, and what is left out, in the order in which they are given.

    sources: folders, "verse19:FOLDER" (a key of READERS) where the layout alone does not tell the kind, and
    "phantoms:COUNT" or "phantoms:COUNT@FIRST". A scan of VerSe19 that VerSe20 has too is taken from VerSe20, the later
    annotation; of two scans with one id the first stays.

    Raises DatasetError for a folder that is missing, empty or of no known layout.
    """
    found: list[Found] = []
    for source in sources:
        kind, colon, rest = str(source).partition(":")
        if colon and kind == "phantoms":
            found += read_phantoms(rest)
        elif colon and kind in READERS:
            found += _read(kind, _folder(rest))
        else:
            for detected in _kinds(_folder(source)):
                found += _read(detected, _folder(source))
    return _each_once(_merged(found))


def _folder(source: str | Path) -> Path:
    """Absolute: workers on other machines have other working directories."""
    return Path(source).expanduser().absolute()


def _read(kind: str, folder: Path) -> list[Found]:
    _check(folder)
    found = READERS[kind](folder)
    if not found:
        raise DatasetError(folder, f"there are no scans in it as {kind} has them", _HOW)
    return found


def _check(folder: Path) -> None:
    try:
        if not folder.is_dir():
            cause = "it is a file" if folder.exists() else "there is no such folder"
            raise DatasetError(folder, cause, _HOW)
        if not any(folder.iterdir()):
            raise DatasetError(folder, "the folder is empty", "Download or unpack the data set into it")
    except OSError as error:
        raise DatasetError(
            folder, f"it cannot be opened ({error.strerror})", "Check the rights of the folder"
        ) from error


def _kinds(folder: Path) -> list[str]:
    """The kinds of data set in a folder; VerSe19 and VerSe20 may lie side by side."""
    _check(folder)
    if is_collection(folder):
        return ["collection"]
    versions = verse_versions(folder)
    if versions:
        return [f"verse{version}" for version in versions]
    if is_ctspine1k(folder):
        return ["ctspine1k"]
    if any(isinstance(scan, Scan) for scan in read_pairs(folder)):
        return ["pairs"]
    raise DatasetError(folder, "it has the layout of no data set that is known", _HOW)


def _merged(found: list[Found]) -> list[Found]:
    """The same without scans of VerSe19 that are in VerSe20 too."""
    later = {scan_identity(f): f for f in found if isinstance(f, Scan) and f.source == "VerSe20"}

    def merged(item: Found) -> Found:
        if isinstance(item, Scan) and item.source == "VerSe19" and scan_identity(item) in later:
            return _left_out(item, f"the same scan as {later[scan_identity(item)].series} in VerSe20")
        return item

    return [merged(item) for item in found]


def _each_once(found: list[Found]) -> list[Found]:
    """The same without scans whose id, or whose name for files, an earlier one has."""
    first: dict[str, Scan] = {}

    def once(item: Found) -> Found:
        if not isinstance(item, Scan):
            return item
        earlier = first.setdefault(item.key.casefold(), item)  # folders of other systems know no capitals
        if earlier is item:
            return item
        return _left_out(item, f"another scan has its id: {_file(item)} and {_file(earlier)}")

    return [once(item) for item in found]


def _left_out(scan: Scan, reason: str) -> Exclusion:
    return Exclusion(scan.source, scan.patient, scan.series, "", reason)


def _file(scan: Scan) -> str:
    if scan.phantom_seed is not None:
        return f"phantom {scan.phantom_seed}"
    return str(scan.mask or scan.meshes[0][1])
