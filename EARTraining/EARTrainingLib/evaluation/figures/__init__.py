"""Figures of an evaluation, one file each, in the manner of the paper's; every choice of examples follows a rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import NETWORKS
from EARReconstructionLib.report.rendering import NoRendererError
from EARReconstructionLib.volume_io import written_whole

from ...datasets.prepared import PreparedDataset
from ..prediction import predictions
from .anatomy import draw_spine, draw_vertebrae
from .attention import draw_attention
from .choice import examples, label, longest_spine, rule
from .distributions import draw_distributions
from .frequency import draw_frequency
from .surfaces import draw_distances, draw_reconstructions

#: With fewer vertebrae there is no spine to show.
_SPINE = 3

_KINDS = ("distributions", "reconstructions", "distances", "vertebrae", "spine", "edges", "frequency")

_UNSEEN = "Bone that is missing altogether has no surface to be coloured."
_SIDES = "Sides of the body: R, L, A, P, S, I."


def draw_figures(
    folder: Path,
    rows: pd.DataFrame,
    methods: Mapping[str, Bundle],
    dataset: PreparedDataset,
    *,
    reference: str,
    device: str = "auto",
) -> tuple[dict[str, str], list[str]]:
    """Draw all figures that the rows of an evaluation allow; returns file name -> caption, and notes on the rest.

    The vertebrae that are shown are rebuilt for it. captions.md holds the captions. Raises EARError's kinds.
    """
    by_id = {row.id: row for row in dataset.rows}
    shown = examples(rows, reference)
    wanted = [by_id[name] for name in shown.values()]
    rebuilt = {
        method: {p.truth.row.id: p for p in predictions(bundle, dataset, wanted, device=device)}
        for method, bundle in methods.items()
    }
    cells = {
        label(by_id[name], kind): {method: rebuilt[method][name] for method in methods} for kind, name in shown.items()
    }
    chosen = f"{rule(reference, list(shown))} {_SIDES}"
    sheets = _Drawn(folder)
    sheets.draw(
        "distributions.png",
        draw_distributions,
        rows,
        caption="Boxes: quartiles over vertebrae, whiskers up to 1.5 times their distance. Points: means of patients.",
    )
    sheets.draw(
        "reconstructions.png",
        draw_reconstructions,
        cells,
        caption=f"Rebuilt surfaces beside the truth, from the front and from behind; one camera for each row. {chosen}",
    )
    sheets.draw(
        "distances.png",
        draw_distances,
        cells,
        rows.set_index(["method", "id"])["assd_mm"].to_dict(),
        caption=f"Signed distance of the rebuilt surfaces to the truth; one camera for each row, one scale for all. "
        f"{_UNSEEN} {chosen}",
    )
    sheets.draw(
        "vertebrae.png",
        draw_vertebrae,
        {name: own[reference] for name, own in cells.items()},
        reference,
        caption=f"Vertebrae rebuilt by {reference} from several sides. {chosen}",
    )
    spine = [by_id[name] for name in longest_spine(rows, reference)]
    if len(spine) >= _SPINE:
        sheets.draw(
            "spine.png",
            draw_spine,
            list(predictions(methods[reference], dataset, spine, device=device)),
            reference,
            caption=f"{len(spine)} vertebrae ({spine[0].level} to {spine[-1].level}) of {spine[0].patient}, each "
            f"rebuilt by {reference} and put where it stands in the patient. Chosen by rule: the series with "
            f"most vertebrae. {_UNSEEN} {_SIDES}",
        )
    else:
        sheets.notes.append(f"There is no figure of a spine: no series has {_SPINE} vertebrae here.")
    kind = "median" if "median" in shown else "best"
    middle = shown[kind]
    attentive = {method: own[middle] for method, own in rebuilt.items() if own[middle].edges is not None}
    if attentive:
        sheets.draw(
            "edges.png",
            draw_attention,
            attentive,
            dataset.hu_statistics,
            caption=f"Edge attention beside the edges of the truth (soft Sobel of eq. 6), {by_id[middle].level} of "
            f"{by_id[middle].patient}; cuts at shares of its extent from I to S, P to A and L to R. "
            f"{rule(reference, (kind,))}",
        )
    order = [middle, *(name for name in shown.values() if name != middle)]
    for number, (enhanced, plain) in enumerate(frequency_pairs(methods)):
        sheets.draw(
            f"frequency-{number + 1}.png" if number else "frequency.png",
            draw_frequency,
            *([rebuilt[method][name] for name in order] for method in (enhanced, plain)),
            (enhanced, plain),
            caption=f"What frequency enhancement changes: {by_id[middle].level} of {by_id[middle].patient} in slices, "
            f"and spectra over {len(order)} vertebrae. {chosen}",
        )
    sheets.write_captions()
    return sheets.captions, sheets.told


def frequency_pairs(methods: Mapping[str, Bundle]) -> list[tuple[str, str]]:
    """Methods that differ in nothing but the frequency enhancement: (with it, without it)."""
    made = {name: (bundle.card.architecture, _all_arguments(bundle.card)) for name, bundle in methods.items()}
    return [
        (a, b)
        for a, (kind, full) in made.items()
        for b in made
        if full.get("frequency_enhancement") and made[b] == (kind, {**full, "frequency_enhancement": False})
    ]


def _all_arguments(card: ModelCard) -> dict[str, Any]:
    """A network's arguments, those that its card leaves to their defaults too."""
    parameters = inspect.signature(NETWORKS[card.architecture]).parameters
    return {name: card.arguments.get(name, parameter.default) for name, parameter in parameters.items()}


@dataclass
class _Drawn:
    """What was drawn into a folder, and what this machine could not draw."""

    folder: Path
    captions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    undrawn: dict[str, str] = field(default_factory=dict)

    def draw(self, name: str, function: Callable[..., None], *arguments: Any, caption: str) -> None:
        try:
            function(self.folder / name, *arguments, caption)
        except NoRendererError as error:
            self.undrawn[name] = str(error)
        else:
            self.captions[name] = caption

    @property
    def told(self) -> list[str]:
        if not self.undrawn:
            return self.notes
        reason = next(iter(self.undrawn.values()))
        return [*self.notes, f"Not drawn: {', '.join(self.undrawn)} ({reason})."]

    def write_captions(self) -> None:
        for path in self.folder.glob("*.png"):  # an earlier run's do not belong to these rows
            if path.name not in self.captions and path.stem.split("-")[0] in _KINDS:
                path.unlink()
        with written_whole(self.folder / "captions.md") as beside:
            beside.write_text("".join(f"**{n}**: {text}\n\n" for n, text in self.captions.items()), encoding="utf-8")
