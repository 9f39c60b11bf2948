"""A pair of views, and the distances that people start from when their images do not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GeometryError
from .views import Vector, View

#: Name -> (SOD, SDD) in mm. The paper gives no distances: these are ours, typical of the devices they name.
PRESETS: dict[str, tuple[float, float]] = {
    "default": (1000.0, 1300.0),
    "c-arm": (530.0, 1020.0),
    "long-film": (1500.0, 1800.0),
}

#: Views closer than this (degrees between their beams) hold no depth.
MINIMUM_ANGLE_DEG = 20.0


#: Ways in which two images become a volume (lifting.py).
LIFTS = ("replicate", "backproject")


@dataclass(frozen=True)
class BiplanarGeometry:
    """The frontal view and the lateral view of one set-up, in one RAS frame.

    Raises GeometryError when both look the same way.
    """

    frontal: View
    lateral: View

    def __post_init__(self) -> None:
        angle = self.angle_deg
        if min(angle, 180 - angle) < MINIMUM_ANGLE_DEG:
            raise GeometryError(
                "geometry",
                f"the two views look in the same direction ({min(angle, 180 - angle):.0f} degrees apart)",
                "Give one frontal and one lateral radiograph, or correct their angles",
            )

    @property
    def views(self) -> tuple[View, View]:
        """(frontal, lateral), the order of the network's channels."""
        return self.frontal, self.lateral

    @property
    def angle_deg(self) -> float:
        """Angle between the two beams, 0 to 180 degrees."""
        return float(np.degrees(np.arccos(np.clip(self.frontal.direction @ self.lateral.direction, -1, 1))))

    @classmethod
    def from_preset(
        cls,
        name: str = "default",
        *,
        angle_deg: float = 90.0,
        iso_pixel_mm: float = 1.0,
        height: int = 128,
        width: int = 128,
        isocentre_ras_mm: Vector = (0.0, 0.0, 0.0),
    ) -> BiplanarGeometry:
        """A pair at a preset's distances. View 2 stays lateral (a = 90), view 1 has a = 90 - angle (Fig. 11).

        iso_pixel_mm: pixel size seen at the isocentre; on the detector it is SDD / SOD times larger.
        Raises GeometryError for an unknown preset.
        """
        if name not in PRESETS:
            raise GeometryError(f"preset {name!r}", "there is no such preset", f"Use one of {', '.join(PRESETS)}")
        sod, sdd = PRESETS[name]
        frontal, lateral = (
            View(alpha, 0.0, sod, sdd, iso_pixel_mm * sdd / sod, height, width, isocentre_ras_mm)
            for alpha in (90.0 - angle_deg, 90.0)
        )
        return cls(frontal, lateral)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the fields of both views."""
        return {"frontal": self.frontal.to_dict(), "lateral": self.lateral.to_dict()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BiplanarGeometry:
        """Inverse of to_dict. Raises GeometryError."""
        if not isinstance(fields, dict) or not {"frontal", "lateral"} <= set(fields):
            raise GeometryError("geometry", "it needs a frontal and a lateral view", "Add the missing one")
        return cls(View.from_dict(fields["frontal"]), View.from_dict(fields["lateral"]))
