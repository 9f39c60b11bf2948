"""Set-ups drawn from ranges: inside them, reaching their ends, and the same for one seed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry
from EARTrainingLib.projection import ACQUISITIONS, SPECTRA, Acquisition

CENTRE = (12.0, -30.0, 140.0)


def draws(acquisition, count=300, centre=CENTRE):
    rng = np.random.default_rng(5)
    return [acquisition.draw(rng, centre) for _ in range(count)]


def test_nominal_is_an_ap_and_a_left_lateral_through_the_vertebra():
    (exposure,) = draws(ACQUISITIONS["nominal"], 1)
    for view, alpha in zip(exposure.views, (0.0, 90.0), strict=True):
        assert (view.alpha_deg, view.beta_deg) == (pytest.approx(alpha), 0.0)
        assert (view.sod_mm, view.sdd_mm) == (pytest.approx(1000), pytest.approx(1300))
        assert view.isocentre_ras_mm == pytest.approx(CENTRE)
    assert exposure.photons is None
    assert exposure.spectrum == "60kV-3.5mmAl"


@pytest.mark.parametrize("name", ["paper", "ours"])
def test_draws_fill_their_ranges_and_stay_inside(name):
    ranges = ACQUISITIONS[name]
    exposures = draws(ranges)
    for number, middle in ((0, 0.0), (1, 90.0)):
        views = [exposure.views[number] for exposure in exposures]
        for values, reach in (
            ([view.alpha_deg - middle for view in views], ranges.alpha_error_deg),
            ([view.beta_deg for view in views], ranges.beta_error_deg),
        ):
            assert 0.95 * reach < np.max(values) <= reach
            assert -reach <= np.min(values) < -0.95 * reach
    sods = np.array([exposure.views[0].sod_mm for exposure in exposures])
    assert ranges.sod_mm[0] - 1e-6 <= sods.min() <= 1.02 * ranges.sod_mm[0]
    assert 0.98 * ranges.sod_mm[1] <= sods.max() <= ranges.sod_mm[1] + 1e-6
    ratios = [exposure.views[1].sdd_mm / exposure.views[1].sod_mm for exposure in exposures]
    assert ranges.magnification[0] - 1e-9 <= min(ratios) <= max(ratios) <= ranges.magnification[1] + 1e-9
    photons = np.array([exposure.photons for exposure in exposures])
    assert ranges.photons[0] <= photons.min() < photons.max() <= ranges.photons[1]
    assert np.median(photons) == pytest.approx(np.sqrt(np.prod(ranges.photons)), rel=0.4)  # log-uniform
    assert {exposure.spectrum for exposure in exposures} == set(ranges.spectra)


def test_both_views_share_source_distance_and_isocentre():
    for exposure in draws(ACQUISITIONS["ours"], 20):
        one, two = exposure.views
        assert (one.sod_mm, one.sdd_mm, one.isocentre_ras_mm) == (two.sod_mm, two.sdd_mm, two.isocentre_ras_mm)


def test_the_central_ray_passes_off_the_vertebra():
    offsets = np.array([e.views[0].isocentre_ras_mm for e in draws(ACQUISITIONS["ours"])]) - CENTRE
    assert (np.abs(offsets).max(0) <= (40, 40, 250)).all()
    assert (np.abs(offsets).max(0) > (35, 35, 200)).all()
    short = replace(ACQUISITIONS["ours"], sod_mm=(530, 530))
    assert np.abs(np.array([e.views[0].isocentre_ras_mm for e in draws(short)]) - CENTRE).max() <= 0.22 * 530


@pytest.mark.parametrize("angle", [60, 90, 140])
def test_the_angle_between_the_beams(angle):
    (exposure,) = draws(Acquisition(angle_deg=(angle, angle)), 1)
    assert BiplanarGeometry(*exposure.views).angle_deg == pytest.approx(angle)
    assert exposure.views[1].alpha_deg == pytest.approx(90)  # the lateral stays lateral


def test_the_range_of_angles_counts_departures():
    ranges = Acquisition(angle_deg=(60, 140), alpha_error_deg=4)
    low, high = ranges.angle_range_deg
    assert (low, high) == (52, 148)
    assert all(low <= BiplanarGeometry(*e.views).angle_deg <= high for e in draws(ranges, 200))


def test_crops_keep_the_vertebra_in_the_middle_at_its_size():
    for exposure in draws(ACQUISITIONS["ours"], 20):
        for crop in exposure.crops(CENTRE, 64, 1.5):
            uv, depth = crop.project(CENTRE)
            np.testing.assert_allclose(uv, 32, atol=1e-6)
            assert crop.sdd_mm / depth / crop.pixel_mm == pytest.approx(1 / 1.5)


def test_a_seed_gives_one_set_up_and_ranges_do_not_shift_the_draws():
    again = draws(ACQUISITIONS["ours"], 5)
    assert again == draws(ACQUISITIONS["ours"], 5)
    quiet = draws(replace(ACQUISITIONS["ours"], photons=None, spectra=SPECTRA[:1]), 5)
    assert [e.views for e in quiet] == [e.views for e in again]


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_round_trip(name):
    ranges = ACQUISITIONS[name]
    assert Acquisition.from_dict(json.loads(json.dumps(ranges.to_dict()))) == ranges


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sod_mm": (900, 800)}, "SOD"),
        ({"sod_mm": (0, 800)}, "SOD"),
        ({"magnification": (0.9, 1.2)}, "magnification"),
        ({"alpha_error_deg": -1}, "departure"),
        ({"spectra": ("60kV",)}, "60kV"),
        ({"spectra": ()}, "spectrum"),
        ({"photons": (float("nan"), 1e6)}, "photon"),
        ({"tilt": 3}, "tilt"),
        ({"sod_mm": "far"}, "malformed|SOD"),
    ],
)
def test_mistakes_are_named(wrong, said):
    with pytest.raises(GeometryError, match=said):
        Acquisition.from_dict(wrong)


def test_two_views_of_one_direction_are_refused():
    with pytest.raises(GeometryError, match="same direction"):
        Acquisition(angle_deg=(5, 5)).draw(np.random.default_rng(0))
