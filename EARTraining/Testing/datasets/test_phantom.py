"""The phantom spine: true sizes, an open canal, tellable sides, the curves asked for, honest distances and HU."""

from __future__ import annotations

import numpy as np
import pytest
from EARTrainingLib.datasets.phantom import (
    AIR_HU,
    FAR_MM,
    LEVELS,
    VERSE_LABEL,
    PhantomSpine,
    PlacedVertebra,
    ct,
    mean_vertebra,
    random_spine,
    random_vertebra,
)
from EARTrainingLib.datasets.phantom.morphometry import ARCHES, BODIES
from scipy.ndimage import binary_fill_holes, label

STEP_MM = 0.75
SOME_LEVELS = ("T2", "T7", "T12", "L3", "L5")


def sample(shape, step_mm=STEP_MM):
    """Signed distance (k, j, i) of a vertebra in its own frame and its three axes."""
    x, y, z = (np.arange(lo, hi + step_mm, step_mm, dtype=np.float32) for lo, hi in shape.bounds_mm())
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], -1)
    return shape.signed_distance(points), x, y, z


def extent(mask, axis_values):
    """Length of the marked part of an axis, each sample counted as one step wide."""
    used = axis_values[mask]
    return float(used.max() - used.min() + axis_values[1] - axis_values[0])


@pytest.fixture(scope="module")
def means():
    return {level: (mean_vertebra(level), *sample(mean_vertebra(level))) for level in SOME_LEVELS}


def grid_around(spine, step_mm=1.0):
    lo, hi = spine.bounding_box_mm()
    affine = np.diag([step_mm, step_mm, step_mm, 1.0])
    affine[:3, 3] = np.floor(lo)
    return affine, tuple(int(n) for n in np.ceil((hi - lo) / step_mm)[::-1] + 2)


@pytest.fixture(scope="module")
def column():
    spine = random_spine(np.random.default_rng(3), scoliosis_deg=25.0, kyphosis_deg=40.0, lordosis_deg=45.0)
    return spine, *grid_around(spine, 1.5)


@pytest.fixture(scope="module")
def scan():
    spine = random_spine(np.random.default_rng(5), ("L2", "L3"), scoliosis_deg=0.0)
    affine, shape = grid_around(spine)
    return spine, affine, *ct(spine, affine, shape, np.random.default_rng(6))


def test_levels_carry_their_verse_labels():
    assert len(LEVELS) == 17
    assert (VERSE_LABEL["T1"], VERSE_LABEL["T12"], VERSE_LABEL["L1"], VERSE_LABEL["L5"]) == (8, 19, 20, 24)


@pytest.mark.parametrize("level", SOME_LEVELS)
def test_body_has_the_size_of_the_table(means, level):
    shape, d, x, y, z = means[level]
    row = BODIES[level]
    inside = d < 0
    front = y > shape.back_y_mm + 0.35 * row.upper_depth_mm  # away from the pedicles
    body = inside[:, front]
    top, bottom = z > shape.height_mm / 2 - 3.5, z < -shape.height_mm / 2 + 3.5
    assert extent(body[top].any((0, 1)), x) == pytest.approx(row.upper_width_mm, abs=1.5)
    assert extent(body[bottom].any((0, 1)), x) == pytest.approx(row.lower_width_mm, abs=1.5)
    middle = np.abs(x) < 1.0
    trunk = y > shape.back_y_mm - row.canal_depth_mm / 2
    assert extent(inside[:, trunk][top][..., middle].any((0, 2)), y[trunk]) == pytest.approx(
        row.upper_depth_mm, abs=1.5
    )
    wall = (y > shape.back_y_mm + 1.5) & (y < shape.back_y_mm + 4)
    assert extent(inside[:, wall].any((1, 2)), z) == pytest.approx(row.posterior_height_mm, abs=1.5)
    tip = y > shape.back_y_mm + row.upper_depth_mm - 5
    assert extent(inside[:, tip].any((1, 2)), z) == pytest.approx(row.anterior_height_mm, abs=1.5)


