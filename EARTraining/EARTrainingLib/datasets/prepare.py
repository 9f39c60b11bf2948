"""Scenes from a collection of shapes and from phantoms, for training.

python -m EARTrainingLib.datasets.prepare COLLECTION --use training --hold-out NAME --out scenes.npz
python -m EARTrainingLib.datasets.prepare --phantoms 40 --out phantoms.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from EARReconstructionLib.volume_io import Volume

from .columns import TRAINED_LEVELS, Column, read_columns
from .phantom import ct, random_spine
from .scenes import Scene, save_scenes, scenes

#: 144 mm at 1.5 mm: the network's cube and what of the neighbours its two X-ray crops can see.
SCENE_SIZE = 80
SCENE_SPACING_MM = 1.5


def phantom_column(seed: int, spacing_mm: float = 1.0) -> Column:
    """A random whole spine as a Column."""
    rng = np.random.default_rng((seed, 77))
    spine = random_spine(rng)
    low, high = spine.bounding_box_mm()
    size = np.ceil((np.asarray(high) - np.asarray(low)) / spacing_mm).astype(int) + 4
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = np.asarray(low) - 2 * spacing_mm
    _, labels = ct(spine, affine, (int(size[2]), int(size[1]), int(size[0])), rng)
    return Column(f"phantom{seed:04d}", "PHANTOM", "training", "Apache-2.0", Volume(labels, affine), TRAINED_LEVELS)


def all_scenes(columns: Iterator[Column]) -> Iterator[Scene]:
    """Every scene of every column, told as it goes."""
    for column in columns:
        print(f"{column.source} {column.person}: {', '.join(column.targets) or 'no whole vertebra'}", flush=True)
        yield from scenes(column, SCENE_SIZE, SCENE_SPACING_MM)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the scenes of a collection, or of phantoms, to one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("collection", type=Path, nargs="?")
    parser.add_argument("--use", nargs="+", default=["training", "training-idealised"])
    parser.add_argument("--only", nargs="+", default=[], help="persons to take; default all")
    parser.add_argument("--hold-out", nargs="+", default=[], help="persons to leave out")
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first phantom")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)

    def columns() -> Iterator[Column]:
        if given.collection is not None:
            for column in read_columns(given.collection, tuple(given.use)):
                if column.person not in given.hold_out and (not given.only or column.person in given.only):
                    yield column
        for seed in range(given.first, given.first + given.phantoms):
            yield phantom_column(seed)

    save_scenes(given.out, list(all_scenes(columns())))


if __name__ == "__main__":
    main()
