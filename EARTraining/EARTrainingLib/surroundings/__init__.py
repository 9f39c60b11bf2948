"""A made-up body around a spine that has no CT: skin, fat, muscle, lungs, heart, gas, kidneys, ribs, shoulder and hip.

What a radiograph in situ shows besides the column hides the bone more than it shows: edges of lungs and gas across the
body, ribs that start at the vertebra itself, shoulders, skulls and hips over its ends, contrast medium before it. None
of it is anatomy to be measured. Sizes are drawn from ranges that hold small and large adults, from what atlases and CTs
show, by eye. The frame is that of a scene: RAS mm from the middle of the vertebra's box; all is placed relative to the
vertebra's body, the level and how the column leans.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..datasets.scenes import AIR_HU
from .body import Body
from .trunk import Trunk

#: Shares of bodies whose CT ends close above and below the vertebra, and close to its sides; how far from it, mm.
CUT_ALONG, CUT_ACROSS = 0.3, 0.3
SPARE_MM = (2.0, 70.0)


def made_up_body(
    level: str,
    middle_ras_mm: ArrayLike,
    half_mm: ArrayLike,
    rng: np.random.Generator,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    lean: float = 0.0,
) -> Body:
    """One random body around a vertebra, without the vertebra and its neighbours; the same on every device.

    middle_ras_mm: of the vertebra's body (the bone's front part) in the frame of the scene. half_mm: (R, A, S) how far
    the vertebra reaches from the frame's origin; all of it is always shown. lean: of the column, mm to the front for
    each mm upwards. Left is left: the heart lies there. Raises ValueError for a level that is no vertebra of LEVELS.
    """
    built = Trunk(level, middle_ras_mm, lean, rng, generator)
    built.paint_all()
    ends = np.full((2, 3), np.inf)
    cuts = np.repeat(rng.uniform(size=2) < (CUT_ACROSS, CUT_ALONG), (2, 1))
    ends[:, cuts] = (np.asarray(half_mm, float) + rng.uniform(*SPARE_MM, (2, 3)))[:, cuts]
    body = Body(built.hu, built.affine, tuple(-ends[0]), tuple(ends[1]))
    if cuts.any():
        built.paint(-body.outside_mm(built.shape, built.affine), AIR_HU)
    return body._replace(hu=body.hu.to(device))