@pytest.mark.parametrize("level", SOME_LEVELS)
def test_canal_is_open_enclosed_and_of_the_right_size(means, level):
    shape, d, x, y, _ = means[level]
    row = BODIES[level]
    inside = d < 0
    i, j = np.argmin(np.abs(x)), np.argmin(np.abs(y - (shape.back_y_mm - row.canal_depth_mm / 2)))
    assert not inside[:, j, i].any()

    # Seen along the canal the ring is closed, though no single slice needs to show both pedicles and laminae.
    shadow = inside.any(0)
    hole = binary_fill_holes(shadow) & ~shadow
    assert hole[j, i]
    assert extent(hole[j], x) == pytest.approx(row.canal_width_mm, abs=1.5)
    assert extent(hole[:, i], y) == pytest.approx(row.canal_depth_mm, abs=1.5)


@pytest.mark.parametrize("level", LEVELS)
def test_a_slice_through_the_pedicles_shows_the_canal_between_bone(level):
    shape = mean_vertebra(level)
    row = BODIES[level]
    z = row.posterior_height_mm / 2 - row.pedicle_height_mm / 2 - 1.5
    t = np.linspace(0, 2 * np.pi, 73)[:-1]
    a, b = row.canal_width_mm / 2, row.canal_depth_mm / 2
    ring = [np.stack([s * a * np.cos(t), shape.back_y_mm - b + s * b * np.sin(t), 0 * t + z], -1) for s in (0.9, 1.25)]
    assert (shape.signed_distance(ring[0]) > 0).all()
    assert (shape.signed_distance(ring[1]) < 0).mean() > 0.8


