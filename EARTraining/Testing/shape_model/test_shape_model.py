"""The shape model on shapes of which all is known: blocks that differ in one length, somewhere, turned somehow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import View, crop_view, cube_affine
from EARTrainingLib.shape_model.fit import boxed, dissimilarity, fit, occupancy, shadows
from EARTrainingLib.shape_model.model import FAR_MM, ShapeModel, aligned, shape_model
from EARTrainingLib.shape_model.pose import POSE, brought_back, placed, rotation
from torch import Tensor

SIDE, SPACING_MM = 32, 3.0
AFFINE = cube_affine((0.0, 0.0, 0.0), SIDE, SPACING_MM)
POSED = torch.tensor([4.0, -3.0, 5.0, 0.1, -0.15, 0.2, 0.08])


def vertebra(process_mm: float, pose: Tensor | None = None) -> Tensor:
    """Signed distance of a body with a process behind it, (k, j, i)."""
    axis = (torch.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    s, a, r = torch.meshgrid(axis, axis, axis, indexing="ij")

    def block(centre: tuple[float, float, float], half: tuple[float, float, float]) -> Tensor:
        beyond = torch.stack([(x - c).abs() - h for x, c, h in zip((r, a, s), centre, half, strict=True)])
        return beyond.clamp(min=0).norm(dim=0) + beyond.amax(0).clamp(max=0)

    spine = block((0, -4 - process_mm / 2, -2), (5, process_mm / 2, 6))
    shape = torch.minimum(block((0, 8, 0), (17, 12, 11)), spine)
    return shape if pose is None else placed(shape, pose, SPACING_MM)


@pytest.fixture(scope="module")
def model() -> ShapeModel:
    return shape_model([vertebra(length) for length in (14, 18, 22, 26, 30)], SPACING_MM)


@pytest.fixture(scope="module")
def views() -> list[View]:
    device = [View(alpha, 0.0, 1000.0, 1300.0, 1.0, 2, 2, (0.0, 0.0, 0.0)) for alpha in (0.0, 90.0)]
    return [crop_view(view, (0.0, 0.0, 0.0), SIDE, SPACING_MM) for view in device]


def dice(one: Tensor, other: Tensor) -> float:
    a, b = one < 0, other < 0
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_a_pose_moves_turns_and_scales() -> None:
    """The body's centre, 8 mm before the frame's, goes to s R (0, 8, 0) + t; volume grows with the scale's cube."""
    here, there = (float(occupancy(vertebra(20, pose), SPACING_MM).sum()) for pose in (None, POSED))
    assert there / here == pytest.approx(np.exp(3 * 0.08), rel=0.05)
    ball = placed(torch.zeros(SIDE, SIDE, SIDE) + 9, POSED, SPACING_MM)
    torch.testing.assert_close(ball, torch.full_like(ball, 9 * np.exp(0.08)))
    axis = (torch.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    s, a, r = torch.meshgrid(axis, axis, axis, indexing="ij")
    bead = placed((r.square() + (a - 8).square() + s.square()).sqrt() - 10, POSED, SPACING_MM)
    k, j, i = (bead < 0).nonzero().float().mean(0)
    centre = (torch.stack([i, j, k]) - (SIDE - 1) / 2) * SPACING_MM
    expected = np.exp(0.08) * rotation(POSED[3:6]) @ torch.tensor([0.0, 8.0, 0.0]) + POSED[:3]
    torch.testing.assert_close(centre, expected, atol=0.4, rtol=0)


def test_a_rotation_is_about_its_vector() -> None:
    quarter = rotation(torch.tensor([0.0, 0.0, np.pi / 2]))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)


def test_there_and_back() -> None:
    back = brought_back(vertebra(20, POSED), POSED, SPACING_MM)
    near = vertebra(20).abs() < 8
    assert (back - vertebra(20))[near].abs().mean() < 0.35


def test_alignment_takes_poses_out() -> None:
    """The same shape in three poses becomes one."""
    poses = [torch.zeros(POSE), POSED, -0.7 * POSED]
    apart = [vertebra(22, pose) for pose in poses]
    together = aligned(apart, SPACING_MM)
    assert max(dice(a, b) for a, b in pairwise(apart)) < 0.75
    assert min(dice(a, b) for a, b in pairwise(together)) > 0.93


