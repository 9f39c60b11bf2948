"""`ear calibrate`: how great errors are where a model is unsure, and where its bone begins."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from EARReconstructionLib.errors import EARError

from .common import DeviceOption, JsonOption, ProgressJsonOption, answered, progress_bar, reported


def calibrate(
    model: Annotated[str, typer.Argument(help="Name of an installed model (see `ear models`) or path of a bundle.")],
    data: Annotated[
        list[Path],
        typer.Option(
            help="Prepared data set with people that the model was not trained on. Give more than one for X-rays of "
            "more than one protocol."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The calibrated bundle (.safetensors).")],
    split: Annotated[str, typer.Option(help="train, validation, test, or all.")] = "validation",
    patients: Annotated[str, typer.Option(help="Only these patients, such as A,B. Default: all of the split.")] = "",
    threshold: Annotated[
        bool,
        typer.Option(
            "--threshold",
            help="First set the model's threshold to where the mean Dice of these people is best. They then chose it, "
            "and are no test.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Measure how far off a model is where it is unsure, and write the model with what was found.

    `ear reconstruct --uncertainty` needs it. Prints how well expected errors fit people that were left out.
    """
    with reported(as_json, as_events=progress_json):
        import pandas as pd
        from EARReconstructionLib.bundle import load_bundle, save_bundle
        from EARReconstructionLib.resources import find_model

        from ..calibration import calibration_of, chosen_threshold, left_out, measured_points, reliability
        from ..datasets.prepared import PreparedDataset

        bundle, datasets = load_bundle(find_model(model)), [PreparedDataset.open(folder) for folder in data]
        rows = [dataset.rows if split == "all" else dataset.rows_of(split) for dataset in datasets]
        wanted = {name.strip() for name in patients.split(",") if name.strip()}
        missing = wanted - {row.patient for own in rows for row in own}
        if missing:
            where = ", ".join(map(str, data))
            raise EARError(where, f"there is no {', '.join(sorted(missing))} in the split {split}", "See manifest.csv")
        chosen = [tuple(row for row in own if not wanted or row.patient in wanted) for own in rows]
        network = bundle.network()
        moved: dict[str, Any] = {}
        if threshold:
            own_hu = bundle.card.threshold_hu
            of = list(zip(datasets, chosen, strict=True))
            with progress_bar("Threshold", sum(map(len, chosen)), quiet=as_json, as_events=progress_json) as progress:
                best_hu, dice, own_dice = chosen_threshold(bundle, of, device=device, progress=progress)
            moved = {"threshold_hu": best_hu, "dice": dice, "earlier_threshold_hu": own_hu, "earlier_dice": own_dice}
            people = sorted({row.patient for own in chosen for row in own})
            said = {**bundle.card.provenance, "threshold": {"patients": people, "earlier_hu": own_hu, "dice": dice}}
            bundle = replace(bundle, card=replace(bundle.card, threshold_hu=best_hu, provenance=said))
        parts = []
        for dataset, own in zip(datasets, chosen, strict=True):
            if not own:  # these people are in another data set
                continue
            with progress_bar("Calibrating", len(own), quiet=as_json, as_events=progress_json) as progress:
                parts.append(measured_points(bundle, dataset, own, device=device, progress=progress))
        points = pd.concat(parts, ignore_index=True)
        fits = left_out(points)
        before, after = reliability(points.spread_mm, points.error_mm), reliability(fits.expected_mm, fits.error_mm)
        card = replace(bundle.card, error_calibration=calibration_of(points))
        save_bundle(output, card, network)
        told = {
            "output": str(output.resolve()),
            "patients": sorted(points.patient.unique().tolist()),
            "vertebrae": int(points.id.nunique()),
            "points": len(points),
            **moved,
            "mean_error_mm": float(points.error_mm.mean()),
            "calibration": [list(pair) for pair in card.error_calibration],
            **{name: _dict(fit) for name, fit in (("uncalibrated", before), ("left_out", after))},
        }
        if not answered(told, as_json, progress_json):
            _tell(told, after.table)


def _dict(fit: Any) -> dict[str, Any]:
    return {**asdict(fit), "table": fit.table.to_dict("records")}


def _tell(told: dict[str, Any], table: Any) -> None:
    if "threshold_hu" in told:
        print(
            f"Threshold: {told['threshold_hu']:.0f} HU, Dice {told['dice']:.3f} "
            f"(before: {told['earlier_threshold_hu']:.0f} HU, {told['earlier_dice']:.3f}).\n"
        )
    print(f"{told['vertebrae']} vertebrae of {len(told['patients'])} people, each person calibrated on the others:\n")
    print(table.to_string(index=False, float_format="{:.2f}".format))
    fit, raw = told["left_out"], told["uncalibrated"]
    print(f"\nExpected and measured error differ by {fit['off_mm']:.2f} mm (uncalibrated: {raw['off_mm']:.2f} mm).")
    print(f"Correlation of the single points: {fit['correlation']:.2f}, of their ranks: {fit['rank_correlation']:.2f}.")
    print(f"Calibrated model in {told['output']}")
