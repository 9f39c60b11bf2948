"""A prepared data set on disk: what `ear prepare` wrote, opened for training and evaluation."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import View
from EARReconstructionLib.vertebra import LEVELS
from EARReconstructionLib.volume_io import Volume, read_volume, written_whole
from numpy.typing import NDArray

from .manifest import Row, read_manifest
from .readers.scan import DatasetError
from .scenes import Scene, load_scene

FORMAT, VERSION = "EAR dataset", 1
SPLITS = ("train", "validation", "test")

#: The split of patients whose CT only surrounds the bones of others: their own vertebrae are neither trained on nor
#: measured, so that their labels may be rough.
SURROUNDINGS = "surroundings"

T = TypeVar("T")


@dataclass(frozen=True)
class StoredXrays:
    """A vertebra's two X-rays before the detector.

    area_density: (2, M, N, N) float32, g/cm3 * mm, frontal first. views: of both images, around the vertebra's centre
    in RAS mm; in the field ``paper`` the images were resized after projection. photons: per pixel, None for no noise.
    """

    area_density: NDArray[np.float32]
    views: tuple[View, View]
    spectrum: str
    photons: float | None


@dataclass(frozen=True)
class PreparedDataset:
    """A folder with dataset.json, manifest.csv and one file per vertebra in each of its sub-folders.

    settings: of the preparation. rows: the vertebrae that were kept. hu_statistics: mean and SD in HU of the training
    volumes, the z-score of the targets. lenders: vertebrae whose CT is lent to others in training, of the split
    ``surroundings``. Files are read when asked for; a broken or missing one raises DatasetError.
    """

    folder: Path
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    hu_statistics: tuple[float, float]
    lenders: tuple[Row, ...] = ()

    @classmethod
    def open(cls, folder: str | Path) -> PreparedDataset:
        """Raises DatasetError for a folder that is no prepared data set, of another version, or not finished."""
        folder = Path(folder)
        header_path = folder / "dataset.json"
        if not header_path.is_file():
            raise DatasetError(
                folder, "it is no prepared data set: there is no dataset.json in it", "Run `ear prepare`"
            )
        try:
            header = json.loads(header_path.read_text(encoding="utf-8"))
            kind, version, settings = header["format"], header["version"], dict(header["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(header_path, f"it cannot be read ({error!r})", "Run `ear prepare` again") from error
        if kind != FORMAT or version != VERSION:
            raise DatasetError(
                header_path,
                f"it is {kind!r} version {version}; this program reads {FORMAT!r} version {VERSION}",
                "Prepare the data again with this version",
            )
        statistics = header.get("statistics")
        if not statistics or not (folder / "manifest.csv").is_file():
            raise DatasetError(
                folder, "its preparation was not finished", "Run the same `ear prepare` command again: it goes on"
            )
        kept = [row for row in read_manifest(folder / "manifest.csv") if row.status == "kept"]
        rows, lenders = (tuple(row for row in kept if (row.split == SURROUNDINGS) is lent) for lent in (False, True))
        return cls(folder, settings, rows, (float(statistics["hu_mean"]), float(statistics["hu_sd"])), lenders)

    @property
    def size(self) -> int:
        """Voxels per side of the volumes."""
        return int(self.settings["size"])

    @property
    def spacing_mm(self) -> float:
        """Voxel size of the field ``cube``."""
        return float(self.settings["spacing_mm"])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over settings and manifest: two data sets with the same one have the same vertebrae and splits."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        digest.update((self.folder / "manifest.csv").read_bytes())
        return digest.hexdigest()

    def rows_of(self, split: str) -> tuple[Row, ...]:
        """The vertebrae of ``train``, ``validation`` or ``test``. Raises DatasetError when there is none."""
        rows = tuple(row for row in self.rows if row.split == split)
        if not rows:
            raise DatasetError(
                self.folder,
                f"it has no vertebra in the split {split!r}",
                "Prepare more patients, or edit split.csv and run the same `ear prepare` again",
            )
        return rows

    def between(self, first: str, last: str) -> PreparedDataset:
        """The same data set with the levels from ``first`` to ``last`` only, from head to tail; z-score as before.

        Raises DatasetError when that leaves nothing to train on or nothing to validate on.
        """
        wanted = LEVELS[LEVELS.index(first) : LEVELS.index(last) + 1]
        rows = tuple(row for row in self.rows if row.level in wanted)
        empty = {row.split for row in self.rows} - {"test"} - {row.split for row in rows}
        if empty:
            raise DatasetError(
                self.folder,
                f"its split {max(empty)!r} has no vertebra from {first} to {last}",
                "Choose other `levels`, or prepare more patients",
            )
        return replace(self, rows=rows)

    def volume(self, row: Row) -> Volume:
        """HU (k, j, i) with air outside the vertebra, and its place."""
        return self._read(f"volumes/{row.id}.nrrd", read_volume)

    def mask(self, row: Row) -> NDArray[np.bool_]:
        """The vertebra's voxels, (k, j, i)."""
        return np.asarray(self._read(f"masks/{row.id}.seg.nrrd", read_volume).array > 0)

    def xrays(self, row: Row) -> StoredXrays:
        """Both X-rays of a vertebra."""

        def read(path: Path) -> StoredXrays:
            with np.load(path, allow_pickle=False) as data:
                frontal, lateral = (View.from_dict(fields) for fields in json.loads(str(data["views"])))
                photons = float(data["photons"])
                return StoredXrays(
                    data["area_density"], (frontal, lateral), str(data["spectrum"]), photons if photons > 0 else None
                )

        return self._read(f"xrays/{row.id}.npz", read)

    def scene(self, row: Row) -> Scene:
        """A vertebra and its surroundings, for X-rays that are made during training."""
        if not (self.folder / "scenes").is_dir():
            raise DatasetError(
                self.folder,
                "it was prepared without scenes, which X-rays made during training need",
                "Train with X-rays from disk, or prepare again without --no-scenes and in the field `cube`",
            )
        return self._read(f"scenes/{row.id}.npz", load_scene)

    def _read(self, name: str, read: Callable[[Path], T]) -> T:
        path = self.folder / name
        try:
            return read(path)
        except (EARError, OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            cause = "there is no such file" if not path.is_file() else f"it is damaged ({error})"
            advice = f"Delete {self.folder / 'scans'} and run the same `ear prepare` command again"
            raise DatasetError(path, cause, advice) from error


def save_xrays(path: Path, xrays: StoredXrays) -> None:
    """Write what PreparedDataset.xrays reads, whole or not at all."""
    with written_whole(path) as beside:
        np.savez_compressed(
            beside,
            area_density=np.asarray(xrays.area_density, np.float32),
            views=np.array(json.dumps([view.to_dict() for view in xrays.views])),
            spectrum=np.array(xrays.spectrum),
            photons=np.array(xrays.photons or 0.0),
        )
