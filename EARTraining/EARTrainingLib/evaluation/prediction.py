"""What a model makes of the stored X-rays of a prepared data set, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.distance import SurfaceError, surface_error, with_distances
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.geometry import Affine
from EARReconstructionLib.reconstruction import (
    CUDA_BATCH,
    NetworkInput,
    check_output,
    choose_device,
    out_of_memory,
    run_network,
    too_small,
    unfit,
)
from EARReconstructionLib.surface import isosurface, mask_surface
from EARReconstructionLib.volume_io import write_volume
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..datasets.manifest import Row
from ..datasets.prepared import PreparedDataset
from ..samples import noise_seed, stored_sample

#: Relative difference of two voxel sizes that count as one.
_SAME_SPACING = 1e-3


@dataclass(frozen=True, eq=False)
class Truth:
    """A vertebra of the data set. volume_hu (k, j, i): HU, air outside it. mask (k, j, i): its voxels."""

    row: Row
    volume_hu: NDArray[np.float32]
    mask: NDArray[np.bool_]
    ras_from_ijk: Affine

    @classmethod
    def read(cls, dataset: PreparedDataset, row: Row) -> Truth:
        """Raises DatasetError for a file that is missing or broken."""
        volume = dataset.volume(row)
        return cls(row, volume.array.astype(np.float32), dataset.mask(row), volume.ras_from_ijk)

    @cached_property
    def surface(self) -> vtkPolyData:
        """The surface of the mask, RAS mm."""
        return mask_surface(self.mask, self.ras_from_ijk)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model rebuilt. volume_hu (k, j, i): HU. edges (k, j, i): edge attention in [0, 1], or None."""

    truth: Truth
    volume_hu: NDArray[np.float32]
    edges: NDArray[np.float32] | None
    threshold_hu: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Voxels above the model's threshold, islands too: they are errors that count."""
        return self.volume_hu > self.threshold_hu

    @cached_property
    def surface(self) -> vtkPolyData | None:
        """The surface at the threshold as the product draws it, largest piece, RAS mm; None without bone."""
        try:
            return isosurface(self.volume_hu, self.truth.ras_from_ijk, self.threshold_hu)
        except ReferenceSurfaceError:
            return None

    @cached_property
    def error(self) -> SurfaceError | None:
        """Distances between its surface and that of the truth; None where they cannot be compared."""
        if self.surface is None:
            return None
        try:
            return surface_error(self.surface, self.truth.surface)
        except ReferenceSurfaceError:  # it lies beside the truth, or is a speck of it
            return None

    @cached_property
    def coloured(self) -> vtkPolyData | None:
        """Its surface with the signed distance (mm) to the truth at every point; None where there is none."""
        if self.surface is None or self.error is None:
            return None
        return with_distances(self.surface, self.error.signed_mm)


def check_fit(bundle: Bundle, dataset: PreparedDataset) -> None:
    """Raise EARError, with the command that prepares matching data, when a model was made for another grid."""
    card, settings = bundle.card, dataset.settings
    field, size, spacing = settings["field"], dataset.size, dataset.spacing_mm
    same_spacing = field != "cube" or abs(card.spacing_mm / spacing - 1) < _SAME_SPACING
    if (card.field, card.size) == (field, size) and same_spacing:
        return
    raise EARError(
        bundle.path or card.name,
        f"the model was made for {_grid(card.field, card.size, card.spacing_mm)}, the data set {dataset.folder} holds "
        f"{_grid(field, size, spacing)}",
        f"Prepare matching data with `ear prepare ... {_prepare_options(card.field, card.size, card.spacing_mm)}`, or "
        "evaluate a model that was trained on this data set",
    )


