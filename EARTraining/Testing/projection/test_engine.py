"""From a CT to a pair of radiographs."""

import dataclasses
from contextlib import closing

import pytest
import torch
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine
from EARTrainingLib.projection import (
    ENGINES,
    EngineError,
    TorchEngine,
    area_densities,
    detect,
    load_spectrum,
    make_engine,
    xray_pair,
)

AFFINE = cube_affine((0, 0, 0), 64, 2.0)
GEOMETRY = BiplanarGeometry.from_preset(iso_pixel_mm=2.0, height=80, width=72)


@pytest.fixture
def body():
    """(D, H, W) HU: 100 mm left to right, 60 mm front to back, with a bone on the left; air around."""
    hu = torch.full((64, 64, 64), -1000.0)
    hu[:, 17:47, 7:57] = 0
    hu[20:30, 25:30, 12:18] = 1000
    return hu


@pytest.fixture(params=ENGINES)
def engine(request, deepdrr_python):
    """Every engine; DeepDRR's with a stand-in for DeepDRR."""
    with closing(make_engine(request.param, deepdrr_python())) as engine:
        yield engine


def test_area_densities_of_a_known_body(engine, body):
    """Left to right 100 mm and front to back 60 mm of water (1.03 g/cm3), at the image's middle."""
    density = engine.project(body, AFFINE, GEOMETRY.views)
    assert density.shape == (2, 2, 80, 72)
    soft, bone = density[:, 0, 40, 36], density[:, 1, 40, 36]
    torch.testing.assert_close(soft, torch.tensor([61.8, 103.0]), atol=0.3, rtol=0)
    torch.testing.assert_close(bone, torch.zeros(2))
    assert density[0, 1].max() == pytest.approx(5 * 2 * 1.6186, rel=0.02)
    assert density[1, 1].max() == pytest.approx(6 * 2 * 1.6186, rel=0.02)


def test_the_pair_is_frontal_then_lateral_attenuation(body):
    frontal, lateral = xray_pair(body, AFFINE, GEOMETRY)
    expected = detect(TorchEngine().project(body, AFFINE, GEOMETRY.views), load_spectrum())
    torch.testing.assert_close(frontal, expected[0])
    torch.testing.assert_close(lateral, expected[1])
    assert frontal[40, 36] < lateral[40, 36]
    assert frontal[0, 0] == pytest.approx(0, abs=1e-5)


def test_the_bone_on_the_left_is_on_the_right_of_the_frontal_image(body):
    _, bone = TorchEngine().project(body, AFFINE, [GEOMETRY.frontal])[0]
    column = int(bone.amax(0).argmax())
    assert column > 46


def test_spectrum_and_noise_reach_the_detector(body):
    hard = xray_pair(body, AFFINE, GEOMETRY, load_spectrum("80kV-2.5mmAl"))
    plain = xray_pair(body, AFFINE, GEOMETRY)
    assert hard[0][40, 36] < plain[0][40, 36]
    noisy = xray_pair(body, AFFINE, GEOMETRY, photons=1e4, generator=torch.Generator().manual_seed(0))
    for image, still in zip(noisy, plain, strict=True):
        assert 0.005 < (image - still).std() < 0.1


def test_views_of_unlike_size(body):
    geometry = dataclasses.replace(GEOMETRY, lateral=dataclasses.replace(GEOMETRY.lateral, height=50, width=60))
    frontal, lateral = xray_pair(body, AFFINE, geometry)
    assert (frontal.shape, lateral.shape) == ((80, 72), (50, 60))
    torch.testing.assert_close(lateral, xray_pair(body, AFFINE, GEOMETRY)[1][15:65, 6:66])


def test_views_of_one_size_are_projected_together_and_come_back_in_order(body):
    class Counting(TorchEngine):
        calls = ()

        def project(self, volume_hu, ras_from_ijk, views):
            self.calls = (*self.calls, len(views))
            return super().project(volume_hu, ras_from_ijk, views)

    engine, small = Counting(), dataclasses.replace(GEOMETRY.lateral, height=50)
    views = [GEOMETRY.lateral, small, GEOMETRY.frontal]
    images = area_densities(engine, body, AFFINE, views)
    assert engine.calls == (2, 1)
    for image, view in zip(images, views, strict=True):
        torch.testing.assert_close(image, TorchEngine().project(body, AFFINE, [view])[0])


def test_an_unknown_engine(body):
    with pytest.raises(EngineError, match=r"siemens.*torch, deepdrr"):
        make_engine("siemens")


def test_any_engine_can_take_the_place(body):
    class Fog:
        def project(self, volume_hu, ras_from_ijk, views):
            return torch.ones(len(views), 2, 3, 4)

    frontal, _ = xray_pair(body, AFFINE, GEOMETRY, engine=Fog())
    torch.testing.assert_close(frontal, detect(torch.ones(2, 3, 4), load_spectrum()))


def test_gradients_reach_the_ct(body):
    body.requires_grad_()
    sum(image.sum() for image in xray_pair(body, AFFINE, GEOMETRY)).backward()
    assert body.grad[32, 32, 32] > 0
    assert body.grad[0, 0, 0] == 0
    assert body.grad.isfinite().all()
