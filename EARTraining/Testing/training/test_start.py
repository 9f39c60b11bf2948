"""A run that begins with the weights of a model: another learning rate, other data, the same network."""

import shutil
from dataclasses import replace

import pytest
import torch
from EARReconstructionLib.bundle import load_bundle, save_bundle
from EARReconstructionLib.errors import BundleError
from EARTrainingLib.training.errors import RecipeError
from EARTrainingLib.training.module import new_network
from torch.nn import functional


@pytest.fixture
def model(run, normalising, tmp_path):
    """A trained model whose z-score is its own: path."""
    bundle = load_bundle(run(normalising, tmp_path / "model"))
    path = tmp_path / "model.safetensors"
    card = replace(bundle.card, name="model", hu_mean=-700.0, hu_sd=300.0, data_licence="theirs")
    save_bundle(path, card, bundle.network())
    return path


@pytest.fixture
def onward(normalising, model):
    return replace(normalising, start=str(model), learning_rate=1e-12)


def test_begins_with_its_weights_and_keeps_its_z_score(run, onward, model, tmp_path):
    made = load_bundle(run(onward, tmp_path / "run"))
    before = load_bundle(model)
    assert (made.card.hu_mean, made.card.hu_sd) == (-700.0, 300.0)
    for name, weights in before.weights.items():
        if "running" not in name and "tracked" not in name:  # statistics of the images, not learned by steps
            torch.testing.assert_close(made.weights[name].float(), weights.float(), rtol=2e-3, atol=1e-4)


def test_the_card_says_what_it_began_with(run, onward, model, tmp_path):
    card = load_bundle(run(onward, tmp_path / "run")).card
    assert card.provenance["start"] == {"name": "model", "provenance": load_bundle(model).card.provenance}
    assert card.data_licence.endswith("; before: theirs")


def test_of_a_third_training_each_licence_stands_once(run, onward, tmp_path):
    second = run(onward, tmp_path / "second")
    third = load_bundle(run(replace(onward, start=str(second)), tmp_path / "third")).card
    assert third.data_licence == load_bundle(second).card.data_licence


def test_is_resumed_with_what_it_has_learned(run, onward, checkpoint, assert_same, tmp_path):
    onward = replace(onward, learning_rate=1e-3)
    run(onward, tmp_path / "whole")
    assert run(onward, tmp_path / "parts", one_step=True) is None
    run(onward, tmp_path / "parts")
    whole, parts = (checkpoint(tmp_path / folder)["state_dict"] for folder in ("whole", "parts"))
    assert_same(whole, parts)


def test_further_input_channels_count_for_nothing_at_first(run, normalising, tmp_path):
    """So local contrast can be added to a network that has learned without it."""
    wider = {"width": 4}
    start = run(replace(normalising, arguments=wider), tmp_path / "before")
    onward = replace(normalising, arguments=wider | {"local_contrast": True}, start=str(start), learning_rate=1e-12)
    before, made = load_bundle(start), load_bundle(run(onward, tmp_path / "run"))
    first = [name for name, weights in made.weights.items() if weights.shape != before.weights[name].shape]
    assert len(first) == 2  # the first convolution and the residual beside it
    for name in first:
        old = made.weights[name][:, :2].float()
        torch.testing.assert_close(old, before.weights[name].float(), rtol=2e-3, atol=1e-4)
        assert not made.weights[name][:, 2:].any()


@pytest.mark.parametrize("more", [{}, {"local_contrast": True}])
def test_a_network_of_twice_the_width_answers_alike_and_can_learn_more(run, normalising, tmp_path, more):
    start = run(replace(normalising, arguments={"width": 4}), tmp_path / "before")
    narrow, wide = (
        load_bundle(start).network(),
        new_network(replace(normalising, arguments={"width": 8} | more, start=str(start))),
    )
    images = torch.rand(2, 2, 32, 32, 32, generator=torch.Generator().manual_seed(3))
    for mode in (False, True):  # with the running and with the batch's own statistics
        narrow.train(mode), wide.train(mode)
        torch.testing.assert_close(wide(images).volume, narrow(images).volume, rtol=1e-3, atol=1e-4)
    wide(images).volume.square().mean().backward()
    convolutions = {name: part for name, part in wide.named_modules() if isinstance(part, torch.nn.Conv3d)}
    *others, last, head = convolutions  # the last one's pairs part with the second step, when what they read has
    assert (last, head) == ("decoder.3.1.0", "head")
    for name in others:
        pairs = functional.normalize(convolutions[name].weight.grad.flatten(1), dim=1).unflatten(0, (-1, 2))
        assert not torch.allclose(pairs[:, 0], pairs[:, 1], atol=1e-3), name


@pytest.mark.parametrize("change", [{"arguments": {"width": 6}}, {"architecture": "Plain", "arguments": {}}])
def test_another_network_is_refused(run, onward, tmp_path, change):
    with pytest.raises(RecipeError, match=r"start: the weights of .*model\.safetensors do not fit .*architecture=E2E"):
        run(replace(onward, **change), tmp_path / "run")


def test_a_file_that_is_not_there(run, onward, model, tmp_path):
    shutil.move(model, tmp_path / "gone")
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        run(onward, tmp_path / "run")
