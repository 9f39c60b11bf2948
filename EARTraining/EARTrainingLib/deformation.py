"""Shape augmentation: a scene mirrored, turned, scaled, bent, broken and off its ROI's centre, in one interpolation.

Fractures and osteophytes need to know where the vertebra's body is: its centre is the deepest point of the bone, and
half its height the depth there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .datasets.scenes import AIR_HU, Scene

#: Distance between the control points of a bend, mm.
BEND_CELL_MM = 24.0

#: Kinds of a fractured body (Genant 1993): lower in front, in the middle, or everywhere.
FRACTURES = ("wedge", "biconcave", "crush")

#: Share of its height that a fractured body loses where it loses most: Genant's grades 1 to 3 are 0.2 to 0.45.
HEIGHT_LOSS = (0.15, 0.5)

#: Variance along S of what is deep in bone, mm2: at this it says half of how the column leans, below it nothing. One
#: body has 10 to 30, a column of three 600.
ALONE_MM2 = 60.0

#: Over this distance from a broken endplate its neighbours' move into the gap fades, mm.
FADE_MM = 15.0

#: Osteophytes of one body, at most; their radius, and the width of the seam to the bone, mm.
MOST_OSTEOPHYTES, OSTEOPHYTE_MM, SEAM_MM = 4, (1.5, 4.0), 3.0


@dataclass(frozen=True)
class Deformation:
    """Ranges of one random deformation, plus or minus unless a pair. Lengths in mm, angles in degrees.

    mirror: left and right are exchanged in half of the samples. tilt_deg: to the front or the back, besides
    rotation_deg, of scenes without CT: in a kyphosis upper vertebrae lean forward by 40 degrees and more. scale: of the
    whole; stretch: of each axis besides, as a share. bend_mm: SD of a smooth displacement. roi_error_mm: how far a
    hand-placed ROI is off. fractures: share of samples with a broken body. osteophytes: share of the samples without CT
    with bony spurs at its rims.
    """

    mirror: bool = True
    rotation_deg: float = 8.0
    tilt_deg: float = 0.0
    scale: tuple[float, float] = (0.85, 1.15)
    stretch: float = 0.06
    bend_mm: float = 1.5
    roi_error_mm: float = 3.0
    fractures: float = 0.0
    osteophytes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation_deg", "tilt_deg"):
            if not 0 <= getattr(self, name) < 90:
                raise ValueError(f"{name} is 0 to 90 degrees, got {getattr(self, name)}")
        for name in ("fractures", "osteophytes"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share of samples, 0 to 1, got {getattr(self, name)}")


#: The shape as it is.
UNDEFORMED = Deformation(False, 0.0, 0.0, (1.0, 1.0), 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shapes:
    """A scene as tensors (D, H, W) on one device: signed distances in mm, and HU where the scene has a CT."""

    target_mm: torch.Tensor
    others_mm: torch.Tensor
    hu: torch.Tensor | None


def deformed(
    scene: Scene,
    deformation: Deformation,
    rng: np.random.Generator,
    generator: torch.Generator,
    device: torch.device,
) -> Shapes:
    """A scene after one random deformation. generator: on the CPU, so that every device bends alike."""
    maps = [scene.target_mm, scene.others_mm] + ([] if scene.hu is None else [scene.hu])
    stack = torch.stack([torch.from_numpy(m).to(device, torch.float32) for m in maps])
    if deformation != UNDEFORMED:
        if scene.hu is not None:
            stack[2] -= AIR_HU  # beyond the grid there is air
        grid, growth = _sampling_grid(scene, deformation, rng, generator)
        grid = grid.to(device)
        distances = F.grid_sample(stack[None, :2], grid, padding_mode="border", align_corners=False)[0]
        distances *= growth  # a larger bone has larger distances
        density = F.grid_sample(stack[None, 2:], grid, padding_mode="zeros", align_corners=False)[0] + AIR_HU
        stack = torch.cat([distances, density])
    target, others = stack[0], stack[1]
    if scene.hu is None and deformation.osteophytes and rng.uniform() < deformation.osteophytes:
        target = _with_osteophytes(target, scene.spacing_mm, rng)
    others = torch.maximum(others, 0.5 * scene.spacing_mm - target)  # neighbours keep off the target
    return Shapes(target, others, None if scene.hu is None else stack[2])


def _sampling_grid(
    scene: Scene, deformation: Deformation, rng: np.random.Generator, generator: torch.Generator
) -> tuple[torch.Tensor, float]:
    """Where each voxel of the deformed scene comes from, for grid_sample: (1, D, H, W, 3); and the mean scale."""
    half = np.array(scene.shape[::-1]) * scene.spacing_mm / 2  # mm from the centre to the faces, along i, j, k
    angles = np.radians(rng.uniform(-1, 1, 3) * deformation.rotation_deg)
    if deformation.tilt_deg and scene.hu is None:  # a CT would end within the crop
        angles[0] += np.radians(rng.uniform(-1, 1) * deformation.tilt_deg)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )
    scale = rng.uniform(*deformation.scale) * (1 + rng.uniform(-1, 1, 3) * deformation.stretch)
    mirror = rng.choice([-1.0, 1.0]) if deformation.mirror else 1.0
    matrix = rotation @ np.diag([mirror, 1, 1] / scale)
    shift_mm = rng.uniform(-1, 1, 3) * deformation.roi_error_mm
    strength = deformation.bend_mm * rng.uniform(0, 1.5)
    theta = np.column_stack([matrix * half / half[:, None], shift_mm / half])  # grid_sample counts in half sides
    d, h, w = scene.shape
    grid = F.affine_grid(torch.tensor(theta[None], dtype=torch.float32), [1, 1, d, h, w], align_corners=False)
    cells = [max(2, round(n * scene.spacing_mm / BEND_CELL_MM) + 1) for n in scene.shape]
    coarse = torch.randn(1, 3, *cells, generator=generator) * torch.tensor(strength / half).float().view(1, 3, 1, 1, 1)
    bend = F.interpolate(coarse, size=(d, h, w), mode="trilinear", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 4, 1)
    if deformation.fractures and rng.uniform() < deformation.fractures:
        kind, loss = str(rng.choice(FRACTURES)), rng.uniform(*HEIGHT_LOSS)
        points_mm = grid * torch.tensor(half, dtype=torch.float32)
        centre, half_height = body(torch.from_numpy(scene.target_mm), scene.spacing_mm)
        grid[..., 2] += fracture_mm(points_mm, centre, half_height, kind, loss) / half[2]
    return grid, float(scale.mean())


def body(target_mm: torch.Tensor, spacing_mm: float) -> tuple[tuple[float, float, float], float]:
    """Centre of a vertebra's body in mm from the grid's centre (R, A, S), and half its height: from (D, H, W)."""
    target_mm = target_mm.float()
    deepest = np.unravel_index(int(target_mm.argmin()), target_mm.shape)
    i, j, k = ((p - (n - 1) / 2) * spacing_mm for p, n in zip(deepest[::-1], target_mm.shape[::-1], strict=True))
    return (float(i), float(j), float(k)), max(-float(target_mm.min()), spacing_mm)


def column_lean(target_mm: torch.Tensor, others_mm: torch.Tensor, spacing_mm: float) -> float:
    """How far the column leans to the front: mm along A for each mm upwards, from signed distances (D, H, W).

    A line through all that lies as deep in bone as only bodies do. One body alone cannot say it: that gives 0.
    """
    depth_mm = torch.minimum(target_mm, others_mm)
    k, j, _ = torch.nonzero(depth_mm < 0.5 * depth_mm.min(), as_tuple=True)
    if not len(k):
        return 0.0
    a, s = ((index.float() - index.float().mean()) * spacing_mm for index in (j, k))
    height = float(s.square().mean())
    return float((a * s).mean()) / (height + ALONE_MM2) if height > ALONE_MM2 else 0.0


def fracture_mm(
    points_mm: torch.Tensor, centre_mm: tuple[float, float, float], half_height_mm: float, kind: str, loss: float
) -> torch.Tensor:
    """How far along S the points of a broken vertebra lie from where they come from: (..., 3) R, A, S -> (...), mm.

    Towards its middle the body keeps (1 - loss w) of its height, w the kind's share there: rising from the back wall to
    the front (wedge), highest on the body's axis (biconcave) or 1 before the back wall (crush). The arch stays.
    """
    r, a, s = (points_mm[..., axis] - c for axis, c in enumerate(centre_mm))
    wall = 1.2 * half_height_mm
    front = ((a / wall + 1) / 2).clamp(0, 1)
    if kind == "biconcave":
        share = torch.exp(-(r.square() + a.square()) / wall**2)
    else:
        share = front if kind == "wedge" else (4 * front).clamp(max=1)
    lost = loss * share
    inside = torch.minimum(s.abs() * lost / (1 - lost), half_height_mm * lost)
    beyond = (s.abs() - half_height_mm * (1 - lost)).clamp(min=0)
    return s.sign() * inside * torch.exp(-beyond / FADE_MM)


def _with_osteophytes(target_mm: torch.Tensor, spacing_mm: float, rng: np.random.Generator) -> torch.Tensor:
    """Spurs on the rims of the endplates, before the back wall: balls that run smoothly into the bone."""
    centre, half_height = body(target_mm.cpu(), spacing_mm)
    k, j, i = (
        torch.arange(n, device=target_mm.device) * spacing_mm - (n - 1) / 2 * spacing_mm for n in target_mm.shape
    )
    rim = (target_mm.abs() < spacing_mm) & (j > centre[1] - half_height)[:, None]
    rim &= (((k - centre[2]).abs() - half_height).abs() < 2 * spacing_mm)[:, None, None]
    places = rim.nonzero()
    for _ in range(int(rng.integers(1, MOST_OSTEOPHYTES + 1)) if len(places) else 0):
        kk, jj, ii = places[int(rng.integers(len(places)))].tolist()
        away = (k - k[kk]).square()[:, None, None] + (j - j[jj]).square()[:, None] + (i - i[ii]).square()
        ball = away.sqrt() - rng.uniform(*OSTEOPHYTE_MM)
        seam = (SEAM_MM - (ball - target_mm).abs()).clamp(min=0) / SEAM_MM  # a smooth minimum (Quilez 2008)
        target_mm = torch.minimum(ball, target_mm) - seam.square() * SEAM_MM / 4
    return target_mm
