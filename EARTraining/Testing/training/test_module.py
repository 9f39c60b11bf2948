"""A step and a validation, against the same computed by hand; and what a step must not do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.networks import NETWORKS, NetworkOutput, build
from EARTrainingLib.losses import LossWeights, edge_scale, total_loss
from EARTrainingLib.samples import Samples, stacked
from EARTrainingLib.training import module
from EARTrainingLib.training.data import Data, Order
from EARTrainingLib.training.errors import NotFiniteError, RecipeError
from EARTrainingLib.training.module import Learner, Statistics, follow
from EARTrainingLib.training.thresholds import THRESHOLDS_HU


def weights_of(checkpoint, kind="network"):
    """Weights of the trained or the averaged network in a checkpoint."""
    state = checkpoint["state_dict"]
    return {name.removeprefix(f"{kind}."): value for name, value in state.items() if name.startswith(f"{kind}.")}


def assert_close(a, b, tolerance=1e-6):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


def z_scored(dataset, hu):
    mean, sd = dataset.hu_statistics
    return (hu - mean) / sd


class TestAStep:
    @pytest.mark.parametrize(("optimizer", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
    def test_is_what_pytorch_does_by_hand(self, run, dataset, normalising, checkpoint, tmp_path, optimizer, kind):
        recipe = replace(normalising, optimizer=optimizer, weight_decay=0.01, clip=0.05, channels_last=False)
        run(recipe, tmp_path, one_step=True)

        torch.manual_seed(recipe.seed)
        network = build("E2E", width=2)
        samples = Samples(dataset, "train", lift=recipe.lift, seed=recipe.seed)
        batch = stacked([samples[number] for number in list(Order(samples, recipe))[:2]])
        volumes = [torch.from_numpy(dataset.volume(row).array.astype(np.float32)) for row in dataset.rows_of("train")]
        scale = edge_scale(z_scored(dataset, volume) for volume in volumes)
        target = z_scored(dataset, batch.target_hu)
        loss, _ = total_loss(network(batch.lifted).volume, target, replace(recipe.losses, edge_scale=scale))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 0.05)
        assert norm > 0.05  # else clipping is not tested
        kind(network.parameters(), lr=recipe.learning_rate / 2, weight_decay=0.01).step()  # first of two warm-up steps

        saved = checkpoint(tmp_path)
        assert saved["global_step"] == 1
        assert_close(weights_of(saved), network.state_dict())
        assert saved["ear_run"]["statistics"]["edge_scale"] == pytest.approx(scale)

    def test_two_passes_are_one_step_of_twice_the_batch(self, run, recipe, checkpoint, tmp_path, rows):
        recipe = replace(recipe, epochs=1)
        run(replace(recipe, batch_size=2), tmp_path / "whole")
        run(replace(recipe, batch_size=1, accumulate=2), tmp_path / "halves")
        whole, halves = (checkpoint(tmp_path / name) for name in ("whole", "halves"))
        assert whole["global_step"] == halves["global_step"] == 2
        assert_close(weights_of(whole), weights_of(halves), 1e-5)
        assert_close(weights_of(whole, "averaged"), weights_of(halves, "averaged"), 1e-5)
        losses = [[row["loss"] for row in rows(tmp_path / n / "steps.csv")] for n in ("whole", "halves")]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    def test_learning_rates_are_those_of_the_recipe(self, run, recipe, tmp_path, rows):
        recipe = replace(recipe, warm_up_epochs=1, epochs=3)
        run(recipe, tmp_path)
        rates = [row["learning_rate"] for row in rows(tmp_path / "steps.csv")]
        cosine = [0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(4)]
        assert rates == pytest.approx([0.5e-3, 1e-3, *(1e-3 * c for c in cosine)])

    @pytest.mark.parametrize(
        ("architecture", "arguments", "precision"),
        [
            ("EAR", {"width": 2}, "32"),
            ("EAR", {"width": 2}, "bf16"),
            ("PSR", {"width": 1 / 64}, "32"),
            ("PSR", {"width": 1 / 64}, "bf16"),
            ("SIT", {}, "32"),
            ("BX2S", {"width": 4}, "32"),
        ],
    )
    def test_every_network_takes_it(self, run, recipe, checkpoint, tmp_path, architecture, arguments, precision):
        run(replace(recipe, architecture=architecture, arguments=arguments, precision=precision), tmp_path, True)
        weights = weights_of(checkpoint(tmp_path))
        torch.manual_seed(recipe.seed)
        sized = {"size": 32} if architecture in ("PSR", "SIT") else {}  # known from the data
        before = build(architecture, **arguments, **sized).state_dict()
        assert all(value.isfinite().all() for value in weights.values())
        assert all(value.dtype != torch.bfloat16 for value in weights.values())
        assert any(not torch.equal(weights[name], before[name]) for name in before)

    def test_bf16_computes_in_bf16(self, run, recipe, tmp_path, rows):
        losses = []
        for precision in ("32", "bf16"):
            run(replace(recipe, precision=precision), tmp_path / precision, True)
            losses += [row["loss"] for row in rows(tmp_path / precision / "steps.csv")]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)

    def test_compiled_it_is_the_same(self, run, recipe, checkpoint, tmp_path, monkeypatch):
        original, compiled = torch.nn.Module.compile, []

        def traced(network):
            compiled.append(type(network).__name__)
            original(network, backend="eager")  # the code generator takes a minute

        monkeypatch.setattr(torch.nn.Module, "compile", traced)
        run(recipe, tmp_path / "plain", one_step=True)
        run(replace(recipe, compile=True), tmp_path / "compiled", one_step=True)
        assert compiled == ["Plain"]
        assert_close(*(weights_of(checkpoint(tmp_path / name)) for name in ("plain", "compiled")))

    def test_channels_last_changes_the_layout_only(self, run, normalising, checkpoint, tmp_path, rows):
        for name, last in (("last", True), ("first", False)):
            run(replace(normalising, channels_last=last), tmp_path / name, one_step=True)
        last, first = (checkpoint(tmp_path / name) for name in ("last", "first"))
        names = [n for n, v in last["state_dict"].items() if v.dim() == 5 and v.shape[1] > 1 and v.shape[2] > 1]
        assert names
        for name in names:
            assert last["state_dict"][name].is_contiguous(memory_format=torch.channels_last_3d)
            assert first["state_dict"][name].is_contiguous()
        losses = [rows(tmp_path / name / "steps.csv")[0]["loss"] for name in ("last", "first")]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


class TestTheLoss:
    @pytest.fixture
    def learner(self, dataset, recipe, tmp_path):
        def made(**losses):
            changed = replace(recipe, losses=LossWeights(edge_scale=1.0, **losses))
            return Learner(Data(dataset, changed), Statistics(-900.0, 300.0, 1.0), 2, {}, tmp_path)

        return made

    def test_teaches_the_network_where_edges_are(self, learner):
        """The attention map has a gradient of its own."""
        edges = torch.full((1, 1, 8, 8, 8), 0.5, requires_grad=True)
        volume, target = torch.zeros(1, 1, 8, 8, 8), torch.rand(1, 1, 8, 8, 8)
        total, terms = learner(attention=0.5).losses(NetworkOutput(volume, edges), target)
        assert terms["attention"] > 0
        total.backward()
        assert edges.grad.abs().sum() > 0

    def test_knows_where_bone_begins(self, learner):
        """-400 HU and 100 HU by the training set's statistics, unless the recipe says otherwise."""
        assert learner().weights.bone == pytest.approx((500 / 300, 100 / 300))
        assert learner(bone=(0.5, 0.25)).weights.bone == (0.5, 0.25)