@pytest.mark.parametrize("level", SOME_LEVELS)
def test_end_plates_are_concave_and_the_body_has_a_waist(means, level):
    shape, d, x, y, z = means[level]
    inside = d < 0
    i, j = np.argmin(np.abs(x)), np.argmin(np.abs(y))
    centre = extent(inside[:, j, i], z)
    front = y > shape.back_y_mm + 0.35 * BODIES[level].upper_depth_mm
    assert centre < extent(inside[:, front].any((1, 2)), z) - 1.5
    half = y > shape.back_y_mm + 0.55 * BODIES[level].upper_depth_mm  # in front of the pedicles' roots
    widths = [extent(inside[k, half].any(0), x) for k in np.flatnonzero(np.abs(z) < shape.height_mm / 2 - 2)]
    assert widths[len(widths) // 2] < min(widths[0], widths[-1]) - 0.7


@pytest.mark.parametrize("level", SOME_LEVELS)
def test_processes_point_where_they_should(means, level):
    shape, d, x, y, z = means[level]
    k, j, i = np.nonzero(d < 0)
    assert y[j].max() < -y[j].min(), "the spinous process is behind"
    spinous = j < j.min() + 4
    assert np.abs(x[i[spinous]]).max() < 6
    assert z[k[spinous]].mean() < -3
    if level == "T7":
        assert z[k[spinous]].mean() < -1.5 * shape.height_mm, "a thoracic spinous process slopes below its body"
    assert extent(np.isin(np.arange(len(x)), i), x) == pytest.approx(ARCHES[level].transverse_span_mm, abs=2.5)
    assert z[k].max() > shape.height_mm / 2 + 4, "superior facets stand above the body"


def test_the_marker_tells_left_from_right():
    d, x, *_ = sample(mean_vertebra("L1", marker_mm=6.0))
    used = x[(d < 0).any((0, 1))]
    assert -used.min() - used.max() == pytest.approx(6.0, abs=1.5), "left is at negative x"
    plain, x, *_ = sample(mean_vertebra("L1"))
    used = x[(plain < 0).any((0, 1))]
    assert abs(used.min() + used.max()) < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_one_piece_each(seed):
    rng = np.random.default_rng(seed)
    for level in ("T1", "T5", "T9", "T12", "L2", "L5"):
        d, *_ = sample(random_vertebra(level, rng), 1.0)
        assert label(d < 0, np.ones((3, 3, 3)))[1] == 1


@pytest.mark.parametrize("level", ["T6", "L4"])
def test_gradient_is_near_one_beside_the_surface(level):
    shape = random_vertebra(level, np.random.default_rng(11))
    d, *_ = sample(shape, 0.5)
    gradient = np.linalg.norm(np.gradient(d, 0.5), axis=0)[np.abs(d) < 1.2]
    assert np.mean((gradient > 0.6) & (gradient < 1.4)) > 0.95
    assert np.median(gradient) == pytest.approx(1.0, abs=0.08)


def test_compression_lowers_the_front():
    rng = np.random.default_rng
    whole = random_vertebra("L1", rng(1), compression=0.0)
    broken = random_vertebra("L1", rng(1), compression=0.25)
    assert broken.body.anterior_height_mm == pytest.approx(0.75 * whole.body.anterior_height_mm)
    assert broken.body.posterior_height_mm == whole.body.posterior_height_mm


def test_column_is_ordered_and_curved(column):
    spine, *_ = column
    assert spine.levels == LEVELS
    centres = np.array([v.body_centre_ras for v in spine.vertebrae])
    assert (np.diff(centres[:, 2]) < -12).all(), "from head to foot"
    assert np.abs(centres[:, :2].mean(0)).max() < 1e-6
    front = dict(zip(LEVELS, spine.sagittal_tilts_deg(), strict=True))
    assert front["T1"] - front["T12"] == pytest.approx(40, abs=5), "kyphosis"
    assert front["L5"] - front["L1"] == pytest.approx(45, abs=5), "lordosis"
    chord = np.interp(centres[:, 2], centres[[16, 0], 2], centres[[16, 0], 1])
    bow = centres[:, 1] - chord
    assert bow[LEVELS.index("T6")] < bow[LEVELS.index("L3")], "thorax behind, lordosis in front"


@pytest.mark.parametrize("cobb", [-40.0, 12.0, 30.0])
def test_scoliosis_is_the_angle_asked_for(cobb):
    spine = random_spine(np.random.default_rng(7), scoliosis_deg=cobb)
    assert spine.cobb_deg() == pytest.approx(abs(cobb), abs=3)
    # Measured again from the end-plates themselves, as on a radiograph.
    leans = []
    for vertebra in spine.vertebrae:
        shape = vertebra.shape
        across = np.linspace(-0.3, 0.3, 7) * shape.body.upper_width_mm
        up = np.linspace(0.2 * shape.height_mm, 0.75 * shape.height_mm, 200)
        local = np.stack(np.broadcast_arrays(across[:, None], 0.0, up), -1)
        d = shape.signed_distance(local)
        top = np.array([np.interp(0.0, row, up) for row in d])
        surface = np.stack([across, 0 * across, top, 1 + 0 * across], -1) @ vertebra.ras_from_local.T
        leans.append(-np.degrees(np.arctan(np.polyfit(surface[:, 0], surface[:, 2], 1)[0])))
    assert np.ptp(leans) == pytest.approx(abs(cobb), abs=8)
    centres = np.array([v.body_centre_ras for v in spine.vertebrae])
    off = centres[:, 0] - np.interp(centres[:, 2], centres[[16, 0], 2], centres[[16, 0], 0])
    apex = off[np.abs(off).argmax()]
    assert np.sign(apex) == np.sign(cobb), "positive is convex to the right"
    if abs(cobb) >= 30:
        bend = np.abs(off).argmax()
        process = spine.vertebrae[bend].ras_from_local[:3, 1] * -1
        assert np.sign(process[0]) == -np.sign(cobb), "the spinous process turns into the hollow"


@pytest.mark.parametrize("seed", [3, 21])
def test_neighbours_do_not_overlap(seed):
    spine = random_spine(np.random.default_rng(seed), scoliosis_deg=35.0 if seed == 21 else None)
    affine, shape = grid_around(spine, 1.0)
    count = np.zeros(shape, np.uint8)
    for vertebra, where, d in spine.patches(affine, shape):
        assert label(d < 0, np.ones((3, 3, 3)))[1] == 1, f"{vertebra.level} is in one piece"
        count[where] += d < 0
    assert (count > 1).sum() <= 3


def test_signed_distance_on_a_grid_agrees_with_points(column):
    spine, affine, shape = column
    d = spine.signed_distance(affine, shape, "T8")
    assert (d.shape, d.dtype) == (shape, np.float32)
    assert d.max() == FAR_MM
    k, j, i = (index[::199] for index in np.nonzero(d < 2))
    points = np.stack([i, j, k], -1) @ affine[:3, :3].T + affine[:3, 3]
    np.testing.assert_allclose(spine["T8"].signed_distance(points), d[k, j, i], atol=1e-3)
    union = spine.signed_distance(affine, shape)
    assert (union <= d).all()
    assert (union < 0).sum() > 5 * (d < 0).sum()
    with pytest.raises(KeyError):
        spine["C3"]


def test_a_turned_grid_sees_the_same_bone():
    placed = PlacedVertebra(mean_vertebra("L2"), np.eye(4))
    spine = PhantomSpine((placed,))
    affine = np.array([[0, 0, -1.0, 60], [-1.0, 0, 0, 60], [0, 1.0, 0, -50], [0, 0, 0, 1]])
    straight, shape = grid_around(spine)
    volumes = [(spine.signed_distance(a, s) < 0).sum() for a, s in ((affine, (120, 110, 140)), (straight, shape))]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.01)


