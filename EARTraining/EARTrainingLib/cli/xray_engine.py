"""`ear xray --check-engine`: whether an X-ray engine can work here, and what is missing if not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .common import answered


def check(name: str, python: Path | None, as_json: bool, as_events: bool) -> None:
    """Look for the pieces that an engine needs; when all are there, start it and measure a bead.

    Raises typer.Exit(2) when a piece is missing, EngineError when the engine cannot be used.
    """
    from ..projection.calibration import Calibrated
    from ..projection.deepdrr_check import check_deepdrr
    from ..projection.engine import DeepDRREngine, make_engine
    from ..projection.errors import EngineError

    pieces = []
    if name == "deepdrr":
        if python is None:
            raise EngineError("engine deepdrr", "it runs in a Python of its own", "Name that with --deepdrr-python")
        pieces = check_deepdrr(python)
    missing = [piece for piece in pieces if not piece.there]
    told: dict[str, object] = {"engine": name, "ready": not missing}
    if pieces:
        told["pieces"] = [{**vars(piece), "there": piece.there} for piece in pieces]
    for_a_person = not (as_json or as_events)
    if pieces and for_a_person:
        table = Table(title=f"What the engine {name} needs")
        for heading in ("piece", "found", "needed", "what to do"):
            table.add_column(heading, overflow="fold")
        for piece in pieces:
            table.add_row(*map(Text, (piece.name, piece.found or "nothing", piece.needed, piece.advice or "-")))
        Console().print(table)
        packages = [f'"{piece.needed}"' for piece in missing if piece.advice.startswith("pip install")]
        if packages:
            print(f"All packages at once: {python} -m pip install {' '.join(packages)}")
    if not missing:
        with closing(make_engine(name, python)) as engine:
            bead = engine.calibration if isinstance(engine, DeepDRREngine) else Calibrated(engine).measured
        told["shift_voxels"], told["error_px"], told["mass"] = bead.shift_voxels, bead.error_px, bead.mass
        if for_a_person:
            shift = ", ".join(f"{x:+.3f}" for x in bead.shift_voxels)
            print(f"Bead: {bead.error_px:.3f} px from its place, {bead.mass:.3f} times its mass.")
            print(f"That is a shift by {shift} voxels along i, j, k; beyond 0.1 px it is taken back.")
    answered(told, as_json, as_events)
    if missing:
        raise typer.Exit(2)
