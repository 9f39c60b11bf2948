"""Table 1 and Fig. 6, 7: EAR beside the four methods that it is compared with, and the one that we ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets.prepared import PreparedDataset
from ..evaluation.paper import TABLE_1
from ..training.recipe import Recipe
from .report import StoredReport
from .scales import Scale
from .study import Run, Study, with_network

METHODS = ("PSR", "SIT", "E2E", "BX2S", "EAR")

#: "ours" is E2E on back-projected X-rays with a Dice loss of this weight beside the recipe's own.
OURS_DICE = 1.0


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """Every network of the paper under the same recipe, EAR's, losses included; and "ours", in as many steps."""
    planned = [Run(method, with_network(recipe, method, scale, dataset)) for method in METHODS]
    ours = with_network(recipe, "E2E", scale, dataset)
    losses = replace(ours.losses, dice=OURS_DICE)
    return [*planned, Run("ours", replace(ours, lift="backproject", losses=losses))]


STUDY = Study(
    "comparison",
    "Comparison of methods",
    "Table 1, Fig. 6, Fig. 7",
    runs,
    StoredReport(
        reference="EAR",
        paper=TABLE_1,
        table="Table 1",
        figures={"reconstructions.png": "Fig. 6", "distances.png": "Fig. 7"},
    ),
)