class TestTheAverage:
    def test_follows_by_its_formula(self, run, normalising, checkpoint, tmp_path):
        recipe = replace(normalising, ema=0.25)
        torch.manual_seed(recipe.seed)
        average = {n: v.clone() for n, v in build("E2E", width=2).state_dict().items()}
        for decay in (1 / 10, 2 / 11, 3 / 12, 0.25):  # (n + 1) / (n + 10), at most 0.25
            run(recipe, tmp_path, one_step=True)
            now = checkpoint(tmp_path)
            for name, value in weights_of(now).items():
                mean = decay * average[name] + (1 - decay) * value if value.is_floating_point() else value
                average[name] = mean
            assert_close(average, weights_of(now, "averaged"), 1e-5)

    def test_is_not_there_without_a_decay(self, run, recipe, checkpoint, tmp_path):
        run(replace(recipe, ema=None), tmp_path, one_step=True)
        assert not weights_of(checkpoint(tmp_path), "averaged")

    def test_counters_are_copied(self):
        a, b = torch.nn.BatchNorm3d(1), torch.nn.BatchNorm3d(1)
        b.num_batches_tracked += 7
        b.running_mean += 4.0
        follow(a, b, 0.75)
        assert a.num_batches_tracked == 7
        assert a.running_mean == 1.0


