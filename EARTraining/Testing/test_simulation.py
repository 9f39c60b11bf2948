"""A training sample's images, lifted volumes and target show one bone in one place, however it was bent and X-rayed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.reconstruction import standardise
from EARTrainingLib import simulation as module
from EARTrainingLib.datasets.density import LIVE, Bone
from EARTrainingLib.datasets.scenes import AIR_HU, CLIP_MM, Scene
from EARTrainingLib.deformation import UNDEFORMED, Deformation, Shapes, deformed
from EARTrainingLib.projection import (
    ACQUISITIONS,
    Acquisition,
    detect,
    line_integrals,
    load_spectrum,
    material_densities,
)
from EARTrainingLib.projection.materials import MATERIALS
from EARTrainingLib.simulation import PROTOCOLS, Simulation, simulate

SIZE, GRID, SPACING_MM = 32, 44, 3.0

#: Everything varies as in training but for what hides the bone: soft tissue and noise.
CLEAR = Simulation(soft_tissue=0.0, acquisition=replace(ACQUISITIONS["ours"], photons=None))

#: The same X-rays of an unbent bone.
UNBENT = CLEAR.undeformed()

#: One fixed set-up, one shape.
PLAIN = replace(UNBENT, acquisition=ACQUISITIONS["nominal"])

#: (R, A, S) towards each side, none on an axis.
SIDES = {
    "right": (24.0, 3.0, -5.0),
    "left": (-22.0, -4.0, 6.0),
    "front": (4.0, 24.0, 3.0),
    "back": (-3.0, -23.0, -5.0),
    "up": (5.0, -4.0, 22.0),
    "down": (-6.0, 4.0, -23.0),
}


def grid_points(size=GRID):
    """(k, j, i, 3) RAS mm of the voxel centres of a scene's cube."""
    k, j, i = np.meshgrid(*[np.arange(size)] * 3, indexing="ij")
    return transform_points(cube_affine((0, 0, 0), size, SPACING_MM), np.stack([i, j, k], -1))


def scene(*balls, others=(), size=GRID):
    """A scene of balls (centre R, A, S and radius, mm), whose signed distances are exact."""

    def distance(parts):
        far = np.full((size,) * 3, CLIP_MM)
        for centre, radius in parts:
            far = np.minimum(far, np.linalg.norm(grid_points(size) - centre, axis=-1) - radius)
        return np.clip(far, -CLIP_MM, CLIP_MM).astype(np.float16)

    return Scene("p", "X", "L1", distance(balls), distance(others), None, SPACING_MM, (0, 0, 0), (50, 50, 50))


#: A bone that no rotation or mirror maps onto itself.
BONE = scene(((0, 6, 0), 16), ((20, -8, 3), 7), ((-6, -24, -8), 8), ((-12, 4, 14), 6))


@pytest.fixture
def views(monkeypatch):
    """The crops of the samples that are simulated in the test."""
    seen = []
    draw = Acquisition.draw

    def noted(*arguments):
        exposure = draw(*arguments)
        seen.append(exposure.crops((0, 0, 0), SIZE, SPACING_MM))
        return exposure

    monkeypatch.setattr(Acquisition, "draw", noted)
    return seen


@pytest.fixture
def spectra(monkeypatch):
    """The names of the spectra of the samples that are simulated in the test."""
    seen = []
    monkeypatch.setattr(module, "load_spectrum", lambda name: seen.append(name) or load_spectrum(name))
    return seen


def made(scene, simulation, seed, lift="backproject"):
    return simulate(scene, simulation, SIZE, lift, seed)


def occupancy(target_hu):
    return ((target_hu[0] - AIR_HU) > 500).double()


def centroid_ras(weights):
    """Weighted mean place of a cube around the origin, RAS mm."""
    k, j, i = (torch.arange(n, dtype=torch.float64) for n in weights.shape)
    weights = weights.double()
    mean = [float((weights.sum(d) * x).sum() / weights.sum()) for d, x in (((0, 1), i), ((0, 2), j), ((1, 2), k))]
    return transform_points(cube_affine((0, 0, 0), weights.shape[0], SPACING_MM), mean)


