"""What a study is: trainings that differ in one thing, and what is made of the models."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from EARReconstructionLib.job import Progress
from EARReconstructionLib.networks import NETWORKS, build, parameter_count

from ..datasets.prepared import PreparedDataset
from ..training.errors import RecipeError
from ..training.recipe import PRESETS, Recipe
from .pace import Pace
from .scales import Scale, StudyError

#: What can become of a run.
FINISHED, FAILED, WAITING, ELSEWHERE = "finished", "failed", "waiting", "elsewhere"


@dataclass(frozen=True)
class Run:
    """One training of a study. name: as its tables show it."""

    name: str
    recipe: Recipe

    @property
    def folder(self) -> str:
        """Its name for files."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True)
class Finished:
    """A study whose runs have all finished or failed. In the order of the study, by the names of the runs.

    bundles: of those that finished; failures: why the others failed. paces: where a run was long enough to time it.
    """

    out: Path
    title: str
    scale: Scale
    preset: str
    dataset: PreparedDataset
    runs: tuple[Run, ...]
    bundles: dict[str, Path]
    failures: dict[str, str]
    paces: dict[str, Pace]


@dataclass(frozen=True)
class Study:
    """An experiment of the paper.

    title: of its table. reproduces: tables and figures of the paper. runs: its trainings, from the recipe that all of
    them share, a scale and the data. report: writes table and figures, returns their paths; takes the finished study,
    device, jobs and progress.
    """

    name: str
    title: str
    reproduces: str
    runs: Callable[[Recipe, Scale, PreparedDataset], Sequence[Run]]
    report: Callable[[Finished, str, int, Progress | None], list[Path]]


def shared_recipe(preset: str, scale: Scale, settings: Sequence[str], dataset: PreparedDataset) -> Recipe:
    """What all runs of a study have in common. settings: as Recipe.with_overrides takes them.

    X-rays that are made during training show what those of the data set show, on which the models are tested.
    preset: a key of PRESETS. Raises StudyError for a setting that is the study's own, RecipeError for one that is
    impossible.
    """
    own = [setting for setting in settings if setting.partition("=")[0] == "architecture"]
    if own:
        raise StudyError(own[0], "a study chooses its networks itself", "Leave it out")
    recipe = replace(PRESETS[preset], **scale.recipe)
    recipe = replace(recipe, simulation=replace(recipe.simulation, protocol=dataset.settings["protocol"]))
    return recipe.with_overrides(settings)


def with_network(recipe: Recipe, architecture: str, scale: Scale, dataset: PreparedDataset) -> Recipe:
    """A recipe for a network of a scale, in the size of the data. Arguments that the recipe has already stay."""
    arguments = {**scale.arguments.get(architecture, {})}
    if NETWORKS[architecture].input_kind == "images":
        arguments["size"] = dataset.size
    if recipe.architecture == architecture:
        arguments |= recipe.arguments
    return replace(recipe, architecture=architecture, arguments=arguments)


def parameters(recipe: Recipe) -> int:
    """Trainable parameters of a recipe's network. Raises RecipeError for arguments that it does not take."""
    try:
        with torch.device("meta"):  # counted without the memory of 589 M of them
            return parameter_count(build(recipe.architecture, **recipe.arguments))
    except (ValueError, TypeError) as error:
        raise RecipeError("arguments", str(error), f"Give arguments that {recipe.architecture} takes") from error
