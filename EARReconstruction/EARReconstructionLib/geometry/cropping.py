"""Cutting one vertebra out of a full radiograph without losing where it was."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike

from ..errors import GeometryError
from .views import View


def crop_view(view: View, centre_ras_mm: ArrayLike, size: int, spacing_mm: float) -> View:
    """The sub-window of a detector, ``size`` pixels square, around the projection of a point.

    A pixel of the crop measures ``spacing_mm`` in the plane of that point, so a vertebra has the same size in the crop
    wherever it stands. Source, beam and detector plane are those of ``view``: P differs by a scaled and shifted
    principal point only, and stays right for a vertebra far from the central ray.

    Raises GeometryError when the point lies behind the source or the detector.
    """
    (u, v), depth = view.project(centre_ras_mm)
    if not 0 < depth < view.sdd_mm:
        raise GeometryError(
            "vertebra ROI",
            f"its centre is {float(depth):.0f} mm from the source, not between source and detector",
            "Move the ROI or correct SOD and SDD",
        )
    pixel_mm = spacing_mm * view.sdd_mm / float(depth)
    scale = view.pixel_mm / pixel_mm
    u0, v0 = view.K[0, 2], view.K[1, 2]
    point = ((u0 - u) * scale + size / 2, (v0 - v) * scale + size / 2)
    return replace(view, pixel_mm=pixel_mm, height=size, width=size, principal_point=(float(point[0]), float(point[1])))


def crop_image(pixels: torch.Tensor, view: View, crop: View) -> tuple[torch.Tensor, float]:
    """Resample an image (..., H, W) of ``view`` onto the pixels of ``crop``, a sub-window of the same detector.

    Each pixel of the crop is the mean of the samples it covers, so that a fine radiograph is not aliased. Outside
    the image its border continues. Returns the crop (..., h, w) and the share of it that lies inside the image.
    """
    scale = crop.pixel_mm / view.pixel_mm  # image pixels per crop pixel
    oversampling = max(1, math.ceil(scale))
    offset_u, offset_v = (view.K[a, 2] - crop.K[a, 2] * scale for a in (0, 1))
    u = (np.arange(crop.width * oversampling) + 0.5) / oversampling * scale + offset_u
    v = (np.arange(crop.height * oversampling) + 0.5) / oversampling * scale + offset_v
    inside_u, inside_v = (u >= 0) & (u <= view.width), (v >= 0) & (v <= view.height)
    gv, gu = torch.meshgrid(
        torch.as_tensor(2 * v / view.height - 1), torch.as_tensor(2 * u / view.width - 1), indexing="ij"
    )
    grid = torch.stack([gu, gv], -1)[None].to(pixels)
    flat = pixels.reshape(1, -1, *pixels.shape[-2:])
    samples = F.grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=False)
    out = F.avg_pool2d(samples, oversampling) if oversampling > 1 else samples
    return out.reshape(*pixels.shape[:-2], crop.height, crop.width), float(inside_u.mean() * inside_v.mean())
