"""Fig. 11: how far apart the two X-rays may be. One model for each angle, and one for all that knows the geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets.prepared import PreparedDataset
from ..deformation import UNDEFORMED
from ..simulation import Simulation
from ..training.export import xrays_of
from ..training.recipe import Recipe
from .angle_report import report
from .scales import Scale
from .study import Run, Study, with_network

#: The model for all angles.
ANY_ANGLE = "any angle"


def runs(recipe: Recipe, scale: Scale, dataset: PreparedDataset) -> Sequence[Run]:
    """A model per angle with replicated X-rays, as in the paper, then one for all angles with back-projected ones.

    All see X-rays that are made at each step, at their angle. Where the recipe takes X-rays from disk, those are made
    like them in everything else, from shapes as they are. Every run takes the same number of steps.
    """
    recipe = with_network(recipe, "EAR", scale, dataset)
    simulation = recipe.simulation
    if recipe.xrays == "disk":
        protocol, acquisition = xrays_of(recipe, dataset)
        simulation = Simulation(protocol, acquisition, UNDEFORMED, soft_tissue=0.0)

    def run(name: str, lift: str, low: int, high: int) -> Run:
        taken = replace(simulation.acquisition, angle_deg=(float(low), float(high)))
        return Run(name, replace(recipe, lift=lift, xrays="live", simulation=replace(simulation, acquisition=taken)))

    angles = scale.angles_deg
    each = [run(f"{angle}°", "replicate", angle, angle) for angle in angles]
    return [*each, run(ANY_ANGLE, "backproject", min(angles), max(angles))]


STUDY = Study("angles", "Angle between the X-rays", "Fig. 11", runs, report)
