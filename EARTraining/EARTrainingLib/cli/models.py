"""`ear models`: the installed models."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .common import JsonOption, reported


def models(as_json: JsonOption = False) -> None:
    """List the installed models: what they were trained on and for."""
    from EARReconstructionLib.bundle import load_bundle
    from EARReconstructionLib.errors import BundleError
    from EARReconstructionLib.model_card import installed_bundles
    from EARReconstructionLib.resources import DEFAULT_MODEL, MODELS

    with reported(as_json):
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
