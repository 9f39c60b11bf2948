"""A trained network becomes a bundle: its threshold comes from the validation split, its card says what it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import torch
from EARReconstructionLib.bundle import Bundle, load_bundle, save_bundle
from EARReconstructionLib.errors import BundleError
from EARReconstructionLib.model_card import ModelCard, read_card
from EARReconstructionLib.networks.network import ReconstructionNetwork
from EARReconstructionLib.vertebra import LEVELS

from ..datasets.manifest import Row
from ..datasets.prepared import PreparedDataset
from ..projection.acquisition import Acquisition
from ..samples import Samples
from .module import Statistics
from .recipe import Recipe
from .thresholds import best_threshold, dice_per_threshold

#: Between the licences of a model's data and those of the model that its training began with.
BEFORE = "; before: "


def export(
    path: Path,
    network: ReconstructionNetwork,
    recipe: Recipe,
    dataset: PreparedDataset,
    validation: Samples,
    statistics: Statistics,
    validated: dict[str, float],
    device: torch.device,
) -> Bundle:
    """Write a network as a bundle named after its file. validated: numbers of its validation, for the card.

    The threshold is the best one of the weights as the bundle holds them, in half precision.
    """
    protocol, acquisition = xrays_of(recipe, dataset)
    halved = network.eval().half().float()
    threshold, dice = choose_threshold(halved, validation, statistics, device)
    card = ModelCard(
        name=path.stem,
        architecture=recipe.architecture,
        arguments=network.arguments,
        size=dataset.size,
        spacing_mm=dataset.spacing_mm,
        lift=recipe.lift,
        hu_mean=statistics.hu_mean,
        hu_sd=statistics.hu_sd,
        threshold_hu=threshold,
        angle_range_deg=acquisition.angle_range_deg,
        sod_range_mm=acquisition.sod_mm,
        protocol=protocol,
        levels=tuple(level for level in LEVELS if level in {row.level for row in dataset.rows_of("train")}),
        data_licence=_licence(recipe, dataset),
        provenance=_provenance(recipe, dataset, validated | {"val_dice": dice}),
        field=dataset.settings["field"],
    )
    return save_bundle(path, card, halved.cpu())


def exported(path: Path, recipe: Recipe, dataset: PreparedDataset) -> bool:
    """Whether a file is the bundle of this recipe and data set already."""
    if not path.is_file():
        return False
    try:
        made = load_bundle(path).card.provenance
    except BundleError:
        return False
    return made.get("recipe") == recipe.to_dict() and made.get("data") == dataset.fingerprint


def xrays_of(recipe: Recipe, dataset: PreparedDataset) -> tuple[str, Acquisition]:
    """Protocol and acquisition of the X-rays that a recipe trains on."""
    if recipe.xrays == "live":
        return recipe.simulation.protocol, recipe.simulation.acquisition
    return str(dataset.settings["protocol"]), Acquisition.from_dict(dataset.settings["acquisition"])


def choose_threshold(
    network: ReconstructionNetwork, validation: Samples, statistics: Statistics, device: torch.device
) -> tuple[float, float]:
    """(threshold in HU, mean Dice over the validation vertebrae there)."""
    network.to(device)
    total = torch.zeros(())
    for number in range(len(validation)):
        sample = validation[number]
        x = sample.images if network.input_kind == "images" else sample.lifted
        with torch.inference_mode():
            hu = network(x[None].to(device)).volume[0].float() * statistics.hu_sd + statistics.hu_mean
        total = total + dice_per_threshold(hu.cpu(), sample.mask)
    return best_threshold(total / len(validation))


def _licence(recipe: Recipe, dataset: PreparedDataset) -> str:
    """Of the training data, bodies that were lent with them, and those of the models that the training began with."""
    own = ", ".join(sorted({row.licence for row in (*dataset.rows_of("train"), *_lenders(recipe, dataset))}))
    before = [] if recipe.start is None else read_card(Path(recipe.start)).data_licence.split(BEFORE)
    return BEFORE.join(dict.fromkeys([own, *before]))


def _lenders(recipe: Recipe, dataset: PreparedDataset) -> tuple[Row, ...]:
    """Vertebrae that are not trained on, and whose CT surrounds those that are."""
    shown = recipe.simulation
    return dataset.lenders if recipe.xrays == "live" and shown.protocol == "in-situ" and shown.lent > 0 else ()


def _provenance(recipe: Recipe, dataset: PreparedDataset, validated: dict[str, float]) -> dict[str, Any]:
    """What a reader of the card wants to know of the training, JSON-able."""
    rows = dataset.rows_of("train")
    start = None if recipe.start is None else read_card(Path(recipe.start))
    patients: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        patients[row.source].add(row.patient)
    return {
        "recipe": recipe.to_dict(),
        "start": None if start is None else {"name": start.name, "provenance": dict(start.provenance)},
        "data": dataset.fingerprint,
        "field": dataset.settings["field"],
        "patients": {source: len(people) for source, people in sorted(patients.items())},
        "vertebrae": dict(sorted(Counter(row.source for row in rows).items())),
        "bodies_lent_by": sorted({row.patient for row in _lenders(recipe, dataset)}),
        "licences": {source: sorted({r.licence for r in rows if r.source == source}) for source in sorted(patients)},
        "validation": {name: round(value, 5) for name, value in validated.items()},
    }
