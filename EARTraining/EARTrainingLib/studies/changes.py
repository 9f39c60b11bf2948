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

#: Each run has one setting that is not the reference's.
CHANGES = {
    "back-projection": "lift=backproject",
    "stem of stride 1": "arguments.stem_stride=1",
    "input shortcut": "arguments.input_shortcut=true",
    "FEM, batch norm": "arguments.frequency_norm=batch",
    "high-pass": "losses.frequency_high_pass=1",
    "supervised edges": "losses.attention=0.1",
    "Dice loss": "losses.dice=1",
    "averaged weights": "ema=0.995",
}


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """EAR as printed, then with one change each, from the paper's choice to another one."""
    recipe = with_network(recipe, "EAR", scale, dataset)
    losses = replace(recipe.losses, attention=0.0, dice=0.0, frequency_high_pass=0.0)
    printed = replace(recipe, lift="replicate", ema=None, losses=losses)
    changed = [Run(name, printed.with_overrides([setting])) for name, setting in CHANGES.items()]
    return [Run(PRINTED, printed), *changed]


STUDY = Study("changes", "One change at a time", "beyond the paper", runs, StoredReport(reference=PRINTED))