def shift_between(moved, still):
    """Least-squares (column, row) shift in pixels from ``still`` to ``moved``, besides a gain and an offset."""
    gv, gu = torch.gradient(still)
    columns = torch.stack([x.flatten() for x in (still, torch.ones_like(still), -gu, -gv)], -1).double()
    gain, _, du, dv = torch.linalg.lstsq(columns, moved.flatten().double()).solution
    return float(du / gain), float(dv / gain)


@pytest.mark.parametrize("seed", range(10))
def test_the_target_seen_from_the_views_is_what_the_images_show(seed, views, spectra):
    """Independent of the lift: the returned volume, X-rayed from the same views, falls on the returned images."""
    sample = made(BONE, CLEAR, (seed, 7))
    affine = cube_affine((0, 0, 0), SIZE, SPACING_MM)
    densities = material_densities(sample.target_hu[0])
    for image, view in zip(sample.images, views[0], strict=True):
        again = standardise(detect(line_integrals(densities, affine, view), load_spectrum(spectra[0])))
        correlation = float(torch.corrcoef(torch.stack([image.flatten(), again.flatten()]))[0, 1])
        assert correlation > 0.99
        assert np.hypot(*shift_between(image, again)) < 0.06  # pixels
    isocentres = [np.abs(view.isocentre_ras_mm) for view in views[0]]
    assert np.max(isocentres) > 5  # the sample does test an off-centre vertebra


def test_a_shift_of_a_fifth_of_a_pixel_would_be_seen(views, spectra):
    """Guards the measure of the test above."""
    sample = made(BONE, CLEAR, (3, 7))
    affine = cube_affine((0, 0, 0), SIZE, SPACING_MM)
    affine[2, 3] += 0.2 * SPACING_MM
    moved = standardise(
        detect(line_integrals(material_densities(sample.target_hu[0]), affine, views[0][0]), load_spectrum(spectra[0]))
    )
    _, dv = shift_between(sample.images[0], moved)
    assert 0.12 < abs(dv) < 0.3


def test_both_lifted_images_of_a_bead_meet_in_the_target():
    """The whole chain without any knowledge of the views: bend, X-ray, crop, lift against the returned target."""
    offsets = []
    for seed in range(16):
        bead = scene((np.random.default_rng(seed).uniform(-22, 22, 3), 8.0))
        sample = made(bead, CLEAR, (seed, 1))
        frontal, lateral = sample.lifted
        meeting = (frontal - 0.4 * frontal.max()).clamp_min(0) * (lateral - 0.4 * lateral.max()).clamp_min(0)
        offsets.append(centroid_ras(meeting) - centroid_ras(occupancy(sample.target_hu)))
    assert np.abs(offsets).max() < 0.4 * SPACING_MM  # the measure itself is not finer
    assert np.abs(np.mean(offsets, 0)).max() < 0.1 * SPACING_MM  # a shift common to all would be a fault


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("lift", ["backproject", "replicate"])
def test_each_side_is_told_apart_in_images_lift_and_target(side, lift):
    """Independent of P: where a radiologist looks for it."""
    sample = made(scene((SIDES[side], 8.0)), PLAIN, (0,), lift)
    axis = int(np.abs(SIDES[side]).argmax())
    sign = np.sign(SIDES[side][axis])
    np.testing.assert_allclose(centroid_ras(occupancy(sample.target_hu)), SIDES[side], atol=0.4)

    middle = SIZE / 2 - 0.5
    (v0, u0), (v1, u1) = (np.unravel_index(int(image.argmax()), image.shape) for image in sample.images)
    offsets = {0: middle - u0, 1: u1 - middle, 2: middle - v0}  # AP columns run to the left, lateral ones to anterior
    assert sign * offsets[axis] > 4
    if axis == 2:
        assert sign * (middle - v1) > 4

    frontal, lateral = sample.lifted
    meeting = (frontal - 0.4 * frontal.max()).clamp_min(0) * (lateral - 0.4 * lateral.max()).clamp_min(0)
    limit = 0.25 if lift == "backproject" else 1.0  # replication ignores the cone
    assert np.abs(centroid_ras(meeting) - SIDES[side]).max() < limit * SPACING_MM


