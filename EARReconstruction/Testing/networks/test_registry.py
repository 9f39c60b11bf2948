"""What holds for every network: sizes, gradients, rebuilding, saving."""

from __future__ import annotations

import inspect
import io
import json
import re
from typing import Any

import pytest
import torch
from EARReconstructionLib.networks import NETWORKS, NetworkOutput, build, parameter_count
from EARReconstructionLib.networks.blocks.stages import GrowingGate
from torch import Tensor

# The smallest of which every network's coarsest level has more than one voxel, as its norms need in training.
SIZES = {"EAR": 64, "PSR": 64, "SIT": 32, "E2E": 32, "BX2S": 32}
NARROW_EAR = {"width": 4}
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("EAR", {"width": 16}),
    ("EAR", NARROW_EAR | {"frequency_kernel": 1}),
    ("EAR", NARROW_EAR | {"stem_stride": 1}),
    ("EAR", NARROW_EAR | {"edge_fusion": "concat"}),
    ("EAR", NARROW_EAR | {"identity_start": True, "input_shortcut": True, "frequency_norm": "batch"}),
    ("EAR", NARROW_EAR | {"frequency_enhancement": False}),
    ("EAR", NARROW_EAR | {"edge_attention": False}),
    ("EAR", NARROW_EAR | {"attention_shortcuts": False}),
    ("PSR", {"size": SIZES["PSR"], "width": 1 / 32}),
    ("SIT", {"size": SIZES["SIT"]}),
    ("E2E", {"width": 4}),
    ("E2E", {"width": 4, "local_contrast": True}),
    ("BX2S", {"width": 4}),
]
EVERY_NETWORK = pytest.mark.parametrize(("name", "arguments"), SMALL, ids=lambda value: str(value))


def input_of(network: torch.nn.Module, batch: int, size: int) -> Tensor:
    """A network for images has its size built in; one for volumes takes any."""
    dimensions = {"images": 2, "volumes": 3}[network.input_kind]
    return torch.randn(batch, 2, *[network.arguments.get("size", size)] * dimensions)


@pytest.mark.parametrize(
    ("name", "arguments", "exact", "millions"),
    [
        ("EAR", {}, 5_678_570, 5.7),
        ("EAR", {"frequency_kernel": 1}, 5_399_018, None),
        ("EAR", {"stem_stride": 1}, 5_685_082, None),
        ("EAR", {"input_shortcut": True}, 5_679_002, None),
        ("EAR", {"identity_start": True}, 5_679_170, None),
        ("EAR", {"edge_fusion": "concat"}, 5_685_266, None),
        ("EAR", {"frequency_enhancement": False}, 5_097_738, None),
        ("EAR", {"edge_attention": False}, 5_648_121, None),
        ("EAR", {"attention_shortcuts": False}, 5_672_618, None),
        ("PSR", {}, 588_602_305, 589),
        ("PSR", {"width": 0.25}, 36_805_201, 37),
        ("SIT", {}, 8_826_272, 9),
        ("E2E", {}, 1_423_497, None),
        ("E2E", {"local_contrast": True}, 1_424_393, None),
        ("BX2S", {}, 1_813_417, 1.8),
    ],
)
def test_parameter_counts(name: str, arguments: dict[str, Any], exact: int, millions: float | None) -> None:
    with torch.device("meta"):  # counts need no memory; PSR alone has 2.4 GB of weights
        count = parameter_count(build(name, **arguments))
    assert count == exact
    if millions is not None:
        assert count / 1e6 == pytest.approx(millions, rel=0.02)


def test_frozen_parameters_are_not_counted() -> None:
    network = build("E2E")
    network.head.requires_grad_(False)
    assert parameter_count(network) == 1_423_497 - 9


