"""A statistical shape model: mean and principal modes of signed distances (Leventon 2000), aligned as a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .pose import POSE, brought_back

#: Distances beyond this say nothing on the shape and much on what lies far from it, mm.
FAR_MM = 8.0

#: Rounds of aligning all shapes to their mean, and steps of each.
ROUNDS, STEPS = 2, 40

#: Step sizes of a pose's translation (mm), rotation (rad) and log scale.
POSE_STEPS = (0.5, 0.02, 0.01)


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """mean (N, N, N): signed distances in mm, in the model's frame. modes (K, N, N, N): each for one SD, largest first.

    explained: the share of the shapes' variance that the modes hold. shapes: how many it was made from.
    """

    mean: Tensor
    modes: Tensor
    spacing_mm: float
    explained: float
    shapes: int

    def distances(self, weights: Tensor) -> Tensor:
        """The shape with mode weights (K,), in SDs: (N, N, N)."""
        return self.mean + torch.tensordot(weights, self.modes, dims=1)


def shape_model(shapes: Sequence[Tensor], spacing_mm: float, *, most: int = 20, variance: float = 0.98) -> ShapeModel:
    """A model of shapes (N, N, N) in mm and their mirror images, with modes for a share of the variance, ``most`` of
    them at most. Raises ValueError for fewer than two shapes."""
    if len(shapes) < 2:
        raise ValueError(f"a shape model needs two shapes or more, got {len(shapes)}")
    both = [side for shape in shapes for side in (shape.float(), shape.float().flip(-1))]
    common = torch.stack(aligned(both, spacing_mm)).clamp(-FAR_MM, FAR_MM)
    mean = common.mean(0)
    rows = (common - mean).flatten(1)
    values, vectors = torch.linalg.eigh((rows @ rows.T).double())  # as many as shapes, not as voxels
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    share = values.cumsum(0) / values.sum()
    count = min(int((share < variance).sum()) + 1, most, len(both) - 1)
    modes = vectors[:, :count].T.float() @ rows / (len(both) - 1) ** 0.5
    return ShapeModel(mean, modes.reshape(count, *mean.shape), spacing_mm, float(share[count - 1]), len(shapes))


def aligned(shapes: Iterable[Tensor], spacing_mm: float) -> list[Tensor]:
    """Shapes in one common frame: each at its centroid and of one volume, then turned, moved and scaled to the mean."""
    shapes = list(shapes)
    volume = torch.tensor([float((shape < 0).sum()) for shape in shapes]).log().mean().exp()
    poses = [_first_pose(shape, float(volume), spacing_mm) for shape in shapes]
    for _ in range(ROUNDS):
        mean = torch.stack(_common(shapes, poses, spacing_mm)).mean(0)
        poses = [_to(mean, shape, pose, spacing_mm) for shape, pose in zip(shapes, poses, strict=True)]
        middle = torch.stack(poses).mean(0)
        poses = [pose - middle * _drifting(pose) for pose in poses]
    return _common(shapes, poses, spacing_mm)


def pose_optimiser(pose: Tensor, *more: dict[str, object]) -> tuple[list[Tensor], torch.optim.Optimizer]:
    """Leaves for a pose's three parts, each with its step size, and Adam over them and more groups."""
    parts = [part.clone().requires_grad_() for part in (pose[:3], pose[3:6], pose[6:])]
    groups = [{"params": [part], "lr": step} for part, step in zip(parts, POSE_STEPS, strict=True)]
    return parts, torch.optim.Adam([*groups, *more])


def _common(shapes: Sequence[Tensor], poses: Sequence[Tensor], spacing_mm: float) -> list[Tensor]:
    return [brought_back(shape, pose, spacing_mm) for shape, pose in zip(shapes, poses, strict=True)]


def _drifting(pose: Tensor) -> Tensor:
    """What the mean of all poses may not have: a turn or a scale; each shape keeps its own centre."""
    return torch.cat([torch.zeros(3), torch.ones(POSE - 3)]).to(pose)


def _first_pose(shape: Tensor, volume: float, spacing_mm: float) -> Tensor:
    inside = (shape < 0).nonzero().float()
    centre = ((inside.mean(0) - (shape.shape[-1] - 1) / 2) * spacing_mm).flip(0)
    return torch.cat([centre, torch.zeros(3), torch.tensor([len(inside) / volume]).log() / 3])


def _to(mean: Tensor, shape: Tensor, pose: Tensor, spacing_mm: float) -> Tensor:
    """The pose that brings a shape closest to the mean, on half the resolution."""
    small, goal = (F.avg_pool3d(volume[None, None], 2)[0, 0] for volume in (shape, mean))
    goal = goal.clamp(-FAR_MM, FAR_MM)
    parts, optimiser = pose_optimiser(pose)
    for _ in range(STEPS):
        optimiser.zero_grad()
        moved = brought_back(small, torch.cat(parts), 2 * spacing_mm).clamp(-FAR_MM, FAR_MM)
        (moved - goal).square().mean().backward()
        optimiser.step()
    return torch.cat(parts).detach()