def test_mirrored_bones_are_mirrored_in_images_and_target_alike():
    marked = scene(((0, 0, 0), 14), ((26, 0, 0), 9))
    sides = []
    for seed in range(7):
        sample = made(marked, CLEAR, (seed, 2))
        right = centroid_ras(occupancy(sample.target_hu))[0]
        profile = (sample.images[0] - sample.images[0].min()).sum(0).double()
        seen_left_of_middle = SIZE / 2 - 0.5 - float((profile * torch.arange(SIZE)).sum() / profile.sum())
        assert right * seen_left_of_middle > 0
        sides.append(np.sign(right))
    assert {-1.0, 1.0} == set(sides)  # both occur


def test_neighbours_are_in_the_images_only():
    target = ((0.0, 0.0, 0.0), 12.0)
    neighbours = (((0.0, 0.0, 34.0), 12.0), ((0.0, 0.0, -34.0), 12.0))
    alone, column = (made(scene(target, others=others), UNBENT, (4,)) for others in ((), neighbours))
    torch.testing.assert_close(column.target_hu, alone.target_hu)
    for image in column.images:
        rows = image[:, SIZE // 2 - 2 : SIZE // 2 + 2].mean(1)
        assert rows[:8].max() > 0.5
        assert rows[-8:].max() > 0.5
    assert not torch.allclose(alone.images, column.images, atol=0.1)


def test_a_larger_bone_has_larger_distances():
    """Its shell and its partial volume would be too thin or too thick otherwise."""
    for scale in (0.85, 1.15):
        shape = replace(UNDEFORMED, scale=(scale, scale))
        bent = deformed(
            scene(((0, 0, 0), 14)), shape, np.random.default_rng(0), torch.Generator(), torch.device("cpu")
        ).target_mm
        places = torch.from_numpy(np.linalg.norm(grid_points(), axis=-1))
        near = (places > 6) & (places < 24)
        np.testing.assert_allclose(bent[near], places[near] - 14 * scale, atol=0.3)


def test_a_larger_scale_makes_a_larger_bone():
    volumes = []
    for scale in (0.85, 1.0, 1.15):
        sample = made(
            scene(((0, 0, 0), 20)), replace(UNBENT, deformation=replace(UNDEFORMED, scale=(scale, scale))), (0,)
        )
        volumes.append(float(((sample.target_hu[0] - AIR_HU) / 1100).clamp(0, 1).sum()) * SPACING_MM**3)
    radii = (np.array(volumes) * 3 / (4 * np.pi)) ** (1 / 3)
    np.testing.assert_allclose(radii / radii[1], [0.85, 1.0, 1.15], atol=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_the_roi_error_moves_bone_and_images_together(seed):
    even = replace(UNBENT, bone=Bone((60.0, 60.0), (400.0, 400.0), (100.0, 100.0), (0.0, 0.0)))  # no brighter side
    moved = made(scene(((0, 0, 0), 12)), replace(even, deformation=replace(UNDEFORMED, roi_error_mm=3.0)), (seed,))
    place = centroid_ras(occupancy(moved.target_hu))
    assert 0.1 < np.abs(place).max() <= 3.4
    frontal, lateral = moved.lifted
    meeting = (frontal - 0.4 * frontal.max()).clamp_min(0) * (lateral - 0.4 * lateral.max()).clamp_min(0)
    assert np.abs(centroid_ras(meeting) - place).max() < 0.25 * SPACING_MM


def test_the_grid_beyond_the_cube_may_be_of_any_size_that_keeps_the_middle():
    """A bone at the centre of a scene is at the centre of the cube; a grid that has no such centre is refused."""
    for size in (SIZE, 38, 48):
        sample = made(scene(((0, 0, 0), 12), size=size), PLAIN, (0,))
        np.testing.assert_allclose(centroid_ras(sample.target_hu[0] > AIR_HU + 100), 0, atol=1e-3)
    for size in (SIZE - 2, SIZE + 1, 41):
        with pytest.raises(ValueError, match="centred cube"):
            made(scene(((0, 0, 0), 12), size=size), PLAIN, (0,))


def test_views_cover_the_ranges_and_see_the_vertebra_in_the_middle(views, monkeypatch):
    monkeypatch.setattr(module, "project", lambda *_: torch.rand(2, 2, SIZE, SIZE))  # only the views count here
    for seed in range(12):
        made(scene(((0, 0, 0), 10)), CLEAR, (seed, 3))
    pairs = np.array([[(v.alpha_deg, v.beta_deg, v.sod_mm, v.sdd_mm / v.sod_mm) for v in pair] for pair in views])
    assert np.abs(pairs[:, 0, 0]).max() <= 8
    assert np.abs(pairs[:, 1, 0] - 90).max() <= 8
    assert np.abs(pairs[..., 1]).max() <= 5
    assert pairs[..., 2].min() >= 530
    assert pairs[..., 2].max() <= 1600
    assert pairs[..., 3].min() >= 1.15
    assert pairs[..., 3].max() <= 1.9
    assert np.ptp(pairs[:, 0, 2]) > 300
    assert np.abs([[v.isocentre_ras_mm[2] for v in pair] for pair in views]).max() > 80
    for pair in views:
        for view in pair:
            uv, depth = view.project((0.0, 0.0, 0.0))
            np.testing.assert_allclose(uv, SIZE / 2, atol=1e-6)
            assert view.sdd_mm / depth / view.pixel_mm == pytest.approx(1 / SPACING_MM)


def test_a_sample_is_what_the_network_is_given():
    ordinary = Simulation()
    for seed in range(4):
        sample = made(BONE, ordinary, (seed,))
        assert sample.images.shape == (2, SIZE, SIZE)
        assert sample.lifted.shape == (2, SIZE, SIZE, SIZE)
        assert sample.target_hu.shape == (1, SIZE, SIZE, SIZE)
        assert all(part.dtype == torch.float32 and part.isfinite().all() for part in sample[:3])
        assert sample.mask.dtype == torch.bool
        assert sample.mask.shape == sample.target_hu.shape
        assert (sample.target_hu[sample.mask] > -500).all()
        torch.testing.assert_close(sample.images.mean((1, 2)), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(sample.images.std((1, 2), unbiased=False), torch.ones(2), atol=1e-3, rtol=0)
        assert sample.target_hu.min() == AIR_HU
        assert 200 < sample.target_hu.max() < 1500
        assert 0.001 < occupancy(sample.target_hu).mean() < 0.2


def test_one_seed_gives_one_sample_whatever_ran_before():
    ordinary = Simulation()
    first = made(BONE, ordinary, (1, 2, 3))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state is what must not matter
    other = made(BONE, ordinary, (1, 2, 4))
    again = made(BONE, ordinary, (1, 2, 3))
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def with_ct(tissue_hu=40.0):
    """A bone of 600 HU in a block of soft tissue, denser on the left, with another bone above it."""
    plain = scene(((0, 6, 0), 12), ((18, -6, 2), 6), others=(((0, 0, 40), 10),), size=56)
    hu = np.full(plain.shape, -1000.0)
    body = (np.abs(grid_points(56)) < (60, 50, 80)).all(-1)
    hu[body] = tissue_hu
    hu[body & (grid_points(56)[..., 0] < -30)] = 300
    hu[(plain.target_mm < 0) | (plain.others_mm < 0)] = 600
    return replace(plain, hu=hu.astype(np.int16))


class TestCt:
    def test_each_protocol_shows_what_it_says(self):
        alone, column, body = (made(with_ct(), replace(PLAIN, protocol=name), (0,)).images[0] for name in PROTOCOLS)
        left, up = (slice(8, -8), slice(-4, None)), (slice(0, 3), slice(13, 19))
        assert alone[up].max() < alone.median() + 0.1  # no neighbour
        assert column[up].max() > column.median() + 0.5
        assert float(body[left].mean() - body[8:-8, :4].mean()) > 0.2  # denser tissue on the patient's left
        assert abs(float(column[left].mean() - column[8:-8, :4].mean())) < 0.05

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_the_target_is_the_ct_inside_the_bone_and_air_elsewhere(self, protocol):
        sample = made(with_ct(), replace(PLAIN, protocol=protocol), (0,))
        inside = torch.nn.functional.max_pool3d(1 - sample.mask.float(), 3, 1, 1) == 0
        assert inside.sum() > 50
        assert (sample.target_hu[inside] == 600).all()
        near = torch.nn.functional.max_pool3d(sample.mask.float(), 3, 1, 1) > 0
        assert (sample.target_hu[~near] == AIR_HU).all()

    def test_ct_and_shape_are_deformed_together(self):
        for seed in range(4):
            shape = deformed(
                with_ct(), Deformation(), np.random.default_rng(seed), torch.Generator(), torch.device("cpu")
            )
            bone = shape.hu > 450
            others = (shape.target_mm < -2) | (shape.others_mm < -2)
            assert bone[others].float().mean() > 0.97
            far = (shape.target_mm > 4) & (shape.others_mm > 4)
            assert not bone[far].any()
            assert shape.hu.min() >= AIR_HU - 1e-3

    def test_haze_is_soft_tissue(self, monkeypatch):
        seen = []
        show = module.xray_images
        monkeypatch.setattr(module, "xray_images", lambda area, *rest: seen.append(area) or show(area, *rest))
        for share in (0.0, 1.0):
            made(BONE, replace(PLAIN, soft_tissue=share), (0,))
        more = seen[1] - seen[0]
        assert MATERIALS == ("soft", "bone")
        assert (more[:, 0] > 10).all()
        assert (more[:, 1] == 0).all()

    def test_haze_is_for_where_there_is_no_body(self):
        foggy = replace(PLAIN, soft_tissue=1.0)
        for protocol, changes in (("isolated", False), ("column", True), ("in-situ", False)):
            clear, hazy = (
                made(with_ct(), replace(settings, protocol=protocol), (3,)).images for settings in (PLAIN, foggy)
            )
            assert torch.equal(clear, hazy) is not changes
        assert not torch.equal(
            *(made(BONE, replace(s, protocol="in-situ", surroundings=0.0), (3,)).images for s in (PLAIN, foggy))
        )


@pytest.mark.parametrize("wrong", [{"protocol": "alone"}, {"soft_tissue": 2}])
def test_mistakes_in_settings_are_named(wrong):
    with pytest.raises(ValueError, match=r"alone|2"):
        Simulation(**wrong)


class TestMadeUpBone:
    """Density where no CT says it, over many draws."""

    def bones(self, ranges=LIVE, count=30):
        """HU of a large ball with a block behind it, and masks of its voxels."""
        points = grid_points()
        r, a, s = np.moveaxis(points, -1, 0)
        ball = np.linalg.norm(points - (0.0, 8.0, 0.0), axis=-1) - 16.0
        block = np.max(np.abs(points - (0.0, -22.0, 0.0)) - (12.0, 14.0, 12.0), axis=-1)
        distance = np.minimum(ball, block)
        shapes = Shapes(torch.from_numpy(distance).float(), torch.full(distance.shape, CLIP_MM), None)
        shallow, ahead, behind = abs(distance + 2) < 1.5, abs(a - 8) < 5, (a < -20) & (a > -30)
        places = {
            "top": shallow & ahead & (abs(r) < 6) & (s > 0),
            "sides": shallow & ahead & (abs(s) < 6),
            "middle": (distance < -9) & ahead,
            "arch's top": shallow & behind & (abs(r) < 6) & (s > 0),
            "arch's sides": shallow & behind & (abs(s) < 6),
            "arch's middle": (distance < -8) & behind,
        }
        found = {name: [] for name in places}
        for seed in range(count):
            rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
            target, _ = module._made_up_bone(shapes, SPACING_MM, ranges, rng, generator)
            for name, place in places.items():
                found[name].append(float(target.numpy()[place].mean()))
        return {name: np.array(values) for name, values in found.items()}

    def test_is_as_dense_as_cts_show_it(self):
        found = self.bones()
        assert found["middle"].min() > 0
        assert found["middle"].max() < 300
        assert found["top"].min() > 70
        assert found["top"].max() < 900
        assert np.ptp(found["top"]) > 200

    def test_dim_bone_is_as_common_as_bright_bone(self):
        """A fifth of all shells as dim as old bone in CTs of 3 mm (156 to 284 HU), which is the hardest to see."""
        assert np.quantile(self.bones()["top"], 0.2) < 220

    def test_is_what_its_ranges_say(self):
        """A shell that fills the ball: no core, no unevenness."""
        full = Bone((60.0, 60.0), (400.0, 400.0), (100.0, 100.0), (0.0, 0.0))
        found = self.bones(full, 3)
        assert found["sides"] == pytest.approx(400, abs=15)
        hollow = self.bones(replace(full, shell_mm=(0.01, 0.01), shell_hu=(150.0, 150.0)), 3)
        assert hollow["middle"] == pytest.approx(100, abs=2)

    def test_shells_have_patches_about_their_own_density(self):
        """Somewhere denser and elsewhere less, whichever place one looks at."""
        full = Bone((60.0, 60.0), (400.0, 400.0), (100.0, 100.0), (0.0, 0.0), (0.3, 0.3))
        found = self.bones(full, 60)
        logarithm = np.log(found["sides"] / 400)
        assert 0.03 < logarithm.std() < 0.3
        assert abs(logarithm.mean()) < 0.1
        assert found["sides"].min() < 380
        assert found["sides"].max() > 420

    def test_a_shell_is_denser_than_its_core(self):
        """Also where the ranges overlap."""
        found = self.bones(Bone((60.0, 60.0), (160.0, 160.0), (200.0, 200.0), (0.0, 0.0)), 3)
        assert found["sides"] == pytest.approx(250, abs=15)

    def test_the_recipe_s_bone_is_what_is_rebuilt(self):
        """Dim and bright bone of one shape: the same mask, and nowhere less of it."""
        dim, bright = (
            made(BONE, replace(PLAIN, protocol="isolated", bone=replace(LIVE, shell_hu=(hu, hu))), (3,))
            for hu in (300.0, 900.0)
        )
        assert torch.equal(dim.mask, bright.mask)
        assert (bright.target_hu - dim.target_hu).max() > 400
        assert (bright.target_hu - dim.target_hu).min() > -1

    def test_endplates_are_up_to_half_as_dense_again(self):
        full = Bone((60.0, 60.0), (400.0, 400.0), (100.0, 100.0), (0.0, 0.0))
        found = self.bones(full)
        more = found["top"] / found["sides"]
        assert more.min() > 0.99
        assert 1.2 < more.max() < 1.5

    def test_is_thicker_where_it_faces_up(self):
        found = self.bones()
        assert (found["top"] - found["sides"]).mean() > 20
        assert (found["top"] - found["middle"]).min() > -60

    def test_the_arch_has_a_dense_shell_on_all_sides_around_marrow_like_the_body_s(self):
        """Without it pedicles cast no rings, and nothing of an arch stands out among soft tissue."""
        found = self.bones(replace(LIVE, patches=(0.0, 0.0)))
        assert (found["arch's top"] / found["top"]).mean() > 1.3
        assert abs(found["arch's sides"] - found["arch's top"]).mean() < 40
        assert (found["arch's sides"] - found["arch's middle"]).mean() > 150
        assert (found["arch's middle"] - found["middle"]).mean() < 120