@EVERY_NETWORK
def test_every_parameter_learns(name: str, arguments: dict[str, Any]) -> None:
    """A bias that a norm subtracts again would have a gradient at rounding level: far below the bound."""
    torch.manual_seed(0)
    network = build(name, **arguments).train()
    for gate in (module for module in network.modules() if isinstance(module, GrowingGate)):
        torch.nn.init.constant_(gate.gate, 0.5)  # at 0 only the gate itself learns, for one step
    output = network(input_of(network, batch=2, size=SIZES[name]))
    assert isinstance(output, NetworkOutput)
    assert output.volume.shape == (2, 1, *[SIZES[name]] * 3)
    (output.volume * torch.randn_like(output.volume)).mean().backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    assert [key for key, g in gradients.items() if g is None or not g.isfinite().all()] == []
    largest = max(g.abs().max() for g in gradients.values())
    assert [key for key, g in gradients.items() if g.abs().max() < 1e-6 * largest] == []


@EVERY_NETWORK
def test_rebuilt_and_reloaded_it_gives_the_same_output(name: str, arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = build(name, **arguments)
    x = input_of(network, batch=1, size=32)
    for key, buffer in network.named_buffers():
        if "running" in key:  # other statistics than the initial ones
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        again = build(name, **json.loads(json.dumps(network.arguments)))
        again.load_state_dict(torch.load(file, weights_only=True))
        expected, output = network.eval()(x), again.eval()(x)
    assert torch.equal(output.volume, expected.volume)
    assert (output.edges is None) == (expected.edges is None)
    if output.edges is not None:
        assert torch.equal(output.edges, expected.edges)


@pytest.mark.parametrize("name", NETWORKS)
def test_arguments_are_all_those_of_the_constructor(name: str) -> None:
    defaults = {key: p.default for key, p in inspect.signature(NETWORKS[name]).parameters.items()}
    with torch.device("meta"):
        network = build(name)
    assert type(network).__name__ == name
    assert network.arguments == defaults


@pytest.mark.parametrize("name", ["EAR", "E2E", "BX2S"])
def test_channels_last_gives_the_same_output(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, width=8).eval()
    x = input_of(network, batch=1, size=32)
    layout = torch.channels_last_3d
    with torch.no_grad():
        expected = network(x).volume
        output = network.to(memory_format=layout)(x.to(memory_format=layout)).volume
    torch.testing.assert_close(output, expected, rtol=1e-3, atol=1e-4)


def test_names() -> None:
    assert list(NETWORKS) == ["EAR", "PSR", "SIT", "E2E", "BX2S"]
    kinds = {name: network.input_kind for name, network in NETWORKS.items()}
    assert kinds == {"EAR": "volumes", "PSR": "images", "SIT": "images", "E2E": "volumes", "BX2S": "volumes"}


def test_unknown_names_and_arguments_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'UNet'.*EAR, PSR, SIT, E2E, BX2S"):
        build("UNet")
    with pytest.raises(ValueError, match=r"SIT has no argument width, depth.*in_channels, size"):
        build("SIT", width=2, depth=3)


@pytest.mark.parametrize(
    ("name", "argument", "value", "said"),
    [
        ("E2E", "width", "8", "a whole number above 0, got '8'"),
        ("E2E", "width", 0, "a whole number above 0, got 0"),
        ("EAR", "width", 8.5, "a whole number above 0, got 8.5"),
        ("BX2S", "in_channels", True, "a whole number above 0, got True"),
        ("PSR", "width", float("nan"), "a number above 0, got nan"),
        ("EAR", "edge_attention", "no", "true or false, got 'no'"),
        ("EAR", "frequency_norm", "layer", "'instance' or 'batch', got 'layer'"),
    ],
)
def test_an_argument_of_another_kind_is_refused(name: str, argument: str, value: Any, said: str) -> None:
    """A text that means no is truthy, and a network of no channels trains."""
    with pytest.raises(ValueError, match=re.escape(f"{name}'s {argument} is {said}.")):
        build(name, **{argument: value})
