"""Table 2 and Fig. 8, 9, 10: EAR without its three modules, and with one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets.prepared import PreparedDataset
from ..training.recipe import Recipe
from .report import StoredReport
from .scales import Scale
from .study import Run, Study, with_network

#: Each run has the modules of the one before and one more: ABS (eq. 3-4), FEM (eq. 1), EAM (eq. 2).
MODULES = {
    "baseline": None,
    "+ABS": "attention_shortcuts",
    "+FEM": "frequency_enhancement",
    "+EAM": "edge_attention",
}

TABLE_2 = {
    "baseline": {"mse": 0.2769, "dice": 0.8502, "fd_minmax": 0.7103},
    "+ABS": {"mse": 0.2696, "dice": 0.8666, "fd_minmax": 0.7019},
    "+FEM": {"mse": 0.2559, "dice": 0.8514, "fd_minmax": 0.3125},
    "+EAM": {"mse": 0.2532, "dice": 0.8661, "fd_minmax": 0.3014},
}


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """EAR with no module, then with one more each time."""
    recipe = with_network(recipe, "EAR", scale, dataset)
    switches = {module: False for module in MODULES.values() if module}
    planned = []
    for name, module in MODULES.items():
        if module:
            switches[module] = True
        planned.append(Run(name, replace(recipe, arguments={**recipe.arguments, **switches})))
    return planned


STUDY = Study(
    "modules",
    "Modules of EAR, one after the other",
    "Table 2, Fig. 8, Fig. 9, Fig. 10",
    runs,
    StoredReport(
        reference="baseline",
        paper=TABLE_2,
        table="Table 2",
        figures={
            "reconstructions.png": "Fig. 8",
            "distances.png": "Fig. 8",
            "edges.png": "Fig. 9",
            "frequency.png": "Fig. 10",
        },
    ),
)
