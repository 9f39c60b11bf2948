"""How a pair of X-rays is taken: the ranges it is drawn from, and one draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry, View, crop_view
from numpy.typing import ArrayLike

from .spectrum import SPECTRA

#: The vertebra stays this share of the SOD away from the central ray, so that it stays between source and detector.
FARTHEST_OFF_CENTRE = 0.22


@dataclass(frozen=True)
class Exposure:
    """One pair of X-rays: its set-up (frontal first), its tube and its photons per pixel (None: no noise).

    The views are those of the device; only their angles, distances and isocentre count. ``crops`` are the images.
    """

    views: tuple[View, View]
    spectrum: str
    photons: float | None

    def crops(self, centre_ras_mm: ArrayLike, size: int, spacing_mm: float) -> tuple[View, View]:
        """The views of both square crops around a point, ``size`` pixels of ``spacing_mm`` in that point's plane."""
        frontal, lateral = (crop_view(view, centre_ras_mm, size, spacing_mm) for view in self.views)
        return frontal, lateral


@dataclass(frozen=True)
class Acquisition:
    """Ranges from which the set-up of an X-ray pair is drawn, uniformly unless said otherwise.

    angle_deg: angle between the two views; the lateral stays lateral, the frontal turns (Fig. 11 of the paper).
    alpha_error_deg, beta_error_deg: each view's own departure, plus or minus. sod_mm: log-uniform. magnification:
    SDD / SOD. off_centre_mm: how far the central ray passes from the vertebra along R, A and S, plus or minus.
    spectra: names in SPECTRA, each as likely. photons: per pixel of the open beam, log-uniform; None for no noise.

    Raises GeometryError for ranges that no X-ray set-up can have.
    """

    angle_deg: tuple[float, float] = (90.0, 90.0)
    alpha_error_deg: float = 0.0
    beta_error_deg: float = 0.0
    sod_mm: tuple[float, float] = (1000.0, 1000.0)
    magnification: tuple[float, float] = (1.3, 1.3)
    off_centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spectra: tuple[str, ...] = SPECTRA[:1]
    photons: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        ranges = [("angle", self.angle_deg), ("SOD", self.sod_mm), ("magnification", self.magnification)]
        if self.photons is not None:
            ranges.append(("photon count", self.photons))
        for name, (low, high) in ranges:
            if not 0 < low <= high < np.inf:
                raise GeometryError(
                    "acquisition", f"the range of its {name} is {low:g} to {high:g}", "Give 0 < low <= high"
                )
        if self.magnification[0] <= 1:
            raise GeometryError("acquisition", "a magnification of 1 or less", "The detector lies behind the patient")
        if min(self.alpha_error_deg, self.beta_error_deg, *self.off_centre_mm) < 0:
            raise GeometryError("acquisition", "a departure below 0", "Give how far it may go to either side")
        unknown = [name for name in self.spectra if name not in SPECTRA]
        if unknown or not self.spectra:
            raise GeometryError(
                "acquisition", f"unknown spectrum {', '.join(unknown) or '(none)'}", f"Use one of {', '.join(SPECTRA)}"
            )

    def draw(self, rng: np.random.Generator, centre_ras_mm: ArrayLike = (0.0, 0.0, 0.0)) -> Exposure:
        """One set-up around a vertebra at a point (RAS mm). Takes the same number of draws whatever the ranges."""
        angle = rng.uniform(*self.angle_deg)
        sod = float(np.exp(rng.uniform(*np.log(self.sod_mm))))
        sdd = sod * rng.uniform(*self.magnification)
        offset = rng.uniform(-1, 1, 3) * np.minimum(self.off_centre_mm, FARTHEST_OFF_CENTRE * sod)
        errors = rng.uniform(-1, 1, 4) * np.tile((self.alpha_error_deg, self.beta_error_deg), 2)
        spectrum = self.spectra[int(rng.uniform() * len(self.spectra))]  # integers(1) would draw nothing
        share = rng.uniform()
        photons = None
        if self.photons is not None:
            low, high = np.log(self.photons)
            photons = float(np.exp(low + share * (high - low)))
        x, y, z = (float(value) for value in np.asarray(centre_ras_mm, float) + offset)
        frontal, lateral = (
            View(float(alpha), float(beta), sod, float(sdd), 1.0, 2, 2, (x, y, z))
            for alpha, beta in ((90 - angle + errors[0], errors[1]), (90 + errors[2], errors[3]))
        )
        BiplanarGeometry(frontal, lateral)  # refuses two views of one direction
        return Exposure((frontal, lateral), spectrum, photons)

    @property
    def angle_range_deg(self) -> tuple[float, float]:
        """Smallest and largest angle between the beams, their departures included."""
        return self.angle_deg[0] - 2 * self.alpha_error_deg, self.angle_deg[1] + 2 * self.alpha_error_deg

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Acquisition:
        """Inverse of to_dict. Raises GeometryError for an unknown field or a value of the wrong kind."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise GeometryError("acquisition", f"unknown {', '.join(unknown)}", "See the fields of Acquisition")
        try:
            given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
            return cls(**given)
        except (TypeError, ValueError) as error:
            raise GeometryError("acquisition", f"malformed ({error})", "See the fields of Acquisition") from error


#: Name -> ranges. ``nominal`` has none. ``paper``: fixed distances, "variable alpha and beta", 60 kV and more than a
#: million photons are the paper's; the distances and how far the angles vary are our reading. ``ours`` covers what
#: users have: C-arm to long film, vertebrae far from the central ray, three tubes.
ACQUISITIONS: dict[str, Acquisition] = {
    "nominal": Acquisition(),
    "paper": Acquisition(alpha_error_deg=5.0, beta_error_deg=5.0, photons=(1e6, 1e7)),
    "ours": Acquisition(
        alpha_error_deg=8.0,
        beta_error_deg=5.0,
        sod_mm=(530.0, 1600.0),
        magnification=(1.15, 1.9),
        off_centre_mm=(40.0, 40.0, 250.0),
        spectra=SPECTRA,
        photons=(1e5, 1e7),
    ),
}
