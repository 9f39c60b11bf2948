"""Table 3: EAR trained with the reconstruction loss alone, and with one more term after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets.prepared import PreparedDataset
from ..losses import LossWeights
from ..training.recipe import Recipe
from .report import StoredReport
from .scales import Scale
from .study import Run, Study, with_network

#: Each run has the terms of the one before and one more: eq. 5, 6, 8, 9.
TERMS = {"recon": "reconstruction", "+edge": "edge", "+freq": "frequency", "+proj": "projection"}

TABLE_3 = {
    "recon": {"mse": 0.2910, "dice": 0.8615, "fd_minmax": 0.7663},
    "+edge": {"mse": 0.2892, "dice": 0.8638, "fd_minmax": 0.7244},
    "+freq": {"mse": 0.2488, "dice": 0.8682, "fd_minmax": 0.3367},
    "+proj": {"mse": 0.2532, "dice": 0.8661, "fd_minmax": 0.3014},
}


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """EAR with one term of eq. 10, then with one more each time, each with its weight in the recipe."""
    recipe = with_network(recipe, "EAR", scale, dataset)
    missing = list(TERMS.values())
    planned = []
    for name in TERMS:
        missing.pop(0)
        losses = LossWeights.from_dict(recipe.losses.to_dict() | dict.fromkeys(missing, 0.0))
        planned.append(Run(name, replace(recipe, losses=losses)))
    return planned


STUDY = Study(
    "losses",
    "Terms of the loss, one after the other",
    "Table 3",
    runs,
    StoredReport(reference="recon", paper=TABLE_3, table="Table 3"),
)
