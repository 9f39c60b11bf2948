"""The training loop: it learns, it can be killed and resumed without a trace, and its network can be used."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine, transform_points
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import reconstruct
from EARReconstructionLib.vertebra import VertebraROI
from EARTrainingLib import training as module
from EARTrainingLib.datasets.scenes import CLIP_MM, Scene
from EARTrainingLib.losses import projection_loss, reconstruction_loss
from EARTrainingLib.projection import xray_pair
from EARTrainingLib.simulation import AIR_HU, Simulation
from EARTrainingLib.training import Recipe, Samples, best_threshold, export, hu_statistics, train

SIZE, GRID, SPACING_MM = 32, 36, 3.0
SIMULATION = Simulation(size=SIZE, spacing_mm=SPACING_MM)
RECIPE = Recipe("E2E", {"width": 2}, steps=4, batch_size=2, warm_up=2, simulation=SIMULATION)


def scene(level="L1", source="X", person="p", radius=15.0, shift=(0.0, 0.0, 0.0)):
    k, j, i = np.indices((GRID,) * 3)
    points = transform_points(cube_affine((0, 0, 0), GRID, SPACING_MM), np.stack([i, j, k], -1))
    bone = np.linalg.norm(points - shift, axis=-1) - radius
    other = np.linalg.norm(points - (0, 0, 42), axis=-1) - 12
    target, others = (np.clip(d, -CLIP_MM, CLIP_MM).astype(np.float16) for d in (bone, other))
    return Scene(person, source, level, target, others, SPACING_MM, (0.0, 0.0, 0.0), (30.0, 30.0, 30.0))


SCENES = [scene("L1"), scene("L2", radius=12.0), scene("L1", "PHANTOM", radius=18.0)]


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in another order would not be bit for bit the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tensors_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def log_of(folder):
    with (folder / "log.csv").open(newline="") as stream:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(stream)]


class TestLosses:
    def test_reconstruction_by_hand(self):
        predicted, target = torch.tensor([1.0, -2.0, 4.0, 0.0]), torch.tensor([0.0, 1.0, 4.0, 2.0])
        shape = (1, 1, 1, 2, 2)
        assert reconstruction_loss(predicted.reshape(shape), target.reshape(shape)) == pytest.approx(
            (1 + 3 + 0 + 2) / 4
        )

    def test_projection_by_hand(self):
        predicted, target = torch.zeros(1, 1, 2, 3, 4), torch.zeros(1, 1, 2, 3, 4)
        predicted[0, 0, 1, 2, 3] = 5.0
        predicted[0, 0, 0, 2, 3] = 1.0  # behind it along the first axis
        target[0, 0, 1, 2, 3] = 3.0
        along_first = 2 / 12
        along_second = (2 + 1) / 8
        along_third = (2 + 1) / 6
        assert projection_loss(predicted, target).item() == pytest.approx(along_first + along_second + along_third)

    def test_nothing_is_lost_on_a_perfect_volume(self):
        volume = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        assert reconstruction_loss(volume, volume) == projection_loss(volume, volume) == 0

    def test_gradients_reach_the_prediction(self):
        predicted = torch.zeros(1, 1, 4, 4, 4, requires_grad=True)
        target = torch.ones_like(predicted)
        (reconstruction_loss(predicted, target) + projection_loss(predicted, target)).backward()
        assert (predicted.grad <= 0).all()
        assert (predicted.grad < 0).any()


class TestSamples:
    def test_sample_n_is_always_the_same(self):
        first, again = (Samples(SCENES, RECIPE) for _ in range(2))
        again[5]
        torch.manual_seed(7)
        for n in (0, 3):
            for a, b in zip(first[n], again[n], strict=True):
                assert torch.equal(a, b)
        assert not torch.equal(first[0].target_hu, first[1].target_hu)
        assert not torch.equal(first[0].target_hu, Samples(SCENES, replace(RECIPE, seed=1))[0].target_hu)

    def test_a_run_has_as_many_as_it_needs(self):
        assert len(Samples(SCENES, RECIPE)) == 8

    def test_shares_of_sources_and_levels(self, monkeypatch):
        """Half real however many phantoms there are, and levels evenly however many scenes one has."""
        drawn = []
        monkeypatch.setattr(module, "simulate", lambda s, *_: drawn.append((s.source == "PHANTOM", s.level)))
        many = [scene("L1"), scene("L1"), scene("L1"), scene("L2")] + [scene("T1", "PHANTOM")] * 9
        samples = Samples(many, replace(RECIPE, steps=300, real_share=0.7))
        for n in range(600):
            samples[n]
        real = [level for made, level in drawn if not made]
        assert len(real) / 600 == pytest.approx(0.7, abs=0.06)
        assert real.count("L2") / len(real) == pytest.approx(0.5, abs=0.08)
        drawn.clear()
        for only in (many[:4], many[4:]):
            samples = Samples(only, RECIPE)
            for n in range(8):
                samples[n]
        assert [made for made, _ in drawn] == [False] * 8 + [True] * 8

    def test_statistics_are_those_of_the_target_volumes(self):
        samples = Samples(SCENES, RECIPE)
        volumes = torch.stack([samples[n].target_hu for n in range(5)]).double()
        mean, sd = hu_statistics(samples, 5)
        assert mean == pytest.approx(float(volumes.mean()), rel=1e-4)
        assert sd == pytest.approx(float(volumes.std()), rel=1e-4)
        assert AIR_HU < mean < AIR_HU + 300
        every = torch.stack([samples[n].target_hu for n in range(8)]).double()
        assert hu_statistics(samples)[0] == pytest.approx(float(every.mean()), rel=1e-4)


class TestLearning:
    def test_the_loss_falls_on_a_repeated_sample(self, tmp_path, monkeypatch):
        """One sample again and again must be learned, whatever the network."""
        fixed = Samples(SCENES, RECIPE)[0]
        monkeypatch.setattr(Samples, "__getitem__", lambda *_: fixed)
        recipe = replace(RECIPE, arguments={"width": 4}, steps=30, learning_rate=5e-3, warm_up=3)
        train(SCENES, recipe, tmp_path, workers=0)
        losses = [loss for _, loss in log_of(tmp_path)]
        assert len(losses) == 30
        assert np.isfinite(losses).all()
        assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])

    @pytest.mark.parametrize(
        ("architecture", "arguments"), [("EAR", {"width": 2}), ("PSR", {"size": 32, "width": 1 / 64})]
    )
    def test_networks_of_volumes_and_of_images_are_trained(self, tmp_path, architecture, arguments):
        recipe = replace(RECIPE, architecture=architecture, arguments=arguments, steps=2)
        network = train(SCENES, recipe, tmp_path, workers=0)
        assert not network.training
        assert all(np.isfinite(loss) for _, loss in log_of(tmp_path))
        assert all(value.isfinite().all() for value in network.state_dict().values())

    def test_the_averaged_network_follows_the_trained_one(self, tmp_path):
        averaged = tensors_of(train(SCENES, RECIPE, tmp_path, workers=0))
        saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        assert_same(averaged, saved["averaged"])
        moved = [n for n, v in saved["network"].items() if v.is_floating_point() and not torch.equal(v, averaged[n])]
        assert moved
        torch.manual_seed(RECIPE.seed)
        start = module.build("E2E", width=2).state_dict()
        for name in moved:
            to_trained = (averaged[name] - saved["network"][name]).norm()
            assert to_trained < (start[name] - saved["network"][name]).norm()

    def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(self, tmp_path, monkeypatch):
        assert train(SCENES, RECIPE, tmp_path, workers=0, max_minutes=0) is None
        before = (tmp_path / "checkpoint.pt").read_bytes()
        monkeypatch.setattr(module, "reconstruction_loss", lambda p, _: p.sum() * float("nan"))
        with pytest.raises(FloatingPointError, match="step 1"):
            train(SCENES, RECIPE, tmp_path, workers=0)
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        assert [p.name for p in sorted(tmp_path.iterdir())] == ["checkpoint.pt", "log.csv"]


class TestResume:
    @pytest.mark.parametrize("workers", [0, 1])
    @pytest.mark.parametrize(("architecture", "arguments"), [("E2E", {"width": 2}), ("EAR", {"width": 2})])
    def test_bit_for_bit(self, tmp_path, architecture, arguments, workers):
        recipe = replace(RECIPE, architecture=architecture, arguments=arguments, steps=3)
        whole = tensors_of(train(SCENES, recipe, tmp_path / "whole", workers=workers))
        parts = tmp_path / "parts"
        stops = 0
        while (network := train(SCENES, recipe, parts, workers=workers, max_minutes=0)) is None:
            stops += 1
            torch.manual_seed(1234 + stops)  # whatever another process may have drawn
        assert stops == 2
        assert_same(whole, tensors_of(network))
        a, b = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (tmp_path / "whole", parts))
        assert a["step"] == b["step"] == 3
        assert a["hu"] == b["hu"]
        assert_same(a["network"], b["network"])
        for one, other in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
            assert_same(one, other)
        assert log_of(tmp_path / "whole") == log_of(parts)
        assert [step for step, _ in log_of(parts)] == [1, 2, 3]

    def test_workers_make_no_difference(self, tmp_path):
        networks = [tensors_of(train(SCENES, RECIPE, tmp_path / str(n), workers=n)) for n in (0, 2)]
        assert_same(*networks)

    def test_a_finished_run_is_given_back(self, tmp_path):
        first = tensors_of(train(SCENES, RECIPE, tmp_path, workers=0))
        before = (tmp_path / "checkpoint.pt").read_bytes()
        again = train(SCENES, RECIPE, tmp_path, workers=0)
        assert_same(first, tensors_of(again))
        assert not again.training
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        assert len(log_of(tmp_path)) == 4

    @pytest.mark.parametrize(
        "change",
        [
            {"learning_rate": 2e-3},
            {"seed": 1},
            {"arguments": {"width": 4}},
            {"architecture": "BX2S", "arguments": {}},
            {"simulation": replace(SIMULATION, rotation_deg=1.0)},
        ],
        ids=str,
    )
    def test_a_checkpoint_of_another_recipe_is_refused(self, tmp_path, change):
        train(SCENES, replace(RECIPE, steps=1), tmp_path, workers=0)
        before = (tmp_path / "checkpoint.pt").read_bytes()
        with pytest.raises(ValueError, match=r"checkpoint\.pt.*another recipe"):
            train(SCENES, replace(RECIPE, steps=1, **change), tmp_path, workers=0)
        assert (tmp_path / "checkpoint.pt").read_bytes() == before

    def test_a_kill_while_saving_leaves_the_older_checkpoint(self, tmp_path, monkeypatch):
        train(SCENES, RECIPE, tmp_path, workers=0, max_minutes=0)
        before = (tmp_path / "checkpoint.pt").read_bytes()

        def killed(_, path):
            path.write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(SCENES, RECIPE, tmp_path, workers=0, max_minutes=0)
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        monkeypatch.undo()
        assert train(SCENES, RECIPE, tmp_path, workers=0) is not None
        assert [step for step, _ in log_of(tmp_path)] == [1, 2, 3, 4]


class Threshold(torch.nn.Module):
    """Gives back the frontal lift, scaled: bone is bright, and how bright is known."""

    input_kind = "volumes"

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def forward(self, x):
        from EARReconstructionLib.networks import NetworkOutput

        return NetworkOutput(self.truth[None, None].expand(len(x), 1, SIZE, SIZE, SIZE))


class TestExport:
    def test_the_best_threshold_is_found(self):
        one = scene()
        inner = slice(2, 2 + SIZE)
        hu = torch.from_numpy(-330.0 - 40 * one.target_mm[inner, inner, inner].astype(np.float32))  # surface at -330 HU
        network = Threshold((hu + 900) / 250)
        threshold, dice = best_threshold(network, [one], replace(SIMULATION, augment=False), (-900.0, 250.0))
        assert threshold in (-350.0, -300.0)
        assert dice > 0.95

    def test_a_trained_network_ships_and_rebuilds(self, tmp_path):
        network = train(SCENES, RECIPE, tmp_path / "run", workers=0)
        card = {
            "name": "mine",
            "hu_mean": -950.0,
            "hu_sd": 200.0,
            "threshold_hu": -990.0,
            "levels": ("L1", "L2"),
            "data_licence": "CC0",
            "provenance": {"steps": 4},
        }
        bundle = load_bundle(export(network, RECIPE, card, tmp_path / "mine.safetensors").path)
        assert bundle.card.architecture == "E2E"
        assert (bundle.card.size, bundle.card.spacing_mm, bundle.card.lift) == (SIZE, SPACING_MM, "backproject")
        assert bundle.card.protocol == "column"
        assert bundle.card.sod_range_mm == SIMULATION.sod_mm
        low, high = bundle.card.angle_range_deg
        assert 70 < low < 90 < high < 110
        for name, value in network.state_dict().items():
            torch.testing.assert_close(bundle.network().state_dict()[name].float(), value.float(), rtol=2e-3, atol=1e-6)

        hu = torch.full((40, 40, 40), AIR_HU)
        hu[12:28, 12:28, 12:28] = 500
        geometry = BiplanarGeometry.from_preset(height=128, width=128)
        images = [
            Radiograph(i.numpy(), "attenuation", v.pixel_mm, role, (v.alpha_deg, v.beta_deg), v)
            for i, v, role in zip(
                xray_pair(hu, cube_affine((0, 0, 0), 40, 1.5), geometry),
                geometry.views,
                ("frontal", "lateral"),
                strict=True,
            )
        ]
        (one,) = reconstruct(images, geometry, [VertebraROI("L1", (0.0, 0.0, 0.0), (30.0, 30.0, 30.0))], bundle)
        assert one.volume_hu.shape == (SIZE,) * 3
        assert np.isfinite(one.volume_hu).all()
        assert one.notes == () or all("No bone" in note for note in one.notes)

    def test_the_command_trains_chooses_and_writes(self, tmp_path, capsys, monkeypatch):
        from EARTrainingLib.datasets.scenes import save_scenes

        big = [replace(s, spacing_mm=1.5, target_mm=spread(s.target_mm), others_mm=spread(s.others_mm)) for s in SCENES]
        save_scenes(tmp_path / "s.npz", big)
        save_scenes(tmp_path / "v.npz", big[:1])
        monkeypatch.setattr(module, "Recipe", lambda **given: Recipe(**given, arguments={"width": 2}, batch_size=1))
        arguments = [str(tmp_path / "s.npz"), "--validation", str(tmp_path / "v.npz"), "--out", str(tmp_path / "run")]
        arguments += ["--architecture", "E2E", "--steps", "2", "--threads", "1", "--workers", "0", "--licence", "CC0"]
        monkeypatch.setattr(module.Recipe, "steps", 3, raising=False)
        monkeypatch.setattr(module.Recipe, "learning_rate", 1e-3, raising=False)
        module.main([*arguments, "--max-minutes", "0"])
        assert "again" in capsys.readouterr().out
        assert not list((tmp_path / "run").glob("*.safetensors"))
        module.main(arguments)
        bundle = load_bundle(tmp_path / "run" / "e2e-column-64.safetensors")
        assert bundle.card.levels == ("L1", "L2")
        assert bundle.card.data_licence == "CC0"
        assert bundle.card.provenance["shapes"] == ["X p"]
        assert bundle.card.provenance["phantoms"] == 1
        assert bundle.card.provenance["steps"] == 2
        hu = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["hu"]
        assert [bundle.card.hu_mean, bundle.card.hu_sd] == pytest.approx(hu)


def spread(distances):
    """The middle of a scene of 36 x 3 mm on 72 x 1.5 mm."""
    return distances.repeat(2, 0).repeat(2, 1).repeat(2, 2)
