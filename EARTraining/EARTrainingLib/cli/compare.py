"""`ear compare`: distances between two sets of vertebrae."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .common import JsonOption, reported

#: What a comparison with a CT has to say.
ROUGH = (
    "a threshold is a rough reference: neighbours and ribs beside the vertebra count as its bone, and dim marrow does "
    "not. Where there is a segmentation, compare with that."
)


def compare(
    reconstruction: Annotated[Path, typer.Argument(help="Folder of results, mesh, or label map.")],
    reference: Annotated[Path, typer.Argument(help="Mesh, label map (VerSe labels), or CT with --threshold.")],
    level: Annotated[str | None, typer.Option(help="Compare this vertebra only, or name the one in the files.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Bone threshold in HU, if the reference is a CT: rough.")
    ] = None,
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

    with reported(as_json):
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
        notes = [] if threshold is None else [ROUGH]
        if as_json:
            print(json.dumps({"comparison": [row.to_dict() for row in rows], "notes": notes}, indent=1))
        else:
            print_comparison([row.to_dict() for row in rows])
            for note in notes:
                print(f"Note: {note}")


def print_comparison(rows: list[dict[str, Any]]) -> None:
    """A table of Comparison.to_dict, one line per level and their mean."""
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
