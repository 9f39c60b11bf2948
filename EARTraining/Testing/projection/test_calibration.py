"""Beads tell where an engine draws things: what is right passes, a shift is taken back, the rest is refused."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import View, cube_affine, transform_points
from EARTrainingLib.projection import Calibrated, EngineError, TorchEngine
from EARTrainingLib.projection.calibration import measure


class Wrong:
    """The ray-marcher with a fault: of the affine, of the views, or of the images."""

    def __init__(self, affine=lambda a: a, image=lambda x: x):
        self.affine, self.image = affine, image

    def project(self, volume_hu, ras_from_ijk, views):
        return self.image(TorchEngine().project(volume_hu, self.affine(np.array(ras_from_ijk, float)), views))


def moved(*voxels):
    def change(affine):
        affine[:3, 3] = transform_points(affine, voxels)
        return affine

    return change


def moved_mm(affine):
    affine[0, 3] += 1.0
    return affine


def stretched(affine):
    affine[:3, :3] *= 1.03
    return affine


def test_the_ray_marcher_draws_beads_where_they_are():
    found = measure(TorchEngine())
    assert found.error_px < 0.02
    assert np.abs(found.shift_voxels).max() < 0.02
    assert found.mass == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("shift", [(1, 1, 1), (0.4, -0.7, 1.3)])
def test_a_shift_is_measured_and_taken_back(shift):
    calibrated = Calibrated(Wrong(affine=moved(*shift)))
    np.testing.assert_allclose(calibrated.measured.shift_voxels, shift, atol=0.02)
    assert calibrated.measured.error_px > 0.5
    assert calibrated.left.error_px < 0.02
    affine = cube_affine((4, -9, 2), 24, 1.1)
    volume = torch.full((24, 24, 24), -1000.0)
    volume[9:13, 3:8, 12:19] = 700
    view = View(20, 10, 1000, 1300, 1.3, 40, 40, (4, -9, 2))
    torch.testing.assert_close(
        calibrated.project(volume, affine, [view]), TorchEngine().project(volume, affine, [view]), atol=0.5, rtol=0
    )


def test_what_is_right_is_left_as_it_is():
    volume = torch.rand(12, 12, 12) * 900
    view, affine = View(0, 0, 1000, 1300, 1.3, 20, 20), cube_affine((0, 0, 0), 12, 1.0)
    assert torch.equal(
        Calibrated(TorchEngine()).project(volume, affine, [view]), TorchEngine().project(volume, affine, [view])
    )


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        pytest.param(Wrong(image=lambda x: x.flip(-1)), "px from where it is", id="mirrored"),
        pytest.param(Wrong(image=lambda x: x.flip(-2)), "px from where it is", id="upside down"),
        pytest.param(Wrong(affine=moved_mm), "px from where it is", id="a millimetre is no voxel"),
        pytest.param(Wrong(affine=stretched), "px from where it is", id="stretched"),
        pytest.param(Wrong(affine=moved(3, 0, 0)), "px from where it is", id="too far"),
        pytest.param(Wrong(image=lambda x: x * 10), "times the mass", id="other unit"),
        pytest.param(Wrong(image=torch.zeros_like), "shows nothing", id="blank"),
        pytest.param(Wrong(image=lambda x: x * float("nan")), "shows nothing", id="nan"),
    ],
)
def test_any_other_fault_is_refused(engine, words):
    with pytest.raises(EngineError, match=words) as error:
        Calibrated(engine)
    assert "engine Wrong" in str(error.value)
    assert "Use the engine torch" in str(error.value)
