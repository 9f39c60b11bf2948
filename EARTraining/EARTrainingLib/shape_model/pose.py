"""A pose: where a shape of the model's frame lies in the cube, how it is turned and how large it is.

Seven numbers (7,): translation along R, A, S in mm, rotation vector in radians about R, A, S, and the logarithm of the
scale. Shapes are signed distances (N, N, N) in mm, negative inside, (k, j, i) = (S, A, R), centred on the frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Numbers of a pose.
POSE = 7


def rotation(vector: Tensor) -> Tensor:
    """(3,) rotation vector -> (3, 3) matrix on (R, A, S)."""
    x, y, z = vector
    none = torch.zeros_like(x)
    skew = torch.stack([none, -z, y, z, none, -x, -y, x, none]).reshape(3, 3)
    turned: Tensor = torch.linalg.matrix_exp(skew)
    return turned


def placed(distance_mm: Tensor, pose: Tensor, spacing_mm: float) -> Tensor:
    """A shape of the model's frame in the cube: at p it has s phi(R^T (p - t) / s), so that it stays a distance."""
    turn, scale = rotation(pose[3:6]), pose[6].exp()
    return scale * _sampled(distance_mm, turn.T / scale, -(turn.T @ pose[:3]) / scale, spacing_mm)


def brought_back(distance_mm: Tensor, pose: Tensor, spacing_mm: float) -> Tensor:
    """Inverse of ``placed``: a shape of the cube in the model's frame, phi(s R q + t) / s."""
    turn, scale = rotation(pose[3:6]), pose[6].exp()
    return _sampled(distance_mm, scale * turn, pose[:3], spacing_mm) / scale


def _sampled(volume: Tensor, matrix: Tensor, shift_mm: Tensor, spacing_mm: float) -> Tensor:
    """volume(matrix x + shift) at every voxel x of its own grid; beyond it the border goes on."""
    half_mm = volume.shape[-1] * spacing_mm / 2
    theta = torch.cat([matrix, (shift_mm / half_mm)[:, None]], dim=1)[None]
    grid = F.affine_grid(theta, [1, 1, *volume.shape], align_corners=False)
    return F.grid_sample(volume[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
