"""Refinement on a bone of which all is known: a body with a process behind it and a knob on its right."""

from __future__ import annotations

import pytest
import torch
from EARReconstructionLib.geometry import View, crop_view, cube_affine
from EARTrainingLib import refinement as module
from EARTrainingLib.projection.materials import material_densities
from EARTrainingLib.projection.raymarcher import project
from EARTrainingLib.refinement import refine
from torch import Tensor

SIDE, SPACING_MM = 32, 3.0
CENTRE = (60.0, -40.0, 90.0)
AFFINE = cube_affine(CENTRE, SIDE, SPACING_MM)
THRESHOLD_HU = -350.0


def bone(shift_mm: tuple[float, float, float] = (0, 0, 0), taller: float = 1.0) -> Tensor:
    """HU (k, j, i) of the bone, moved along R, A, S and stretched along S."""
    axis = (torch.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    s, a, r = torch.meshgrid(axis, axis, axis, indexing="ij")
    r, a, s = r - shift_mm[0], a - shift_mm[1], (s - shift_mm[2]) / taller

    def ball(centre: tuple[float, float, float], half: tuple[float, float, float]) -> Tensor:
        share = sum(((x - c) / h).square() for x, c, h in zip((r, a, s), centre, half, strict=True))
        return (torch.as_tensor(share).sqrt() - 1) * min(half)

    shape = torch.minimum(ball((0, 8, 0), (20, 15, 13)), ball((0, -18, -3), (6, 16, 7)))
    shape = torch.minimum(shape, ball((20, -4, 3), (12, 6, 5)))
    return -1000 + 1300 * (0.5 - shape / SPACING_MM).clamp(0, 1)


@pytest.fixture(scope="module")
def views() -> list[View]:
    device = [View(alpha, 0.0, 1000.0, 1300.0, 0.6, 400, 400, (0.0, 0.0, 0.0)) for alpha in (0.0, 90.0)]
    return [crop_view(view, CENTRE, SIDE, SPACING_MM) for view in device]


def images_of(volume: Tensor, views: list[View]) -> Tensor:
    """-log(I/I0) of a volume, of some gain and offset."""
    soft, hard = project(material_densities(volume), AFFINE, views).unbind(1)
    return 0.03 * (soft + 1.6 * hard) - 0.7


def dice(one: Tensor, other: Tensor) -> float:
    a, b = one > THRESHOLD_HU, other > THRESHOLD_HU
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def middle_mm(volume: Tensor) -> Tensor:
    """R, A, S of the middle of the bone's mass."""
    inside = (volume - THRESHOLD_HU).clamp_min(0)
    axis = (torch.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    return torch.stack([(inside.sum(axes) * axis).sum() / inside.sum() for axes in ((0, 1), (0, 2), (1, 2))])


@pytest.mark.parametrize("shift", [(4.0, 0, 0), (0, -4.0, 0), (0, 0, 4.0), (-2.0, 2.0, -2.5)])
def test_a_bone_goes_where_its_shadow_is(shift: tuple[float, float, float], views: list[View]) -> None:
    """Along each axis, to its side: a mirrored axis would move it away."""
    truth, start = bone(), bone(shift)
    found = refine(start, images_of(truth, views), views, AFFINE, SPACING_MM)
    assert dice(found, truth) > dice(start, truth) + 0.05
    left = middle_mm(found) - middle_mm(truth)
    assert float(left.norm()) < 0.35 * float(torch.tensor(shift).norm())


def test_a_bone_that_is_too_low_becomes_as_high_as_its_shadow(views: list[View]) -> None:
    truth, start = bone(taller=1.2), bone()
    found = refine(start, images_of(truth, views), views, AFFINE, SPACING_MM)
    assert dice(found, truth) > dice(start, truth) + 0.03


def test_what_is_right_stays(views: list[View]) -> None:
    truth = bone()
    assert dice(refine(truth, images_of(truth, views), views, AFFINE, SPACING_MM), truth) > 0.97


def test_gain_and_offset_of_the_images_do_not_matter(views: list[View]) -> None:
    start, images = bone((3.0, 0, 0)), images_of(bone(), views)
    one, other = (refine(start, shown, views, AFFINE, SPACING_MM) for shown in (images, 40 * images + 7))
    assert (one - other).abs().max() < 30  # HU at an edge of 1300: a fortieth of a voxel


def test_it_keeps_what_it_is_given(views: list[View]) -> None:
    start, images = bone((3.0, 0, 0)), images_of(bone(), views)
    before = start.clone(), images.clone()
    found = refine(start, images, views, AFFINE, SPACING_MM)
    assert torch.equal(start, before[0])
    assert torch.equal(images, before[1])
    assert not found.requires_grad
    assert found.amin() > start.amin() - 1  # nothing but interpolated
    assert found.amax() < start.amax() + 1


def test_the_steps_are_smooth(views: list[View]) -> None:
    """Neighbouring voxels move alike: no fold in the volume."""
    moves = torch.randn(1, 3, 7, 7, 7, generator=torch.Generator().manual_seed(0))
    moved = module._smooth(moves, bone())
    assert moved.shape == (1, 3, SIDE, SIDE, SIDE)
    for axis in (2, 3, 4):
        assert float(moved.diff(dim=axis).abs().max()) < SPACING_MM
