"""Bones without a CT within a body that is made up or lent, ready to be projected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from EARReconstructionLib.geometry import Affine, View
from numpy.typing import ArrayLike

from ..datasets.scenes import AIR_HU, Scene, grid_affine
from ..deformation import body, column_lean
from ..projection.materials import material_densities
from ..projection.raymarcher import project
from . import made_up_body
from .lent import lent_body

#: A made-up or lent body gets so many times the photons: an automatic exposure reaches through it.
BODY_EXPOSURE = 10.0

#: Discs, HU: as dense as the marrow beside them, so that only endplates stand out. And how high the highest is, mm.
DISC_HU = 50.0, 120.0
DISC_MM = 8.0, 14.0

#: A body's back wall lies so many halves of its height behind its middle, at least; so do its discs.
BACK_WALL = 1.2

#: Cosine squared of how far a surface may tilt to be an endplate.
_ENDPLATE = 0.7


@dataclass(frozen=True)
class InBody:
    """Densities (M, D, H, W) of a body, and of what bones have more than the tissue in whose place they are.

    Projections add up: so each stays on its own grid, the bones on their fine and the body on its coarse one.
    """

    more: torch.Tensor
    ras_from_bones: Affine
    around: torch.Tensor
    ras_from_body: Affine

    def area_densities(self, views: Sequence[View]) -> torch.Tensor:
        """(V, M, h, w) in g/cm3 * mm. Views share one detector size."""
        return project(self.more, self.ras_from_bones, views) + project(self.around, self.ras_from_body, views)


def in_body(
    level: str,
    target_mm: torch.Tensor,
    others_mm: torch.Tensor,
    shown_hu: torch.Tensor,
    spacing_mm: float,
    rng: np.random.Generator,
    generator: torch.Generator,
    centre_ras_mm: ArrayLike = (0.0, 0.0, 0.0),
    lender: Scene | None = None,
) -> InBody:
    """The bones of a scene, and the discs between them, within one random body, or within that of a lender.

    It may end near them as a CT does: then so do they.

    target_mm, others_mm (D, H, W): signed distances of the vertebra and of the others. shown_hu: HU of both in air.
    centre_ras_mm: where the middle of the grid lies.
    """
    shape = target_mm.shape[0], target_mm.shape[1], target_mm.shape[2]
    grid = grid_affine((0, 0, 0), shape, spacing_mm)
    middle, half_height = body(target_mm, spacing_mm)
    lean = column_lean(target_mm, others_mm, spacing_mm)
    if lender is None:
        around = made_up_body(level, middle, _half_mm(target_mm, spacing_mm), rng, generator, shown_hu.device, lean)
    else:
        around = lent_body(lender, middle, rng, shown_hu.device)
    there = around.sampled(shape, grid)
    beyond = around.outside_mm(shape, grid)
    bone = inside(torch.maximum(torch.minimum(target_mm, others_mm), beyond), spacing_mm)
    shown_hu = AIR_HU + inside(beyond, spacing_mm) * (shown_hu - AIR_HU)
    back = middle[1] - BACK_WALL * half_height - lean * middle[2]
    disc_mm = discs(target_mm, others_mm, spacing_mm, back, rng.uniform(*DISC_MM), lean)
    disc = inside(torch.maximum(disc_mm, beyond), spacing_mm)
    tissue = there + disc * (rng.uniform(*DISC_HU) - there)
    more = material_densities(shown_hu + (1 - bone) * (tissue - AIR_HU)) - material_densities(there)
    return InBody(
        more,
        _moved(grid, centre_ras_mm),
        material_densities(around.hu),
        _moved(around.ras_from_ijk, centre_ras_mm),
    )


def discs(
    target_mm: torch.Tensor,
    others_mm: torch.Tensor,
    spacing_mm: float,
    back_mm: float,
    height_mm: float,
    lean: float = 0.0,
) -> torch.Tensor:
    """Distance (D, H, W) to the discs of a vertebra, negative inside, roughly; bones are not cut out.

    A disc fills the gap to the next bone where it is no higher than ``height_mm``, and where there is no next bone half
    as much over the endplates. Nothing lies behind ``back_mm``, along A from the middle of the grid; lean: of the
    column and of that border, mm to the front for each mm upwards.
    """
    facing = facing_along(target_mm, spacing_mm, lean)
    over = torch.maximum(target_mm - height_mm / 2, spacing_mm * (_ENDPLATE - facing) / (1 - _ENDPLATE))
    between = (target_mm + others_mm - height_mm) / 2
    return torch.maximum(torch.minimum(between, over), (back_mm - ahead_mm(target_mm, spacing_mm, lean))[..., None])


def ahead_mm(grid: torch.Tensor, spacing_mm: float, lean: float) -> torch.Tensor:
    """(D, H): mm along A from a line through the middle of a grid (D, H, W) that leans as a column does."""
    s, a = ((torch.arange(count, device=grid.device) - (count - 1) / 2) * spacing_mm for count in grid.shape[:2])
    return a - lean * s[:, None]


def facing_along(distance_mm: torch.Tensor, spacing_mm: float, lean: float) -> torch.Tensor:
    """Cosine squared between the nearest surface's normal and a column that leans so: 1 at endplates, 0 at walls."""
    up, forward = torch.gradient(distance_mm, spacing=spacing_mm, dim=(0, 1))
    return ((up + lean * forward).square() / (1 + lean**2)).clamp(max=1)


def inside(distance_mm: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Share of each voxel that lies within a surface, from its signed distance: half a voxel of partial volume."""
    return (0.5 - distance_mm / spacing_mm).clamp(0, 1)


def _half_mm(target_mm: torch.Tensor, spacing_mm: float) -> list[float]:
    """How far the target reaches from the middle of the grid along R, A and S, the farther side of each."""
    found = target_mm < 0
    lengths = []
    for others in ((0, 1), (0, 2), (1, 2)):
        index = torch.nonzero(found.amax(others)).flatten()
        middle = (found.shape[3 - sum(others)] - 1) / 2
        lengths.append(spacing_mm * (0.5 + float((index - middle).abs().max()) if len(index) else 0.0))
    return lengths


def _moved(affine: Affine, by_ras_mm: ArrayLike) -> Affine:
    moved = np.array(affine, float)
    moved[:3, 3] += np.asarray(by_ras_mm, float)
    return moved
