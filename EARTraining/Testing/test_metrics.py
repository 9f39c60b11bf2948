"""Every metric against numbers worked out by hand; distances against balls and boxes in millimetres."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from EARTrainingLib.losses import frequency_distance
from EARTrainingLib.metrics import METRICS, normalised_fd, ssim_map, surface_metrics, volume_metrics

AIR, BONE = -1000.0, 200.0
DISTANCES = ("assd_mm", "hd95_mm", "nsd_1mm", "nsd_2mm")


def ball(
    radius_mm: float | Sequence[float],
    *,
    size: int = 40,
    spacing_mm: float | Sequence[float] = 1.0,
    centre_mm: Sequence[float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """(k, j, i) voxels whose centre is in a ball or ellipsoid; the grid's middle is 0."""
    steps = np.broadcast_to(np.asarray(spacing_mm, float), 3)
    axes = [(np.arange(size) - (size - 1) / 2) * step - c for step, c in zip(steps, centre_mm, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    a, b, c = np.broadcast_to(np.asarray(radius_mm, float), 3)
    return (k / a) ** 2 + (j / b) ** 2 + (i / c) ** 2 <= 1


def bone(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, BONE, AIR)


TARGET = ball((6, 8, 10), size=32, centre_mm=(0.5, -1, 1.5))


def measured(predicted_hu: np.ndarray, predicted_mask: np.ndarray = TARGET, **changes: Any) -> dict[str, float]:
    arguments = {"hu_mean": -970.0, "hu_sd": 200.0, "spacing_mm": 1.0} | changes
    return volume_metrics(predicted_hu, bone(TARGET), predicted_mask, TARGET, **arguments)


class TestTable:
    def test_every_number_has_a_title_a_unit_and_a_direction(self) -> None:
        assert set(METRICS) == set(measured(bone(TARGET))) | {"fd_minmax"}
        for title, unit, better in METRICS.values():
            assert title
            assert isinstance(unit, str)
            assert better in ("higher", "lower", "zero")

    def test_a_worse_prediction_is_worse_in_every_direction(self) -> None:
        good = measured(bone(TARGET) + 30, TARGET)
        bad = measured(bone(np.roll(TARGET, 4, 0)) + 60, np.roll(TARGET, 4, 0))
        for name in set(METRICS) - {"fd_minmax", "sde_mean_mm"}:
            assert (good[name] > bad[name]) == (METRICS[name][2] == "higher"), name

    def test_a_perfect_prediction(self) -> None:
        """PSNR and FD would be infinite: they end at 120 dB and -12."""
        perfect = measured(bone(TARGET))
        assert (perfect["mse"], perfect["mae"], perfect["dice"]) == (0, 0, 1)
        assert perfect["psnr_hu4096"] == perfect["psnr_range"] == pytest.approx(120)
        assert perfect["ssim"] == pytest.approx(1)
        assert perfect["ssim_foreground"] == pytest.approx(1)
        assert perfect["fd"] == pytest.approx(-12)
        assert [perfect[name] for name in DISTANCES] == pytest.approx([0, 0, 1, 1], abs=1e-4)

    def test_plain_numbers(self) -> None:
        """For CSV and JSON, whatever the arrays are."""
        values = measured(bone(TARGET).astype(np.float32), torch.from_numpy(TARGET).to(torch.uint8))
        assert json.loads(json.dumps(values)) == values
        assert {type(value) for value in values.values()} == {float}

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ((bone(TARGET)[:-1], bone(TARGET), TARGET, TARGET), "one shape"),
            ((bone(TARGET), bone(TARGET), TARGET[None], TARGET), "one shape"),
            ((bone(TARGET), bone(TARGET), TARGET, np.zeros_like(TARGET)), "target is empty"),
            ((bone(TARGET), np.full(TARGET.shape, AIR), TARGET, TARGET), "target is empty"),
        ],
    )
    def test_what_cannot_be_compared(self, arguments: tuple[np.ndarray, ...], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            volume_metrics(*arguments, hu_mean=0, hu_sd=1, spacing_mm=1)

    @pytest.mark.parametrize("changes", [{"hu_sd": 0.0}, {"spacing_mm": 0.0}, {"spacing_mm": (1, 1, -1)}])
    def test_scales_that_are_none(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="greater than 0"):
            measured(bone(TARGET), **changes)


class TestVoxels:
    def test_by_hand(self) -> None:
        """128 of 32^3 voxels (1 / 256) are 400 HU too high, which is 2 SD: MSE 4 / 256, MAE 2 / 256.

        In HU the MSE is 160000 / 256 = 625 = 25^2: PSNR 20 log10(4096 / 25) and, for air to bone, 20 log10(1200 / 25).
        D is the sum of squares, 128 times 4.
        """
        predicted = bone(TARGET)
        predicted[0, :4] += 400
        values = measured(predicted)
        assert values["mse"] == pytest.approx(4 / 256)
        assert values["mae"] == pytest.approx(2 / 256)
        assert values["psnr_hu4096"] == pytest.approx(20 * math.log10(4096 / 25))
        assert values["psnr_range"] == pytest.approx(20 * math.log10(1200 / 25))
        assert values["fd"] == pytest.approx(math.log10(512))

    def test_the_mean_of_the_z_score_cancels_out(self) -> None:
        predicted = bone(TARGET) + np.linspace(0, 90, 32)
        assert measured(predicted, hu_mean=0.0) == pytest.approx(measured(predicted), rel=1e-9)

    def test_fd_is_the_distance_of_the_loss(self) -> None:
        predicted = bone(TARGET) + np.linspace(-50, 90, 32)
        volumes = (torch.from_numpy((hu + 970) / 200)[None, None] for hu in (predicted, bone(TARGET)))
        assert 10 ** measured(predicted)["fd"] == pytest.approx(frequency_distance(*volumes).item())

    def test_dice_by_hand(self) -> None:
        """Boxes of 4 x 4 x 4 and 4 x 4 x 6 that share 4 x 4 x 2: 2 32 / (64 + 96)."""
        predicted, target = np.zeros((2, 16, 16, 16), bool)
        predicted[4:8, 4:8, 4:8] = target[4:8, 4:8, 6:12] = True
        values = volume_metrics(
            bone(predicted), bone(target), predicted, target, hu_mean=0, hu_sd=1, spacing_mm=(1, 2, 3)
        )
        assert values["dice"] == pytest.approx(0.4)


class TestSSIM:
    def test_flat_volumes_by_hand(self) -> None:
        """No variance: (2 x y + c1) / (x^2 + y^2 + c1) of the stored values, c1 = (0.01 4096)^2."""
        x, y = 176.0 + 1024, -24.0 + 1024
        c1 = 40.96**2
        expected = (2 * x * y + c1) / (x * x + y * y + c1)
        np.testing.assert_allclose(ssim_map(np.full((12, 13, 14), 176.0), np.full((12, 13, 14), -24.0)), expected)

    def test_one_bright_voxel_by_hand(self) -> None:
        """Of value v in stored 0, against stored 0: with the window's weight w, mean w v and variance w v^2 - (w v)^2.

        Similarity at that voxel: c1 / (mean^2 + c1) times c2 / (variance + c2), w the cube of the 1-D weight.
        """
        side = sum(math.exp(-0.5 * (n / 1.5) ** 2) for n in range(-5, 6))
        w, v = (1 / side) ** 3, 3000.0
        predicted = np.full((15, 16, 17), -1024.0)
        target = predicted.copy()
        predicted[7, 8, 9] += v
        c1, c2 = 40.96**2, (0.03 * 4096) ** 2
        mean, variance = w * v, w * v**2 - (w * v) ** 2
        similar = ssim_map(predicted, target)
        assert similar[7, 8, 9] == pytest.approx(c1 / (mean**2 + c1) * c2 / (variance + c2))
        assert similar[7, 8, 3] == pytest.approx(1)  # six away
        assert similar[7, 8, 4] < 1 - 1e-8  # five away

    def test_torchmetrics_has_the_same_map(self) -> None:
        from torchmetrics.functional.image import structural_similarity_index_measure

        rng = np.random.default_rng(0)
        target = np.where(ball(7, size=20), BONE, AIR) + rng.normal(0, 20, (20, 20, 20))
        predicted = target[:, ::-1] + rng.normal(0, 150, target.shape)
        tensors = (torch.from_numpy(hu + 1024)[None, None] for hu in (predicted, target))
        mean, theirs = structural_similarity_index_measure(*tensors, data_range=4096.0, return_full_image=True)
        ours = ssim_map(predicted, target)
        np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=1e-9)
        assert ours.mean() == pytest.approx(mean.item())

    def test_the_foregrounds_own_does_not_see_the_air(self) -> None:
        predicted = bone(TARGET)
        predicted[:2] += 300  # the bone begins at 10: beyond the three voxels and the window's five
        values = measured(predicted)
        assert values["ssim"] < 0.95
        assert values["ssim_foreground"] == pytest.approx(1)

    def test_the_foregrounds_own_is_stricter_with_the_bone(self) -> None:
        predicted = np.where(TARGET, BONE - 300, AIR)
        values = measured(predicted)
        assert values["ssim_foreground"] < values["ssim"] < 1


