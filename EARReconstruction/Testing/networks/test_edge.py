"""EAM, eq. 2."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from EARReconstructionLib.networks.blocks.edge import EdgeAttention, Gate
from EARReconstructionLib.networks.blocks.stages import LEAKY_SLOPE, resize


def test_gate_formula_by_hand() -> None:
    """One channel, one guide channel, one voxel: BN with its initial statistics divides by sqrt(1 + eps)."""
    gate = Gate(1, 1).eval()
    stage, last = gate.gate
    with torch.no_grad():
        stage[0].weight.copy_(torch.tensor([2.0, -1.0]).reshape(1, 2, 1, 1, 1))
        last.weight.fill_(3.0)
        last.bias.fill_(0.5)
    for feature, guide in ((1.0, 0.5), (1.0, 4.0), (-2.0, 1.0)):
        inner = (2 * feature - guide) / (1 + 1e-5) ** 0.5
        inner = inner if inner > 0 else LEAKY_SLOPE * inner
        g = 1 / (1 + torch.exp(torch.tensor(-(3 * inner + 0.5))))
        out = gate(torch.full((1, 1, 1, 1, 1), feature), torch.full((1, 1, 1, 1, 1), guide))
        torch.testing.assert_close(out.squeeze(), g * feature + feature)


def test_gate_enlarges_a_small_guide() -> None:
    """To the same as if the guide had been enlarged before: eq. 2 as printed."""
    torch.manual_seed(0)
    gate = Gate(4, 8)
    features, guide = torch.randn(2, 4, 8, 8, 8), torch.randn(2, 8, 2, 2, 2)
    g = torch.sigmoid(gate.gate(torch.cat([features, resize(guide, features.shape[2:])], dim=1)))
    torch.testing.assert_close(gate(features, guide), g * features + features)


@pytest.mark.parametrize(("bias", "factor"), [(-100.0, 1.0), (100.0, 2.0)])
def test_gate_runs_from_its_input_to_twice_its_input(bias: float, factor: float) -> None:
    gate = Gate(4, 8)
    torch.nn.init.constant_(gate.gate[1].bias, bias)
    features, guide = torch.randn(2, 4, 4, 4, 4), torch.randn(2, 8, 4, 4, 4)
    torch.testing.assert_close(gate(features, guide), factor * features)


def eam_inputs(scale: int = 1) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = ((4, 8), (8, 4), (16, 2))
    return [torch.randn(2, channels, *[scale * side] * 3, requires_grad=True) for channels, side in shapes]


def test_steps_in_the_order_of_eq_2() -> None:
    """Each step is fed the one before it; the gates get e2 and e3."""
    eam = EdgeAttention((4, 8, 16)).eval()
    steps: list[tuple[str, tuple[torch.Tensor, ...], torch.Tensor]] = []
    for name, module in eam.named_children():
        module.register_forward_hook(lambda _, inputs, out, name=name: steps.append((name, inputs, out)))
    e1, e2, e3 = eam_inputs()
    a = eam(e1, e2, e3)
    assert [name for name, _, _ in steps] == ["residual1", "gate2", "residual2", "gate3", "head"]
    assert steps[0][1][0] is e1
    for (_, _, before), (_, inputs, _) in pairwise(steps):
        assert inputs[0] is before
    assert steps[1][1][1] is e2
    assert steps[3][1][1] is e3
    torch.testing.assert_close(a, torch.sigmoid(steps[-1][2]))


def test_edge_map_is_a_probability_at_e1_and_depends_on_all_three_features() -> None:
    e1, e2, e3 = eam_inputs(2)
    a = EdgeAttention((4, 8, 16))(e1, e2, e3)
    assert a.shape == (2, 1, 16, 16, 16)
    assert a.min() > 0
    assert a.max() < 1
    a.square().sum().backward()
    for features in (e1, e2, e3):
        assert features.grad is not None
        assert features.grad.abs().max() > 0


def test_edge_map_is_float32_under_autocast() -> None:
    eam = EdgeAttention((4, 8, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a = eam(*eam_inputs())
    assert a.dtype == torch.float32
