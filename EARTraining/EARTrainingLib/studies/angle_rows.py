"""Models tested on X-rays that are made at one angle after another, of the same vertebrae."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.geometry import cube_affine
from EARReconstructionLib.reconstruction import (
    CUDA_BATCH,
    NetworkInput,
    Progress,
    check_output,
    choose_device,
    run_network,
)
from EARReconstructionLib.volume_io import written_whole
from joblib import Parallel, delayed

from ..datasets.prepared import PreparedDataset
from ..deformation import UNDEFORMED
from ..evaluation.measurement import measure
from ..evaluation.prediction import Prediction, Truth
from ..metrics import METRICS
from ..projection.acquisition import ACQUISITIONS
from ..samples import Sample, Samples
from ..simulation import Simulation

#: Split on which models are tested, and the seed of what is made up of its vertebrae.
SPLIT, SEED = "test", 0


def samples_at(dataset: PreparedDataset, angle_deg: int, lift: str) -> Samples:
    """The test vertebrae as they are, with X-rays exactly at an angle, nominal in everything else and without noise."""
    acquisition = replace(ACQUISITIONS["nominal"], angle_deg=(float(angle_deg), float(angle_deg)))
    simulation = Simulation(str(dataset.settings["protocol"]), acquisition, UNDEFORMED, soft_tissue=0.0)
    return Samples(dataset, SPLIT, lift=lift, simulation=simulation, random=False, seed=SEED)


def predictions_at(
    bundle: Bundle, dataset: PreparedDataset, angle_deg: int, numbers: Sequence[int], device: str
) -> Iterator[Prediction]:
    """What a model makes of some test vertebrae (positions in the split) with their X-rays at an angle, in order."""
    target = choose_device(device)
    network = bundle.network().to(target)
    samples = samples_at(dataset, angle_deg, bundle.card.lift)
    size = CUDA_BATCH if target.type == "cuda" else 1
    for first in range(0, len(numbers), size):
        some = numbers[first : first + size]
        parts = [_parts(samples, dataset, number, target.type) for number in some]
        output = run_network(network, [one for _, one in parts], target)
        check_output(output, bundle, [truth.row.id for truth, _ in parts])
        for n, (truth, _) in enumerate(parts):
            edges = None if output.edges is None else output.edges[n, 0].numpy()
            volume = output.volume[n, 0].numpy() * np.float32(bundle.card.hu_sd) + np.float32(bundle.card.hu_mean)
            yield Prediction(truth, volume, edges, bundle.card.threshold_hu)


def _parts(samples: Samples, dataset: PreparedDataset, number: int, device: str) -> tuple[Truth, NetworkInput]:
    sample: Sample = samples.realise(samples.raw(number), device)
    row = samples.row(number)
    affine = cube_affine(row.centre_ras_mm, dataset.size, dataset.spacing_mm)
    truth = Truth(row, sample.target_hu[0].cpu().numpy(), sample.mask[0].cpu().numpy(), affine)
    return truth, NetworkInput(sample.images, sample.lifted, affine, (1.0, 1.0))


def measured(
    bundles: Mapping[str, Bundle],
    dataset: PreparedDataset,
    angles_deg: Sequence[int],
    folder: Path,
    device: str,
    jobs: int,
    progress: Progress | None,
) -> pd.DataFrame:
    """Rows of every model at every angle: method, angle_deg, and what ``measure`` gives of each test vertebra.

    A model and angle that are finished in ``folder`` are not done again.
    """
    count = len(dataset.rows_of(SPLIT))
    pieces = [(name, bundle, angle) for name, bundle in bundles.items() for angle in angles_deg]
    frames = []
    for done, (name, bundle, angle) in enumerate(pieces):
        path = folder / f"{bundle.sha256[:16]}-{angle}.json"
        key = {"sha256": bundle.sha256, "data": dataset.fingerprint, "angle_deg": angle, "metrics": list(METRICS)}
        rows = _kept(path, key)
        if rows is None:
            rows = []
            found = predictions_at(bundle, dataset, angle, range(count), device)
            for row in Parallel(n_jobs=jobs, return_as="generator")(
                delayed(measure)(prediction, dataset.hu_statistics) for prediction in found
            ):
                rows.append(row)
                if progress is not None:
                    progress(done * count + len(rows), len(pieces) * count, f"{name} at {angle}°")
            with written_whole(path) as beside:
                beside.write_text(json.dumps({"key": key, "rows": rows}, indent=1), encoding="utf-8")
        frames.append(pd.DataFrame([{"method": name, "angle_deg": angle, **row} for row in rows]))
    return pd.concat(frames, ignore_index=True)


def _kept(path: Path, key: dict[str, Any]) -> list[dict[str, Any]] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return list(kept["rows"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
