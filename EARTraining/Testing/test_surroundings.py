"""Made-up bodies: what is where, and that bones within them stay where they are and as dense as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import transform_points
from EARTrainingLib import simulation as module
from EARTrainingLib import surroundings
from EARTrainingLib.datasets.scenes import AIR_HU, CLIP_MM, Scene, grid_affine
from EARTrainingLib.deformation import UNDEFORMED
from EARTrainingLib.projection import ACQUISITIONS, material_densities
from EARTrainingLib.simulation import Simulation, simulate
from EARTrainingLib.surroundings import SPARE_MM, lent, made_up_body, shoulder, shown, trunk
from EARTrainingLib.surroundings.body import Body
from EARTrainingLib.surroundings.painter import REACH_MM, VOXEL_MM
from EARTrainingLib.surroundings.trunk import GAS_HU

HALF_MM = (35.0, 40.0, 20.0)
GRID, SPACING_MM = 44, 3.0

#: One fixed set-up without noise, one shape, always within a body.
PLAIN = Simulation("in-situ", ACQUISITIONS["nominal"], UNDEFORMED, surroundings=1.0, soft_tissue=0.0)


def made(level, seed, middle=(0.0, 0.0, 0.0), whole=True):
    """A body; whole: not cut as by the end of a CT."""
    for number in range(seed * 1000, seed * 1000 + 1000):
        rng, generator = np.random.default_rng(number), torch.Generator().manual_seed(number)
        body = made_up_body(level, middle, HALF_MM, rng, generator)
        if np.isfinite(body.low_mm).any() != whole:
            return body
    raise AssertionError("no such body")


def hu_at(body, point):
    """HU at a point, RAS mm, of the nearest voxel."""
    i, j, k = np.rint(transform_points(np.linalg.inv(body.ras_from_ijk), point)).astype(int)
    return float(body.hu[k, j, i])


def scene(target, other=None):
    """A scene of balls: (centre R, A, S and radius, mm)."""
    grid = grid_affine((0, 0, 0), (GRID,) * 3, SPACING_MM)
    k, j, i = np.meshgrid(*[np.arange(GRID)] * 3, indexing="ij")
    points = transform_points(grid, np.stack([i, j, k], -1))

    def ball(at):
        if at is None:
            return np.full((GRID,) * 3, CLIP_MM, np.float16)
        distance = np.linalg.norm(points - at[0], axis=-1) - at[1]
        return np.clip(distance, -CLIP_MM, CLIP_MM).astype(np.float16)

    return Scene("a", "test", "L2", ball(target), ball(other), None, SPACING_MM, (0, 0, 0), (20, 20, 20))


class TestBody:
    """What is where."""

    @pytest.mark.parametrize("level", ["C1", "C6", "T1", "T7", "T13", "L3", "L6"])
    def test_every_level_has_one_with_tissue_around_the_bone_and_air_around_the_skin(self, level):
        body = made(level, 1)
        assert body.hu.isfinite().all()
        assert body.hu.amin() >= AIR_HU - 200
        assert hu_at(body, (0, 0, 0)) > -200
        far = REACH_MM[1] - 5
        assert hu_at(body, (0, -far, 0)) == AIR_HU
        assert hu_at(body, (0, -40, 0)) > -200

    def test_the_front_is_in_front(self):
        """The column lies near the back: more tissue before it than behind it."""
        for seed in range(3):
            body = made("L2", seed)
            inside = (body.hu[body.hu.shape[0] // 2, :, body.hu.shape[2] // 2] > -500).nonzero().flatten()
            a = body.ras_from_ijk[1, 3] + body.ras_from_ijk[1, 1] * inside.numpy()
            assert 100 < a.max() < REACH_MM[1] - 4
            assert -120 < a.min() < -55

    def test_the_heart_lies_left(self):
        bodies = [made("T8", seed) for seed in range(4)]
        assert np.mean([hu_at(body, (-50, 68, 0)) - hu_at(body, (50, 68, 0)) for body in bodies]) > 300

    def test_lungs_lie_beside_the_chest_and_not_beside_the_hips(self):
        """On the right: the heart may hide the left one."""

        def beside(level, seed):
            place = grid_affine((60, 5, 0), (8, 8, 8), 3.0)
            return float(made(level, seed).sampled((8, 8, 8), place).mean())

        for seed in range(2):
            assert beside("T6", seed) < -300
            assert beside("L4", seed) > -200

    @pytest.mark.parametrize("middle", [(0.0, 0.0, 0.0), (12.0, -16.0, 8.0)])
    def test_the_airway_lies_before_the_neck_wherever_that_is(self, middle):
        body = made("C5", 2, middle)
        row = body.hu[body.hu.shape[0] // 2]
        _, j, i = transform_points(np.linalg.inv(body.ras_from_ijk), middle)[::-1].astype(int)
        ahead = row[j + 4 : j + 14, i - 4 : i + 5]
        y, x = np.unravel_index(int(ahead.argmin()), ahead.shape)
        r, a, _ = transform_points(body.ras_from_ijk, (x + i - 4, y + j + 4, 0)) - middle
        assert ahead.min() < GAS_HU + 150
        assert abs(r) < 12
        assert 20 < a < 50

    def test_ribs_start_at_thoracic_vertebrae_only(self):
        def bright(level):
            body = made(level, 3)
            grid = grid_affine((0, 0, 0), (16, 24, 64), 2.0)
            return int((body.sampled((16, 24, 64), grid) > 150).sum())

        assert bright("T6") > 100
        assert bright("L3") < 20

    def test_an_unknown_level(self):
        with pytest.raises(ValueError, match="X1"):
            made("X1", 0)


class TestChest:
    """Shoulders, heart and vessels, and a column that leans."""

    def bright(self, body, centre, half):
        """Share of a box (R, A, S and half sides, mm) that is denser than any soft tissue without contrast medium."""
        shape = tuple(round(side) for side in half[::-1])
        return float((body.sampled(shape, grid_affine(centre, shape, 2.0)) > 150).float().mean())

    def test_shoulder_blades_stand_behind_and_beside_the_upper_chest(self):
        for seed in range(3):
            body = made("T5", seed)
            for side in (-1, 1):
                beside = self.bright(body, (side * 105, -30, 15), (50, 45, 30))
                assert beside > 0.01
                assert beside < 0.35  # plates, not blocks
        below = made("L3", 0)
        assert self.bright(below, (105, -30, 15), (50, 45, 30)) < 0.01

    @pytest.mark.parametrize("lean", [0.0, 0.5])
    def test_no_bone_stands_in_air(self, lean, monkeypatch):
        """Air before and behind it, 12 mm away, and around that."""
        for name in ("CUT_ALONG", "CUT_ACROSS"):
            monkeypatch.setattr(surroundings, name, 0.0)
        for seed in range(8):
            rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
            body = made_up_body("T4", (0.0, 0.0, 0.0), HALF_MM, rng, generator, lean=lean)
            bone, air, step = body.hu > 200, body.hu < -950, round(12 / VOXEL_MM)
            between = air[:, : -2 * step] & air[:, 2 * step :] & bone[:, step:-step]
            assert between.sum() <= 0.002 * bone.sum()

    def test_raised_arms_are_beside_the_neck_and_hanging_ones_beside_the_trunk(self, monkeypatch):
        def soft(body, height):
            """Tissue so far beside the column that only arms are there."""
            shape = (12, 30, 8)
            found = body.sampled(shape, grid_affine((181, 10, height), shape, 4.0))
            return float((found > -200).float().mean())

        for raised, where, where_not in ((1.0, 100, -110), (0.0, -110, 100)):
            monkeypatch.setattr(shoulder, "RAISED", raised)
            body = made("T2", 4)
            assert soft(body, where) > soft(body, where_not) + 0.1

    def test_contrast_medium_is_in_the_heart_and_before_the_column(self, monkeypatch):
        for share, low, high in ((0.0, 0, 110), (1.0, 110, 700)):
            monkeypatch.setattr(trunk, "CONTRAST", share)
            for seed in range(3):
                body = made("T8", seed)
                near = body.sampled((10, 10, 16), grid_affine((-22, 22, 0), (10, 10, 16), 3.0))
                assert low < float(near.max()) < high

    def test_everything_follows_a_column_that_leans(self, monkeypatch):
        """By 0.7 mm for each mm upwards, less far away, as columns bend back."""
        for name in ("CUT_ALONG", "CUT_ACROSS"):
            monkeypatch.setattr(surroundings, name, 0.0)

        def skin_behind(lean, height):
            rng, generator = np.random.default_rng(8), torch.Generator().manual_seed(8)
            body = made_up_body("T6", (0.0, 0.0, 0.0), HALF_MM, rng, generator, lean=lean)
            i, _, k = np.rint(transform_points(np.linalg.inv(body.ras_from_ijk), (0, 0, height))).astype(int)
            inside = (body.hu[k, :, i] > -500).nonzero().flatten()
            return float(body.ras_from_ijk[1, 3] + body.ras_from_ijk[1, 1] * float(inside.min()))

        def skull(lean):
            rng, generator = np.random.default_rng(8), torch.Generator().manual_seed(8)
            body = made_up_body("C6", (0.0, 0.0, 0.0), HALF_MM, rng, generator, lean=lean)
            k, j, i = torch.nonzero(body.hu > 600, as_tuple=True)
            place = transform_points(body.ras_from_ijk, np.stack([i, j, k], -1))
            return place[place[:, 2] > 90, 1].mean()

        assert skin_behind(0.7, 0.0) == skin_behind(0.0, 0.0)
        assert 25 < skin_behind(0.7, 72.0) - skin_behind(0.0, 72.0) < 50
        assert -50 < skin_behind(0.7, -72.0) - skin_behind(0.0, -72.0) < -25
        assert 15 < skull(0.5) - skull(0.0) < 40  # C1 lies 80 to 90 mm above C6; the skin cuts part of it


@pytest.fixture(scope="module")
def bodies():
    """Around L5, whole, with bone that is seen: no contrast medium, no arms beside the hips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trunk, "CONTRAST", 0.0)
        patch.setattr(trunk, "CORTEX_HU", (450.0, 450.0))
        patch.setattr(shoulder, "RAISED", 1.0)
        return [made("L5", seed) for seed in range(6)]


