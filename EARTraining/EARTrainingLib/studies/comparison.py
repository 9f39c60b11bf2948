"""Table 1 and Fig. 6, 7: EAR beside the four methods that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from ..datasets.prepared import PreparedDataset
from ..evaluation.paper import TABLE_1
from ..training.recipe import Recipe
from .report import StoredReport
from .scales import Scale
from .study import Run, Study, with_network

METHODS = ("PSR", "SIT", "E2E", "BX2S", "EAR")


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """Every network under the same recipe: EAR's, losses included."""
    return [Run(method, with_network(recipe, method, scale, dataset)) for method in METHODS]


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
