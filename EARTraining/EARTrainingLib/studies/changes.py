"""What goes beyond the paper, one change at a time, beside EAR as the paper prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets.prepared import PreparedDataset
from ..training.recipe import Recipe
from .report import StoredReport
from .scales import Scale
from .study import Run, Study, with_network

#: The reference: images copied along their rays' axis, eq. 10 as printed, the weights of the last step.
PRINTED = "as printed"

#: Decay of the averaged weights: over the last 200 steps or so.
EMA = 0.995


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """EAR as printed, then with one change each, from the paper's choice to another one."""
    recipe = with_network(recipe, "EAR", scale, dataset)
    losses = replace(recipe.losses, attention=0.0, dice=0.0, frequency_high_pass=0.0)
    printed = replace(recipe, lift="replicate", ema=None, losses=losses)

    def network(**argument: object) -> Recipe:
        return replace(printed, arguments={**printed.arguments, **argument})

    def loss(**weight: float) -> Recipe:
        return replace(printed, losses=replace(losses, **weight))  # type: ignore[arg-type]

    return [
        Run(PRINTED, printed),
        Run("back-projection", replace(printed, lift="backproject")),
        Run("stem of stride 1", network(stem_stride=1)),
        Run("input shortcut", network(input_shortcut=True)),
        Run("FEM, batch norm", network(frequency_norm="batch")),
        Run("high-pass", loss(frequency_high_pass=1.0)),
        Run("supervised edges", loss(attention=0.1)),
        Run("Dice loss", loss(dice=1.0)),
        Run("averaged weights", replace(printed, ema=EMA)),
    ]


STUDY = Study("changes", "One change at a time", "beyond the paper", runs, StoredReport(reference=PRINTED))
