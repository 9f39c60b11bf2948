"""Broken bodies and bony spurs: where bone goes, how much, and what stays. Bends and scales: test_simulation.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from EARTrainingLib.datasets.scenes import CLIP_MM, Scene, grid_affine
from EARTrainingLib.deformation import FRACTURES, UNDEFORMED, Shapes, body, column_lean, deformed, fracture_mm
from numpy.typing import NDArray

SPACING_MM, SIDE = 1.5, 64

#: Centre (R, A, S) and half sides of a block for a body, a bar behind it for an arch, and a body below, mm.
BODY = ((0.0, 9.0, 3.0), (16.0, 14.0, 11.0))
ARCH = ((0.0, -18.0, 3.0), (4.0, 15.0, 5.0))
BELOW = ((0.0, 9.0, -25.0), (16.0, 14.0, 11.0))

#: A grid (D, H, W) of unequal sides with the same middle, as scenes in situ have.
WIDE = (SIDE + 12, SIDE + 28, SIDE + 44)


def places(shape: tuple[int, int, int] = (SIDE,) * 3) -> NDArray[np.float64]:
    """(k, j, i, 3) RAS mm of the voxel centres."""
    affine = grid_affine((0, 0, 0), shape, SPACING_MM)
    k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    points: NDArray[np.float64] = np.stack([i, j, k], -1) * SPACING_MM + affine[:3, 3]
    return points


def distance(
    *blocks: tuple[tuple[float, ...], tuple[float, ...]], shape: tuple[int, int, int] = (SIDE,) * 3
) -> NDArray[np.float16]:
    far = np.full(shape, CLIP_MM)
    for centre, half in blocks:
        beyond = np.abs(places(shape) - centre) - half
        far = np.minimum(far, np.linalg.norm(beyond.clip(0), axis=-1) + beyond.max(-1).clip(max=0))
    return far.astype(np.float16)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene("p", "X", "L1", distance(BODY, ARCH), distance(BELOW), None, SPACING_MM, (0, 0, 0), (32.0, 57.0, 22.0))


def made(scene: Scene, seed: int = 0, **ranges: Any) -> Shapes:
    settings = replace(UNDEFORMED, **ranges)
    return deformed(scene, settings, np.random.default_rng(seed), torch.Generator(), torch.device("cpu"))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the rounding of an interpolation at the voxels' centres."""
    return torch.allclose(one, other, atol=0.01)


def test_the_body_is_found_by_its_depth() -> None:
    centre, half_height = body(torch.from_numpy(distance(BODY, ARCH)), SPACING_MM)
    assert centre[2] == pytest.approx(3, abs=SPACING_MM)
    assert abs(centre[0]) <= 16 - 11 + SPACING_MM  # anywhere on the plateau of the largest depth
    assert half_height == pytest.approx(11, abs=SPACING_MM)


#: Centres (A, S) of three bodies that lean to the front by 0.4 mm for each mm upwards.
LEANING = ((-9.2, -26.0), (1.2, 0.0), (11.6, 26.0))


def column(*centres: tuple[float, float]) -> list[torch.Tensor]:
    """Distances to the middle body, with its arch, and to the others."""
    blocks = [((0.0, a, s), (16.0, 14.0, 10.0)) for a, s in centres]
    arch = ((0.0, blocks[1][0][1] - 28, -4.0), (4.0, 15.0, 5.0))
    return [torch.from_numpy(found.astype(np.float32)) for found in (distance(blocks[1], arch), distance(*blocks[::2]))]


def test_how_a_column_leans() -> None:
    """The arch, low behind the middle body, has no part in it."""
    upwards = column(*LEANING)
    assert column_lean(*upwards, SPACING_MM) == pytest.approx(0.4, abs=0.06)
    back = column(*((-a, s) for a, s in LEANING))
    assert column_lean(*back, SPACING_MM) == pytest.approx(-0.4, abs=0.06)
    alone = torch.full_like(upwards[0], CLIP_MM)
    assert abs(column_lean(upwards[0], alone, SPACING_MM)) < 0.05
    assert column_lean(alone, alone, SPACING_MM) == 0


def test_one_vertebra_alone_does_not_say_how_the_column_leans(scene: Scene) -> None:
    alone = replace(scene, others_mm=np.full_like(scene.others_mm, CLIP_MM))
    for seed in range(6):
        shapes = made(alone, seed, tilt_deg=30.0)
        assert column_lean(shapes.target_mm, shapes.others_mm, SPACING_MM) == 0


