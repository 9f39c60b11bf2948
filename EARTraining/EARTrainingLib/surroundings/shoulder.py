"""Shoulder blades, collarbones and upper arms beside the upper thoracic vertebrae.

In a lateral radiograph they lie over T1 to T6, and hide them more than anything else does. A shoulder blade is a plate
of 2 to 4 mm between thick borders, oblique between the ribs behind and the joint at the side; arms hang, or are raised
as for a CT. Places are by eye, from what atlases and a CT show.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .painter import MUSCLE_HU, VOXEL_MM, Painter

Point = NDArray[np.float64]

#: Share of bodies with raised arms: nearly all in a CT, few standing.
RAISED = 0.6

#: Muscle around blade and collarbone, mm, where the trunk ends before.
MUSCLE_MM = 15.0


def paint_shoulders(painter: Painter, skin: torch.Tensor, hu: float) -> None:
    """Both shoulders into a body's HU, alike. skin: distance to the trunk's, mm, negative inside. hu: of their cortex.

    Muscle is added where the trunk has none.
    """
    raised = painter.uniform(0, 1) < RAISED
    high, out = painter.uniform(-12, 25) + (22 if raised else 0), painter.uniform(0.88, 1.1)
    behind, joint = painter.uniform(52, 72), painter.uniform(-30, 12)
    medial, thick = painter.uniform(58, 85) + (18 if raised else 0), painter.uniform(1.0, 2.2)
    core, arm = 0.35 * hu, painter.uniform(38, 58)
    upper, lower = painter.at("T3") + high, painter.at("T8", painter.uniform(-0.5, 0.7)) + high
    column = painter.spine(painter.at("T4"))
    for side in (-1.0, 1.0):
        inner = np.array([side * medial * out, column - behind])
        glenoid = np.array([side * 142.0 * out, column + joint])
        tip = np.array([*(0.75 * inner + 0.25 * glenoid), lower])
        top, socket = np.array([*inner, upper]), np.array([*glenoid, upper + 2])
        acromion = socket + np.array([side * 12, -8, 22])
        breast = painter.spine(painter.at("T2")) + 70
        collar = np.array([(side * 12, breast, painter.at("T2")), (side * 70, breast - 25, upper + 18), acromion])
        head = socket + np.array([side * 24, 4, 4])
        elbow = head + np.array([side * 18, 15, 190] if raised else [side * 26, 10, -250])
        for start, end in ((tip, socket), (top, acromion), (collar[0], collar[1]), (collar[1], acromion)):
            _limb(painter, start, end, MUSCLE_MM, skin)
        _limb(painter, head, elbow, arm, skin)
        _blade(painter, inner, glenoid, (lower, upper), thick, 0.7 * hu, skin)
        for ends, radius in (((tip, socket), 4.5), ((tip, top), 2.0), ((top, acromion), 4.5)):
            painter.strand(np.array(ends), radius, hu)
        painter.strand(collar, 5.5, hu)
        painter.ellipsoid(head, (24, 24, 24), core)
        painter.ellipsoid(head, (24, 24, 24), hu, shell_mm=1.0)
        painter.strand(np.array([head, elbow]), 10.0, 0.6 * hu)


def _blade(
    painter: Painter,
    inner: Point,
    outer: Point,
    heights: tuple[float, float],
    half_mm: float,
    hu: float,
    skin: torch.Tensor,
) -> None:
    """A plate that stands on the line from the inner to the outer end, R and A in mm, narrows downwards, in muscle."""
    (lower, upper), length = heights, float(np.linalg.norm(outer - inner))
    r, a = ((outer - inner) / length).tolist()
    x, y = painter.x - float(inner[0]), painter.y - float(inner[1])
    u = (x * r + y * a) / length
    across = (y * r - x * a).abs()
    share = ((painter.z - lower) / (upper - lower)).clamp(0, 1)
    beside = torch.maximum(u - 0.25 - 0.75 * share, 0.25 * (1 - share) - u) * length
    ends = torch.maximum(painter.z - upper, lower - painter.z)
    sides = torch.maximum(beside, ends)
    painter.paint(torch.maximum(torch.maximum(across, sides) - MUSCLE_MM, -skin - 20), MUSCLE_HU)
    painter.paint(torch.maximum(across - half_mm, sides), hu)


def _limb(painter: Painter, start: Point, end: Point, radius_mm: float, skin: torch.Tensor) -> None:
    """An arm or what joins it: muscle around a line, outside of the trunk and a little into its fat."""
    way, spare = end - start, radius_mm + VOXEL_MM
    box = painter.box((start + end) / 2, np.abs(way) / 2 + spare)
    k, j, i = box
    r, a, s = painter.x[..., i] - start[0], painter.y[:, j] - start[1], painter.z[k] - start[2]
    t = ((r * way[0] + a * way[1] + s * way[2]) / float(way @ way)).clamp(0, 1)
    away = ((r - t * way[0]).square() + (a - t * way[1]).square() + (s - t * way[2]).square()).sqrt()
    painter.paint(torch.maximum(away - radius_mm, -skin[box] - 20), MUSCLE_HU, box)
