"""Whatever way a vertebra is seen, an answer that is right comes back to its place, on its own side of the body."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import BundleError, Cancelled, CaseError
from EARReconstructionLib.expected_error import at_points
from EARReconstructionLib.geometry import BiplanarGeometry, View, cube_affine, transform_points
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import network_input, reconstruct
from EARReconstructionLib.variants import SHIFTS, Variant, mirrored, variants
from EARReconstructionLib.vertebra import VertebraROI

SIZE, SPACING_MM, RADIUS_MM = 32, 2.0, 14.0
CARD = ModelCard(
    "fake", "EAR", {}, SIZE, SPACING_MM, "backproject", 0.0, 1.0, 0.0, (50.0, 130.0), (500.0, 1600.0), "column",
    ("L1",), "none", error_calibration=((0.0, 0.0), (50.0, 50.0)),
)  # fmt: skip
ROI = VertebraROI("L1", (10.0, -8.0, 25.0), (60.0, 60.0, 50.0))

#: An oblique pair far from the central ray, and the same patient from behind and from the other side.
GEOMETRIES = {
    "tilted": BiplanarGeometry(
        View(-7.0, 6.0, 900.0, 1250.0, 1.2, 300, 260), View(96.0, -4.0, 1100.0, 1500.0, 1.2, 300, 260)
    ),
    "PA and right lateral": BiplanarGeometry(
        View(180.0, 0.0, 900.0, 1250.0, 1.2, 300, 260), View(-90.0, 0.0, 900.0, 1250.0, 1.2, 300, 260)
    ),
}

#: One bead per height, none beside its mirror image, RAS mm from the ROI's centre.
BEADS = np.array([(15, 4, 18), (-3, 12, 9), (6, -14, 1), (-17, -5, -8), (8, 10, -17)], float)


class Product(ReconstructionNetwork):
    """Bright where both lifted images are: it treats every side and every place alike."""

    input_kind = "volumes"

    def forward(self, x):
        return NetworkOutput(x[:, :1].clamp_min(0) * x[:, 1:].clamp_min(0))


class Ball(ReconstructionNetwork):
    """A ball at one place of the cube (R, A, S; mm), whatever the images show: it fails to notice every change."""

    input_kind = "volumes"

    def __init__(self, offset):
        super().__init__()
        self.offset = offset

    def forward(self, x):
        k, j, i = np.indices((SIZE,) * 3)
        points = transform_points(cube_affine((0, 0, 0), SIZE, SPACING_MM), np.stack([i, j, k], -1))
        inside = RADIUS_MM - np.linalg.norm(points - self.offset, axis=-1)
        return NetworkOutput(torch.from_numpy(inside.astype(np.float32))[None, None].expand(len(x), -1, -1, -1, -1))


class Fake:
    """A bundle whose network is given, not loaded."""

    path, sha256 = "fake.safetensors", "0"

    def __init__(self, made, card=CARD):
        self.made, self.card = made, card

    def network(self):
        return self.made.eval()


def radiographs(geometry, beads=BEADS):
    """Both images of beads, drawn from P alone."""
    made = []
    for view, role in zip(geometry.views, ("frontal", "lateral"), strict=True):
        rows, columns = np.mgrid[: view.height, : view.width] + 0.5
        image = np.zeros(rows.shape)
        for place in np.add(beads, ROI.centre_ras_mm):
            (u, v), _ = view.project(place)
            image += np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 2.5**2))
        pixels = image.astype(np.float32)
        made.append(Radiograph(pixels, "attenuation", view.pixel_mm, role, (view.alpha_deg, view.beta_deg), view))
    return tuple(made)


def likeness(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


class TestBack:
    @pytest.mark.parametrize("name", GEOMETRIES)
    def test_every_variant_of_an_asymmetric_object_comes_back_to_it(self, name):
        look = partial(network_input, radiographs(GEOMETRIES[name]), GEOMETRIES[name], card=CARD)
        base = Product()(look(ROI).lifted[None]).volume[0, 0].numpy()
        found = variants(look, ROI, SPACING_MM)
        assert len(found) == 1 + len(SHIFTS)
        inner = (slice(2, -2),) * 3  # beyond them a moved cube knows nothing
        for variant in found:
            answer = Product()(variant.seen.lifted[None]).volume[0, 0].numpy()
            assert likeness(answer, base) < 0.5, "it shows the same as before"
            assert likeness(variant.back(answer, 0.0)[inner], base[inner]) > 0.98

    def test_a_network_of_images_sees_the_mirrored_patient(self):
        geometry = BiplanarGeometry.from_preset(height=300, width=260)
        look = partial(network_input, geometry=geometry, card=CARD)
        roi = replace(ROI, centre_ras_mm=(0.0, -8.0, 25.0))
        shift = np.subtract(roi.centre_ras_mm, ROI.centre_ras_mm)
        seen = look(radiographs(geometry, BEADS + shift), roi=roi)
        true = look(radiographs(geometry, BEADS * [-1, 1, 1] + shift), roi=roi)
        images = mirrored(seen).seen.images
        assert likeness(images[0].numpy(), true.images[0].numpy()) > 0.999
        # The heads of beads nearer to the source are larger now: a pixel, not more.
        assert likeness(images[1].numpy(), true.images[1].numpy()) > 0.9
        assert likeness(seen.images[0].numpy(), true.images[0].numpy()) < 0.5

    def test_what_lies_beyond_an_answer_is_filled(self):
        volume = np.arange(4**3, dtype=np.float32).reshape(4, 4, 4)
        back = Variant(None, (1, 0, -2)).back(volume, -1.0)
        np.testing.assert_array_equal(back[:2, :, 1:], volume[2:, :, :3])
        assert (back[2:] == -1).all()
        assert (back[:, :, 0] == -1).all()


class TestReconstruct:
    def test_a_network_that_notices_everything_is_sure(self):
        geometry = GEOMETRIES["tilted"]
        bundle = Fake(Product(), replace(CARD, threshold_hu=5.0))
        (one,) = reconstruct(radiographs(geometry, BEADS[2:3]), geometry, [ROI], bundle, device="cpu", uncertainty=True)
        around = one.expected_error_mm[one.mask]
        assert around.max() < 0.35

    def test_one_that_notices_nothing_is_off_by_what_it_missed(self):
        geometry, offset = GEOMETRIES["tilted"], np.array([3.0, 0.0, 0.0])
        (one,) = reconstruct(radiographs(geometry), geometry, [ROI], Fake(Ball(offset)), device="cpu", uncertainty=True)
        answers = [offset, -offset, *(offset + SPACING_MM * np.array(shift) for shift in SHIFTS)]
        directions = np.array([(1, 0, 0), (-1, 0, 0), (0, 0.6, 0.8), (0.48, -0.6, -0.64)])
        points = offset + RADIUS_MM * directions
        apart = np.std([np.linalg.norm(points - centre, axis=1) for centre in answers], axis=0, ddof=1)
        found = at_points(one.expected_error_mm, one.ras_from_ijk, points + ROI.centre_ras_mm)
        assert apart.min() > 2
        np.testing.assert_allclose(found, apart, atol=0.15)

    def test_the_reconstruction_itself_is_the_same_with_and_without(self):
        geometry = GEOMETRIES["tilted"]
        images = radiographs(geometry)
        plain, asked = (
            reconstruct(images, geometry, [ROI], Fake(Product()), device="cpu", uncertainty=wanted)[0]
            for wanted in (False, True)
        )
        np.testing.assert_array_equal(plain.volume_hu, asked.volume_hu)
        assert plain.expected_error_mm is None
        assert asked.expected_error_mm.shape == asked.volume_hu.shape

    def test_cancel_need_not_wait_for_all_answers(self):
        geometry, asked = GEOMETRIES["tilted"], []

        def cancel():
            asked.append(None)
            return len(asked) == 4  # once for the vertebra, then before its third variant

        with pytest.raises(Cancelled):
            reconstruct(
                radiographs(geometry), geometry, [ROI], Fake(Product()), device="cpu", uncertainty=True, cancel=cancel
            )
        assert len(asked) == 4

    def test_a_shift_out_of_the_image_is_left_out(self):
        def look(roi):
            if roi.centre_ras_mm[2] > ROI.centre_ras_mm[2]:
                raise CaseError("image", "it ends here", "Move the ROI")
            return network_input(radiographs(GEOMETRIES["tilted"]), GEOMETRIES["tilted"], roi, CARD)

        assert [v.shift for v in variants(look, ROI, SPACING_MM)] == [(0, 0, 0), *(s for s in SHIFTS if s[2] < 0)]

    def test_an_uncalibrated_model_is_refused_before_the_work(self):
        geometry = GEOMETRIES["tilted"]
        bundle = Fake(None, replace(CARD, error_calibration=()))
        with pytest.raises(BundleError, match="nobody has measured") as refused:
            reconstruct(radiographs(geometry), geometry, [ROI], bundle, device="cpu", uncertainty=True)
        assert "ear calibrate" in refused.value.advice