def test_the_first_mode_is_what_differs(model: ShapeModel) -> None:
    """One length varies: one mode holds most of it, and plus or minus one SD is longer or shorter there."""
    assert model.shapes == 5
    first = model.modes.flatten(1).square().sum(1)
    assert (first.diff() <= 0).all()
    assert first[0] > 0.6 * first.sum()
    lengths = [
        int((model.distances(sign * torch.eye(len(model.modes))[0])[SIDE // 2 - 1, : SIDE // 2, SIDE // 2] < 0).sum())
        for sign in (-1.5, 0.0, 1.5)
    ]
    assert sorted(lengths) in (lengths, lengths[::-1])
    assert abs(lengths[2] - lengths[0]) >= 2


def test_a_mode_is_one_standard_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the shapes that a model was made from, the weight of each of its modes has an SD of 1."""
    monkeypatch.setattr("EARTrainingLib.shape_model.model.aligned", lambda shapes, _spacing_mm: list(shapes))
    shapes = [vertebra(length, size * POSED) for length, size in ((14, 0.3), (20, -0.5), (26, 0.1), (30, 0.8))]
    made = shape_model(shapes, SPACING_MM, most=3)
    both = torch.stack([side for shape in shapes for side in (shape, shape.flip(-1))]).clamp(-FAR_MM, FAR_MM)
    modes = made.modes.flatten(1)
    weights = (both - made.mean).flatten(1) @ modes.T / modes.square().sum(1)
    torch.testing.assert_close(weights.std(0), torch.ones(3), atol=1e-3, rtol=0)


def test_modes_are_limited() -> None:
    shapes = [vertebra(length) for length in (14, 22, 30)]
    assert len(shape_model(shapes, SPACING_MM, most=1).modes) == 1
    with pytest.raises(ValueError, match="two shapes"):
        shape_model(shapes[:1], SPACING_MM)


def test_gain_offset_and_what_is_far_away_do_not_matter(views: list[View]) -> None:
    shadow = shadows(vertebra(22), views, AFFINE, SPACING_MM)
    seen = 3 * shadow + 7
    assert float(dissimilarity(shadow, seen)) == pytest.approx(0, abs=1e-4)
    seen[:, :2] += 50
    assert float(dissimilarity(shadow, seen)) == pytest.approx(0, abs=1e-4)
    assert float(dissimilarity(shadow, shadow.roll(3, 2))) > 0.1


def test_a_fit_begins_where_the_box_is_in_the_middle() -> None:
    for length in (14, 30):
        pose = boxed(vertebra(length), SPACING_MM)
        k, j, i = (placed(vertebra(length), pose, SPACING_MM) < 0).nonzero().T
        assert all(abs(float(x.min() + x.max()) - (SIDE - 1)) <= 2 for x in (i, j, k))
    assert float(boxed(vertebra(30), SPACING_MM)[1] - boxed(vertebra(14), SPACING_MM)[1]) == pytest.approx(8, abs=1.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_box_is_told_apart_by_its_sides(axis: int) -> None:
    """A shape that lies off the middle on one side (R, A, S) only."""
    moved = torch.zeros(POSE)
    moved[axis] = 9.0
    torch.testing.assert_close(
        boxed(vertebra(22, moved), SPACING_MM) - boxed(vertebra(22), SPACING_MM), -moved, atol=1.5, rtol=0
    )


@pytest.mark.parametrize(("prior", "kept"), [("PRIOR", "weights"), ("POSE_PRIOR", "pose")])
def test_a_strong_prior_keeps_the_mean(
    model: ShapeModel, views: list[View], monkeypatch: pytest.MonkeyPatch, prior: str, kept: str
) -> None:
    """Ten steps towards an unlike image: with a prior that outweighs it, what it is about stays where it began."""
    monkeypatch.setattr("EARTrainingLib.shape_model.fit.POSE_STEPS", 0)
    monkeypatch.setattr("EARTrainingLib.shape_model.fit.ALL_STEPS", 10)
    images = shadows(vertebra(30, boxed(vertebra(30), SPACING_MM) + POSED), views, AFFINE, SPACING_MM)
    first = {"weights": torch.zeros(len(model.modes)), "pose": boxed(model.mean, SPACING_MM)}[kept]
    moved = []
    for strength in (0.0, 1e4):
        monkeypatch.setattr(f"EARTrainingLib.shape_model.fit.{prior}", strength)
        moved.append(float((getattr(fit(model, images, views, AFFINE), kept) - first).norm()))
    assert moved[1] < 0.5 * moved[0]


def test_a_fit_does_not_settle_on_the_neighbour(model: ShapeModel, views: list[View]) -> None:
    """Three alike in a column, and the ROI 8 mm too high: still the one that it is meant for, not the one above."""
    centre = boxed(vertebra(22), SPACING_MM)
    truth = vertebra(22, centre - torch.tensor([0.0, 0, 8, 0, 0, 0, 0]))
    column = [vertebra(22, centre + torch.tensor([0.0, 0, s, 0, 0, 0, 0])) for s in (-36.0, -8.0, 20.0)]
    images = sum(shadows(shape, views, AFFINE, SPACING_MM) for shape in column)
    assert isinstance(images, Tensor)
    assert dice(fit(model, images, views, AFFINE).distance_mm, truth) > 0.8


@pytest.mark.parametrize("process_mm", [16, 28])
def test_a_shape_is_found_from_its_two_images(model: ShapeModel, views: list[View], process_mm: int) -> None:
    """One that the model was not made from, in a pose that it does not know."""
    truth = vertebra(process_mm, boxed(vertebra(process_mm), SPACING_MM) + 0.6 * POSED)
    images = shadows(truth, views, AFFINE, SPACING_MM)
    found = fit(model, images, views, AFFINE)
    assert found.loss < 0.05
    assert dice(found.distance_mm, truth) > 0.93
    assert found.distance_mm.shape == truth.shape
    inside = occupancy(found.distance_mm, SPACING_MM) > 0.5
    assert torch.equal(inside, found.distance_mm < 0)