class TestValidation:
    def test_numbers_by_hand(self, run, dataset, normalising, checkpoint, tmp_path, rows):
        """Losses, L1 and Dice of the averaged network, means over three vertebrae."""
        recipe = replace(normalising, epochs=1)
        run(recipe, tmp_path)
        (said,) = rows(tmp_path / "history.csv")
        saved = checkpoint(tmp_path)
        network = build("E2E", width=2)
        network.load_state_dict(weights_of(saved, "averaged"))
        network.eval()
        weights = replace(recipe.losses, edge_scale=saved["ear_run"]["statistics"]["edge_scale"])
        samples = Samples(dataset, "validation", lift=recipe.lift, random=False, seed=recipe.seed)
        mean, sd = dataset.hu_statistics
        losses, dice = [], []
        for sample in (samples[n] for n in range(3)):
            target = z_scored(dataset, sample.target_hu)[None]
            with torch.no_grad():
                volume = network(sample.lifted[None]).volume
                total, terms = total_loss(volume, target, weights)
            losses.append([total, terms["edge"], (volume - target).abs().mean()])
            above = [volume[0] * sd + mean > t for t in THRESHOLDS_HU]
            dice.append([float(2 * (a & sample.mask).sum() / (a.sum() + sample.mask.sum())) for a in above])
        expected = np.mean(losses, axis=0)
        assert [said["val_loss"], said["val_edge"], said["val_l1"]] == pytest.approx(expected, rel=1e-4)
        assert said["val_dice"] == pytest.approx(np.mean(dice, axis=0).max(), abs=1e-6)
        assert said["val_threshold_hu"] in THRESHOLDS_HU


class TestNoNumber:
    @pytest.fixture
    def spoilt(self, monkeypatch):
        """Make the loss of the second training step no number, or only its gradient."""

        def spoil(how):
            calls = []

            def total(predicted, target, *rest):
                value, terms = total_loss(predicted, target, *rest)
                calls.append(predicted.requires_grad)
                if predicted.requires_grad and sum(calls) == 2:
                    value = value * float("nan") if how == "loss" else value + (value - value.detach()).sqrt()
                return value, terms

            monkeypatch.setattr(module, "total_loss", total)

        return spoil

    @pytest.mark.parametrize("what", ["loss", "gradient"])
    def test_stops_names_and_saves_the_batch(self, run, dataset, recipe, tmp_path, spoilt, what):
        spoilt(what)
        with pytest.raises(NotFiniteError) as caught:
            run(recipe, tmp_path)
        samples = Samples(dataset, "train", lift=recipe.lift, seed=recipe.seed)
        numbers = list(Order(samples, recipe))[2:4]
        ids = [samples.row(number).id for number in numbers]
        for word in ("epoch 1, step 2", what, *ids, "learning rate"):
            assert word in str(caught.value)
        (path,) = (tmp_path / "bad-batch").iterdir()
        assert str(path) in str(caught.value)
        with np.load(path, allow_pickle=False) as saved:
            assert saved["ids"].tolist() == ids
            for name, part in stacked([samples[number] for number in numbers])._asdict().items():
                assert np.array_equal(saved[name], part.numpy())

    def test_in_the_validation(self, run, recipe, tmp_path, monkeypatch):
        def total(predicted, target, *rest):
            value, terms = total_loss(predicted, target, *rest)
            return value if predicted.requires_grad else value * float("nan"), terms

        monkeypatch.setattr(module, "total_loss", total)
        with pytest.raises(NotFiniteError, match="epoch 1, step 3: the validation loss is no number"):
            run(recipe, tmp_path)

    def test_keeps_the_checkpoint_and_the_run_goes_on_when_mended(
        self, run, recipe, tmp_path, spoilt, monkeypatch, rows
    ):
        run(recipe, tmp_path, one_step=True)
        before = (tmp_path / "last.ckpt").read_bytes()
        monkeypatch.setattr(module, "total_loss", lambda p, *_: (p.sum() * float("inf"), {}))
        with pytest.raises(NotFiniteError, match="step 2"):
            run(recipe, tmp_path)
        assert (tmp_path / "last.ckpt").read_bytes() == before
        monkeypatch.setattr(module, "total_loss", total_loss)
        assert run(recipe, tmp_path) is not None
        assert [row["step"] for row in rows(tmp_path / "steps.csv")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("architecture", "arguments", "words"),
    [("PSR", {"size": 64, "width": 1 / 64}, r"Expected images of shape \(B, 2, 64, 64\)"), ("Odd", {}, "divisible")],
)
def test_a_size_that_the_network_cannot_take(run, recipe, tmp_path, monkeypatch, architecture, arguments, words):
    class Odd(NETWORKS["E2E"]):
        def forward(self, x):
            return super().forward(x[..., 1:])

    monkeypatch.setitem(NETWORKS, "Odd", Odd)
    with pytest.raises(RecipeError, match=words):
        run(replace(recipe, architecture=architecture, arguments=arguments), tmp_path)


def test_arguments_that_the_network_does_not_take(run, recipe, tmp_path):
    with pytest.raises(RecipeError, match=r"arguments: .*no argument depth.*Plain"):
        run(replace(recipe, arguments={"depth": 3}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
