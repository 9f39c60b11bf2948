"""What `ear xray` is given as text, as numbers; and what it must refuse before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from EARReconstructionLib.errors import EARError

if TYPE_CHECKING:
    from EARReconstructionLib.geometry import BiplanarGeometry, View
    from EARReconstructionLib.volume_io import Volume

    from ..datasets.subjects import Subject

#: AP and left lateral.
USUAL = [(0.0, 0.0), (90.0, 0.0)]


def one_of(option: str, value: str, known: Sequence[str]) -> str:
    """The value, if it is known. Raises EARError."""
    if value not in known:
        raise EARError(f"{option} {value}", "there is no such thing", f"Use one of {', '.join(known)}")
    return value


def numbers(option: str, text: str, count: int, separator: str = ",") -> tuple[float, ...]:
    """So many numbers of a text. Raises EARError."""
    try:
        values = tuple(float(part) for part in text.split(separator))
    except ValueError:
        values = ()
    if len(values) != count:
        example = separator.join("30" for _ in range(count))
        raise EARError(f"{option} {text}", f"it is not {count} numbers", f"Write it like {option} {example}")
    return values


def angles_of(views: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[tuple[float, float]]:
    """(alpha, beta) of every view: those of --view, then those of --alpha with --beta. Raises EARError."""
    if betas and len(betas) != len(alphas):
        raise EARError(
            "--beta", f"{len(alphas)} --alpha and {len(betas)} --beta are given", "Give one --beta for each --alpha"
        )
    written = [numbers("--view", text, 2) for text in views]
    pairs = [(alpha, beta) for alpha, beta in [*written, *zip(alphas, betas or [0.0] * len(alphas), strict=True)]]
    return pairs or USUAL


def size_of(text: str | None) -> tuple[int, int] | None:
    """(height, width) of HxW. Raises EARError."""
    if text is None:
        return None
    height, width = numbers("--size", text.lower(), 2, "x")
    if min(height, width) < 16 or not (height.is_integer() and width.is_integer()):
        raise EARError(f"--size {text}", "no detector has that many pixels", "Write HEIGHTxWIDTH, each 16 or more")
    return int(height), int(width)


def distances(preset: str, sod_mm: float | None, sdd_mm: float | None) -> tuple[float, float]:
    """(SOD, SDD) of a preset, or what is given in its place. Raises EARError for an unknown preset."""
    from EARReconstructionLib.geometry import PRESETS

    sod, sdd = PRESETS[one_of("--preset", preset, tuple(PRESETS))]
    return sod if sod_mm is None else sod_mm, sdd if sdd_mm is None else sdd_mm


def phantom_seed(source: str | None, mask: Path | None) -> int | None:
    """7 of phantom:7, None for a file. Raises EARError."""
    kind, colon, seed = (source or "").partition(":")
    if kind != "phantom" or not colon:
        return None
    if not seed.isdecimal():
        raise EARError(str(source), "this is no number of a made-up spine", "Write phantom:7")
    if mask is not None:
        raise EARError(mask, "a made-up spine has its own labels", "Leave --mask out")
    return int(seed)


def labels_of(subject: Subject) -> Volume:
    """The subject's labels. Raises EARError when there are none."""
    if subject.labels is None:
        raise EARError(subject.name, "nothing says where its vertebrae are", "Give their --mask")
    return subject.labels


def pair_of(views: Sequence[View]) -> BiplanarGeometry:
    """The first two views. Raises EARError when there is one, or both look the same way."""
    from EARReconstructionLib.geometry import BiplanarGeometry

    if len(views) < 2:
        raise EARError("--case", "a case has two radiographs, and one view is given", "Give two views")
    return BiplanarGeometry(views[0], views[1])


def check_targets(output: Path | None, case: Path | None) -> None:
    """Raise EARError when there is nowhere to write to, or both places are one."""
    if output is None and case is None:
        raise EARError("--output", "no folder is given", "Give one for the images (-o), for a case (--case), or both")
    if output is not None and case is not None and output.resolve() == case.resolve():
        raise EARError(output, "it is to hold the images and the case", "Give two folders")


def check_case_folder(folder: Path, overwrite: bool) -> None:
    """Raise EARError when a case may not be written to a folder; call it before the work, not after."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "case.json").is_file():
        raise EARError(folder, "it holds something else than a case", "Choose a new or an empty folder")
    if not overwrite:
        raise EARError(folder, "there is a case already", "Choose another folder, or add --overwrite to replace it")


def check_levels(labels: Volume, mask: Path | None, levels: Sequence[str]) -> None:
    """Raise EARError when a case would have no vertebra, or one that is not there."""
    from ..datasets.cases import roi_of

    if not levels:
        raise EARError(
            str(mask),
            "it shows no whole vertebra (all are cut by its border, in pieces, or without bone in the CT)",
            "Give a mask of whole vertebrae, or name one with --level",
        )
    for level in levels:
        roi_of(level, labels)