class TestPelvis:
    """Sacrum and hip bones around L5."""

    def bone(self, body):
        """R, A, S in mm of the voxels that are bone."""
        k, j, i = torch.nonzero(body.hu > 150, as_tuple=True)
        return transform_points(body.ras_from_ijk, np.stack([i, j, k], -1))

    def test_the_sacrum_leans_back_under_the_last_vertebra(self, bodies):
        for body in bodies:
            r, a, s = self.bone(body).T
            middle = np.abs(r) < 15
            top, low = middle & (s > -45) & (s < -25), middle & (s > -80) & (s < -60)
            assert not (middle & (s > -12) & (a > -20)).any()  # where L5 is
            assert -32 < a[top & (a > -45)].mean() < 0
            assert a[low & (s > -75)].mean() < a[top].mean() - 10

    def test_hip_bones_stand_beside_it_and_flare_to_the_front(self, bodies):
        for body in bodies:
            r, a, s = self.bone(body).T
            level = (np.abs(s + 10) < 6) & (np.abs(r) > 35)
            for side in (-1, 1):
                own = level & (np.sign(r) == side)
                behind, ahead = own & (a < -35), own & (a > 5)
                assert behind.any()
                assert ahead.any()
                assert np.abs(r[ahead]).mean() > np.abs(r[behind]).mean() + 25
            crest = s[(np.abs(r) > 60) & (s < 70)].max()  # above are ribs
            assert 5 < crest < 60  # beside L5 or L4

    def test_a_lateral_beam_meets_little_bone_in_them(self, bodies):
        """Two oblique plates: less than the vertebra behind which they would else hide it."""
        for body in bodies:
            _, j, k = np.rint(transform_points(np.linalg.inv(body.ras_from_ijk), (0, -5, -15))).astype(int)
            beam = body.hu[k, j]
            found = beam[beam > 150] - 55  # more than muscle
            assert 2 <= len(found) <= 12
            assert float(found.sum()) * VOXEL_MM < 12000  # HU mm; 45 mm of a vertebra's body have 4500 to 13000

    def test_both_sides_are_alike(self, bodies):
        for body in bodies:
            r, _, _ = self.bone(body).T
            assert np.sum(r > 40) == pytest.approx(np.sum(r < -40), rel=0.1)


