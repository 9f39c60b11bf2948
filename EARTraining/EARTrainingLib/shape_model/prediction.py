"""What shape models make of the stored X-rays of a prepared data set: reconstructions to be measured as a network's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ..datasets.manifest import Row
from ..datasets.prepared import PreparedDataset
from ..datasets.readers.scan import DatasetError
from ..datasets.scenes import AIR_HU
from ..evaluation.prediction import Prediction, Truth
from ..samples import noise_seed, stored_sample
from .fit import fit, occupancy
from .model import ShapeModel, shape_model

#: Levels whose shapes are alike enough for one model.
GROUPS: dict[str, tuple[str, ...]] = {
    "cervical": ("C3", "C4", "C5", "C6", "C7"),
    "upper thoracic": ("T1", "T2", "T3", "T4", "T5", "T6"),
    "lower thoracic": ("T7", "T8", "T9", "T10", "T11", "T12", "T13"),
    "lumbar": ("L1", "L2", "L3", "L4", "L5", "L6"),
}

#: A group of fewer real shapes is filled up with those of phantoms.
ENOUGH_SHAPES = 20

#: HU inside a fitted shape: the model knows where bone is, not how dense.
BONE_HU = 300.0

#: Half of a voxel inside.
THRESHOLD_HU = (AIR_HU + BONE_HU) / 2


def group_of(level: str) -> str | None:
    """The group of a level; None for C1 and C2, which are like no other."""
    return next((name for name, levels in GROUPS.items() if level in levels), None)


def group_models(dataset: PreparedDataset) -> dict[str, ShapeModel]:
    """A model for each group with at least two training vertebrae. Raises DatasetError where scenes are missing."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(dataset.rows_of("train"), key=lambda row: (row.density == "phantom", row.id)):
        group = group_of(row.level)
        if group and (row.density != "phantom" or len(rows[group]) < ENOUGH_SHAPES):
            rows[group].append(row)
    return {
        group: shape_model([_shape(dataset, row) for row in found], dataset.spacing_mm)
        for group, found in rows.items()
        if len(found) > 1
    }


def shape_predictions(
    dataset: PreparedDataset, rows: Sequence[Row], models: Mapping[str, ShapeModel]
) -> Iterator[Prediction]:
    """The fitted shape of each row, in their order, from the X-rays that networks are evaluated on, noise included.

    Raises DatasetError for a level without a model.
    """
    for row in rows:
        group = group_of(row.level)
        if group is None or group not in models:
            raise DatasetError(row.id, f"no shape model knows {row.level}", "Leave it out, or train on such vertebrae")
        truth, views = Truth.read(dataset, row), dataset.xrays(row).views
        images = stored_sample(dataset, row, "replicate", seed=noise_seed(row)).images
        found = fit(models[group], images, views, truth.ras_from_ijk)
        inside = occupancy(found.distance_mm, dataset.spacing_mm).numpy()
        yield Prediction(truth, (AIR_HU + (BONE_HU - AIR_HU) * inside).astype(np.float32), None, THRESHOLD_HU)


def _shape(dataset: PreparedDataset, row: Row) -> torch.Tensor:
    """A training vertebra's signed distances in the cube, (N, N, N)."""
    item = dataset.scene(row)
    inner = tuple(slice((n - dataset.size) // 2, (n + dataset.size) // 2) for n in item.shape)
    return torch.from_numpy(item.target_mm.astype(np.float32))[inner]
