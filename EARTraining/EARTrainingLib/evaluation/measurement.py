"""A reconstruction beside its truth, as one row of numbers."""

from __future__ import annotations

from typing import Any

from EARReconstructionLib.geometry import voxel_sizes_mm

from ..metrics import volume_metrics
from .prediction import Prediction

#: Columns that say which vertebra a row is about; "method" comes before them.
IDENTIFIERS = ("id", "patient", "source", "series", "level", "region", "split")

REGIONS = {"C": "cervical", "T": "thoracic", "L": "lumbar"}


def measure(prediction: Prediction, hu_statistics: tuple[float, float]) -> dict[str, Any]:
    """Identifiers and metrics of one vertebra; fd_minmax, which needs the other rows, is not among them.

    hu_statistics: mean and SD of the z-score, the same for all models.
    What cannot be measured, such as a distance to a reconstruction without bone, is nan.
    """
    truth, row = prediction.truth, prediction.truth.row
    mean, sd = hu_statistics
    i, j, k = voxel_sizes_mm(truth.ras_from_ijk).tolist()
    values = volume_metrics(
        prediction.volume_hu,
        truth.volume_hu,
        prediction.mask,
        truth.mask,
        hu_mean=mean,
        hu_sd=sd,
        spacing_mm=(k, j, i),
    )
    names = {name: getattr(row, name) for name in IDENTIFIERS if name != "region"}
    return {**names, "region": REGIONS[row.level[0]], **values}
