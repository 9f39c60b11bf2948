"""`ear evaluate`: tables and figures of models on a prepared data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .common import DeviceOption, JsonOption, OutputOption, ProgressJsonOption, answered, progress_bar, reported

if TYPE_CHECKING:
    import pandas as pd

STOPPED = "Stopped. Models that were finished are kept: run the same command again, and it goes on with the next."

#: What the files are, for the reader of the last lines.
FILES = {
    "table.md, table.tex": "mean, SD, 95 % interval over patients, and differences to the reference",
    "table.csv": "the same for all vertebrae, each region and each level",
    "rows.csv": "every vertebra and every model",
    "figures": "pictures and their captions",
    "volumes": "rebuilt volumes (HU) for 3D Slicer",
    "evaluation.json": "what was evaluated on what: hashes, settings, versions",
}


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Prepared data set (see `ear prepare`).")],
    output: OutputOption,
    bundles: Annotated[
        list[str] | None,
        typer.Argument(metavar="BUNDLE", help="Bundles, or names of installed models; named after their card."),
    ] = None,
    named: Annotated[
        list[str] | None, typer.Option("--name", metavar="METHOD=BUNDLE", help="A bundle under a name for the table.")
    ] = None,
    split: Annotated[str, typer.Option(help="test, validation, train, or all.")] = "test",
    reference: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Compare the others with this one. Default: the first.")
    ] = None,
    shape_model: Annotated[
        bool, typer.Option("--shape-model", help="Put a statistical shape model beside them: 20 s per vertebra.")
    ] = False,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="Put each model beside itself with its volumes moved until they cast the shadows of the X-rays: 10 s "
            "per vertebra, for X-rays of single vertebrae.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that measure.")] = 1,
    save_volumes: Annotated[bool, typer.Option("--save-volumes", help="Keep the rebuilt volumes as NRRD.")] = False,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")] = True,
    paper: Annotated[
        bool, typer.Option("--paper", help="Put the paper's printed numbers (other data) below the table.")
    ] = False,
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Measure models on the X-rays of a prepared data set, vertebra by vertebra, and draw what they made.

    Models must have been made for the data set's grid. Can be stopped: finished models are not run again.
    """
    from ..evaluation.evaluate import evaluate as evaluated
    from ..evaluation.evaluate import read_evaluation
    from ..evaluation.paper import TABLE_1

    with reported(as_json, STOPPED, as_events=progress_json):
        methods = _methods(bundles or [], named or [])
        with progress_bar("Evaluating", quiet=as_json, as_events=progress_json) as tell:
            evaluated(
                methods,
                data,
                output,
                split=split,
                device=device,
                reference=reference,
                shape_model=shape_model,
                refine=refine,
                jobs=jobs,
                figures=figures,
                save_volumes=save_volumes,
                printed=TABLE_1 if paper else None,
                progress=tell,
            )
        summary, paired, said = read_evaluation(output)
        told = {
            "output": str(output.resolve()),
            "table": _records(summary),
            "differences": _records(paired),
            "notes": said["notes"],
        }
        if not answered(told, as_json, progress_json):
            _tell(summary, said, output.resolve())


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A line each; what is no number is null."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records


def _methods(bundles: list[str], named: list[str]) -> dict[str, Path]:
    """Method -> file. Bundles without a name are called as their cards say."""
    from EARReconstructionLib.errors import EARError
    from EARReconstructionLib.model_card import read_card
    from EARReconstructionLib.resources import find_model

    methods: dict[str, Path] = {}
    for text in [*bundles, *named]:
        if text in bundles:
            path = find_model(text)
            name = read_card(path).name
        else:
            name, equals, file = text.partition("=")
            if not (name and equals and file):
                raise EARError(f"--name {text}", "it is no METHOD=BUNDLE", "Write --name EAR=runs/ear.safetensors")
            path = find_model(file)
        if name in methods:
            raise EARError(path, f"two models are called {name}", "Tell them apart with --name METHOD=BUNDLE")
        methods[name] = path
    return methods


def _tell(summary: pd.DataFrame, said: dict[str, Any], where: Path) -> None:
    from ..evaluation.tables import HEADLINES, cells, explanation, heading

    console = Console()
    everything = summary[summary["scope"] == "all"]
    for title, names in HEADLINES.items():
        metrics = [name for name in names if name in set(everything["metric"])]
        printed = cells(everything, metrics)
        table = Table(title=title)
        table.add_column("model")
        for metric in metrics:
            table.add_column(escape(heading(metric)), justify="right")
        for method in everything["method"].unique():
            row = [printed[method, metric] for metric in metrics]
            texts = [f"[bold]{cell.mean}[/bold]" if cell.best else cell.mean for cell in row]
            lines = [f"{text}\n{escape(cell.interval)}" for text, cell in zip(texts, row, strict=True)]
            table.add_row(escape(method), *lines)
        console.print(table)
    for note in [*explanation(summary), *said["notes"]]:
        print(f"Note: {note}")
    print(f"\nResults in {where}")
    for name, what in FILES.items():
        if (where / name.split(",")[0]).exists() and (name != "figures" or said["figures"]):
            print(f"  {name:<22}{what}")
