"""Writes spectra.csv and attenuation.csv beside this file. Run once; needed again only for another tube or material.

    pip install spekpy==2.5.4 xraylib==4.3.0
    python make_spectrum_table.py

Spectra: SpekPy (Poludniowski et al., Med. Phys. 48, 3630-3637, 2021; MIT licence), tungsten anode at 12 degrees, 1 keV
bins, its default physics, filtered by aluminium. Photon numbers, normalised to sum 1. 60 kV with 3.5 mm Al is the
paper's setting.

Attenuation: total mass attenuation coefficients (coherent scattering included: what is scattered is lost to the image)
of NIST's compounds "Tissue, Soft (ICRP)" and "Bone, Cortical (ICRP)" from xraylib (Schoonjans et al., Spectrochim.
Acta B 66, 776-784, 2011; BSD licence), at bin centres.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

TUBES = {"60kV-3.5mmAl": (60, 3.5), "70kV-3.0mmAl": (70, 3.0), "80kV-2.5mmAl": (80, 2.5)}
COMPOUNDS = {"soft": "Tissue, Soft (ICRP)", "bone": "Bone, Cortical (ICRP)"}
ANODE_DEG = 12

#: Bin centres, keV. Below 10 keV these filters let less than one photon in a million through.
ENERGIES_KEV = np.arange(10.5, 80.0)


def photon_share(kvp: float, aluminium_mm: float) -> np.ndarray:
    """(E,) share of photons in each 1 keV bin behind the filter, summing to 1."""
    import spekpy

    tube = spekpy.Spek(kvp=kvp, th=ANODE_DEG, dk=1.0, targ="W").filter("Al", aluminium_mm)
    energies, fluence = tube.get_spectrum(edges=False)
    share = np.interp(ENERGIES_KEV, energies, fluence, left=0, right=0)
    assert share.sum() > (1 - 1e-6) * fluence.sum()
    return share / share.sum()


def attenuation(compound: str) -> np.ndarray:
    """(E,) total mass attenuation, cm2/g."""
    import xraylib

    return np.array([xraylib.CS_Total_CP(compound, energy) for energy in ENERGIES_KEV])


def write(path: Path, columns: dict[str, np.ndarray]) -> None:
    """One row per energy: energy_kev, then the columns."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["energy_kev", *columns])
        for energy, *row in zip(ENERGIES_KEV, *columns.values(), strict=True):
            table.writerow([f"{energy:g}", *(f"{value:.7g}" for value in row)])


if __name__ == "__main__":
    here = Path(__file__).parent
    write(here / "spectra.csv", {name: photon_share(*tube) for name, tube in TUBES.items()})
    write(here / "attenuation.csv", {name: attenuation(compound) for name, compound in COMPOUNDS.items()})
