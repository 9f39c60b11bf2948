"""The command `ear`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

# What needs torch or VTK is imported in its command: `ear --help` answers at once.

app = typer.Typer(
    help="EAR: vertebrae in 3-D from two X-rays. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="Name of an installed model (see `ear models`) or path of a bundle.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda or cpu. auto takes CUDA when torch sees a device.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the output folder.")]
BatchOption = Annotated[
    int | None,
    typer.Option(min=1, help="Vertebrae at once; default one on a CPU, four on CUDA. More need more memory."),
]


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("ear-demo"),
    model: ModelOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Rebuild the sample spine from its two X-rays and show how far it is from the truth.

    The sample is a made-up spine (a phantom), so the truth is known. Earlier demo results in the folder are replaced.
    """
    from EARReconstructionLib.resources import SAMPLE_CASE

    with _reported(as_json):
        summary = _run(SAMPLE_CASE, output, model, device, [], None, True, as_json)
        _tell(summary, output, as_json)


@app.command()
def reconstruct(
    case: Annotated[Path, typer.Argument(help="Folder with a case.json, or the JSON file itself.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    model: ModelOption = None,
    levels: Annotated[str, typer.Option(help="Vertebrae to rebuild, such as L1,L2. Default: all of the case.")] = "",
    device: DeviceOption = "auto",
    batch_size: BatchOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the vertebrae of a case: two radiographs and a box around each vertebra.

    Writes volumes in HU and surfaces in mm that open in 3D Slicer, a labelled spine, a picture, and, when the case has
    a reference, a table of distances.
    """
    with _reported(as_json):
        chosen = [level.strip().upper() for level in levels.split(",") if level.strip()]
        summary = _run(case, output, model, device, chosen, batch_size, overwrite, as_json)
        _tell(summary, output, as_json)


@app.command()
def compare(
    reconstruction: Annotated[Path, typer.Argument(help="Folder of results, mesh, or label map.")],
    reference: Annotated[Path, typer.Argument(help="Mesh, label map (VerSe labels), or CT with --threshold.")],
    level: Annotated[str | None, typer.Option(help="Compare this vertebra only, or name the one in the files.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Bone threshold in HU, if the reference is a CT.")] = None,
    space: Annotated[str, typer.Option(help="RAS or LPS: axes of meshes that do not say.")] = "RAS",
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the table here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Distances in mm between a reconstruction and a reference, in both directions, and their overlap (Dice)."""
    from EARReconstructionLib.comparison import boxes_of, naming, read_shapes, shapes_in_ct
    from EARReconstructionLib.comparison import compare as compared
    from EARReconstructionLib.errors import ReferenceSurfaceError
    from EARReconstructionLib.results import write_distances
    from EARReconstructionLib.volume_io import read_volume, written_whole

    with _reported(as_json):
        name = level.upper() if level else None
        rebuilt = read_shapes(reconstruction, level=name, space=space)
        if threshold is not None:
            with naming(reference):
                references = shapes_in_ct(read_volume(reference), threshold, boxes_of(rebuilt))
            if not references:
                raise ReferenceSurfaceError(
                    reference,
                    f"it has nothing above {threshold:g} HU where the reconstruction is",
                    "Give a lower --threshold, or a CT of the same patient and frame (RAS mm)",
                )
        else:
            references = read_shapes(reference, level=name, space=space)
        rows = compared(rebuilt, references)
        if csv is not None:
            with written_whole(csv) as beside:
                write_distances(rows, beside)
        if as_json:
            print(json.dumps({"comparison": [row.to_dict() for row in rows]}, indent=1))
        else:
            _print_comparison([row.to_dict() for row in rows])


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the installed models: what they were trained on and for."""
    from EARReconstructionLib.bundle import installed_bundles, load_bundle
    from EARReconstructionLib.errors import BundleError
    from EARReconstructionLib.resources import DEFAULT_MODEL, MODELS

    with _reported(as_json):
        bundles = []
        for path in installed_bundles(MODELS):
            try:
                bundles.append(load_bundle(path))
            except BundleError as error:  # one damaged file must not hide the others
                print(f"Error: {error}", file=sys.stderr)
        if not bundles and not as_json:
            print(f"No model is installed in {MODELS}.")
        if as_json:
            from dataclasses import asdict

            print(json.dumps([{**asdict(b.card), "sha256": b.sha256, "path": str(b.path)} for b in bundles], indent=1))
            return
        for bundle in bundles:
            card = bundle.card
            table = Table(show_header=False, box=None, padding=(0, 2))
            rows = {
                "network": f"{card.architecture}, cube of {card.size} voxels of {card.spacing_mm:g} mm",
                "levels": f"{card.levels[0]} to {card.levels[-1]}",
                "X-rays": f"{card.protocol} protocol",
                "angle": "{:.0f} to {:.0f} degrees between the views".format(*card.angle_range_deg),
                "SOD": "{:.0f} to {:.0f} mm from source to isocentre".format(*card.sod_range_mm),
                "data": card.data_licence,
                "file": str(bundle.path),
            }
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for name, value in rows.items():
                table.add_row(name, Text(value))
            print(card.name + (" (default)" if card.name == DEFAULT_MODEL else ""))
            Console().print(table)


def main() -> None:
    """Entry point of the command."""
    app()


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Errors that a user can act on become one sentence and exit code 2; Ctrl-C becomes exit code 130."""
    from EARReconstructionLib.errors import EARError

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
        print("Cancelled; nothing was written.", file=sys.stderr)
        raise typer.Exit(130) from None


def _run(
    case_path: Path,
    output: Path,
    model: str | None,
    device: str,
    levels: list[str],
    batch_size: int | None,
    overwrite: bool,
    quiet: bool,
) -> dict[str, Any]:
    from EARReconstructionLib.bundle import load_bundle
    from EARReconstructionLib.case import read_case
    from EARReconstructionLib.resources import DEFAULT_MODEL, find_model
    from EARReconstructionLib.results import check_output, run_case, write_result

    from .picture import draw_picture

    check_output(output, overwrite)
    case = read_case(case_path)
    bundle = load_bundle(find_model(model or DEFAULT_MODEL))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("Reconstructing", total=len(levels or case.rois))

        def progress(done: int, _total: int, names: str) -> None:
            bar.update(task, completed=done, description=f"Reconstructing {names}".strip())

        result = run_case(case, bundle, levels=levels, device=device, batch_size=batch_size, progress=progress)
        bar.update(task, description="Writing")
        return write_result(result, output, overwrite=overwrite, draw=draw_picture)


def _tell(summary: dict[str, Any], output: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"output": str(output.resolve()), **summary}, indent=1))
        return
    if summary["comparison"]:
        _print_comparison(summary["comparison"])
    for note in summary["notes"]:
        print(f"Note: {note}")
    where = output.resolve()
    print(f"\n{len(summary['vertebrae'])} vertebrae with {summary['model']} on {summary['device']}. Results in {where}")
    said = {
        "picture.png": "the radiographs, the spine and its heat map",
        "volumes": "one CT volume per vertebra (HU)",
        "spine-labels.seg.nrrd": "all vertebrae as a segmentation",
        "surfaces": "one surface per vertebra (mm)",
        "distances.csv": "distances to the reference (mm)",
        "distances": "one heat map per vertebra, for 3D Slicer",
    }
    for name, what in said.items():
        if (where / name).exists():
            print(f"  {name:<24}{what}")
    print("Research software, not a medical device.")


def _print_comparison(rows: list[dict[str, Any]]) -> None:
    headings = ("Dice", "ASSD mm", "RMS mm", "HD95 mm", "HD mm", "mean mm", "within 1 mm", "within 2 mm")
    names = ("dice", "assd_mm", "rms_mm", "hd95_mm", "hd_mm", "mean_signed_mm", "nsd_1mm", "nsd_2mm")
    table = Table(title="Distance to the reference")
    table.add_column("level")
    for heading in headings:
        table.add_column(heading, justify="right")
    values = [[row[name] for name in names] for row in rows]
    if len(rows) > 1:
        values.append([sum(column) / len(rows) for column in zip(*values, strict=True)])
    for level, numbers in zip([*(row["level"] for row in rows), "mean"], values, strict=False):
        dice, *lengths, near1, near2 = numbers
        table.add_row(level, f"{dice:.3f}", *(f"{x:.2f}" for x in lengths), f"{near1:.0%}", f"{near2:.0%}")
    Console().print(table)
