"""What a bundle says about its model, read without its weights and without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from .errors import BundleError
from .geometry import LIFTS, BiplanarGeometry
from .vertebra import LEVELS

FORMAT_VERSION = 1
METADATA_KEY = "ear_bundle"
SUFFIX = ".safetensors"

#: What a volume shows of a vertebra: a cube of fixed size around it, or its own box, resized.
FIELDS = ("cube", "paper")

#: Voxels per side of a cube that some computer can hold.
MAXIMUM_SIZE = 1024

#: Crops less covered than this by a radiograph are refused; below 1 they carry a note.
MINIMUM_COVERAGE = 0.5

#: Bytes of a safetensors header, as the format allows.
MAXIMUM_HEADER = 100_000_000

#: What X-rays without a body around the bones show.
_SHOWN = {"isolated": "single vertebrae", "column": "bare spines"}


@dataclass(frozen=True)
class ModelCard:
    """What a bundle says about its model. Lengths in mm, angles in degrees, densities in HU.

    arguments: constructor arguments of the architecture. size, spacing_mm: the cube that the network fills.
    hu_mean, hu_sd: the training set's z-score, by which the output becomes HU. threshold_hu: above it is bone.
    angle_range_deg: angles between the two views, sod_range_mm: source to isocentre, that training covered.
    levels: that it was trained on and is made for; others are rebuilt with a warning.
    protocol: what the training X-rays showed ("isolated", "column", "in-situ"). field: "cube", or "paper" where every
    training volume was the vertebra's own box, resized: such a model can be evaluated, but no radiograph tells the box.
    error_calibration: (spread, expected error) in mm, both rising, as `ear calibrate` measured them; see
    ``expected_error``. Empty: nobody has measured them.
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
    error_calibration: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: str | Path) -> ModelCard:
        """Raises BundleError, naming ``path``, for a field that is missing, unknown or of the wrong kind."""
        known = {f.name for f in fields(cls)}
        wrong = (known - {"provenance", "field", "error_calibration"} - set(values)) | (set(values) - known)
        if wrong:
            raise damaged(path, f"its header has no or unknown {', '.join(sorted(wrong))}")
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
                error_calibration=tuple((float(s), float(e)) for s, e in values.get("error_calibration", ())),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise damaged(path, f"a field of its header is malformed ({error})") from error
        numbers = (card.hu_mean, card.threshold_hu, *card.angle_range_deg, *card.sod_range_mm)
        positive = (card.spacing_mm, card.hu_sd, card.size)
        if not all(map(math.isfinite, numbers + positive)) or min(positive) <= 0 or card.size > MAXIMUM_SIZE:
            raise damaged(path, "its grid, ranges or statistics are no usable numbers")
        if not card.levels or not set(card.levels) <= set(LEVELS):
            raise damaged(path, "its levels are no list of vertebrae")
        if not _is_calibration(card.error_calibration):
            raise damaged(path, "its calibration of errors does not rise")
        if card.field not in FIELDS:
            raise BundleError(path, f"it was trained on an unknown field {card.field!r}", "Update SlicerEAR")
        if card.lift not in LIFTS:
            raise BundleError(path, f"it uses an unknown lift {card.lift!r}", "Update SlicerEAR")
        return card

    def range_notes(self, geometry: BiplanarGeometry) -> tuple[str, ...]:
        """Sentences on what of a patient's radiographs lies outside the training; empty when all is inside."""
        notes = []
        if self.protocol in _SHOWN:
            shown = _SHOWN[self.protocol]
            notes.append(f"The model was trained on X-rays of {shown}: do not rely on it for radiographs of a patient.")
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

    def level_notes(self, level: str) -> tuple[str, ...]:
        """A sentence when the model is not made for a level."""
        return () if level in self.levels else (f"The model is not made for {level}.",)


def crop_note(level: str, role: str, share: float) -> str:
    """A sentence on a crop of which only a share lies in the radiograph of a role."""
    return f"{100 * (1 - share):.0f} % of the crop of {level} lies outside the {role} image."


def _is_calibration(pairs: tuple[tuple[float, float], ...]) -> bool:
    """Whether it is none, or lengths of which the first rise and the second do not fall."""
    if not all(0 <= length < math.inf for pair in pairs for length in pair):
        return False
    return all(s < t and e <= f for (s, e), (t, f) in pairwise(pairs))


def read_card(path: Path) -> ModelCard:
    """The card of a bundle, its weights unread and unverified. Raises BundleError."""
    return ModelCard.from_dict(read_header(path)["card"], path)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a bundle, without its weights. Raises BundleError."""
    path = Path(path)
    if not path.is_file():
        raise BundleError(
            path, "there is no such file", "Give a bundle, or the name of a model that `ear models` lists"
        )
    try:
        metadata = _metadata(path)
    except OSError as error:
        raise BundleError(path, f"it cannot be opened ({error.strerror})", "Check its permissions") from error
    if METADATA_KEY not in metadata:
        raise BundleError(path, "it is a safetensors file but not an EAR bundle", "Take one that `ear models` lists")
    try:
        header = json.loads(metadata[METADATA_KEY])
        version = header["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path, "its header is no JSON of a bundle") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            path,
            f"it has format version {version}; this version of SlicerEAR reads {FORMAT_VERSION}",
            "Update SlicerEAR or take a bundle made for this version",
        )
    if not isinstance(header.get("card"), dict):
        raise damaged(path, "its header has no card")
    return header


def _metadata(path: Path) -> dict[str, Any]:
    """The metadata of a safetensors file: a length of 8 bytes, then that much JSON, then the weights.

    Read here and not by safetensors, which Slicer does not ship: models are listed before anything is installed.
    """
    with path.open("rb") as file:
        start = file.read(8)
        size, rest = int.from_bytes(start, "little"), path.stat().st_size - 8
        text = file.read(size) if size <= min(rest, MAXIMUM_HEADER) else b""
    if not text.startswith(b"{"):
        if start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise BundleError(
                path,
                "it is a pickled PyTorch file, which could run code when opened",
                "Use a bundle written by SlicerEAR (.safetensors)",
            )
        raise damaged(path, "it is truncated or no safetensors file")
    try:
        tensors = json.loads(text)
        metadata = tensors.pop("__metadata__", {})
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise damaged(path, f"it is truncated or no safetensors file ({error})") from error
    if end != rest - size or not isinstance(metadata, dict):
        raise damaged(path, "it is truncated or no safetensors file")
    return metadata


def installed_bundles(folder: Path) -> list[Path]:
    """Bundles in a folder, by name."""
    return sorted(Path(folder).glob(f"[!.]*{SUFFIX}"))


def damaged(path: str | Path, cause: str) -> BundleError:
    """The BundleError for a file that is not what was written."""
    return BundleError(path, cause, "The file is damaged: fetch it again")
