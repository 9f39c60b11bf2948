"""`ear reconstruct`: a case's vertebrae in 3-D."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import DeviceOption, JsonOption, ModelOption, OutputOption, OverwriteOption, progress_bar, reported
from .compare import print_comparison

BatchOption = Annotated[
    int | None,
    typer.Option(min=1, help="Vertebrae at once; default one on a CPU, four on CUDA. More need more memory."),
]


def reconstruct(
    case: Annotated[Path, typer.Argument(help="Folder with a case.json, or the JSON file itself.")],
    output: OutputOption,
    model: ModelOption = None,
    levels: Annotated[str, typer.Option(help="Vertebrae to rebuild, such as L1,L2. Default: all of the case.")] = "",
    device: DeviceOption = "auto",
    batch_size: BatchOption = None,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Also tell how far off each surface may be, mm. Takes seven times as long."),
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the vertebrae of a case: two radiographs and a box around each vertebra.

    Writes volumes in HU and surfaces in mm that open in 3D Slicer, a labelled spine, a picture, a report of
    one page, and, when the case has a reference, a table of distances.
    """
    with reported(as_json):
        chosen = [level.strip().upper() for level in levels.split(",") if level.strip()]
        summary = run(
            case,
            output,
            model=model,
            device=device,
            levels=chosen,
            batch_size=batch_size,
            uncertainty=uncertainty,
            overwrite=overwrite,
            quiet=as_json,
        )
        tell(summary, output, as_json)


def run(
    case_path: Path,
    output: Path,
    *,
    model: str | None,
    device: str,
    levels: Sequence[str] = (),
    batch_size: int | None = None,
    uncertainty: bool = False,
    overwrite: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Read, rebuild, draw and write a case; the summary of its results. Raises EARError's kinds."""
    from EARReconstructionLib import report
    from EARReconstructionLib.bundle import load_bundle
    from EARReconstructionLib.case import read_case
    from EARReconstructionLib.resources import DEFAULT_MODEL, find_model
    from EARReconstructionLib.results import Result, check_output, run_case, write_result

    from ..picture import draw_picture

    def draw(result: Result, folder: Path) -> list[str]:
        return [*draw_picture(result, folder), *report.draw_report(result, folder)]

    check_output(output, overwrite)
    case = read_case(case_path)
    bundle = load_bundle(find_model(model or DEFAULT_MODEL))
    with progress_bar("Reconstructing", len(levels or case.rois), quiet=quiet) as progress:
        result = run_case(
            case,
            bundle,
            levels=levels,
            device=device,
            batch_size=batch_size,
            uncertainty=uncertainty,
            progress=progress,
        )
        return write_result(result, output, overwrite=overwrite, draw=draw)


def tell(summary: dict[str, Any], output: Path, as_json: bool) -> None:
    """Print what came out, and where each part of it lies."""
    if as_json:
        print(json.dumps({"output": str(output.resolve()), **summary}, indent=1))
        return
    if summary["comparison"]:
        print_comparison(summary["comparison"])
    for note in summary["notes"]:
        print(f"Note: {note}")
    where = output.resolve()
    count = len(summary["vertebrae"])
    made = f"{count} vertebrae" if count > 1 else "1 vertebra"
    print(f"\n{made} with {summary['model']} on {summary['device']}. Results in {where}")
    said = {
        "report.html": "all of it on one page, to print or to keep",
        "picture.png": "the radiographs, the spine, and its heat map if distances or expected errors are known",
        "volumes": "one CT volume per vertebra (HU)",
        "spine-labels.seg.nrrd": "all vertebrae as a segmentation",
        "surfaces": "one surface per vertebra (STL, mm)",
        "distances.csv": "distances to the reference (mm)",
        "distances": "one heat map per vertebra, for 3D Slicer",
        "expected-errors": "how far off each surface may be (mm), for 3D Slicer",
    }
    for name, what in said.items():
        if (where / name).exists():
            print(f"  {name:<24}{what}")
    print("Research software, not a medical device.")
