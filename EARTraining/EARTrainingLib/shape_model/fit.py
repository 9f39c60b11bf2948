"""A shape model fitted to two X-rays: pose and modes move until the shape's own projections look like the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import Affine, View
from torch import Tensor

from ..projection.raymarcher import project
from .model import ShapeModel, pose_optimiser
from .pose import POSE, placed

#: Steps for the pose alone, then for pose and modes.
POSE_STEPS, ALL_STEPS = 50, 100

#: Step size of the modes' weights, SDs.
WEIGHT_STEP = 0.1

#: Cost of one squared SD of one mode, and of one number of the pose, beside correlations of 1 at best.
PRIOR, POSE_PRIOR = 0.004, 0.02

#: SD of a pose: how far a vertebra lies from its ROI's middle (R, A, S; mm), is turned (rad) and differs in log size.
#: Without it a fit may settle on the neighbour above or below, which looks much the same.
POSE_SD = (4.0, 4.0, 4.0, 0.15, 0.15, 0.15, 0.1)

#: Bone as the model knows it: a shell of this thickness around a core, mm and g/cm3.
SHELL_MM, SHELL_DENSITY, CORE_DENSITY = 1.5, 1.4, 1.15

#: Pixels around the shape's shadow that count too.
AROUND = 5


@dataclass(frozen=True, eq=False)
class Fit:
    """distance_mm (N, N, N): the fitted shape in the cube. weights (K,): of its modes, SDs. pose (7,): see ``pose``.

    loss: 0 were the projections those of the images, without a prior.
    """

    distance_mm: Tensor
    weights: Tensor
    pose: Tensor
    loss: float


def fit(model: ShapeModel, images: Tensor, views: Sequence[View], ras_from_ijk: Affine) -> Fit:
    """Fit a model to two images of -log(I/I0) (2, H, W), of any gain and offset, taken from ``views``.

    ras_from_ijk: of the cube, N voxels of the model's spacing, at whose centre the vertebra's bounding box is expected.
    """
    weights = torch.zeros(len(model.modes), requires_grad=True)
    first = boxed(model.mean, model.spacing_mm)
    parts, optimiser = pose_optimiser(first, {"params": [weights], "lr": WEIGHT_STEP})
    for step in range(POSE_STEPS + ALL_STEPS):
        weights.requires_grad_(step >= POSE_STEPS)
        optimiser.zero_grad()
        shape = placed(model.distances(weights), torch.cat(parts), model.spacing_mm)
        unlike = dissimilarity(shadows(shape, views, ras_from_ijk, model.spacing_mm), images)
        astray = (torch.cat(parts) - first) / torch.tensor(POSE_SD)
        (unlike + PRIOR * weights.square().sum() + POSE_PRIOR * astray.square().sum()).backward()
        optimiser.step()
    pose, weights = torch.cat(parts).detach(), weights.detach()
    shape = placed(model.distances(weights), pose, model.spacing_mm)
    with torch.no_grad():
        loss = float(dissimilarity(shadows(shape, views, ras_from_ijk, model.spacing_mm), images))
    return Fit(shape, weights, pose, loss)


def boxed(distance_mm: Tensor, spacing_mm: float) -> Tensor:
    """The pose (7,) that brings the middle of a shape's bounding box to the frame's, where an ROI has it."""
    inside = (distance_mm < 0).nonzero().float()
    middle = (inside.amin(0) + inside.amax(0) - (distance_mm.shape[-1] - 1)) / 2 * spacing_mm
    return torch.cat([-middle.flip(0), torch.zeros(POSE - 3)])


def bone_density(distance_mm: Tensor, spacing_mm: float) -> Tensor:
    """Signed distances -> g/cm3 of the same shape, soft over a voxel at the surface and under the shell."""
    shell = torch.sigmoid((distance_mm + SHELL_MM) / (spacing_mm / 4))
    return occupancy(distance_mm, spacing_mm) * (CORE_DENSITY + (SHELL_DENSITY - CORE_DENSITY) * shell)


def occupancy(distance_mm: Tensor, spacing_mm: float) -> Tensor:
    """Share of each voxel that lies inside, smooth: one half on the surface."""
    return torch.sigmoid(-distance_mm / (spacing_mm / 4))


def shadows(distance_mm: Tensor, views: Sequence[View], ras_from_ijk: Affine, spacing_mm: float) -> Tensor:
    """Area density of a shape in each view, (V, H, W), g/cm3 mm; differentiable."""
    return project(bone_density(distance_mm, spacing_mm)[None], ras_from_ijk, views)[:, 0]


def dissimilarity(predicted: Tensor, images: Tensor) -> Tensor:
    """One minus the correlation of grey values, and of their gradients, around the shadow: mean over the views.

    Both (V, H, W). Gain and offset do not matter, nor does what lies farther from the shadow, neighbours above all.
    """
    shadow = (predicted.detach() > 0.05 * predicted.detach().amax((1, 2), keepdim=True)).float()
    near = F.max_pool2d(shadow[:, None], 2 * AROUND + 1, 1, AROUND)[:, 0]
    grey = _correlation(predicted, images, near)
    slopes = [_correlation(a, b, near) for a, b in zip(_slopes(predicted), _slopes(images), strict=True)]
    return 1 - (grey + torch.stack(slopes).mean(0)).mean() / 2


def _correlation(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """Weighted correlation of images (V, H, W): (V,)."""
    total = weights.sum((1, 2), keepdim=True)
    a, b = (x - (weights * x).sum((1, 2), keepdim=True) / total for x in (a, b))
    together, own, other = ((weights * x * y).sum((1, 2)) for x, y in ((a, b), (a, a), (b, b)))
    return together / (own * other).clamp_min(1e-12).sqrt()


def _slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along rows and columns, the border repeated."""
    padded = F.pad(images[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
