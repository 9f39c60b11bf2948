"""Sacrum and hip bones under and beside the last lumbar vertebra.

In a lateral radiograph they lie over L4 and L5, and how much they hide depends on how thick they are: a hip bone is a
plate of 4 to 8 mm that widens towards its crest and towards the sacrum. Places are those of a CT, measured from the
middle of L5's body by eye; sacral slope, height of the crest and sizes are drawn from what adults have.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .painter import VOXEL_MM, Painter

#: From the middle of L5's body to that of S1's, mm; and the sacral slope, degrees, at which S1's axis leans back.
S1_MM, SLOPE_DEG = 36.0, (25.0, 58.0)

#: The bodies of S1 to S5: half width, half depth and half height, mm; and how much further each leans back, degrees.
SACRAL_MM = ((25, 16, 14), (20, 12, 12), (16, 9, 10), (13, 7, 9), (10, 6, 8))
BEND_DEG = (0, 9, 10, -12, -24)

#: Half width and half depth of the wings of S1 to S3, and how far behind their bodies the arches of S1 to S5 lie, mm.
WINGS_MM = ((16, 13), (15, 12), (9, 9))
ARCHES_MM = (33.0, 27.0, 21.0, 16.0, 12.0)

#: The right hip bone seen from above, from behind to the front: R and A in mm from L5's body.
BLADE_RA_MM = ((44, -68), (54, -46), (70, -28), (90, -8), (112, 14), (130, 44), (134, 66))

#: Its crest along that line (share of its length): mm above the middle of L5's body; and its lower border.
CREST_MM = ((0, 0.15, 0.35, 0.55, 0.75, 0.9, 1), (-18, 12, 32, 34, 18, -15, -50))
BORDER_MM = ((0, 0.2, 0.35, 0.5, 1), (-48, -62, -70, -100, -75))


def paint_pelvis(painter: Painter, hu: float) -> None:
    """Both hip bones and the sacrum into a body's HU; hu: of their cortex."""
    core = painter.uniform(40, 260)
    size = painter.uniform(0.88, 1.12)
    low = painter.at("L5")
    base = np.array([0.0, painter.spine(low) + painter.uniform(-4, 4), low + painter.uniform(-4, 3)])
    _hip_bones(painter, base, size, hu, core)
    _sacrum(painter, base, size, hu, core)


def _sacrum(painter: Painter, base: NDArray[np.float64], size: float, hu: float, core: float) -> None:
    """Five bodies that lean back one after the other, the wings beside the first two, arches and crest behind."""
    slope = painter.uniform(*SLOPE_DEG)
    cortex = painter.uniform(1.0, 2.0)
    # L5 and its disc lean back about two thirds as far as S1 does.
    between = np.radians(0.68 * slope)
    place = base[1:] - size * S1_MM * np.array([np.sin(between), np.cos(between)])
    lean, before = slope, 0.0
    for n, (radii, bend) in enumerate(zip(np.multiply(SACRAL_MM, size), BEND_DEG, strict=True)):
        lean += bend
        sin, cos = np.sin(np.radians(lean)), np.cos(np.radians(lean))
        if n:
            place = place - (before + radii[2]) * np.array([sin, cos])
        before = radii[2]
        # Of each part of the segment: to the right and behind its body's middle, half sides, thickness of the cortex.
        parts = [(0.0, 0.0, radii, cortex)]
        for side in (-1.0, 1.0):
            if n < len(WINGS_MM):  # up to the joint with the hip bone
                wide, deep = np.multiply(WINGS_MM[n], size)
                parts.append((side * (radii[0] + 0.8 * wide), 9.0, (wide, deep, radii[2] + 1), cortex))
            if n == 0:  # articular processes
                parts.append((side * 19 * size, 27.0, np.multiply((6, 6, 11), size), cortex))
        parts.append((0.0, ARCHES_MM[n], (0.75 * radii[0], 3.0 * size, radii[2] + 1), 1.0))
        for right, behind, sides, thick in parts:
            y, z = place + size * behind * np.array([-cos, sin])
            painter.block((right, y, z), sides, lean, hu)
            painter.block((right, y, z), np.subtract(sides, thick), lean, core)


def _hip_bones(painter: Painter, base: NDArray[np.float64], size: float, hu: float, core: float) -> None:
    """Two plates that stand on the line of BLADE_RA_MM, with thick crests and a thick joint to the sacrum."""
    thick, rim, cortex = painter.uniform(2.2, 4.2), painter.uniform(2.0, 5.0), painter.uniform(0.8, 1.6)
    line = np.asarray(BLADE_RA_MM, float) * size * (painter.uniform(0.93, 1.07), painter.uniform(0.9, 1.1))
    up = painter.uniform(-16, 8)
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    share = np.linspace(0, 1, 60)
    line = np.stack([np.interp(share, steps / steps[-1], line[:, n]) for n in range(2)], -1)
    crest, border = (np.interp(share, *table) * size + up for table in (CREST_MM, BORDER_MM))
    joint = 5.5 * np.clip(1 - share / 0.3, 0, 1)
    low, high = border.min(), crest.max()
    half_height = (high - low) / 2 + VOXEL_MM
    near = painter.box(np.add(base, (0, 0, (low + high) / 2)), (np.inf, np.inf, half_height))
    z = painter.z[near[0]] - float(base[2])
    y = painter.y[0, :, 0] - float(base[1])
    for side in (-1.0, 1.0):
        flat = torch.stack(torch.broadcast_tensors(side * painter.x[0, 0][None], y[:, None]), -1)
        away, nearest = torch.cdist(flat.reshape(-1, 2), torch.from_numpy(line).float()).min(-1)
        away = away.view(flat.shape[:-1])
        top, bottom, thicker = (
            torch.from_numpy(values).float()[nearest].view(away.shape) for values in (crest, border, joint)
        )
        half = thick + thicker + rim * (1 - (top - z) / 18).clamp(0, 1)
        plate = torch.maximum(away - half, torch.maximum(z - top, bottom - z))
        painter.paint(plate, hu, near)
        painter.paint(plate + cortex, core, near)
        head = np.array([side * 88 * size, 10.0 * size, -106.0 * size + up]) + base
        painter.ellipsoid(head, (25 * size,) * 3, 0.5 * hu + 0.5 * core)
