"""A model with all that it takes to use it, in one file that cannot run code.

A bundle is a safetensors file whose metadata hold one JSON text under ``ear_bundle``: format version, architecture,
grid, lift, statistics, threshold, the ranges it was trained on, where it comes from, and a SHA-256 over weights and
header. Weights are stored as float16 where that can hold them, and used as float32.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .errors import BundleError
from .geometry import LIFTS, BiplanarGeometry
from .networks import NETWORKS, build
from .networks.network import ReconstructionNetwork
from .vertebra import LEVELS

FORMAT_VERSION = 1
METADATA_KEY = "ear_bundle"
SUFFIX = ".safetensors"

#: What a volume shows of a vertebra: a cube of fixed size around it, or its own box, resized.
FIELDS = ("cube", "paper")

#: Voxels per side of a cube that some computer can hold.
MAXIMUM_SIZE = 1024


@dataclass(frozen=True)
class ModelCard:
    """What a bundle says about its model. Lengths in mm, angles in degrees, densities in HU.

    arguments: constructor arguments of the architecture. size, spacing_mm: the cube that the network fills.
    hu_mean, hu_sd: the training set's z-score, by which the output becomes HU. threshold_hu: above it is bone.
    angle_range_deg: angles between the two views, sod_range_mm: source to isocentre, that training covered.
    protocol: what the training X-rays showed ("isolated", "column", "in-situ"). field: "cube", or "paper" where every
    training volume was the vertebra's own box, resized: such a model can be evaluated, but no radiograph tells the box.
    """

    name: str
    architecture: str
    arguments: dict[str, Any]
    size: int
    spacing_mm: float
    lift: str
    hu_mean: float
    hu_sd: float
    threshold_hu: float
    angle_range_deg: tuple[float, float]
    sod_range_mm: tuple[float, float]
    protocol: str
    levels: tuple[str, ...]
    data_licence: str
    provenance: dict[str, Any] = field(default_factory=dict)
    field: str = "cube"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: str | Path) -> ModelCard:
        """Raises BundleError, naming ``path``, for a field that is missing, unknown or of the wrong kind."""
        known = {f.name for f in fields(cls)}
        wrong = (known - {"provenance", "field"} - set(values)) | (set(values) - known)
        if wrong:
            raise _damaged(path, f"its header has no or unknown {', '.join(sorted(wrong))}")
        try:
            low_angle, high_angle = (float(x) for x in values["angle_range_deg"])
            low_sod, high_sod = (float(x) for x in values["sod_range_mm"])
            card = cls(
                name=str(values["name"]),
                architecture=str(values["architecture"]),
                arguments=dict(values["arguments"]),
                size=int(values["size"]),
                spacing_mm=float(values["spacing_mm"]),
                lift=str(values["lift"]),
                hu_mean=float(values["hu_mean"]),
                hu_sd=float(values["hu_sd"]),
                threshold_hu=float(values["threshold_hu"]),
                angle_range_deg=(low_angle, high_angle),
                sod_range_mm=(low_sod, high_sod),
                protocol=str(values["protocol"]),
                levels=tuple(str(x) for x in values["levels"]),
                data_licence=str(values["data_licence"]),
                provenance=dict(values.get("provenance", {})),
                field=str(values.get("field", "cube")),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise _damaged(path, f"a field of its header is malformed ({error})") from error
        numbers = (card.hu_mean, card.threshold_hu, *card.angle_range_deg, *card.sod_range_mm)
        positive = (card.spacing_mm, card.hu_sd, card.size)
        if not all(map(math.isfinite, numbers + positive)) or min(positive) <= 0 or card.size > MAXIMUM_SIZE:
            raise _damaged(path, "its grid, ranges or statistics are no usable numbers")
        if not card.levels or not set(card.levels) <= set(LEVELS):
            raise _damaged(path, "its levels are no list of vertebrae")
        if card.architecture not in NETWORKS:
            raise BundleError(
                path,
                f"it holds a network {card.architecture!r}, which this version does not know",
                f"Update SlicerEAR, or take a bundle of {', '.join(NETWORKS)}",
            )
        if card.field not in FIELDS:
            raise BundleError(path, f"it was trained on an unknown field {card.field!r}", "Update SlicerEAR")
        if card.lift not in LIFTS:
            raise BundleError(path, f"it uses an unknown lift {card.lift!r}", "Update SlicerEAR")
        return card

    def range_notes(self, geometry: BiplanarGeometry) -> tuple[str, ...]:
        """Sentences on what of a geometry lies outside the training range; empty when all is inside."""
        notes = []
        low, high = self.angle_range_deg
        if not low <= geometry.angle_deg <= high:
            notes.append(
                f"The views are {geometry.angle_deg:.0f} degrees apart; "
                f"the model was trained on {low:.0f} to {high:.0f}."
            )
        low, high = self.sod_range_mm
        for name, view in (("frontal", geometry.frontal), ("lateral", geometry.lateral)):
            if not low <= view.sod_mm <= high:
                notes.append(
                    f"The {name} source is {view.sod_mm:.0f} mm from the isocentre; the model was trained on "
                    f"{low:.0f} to {high:.0f} mm."
                )
        return tuple(notes)


@dataclass(frozen=True)
class Bundle:
    """A card, its weights and the hash of both."""

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
            raise _damaged(self.path or self.card.name, f"its weights do not fit its network ({first})") from error
        return network.eval()


def save_bundle(path: Path, card: ModelCard, network: torch.nn.Module) -> Bundle:
    """Write a network and its card as one file, whole or not at all. Returns the bundle as it can be loaded again.

    Raises BundleError for weights that are no numbers.
    """
    path = Path(path)
    weights = {name: _stored(value).cpu().contiguous() for name, value in network.state_dict().items()}
    spoilt = [name for name, value in weights.items() if not value.isfinite().all()]
    if spoilt:
        raise BundleError(path, f"{spoilt[0]} holds values that are no numbers", "Train again from a checkpoint")
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
    return Bundle(card, weights, header["sha256"], path)


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
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise _damaged(path, f"its weights cannot be read ({error})") from error
    if _digest(header["card"], weights) != header.get("sha256"):
        raise _damaged(path, "its contents do not match its checksum")
    return Bundle(card, weights, header["sha256"], path)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a bundle, without its weights. Raises BundleError."""
    path = Path(path)
    if not path.is_file():
        raise BundleError(
            path, "there is no such file", "Give a bundle, or the name of a model that `ear models` lists"
        )
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise BundleError(path, f"it cannot be opened ({error.strerror})", "Check its permissions") from error
    if start in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise BundleError(
            path,
            "it is a pickled PyTorch file, which could run code when opened",
            "Use a bundle written by SlicerEAR (.safetensors)",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, f"it is truncated or no safetensors file ({error})") from error
    if METADATA_KEY not in metadata:
        raise BundleError(path, "it is a safetensors file but not an EAR bundle", "Take one that `ear models` lists")
    try:
        header = json.loads(metadata[METADATA_KEY])
        version = header["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, "its header is no JSON of a bundle") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            path,
            f"it has format version {version}; this version of SlicerEAR reads {FORMAT_VERSION}",
            "Update SlicerEAR or take a bundle made for this version",
        )
    if not isinstance(header.get("card"), dict):
        raise _damaged(path, "its header has no card")
    return header


def installed_bundles(folder: Path) -> list[Path]:
    """Bundles in a folder, by name."""
    return sorted(Path(folder).glob(f"*{SUFFIX}"))


def _digest(card: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # numpy does not know every dtype
    return digest.hexdigest()


def _damaged(path: str | Path, cause: str) -> BundleError:
    return BundleError(path, cause, "The file is damaged: fetch it again")
