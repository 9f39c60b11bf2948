"""A model with all that it takes to use it, in one file that cannot run code.

A bundle is a safetensors file whose metadata hold one JSON text under ``ear_bundle``: format version, architecture,
grid, lift, statistics, threshold, the ranges it was trained on, where it comes from, and a SHA-256 over weights and
header. Weights are used as float32, and stored as float16 where that can hold them; or, for half the size, in 8 bits
each, with one scale per row of a matrix or kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .errors import BundleError
from .model_card import FORMAT_VERSION, METADATA_KEY, ModelCard, damaged, read_header
from .networks import NETWORKS, build
from .networks.network import ReconstructionNetwork

#: Ends the name of the tensor with the scales of a weight that is stored in 8 bits.
SCALE = ".scale8"


@dataclass(frozen=True)
class Bundle:
    """A card, its weights, floating point even where the file has 8 bits, and the hash of both as stored."""

    card: ModelCard
    weights: Mapping[str, torch.Tensor]
    sha256: str
    path: Path | None = None

    def network(self) -> ReconstructionNetwork:
        """The network in evaluation mode, float32, on the CPU.

        Raises BundleError when the weights do not fit the architecture.
        """
        try:
            network = build(self.card.architecture, **self.card.arguments)
            network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in self.weights.items()})
        except (RuntimeError, ValueError, TypeError) as error:
            first = str(error).splitlines()[0]
            raise damaged(self.path or self.card.name, f"its weights do not fit its network ({first})") from error
        return network.eval()


def save_bundle(path: Path, card: ModelCard, network: torch.nn.Module, *, eight_bits: bool = False) -> Bundle:
    """Write a network and its card as one file, whole or not at all. Returns the bundle as it can be loaded again.

    eight_bits: of a weight, in place of 16; biases and norms keep theirs. Raises BundleError for weights that are no
    numbers.
    """
    path = Path(path)
    values = {name: value.cpu() for name, value in network.state_dict().items()}
    spoilt = [name for name, value in values.items() if not value.isfinite().all()]
    if spoilt:
        raise BundleError(path, f"{spoilt[0]} holds values that are no numbers", "Train again from a checkpoint")
    weights: dict[str, torch.Tensor] = {}
    for name, value in values.items():
        if eight_bits and value.is_floating_point() and value.ndim > 1:
            weights[name], weights[name + SCALE] = _in_eight_bits(value)
        else:
            weights[name] = _stored(value).contiguous()
    header: dict[str, Any] = {"version": FORMAT_VERSION, "card": asdict(card)}
    header["sha256"] = _digest(header["card"], weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Not save_file: its files are for their owner alone.
        beside.write_bytes(save(weights, metadata={METADATA_KEY: json.dumps(header)}))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return Bundle(card, _restored(weights), header["sha256"], path)


def _in_eight_bits(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole numbers from -127 to 127 of the same shape, and what to multiply each row (the first axis) by, float32."""
    rows = value.float().flatten(1)
    scale = rows.abs().amax(1) / 127
    whole = (rows / scale.clamp_min(torch.finfo(torch.float32).tiny)[:, None]).round()
    return whole.to(torch.int8).reshape(value.shape).contiguous(), scale


def _restored(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is stored in 8 bits as float32; all else as it is."""
    scales = {name.removesuffix(SCALE): value for name, value in weights.items() if name.endswith(SCALE)}
    restored = {name: value for name, value in weights.items() if not name.endswith(SCALE)}
    for name, scale in scales.items():
        whole = restored[name].float()
        restored[name] = whole * scale.reshape(-1, *[1] * (whole.ndim - 1))
    return restored


def _stored(value: torch.Tensor) -> torch.Tensor:
    """Half precision, unless a value is beyond it, as the variance of a normalisation may be."""
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if half.isfinite().all() else value.float()


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises BundleError for a file that is missing, no safetensors, truncated, of another format version, from another
    program, or changed since it was written.
    """
    path = Path(path)
    header = read_header(path)
    card = ModelCard.from_dict(header["card"], path)
    if card.architecture not in NETWORKS:
        raise BundleError(
            path,
            f"it holds a network {card.architecture!r}, which this version does not know",
            f"Update SlicerEAR, or take a bundle of {', '.join(NETWORKS)}",
        )
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"its weights cannot be read ({error})") from error
    if _digest(header["card"], weights) != header.get("sha256"):
        raise damaged(path, "its contents do not match its checksum")
    try:
        return Bundle(card, _restored(weights), header["sha256"], path)
    except (KeyError, RuntimeError) as error:
        raise damaged(path, f"its weights and their scales do not fit ({error})") from error


def _digest(card: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # numpy does not know every dtype
    return digest.hexdigest()
