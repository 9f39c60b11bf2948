"""EAR: the paper's shapes, and its modules as switches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from EARReconstructionLib.networks import build, parameter_count
from EARReconstructionLib.networks.blocks.edge import EdgeAttention
from EARReconstructionLib.networks.blocks.frequency import FrequencyEnhancement
from EARReconstructionLib.networks.blocks.shortcut import AttentionShortcut
from EARReconstructionLib.networks.blocks.stages import GrowingGate
from EARReconstructionLib.networks.ear import DecoderStage
from torch.nn import functional

BATCH, NARROW = 2, 4


def pair(size: int, batch: int = BATCH) -> torch.Tensor:
    return torch.randn(batch, 2, size, size, size, generator=torch.Generator().manual_seed(0))


def test_stages_have_the_shapes_of_the_paper() -> None:
    network = build("EAR").eval()
    x = pair(128, batch=1)
    with torch.no_grad():
        features = network.encode(x)
        edges = network.attend(features)
        decoded = network.decode(features, edges, x)
        volume = network.head(decoded[-1])
    encoder = [(16, 64), (32, 32), (64, 16), (128, 8), (256, 4)]
    decoder = [(128, 8), (64, 16), (32, 32), (16, 64), (8, 128)]
    assert [f.shape for f in features] == [(1, c, n, n, n) for c, n in encoder]
    assert [d.shape for d in decoded] == [(1, c, n, n, n) for c, n in decoder]
    assert edges.shape == (1, 1, 64, 64, 64)
    assert volume.shape == (1, 1, 128, 128, 128)


def test_forward_is_encode_attend_decode_head() -> None:
    network = build("EAR", width=NARROW).eval()
    output = network(pair(32))
    features = network.encode(pair(32))
    edges = network.attend(features)
    assert torch.equal(output.volume, network.head(network.decode(features, edges, pair(32))[-1]))
    assert output.edges.shape == output.volume.shape == (BATCH, 1, 32, 32, 32)
    torch.testing.assert_close(output.edges, functional.interpolate(edges, scale_factor=2, mode="trilinear"))


@pytest.mark.parametrize(
    ("switch", "module", "count"),
    [
        ("frequency_enhancement", FrequencyEnhancement, 3),
        ("edge_attention", EdgeAttention, 1),
        ("attention_shortcuts", AttentionShortcut, 4),
    ],
)
def test_each_module_can_be_switched_off(switch: str, module: type, count: int) -> None:
    def modules(network: torch.nn.Module) -> list[type]:
        kinds = (FrequencyEnhancement, EdgeAttention, AttentionShortcut)
        return [type(m) for m in network.modules() if isinstance(m, kinds)]

    whole, without = build("EAR", width=NARROW), build("EAR", width=NARROW, **{switch: False})
    assert modules(whole).count(module) == count
    assert modules(without) == [kind for kind in modules(whole) if kind is not module]
    assert parameter_count(without) < parameter_count(whole)
    output = without(pair(64))
    assert output.volume.shape == (BATCH, 1, 64, 64, 64)
    assert (output.edges is None) == (switch == "edge_attention")


def test_fem_stands_on_the_first_three_levels() -> None:
    network = build("EAR", width=NARROW, stem_stride=1)
    enhanced = [isinstance(stage.enhance, FrequencyEnhancement) for stage in network.encoder]
    assert enhanced == [False, True, True, True, False, False]


def test_full_resolution_shortcut_is_plain() -> None:
    network = build("EAR", width=NARROW, stem_stride=1)
    attended = [isinstance(stage.attend, AttentionShortcut) for stage in network.decoder]
    assert attended == [True, True, True, True, False]


@pytest.mark.parametrize(("stem_stride", "beside"), [(2, 2), (1, 2 + NARROW // 2)])
def test_input_shortcut_brings_the_lifted_images_to_the_last_stage(stem_stride: int, beside: int) -> None:
    network = build("EAR", width=NARROW, stem_stride=stem_stride, input_shortcut=True).eval()
    last = network.decoder[-1]
    assert last.convolve[0].in_channels == NARROW // 2 + beside
    seen: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    x = pair(32)
    network(x)
    assert torch.equal(seen[0][:, -2:], x)


@pytest.mark.parametrize("edge_fusion", ["multiply", "concat"])
def test_identity_start_begins_as_the_plain_network(edge_fusion: str) -> None:
    """With the weights of a network without modules, all three modules change nothing; and they can learn."""
    torch.manual_seed(0)
    arguments = {"width": NARROW, "edge_fusion": edge_fusion}
    whole = build("EAR", identity_start=True, **arguments).eval()
    off = dict.fromkeys(("frequency_enhancement", "edge_attention", "attention_shortcuts"), False)
    plain = build("EAR", **arguments, **off).eval()
    weights = whole.state_dict()
    own = plain.state_dict()
    for name, value in own.items():  # with the edges' channel of a concatenation left out
        own[name] = weights[name][:, : value.shape[1]] if value.dim() > 1 else weights[name]
    plain.load_state_dict(own)
    output = whole(pair(32))
    torch.testing.assert_close(output.volume, plain(pair(32)).volume, rtol=1e-5, atol=1e-6)
    output.volume.square().sum().backward()
    for gate in (m for m in whole.modules() if isinstance(m, GrowingGate)):
        assert gate.gate.grad.abs().max() > 0
    if edge_fusion == "concat":
        assert all(stage.convolve[0].weight.grad[:, -1].abs().max() > 0 for stage in whole.decoder)


def test_edges_weight_a_decoder_stage_with_one_plus_a() -> None:
    stage = DecoderStage(8, 4, 4, attention_shortcut=True, edge_fusion="multiply").eval()
    below, shortcut = torch.randn(1, 8, 4, 4, 4), torch.randn(1, 4, 8, 8, 8)
    edges = torch.rand(1, 1, 16, 16, 16)
    at_stage = edges.reshape(1, 1, 8, 2, 8, 2, 8, 2).mean((3, 5, 7))
    torch.testing.assert_close(
        stage(below, shortcut, edges), stage(below, shortcut, None) * (1 + at_stage), rtol=1e-5, atol=1e-6
    )


def test_edges_can_be_concatenated_instead() -> None:
    torch.manual_seed(0)
    stage = DecoderStage(8, 4, 4, attention_shortcut=True, edge_fusion="concat").eval()
    assert stage.convolve[0].in_channels == 4 + 4 + 1
    with torch.no_grad():  # the convolution hands on its last channel, which must be A
        stage.convolve[0].weight.zero_()
        stage.convolve[0].weight[:, -1, 1, 1, 1] = 1
    edges = torch.rand(1, 1, 8, 8, 8)
    out = stage(torch.randn(1, 8, 4, 4, 4), torch.randn(1, 4, 8, 8, 8), edges)
    torch.testing.assert_close(out, edges.expand_as(out) / (1 + 1e-5) ** 0.5)


@pytest.mark.parametrize("size", [32, 96])
def test_any_size_divisible_by_32_at_batch_1(size: int) -> None:
    output = build("EAR", width=NARROW).eval()(pair(size, batch=1))
    assert output.volume.shape == output.edges.shape == (1, 1, size, size, size)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 2, 48, 48, 48), "divisible by 32"),
        ((1, 2, 64, 64, 48), "divisible by 32"),
        ((1, 1, 64, 64, 64), r"\(B, 2, N, N, N\)"),
        ((1, 2, 64, 64), r"\(B, 2, N, N, N\)"),
    ],
)
def test_other_inputs_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("EAR", width=NARROW)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 15}, "width must be even"),
        ({"stem_stride": 4}, "stride must be 1 or 2"),
        ({"edge_fusion": "add"}, "'multiply' or 'concat'"),
        ({"frequency_kernel": 2}, "kernel must be 1 or 3"),
        ({"frequency_norm": "layer"}, "'instance' or 'batch'"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("EAR", **arguments)


def test_autocast_keeps_the_edge_map_in_float32_and_the_volume_close() -> None:
    torch.manual_seed(0)
    network = build("EAR", width=NARROW).eval()
    with torch.no_grad():
        expected = network(pair(32))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(pair(32))
    assert output.edges.dtype == torch.float32
    torch.testing.assert_close(output.volume.float(), expected.volume, rtol=0.02, atol=0.01)
    torch.testing.assert_close(output.edges, expected.edges, rtol=0.02, atol=0.01)
