"""How a data set is prepared. The settings are kept with it: all of its vertebrae are made in one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..projection.acquisition import ACQUISITIONS, Acquisition
from ..projection.engine import ENGINES
from .field import FIELDS
from .readers.scan import DatasetError

#: What a stored X-ray shows: the vertebra alone, all vertebrae, or everything that the CT holds; in
#: situ, bones without a CT lie within a made-up body.
PROTOCOLS = ("isolated", "column", "in-situ")


@dataclass(frozen=True)
class PreparationSettings:
    """Settings of `ear prepare`.

    field: "cube" of ``size`` voxels of ``spacing_mm``, or "paper": the box and ``margin_mm`` in ``size``^3 voxels.
    protocol: one of PROTOCOLS. acquisition: a name in ACQUISITIONS, or ranges. engine: a name in ENGINES. seed: of
    everything random. scenes: whether to keep what X-rays during training are made of; the field "paper" has none.

    Raises DatasetError for an unknown name or a size that no grid has.
    """

    field: str = "cube"
    size: int = 128
    spacing_mm: float = 1.0
    margin_mm: float = 10.0
    protocol: str = "isolated"
    acquisition: str | Acquisition = "paper"
    engine: str = "torch"
    seed: int = 0
    scenes: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (
            ("field", self.field, FIELDS),
            ("protocol", self.protocol, PROTOCOLS),
            ("acquisition", self.acquisition, ACQUISITIONS),
            ("engine", self.engine, ENGINES),
        ):
            if isinstance(value, str) and value not in known:
                raise DatasetError(f"{name} {value!r}", "there is no such thing", f"Use one of {', '.join(known)}")
        if self.size < 8 or not self.spacing_mm > 0 or not self.margin_mm >= 0:
            raise DatasetError(
                "field",
                f"{self.size} voxels of {self.spacing_mm:g} mm with a margin of {self.margin_mm:g} mm",
                "Give 8 voxels or more, a spacing above 0 and a margin of 0 or more",
            )

    @property
    def ranges(self) -> Acquisition:
        """What the X-rays' set-ups are drawn from."""
        return ACQUISITIONS[self.acquisition] if isinstance(self.acquisition, str) else self.acquisition

    @property
    def keeps_scenes(self) -> bool:
        """Whether scenes are written."""
        return self.scenes and self.field == "cube"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able. The acquisition's ranges stand for its name, which a later version may understand otherwise."""
        return {**asdict(self), "acquisition": self.ranges.to_dict(), "scenes": self.keeps_scenes}


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two to_dict, in words."""
    told = []
    for name in sorted({*earlier, *now}):
        one, other = earlier.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            told += [f"{name} {text}" for text in differences(one, other)]
        elif one != other:
            told.append(f"{name}: {one!r} earlier, {other!r} now")
    return told
