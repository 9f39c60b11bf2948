"""The X-rays of one vertebra of a scan, by protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from EARReconstructionLib.geometry import View
from EARReconstructionLib.volume_io import Volume
from numpy.typing import NDArray
from scipy import ndimage

from ..projection.acquisition import Exposure
from ..projection.drr import corners_ras_mm
from ..projection.engine import XrayEngine
from ..surroundings.shown import in_body, inside
from .field import Field
from .grids import part, part_around
from .prepared import StoredXrays
from .readers.scan import LoadedScan
from .scenes import AIR_HU, Scene


def take_xrays(
    scan: LoadedScan, label: int, field: Field, exposure: Exposure, protocol: str, engine: XrayEngine
) -> StoredXrays:
    """Area densities of both views of a vertebra, in the windows of its field.

    ``isolated``: the label alone in air; ``column``: all labels and nothing else; ``in-situ``: the whole CT. Bones
    without a CT are shown in situ by ``take_in_made_up_body``.
    """
    windows = field.windows(exposure.views)
    projections = []
    for window in windows:  # each with what its own beam meets: of a whole CT that is little
        shown = seen(scan, label, protocol, window)
        volume = torch.from_numpy(np.ascontiguousarray(shown.array, np.float32))
        projections.append(engine.project(volume, shown.ras_from_ijk, [window])[0])
    return StoredXrays(field.images(projections), windows, exposure.spectrum, exposure.photons)


def take_in_made_up_body(item: Scene, field: Field, exposure: Exposure, seed: Sequence[int]) -> StoredXrays:
    """As ``take_xrays`` in situ, for bones without a CT: made as during training, on the scene's grid.

    item: with the density of the bones as its HU. seed: of the body; without noise, which comes when they are read.
    """
    assert item.hu is not None
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    target_mm, others_mm, hu = (torch.from_numpy(a).float() for a in (item.target_mm, item.others_mm, item.hu))
    hu = AIR_HU + inside(torch.minimum(target_mm, others_mm), item.spacing_mm) * (hu - AIR_HU)
    shown = in_body(item.level, target_mm, others_mm, hu, item.spacing_mm, rng, generator, item.centre_ras_mm)
    windows = field.windows(exposure.views)
    projections = [shown.area_densities([window])[0] for window in windows]
    return StoredXrays(field.images(projections), windows, exposure.spectrum, exposure.photons)


def seen(scan: LoadedScan, label: int, protocol: str, view: View) -> Volume:
    """The part of a scan, in HU, that a view's beam meets, with air instead of what the protocol does not show."""
    assert scan.hu is not None
    beam = beam_corners(view, corners_ras_mm(scan.labels))
    labels, hu = part_around(scan.labels, beam), part_around(scan.hu, beam)
    if protocol == "in-situ":
        return hu
    bone = labels.array == label if protocol == "isolated" else labels.array > 0
    (box,) = ndimage.find_objects(bone.astype(np.uint8))
    hu = part(hu, box)
    return Volume(np.where(bone[box], hu.array, AIR_HU), hu.ras_from_ijk)


def beam_corners(view: View, around_ras_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8, 3) corners, RAS mm, of the beam that reaches a view's detector, as deep as the given points lie."""
    _, depth = view.project(around_ras_mm)
    edges = np.array([[u, v, 1.0] for u in (0, view.width) for v in (0, view.height)]) @ np.linalg.inv(view.K).T
    rays = edges @ view.camera_from_ras[:3, :3]  # one mm deep each
    return np.concatenate([view.source_ras_mm + rays * max(float(d), 0.0) for d in (depth.min(), depth.max())])
