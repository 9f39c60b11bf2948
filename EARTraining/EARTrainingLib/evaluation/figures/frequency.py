"""Figure 10 of the paper: what the frequency enhancement (FEM) changes, in HU and in the spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from EARReconstructionLib.geometry import voxel_sizes_mm
from numpy.typing import NDArray

from ..prediction import Prediction
from .attention import BONE_WINDOW
from .sheet import METHOD_COLOURS, Sheet, house_style, round_up
from .slices import SLICE_CELL, Plane, Window, draw_slice, mark

CUTS: dict[str, tuple[Plane, float]] = {
    "Axial": ("axial", 0.5),
    "Coronal": ("coronal", 0.75),
    "Sagittal": ("sagittal", 0.5),
}

#: Share of the voxels of a difference that a legend's range holds.
_SHOWN = 0.995

_SPECTRA_INCHES = 2.5


def draw_frequency(
    path: Path, enhanced: Sequence[Prediction], plain: Sequence[Prediction], names: tuple[str, str], caption: str
) -> None:
    """Two sets of reconstructions of the same vertebrae, with and without FEM; names: of both, in this order.

    Slices of the first vertebra: truth, both, and their difference in HU. Beside them, over all vertebrae: the
    amplitude spectra, and how much smaller the error is with FEM at every frequency.
    Raises ValueError when the sets are not of the same vertebrae.
    """
    ids = [[p.truth.row.id for p in one] for one in (enhanced, plain)]
    if ids[0] != ids[1] or not ids[0]:
        raise ValueError(f"two sets of reconstructions of different vertebrae: {ids}")
    first, other = enhanced[0], plain[0]
    window = Window.around(first.truth)
    difference = first.volume_hu - other.volume_hu
    limit = round_up(max(float(np.quantile(np.abs(difference), _SHOWN)), 1.0))
    with_name, without_name = names
    columns = {
        "Truth": first.truth.volume_hu,
        without_name: other.volume_hu,
        with_name: first.volume_hu,
        "Difference": difference,
    }
    gray, diverging = matplotlib.colormaps["gray"], matplotlib.colormaps["PuOr_r"]
    with house_style():
        sheet = Sheet(
            3, list(columns), cell=SLICE_CELL, label=0.3, legend=0.62, right=_SPECTRA_INCHES + 0.75, caption=caption
        )
        for row, (label, (plane, share)) in enumerate(CUTS.items()):
            sheet.label(row, label)
            for column, (name, volume) in enumerate(columns.items()):
                axis, index = sheet.axis(row, column), window.index(plane, share)
                if name == "Difference":
                    draw_slice(axis, volume, window, plane, index, cmap=diverging, vmin=-limit, vmax=limit)
                else:
                    low, high = BONE_WINDOW
                    draw_slice(axis, volume, window, plane, index, cmap=gray, vmin=low, vmax=high)
                if column == 0:
                    mark(axis, window, plane)
        words = f"{with_name} minus {without_name} [HU]"
        sheet.colour_bar(diverging, -limit, limit, words, extend="both")
        _draw_spectra(sheet, enhanced, plain, names)
        sheet.save(path)


def radial_spectrum(
    volume: NDArray[np.float32], spacing_mm: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in cycles/mm and the root mean square amplitude (ortho norm) in shells around zero.

    volume (k, j, i), spacing_mm in the same order. The shells end at the Nyquist frequency of the coarsest axis; the
    constant part is in none.
    """
    power = np.abs(np.fft.fftn(volume, norm="ortho")) ** 2
    axes = [np.fft.fftfreq(n, d) for n, d in zip(volume.shape, spacing_mm, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(k**2 + j**2 + i**2)
    width = max(1 / (n * d) for n, d in zip(volume.shape, spacing_mm, strict=True))
    count = int(0.5 / max(spacing_mm) / width + 1e-6)
    shell = np.rint(radius / width).astype(int).ravel()
    sums = np.bincount(shell, power.ravel(), minlength=count + 1)
    members = np.bincount(shell, minlength=count + 1)
    return np.arange(1, count + 1) * width, np.sqrt(sums[1 : count + 1] / members[1 : count + 1])


def _draw_spectra(
    sheet: Sheet, enhanced: Sequence[Prediction], plain: Sequence[Prediction], names: tuple[str, str]
) -> None:
    """Above: amplitudes of truth and both. Below: error without FEM over error with it, in decibels."""
    with_name, without_name = names
    curves: dict[str, list[NDArray[np.float64]]] = {"Truth": [], without_name: [], with_name: [], "gain": []}
    for one, other in zip(enhanced, plain, strict=True):
        i, j, k = voxel_sizes_mm(one.truth.ras_from_ijk).tolist()
        truth = one.truth.volume_hu
        volumes = (truth, other.volume_hu, one.volume_hu, other.volume_hu - truth, one.volume_hu - truth)
        spectra = [radial_spectrum(volume, (k, j, i)) for volume in volumes]
        shells = np.linspace(0, 1, 33)[1:]  # shares of Nyquist: grids of the field "paper" differ
        placed = [np.interp(shells * f[-1], f, amplitude) for f, amplitude in spectra]
        for name, amplitude in zip(curves, placed[:3], strict=False):
            curves[name].append(amplitude)
        curves["gain"].append(20 * np.log10(np.maximum(placed[3], 1e-9) / np.maximum(placed[4], 1e-9)))
    mean = {name: np.mean(many, axis=0) for name, many in curves.items()}
    above = sheet.beside(0.62, 2.35, _SPECTRA_INCHES, 1.75)
    below = sheet.beside(0.62, 0.28, _SPECTRA_INCHES, 1.6)
    for name, colour in zip((with_name, without_name), METHOD_COLOURS, strict=False):
        above.semilogy(shells, mean[name], color=colour, lw=1.1, label=name)
    above.semilogy(shells, mean["Truth"], color="black", lw=1.1, ls="--", label="Truth")
    above.set_ylabel("Amplitude [HU]")
    above.set_title("Spectrum")
    above.legend(frameon=False)
    many = np.array(curves["gain"])
    if len(many) > 1:
        below.fill_between(shells, *np.quantile(many, (0.25, 0.75), axis=0), color="#bbbbbb", alpha=0.6, lw=0)
    below.plot(shells, np.median(many, axis=0), color="black", lw=1.1)
    below.axhline(0, color="#888888", lw=0.6)
    below.set_xlabel("Frequency (1 = Nyquist)")
    below.set_ylabel("dB")
    below.set_title(f"Error {without_name} / error {with_name}")
    for axis in (above, below):
        axis.set_xlim(0, 1)