class TestDistances:
    @pytest.mark.parametrize("spacing", [1.0, 1.5, (0.8, 1.0, 1.4)])
    @pytest.mark.parametrize(("predicted", "target"), [(10.0, 12.0), (15.0, 12.0)])
    def test_a_ball_within_a_ball(self, predicted: float, target: float, spacing: Any) -> None:
        """The radii's difference everywhere; a third of a voxel is the most that the staircase may add."""
        options: dict[str, Any] = {"spacing_mm": spacing, "centre_mm": (0.3, -0.2, 0.45)}
        values = surface_metrics(ball(predicted, **options), ball(target, **options), spacing)
        gap = abs(predicted - target)
        assert values["assd_mm"] == pytest.approx(gap, abs=0.05)
        assert values["hd95_mm"] == pytest.approx(gap, abs=np.max(spacing) / 3)
        assert values["nsd_1mm"] < 0.01
        assert values["sde_mean_mm"] == pytest.approx(predicted - target, abs=0.05)
        assert values["sde_rms_mm"] == pytest.approx(gap, abs=0.1)
        assert gap < values["sde_max_mm"] < gap + np.max(spacing)
        if gap > 2.5:
            assert values["nsd_2mm"] < 0.01

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_ball_shifted_along_one_axis(self, axis: int) -> None:
        """|s cos t|, even over the sphere: mean s / 2, 95 % below 0.95 s, a share of 1 / s and 2 / s within 1 and 2."""
        spacing, shift = (0.8, 1.0, 1.3), 2.5
        centre = [0.0, 0.0, 0.0]
        centre[axis] = shift
        values = surface_metrics(ball(12, spacing_mm=spacing, centre_mm=centre), ball(12, spacing_mm=spacing), spacing)
        assert values["assd_mm"] == pytest.approx(shift / 2, abs=0.03)
        assert values["hd95_mm"] == pytest.approx(0.95 * shift, abs=0.15)
        assert values["nsd_1mm"] == pytest.approx(1 / shift, abs=0.03)
        assert values["nsd_2mm"] == pytest.approx(2 / shift, abs=0.03)

    def test_the_same_voxels_in_another_spacing(self) -> None:
        predicted, target = ball(10, centre_mm=(1, 2, 0)), ball(12)
        fine, coarse = (surface_metrics(predicted, target, spacing) for spacing in (1.0, 2.0))
        for name in ("assd_mm", "hd95_mm"):
            assert coarse[name] == pytest.approx(2 * fine[name], rel=0.02)
        assert coarse["nsd_2mm"] == pytest.approx(fine["nsd_1mm"], abs=0.01)
        assert coarse["nsd_1mm"] < fine["nsd_1mm"]

    def test_spacing_is_in_the_order_of_the_axes(self) -> None:
        """A plate moved by four voxels along k; as if along i, the distances are those of the other spacing."""
        target = np.zeros((24, 20, 22), bool)
        target[6:12, 3:17, 3:19] = True
        predicted = np.roll(target, 4, 0)
        right = surface_metrics(predicted, target, (0.5, 1.0, 2.0))
        wrong = surface_metrics(predicted, target, (2.0, 1.0, 0.5))
        assert right["hd95_mm"] == pytest.approx(4 * 0.5, abs=0.15)
        assert wrong["hd95_mm"] == pytest.approx(4 * 2.0, abs=0.5)
        turned = surface_metrics(np.moveaxis(predicted, 0, 2), np.moveaxis(target, 0, 2), (1.0, 2.0, 0.5))
        assert turned == pytest.approx(right, abs=0.02)

    def test_axes_that_were_swapped_are_found_out(self) -> None:
        """An uneven shape against its mirror image and its transpose."""
        target = ball((7, 11, 15))
        target[20:, 24:30, 18:22] = True
        assert surface_metrics(target, target, 1.0)["assd_mm"] < 1e-4
        assert surface_metrics(target[:, ::-1], target, 1.0)["assd_mm"] > 0.3
        assert surface_metrics(target.transpose(0, 2, 1), target, 1.0)["assd_mm"] > 1

    def test_where_the_box_lies_and_how_large_it_is_does_not_matter(self) -> None:
        predicted, target = ball(9, centre_mm=(1, 0, 0)), ball(10)
        cut = (slice(8, 33), slice(9, 32), slice(7, 33))  # close to the balls, which reach 9.5 to 29.5
        whole, closer = surface_metrics(predicted, target, 1.0), surface_metrics(predicted[cut], target[cut], 1.0)
        assert closer == pytest.approx(whole, abs=1e-4)

    def test_a_shape_that_fills_its_grid_has_a_surface(self) -> None:
        full = np.ones((10, 12, 14), bool)
        assert surface_metrics(full, full, 1.0)["assd_mm"] == pytest.approx(0, abs=1e-4)

    def test_islands_and_cavities_are_not_shown_and_not_measured(self) -> None:
        target = ball(12)
        predicted = target.copy()
        predicted[18:22, 18:22, 18:22] = False
        predicted[1:3, 1:3, 1:3] = True
        assert surface_metrics(predicted, target, 1.0)["hd95_mm"] < 1e-4

    def test_nothing_predicted(self) -> None:
        values = measured(np.full(TARGET.shape, AIR), np.zeros_like(TARGET))
        assert values["dice"] == values["nsd_1mm"] == values["nsd_2mm"] == 0
        assert all(math.isnan(values[name]) == METRICS[name][0].startswith(("ASSD", "HD", "SDE")) for name in values)

    def test_no_target_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="target"):
            surface_metrics(TARGET, np.zeros_like(TARGET), 1.0)


