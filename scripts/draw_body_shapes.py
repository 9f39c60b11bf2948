"""Is a person hard because of the reference or because of the bones? Body shapes beside what a model makes of them.

    python scripts/draw_body_shapes.py DATA RESULTS MODEL [MODEL ...] -o docs/body-shapes.png [--levels T12 L2 L3]

DATA: a folder of `ear prepare`, with a validation split. RESULTS: of `ear evaluate`; its rows.csv may hold other
vertebrae of the same people. Left: the sagittal slice through the middle of each vertebra's body, for one person
of the validation split per row, with the outline of every model. Right: Dice over the solidity of the body in that
slice, its area over that of its convex hull: 0.86 to 0.90 where endplates are flat, lower the more they are hollowed.
Prints the medians per person.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from EARReconstructionLib.bundle import load_bundle
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation.prediction import Prediction, predictions
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: Slices on either side of the middle one that are measured too, voxels: the median keeps out a vessel's canal.
BESIDE = (-3, -2, -1, 0, 1, 2, 3)

#: A body is not deeper than this times twice its front half.
MOST_DEPTH = 1.4


def body(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """(k, j, i) in the middle of the body. (k, j, i) run to S, A, R; the body's front half has nothing beside it."""
    j = int(np.unravel_index(ndimage.distance_transform_edt(mask).argmax(), mask.shape)[1])
    k, _, i = np.nonzero(mask[:, j : j + 2])
    return round(float(np.median(k))), j, round(float(np.median(i)))


def solidity(mask: NDArray[np.bool_]) -> float:
    """Area of the body over that of its convex hull, in sagittal slices through its middle; the median of them."""
    k, j, i = body(mask)
    values = []
    for beside in BESIDE:
        parts, _ = ndimage.label(mask[:, :, i + beside])
        voxels = np.argwhere(parts == parts[k, j])
        if not parts[k, j] or np.ptp(voxels[:, 1]) > MOST_DEPTH * 2 * (voxels[:, 1].max() - j):
            continue  # a pedicle joins the body to the arch here
        corners = np.concatenate([voxels + shift for shift in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))])
        values.append(len(voxels) / ConvexHull(corners).volume)
    return float(np.median(values)) if values else float("nan")


def outlines(axis: plt.Axes, found: dict[str, Prediction], spacing_mm: float) -> None:
    """One vertebra's reference, filled, and each model's outline, in the sagittal slice through the body's middle."""
    truth = next(iter(found.values())).truth
    _, _, i = body(truth.mask)
    size = truth.mask.shape[0]
    half = size * spacing_mm / 2
    extent = (-half, half, -half, half)
    axis.imshow(truth.mask[:, :, i], cmap="Greys", origin="lower", extent=extent, alpha=0.45, interpolation="none")
    centres = (np.arange(size) + 0.5) * spacing_mm - half
    for number, prediction in enumerate(found.values()):
        axis.contour(
            centres,
            centres,
            prediction.volume_hu[:, :, i],
            levels=[prediction.threshold_hu],
            colors=f"C{number}",
            linewidths=1.2,
        )
    axis.set_xlim(-48, 48)
    axis.set_ylim(-32, 32)
    axis.set_xticks([])
    axis.set_yticks([])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--levels", nargs="+", default=["T12", "L2", "L3"])
    arguments = parser.parse_args()

    data = PreparedDataset.open(arguments.data)
    people = sorted({row.patient for row in data.rows_of("validation")})
    rows = [row for row in data.rows_of("validation") if row.level in arguments.levels]
    found: dict[tuple[str, str], dict[str, Prediction]] = {}
    for path in arguments.models:
        for prediction in predictions(load_bundle(path), data, rows, device="cpu"):
            row = prediction.truth.row
            found.setdefault((row.patient, row.level), {})[path.stem] = prediction

    shapes = {row.id: solidity(data.mask(row)) for row in data.rows if row.density != "phantom" and row.level[0] != "C"}
    table = pd.read_csv(arguments.results / "rows.csv")
    table = table[table.id.isin(shapes)].assign(solidity=table.id.map(shapes))
    print(table.groupby(["method", "patient"])[["solidity", "dice", "assd_mm"]].median().round(3).to_string())
    for method, part in table.groupby("method"):
        print(f"{method}: Spearman's rank correlation {part.solidity.corr(part.dice, method='spearman'):.2f}")

    columns = len(arguments.levels)
    figure = plt.figure(figsize=(3 * columns + 5, 2.7 * len(people)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3 * columns, 5))
    axes = left.subplots(len(people), columns, squeeze=False)
    for line, person in zip(axes, people, strict=True):
        for axis, level in zip(line, arguments.levels, strict=True):
            if (person, level) in found:
                outlines(axis, found[person, level], data.spacing_mm)
            axis.set_title(f"{person.split('_')[0]} {level}", fontsize=9)
    handles = [plt.Rectangle((0, 0), 1, 1, color="0.65")]
    handles += [plt.Line2D([], [], color=f"C{n}") for n in range(len(arguments.models))]
    left.legend(handles, ["reference", *(path.stem for path in arguments.models)], loc="outside lower center", ncols=4)
    axis = right.subplots()
    shown = table[table.method == table.method.iloc[0]]
    for person in (*people, None):
        part = shown[shown.patient == person] if person else shown[~shown.patient.isin(people)]
        axis.scatter(part.solidity, part.dice, s=18, label=person.split("_")[0] if person else "other people")
    axis.set_xlabel("solidity of the body in the sagittal slice")
    axis.set_ylabel(f"Dice of {shown.method.iloc[0]}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=110)


if __name__ == "__main__":
    main()