class TestGrids:
    """The same body on another grid."""

    def test_linear_densities_stay_what_they_are(self):
        affine = grid_affine((0, 0, 0), (20, 24, 28), 4.0)
        k, j, i = np.meshgrid(*(np.arange(n) for n in (20, 24, 28)), indexing="ij")
        weights = (0.5, -1.5, 3.0)
        hu = torch.from_numpy(transform_points(affine, np.stack([i, j, k], -1)) @ weights).float()
        body = Body(hu, affine, (-np.inf,) * 3, (np.inf,) * 3)
        fine = grid_affine((3.0, -5.0, 2.0), (9, 10, 12), 1.5)
        k, j, i = np.meshgrid(*(np.arange(n) for n in (9, 10, 12)), indexing="ij")
        expected = transform_points(fine, np.stack([i, j, k], -1)) @ weights
        assert np.allclose(body.sampled((9, 10, 12), fine).numpy(), expected, atol=1e-3)

    def test_the_box_that_is_shown(self):
        body = Body(torch.zeros(2, 2, 2), np.eye(4), (-5.0, -np.inf, -8.0), (7.0, np.inf, 3.0))
        affine = np.diag([1.0, 1, 1, 1])
        affine[:3, 3] = (-10, -10, -10)
        outside = body.outside_mm((21, 21, 21), affine)
        k, j, i = torch.nonzero(outside <= 0, as_tuple=True)
        ends = [(int(axis.min()) - 10, int(axis.max()) - 10) for axis in (i, j, k)]
        assert ends == [(-5, 7), (-10, 10), (-8, 3)]
        assert float(outside[10, 10, 0]) == 5.0
        assert float(outside[10, 10, 10]) == -3.0

    def test_what_is_cut_is_air_and_never_the_vertebra(self):
        for seed in range(4):
            body = made("L1", seed, whole=False)
            outside = body.outside_mm(body.hu.shape, body.ras_from_ijk)
            assert (body.hu[outside > 4] == AIR_HU).all()
            for low, high, half in zip(body.low_mm, body.high_mm, HALF_MM, strict=True):
                assert -low >= half + SPARE_MM[0]
                assert high >= half + SPARE_MM[0]


