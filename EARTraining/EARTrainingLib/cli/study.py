"""`ear study`: the paper's experiments, one command each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .common import DeviceOption, JsonOption, ProgressJsonOption, answered, progress_bar, reported, seconds

if TYPE_CHECKING:
    from ..studies.running import Outcome

GO_ON = "run the same command again to go on"


def study(
    name: Annotated[str | None, typer.Argument(help="comparison, modules, losses, angles or changes.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the study; one that was begun goes on.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that `ear prepare` wrote. Default: phantoms, but for the scale paper.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="tiny: minutes on a CPU, to see that it runs. small: minutes on a GPU, hours on a CPU. "
            "paper: the real thing, with --data."
        ),
    ] = "paper",
    preset: Annotated[str, typer.Option(help="Recipe of all runs, as for `ear train`: paper or ours.")] = "paper",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A field of all recipes, such as epochs=20.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="Train these runs only, to spread a study over machines with a common folder. A run that failed is "
            "tried again.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that prepare, load and measure.")] = 1,
    max_time: Annotated[
        str | None, typer.Option(metavar="HH:MM:SS", help="Train no longer than this; a checkpoint is kept.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the studies and what each reproduces.")] = False,
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Train the models of one of the paper's experiments, test them, and write its table and figures.

    Safe to stop at any moment: the same command goes on where it was. Runs that finished are not trained again.
    """
    with reported(as_json, f"Stopped. Everything finished is kept: {GO_ON}.", as_events=progress_json):
        from ..studies.registry import STUDIES
        from ..studies.running import Order, run_study
        from ..studies.scales import StudyError

        if listed:
            _list(as_json)
            return
        if name not in STUDIES:
            cause = "no study was named" if name is None else "there is none of this name"
            raise StudyError(f"study {name or ''}".strip(), cause, f"Use one of {', '.join(STUDIES)}")
        if output is None:
            raise StudyError("--output", "it is missing", "Say with -o in which folder the study shall lie")
        order = Order(
            output,
            data,
            scale,
            preset,
            tuple(settings or ()),
            tuple(only or ()),
            device,
            jobs,
            seconds(max_time),
        )
        with progress_bar(f"Study {name}", quiet=as_json, as_events=progress_json) as tell:
            outcome = run_study(
                STUDIES[name], order, progress=tell, say=None if as_json else lambda text: print(text, file=sys.stderr)
            )
        if not answered(_told(outcome), as_json, progress_json):
            _tell(outcome)


def _list(as_json: bool) -> None:
    from ..studies.registry import STUDIES

    if as_json:
        told = [{"name": s.name, "title": s.title, "reproduces": s.reproduces} for s in STUDIES.values()]
        print(json.dumps({"studies": told}, indent=1))
        return
    table = Table()
    for heading in ("study", "what", "of the paper"):
        table.add_column(heading)
    for one in STUDIES.values():
        table.add_row(one.name, one.title, one.reproduces)
    Console().print(table)


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "output": str(outcome.out.resolve()),
        "finished": bool(outcome.written),
        "runs": outcome.states,
        "reasons": outcome.reasons,
        "written": [str(path.resolve()) for path in outcome.written],
    }


def _tell(outcome: Outcome) -> None:
    for run, state in outcome.states.items():
        reason = outcome.reasons.get(run)
        print(f"  {run:<12}{state}" + (f": {reason}" if reason else ""))
    if not outcome.written:
        print(f"There is no table yet: {GO_ON}.")
        return
    print(f"\nResults in {outcome.out.resolve()}")
    for path in outcome.written:
        print(f"  {path.relative_to(outcome.out)}")
