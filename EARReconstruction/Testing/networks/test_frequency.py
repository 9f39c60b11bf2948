"""FEM, eq. 1: against a discrete Fourier transform written out, and in half precision."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from EARReconstructionLib.networks.blocks.frequency import FrequencyEnhancement, FrequencyNorm
from torch import Tensor
from torch.nn import functional


def fem_and_input(
    kernel: int,
    shape: tuple[int, int, int] = (4, 6, 5),
) -> tuple[FrequencyEnhancement, Tensor]:
    torch.manual_seed(0)
    return FrequencyEnhancement(3, kernel), torch.randn(2, 3, *shape)


def dft(z: Tensor, sign: int) -> Tensor:
    """Orthonormal transform along the last three axes, by its defining sum."""
    for axis in (2, 3, 4):
        n = z.shape[axis]
        indices = torch.arange(n, dtype=torch.float64)
        matrix = torch.exp(sign * 2j * torch.pi * indices[:, None] * indices / n) / n**0.5
        z = torch.tensordot(z, matrix, dims=([axis], [1])).movedim(-1, axis)
    return z


def periodic_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """out[p] = sum over offsets a of weight[a] x[p + a], the axes being circles."""
    reach = weight.shape[-1] // 2
    out = torch.zeros(1, dtype=x.dtype)
    for d, h, w in product(range(weight.shape[-1]), repeat=3):
        moved = x.roll((reach - d, reach - h, reach - w), dims=(2, 3, 4))
        out = out + torch.einsum("oc,bcdhw->bodhw", weight[:, :, d, h, w], moved)
    return out


@pytest.mark.parametrize("shape", [(4, 4, 4), (5, 3, 7), (4, 6, 5)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_filter_is_eq_1(kernel: int, shape: tuple[int, int, int]) -> None:
    fem, u = fem_and_input(kernel, shape)
    z = dft(u.to(torch.complex128), -1)
    real = periodic_convolution(z.real, fem.conv_real.weight.double())
    imaginary = periodic_convolution(z.imag, fem.conv_imaginary.weight.double())
    expected = dft(torch.complex(real, imaginary), +1).abs()
    torch.testing.assert_close(fem.filter(u), expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_identity_on_the_spectrum_gives_the_magnitude_of_the_input(kernel: int) -> None:
    fem, u = fem_and_input(kernel)
    centre = kernel // 2
    with torch.no_grad():
        for conv in (fem.conv_real, fem.conv_imaginary):
            conv.weight.zero_()
            conv.weight[range(3), range(3), centre, centre, centre] = 1
    torch.testing.assert_close(fem.filter(u), u.abs(), rtol=1e-4, atol=1e-5)


def test_output_joins_the_magnitude_with_the_features() -> None:
    fem, features = fem_and_input(3)
    u = functional.instance_norm(features)
    joined = torch.cat([fem.filter(u), features], dim=1)
    expected = functional.instance_norm(functional.conv3d(joined, fem.fuse[0].weight, padding=1)).relu()
    torch.testing.assert_close(fem(features), expected)


def test_instance_norm_forgets_how_bright_a_sample_is_and_batch_norm_does_not() -> None:
    """A sample and its double differ in nothing but their scale."""
    sample = torch.randn(1, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    both = torch.cat([sample, 2 * sample])
    for norm, share in (("instance", 1.0), ("batch", 2.0)):
        torch.manual_seed(0)
        once, twice = FrequencyEnhancement(3, norm=norm)(both).detach()
        assert float(twice.std() / once.std()) == pytest.approx(share, rel=0.1)


def test_identity_start_goes_from_the_input_to_eq_1() -> None:
    fem, features = fem_and_input(3)
    growing = FrequencyEnhancement(3, identity_start=True)
    growing.load_state_dict(fem.state_dict(), strict=False)
    torch.testing.assert_close(growing(features), features)
    torch.nn.init.ones_(growing.gate.gate)
    torch.testing.assert_close(growing(features), fem(features))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_float32_under_autocast(kernel: int, dtype: torch.dtype) -> None:
    fem, features = fem_and_input(kernel)
    features = features.to(dtype)
    expected = fem(features.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = fem(features)
    assert out.dtype == dtype
    torch.testing.assert_close(out, expected.to(dtype), rtol=0, atol=0)


def test_other_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel must be 1 or 3"):
        FrequencyEnhancement(4, 5)


@pytest.mark.parametrize(("norm", "kept"), [("instance", 1.0), ("batch", 5.0)])
def test_the_norm_of_a_batch_keeps_how_bright_a_sample_is(norm: FrequencyNorm, kept: float) -> None:
    """Two samples of which one is five times the other: what its filter is given, and what it gives."""
    torch.manual_seed(0)
    dim = torch.randn(1, 3, 4, 6, 5)
    dim -= dim.mean((2, 3, 4), keepdim=True)
    fem = FrequencyEnhancement(3, 3, norm)
    u = fem.normalise(torch.cat([dim, 5 * dim]))
    for x in (u, fem.filter(u).detach()):
        assert float(x[1].norm() / x[0].norm()) == pytest.approx(kept, rel=1e-3)
