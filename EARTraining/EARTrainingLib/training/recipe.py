"""A recipe: all that decides how a network is trained, in one record that goes into checkpoints and bundles."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import LIFTS
from EARReconstructionLib.networks import NETWORKS
from EARReconstructionLib.vertebra import LEVELS

from ..losses import LossWeights
from ..simulation import Simulation
from .errors import RecipeError


@dataclass(frozen=True)
class Recipe:
    """How to train.

    architecture, arguments: network of the registry and its constructor's arguments.
    start: a bundle whose weights and z-score the run begins with, of the same architecture and arguments; None for
        random weights and the data set's own z-score.
    batch_size: samples per pass over all devices together, so that a run does not depend on their number.
    accumulate: passes per step of the optimiser. epochs, warm_up_epochs: the learning rate rises linearly to
        learning_rate over the warm-up and falls to 0 along half a cosine over the rest.
    levels: the first and the last level, from head to tail, that the network is trained on and made for; None for all.
    epoch_samples: samples per epoch, drawn evenly over levels, phantom_share of them from phantoms; None takes every
        training vertebra once.
    losses: eq. 10. lift: how images become volumes. xrays: those on disk, or made live at each step by ``simulation``.
    ema: decay of averaged weights, which are then what is validated and exported; None for the trained ones.
    clip: largest norm of the gradient. precision: bf16 is autocast. channels_last, compile: for speed only.

    Raises RecipeError for a value that cannot be.
    """

    architecture: str = "EAR"
    arguments: dict[str, Any] = field(default_factory=dict)
    start: str | None = None
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    batch_size: int = 2
    accumulate: int = 1
    levels: tuple[str, str] | None = None
    epochs: int = 100
    warm_up_epochs: int = 1
    epoch_samples: int | None = None
    phantom_share: float = 0.5
    losses: LossWeights = field(default_factory=LossWeights)
    lift: str = "backproject"
    xrays: Literal["disk", "live"] = "live"
    simulation: Simulation = field(default_factory=Simulation)
    ema: float | None = 0.995
    clip: float | None = 1.0
    precision: Literal["32", "bf16"] = "32"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("architecture", NETWORKS), ("lift", LIFTS)):
            if getattr(self, name) not in known:
                raise RecipeError(name, f"there is no {getattr(self, name)!r}", f"Use one of {', '.join(known)}")
        for level in self.levels or ():
            if level not in LEVELS:
                raise RecipeError("levels", f"{level!r} is no vertebra", f"Use {LEVELS[0]} to {LEVELS[-1]}")
        if self.levels and LEVELS.index(self.levels[0]) > LEVELS.index(self.levels[1]):
            raise RecipeError("levels", f"{self.levels[0]} lies below {self.levels[1]}", "Give the upper one first")
        for name in ("learning_rate", "batch_size", "accumulate", "epochs", "epoch_samples", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise RecipeError(name, f"{value} is not above 0", "Give a larger number")
        for name in ("weight_decay", "warm_up_epochs", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(name, f"{getattr(self, name)} is below 0 or no number", "Give 0 or more")
        if not 0 <= self.phantom_share <= 1:
            raise RecipeError("phantom_share", f"{self.phantom_share:g} is no share", "Give 0 to 1")
        if self.ema is not None and not 0 < self.ema < 1:
            raise RecipeError("ema", f"a decay of {self.ema:g}", "Give a number between 0 and 1, such as 0.995")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Inverse of to_dict; what is missing has its default. Raises RecipeError, naming the field."""
        recipe: Recipe = _decoded(cls, values, "")
        return recipe

    def with_overrides(self, settings: Iterable[str]) -> Recipe:
        """Changed by texts such as ``losses.edge=0`` or ``arguments.width=8``.

        Values are JSON; what is no JSON is a text. Raises RecipeError.
        """
        values = self.to_dict()
        for setting in settings:
            name, equals, text = setting.partition("=")
            if not equals or not name:
                raise RecipeError(setting, "it sets nothing", "Give NAME=VALUE, such as losses.edge=0")
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            *path, last = name.split(".")
            place: Any = values
            for n, part in enumerate(path):
                place = place.get(part)
                if not isinstance(place, dict):
                    raise _unknown(".".join(path[: n + 1]), values)
            place[last] = value
        return self.from_dict(values)

    def differences(self, other: Recipe | Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Dotted name -> (here, there) of every field that is not the same; None where one has no such field."""
        here = _flat(self.to_dict())
        there = _flat(other.to_dict() if isinstance(other, Recipe) else other)
        names = [*here, *(name for name in there if name not in here)]
        return {name: (here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)}

    def learning_rate_at(self, step: int, epoch_steps: int) -> float:
        """Learning rate of the optimiser's step number ``step``, from 0."""
        warm_up, total = self.warm_up_epochs * epoch_steps, self.epochs * epoch_steps
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(total - warm_up, 1)))


#: The paper's recipe (section 4) as far as it says, and ours.
PRESETS: dict[str, Recipe] = {
    "paper": Recipe(
        optimizer="adam",
        learning_rate=0.01,
        weight_decay=1e-5,
        batch_size=2,
        epochs=100,
        warm_up_epochs=10,
        lift="replicate",
        xrays="disk",
        ema=None,
        clip=None,
    ),
    "ours": Recipe(),
}


#: What a user is told to give for a field of each kind.
_KINDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "a text",
    tuple: "as many values as it has, such as [0.9, 1.1]",
    dict: 'names and values, such as {"width": 8}',
}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _unknown(name: str, values: Iterable[str]) -> RecipeError:
    return RecipeError(name, "a recipe has no such field", f"Known: {', '.join(values)}")


def _decoded(kind: Any, value: Any, name: str) -> Any:
    """A JSON value as ``kind``: a dataclass, a literal, an optional, a tuple or a plain type."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value, name)
    if get_origin(kind) in (Union, UnionType):
        if value is None and NoneType in get_args(kind):
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
        return _decoded(kind, value, name)
    if get_origin(kind) is Literal:
        known = {str(one): one for one in get_args(kind)}
        if str(value) not in known:
            raise RecipeError(name, f"there is no {value!r}", f"Use one of {', '.join(known)}")
        return known[str(value)]
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        if len(kinds) == len(value):
            return tuple(_decoded(one, part, name) for one, part in zip(kinds, value, strict=True))
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif type(value) is (get_origin(kind) or kind):
        return value
    raise RecipeError(name, f"{value!r} is not what it takes", f"Give {_KINDS[get_origin(kind) or kind]}")


def _record(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecipeError(name, f"{value!r} is no group of fields", f"Set its fields, such as {name}.NAME=VALUE")
    kinds = get_type_hints(kind)
    known = [one.name for one in fields(kind)]
    prefix = f"{name}." if name else ""
    for given in value:
        if given not in known:
            raise _unknown(prefix + given, (prefix + one for one in known))
    arguments = {one: _decoded(kinds[one], part, prefix + one) for one, part in value.items()}
    try:
        return kind(**arguments)
    except EARError as error:
        raise RecipeError(prefix + error.subject, error.cause, error.advice) from error
    except ValueError as error:
        raise RecipeError(name, str(error), "Give another value") from error
