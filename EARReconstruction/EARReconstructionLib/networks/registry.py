"""One registry of networks: by name for the command line and for bundles."""

from __future__ import annotations

import inspect
from typing import Any

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
    known = list(inspect.signature(network).parameters)
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}. Its arguments: {', '.join(known)}.")
    return network(**arguments)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