class TestDiscs:
    """Between blocks with flat ends, one above the other, left of the grid's middle."""

    HEIGHT_MM, BACK_MM = 10.0, -6.0

    def points(self):
        grid = grid_affine((0, 0, 0), (GRID,) * 3, SPACING_MM)
        k, j, i = np.meshgrid(*[np.arange(GRID)] * 3, indexing="ij")
        return np.moveaxis(transform_points(grid, np.stack([i, j, k], -1)), -1, 0)

    def block(self, low, high):
        """Signed distance to a block of 28 mm by 36 mm, of which 12 mm lie behind BACK_MM."""
        r, a, s = self.points()
        return np.maximum.reduce([abs(r + 6) - 14, abs(a) - 18, low - s, s - high])

    def found(self, upper=None):
        target = torch.from_numpy(self.block(-12.0, 12.0)).float().clamp(-CLIP_MM, CLIP_MM)
        others = torch.full_like(target, CLIP_MM)
        if upper is not None:
            others = torch.from_numpy(self.block(*upper)).float().clamp(-CLIP_MM, CLIP_MM)
        disc = shown.discs(target, others, SPACING_MM, self.BACK_MM, self.HEIGHT_MM) < 0
        return (disc & (target > 0) & (others > 0)).numpy()

    def test_one_fills_the_gap_to_the_next_bone(self):
        r, a, s = self.points()
        gap = (s > 13) & (s < 19) & (abs(r + 6) < 12) & (a < 16)
        disc = self.found((20.0, 40.0))
        assert disc[gap & (a > -5)].all()
        assert not disc[a < self.BACK_MM].any()
        assert not disc[(abs(r + 6) > 20) | (a > 24)].any()
        assert not self.found((27.0, 40.0))[(s > 18) & (s < 21)].any()  # 15 mm: no disc is as high

    def test_where_there_is_no_next_bone_endplates_have_half_of_one(self):
        r, a, s = self.points()
        over = (abs(r + 6) < 8) & (a > 0) & (a < 10)
        disc = self.found()
        for side in (1, -1):
            assert disc[over & (side * s > 13) & (side * s < 16)].all()
            assert not disc[over & (side * s > 18.5)].any()
        assert not disc[abs(s) < 10].any()  # none beside the walls

    def test_one_between_vertebrae_that_lean_lies_between_them(self):
        """Sheared to the front by 0.5 mm for each mm upwards: the disc and its back are, too."""
        r, a, s = self.points()
        lean = 0.5
        moved = np.maximum.reduce([abs(r + 6) - 14, abs(a - lean * s) - 18, abs(s) - 12])
        above = np.maximum.reduce([abs(r + 6) - 14, abs(a - lean * s) - 18, 20 - s, s - 40])
        target, others = (torch.from_numpy(distance).float().clamp(-CLIP_MM, CLIP_MM) for distance in (moved, above))
        disc = shown.discs(target, others, SPACING_MM, self.BACK_MM, self.HEIGHT_MM, lean) < 0
        disc = (disc & (target > 0) & (others > 0)).numpy()
        gap = (s > 13) & (s < 19) & (abs(r + 6) < 12)
        assert disc[gap & (a - lean * s > -4) & (a - lean * s < 15)].all()
        assert not disc[gap & (a - lean * s < -8)].any()

    def test_it_is_seen_in_the_body(self, monkeypatch):
        """Denser discs darken no pixel, and brighten most where the gap is."""
        blocks = self.block(-12.0, 12.0), self.block(20.0, 40.0)
        distances = [torch.from_numpy(d).float().clamp(-CLIP_MM, CLIP_MM) for d in blocks]
        bones_hu = torch.where(torch.minimum(*distances) < 0, 300.0, AIR_HU)
        crops = PLAIN.acquisition.draw(np.random.default_rng(0)).crops((0, 0, 0), 32, SPACING_MM)
        monkeypatch.setattr(shown, "DISC_MM", (10.0, 10.0))
        images = []
        for hu in (0.0, 400.0):
            monkeypatch.setattr(shown, "DISC_HU", (hu, hu))
            rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
            body = shown.in_body("L2", *distances, bones_hu, SPACING_MM, rng, generator)
            images.append(body.area_densities(crops).sum(1))
        more = images[1] - images[0]
        assert float(more.min()) > -1e-2
        for image, view in zip(more, crops, strict=True):
            row, _ = np.unravel_index(int(image.argmax()), image.shape)
            place, _ = view.project(np.array([[-6.0, 6.0, 16.0]]))  # the middle of the disc before BACK_MM
            assert row + 0.5 == pytest.approx(place[0, 1], abs=1.6)
            assert float(image.max()) > 0.25 * 24  # g/cm3 mm: 24 to 28 mm of 400 HU more


