"""One registry of networks: by name for the command line and for bundles."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import nn

from .bx2s import BX2S
from .e2e import E2E
from .ear import EAR
from .network import ReconstructionNetwork
from .psr import PSR
from .sit import SIT

NETWORKS: dict[str, type[ReconstructionNetwork]] = {
    "EAR": EAR,
    "PSR": PSR,
    "SIT": SIT,
    "E2E": E2E,
    "BX2S": BX2S,
}


def build(name: str, **arguments: Any) -> ReconstructionNetwork:
    """A network by its name in `NETWORKS`, with the arguments of its constructor.

    Raises ValueError for an unknown name, for an argument that the network does not have and for a value that
    it cannot use.
    """
    if name not in NETWORKS:
        raise ValueError(f"There is no network {name!r}. Known networks: {', '.join(NETWORKS)}.")
    network = NETWORKS[name]
    known = {argument: kind for argument, kind in get_type_hints(network.__init__).items() if argument != "return"}
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}. Its arguments: {', '.join(known)}.")
    for argument, value in arguments.items():
        if not _takes(known[argument], value):
            raise ValueError(f"{name}'s {argument} is {_described(known[argument])}, got {value!r}.")
    return network(**arguments)


def _takes(kind: Any, value: Any) -> bool:
    """Whether an argument of a kind can be this; numbers count something, and are above 0."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is bool:
        return isinstance(value, bool)
    numbers = (int, float) if kind is float else int
    return isinstance(value, numbers) and not isinstance(value, bool) and 0 < value < float("inf")


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return {bool: "true or false", int: "a whole number above 0", float: "a number above 0"}[kind]


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
