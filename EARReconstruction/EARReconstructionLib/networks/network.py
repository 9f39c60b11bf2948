"""What every network of this package has in common: its output, its arguments and its input checks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

InputKind = Literal["images", "volumes"]


class NetworkOutput(NamedTuple):
    """What a network returns.

    volume: (B, 1, N, N, N), z-scored HU, axes (k, j, i) = (superior, anterior, right).
    edges: (B, 1, N, N, N) edge probability on the grid of `volume`; None where the network has no such map.
    """

    volume: Tensor
    edges: Tensor | None = None


class ReconstructionNetwork(nn.Module):
    """Base of all networks.

    `input_kind` says what `forward` takes: "images" are the two radiographs (B, 2, N, N), AP first;
    "volumes" are the same two lifted to three dimensions (B, 2, N, N, N).
    `arguments` holds the constructor's arguments, all JSON-able: `type(network)(**network.arguments)` is the
    same architecture again. This is how a bundle rebuilds its network.
    """

    input_kind: ClassVar[InputKind]

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments


def require_volumes(x: Tensor, channels: int, divisor: int, at_least: int = 0) -> None:
    """Raise ValueError unless `x` is (B, channels, D, H, W), every side divisible by `divisor` and long enough."""
    if x.dim() != 5 or x.shape[1] != channels:
        raise ValueError(f"Expected lifted volumes of shape (B, {channels}, N, N, N), got {tuple(x.shape)}.")
    if any(side % divisor for side in x.shape[2:]):
        raise ValueError(f"The volume's sides must be divisible by {divisor}, got {tuple(x.shape[2:])}.")
    if min(x.shape[2:]) < at_least:
        raise ValueError(f"The volume's sides must be {at_least} or more, got {tuple(x.shape[2:])}.")


def require_images(x: Tensor, channels: int, size: int) -> None:
    """Raise ValueError unless `x` is (B, channels, size, size)."""
    if x.dim() != 4 or tuple(x.shape[1:]) != (channels, size, size):
        raise ValueError(f"Expected images of shape (B, {channels}, {size}, {size}), got {tuple(x.shape)}.")