class TestWhatIsNoBone:
    """A prediction that no mesh can be compared with still counts."""

    def test_a_crumb_by_hand(self) -> None:
        """One voxel in the middle of a box of 21 x 3 x 3, spacing 1, 1, 0.5: all but that voxel are its surface.

        From the crumb 0.5 mm; to it, from the voxel (k, j, i) off the middle, sqrt(k^2 + j^2 + (i / 2)^2).
        """
        target, crumb = np.zeros((2, 25, 7, 7), bool)
        target[2:23, 2:5, 2:5] = crumb[12, 3, 3] = True
        target[12, 3, 3] = True
        k, j, i = np.meshgrid(np.arange(-10, 11), [-1, 0, 1], [-0.5, 0, 0.5], indexing="ij")
        outer = (abs(k) == 10) | (j != 0) | (i != 0)
        far = np.sqrt(k**2 + j**2 + i**2)[outer]
        values = surface_metrics(crumb, target, (1.0, 1.0, 0.5))
        assert values["assd_mm"] == pytest.approx((far.sum() + 0.5) / (far.size + 1))
        assert values["hd95_mm"] == pytest.approx(np.percentile(far, 95))
        assert values["nsd_1mm"] == pytest.approx(((far <= 1).sum() + 1) / (far.size + 1))
        assert values["nsd_2mm"] == pytest.approx(((far <= 2).sum() + 1) / (far.size + 1))

    def test_a_bone_beside_the_target(self) -> None:
        """Balls of 5 mm whose centres are 20 mm apart: from 10 mm to 20 mm and a little."""
        values = surface_metrics(ball(5, centre_mm=(-10, 0, 0)), ball(5, centre_mm=(10, 0, 0)), 1.0)
        assert 10 < values["assd_mm"] < values["hd95_mm"] < 21
        assert values["nsd_2mm"] == 0
        assert math.isnan(values["sde_mean_mm"])

    @pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
    def test_noise_gets_monais_distances(self) -> None:
        """Its mesh would have more triangles than voxels."""
        from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

        noise, target = np.random.default_rng(0).uniform(size=(24, 26, 28)) < 0.4, np.zeros((24, 26, 28), bool)
        target[4:12, 5:16, 6:20] = True
        spacing = (1.2, 0.7, 0.9)
        pair = (torch.from_numpy(noise)[None, None], torch.from_numpy(target)[None, None])
        options: dict[str, Any] = {"include_background": True, "spacing": spacing}
        values = surface_metrics(noise, target, spacing)
        assert values["assd_mm"] == pytest.approx(
            compute_average_surface_distance(*pair, symmetric=True, **options).item(), rel=1e-5
        )
        assert values["hd95_mm"] == pytest.approx(
            compute_hausdorff_distance(*pair, percentile=95, **options).item(), rel=1e-5
        )
        for name, limit in (("nsd_1mm", 1.0), ("nsd_2mm", 2.0)):
            assert values[name] == pytest.approx(compute_surface_dice(*pair, [limit], **options).item(), rel=1e-5)


class TestNormalisedFD:
    def test_by_hand(self) -> None:
        """1, 3, 2 between 1 and 3: 0, 1, 1/2. Rows keep what else they hold, and stay as they were."""
        rows = [{"model": "EAR", "fd": 1.0}, {"model": "PSR", "fd": 3.0}, {"model": "EAR", "fd": 2.0}]
        scaled, bounds = normalised_fd(rows)
        assert bounds == (1, 3)
        assert [row["fd_minmax"] for row in scaled] == [0, 1, 0.5]
        assert [row["model"] for row in scaled] == ["EAR", "PSR", "EAR"]
        assert "fd_minmax" not in rows[0]

    def test_all_the_same(self) -> None:
        scaled, bounds = normalised_fd([{"fd": 2.5}, {"fd": 2.5}])
        assert bounds == (2.5, 2.5)
        assert [row["fd_minmax"] for row in scaled] == [0, 0]

    def test_no_rows(self) -> None:
        with pytest.raises(ValueError, match="no rows"):
            normalised_fd([])
