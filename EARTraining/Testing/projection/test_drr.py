"""X-rays from any side: the place of a bead, the views around a volume, and what cannot be X-rayed."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.projection import detect, load_spectrum
from EARTrainingLib.projection.drr import corners_ras_mm, images_of, views_around

CENTRE = (25.0, -40.0, 110.0)
ANGLES = [(0.0, 0.0), (90.0, 0.0), (40.0, 20.0), (180.0, -15.0)]
DISTANCES = {"sod_mm": 900.0, "sdd_mm": 1200.0}


def box(hu=900.0):
    """A block of bone, right of, behind and below the middle of a water cube in air."""
    volume = np.full((40, 40, 40), -1000, np.float32)
    volume[8:32, 8:32, 8:32] = 0
    volume[10:14, 9:12, 26:31] = hu
    return Volume(volume, cube_affine(CENTRE, 40, 2.0))


def bead():
    """A Gaussian bead in a grid whose axes are swapped, flipped and of three sizes, and its place in RAS mm."""
    axes = np.array([[0, 0, -0.9], [1.1, 0, 0], [0, -1.3, 0]])
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = CENTRE - axes @ (23, 20, 26)
    at = np.array([30.3, 13.6, 31.8])
    k, j, i = np.indices((52, 44, 48))
    distance = ((np.stack([i, j, k], -1) - at) @ axes.T) ** 2
    density = 1.4 * np.exp(-distance.sum(-1) / (2 * 2.5**2))
    hu = np.where(density <= 1.03, (density - 1.03) / 0.001029, (density - 1.03) / 0.0005886)
    return Volume(hu.astype(np.float32), affine), transform_points(affine, at)


def centroid(image):
    image = image.double().numpy()
    v, u = np.indices(image.shape) + 0.5
    return np.array([(image * u).sum(), (image * v).sum()]) / image.sum()


@pytest.mark.parametrize("angles", ANGLES)
def test_a_bead_lands_where_p_sends_it(angles):
    volume, place = bead()
    views = views_around(volume, [angles], **DISTANCES, pixel_mm=0.9)
    (areas,) = images_of(volume, views, quantity="area-density")
    np.testing.assert_allclose(centroid(areas.sum(0)), views[0].project(place)[0], atol=0.02)


class TestViews:
    @pytest.mark.parametrize("angles", ANGLES)
    def test_the_detector_just_holds_the_volume(self, angles):
        volume = box()
        (view,) = views_around(volume, [angles], **DISTANCES)
        assert (view.alpha_deg, view.beta_deg) == angles
        np.testing.assert_allclose(view.isocentre_ras_mm, CENTRE, atol=0.051)
        assert view.pixel_mm == pytest.approx(0.8 * 1200 / 900)
        uv, _ = view.project(corners_ras_mm(volume))
        free = np.minimum(uv, (view.width, view.height) - uv)
        assert free.min() > 0
        assert free.min(0).max() < 6

    def test_size_pixel_and_isocentre_can_be_given(self):
        (view,) = views_around(
            box(), [(10, 5)], **DISTANCES, pixel_mm=0.5, size=(40, 60), isocentre_ras_mm=(30, -35, 100)
        )
        assert (view.height, view.width, view.pixel_mm) == (40, 60, 0.5)
        assert view.isocentre_ras_mm == (30, -35, 100)

    def test_an_isocentre_off_the_middle_widens_the_detector(self):
        volume = box()
        (view,) = views_around(volume, [(0, 0)], **DISTANCES, isocentre_ras_mm=(95, -40, 110))
        uv, _ = view.project(corners_ras_mm(volume))
        assert (uv > 0).all()
        assert (uv < (view.width, view.height)).all()

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"sod_mm": 30.0, "sdd_mm": 1200.0}, "source lies 10 mm inside"),
            ({"sod_mm": 900.0, "sdd_mm": 910.0}, "detector lies 14 mm inside"),
            ({**DISTANCES, "pixel_mm": 0.005}, "detector of .* pixels"),
            ({**DISTANCES, "pixel_mm": 0.0}, "must be positive"),
            ({**DISTANCES, "size": (9000, 20)}, "detector of 9000 x 20 pixels"),
            ({"sod_mm": 1200.0, "sdd_mm": 900.0}, "do not fit"),
            ({**DISTANCES, "isocentre_ras_mm": (0, np.nan, 0)}, "not a number"),
        ],
    )
    def test_what_cannot_be(self, given, words):
        with pytest.raises(GeometryError, match=words):
            views_around(box(), [(0.0, 0.0)], **given)

    def test_the_detector_may_stand_in_the_air_around_the_patient(self):
        (view,) = views_around(box(), [(0.0, 0.0)], sod_mm=900, sdd_mm=930)
        assert view.project(corners_ras_mm(box()))[1].max() > 930

    def test_a_tilt_that_no_device_has(self):
        with pytest.raises(GeometryError, match="tilt"):
            views_around(box(), [(0.0, 85.0)], **DISTANCES)


class TestImages:
    @pytest.fixture
    def views(self):
        return views_around(box(), ANGLES[:2], **DISTANCES)

    def test_the_bone_on_the_right_behind_and_below(self, views):
        frontal, lateral = (area[1] for area in images_of(box(), views, quantity="area-density"))
        for image in (frontal, lateral):  # the patient's right, and posterior, are on the left
            u, v = centroid(image)
            assert u < image.shape[1] / 2
            assert v > image.shape[0] / 2

    def test_each_quantity_follows_from_the_area_densities(self, views):
        areas = images_of(box(), views, quantity="area-density")
        tube = load_spectrum("80kV-2.5mmAl")
        for area, attenuation, intensity in zip(
            areas,
            images_of(box(), views, spectrum=tube, photons=None),
            images_of(box(), views, spectrum=tube, photons=None, quantity="intensity"),
            strict=True,
        ):
            torch.testing.assert_close(attenuation, detect(area, tube))
            torch.testing.assert_close(intensity, torch.exp(-attenuation))
            assert intensity[0, 0] == pytest.approx(1, abs=1e-5)

    def test_noise_is_that_of_the_seed_and_of_the_photons(self, views):
        first, again, other, few = (
            images_of(box(), views, seed=seed, photons=photons)[0]
            for seed, photons in ((1, 1e6), (1, 1e6), (2, 1e6), (1, 1e4))
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        still = images_of(box(), views, photons=None)[0]
        assert (few - still).std() == pytest.approx(10 * float((first - still).std()), rel=0.1)

    def test_a_view_past_the_volume(self):
        views = views_around(box(), [(0, 0), (90, 0)], **DISTANCES, size=(20, 20), isocentre_ras_mm=(25, 110, 110))
        with pytest.raises(GeometryError, match="view 90,0: nothing is in its image"):
            images_of(box(), views)
