"""`ear train`: a prepared data set in, a model out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import DeviceOption, JsonOption, ProgressJsonOption, answered, progress_bar, reported, say, seconds

if TYPE_CHECKING:
    from ..training.history import Tell
    from ..training.recipe import Recipe

GO_ON = "Run the same command again to go on"

RECIPE, MACHINE = "Recipe", "Machine"


def train(
    data: Annotated[Path, typer.Argument(help="Folder that `ear prepare` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; one that was stopped goes on.")],
    preset: Annotated[str, typer.Option(help="paper or ours: what the other options change.")] = "ours",
    network: Annotated[str | None, typer.Option(help="EAR, PSR, SIT, E2E or BX2S.", rich_help_panel=RECIPE)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any field, such as losses.edge=0.", rich_help_panel=RECIPE),
    ] = None,
    epochs: Annotated[int | None, typer.Option(rich_help_panel=RECIPE)] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples per pass, over all devices together.", rich_help_panel=RECIPE)
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Passes per step of the optimiser.", rich_help_panel=RECIPE)
    ] = None,
    xrays: Annotated[
        str | None, typer.Option(help="disk: as prepared. live: made anew at every step.", rich_help_panel=RECIPE)
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="What live X-rays show. isolated: the vertebra alone. column: all vertebrae. in-situ: all that the CT "
            "holds; without a CT, a body around the bones that is made up, or lent by who has a CT. Default: what "
            "those of the data set show.",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of the averaged weights; 0 for none.", rich_help_panel=RECIPE)
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32 or bf16.", rich_help_panel=RECIPE)] = None,
    channels_last: Annotated[
        bool | None, typer.Option("--channels-last/--no-channels-last", rich_help_panel=RECIPE)
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile.", rich_help_panel=RECIPE)
    ] = None,
    device: DeviceOption = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="Per node; torchrun says it itself.", rich_help_panel=MACHINE)
    ] = 1,
    nodes: Annotated[int, typer.Option(min=1, rich_help_panel=MACHINE)] = 1,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that load and make samples.", rich_help_panel=MACHINE)
    ] = 2,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.", rich_help_panel=MACHINE)] = None,
    max_time: Annotated[
        str | None, typer.Option(metavar="HH:MM:SS", help="Stop with a checkpoint.", rich_help_panel=MACHINE)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model. Default: network, protocol and size.")] = None,
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Train a network and write it with its threshold and card as a model: OUTPUT/NAME.safetensors.

    Safe to stop at any moment: the same command goes on where the last checkpoint is, with the same result.
    """
    with reported(as_json, f"Stopped. {GO_ON}: it begins at the last checkpoint.", as_events=progress_json):
        import torch
        from EARReconstructionLib.bundle import load_bundle
        from lightning.pytorch.utilities import rank_zero_only

        from ..training.run import train as run

        if threads is not None:
            torch.set_num_threads(threads)
        given = {
            "architecture": network,
            "epochs": epochs,
            "batch_size": batch_size,
            "accumulate": accumulate,
            "xrays": xrays,
            "simulation.protocol": protocol,
            "ema": ema,
            "precision": precision,
            "channels_last": channels_last,
            "compile": compiled,
        }
        recipe = _recipe(preset, given, settings or [])
        recipe = _with_protocol(recipe, data, protocol, settings or [])
        with _told(progress_json, quiet=as_json) as tell:
            path = run(
                recipe,
                data,
                output,
                device=device,
                workers=workers,
                max_time_s=seconds(max_time),
                devices=devices,
                nodes=nodes,
                progress=tell,
                name=name,
            )
        if getattr(rank_zero_only, "rank", 0):
            return
        if path is None:
            said: dict[str, Any] = {"finished": False, "output": str(output.resolve())}
            words = f"Stopped after {max_time}, with a checkpoint in {output}. {GO_ON}."
        else:
            card = load_bundle(path).card
            dice = card.provenance["validation"]["val_dice"]
            said = {"finished": True, "bundle": str(path.resolve()), "threshold_hu": card.threshold_hu, "dice": dice}
            words = f"{path}: Dice {dice:.3f} on the validation vertebrae, above {card.threshold_hu:.0f} HU"
        if not answered(said, as_json, progress_json):
            print(words)


def _recipe(preset: str, given: dict[str, Any], settings: list[str]) -> Recipe:
    """The preset, changed by the options that were given and then by --set."""
    from ..training.errors import RecipeError
    from ..training.recipe import PRESETS

    if preset not in PRESETS:
        raise RecipeError("--preset", f"there is no {preset!r}", f"Use one of {', '.join(PRESETS)}")
    if given["ema"] == 0:
        given, settings = {**given, "ema": None}, ["ema=null", *settings]
    options = [
        f"{field}={value if isinstance(value, str) else json.dumps(value)}"
        for field, value in given.items()
        if value is not None
    ]
    return PRESETS[preset].with_overrides([*options, *settings])


def _with_protocol(recipe: Recipe, data: Path, protocol: str | None, settings: list[str]) -> Recipe:
    """Live X-rays show what those of the data show, unless something else is asked for."""
    from ..datasets.prepared import PreparedDataset
    from ..training.errors import RecipeError

    there = str(PreparedDataset.open(data).settings["protocol"])
    if recipe.xrays == "live":
        asked = protocol is not None or any(one.startswith(("simulation.protocol=", "simulation=")) for one in settings)
        return recipe if asked else recipe.with_overrides([f"simulation.protocol={there}"])
    if protocol is not None and protocol != there:
        raise RecipeError(
            f"--protocol {protocol}",
            f"the X-rays in {data} were made with the protocol {there!r}",
            "Train with --xrays live, or prepare the data with that protocol",
        )
    return recipe


@contextmanager
def _told(as_events: bool, quiet: bool) -> Iterator[Tell]:
    """What a run tells as events, or as a bar on stderr."""
    with progress_bar("Training", quiet=quiet or as_events) as move:
        dice = ""

        def tell(event: dict[str, Any]) -> None:
            nonlocal dice
            if event["event"] == "epoch":
                dice = f", Dice {event['val_dice']:.3f}"
            loss = f", loss {event['loss']:.4f}" if "loss" in event else ""
            words = f"epoch {event['epoch']} of {event['epochs']}{loss}{dice}"
            if as_events:
                say(**event, done=event["step"], total=event["steps"], what=words)
            elif event["event"] == "step":
                move(event["step"], event["steps"], words)

        yield tell
