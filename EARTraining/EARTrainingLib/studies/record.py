"""What a study was begun with, in ``study.json``: a call that asks for something else is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from EARReconstructionLib.volume_io import written_whole

from ..datasets.settings import differences
from .scales import StudyError
from .study import Run

FORMAT, VERSION = "EAR study", 1

#: Differences that are told; the rest is counted.
_TOLD = 4


def check_begun(out: Path, asked: dict[str, Any]) -> None:
    """Raise StudyError, naming the differences, where a folder was begun with other values of what is asked for.

    asked: some entries of the record. A new folder must be empty.
    """
    path = out / "study.json"
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(not p.name.startswith(".") for p in out.iterdir())):
            raise StudyError(out, "it holds other files, and no study.json", "Give a folder of its own to the study")
        return
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        if (begun["format"], begun["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{begun['format']!r} version {begun['version']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(path, f"it cannot be read ({error})", "Give another folder") from error
    told = differences(
        {name: begun[name] for name in asked if name in begun}, {n: v for n, v in asked.items() if n in begun}
    )
    if told:
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        raise StudyError(
            out,
            f"it was begun as another study ({'; '.join(told[:_TOLD])}{more})",
            "Ask for the same again, or give another folder",
        )


def begin(out: Path, asked: dict[str, Any]) -> None:
    """Note what a study is begun with, or check it against an earlier call; entries that are new are added."""
    check_begun(out, asked)
    path = out / "study.json"
    begun = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"format": FORMAT, "version": VERSION}
    if begun.keys() >= asked.keys():
        return
    with written_whole(path) as beside:
        beside.write_text(json.dumps({**begun, **asked}, indent=1) + "\n", encoding="utf-8")


def recipes(runs: Sequence[Run]) -> dict[str, Any]:
    """The entry of the runs."""
    return {run.name: run.recipe.to_dict() for run in runs}
