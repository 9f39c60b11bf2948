"""Dim bones against bright bones among soft tissue: where do models fail?

    python scripts/compare_bones.py before.safetensors after.safetensors --data data --split validation -o bones.png

Rebuilds vertebrae of a prepared data set, of people without a CT, from X-rays that are made for it within made-up
bodies: their bones have a shell of so many HU around marrow of 110 HU. In CTs of 1 to 3 mm, median shells have 156 to
284 HU. Writes a picture, and its numbers beside it (CSV). A model's name is that of its file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from compare_lifts import dice
from EARReconstructionLib.bundle import load_bundle
from EARTrainingLib.datasets.density import LIVE
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.deformation import UNDEFORMED
from EARTrainingLib.projection.acquisition import ACQUISITIONS
from EARTrainingLib.simulation import Simulation

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SHELL_MM, CORE_HU = 2.5, 110.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--shells", nargs="+", type=float, default=[200, 250, 300, 400, 550, 700], help="HU")
    parser.add_argument("--split", default="validation")
    options = parser.parse_args()
    dataset = PreparedDataset.open(options.data)
    rows = []
    for path in options.bundles:
        bundle = load_bundle(path)
        for hu in options.shells:
            bone = replace(LIVE, shell_mm=(SHELL_MM, SHELL_MM), shell_hu=(hu, hu), core_hu=(CORE_HU, CORE_HU))
            simulation = Simulation("in-situ", ACQUISITIONS["ours"], UNDEFORMED, surroundings=1.0, bone=bone)
            found = dice(bundle, dataset, options.split, simulation)
            rows += [{"model": path.stem, "shell_hu": hu, "id": i, "dice": d} for i, d in found]
            print(f"{path.stem}: a shell of {hu:g} HU: Dice {np.mean([d for _, d in found]):.3f}", flush=True)
    frame = pd.DataFrame(rows)
    frame.to_csv(options.output.with_suffix(".csv"), index=False, float_format="%.4f")
    draw(frame, options.output)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Mean Dice over the HU of the shell, for each model."""
    figure, axis = plt.subplots(figsize=(4.5, 3))
    for model, own in frame.groupby("model", sort=False):
        mean = own.groupby("shell_hu")["dice"].mean()
        axis.plot(mean.index, mean, "o-", label=model)
    axis.set_xlabel("shell of the bones, HU")
    axis.set_ylabel("Dice")
    axis.legend(frameon=False)
    axis.grid(color="#e4e4e4", lw=0.5)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
