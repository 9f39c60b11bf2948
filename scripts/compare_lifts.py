"""Copied against back-projected X-rays: where do models of either lift fail?

    python scripts/compare_lifts.py copied.safetensors back-projected.safetensors --data data -o lifts.png

Rebuilds vertebrae of a prepared data set from X-rays that are made for it, without noise: with views so many
degrees apart, or so far off the central ray along the body's axis, as most vertebrae of a long film are. Writes a
picture, and its numbers beside it (CSV). The lift is that of each bundle; its name is that of its file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from EARReconstructionLib.bundle import Bundle, load_bundle
from EARReconstructionLib.geometry import View
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.deformation import UNDEFORMED
from EARTrainingLib.projection.acquisition import Acquisition, Exposure
from EARTrainingLib.projection.spectrum import SPECTRA
from EARTrainingLib.samples import Samples
from EARTrainingLib.simulation import Simulation

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SOD_MM, SDD_MM = 1000.0, 1300.0


@dataclass(frozen=True)
class Exactly(Acquisition):
    """One set-up: the views so many degrees apart, the central ray so many mm below the vertebra."""

    apart_deg: float = 90.0
    below_mm: float = 0.0

    def draw(self, rng: np.random.Generator, centre_ras_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> Exposure:  # type: ignore[override]
        """The same at every draw."""
        x, y, z = centre_ras_mm
        frontal, lateral = (
            View(alpha, 0.0, SOD_MM, SDD_MM, 1.0, 2, 2, (x, y, z - self.below_mm))
            for alpha in (90 - self.apart_deg, 90.0)
        )
        return Exposure((frontal, lateral), SPECTRA[0], None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--angles", nargs="+", type=float, default=[60, 75, 90, 105, 120, 140])
    parser.add_argument("--below", nargs="+", type=float, default=[0, 100, 200], help="mm off the central ray")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    dataset = PreparedDataset.open(options.data)
    places = [(angle, 0.0) for angle in options.angles] + [(90.0, below) for below in options.below if below]
    protocol = str(dataset.settings["protocol"])
    rows = []
    for path in options.bundles:
        bundle = load_bundle(path)
        for angle, below in places:
            acquisition = Exactly(apart_deg=angle, below_mm=below)
            simulation = Simulation(protocol, acquisition, UNDEFORMED, soft_tissue=0.0, surroundings=0.0)
            found = dice(bundle, dataset, options.split, simulation)
            rows += [{"model": path.stem, "angle_deg": angle, "below_mm": below, "id": i, "dice": d} for i, d in found]
            print(f"{path.stem}: {angle:g} degrees, {below:g} mm off: Dice {np.mean([d for _, d in found]):.3f}")
    frame = pd.DataFrame(rows)
    frame.to_csv(options.output.with_suffix(".csv"), index=False, float_format="%.4f")
    draw(frame, options.output)


def dice(bundle: Bundle, dataset: PreparedDataset, split: str, simulation: Simulation) -> list[tuple[str, float]]:
    """Of each vertebra of a split, rebuilt from X-rays made for it, at the model's threshold."""
    samples = Samples(dataset, split, lift=bundle.card.lift, simulation=simulation, random=False, seed=0)
    network = bundle.network()
    found = []
    for number in range(len(samples)):
        sample = samples.realise(samples.raw(number), "cpu")
        seen = sample.images if network.input_kind == "images" else sample.lifted
        with torch.inference_mode():
            volume = network(seen[None]).volume[0] * bundle.card.hu_sd + bundle.card.hu_mean
        bone = volume > bundle.card.threshold_hu
        both = (bone & sample.mask).sum()
        found.append((samples.row(number).id, float(2 * both / (bone.sum() + sample.mask.sum()))))
    return found


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Mean Dice over the angle, and over the distance from the central ray."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
    for model, own in frame.groupby("model", sort=False):
        for axis, part, along in (
            (axes[0], own[own.below_mm == 0], "angle_deg"),
            (axes[1], own[own.angle_deg == 90], "below_mm"),
        ):
            mean = part.groupby(along)["dice"].mean()
            axis.plot(mean.index, mean, "o-", label=model)
    axes[0].set_xlabel("angle between the views, degrees")
    axes[1].set_xlabel("distance from the central ray, mm")
    axes[0].set_ylabel("Dice")
    axes[0].legend(frameon=False)
    for axis in axes:
        axis.grid(color="#e4e4e4", lw=0.5)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
