"""The body of somebody who has a CT, lent to bones without one: what a CT shows besides the column."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike

from ..datasets.scenes import Scene, grid_affine
from ..deformation import body
from .body import Body
from .painter import MUSCLE_HU

#: The lender's own vertebrae are taken out with so much around them, mm: the partial volume of thick slices too.
MARGIN_MM = 2.5

#: What is no denser is air, or lies beyond the CT.
EMPTY_HU = -900.0

#: A lender's scene is cut above and below its vertebra's neighbours; its outermost slices go on for so far, mm.
BEYOND_MM = 30.0

#: How much larger or smaller a body may become.
SCALE = (0.9, 1.1)


def lent_body(
    lender: Scene, middle_ras_mm: ArrayLike, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> Body:
    """The lender's CT without its column, its vertebra's body where the borrower's is; mirrored in half of the cases.

    middle_ras_mm: of the borrower's vertebra's body in the frame of its scene. Nothing is shown beyond the end of the
    CT, if the lender's scene has one. The two columns may lean otherwise. Voxels are twice the scene's. Raises
    ValueError for a scene without CT.
    """
    if lender.hu is None:
        raise ValueError(f"{lender.person} has no CT to lend")
    target, others, hu = (
        torch.from_numpy(part.astype(np.float32)).to(device) for part in (lender.target_mm, lender.others_mm, lender.hu)
    )
    bone = (0.5 + (MARGIN_MM - torch.minimum(target, others)) / lender.spacing_mm).clamp(0, 1)
    middle, _ = body(target.cpu(), lender.spacing_mm)
    empty = hu + bone * (MUSCLE_HU - hu)
    at = np.array(middle)
    if rng.uniform() < 0.5:
        empty, at = empty.flip(2), at * (-1, 1, 1)
    scale = rng.uniform(*SCALE)
    spacing_mm = 2 * lender.spacing_mm * scale
    more = math.ceil(BEYOND_MM / spacing_mm)
    halved = F.avg_pool3d(empty[None, None], 2)  # an odd last slice is left out
    coarse = F.pad(halved, (0, 0, 0, 0, more, more), mode="replicate")[0, 0]
    d, h, w = coarse.shape
    odd = np.array([n % 2 for n in lender.shape[::-1]]) * lender.spacing_mm * scale / 2
    centre = np.asarray(middle_ras_mm, float) - scale * at - odd
    low = centre - np.array([w, h, d]) * spacing_mm / 2
    ends = np.array([_ends(coarse > EMPTY_HU, axis) for axis in (2, 1, 0)]) * spacing_mm
    return Body(coarse, grid_affine(centre, (d, h, w), spacing_mm), tuple(low + ends[:, 0]), tuple(low + ends[:, 1]))


def _ends(seen: torch.Tensor, axis: int) -> tuple[int, int]:
    """The first slice along an axis with anything in it, and the one after the last."""
    slices = torch.nonzero(seen.movedim(axis, 0).flatten(1).any(1)).flatten()
    return (int(slices[0]), int(slices[-1]) + 1) if len(slices) else (0, seen.shape[axis])