class TestLentBodies:
    """A CT with a bright block 39 mm left of and 30 mm above the vertebra, and a neighbour below it."""

    #: All lie on voxel centres.
    OWN, BELOW, BLOCK = np.array((7.5, 4.5, -3.0)), np.array((7.5, 4.5, -36.0)), np.array((-39.0, 6.0, 30.0))

    def lender(self):
        shape = (GRID + 1, GRID + 16, GRID + 28)  # odd, and of unequal sides
        grid = grid_affine((0, 0, 0), shape, SPACING_MM)
        k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
        points = transform_points(grid, np.stack([i, j, k], -1))
        target, others = (np.linalg.norm(points - at, axis=-1) - r for at, r in ((self.OWN, 12), (self.BELOW, 10)))
        hu = np.full(shape, 20.0)
        hu[np.minimum(target, others) < 0] = 700
        hu[(np.abs(points - self.OWN - self.BLOCK) < 9.5).all(-1)] = 500
        clipped = [np.clip(part, -CLIP_MM, CLIP_MM).astype(np.float16) for part in (target, others)]
        return Scene("lender", "test", "L2", *clipped, hu.astype(np.int16), SPACING_MM, (0, 0, 0), (24, 24, 24))

    def bright(self, body):
        """Where the block is: the middle of all that is denser than soft tissue."""
        weight = (body.hu - 60).clamp_min(0).numpy()
        k, j, i = np.nonzero(weight)
        points = transform_points(body.ras_from_ijk, np.stack([i, j, k], -1))
        return np.average(points, axis=0, weights=weight[k, j, i])

    @pytest.mark.parametrize("middle", [(0.0, 0.0, 0.0), (7.0, -20.0, 5.0)])
    def test_it_lies_about_the_borrower_as_it_lay_about_the_lender(self, middle, monkeypatch):
        sides = set()
        for seed in range(8):
            monkeypatch.setattr(lent, "SCALE", (1.0, 1.0))
            body = lent.lent_body(self.lender(), middle, np.random.default_rng(seed))
            place = self.bright(body) - middle
            side = -np.sign(place[0])
            assert place * (side, 1, 1) == pytest.approx(self.BLOCK, abs=0.6)
            sides.add(side)
        assert sides == {-1, 1}

    def test_larger_and_smaller_bodies_keep_the_vertebra_in_its_place(self, monkeypatch):
        monkeypatch.setattr(lent, "SCALE", (1.1, 1.1))
        body = lent.lent_body(self.lender(), (0, 0, 0), np.random.default_rng(0))
        assert np.abs(self.bright(body)) == pytest.approx(1.1 * np.abs(self.BLOCK), abs=0.7)

    def test_the_lender_s_own_column_is_taken_out(self):
        body = lent.lent_body(self.lender(), (0, 0, 0), np.random.default_rng(0))
        assert hu_at(body, (0, 0, 0)) == pytest.approx(55, abs=1)
        assert hu_at(body, (0, 0, -33)) == pytest.approx(55, abs=15)
        assert hu_at(body, (0, 36, 0)) == 20

    def test_its_outermost_slices_go_on_as_a_scene_is_cut_there(self):
        body = lent.lent_body(self.lender(), (0, 0, 0), np.random.default_rng(0))
        for axis, count in enumerate(body.hu.shape[::-1]):
            length = body.high_mm[axis] - body.low_mm[axis]
            assert length == pytest.approx(count * body.ras_from_ijk[axis, axis])
        corner = transform_points(body.ras_from_ijk, (-0.5, -0.5, -0.5))
        assert corner == pytest.approx(body.low_mm)
        more = int(np.ceil(lent.BEYOND_MM / body.ras_from_ijk[2, 2]))
        for inner, beyond in ((more, slice(more)), (-more - 1, slice(-more, None))):
            assert torch.equal(body.hu[beyond], body.hu[inner].expand(more, -1, -1))
        assert not torch.equal(body.hu[more], body.hu[more + 5])

    def test_nothing_is_shown_beyond_the_end_of_its_ct(self, monkeypatch):
        monkeypatch.setattr(lent, "SCALE", (1.0, 1.0))
        lender = self.lender()
        hu = lender.hu.copy()
        hu[:6] = -1000  # the scene reaches 6 slices beyond the end
        body = lent.lent_body(replace(lender, hu=hu), (0, 0, 0), np.random.default_rng(0))
        low = transform_points(grid_affine((0, 0, 0), lender.shape, SPACING_MM), (0, 0, 5.5))[2] - self.OWN[2]
        assert body.low_mm[2] == pytest.approx(low)
        assert body.high_mm[2] > lender.shape[0] * SPACING_MM / 2

    def test_without_a_ct_there_is_nothing_to_lend(self):
        with pytest.raises(ValueError, match="no CT"):
            lent.lent_body(scene(((0, 0, 0), 9.0)), (0, 0, 0), np.random.default_rng(0))

    def test_bones_are_shown_within_it(self):
        content = scene(((0, 0, 0), 10.0), ((0, 0, -24), 8.0))
        own, other = (simulate(content, PLAIN, 32, "replicate", (3,), lender=one) for one in (None, self.lender()))
        assert torch.equal(own.mask, other.mask)
        assert not torch.equal(own.images, other.images)
        bare = replace(PLAIN, surroundings=0.0)
        one, two = (simulate(content, bare, 32, "replicate", (3,), lender=one) for one in (None, self.lender()))
        assert torch.equal(one.images, two.images)


