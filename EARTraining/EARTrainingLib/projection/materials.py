"""From Hounsfield units to the mass density of each material that the X-rays pass."""

from __future__ import annotations

import torch

#: Order of the material channels, the same everywhere: area densities, attenuation tables, engines.
MATERIALS = ("soft", "bone")

#: Thresholds of the paper's engine (DeepDRR), HU: air up to -800, bone above 350.
AIR_HU, BONE_HU = -800.0, 350.0

#: Half-widths, HU, of the ramps that replace these thresholds.
AIR_RAMP_HU, BONE_RAMP_HU = 100.0, 150.0


def density_from_hu(hu: torch.Tensor) -> torch.Tensor:
    """Mass density in g/cm3, any shape: DeepDRR's two lines, tissue (0.001029 HU + 1.03) and, above water, bone.

    Air at -1000 HU has 0.001; values below are clamped to 0.
    """
    return torch.minimum(1.03 + 0.001029 * hu, 1.03 + 0.0005886 * hu).clamp_min(0)


def material_densities(hu: torch.Tensor) -> torch.Tensor:
    """Density of soft tissue and of bone in every voxel: HU (..., D, H, W) -> g/cm3 (..., 2, D, H, W).

    The two add up to the voxel's density. It is linear in HU on either side of water, so that a voxel which a cortex
    or the skin cuts in two keeps its mass. Which material holds that mass changes on a ramp around the threshold, not
    in a step: beside every cortex lie voxels of half bone, half soft tissue, and a step would make each of them all one
    or all the other. Below -900 HU both are exactly 0, so that the air around a patient can be cut off and its noise
    leaves no trace; in return a voxel with less than a third of tissue in air loses part of it.
    """
    density = density_from_hu(hu) * _ramp(hu, AIR_HU, AIR_RAMP_HU)
    bone = density * _ramp(hu, BONE_HU, BONE_RAMP_HU)
    return torch.stack([density - bone, bone], dim=-4)


def _ramp(hu: torch.Tensor, centre: float, half_width: float) -> torch.Tensor:
    """0 below centre - half_width, 1 above centre + half_width, linear between."""
    return ((hu - (centre - half_width)) / (2 * half_width)).clamp(0, 1)
