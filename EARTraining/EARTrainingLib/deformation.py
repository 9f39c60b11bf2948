"""Shape augmentation: a scene mirrored, turned, scaled, bent and off its ROI's centre, in one interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .datasets.scenes import AIR_HU, Scene

#: Distance between the control points of a bend, mm.
BEND_CELL_MM = 24.0


@dataclass(frozen=True)
class Deformation:
    """Ranges of one random deformation, plus or minus unless a pair. Lengths in mm, angles in degrees.

    mirror: left and right are exchanged in half of the samples. scale: of the whole; stretch: of each axis besides,
    as a share. bend_mm: SD of a smooth displacement. roi_error_mm: how far a hand-placed ROI is off.
    """

    mirror: bool = True
    rotation_deg: float = 8.0
    scale: tuple[float, float] = (0.85, 1.15)
    stretch: float = 0.06
    bend_mm: float = 1.5
    roi_error_mm: float = 3.0


#: The shape as it is.
UNDEFORMED = Deformation(False, 0.0, (1.0, 1.0), 0.0, 0.0, 0.0)


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
    others = torch.maximum(others, 0.5 * scene.spacing_mm - target)  # neighbours keep off the target
    return Shapes(target, others, None if scene.hu is None else stack[2])


def _sampling_grid(
    scene: Scene, deformation: Deformation, rng: np.random.Generator, generator: torch.Generator
) -> tuple[torch.Tensor, float]:
    """Where each voxel of the deformed scene comes from, for grid_sample: (1, D, H, W, 3); and the mean scale."""
    half = np.array(scene.shape[::-1]) * scene.spacing_mm / 2  # mm from the centre to the faces, along i, j, k
    angles = np.radians(rng.uniform(-1, 1, 3) * deformation.rotation_deg)
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
    return grid + bend.permute(0, 2, 3, 4, 1), float(scale.mean())
