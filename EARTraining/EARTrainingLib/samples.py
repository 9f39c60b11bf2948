"""Training samples of a prepared data set: X-rays from disk, or made anew at every step."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import Affine, lift
from EARReconstructionLib.vertebra import LEVELS
from torch.utils.data import Dataset

from .datasets.manifest import Row
from .datasets.prepared import PreparedDataset, StoredXrays
from .datasets.scenes import Scene
from .simulation import Sample, Simulation, simulate, xray_images

__all__ = ["Raw", "Sample", "Samples", "noise_seed", "stacked", "stored_sample"]


#: A body is lent to vertebrae at most so many levels above or below, T13 counted, which few have.
LENDER_LEVELS = 2


class Stored(NamedTuple):
    """A vertebra as prepared: its X-rays, its volume in HU and its mask, both (1, N, N, N), and their place."""

    xrays: StoredXrays
    target_hu: torch.Tensor
    mask: torch.Tensor
    ras_from_ijk: Affine


class Raw(NamedTuple):
    """What a sample is made of, as read from disk. seed: of everything random in it; None for nothing random.

    lender: whose body is shown around it, if bones without a CT are shown within one.
    """

    id: str
    content: Scene | Stored
    seed: tuple[int, ...] | None
    lender: Scene | None = None


class Samples(Dataset[Sample]):
    """The vertebrae of one split as samples. Sample i of an epoch depends on seed, epoch and i, and on nothing else.

    simulation: how X-rays are made at every step; None takes those on disk, with new photon noise at every step.
    count: samples per epoch, drawn evenly over levels, phantom_share of them from phantoms where there are phantoms and
    others; None takes every vertebra once. random: False fixes noise and simulation for all epochs, for validation.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        split: str,
        *,
        lift: str,
        simulation: Simulation | None = None,
        count: int | None = None,
        phantom_share: float = 0.5,
        random: bool = True,
        seed: int = 0,
    ) -> None:
        if dataset.settings["field"] != "cube" and (simulation is not None or lift != "replicate"):
            raise EARError(
                dataset.folder,
                f"the field {dataset.settings['field']!r} has another voxel size along each axis",
                "Train with X-rays from disk and the lift `replicate`, or prepare the field `cube`",
            )
        self.dataset, self.lift, self.simulation = dataset, lift, simulation
        self.rows: Sequence[Row] = dataset.rows_of(split)
        lenders = dataset.lenders if split == "train" else ()
        self._with_ct = [row for row in (*self.rows, *lenders) if row.density == "ct"]
        self.count, self.phantom_share, self.random, self.seed = count, phantom_share, random, seed
        # In shared memory, so that workers which outlive an epoch see the next one.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._groups = [
            _by_level(row for row in self.rows if (row.density == "phantom") is phantom) for phantom in (False, True)
        ]

    def set_epoch(self, epoch: int) -> None:
        """From now on, the samples of another epoch; also in workers that run already."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return self.count or len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.realise(self.raw(index))

    def row(self, index: int) -> Row:
        """Which vertebra a sample shows."""
        if self.count is None:
            return self.rows[index]
        rng = np.random.default_rng((self.seed, int(self._epoch), index, 0))
        real, phantoms = self._groups
        group = (phantoms if rng.uniform() < self.phantom_share else real) or real or phantoms
        rows = group[list(group)[int(rng.integers(len(group)))]]
        return rows[int(rng.integers(len(rows)))]

    def raw(self, index: int) -> Raw:
        """Read what a sample is made of. Raises DatasetError for a file that is missing or broken."""
        row = self.row(index)
        seed = (self.seed, int(self._epoch), index, 1) if self.random else (self.seed, 0, index, 2)
        if self.simulation is not None:
            return Raw(row.id, self.dataset.scene(row), seed, self._lender(row, seed))
        return Raw(row.id, _stored(self.dataset, row), seed)

    def _lender(self, row: Row, seed: tuple[int, ...]) -> Scene | None:
        """A vertebra with a CT, of another patient at about the same level; None where there is none, and by chance."""
        assert self.simulation is not None
        rng = np.random.default_rng((*seed, 3))
        if row.density == "ct" or self.simulation.protocol != "in-situ" or rng.uniform() >= self.simulation.lent:
            return None
        level = LEVELS.index(row.level)
        near = [one for one in self._with_ct if abs(LEVELS.index(one.level) - level) <= LENDER_LEVELS]
        near = [one for one in near if one.patient != row.patient]
        if not near:
            return None
        return self.dataset.scene(near[int(rng.integers(len(near)))])

    def realise(self, raw: Raw, device: torch.device | str = "cpu") -> Sample:
        """Make the sample, on a device."""
        if isinstance(raw.content, Scene):
            assert self.simulation is not None
            assert raw.seed is not None
            return simulate(raw.content, self.simulation, self.dataset.size, self.lift, raw.seed, device, raw.lender)
        return _from_stored(raw.content, self.lift, raw.seed, torch.device(device))


def stored_sample(dataset: PreparedDataset, row: Row, kind: str, seed: tuple[int, ...] | None = None) -> Sample:
    """A vertebra with its X-rays from disk; their photon noise comes from the seed, None for no noise."""
    return _from_stored(_stored(dataset, row), kind, seed, torch.device("cpu"))


def noise_seed(row: Row) -> tuple[int, ...]:
    """Follows from the vertebra's id: whatever is measured on stored X-rays sees the same noise, at every run."""
    return (zlib.crc32(row.id.encode()),)


def stacked(samples: Sequence[Sample]) -> Sample:
    """A batch: every field with a leading axis."""
    return Sample(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def _stored(dataset: PreparedDataset, row: Row) -> Stored:
    volume = dataset.volume(row)
    target = torch.from_numpy(volume.array.astype(np.float32))[None]
    return Stored(dataset.xrays(row), target, torch.from_numpy(dataset.mask(row))[None], volume.ras_from_ijk)


def _from_stored(stored: Stored, kind: str, seed: tuple[int, ...] | None, device: torch.device) -> Sample:
    xrays = stored.xrays
    generator = None
    if seed is not None:
        generator = torch.Generator(device).manual_seed(int(np.random.default_rng(seed).integers(2**62)))
    area = torch.from_numpy(xrays.area_density).to(device)
    pair = xray_images(area, xrays.spectrum, None if generator is None else xrays.photons, generator)
    volume = lift(kind, pair, xrays.views, stored.ras_from_ijk, stored.target_hu.shape[-1])
    return Sample(pair, volume, stored.target_hu.to(device), stored.mask.to(device))


def _by_level(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.level].append(row)
    return dict(groups)
