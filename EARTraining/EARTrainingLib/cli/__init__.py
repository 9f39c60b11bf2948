"""The command `ear`: one file per verb."""

from __future__ import annotations

import typer

from . import app as browser
from . import calibrate, compare, demo, evaluate, models, prepare, reconstruct, study, train, xray

# What needs torch, VTK or pandas is imported in its command: `ear --help` answers at once.

app = typer.Typer(
    help="EAR: vertebrae in 3-D from two X-rays. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

USE, RESEARCH = "Use", "Research"

app.command(rich_help_panel=USE)(demo.demo)
app.command(rich_help_panel=USE)(reconstruct.reconstruct)
app.command(rich_help_panel=USE)(compare.compare)
app.command(rich_help_panel=USE)(models.models)
app.command(rich_help_panel=USE)(browser.app)

app.command(rich_help_panel=RESEARCH)(prepare.prepare)
app.command(rich_help_panel=RESEARCH)(train.train)
app.command(rich_help_panel=RESEARCH)(evaluate.evaluate)
app.command(rich_help_panel=RESEARCH)(calibrate.calibrate)
app.command(rich_help_panel=RESEARCH)(study.study)
app.command(rich_help_panel=RESEARCH)(xray.xray)


def main() -> None:
    """Entry point of the command."""
    app()
