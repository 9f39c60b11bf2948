"""What a spread of answers means in mm of error, and which threshold is best: on people that a model has not seen.

The X-rays are those of a prepared data set, noise included; all else is what `ear reconstruct --uncertainty` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.distance import surface_error
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.expected_error import FAR_MM, Calibration, at_points, calibrated
from EARReconstructionLib.geometry import BiplanarGeometry, transform_points
from EARReconstructionLib.job import Progress
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import Reconstruction, reconstruct
from EARReconstructionLib.surface import isosurface, points_of
from EARReconstructionLib.vertebra import VertebraROI
from scipy.optimize import isotonic_regression
from scipy.stats import spearmanr

from .datasets.manifest import Row
from .datasets.prepared import PreparedDataset
from .evaluation.prediction import Truth, check_fit, predictions
from .samples import noise_seed, stored_sample
from .training.thresholds import best_threshold, dice_per_threshold

#: A spread that means itself: what is measured before anything is calibrated.
AS_IT_IS: Calibration = ((0.0, 0.0), (2 * FAR_MM, 2 * FAR_MM))

#: Quantiles of the spread between which one mean error is measured: finer where it is great, which matters most.
QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)

#: Bins of a table of reliability.
BINS = 10

#: Columns of ``measured_points``.
COLUMNS = ("patient", "id", "level", "spread_mm", "error_mm")


@dataclass(frozen=True)
class Reliability:
    """How well expected errors fit. table: ``BINS`` rows of expected_mm, measured_mm and points, by expected error.

    off_mm: mean difference between the two columns. correlation, rank_correlation: of the single points.
    """

    table: pd.DataFrame
    off_mm: float
    correlation: float
    rank_correlation: float


def measured_points(
    bundle: Bundle,
    dataset: PreparedDataset,
    rows: Sequence[Row],
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The spread and the distance to the truth (mm, not negative) of all points of the rebuilt surfaces: COLUMNS.

    A vertebra that is wholly beside its truth, or has no surface, has no points. Raises EARError's kinds.
    """
    check_fit(bundle, dataset)
    uncalibrated = replace(bundle, card=replace(bundle.card, error_calibration=AS_IT_IS))
    found = []
    for n, row in enumerate(rows):
        if progress is not None:
            progress(n, len(rows), row.id)
        one, truth = _reconstruction(uncalibrated, dataset, row, device), Truth.read(dataset, row)
        assert one.expected_error_mm is not None
        try:
            surface = isosurface(one.volume_hu, one.ras_from_ijk, one.threshold_hu)
            error = surface_error(surface, truth.surface)
        except ReferenceSurfaceError:
            continue
        spread = at_points(one.expected_error_mm, one.ras_from_ijk, points_of(surface))
        who = {"patient": row.patient, "id": row.id, "level": row.level}
        found.append(pd.DataFrame({**who, "spread_mm": spread, "error_mm": np.abs(error.signed_mm)}))
    if progress is not None:
        progress(len(rows), len(rows), "")
    if not found:
        raise EARError(bundle.card.name, "no reconstruction lies on its truth", "Train the model longer")
    return pd.concat(found, ignore_index=True)


def chosen_threshold(
    bundle: Bundle,
    parts: Sequence[tuple[PreparedDataset, Sequence[Row]]],
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[float, float, float]:
    """(threshold in HU, mean Dice there, mean Dice at the model's own), where the mean over all vertebrae is best.

    A training chooses its threshold on X-rays made live; those on disk may want another. Raises EARError's kinds.
    """
    found: list[torch.Tensor] = []
    own, count = [], sum(len(rows) for _, rows in parts)
    for dataset, rows in parts:
        for one in predictions(bundle, dataset, rows, device=device) if rows else ():
            if progress is not None:
                progress(len(found) + 1, count, one.truth.row.id)
            mask = one.truth.mask
            found.append(dice_per_threshold(torch.from_numpy(one.volume_hu), torch.from_numpy(mask)))
            own.append(2 * (one.mask & mask).sum() / max(one.mask.sum() + mask.sum(), 1))
    best_hu, best = best_threshold(torch.stack(found).mean(0))
    return best_hu, best, float(np.mean(own))


def calibration_of(points: pd.DataFrame) -> Calibration:
    """The mean error in each range of the spread, made to rise with it: isotonic regression of the ranges' means."""
    spread, error = points.spread_mm.to_numpy(float), points.error_mm.to_numpy(float)
    edges = np.unique(np.quantile(spread, QUANTILES))
    if len(edges) < 2:
        raise EARError("calibration", "the spread is the same everywhere", "Give more vertebrae, or another model")
    ranges = np.clip(np.searchsorted(edges, spread, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(ranges)
    known, mean = (np.bincount(ranges, values) / count for values in (spread, error))
    rising = isotonic_regression(mean, weights=count).x
    return tuple((round(float(s), 4), round(float(e), 4)) for s, e in zip(known, rising, strict=True))


def left_out(points: pd.DataFrame) -> pd.DataFrame:
    """The points with a column ``expected_mm``: each person's from a calibration on all the others.

    Raises EARError for fewer than two people.
    """
    if points.patient.nunique() < 2:
        raise EARError("calibration", "it needs vertebrae of two people or more", "Give more people")
    parts = []
    for patient, own in points.groupby("patient"):
        others = calibration_of(points[points.patient != patient])
        parts.append(own.assign(expected_mm=calibrated(own.spread_mm.to_numpy(np.float32), others)))
    return pd.concat(parts)


def reliability(expected_mm: pd.Series, error_mm: pd.Series) -> Reliability:
    """Whether errors are about as great as expected."""
    bins = pd.qcut(expected_mm, BINS, labels=False, duplicates="drop")
    pairs = pd.DataFrame({"expected_mm": expected_mm, "measured_mm": error_mm}).groupby(bins)
    table = pairs.mean().assign(points=pairs.size()).reset_index(drop=True)
    off = np.average((table.expected_mm - table.measured_mm).abs(), weights=table.points)
    ranks = float(spearmanr(expected_mm, error_mm).statistic)
    return Reliability(table, float(off), float(np.corrcoef(expected_mm, error_mm)[0, 1]), ranks)


def _reconstruction(bundle: Bundle, dataset: PreparedDataset, row: Row, device: str) -> Reconstruction:
    """A row as the product rebuilds it from its stored X-rays, with the raw spread in place of an expected error."""
    images = stored_sample(dataset, row, bundle.card.lift, seed=noise_seed(row)).images.numpy()
    geometry = BiplanarGeometry(*dataset.xrays(row).views)
    frontal, lateral = (
        Radiograph(image, "attenuation", v.pixel_mm, role, (v.alpha_deg, v.beta_deg), v, Path(f"{row.id} {role}"))
        for image, v, role in zip(images, geometry.views, ("frontal", "lateral"), strict=True)
    )
    middle = transform_points(dataset.volume(row).ras_from_ijk, [(dataset.size - 1) / 2] * 3)
    r, a, s = (float(x) for x in middle)
    roi = VertebraROI(row.level, (r, a, s), (60.0, 60.0, 50.0))  # no step here depends on the size
    (one,) = reconstruct((frontal, lateral), geometry, [roi], bundle, device=device, uncertainty=True)
    return one
