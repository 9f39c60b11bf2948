"""`ear prepare`: from scans as downloaded to a data set for training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .common import JsonOption, ProgressJsonOption, answered, progress_bar, reported

if TYPE_CHECKING:
    from ..datasets.manifest import Row
    from ..datasets.preparation import Plan, Summary

#: Part of the spine by the first letter of a level.
PARTS = {"C": "cervical", "T": "thoracic", "L": "lumbar"}

STOPPED = "Stopped. Everything finished is kept: run the same command again, and it goes on from there."

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set; begun ones are gone on with.")]
Field = Annotated[
    str,
    typer.Option(
        help="cube: SIZE voxels of SPACING mm. paper: each vertebra's box and MARGIN, resized to SIZE voxels."
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        help="What the X-rays show. isolated: the vertebra alone, as in the paper. column: all vertebrae. in-situ: "
        "everything in the CT, as a real radiograph does; bones without a CT within a made-up body."
    ),
]


def prepare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders as downloaded: VerSe19, VerSe20, CTSpine1K, CT + mask pairs, a collection. The kind is "
            "recognised, or said as in verse20:FOLDER. phantoms:24 are 24 made-up spines, phantoms:24@100 others.",
        ),
    ],
    output: Output,
    field: Field = "cube",
    size: Annotated[int, typer.Option(help="Voxels per side of a volume, pixels per side of an X-ray.")] = 128,
    spacing: Annotated[float, typer.Option(help="Voxel size of the cube, mm.")] = 1.0,
    margin: Annotated[float, typer.Option(help="Space around the vertebra in the field paper, mm.")] = 10.0,
    protocol: Protocol = "isolated",
    acquisition: Annotated[
        str,
        typer.Option(
            help="How far set-ups vary. nominal: not at all. paper: angles, photons. ours: distances, tubes and the "
            "place in the beam too."
        ),
    ] = "paper",
    engine: Annotated[str, typer.Option(help="What makes the X-rays: torch, or deepdrr (needs CUDA).")] = "torch",
    deepdrr_python: Annotated[
        Path | None, typer.Option("--deepdrr-python", help="Python of the environment that DeepDRR is installed in.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Scans at once, on one core each.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a dask scheduler, such as tcp://node1:8786: its workers share the scans."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of set-ups, made-up density and the split.")] = 0,
    scenes: Annotated[
        bool,
        typer.Option(
            "--scenes/--no-scenes", help="Keep what X-rays during training are made of (the larger part of the disk)."
        ),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Cut the vertebrae out of CT scans, take their X-rays, and split the patients 8:1:1.

    Writes one volume (HU) and one segmentation per vertebra that open in 3D Slicer, its X-rays as area densities, a
    manifest.csv with every vertebra and every exclusion with its reason, and split.csv. Can be stopped at any moment:
    the same command goes on where it stopped. A scan that cannot be read is listed and tried again next time.
    """
    from ..datasets.preparation import make_plan
    from ..datasets.preparation import prepare as prepared
    from ..datasets.readers import read_sources
    from ..datasets.settings import PreparationSettings

    with reported(as_json, STOPPED, as_events=progress_json):
        settings = PreparationSettings(
            field, size, spacing, margin, protocol, acquisition, engine, seed=seed, scenes=scenes
        )
        found = read_sources(sources)
        if dry_run:
            plan = make_plan(found, settings, output)
            if not answered(_plan(plan), as_json, progress_json):
                _tell_plan(plan)
            return
        with progress_bar("Preparing", quiet=as_json, as_events=progress_json) as tell:
            summary = prepared(
                found, settings, output, jobs=jobs, scheduler=scheduler, deepdrr_python=deepdrr_python, progress=tell
            )
        if not answered(_summary(summary), as_json, progress_json):
            _tell(summary)


def _plan(plan: Plan) -> dict[str, Any]:
    """What would be done: scans of each source to prepare, scans that are done, and how often each reason excludes."""
    from ..datasets.manifest import excluded

    sources = Counter(scan.source for scan in plan.todo)
    reasons = Counter(excluded(item).rule for item in plan.excluded)
    return {"to_do": dict(sources), "done": len(plan.done), "excluded": dict(reasons.most_common())}


def _tell_plan(plan: Plan) -> None:
    told = _plan(plan)
    for source, count in told["to_do"].items():
        print(f"{source}: {count} scans to prepare")
    print(f"{told['done']} scans are done already")
    for reason, count in told["excluded"].items():
        print(f"left out: {count} x {reason}")


def _summary(summary: Summary) -> dict[str, Any]:
    """What the data set holds."""
    groups = _by_source(summary.kept)
    return {
        "output": str(summary.out.resolve()),
        "scans": summary.scans,
        "failed": summary.failed,
        "vertebrae": len(summary.kept),
        "by_source": {source: dict(Counter(_part(row) for row in rows)) for source, rows in groups.items()},
        "excluded": dict(_rules(summary).most_common()),
        "patients": _patients(summary.kept),
    }


def _patients(rows: tuple[Row, ...]) -> dict[str, int]:
    """Split -> how many patients are in it."""
    return {name: len({row.patient for row in rows if row.split == name}) for name in _splits(rows)}


def _tell(summary: Summary) -> None:
    kept, patients = summary.kept, _patients(summary.kept)
    table = Table(title="Vertebrae: cervical, thoracic, lumbar")
    table.add_column("source", overflow="fold")
    for heading in ("scans", *PARTS, "all", *patients):
        table.add_column(heading, justify="right", no_wrap=True)
    groups = _by_source(kept)
    for name, rows in [*groups.items(), *([("all", list(kept))] if len(groups) > 1 else [])]:
        parts, splits = Counter(_part(row) for row in rows), Counter(row.split for row in rows)
        scans = len({(row.source, row.series) for row in rows})
        numbers = [scans, *(parts[part] for part in PARTS.values()), len(rows), *(splits[split] for split in patients)]
        table.add_row(name, *map(str, numbers))
    console = Console()
    console.print(table)
    rules = _rules(summary)
    if rules:
        reasons = Table(title="Left out")
        reasons.add_column("reason", overflow="fold")
        reasons.add_column("rows", justify="right")
        for rule, count in rules.most_common():
            reasons.add_row(rule, str(count))
        console.print(reasons)
    print("Patients: " + ", ".join(f"{count} {name}" for name, count in patients.items()))
    if summary.failed:
        print(f"{summary.failed} scans failed; the same command tries them again. See manifest.csv for the reasons.")
    print(f"Data set in {summary.out.resolve()}")
    for name, what in {
        "manifest.csv": "every vertebra and every exclusion with its reason",
        "split.csv": "which patient is in which split",
        "volumes, masks": "for 3D Slicer",
        "xrays": "area densities of both views, with their geometry",
    }.items():
        print(f"  {name:<16}{what}")


def _by_source(rows: tuple[Row, ...]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.source, []).append(row)
    return groups


def _part(row: Row) -> str:
    return PARTS[row.level[0]]


def _rules(summary: Summary) -> Counter[str]:
    return Counter(row.rule for row in summary.rows if row.status == "excluded")


def _splits(rows: tuple[Row, ...]) -> list[str]:
    from ..datasets.prepared import SPLITS, SURROUNDINGS

    used = {row.split for row in rows}
    return [name for name in (*SPLITS, SURROUNDINGS) if name in used]
