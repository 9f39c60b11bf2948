"""What a made-up body does to the X-rays of a vertebra: the same phantom bones bare, and within three bodies.

    python scripts/draw_surroundings.py -o docs/surroundings.png [--levels T3 T7 T11 L2 L5] [--phantom 3]

One row per level; frontal and lateral crop of 96 mm each, as a network sees them in training (`--protocol in-situ`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib
from EARTrainingLib.datasets.readers.phantoms import phantom_volumes
from EARTrainingLib.datasets.scenes import scene, scene_shape
from EARTrainingLib.simulation import Simulation, simulate

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SIZE, SPACING_MM, BODIES = 64, 1.5, 3

#: Grey values of the z-scored images from black to white.
SHOWN = (-2.5, 2.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--levels", nargs="+", default=["T3", "T7", "T11", "L2", "L5"])
    parser.add_argument("--phantom", type=int, default=3)
    options = parser.parse_args()
    _, labels = phantom_volumes(options.phantom)
    bare = replace(Simulation("in-situ").undeformed(), surroundings=0.0, soft_tissue=0.0)
    within = replace(bare, surroundings=1.0)
    figure, axes = plt.subplots(len(options.levels), 2 * (1 + BODIES), figsize=(12, 1.6 * len(options.levels)))
    for row, level in zip(axes, options.levels, strict=True):
        one = scene("phantom", "phantom", level, labels, scene_shape(SIZE, SPACING_MM), SPACING_MM)
        for n, simulation in enumerate([bare] + [within] * BODIES):
            images = simulate(one, simulation, SIZE, "replicate", (options.phantom, n)).images
            for axis, image, name in zip(row[2 * n : 2 * n + 2], images, ("AP", "lateral"), strict=True):
                axis.imshow(image, cmap="gray", vmin=SHOWN[0], vmax=SHOWN[1])
                axis.set_xticks([])
                axis.set_yticks([])
                if level == options.levels[0]:
                    axis.set_title(f"{name}, {'bare' if n == 0 else f'body {n}'}", fontsize=8)
        row[0].set_ylabel(level, rotation=0, labelpad=12)
    figure.tight_layout(pad=0.3)
    figure.savefig(options.output, dpi=80)


if __name__ == "__main__":
    main()
