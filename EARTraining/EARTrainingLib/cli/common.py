"""What the verbs of `ear` share: options, errors as sentences, progress as bars or as events.

With --progress-json a verb prints *events*, one JSON object per line of stdout, and nothing else there. The field
``event`` says which:

start      ``python -m EARTrainingLib.cli`` only. pid: of the process, which on POSIX leads a process group of its own.
step       done, total, what: steps done, all steps, and what is being done. `ear train` adds epoch, epochs, step,
           steps, loss, seconds (since it began) and eta_s (to its end).
epoch      `ear train` only: as step, with the numbers of the validation and the path of its picture.
end        the fields that the verb prints with --json. The last event of a run that reached its end.
cancelled  what: a sentence. The last event after Ctrl-C or SIGTERM; exit code 130.
error      subject, cause, advice. The last event of a run that failed; exit code 2.

A run that ends without one of the last three was killed, or has crashed; its stderr says more.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.job import Progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="Name of an installed model (see `ear models`) or path of a bundle.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda or cpu. auto takes CUDA when torch sees a device.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ProgressJsonOption = Annotated[
    bool, typer.Option("--progress-json", help="Print one JSON object per line and step, for programs.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the output folder.")]


def say(event: str, **fields: Any) -> None:
    """Print an event as a line of JSON: what follows it must not wait for a buffer to fill."""
    print(json.dumps({"event": event, **fields}), flush=True)


def answered(told: Mapping[str, Any], as_json: bool, as_events: bool) -> bool:
    """Print what a verb did for the program that asked; False when a person did."""
    if as_events:
        say("end", **told)
    elif as_json:
        print(json.dumps(told, indent=1))
    return as_json or as_events


@contextmanager
def reported(
    as_json: bool = False, cancelled: str = "Cancelled; nothing was written.", *, as_events: bool = False
) -> Iterator[None]:
    """Errors that a user can act on become one sentence and exit code 2; Ctrl-C becomes ``cancelled`` and 130."""
    try:
        yield
    except EARError as error:
        fields = {"subject": error.subject, "cause": error.cause, "advice": error.advice}
        if as_events:
            say("error", **fields)
        elif as_json:
            print(json.dumps({"error": fields}, indent=1))
        else:
            print(f"Error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        if as_events:
            say("cancelled", what=cancelled)
        else:
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
def progress_bar(
    title: str, total: int | None = None, *, quiet: bool = False, as_events: bool = False
) -> Iterator[Progress]:
    """A bar on stderr that vanishes when the block ends, or events; yields the function that moves it."""
    if as_events:

        def told(done: int, total: int, words: str = "") -> None:
            say("step", done=done, total=total, what=words)

        yield told
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(title, total=total)

        def tell(done: int, total: int, words: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{title} {words}".strip())

        yield tell
