"""How large a study is: from minutes on two cores to the paper's own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from EARReconstructionLib.errors import EARError


class StudyError(EARError):
    """A study that cannot be run as asked."""


@dataclass(frozen=True)
class Phantoms:
    """What a study makes for itself where no data are given: made-up spines, and the cube around each vertebra.

    spines: how many for training, validation and test. levels: which vertebrae of each; None for all.
    """

    spines: tuple[int, int, int]
    levels: tuple[str, ...] | None
    size: int
    spacing_mm: float


@dataclass(frozen=True)
class Scale:
    """One size of all studies.

    note: what the numbers of such a study are worth, for captions. phantoms: None where data must be given.
    arguments: of each network, besides the size of its cube. recipe: fields of Recipe that differ from the preset.
    angles_deg: of the study of angles.
    """

    name: str
    note: str
    phantoms: Phantoms | None
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    angles_deg: tuple[int, ...] = tuple(range(60, 150, 10))


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            "tiny",
            "Scale tiny: narrow networks, a few training steps, a few coarse phantoms. It shows that the study runs; "
            "its numbers say nothing about the methods.",
            Phantoms((2, 1, 2), ("T12", "L1", "L2"), 32, 3.0),
            arguments={
                "EAR": {"width": 4},
                "PSR": {"width": 1 / 64},
                "E2E": {"width": 4},
                "BX2S": {"width": 4},
            },
            recipe={"epochs": 10, "warm_up_epochs": 1, "epoch_samples": 16},
            angles_deg=(60, 90, 140),
        ),
        Scale(
            "small",
            "Scale small: half the paper's resolution and a fraction of its training steps. An order of methods here "
            "is a hint, not a result.",
            Phantoms((40, 5, 10), None, 64, 1.5),
            arguments={"PSR": {"width": 0.25}},
            recipe={"epochs": 20, "warm_up_epochs": 2, "epoch_samples": 200},
        ),
        # PSR at its full width has 589 M parameters; a width of 0.25 would make 37 M of them.
        Scale("paper", "", None),
    )
}
