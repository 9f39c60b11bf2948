"""What the verbs of `ear` share: options, errors as sentences, progress bars."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from EARReconstructionLib.errors import EARError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="Name of an installed model (see `ear models`) or path of a bundle.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda or cpu. auto takes CUDA when torch sees a device.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the output folder.")]

#: Told after each step: steps done, all steps, and what is being done.
Tell = Callable[[int, int, str], None]


@contextmanager
def reported(as_json: bool = False, cancelled: str = "Cancelled; nothing was written.") -> Iterator[None]:
    """Errors that a user can act on become one sentence and exit code 2; Ctrl-C becomes ``cancelled`` and 130."""
    try:
        yield
    except EARError as error:
        if as_json:
            fields = {"subject": error.subject, "cause": error.cause, "advice": error.advice}
            print(json.dumps({"error": fields}, indent=1))
        else:
            print(f"Error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        print(cancelled, file=sys.stderr)
        raise typer.Exit(130) from None


def seconds(text: str | None) -> float | None:
    """The HH:MM:SS of --max-time in seconds. Raises EARError."""
    if text is None:
        return None
    if not (match := re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", text)):
        raise EARError("--max-time", f"{text!r} is no time", "Give HH:MM:SS, such as 02:30:00")
    hours, minutes, rest = map(float, match.groups())
    return 3600 * hours + 60 * minutes + rest


@contextmanager
def progress_bar(title: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Tell]:
    """A bar on stderr that vanishes when the block ends; yields the function that moves it."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(title, total=total)

        def tell(done: int, total: int, words: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{title} {words}".strip())

        yield tell
