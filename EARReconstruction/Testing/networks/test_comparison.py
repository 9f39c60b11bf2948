"""PSR, SIT, E2E and BX2S: shapes, sizes and where the pixels of the AP image go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from EARReconstructionLib.networks import NETWORKS, build
from EARReconstructionLib.networks.bx2s import FFAG
from torch import Tensor, nn

SMALL_PSR = {"width": 1 / 64}


def stages_of(name: str, size: int, stages: list[str]) -> list[tuple[int, ...]]:
    """Output shapes, without the batch, of the named modules; without memory, so at full size and width."""
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        network = build(name, **({"size": size} if NETWORKS[name].input_kind == "images" else {}))
        x = torch.zeros(1, 2, *[size] * (2 if network.input_kind == "images" else 3))
    for stage in stages:
        network.get_submodule(stage).register_forward_hook(
            lambda _, __, out, stage=stage: shapes.update({stage: tuple(out.shape[1:])})
        )
    assert network.eval()(x).volume.shape == (1, 1, size, size, size)
    return [shapes[stage] for stage in stages]


@pytest.mark.parametrize("size", [64, 128])
def test_psr_stages(size: int) -> None:
    """The plane follows the size; the depth goes from 2 to 64 whatever it is."""
    stages = range(5)
    names = [*(f"encoder.{i}" for i in stages), "transform", *(f"decoder.{i}" for i in stages), "slices"]
    bottom = size // 32
    encoder = [(256 * 2**i, bottom * 2 ** (4 - i), bottom * 2 ** (4 - i)) for i in stages]
    decoder = [(1024 // 2**i, 4 * 2**i, bottom * 2 ** (i + 1), bottom * 2 ** (i + 1)) for i in stages]
    expected = [*encoder, (2048, 2, bottom, bottom), *decoder, (size, size, size)]
    assert stages_of("PSR", size, names) == expected


@pytest.mark.parametrize("size", [64, 128])
def test_sit_stages(size: int) -> None:
    names = ["stem", "down.0", "down.1", "down.2", "up.0", "up.1", "up.2", "up.3", "head"]
    sides = [size // divisor for divisor in (1, 2, 4, 8, 8, 4, 2, 1)]
    assert stages_of("SIT", size, names) == [*((256, n, n) for n in sides), (size, size, size)]


# Channels and side of each level, down and up again
U = [(8, 128), (16, 64), (32, 32), (64, 16), (128, 8), (64, 16), (32, 32), (16, 64), (8, 128)]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("E2E", [*(f"encoder.{i}" for i in range(5)), *(f"decoder.{i}" for i in range(4))]),
        ("BX2S", ["stem", *(f"down.{i}" for i in range(4)), *(f"fuse.{i}" for i in range(4))]),
    ],
)
def test_stages_in_three_dimensions(name: str, stages: list[str]) -> None:
    assert stages_of(name, 128, stages) == [(channels, n, n, n) for channels, n in U]


@pytest.mark.parametrize(("name", "last"), [("SIT", "head"), ("PSR", "slices")])
def test_slices_that_copy_the_ap_image_lie_behind_its_pixels(name: str, last: str) -> None:
    """volume[k, j, i] = ap[N - 1 - k, N - 1 - i] for every slice j."""
    network = build(name, size=64, **(SMALL_PSR if name == "PSR" else {})).eval()
    images = torch.randn(1, 2, 64, 64)

    class CopyAP(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            return images[:, :1].expand(1, 64, 64, 64)

    setattr(network, last, CopyAP())
    with torch.no_grad():
        volume = network(images).volume
    k, j, i = 5, 40, 12
    assert volume[0, 0, k, j, i] == images[0, 0, 63 - k, 63 - i]
    assert torch.equal(volume[0, 0], images[0, 0].flip(0, 1)[:, None, :].expand(64, 64, 64))


def test_a_pixel_of_the_ap_image_acts_most_on_the_voxels_behind_it() -> None:
    torch.manual_seed(0)
    network = build("SIT", size=64).eval()
    images = torch.zeros(1, 2, 64, 64)
    touched = images.clone()
    touched[0, 0, 10, 22] = 5
    with torch.no_grad():
        change = (network(touched).volume - network(images).volume).abs().sum((0, 1, 3))
    k, i = divmod(int(change.argmax()), 64)
    assert abs(k - (63 - 10)) <= 4
    assert abs(i - (63 - 22)) <= 4


def test_ffag_guides_the_encoder_features_and_not_those_from_below() -> None:
    """out = conv(concat(S guide, up)): a guide of zero leaves the output without the encoder's maps."""
    torch.manual_seed(0)
    ffag = FFAG([8, 16, 32, 64], 16).eval()
    maps = [torch.randn(1, c, n, n, n) for c, n in ((8, 16), (16, 8), (32, 4), (64, 2))]
    up = torch.randn(1, 16, 8, 8, 8)
    assert not torch.allclose(ffag(maps, up), ffag([-m for m in maps], up), atol=1e-5)
    torch.nn.init.constant_(ffag.guide[-1].bias, -1000.0)
    torch.testing.assert_close(ffag(maps, up), ffag([-m for m in maps], up))
    assert not torch.allclose(ffag(maps, up), ffag(maps, -up), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "message"),
    [
        ("PSR", SMALL_PSR, (1, 2, 64, 64), r"\(B, 2, 128, 128\)"),
        ("SIT", {}, (1, 2, 128, 128, 128), r"\(B, 2, 128, 128\)"),
        ("E2E", {}, (1, 2, 24, 24, 24), "divisible by 16"),
        ("BX2S", {}, (1, 3, 32, 32, 32), r"\(B, 2, N, N, N\)"),
    ],
)
def test_other_inputs_are_refused(
    name: str,
    arguments: dict[str, Any],
    shape: tuple[int, ...],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **arguments)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("PSR", {"size": 48}, "divisible by 32"),
        ("PSR", {"width": 0.01}, "multiple of 4"),
        ("SIT", {"size": 40}, "divisible by 16"),
        ("BX2S", {"width": 6}, "divisible by 4"),
    ],
)
def test_other_arguments_are_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **arguments)
