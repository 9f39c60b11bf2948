"""Tube spectra and how strongly each material weakens each energy, from two small tables (see make_spectrum_table)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .materials import MATERIALS

_FOLDER = Path(__file__).parent


def _read_table(name: str) -> dict[str, NDArray[np.float64]]:
    """Columns of a csv of numbers, by their heading."""
    with (_FOLDER / name).open(newline="") as file:
        heading, *rows = csv.reader(file)
    return dict(zip(heading, np.array(rows, float).T, strict=True))


_SPECTRA, _ATTENUATION = _read_table("spectra.csv"), _read_table("attenuation.csv")

#: Names of the spectra: tube voltage and aluminium filter. The first is the paper's.
SPECTRA = tuple(name for name in _SPECTRA if name != "energy_kev")


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A tube spectrum with the attenuation at its energies.

    energies_kev: (E,). photon_share: (E,), share of the photons, sums to 1. attenuation_cm2_g: (E, M), mass
    attenuation of each of MATERIALS.
    """

    name: str
    energies_kev: NDArray[np.float64]
    photon_share: NDArray[np.float64]
    attenuation_cm2_g: NDArray[np.float64]

    @property
    def mean_kev(self) -> float:
        """Mean photon energy, keV."""
        return float(self.photon_share @ self.energies_kev)


@cache
def load_spectrum(name: str = SPECTRA[0]) -> Spectrum:
    """One of SPECTRA. Raises ValueError for another name."""
    if name not in SPECTRA:
        raise ValueError(f"spectrum {name!r}; known: {', '.join(SPECTRA)}")
    present = _SPECTRA[name] > 0
    attenuation = np.stack([_ATTENUATION[material] for material in MATERIALS], -1)
    share = _SPECTRA[name][present]
    return Spectrum(name, _SPECTRA["energy_kev"][present], share / share.sum(), attenuation[present])