@pytest.mark.parametrize(("name", "value"), [("tilt_deg", -25.0), ("tilt_deg", np.nan), ("rotation_deg", 400.0)])
def test_angles_that_are_none(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        replace(UNDEFORMED, **{name: value})


def test_a_scene_with_a_ct_is_not_tilted(scene: Scene) -> None:
    """It would end within the crop."""
    with_ct = replace(scene, hu=np.zeros(scene.shape, np.int16))
    assert same(made(with_ct, tilt_deg=30.0).target_mm, made(with_ct).target_mm)
    assert not same(made(scene, tilt_deg=30.0).target_mm, made(scene).target_mm)


def test_a_tilt_leans_the_column_to_the_front_or_the_back_and_not_to_a_side() -> None:
    middle = (torch.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    straight = Scene(
        "p", "X", "T4", *(part.numpy().astype(np.float16) for part in column((1.2, -26.0), (1.2, 0.0), (1.2, 26.0))),
        None, SPACING_MM, (0, 0, 0), (32.0, 57.0, 22.0),
    )  # fmt: skip
    leans = []
    for seed in range(12):
        shapes = made(straight, seed, tilt_deg=25.0)
        leans.append(column_lean(shapes.target_mm, shapes.others_mm, SPACING_MM))
        bone = torch.minimum(shapes.target_mm, shapes.others_mm) < 0
        aside = (bone * middle).sum((1, 2)) / bone.sum((1, 2)).clamp_min(1)
        assert float(aside.abs().max()) < 0.1
    assert min(leans) < -0.15
    assert max(leans) > 0.15
    assert max(map(abs, leans)) < np.tan(np.radians(25)) + 0.03


def kept(kind: str, a: float, s: float, loss: float = 0.4, r: float = 0.0) -> float:
    """Where a point (R, A, S) of a broken body of half height 10 comes from, along S."""
    return s + float(fracture_mm(torch.tensor([r, a, s]), (0.0, 0.0, 0.0), 10.0, kind, loss))


@pytest.mark.parametrize(
    ("kind", "a", "share"),
    [
        ("wedge", 12, 1.0),
        ("wedge", 0, 0.5),
        ("wedge", -12, 0.0),
        ("biconcave", 0, 1.0),
        ("biconcave", 12, np.exp(-1)),
        ("crush", 12, 1.0),
        ("crush", -12, 0.0),
    ],
)
def test_endplates_come_to_where_the_height_that_is_left_says(kind: str, a: float, share: float) -> None:
    """A body of half height 10 that loses 0.4 of it: its endplate, 10 from the middle, lies at 10 (1 - 0.4 w)."""
    height = 10 * (1 - 0.4 * share)
    assert kept(kind, a, height) == pytest.approx(10)
    assert kept(kind, a, -height) == pytest.approx(-10)
    assert kept(kind, a, 0.0) == 0
    assert kept(kind, a, height / 2) == pytest.approx(5)


@pytest.mark.parametrize("kind", FRACTURES)
@pytest.mark.parametrize("loss", [0.15, 0.5])
def test_nothing_is_folded_and_far_away_nothing_moves(kind: str, loss: float) -> None:
    for a in (-12.0, 0.0, 12.0):
        sources = [kept(kind, a, float(s), loss) for s in np.arange(-90, 91)]
        assert np.diff(sources).min() > 0.3
        assert sources[-1] == pytest.approx(90, abs=0.1)


def test_a_crushed_vertebra_is_lower_and_its_arch_is_not(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("EARTrainingLib.deformation.FRACTURES", ("crush",))
    monkeypatch.setattr("EARTrainingLib.deformation.HEIGHT_LOSS", (0.4, 0.4))
    whole, broken = made(scene), made(scene, fractures=1.0)

    def height(shapes: Shapes, a: float) -> float:
        column = shapes.target_mm[:, round(a / SPACING_MM + (SIDE - 1) / 2), SIDE // 2]
        return float((column < 0).sum()) * SPACING_MM

    assert height(broken, 9) == pytest.approx(0.6 * height(whole, 9), abs=1.6 * SPACING_MM)
    assert height(broken, -25) == height(whole, -25)
    gap = (broken.others_mm < 0).any(2).any(1).nonzero().max() - (whole.others_mm < 0).any(2).any(1).nonzero().max()
    assert gap >= 1  # what lies below follows


def test_a_body_breaks_about_its_own_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose centre lies 21 mm above the grid's: it becomes lower from both sides, and stays where it is."""
    monkeypatch.setattr("EARTrainingLib.deformation.FRACTURES", ("crush",))
    monkeypatch.setattr("EARTrainingLib.deformation.HEIGHT_LOSS", (0.4, 0.4))
    high = distance(((0.0, 9.0, 21.0), (16.0, 14.0, 11.0)))
    nobody = np.full((SIDE,) * 3, CLIP_MM, np.float16)
    broken = made(Scene("p", "X", "L1", high, nobody, None, SPACING_MM, (0, 0, 0), (32.0, 28.0, 22.0)), fractures=1.0)
    front = round(15 / SPACING_MM + (SIDE - 1) / 2)
    left = torch.from_numpy(places())[:, front, SIDE // 2, 2][broken.target_mm[:, front, SIDE // 2] < 0]
    assert float(left.mean()) == pytest.approx(21, abs=SPACING_MM)
    assert float(left.max() - left.min()) < 0.75 * 22


@pytest.mark.parametrize("seed", range(4))
def test_osteophytes_stand_on_the_rims_of_the_body(scene: Scene, seed: int) -> None:
    plain, spurred = made(scene, seed).target_mm < 0, made(scene, seed, osteophytes=1.0).target_mm < 0
    assert not (plain & ~spurred).any()
    added = torch.from_numpy(places())[spurred & ~plain]
    assert 3 <= len(added) <= 4 * 4 / 3 * np.pi * 6**3 / SPACING_MM**3
    assert (added[:, 2] - 3).abs().min() > 11 - 2 * SPACING_MM - 6
    assert added[:, 1].min() > -2 - 6 - SPACING_MM


def test_osteophytes_stand_before_the_back_wall(scene: Scene) -> None:
    """Of a body from -5 to 23 mm; most of its rim lies in front of its middle."""
    plain, added = made(scene).target_mm < 0, []
    for seed in range(12):
        added.append(torch.from_numpy(places())[(made(scene, seed, osteophytes=1.0).target_mm < 0) & ~plain])
    front = [float(points[:, 1].max()) for points in added]
    assert sum(a > 9 for a in front) > 6


def test_neighbours_keep_off_a_spur(scene: Scene) -> None:
    """Half a millimetre below the body stands the next one: spurs would reach into it."""
    next_one = distance(((0.0, 9.0, -19.5), (16.0, 14.0, 11.0)))
    close, reached = replace(scene, others_mm=next_one), 0
    for seed in range(6):
        shapes = made(close, seed, osteophytes=1.0)
        assert not ((shapes.target_mm < 0) & (shapes.others_mm < 0)).any()
        reached += int(((shapes.target_mm < 0).numpy() & (next_one < 0)).sum())
    assert reached > 0


@pytest.mark.parametrize(
    "ranges",
    [
        {"rotation_deg": 25.0},
        {"mirror": True, "scale": (0.8, 0.8), "stretch": 0.1, "roi_error_mm": 6.0},
        {"fractures": 1.0},
        {"fractures": 1.0, "rotation_deg": 10.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_a_grid_of_unequal_sides_changes_nothing(ranges: dict[str, Any], seed: int) -> None:
    """In situ a scene reaches to the skin: its bones are bent and broken as those of a cube."""
    wide, cube = (
        made(
            Scene(
                "p", "X", "L1", distance(BODY, ARCH, shape=shape), distance(BELOW, shape=shape), None, SPACING_MM,
                (0, 0, 0), (32.0, 57.0, 22.0),
            ),
            seed,
            **ranges,
        )
        for shape in (WIDE, (SIDE,) * 3)
    )  # fmt: skip
    middle = tuple(slice((n - SIDE) // 2, (n + SIDE) // 2) for n in WIDE)
    for there, here in ((wide.target_mm[middle], cube.target_mm), (wide.others_mm[middle], cube.others_mm)):
        near = here < 6  # what lies farther off meets the cube's border
        assert near.sum() > 1000
        torch.testing.assert_close(there[near], here[near], atol=0.05, rtol=0)


def test_a_share_of_the_samples(scene: Scene) -> None:
    still = made(scene).target_mm
    for name in ("fractures", "osteophytes"):
        changed = [not same(made(scene, seed, **{name: 0.3}).target_mm, still) for seed in range(40)]
        assert 4 <= sum(changed) <= 20


def test_a_ct_gets_no_spurs_that_it_does_not_show(scene: Scene) -> None:
    ct = replace(scene, hu=np.zeros((SIDE,) * 3, np.int16))
    assert same(made(ct, osteophytes=1.0).target_mm, made(ct).target_mm)


@pytest.mark.parametrize("shares", [{"fractures": 1.5}, {"osteophytes": -0.1}])
def test_what_is_no_share_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="share"):
        replace(UNDEFORMED, **shares)
