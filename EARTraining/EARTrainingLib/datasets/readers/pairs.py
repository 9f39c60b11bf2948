"""A plain folder of CTs and their masks, paired by name.

CT: ``X_ct``, ``X_0000`` or ``X``; mask: ``X_seg-vert_msk``, ``X_seg``, ``X_msk``, ``X_mask`` or ``X_labels``; each
.nii.gz, .nii, .nrrd or .mha, and ``X.seg.nrrd`` is a mask. They lie in the folder itself, or CTs in ``ct``, ``images``
or ``imagesTr`` and masks in ``masks``, ``labels`` or ``labelsTr``, where a mask may be called like its CT. Several
scans of one patient are called ``PATIENT_split-SERIES``. The first line of a ``licence.txt`` there is their licence.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from .scan import Exclusion, Found, Scan

SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha")
MASK_ENDINGS = ("_seg-vert_msk", "_seg", "_msk", "_mask", "_labels")
CT_ENDINGS = ("_ct", "_0000")
CT_FOLDERS = ("ct", "images", "imagesTr")
MASK_FOLDERS = ("masks", "labels", "labelsTr")


def read_pairs(folder: Path) -> list[Found]:
    """Scans of a folder of pairs, and what is left out: files without partner, and names that more than one fits.

    patient: what stands before ``_split-``, without ``sub-``; series: the common name. Masks hold VerSe labels.
    """
    licence = _licence(folder)
    cts: dict[str, list[Path]] = defaultdict(list)
    masks: dict[str, list[Path]] = defaultdict(list)
    for place in ("", *CT_FOLDERS, *MASK_FOLDERS):
        for path in sorted((folder / place).glob("*")):
            suffix = next((s for s in SUFFIXES if path.name.endswith(s)), None)
            if suffix is None or path.name.startswith(".") or not path.is_file():
                continue
            stem = path.name.removesuffix(suffix)
            named = _without(stem, MASK_ENDINGS)
            is_mask = place in MASK_FOLDERS or (not place and (named != stem or suffix == ".seg.nrrd"))
            (masks if is_mask else cts)[_without(named if is_mask else stem, CT_ENDINGS)].append(path)
    found: list[Found] = []
    for name in sorted(cts.keys() | masks.keys()):
        patient = name.partition("_split-")[0].removeprefix("sub-")
        ct, mask = cts[name], masks[name]
        if len(ct) == len(mask) == 1:
            found.append(Scan("pairs", patient, name, ct[0], mask[0], licence=licence))
            continue
        if not mask:
            reason = "a CT without a mask"
        elif not ct:
            reason = "a mask without a CT (masks alone are read from a collection with manifest.csv)"
        else:
            reason = "it is not clear which belong together"
        files = ", ".join(path.relative_to(folder).as_posix() for path in (*ct, *mask))
        found.append(Exclusion("pairs", patient, name, "", f"{reason}: {files}"))
    return found


def _licence(folder: Path) -> str:
    path = folder / "licence.txt"
    text = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
    return " ".join(text.partition("\n")[0].split()) or "not stated"


def _without(stem: str, endings: tuple[str, ...]) -> str:
    """A stem without the first of the endings that it has."""
    ending = next((e for e in endings if stem.endswith(e) and stem != e), "")
    return stem.removesuffix(ending)