def test_box_is_tight(column):
    spine, affine, shape = column
    lo, hi = spine["L3"].box_ras_mm()
    k, j, i = np.nonzero(spine.signed_distance(affine, shape, "L3") < 0)
    for index, axis in ((i, 0), (j, 1), (k, 2)):
        assert affine[axis, 3] + 1.5 * index.min() == pytest.approx(lo[axis], abs=2)
        assert affine[axis, 3] + 1.5 * index.max() == pytest.approx(hi[axis], abs=2)


def test_hounsfield_units_of_shell_core_and_air(scan):
    spine, affine, hu, labels = scan
    assert (hu.dtype, labels.dtype) == (np.float32, np.uint8)
    assert hu.shape == labels.shape
    assert set(np.unique(labels)) == {0, VERSE_LABEL["L2"], VERSE_LABEL["L3"]}
    d = spine.signed_distance(affine, hu.shape)
    assert (hu[d > 1.0] == AIR_HU).all()
    shell, core = hu[(d < -0.5) & (d > -0.9)], hu[d < -4.0]
    assert np.median(shell) > 600 > 300 > np.median(core) > 60
    assert 700 < np.percentile(hu[labels > 0], 98) < 1250
    assert 20 < core.std() < 150, "the core is grainy"
    edge = hu[np.abs(d) < 0.4]
    assert np.mean((edge > AIR_HU + 50) & (edge < 600)) > 0.7, "partial volume at the surface"


def test_same_seed_same_bone(scan):
    _, affine, hu, labels = scan
    spine = random_spine(np.random.default_rng(5), ("L2", "L3"), scoliosis_deg=0.0)
    again, labels_again = ct(spine, affine, hu.shape, np.random.default_rng(6))
    np.testing.assert_array_equal(hu, again)
    np.testing.assert_array_equal(labels, labels_again)
    other = random_spine(np.random.default_rng(50), ("L2", "L3"))
    assert other["L3"].shape != spine["L3"].shape


def test_selected_levels_keep_their_bones():
    whole = random_spine(np.random.default_rng(9))
    part = random_spine(np.random.default_rng(9), ("T10", "T11"))
    assert part.levels == ("T10", "T11")
    assert part["T11"].shape == whole["T11"].shape
    with pytest.raises(ValueError, match="levels"):
        random_spine(np.random.default_rng(9), ("C7",))