class TestSamples:
    """X-rays of bones within a body."""

    def areas(self, monkeypatch, content, simulation=PLAIN, seed=(3,)):
        """The sample, and the area densities that its images were made from."""
        seen = []

        def keep(area, *rest):
            seen.append(area.clone())
            return images(area, *rest)

        images = module.xray_images
        monkeypatch.setattr(module, "xray_images", keep)
        monkeypatch.setattr(module, "BLUR_PIXELS", 0.0)
        sample = simulate(content, simulation, 32, "replicate", seed)
        monkeypatch.undo()
        return sample, seen[0]

    def test_a_bone_adds_what_it_has_more_than_the_tissue_in_its_place(self, monkeypatch):
        """A ball beside the target: its shadow has its place in both views, and about its chord's mass."""
        target, centre, radius = ((0, 0, 0), 9.0), np.array((18.0, -14.0, 9.0)), 7.0
        with pytest.MonkeyPatch.context() as without_discs:
            without_discs.setattr(shown, "discs", lambda target_mm, *_: torch.full_like(target_mm, 99.0))
            without_discs.setattr(shown, "column_lean", lambda *_: 0.0)  # the same body with and without the ball
            _, without = self.areas(monkeypatch, scene(target))
            _, with_ball = self.areas(monkeypatch, scene(target, (centre, radius)))
        shadow = (with_ball - without).sum(1)
        crops = PLAIN.acquisition.draw(np.random.default_rng(0)).crops((0, 0, 0), 32, SPACING_MM)
        for image, view in zip(shadow, crops, strict=True):
            rows, columns = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
            weight = image.clamp_min(0) / image.clamp_min(0).sum()
            place, _ = view.project(centre[None])
            assert float((weight * columns).sum()) == pytest.approx(place[0, 0], abs=0.4)
            assert float((weight * rows).sum()) == pytest.approx(place[0, 1], abs=0.4)
            most = float(image.max())
            # 14 mm of bone of about 1.2 to 1.6 g/cm3 in the place of as much soft tissue
            assert 14 * 0.05 < most < 14 * 0.7
            assert float(image.min()) > -0.1 * most

    def test_the_mass_is_that_of_both(self, monkeypatch):
        """The body alone plus the difference of each voxel is the projection of bones put into the body."""
        content = scene(((0, 0, 0), 10.0), ((0, 0, -24), 8.0))
        with pytest.MonkeyPatch.context() as whole:
            whole.setattr(surroundings, "CUT_ALONG", 0.0)
            whole.setattr(surroundings, "CUT_ACROSS", 0.0)
            _, area = self.areas(monkeypatch, content)
        bare = replace(PLAIN, surroundings=0.0)
        _, bones = self.areas(monkeypatch, content, bare)
        assert (area.sum(1) > bones.sum(1) - 1e-3).all()
        assert float(area[:, 0].mean()) > 100  # mm g/cm3: a trunk
        assert float(bones[:, 0].mean()) < 20

    def test_the_target_is_as_without(self):
        content = scene(((2, 3, -1), 10.0), ((0, 0, -24), 8.0))
        within = simulate(content, PLAIN, 32, "replicate", (3,))
        bare = simulate(content, replace(PLAIN, surroundings=0.0), 32, "replicate", (3,))
        assert torch.equal(within.mask, bare.mask)
        assert torch.equal(within.target_hu, bare.target_hu)
        assert not torch.equal(within.images, bare.images)

    def test_a_seed_fixes_it(self):
        content = scene(((0, 0, 0), 10.0))
        one, two, other = (simulate(content, PLAIN, 32, "replicate", (seed,)) for seed in (3, 3, 4))
        assert torch.equal(one.images, two.images)
        assert not torch.equal(one.images, other.images)

    def test_an_automatic_exposure_reaches_through_it(self, monkeypatch):
        photons = []

        def keep(area, spectrum, count, noise):
            photons.append(count)
            return images(area, spectrum, count, noise)

        images = module.xray_images
        monkeypatch.setattr(module, "xray_images", keep)
        noisy = replace(PLAIN, acquisition=replace(PLAIN.acquisition, photons=(1e5, 1e5)))
        content = scene(((0, 0, 0), 10.0))
        for one in (noisy, replace(noisy, surroundings=0.0), PLAIN):
            simulate(content, one, 32, "replicate", (3,))
        assert photons[:2] == [pytest.approx(1e6), pytest.approx(1e5)]
        assert photons[2] is None

    def test_the_share_is_a_share(self):
        content = scene(((0, 0, 0), 10.0))
        some = replace(PLAIN, surroundings=0.3)
        bare = simulate(content, replace(PLAIN, surroundings=0.0), 32, "replicate", (0,)).images
        # Without noise and haze all that are not in a body are alike but for their bone.
        pairs = [simulate(content, some, 32, "replicate", (n,)).images for n in range(40)]
        alike = [float((pair - bare).abs().mean()) < 0.25 for pair in pairs]
        assert 0.5 < np.mean(alike) < 0.9

    @pytest.mark.parametrize("protocol", ["isolated", "column"])
    def test_only_in_situ(self, protocol):
        content = scene(((0, 0, 0), 10.0), ((0, 0, -24), 8.0))
        alone = replace(PLAIN, protocol=protocol)
        bare = replace(alone, surroundings=0.0)
        assert torch.equal(*(simulate(content, one, 32, "replicate", (3,)).images for one in (alone, bare)))

    def test_a_ct_in_situ_shows_itself(self):
        content = replace(scene(((0, 0, 0), 10.0)), hu=np.full((GRID,) * 3, 40, np.int16))
        bare = replace(PLAIN, surroundings=0.0)
        assert torch.equal(*(simulate(content, one, 32, "replicate", (3,)).images for one in (PLAIN, bare)))

    def test_no_share(self):
        with pytest.raises(ValueError, match=r"surroundings is a share of samples, 0 to 1, got 1\.5"):
            replace(PLAIN, surroundings=1.5)


def test_densities_of_the_body_are_those_of_its_tissue():
    """Water's mass per mm, not HU, goes into the X-ray."""
    body = made("L2", 5)
    density = material_densities(body.hu)
    middle = density[:, density.shape[1] // 2, 40:44, density.shape[3] // 2]
    assert ((middle.sum(0) > 0.8) & (middle.sum(0) < 1.3)).all()


def test_a_blur_keeps_the_sum_and_the_place():
    image = torch.zeros(2, 1, 15, 15)
    image[0, 0, 6, 9] = 1.0
    image[1, 0, 4, 5] = 2.0
    out = module._blurred(image, 0.8)
    assert torch.allclose(out.sum((-1, -2)), image.sum((-1, -2)))
    assert int(out[0, 0].argmax()) == 6 * 15 + 9
    assert float(out[0, 0, 6, 9]) < 0.5
    assert torch.allclose(module._blurred(image, 0.0), image)