def fit_notes(bundle: Bundle, dataset: PreparedDataset, rows: Sequence[Row]) -> list[str]:
    """What a reader of the results must know of a model and these data, each an end of the sentence "It was"."""
    card, notes = bundle.card, []
    if card.provenance.get("data") != dataset.fingerprint:
        notes.append("trained on other data; nobody checked whether these patients were among them")
    elif any(row.split != "test" for row in rows):
        notes.append("trained or chosen on some of these patients")
    chose = card.provenance.get("threshold", {}).get("patients", ())
    if any(row.patient in chose for row in rows):
        notes.append("given a threshold that some of these patients chose")
    if card.protocol != dataset.settings["protocol"]:
        notes.append(f"trained on X-rays of the protocol {card.protocol!r}, these are {dataset.settings['protocol']!r}")
    untrained = list(dict.fromkeys(row.level for row in rows if row.level not in card.levels))
    if untrained:
        notes.append(f"not made for {', '.join(untrained)}")
    return notes


def predictions(
    bundle: Bundle,
    dataset: PreparedDataset,
    rows: Sequence[Row],
    *,
    device: str = "auto",
    batch_size: int | None = None,
) -> Iterator[Prediction]:
    """A model's reconstruction of each row, in their order, from the X-rays on disk; float32.

    Photon noise follows from a vertebra's id, so that every model sees the same image at every run. batch_size: as in
    EARReconstructionLib.reconstruction.reconstruct; out of memory it is halved.

    Raises EARError when the grids differ, DatasetError, BundleError, DeviceError.
    """
    check_fit(bundle, dataset)
    target = choose_device(device)
    try:
        network = bundle.network().to(target)
    except RuntimeError as error:
        raise too_small(error, "the network") if out_of_memory(error) else error from error
    if batch_size is None:
        batch_size = CUDA_BATCH if target.type == "cuda" else 1
    remaining, batch = iter(rows), list[tuple[Truth, NetworkInput]]()
    while batch := batch + [_read(dataset, row, bundle) for row in islice(remaining, max(batch_size - len(batch), 0))]:
        try:
            output = run_network(network, [one for _, one in batch[:batch_size]], target)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if target.type == "cuda":
                torch.cuda.empty_cache()
            if batch_size == 1 or len(batch) == 1:
                raise too_small(error, "one vertebra") from error
            batch_size = min(batch_size, len(batch)) // 2
            continue
        except ValueError as error:  # the network does not take the cube that its card promises
            raise unfit(bundle, str(error)) from error
        truths = [truth for truth, _ in batch[:batch_size]]
        check_output(output, bundle, [truth.row.id for truth in truths])
        for n, truth in enumerate(truths):
            edges = None if output.edges is None else output.edges[n, 0].numpy()
            volume = output.volume[n, 0].numpy() * np.float32(bundle.card.hu_sd) + np.float32(bundle.card.hu_mean)
            yield Prediction(truth, volume, edges, bundle.card.threshold_hu)
        batch = batch[batch_size:]


def write_prediction(path: Path, prediction: Prediction, model: str) -> None:
    """Write a rebuilt volume as NRRD, int16 HU, in its place. Raises EARError when it cannot be written."""
    hu = np.clip(np.rint(prediction.volume_hu), -32768, 32767).astype(np.int16)
    metadata: dict[str, Any] = {"model": model, "threshold_hu": repr(prediction.threshold_hu), "unit": "HU"}
    write_volume(path, hu, prediction.truth.ras_from_ijk, metadata=metadata)


def _read(dataset: PreparedDataset, row: Row, bundle: Bundle) -> tuple[Truth, NetworkInput]:
    truth = Truth.read(dataset, row)
    sample = stored_sample(dataset, row, bundle.card.lift, seed=noise_seed(row))
    return truth, NetworkInput(sample.images, sample.lifted, truth.ras_from_ijk, (1.0, 1.0))


def _grid(field: str, size: int, spacing_mm: float) -> str:
    if field == "cube":
        return f"a cube of {size} voxels of {spacing_mm:g} mm"
    return f"each vertebra's own box in {size} voxels (field {field!r})"


def _prepare_options(field: str, size: int, spacing_mm: float) -> str:
    return f"--field {field} --size {size}" + (f" --spacing {spacing_mm:g}" if field == "cube" else "")
