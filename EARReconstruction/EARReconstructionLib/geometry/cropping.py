"""Cutting one vertebra out of a full radiograph; ``views.crop_view`` says where."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from .views import View


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
