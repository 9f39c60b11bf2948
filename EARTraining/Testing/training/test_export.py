"""What becomes of a trained network: its threshold, its card, and that it rebuilds a vertebra from radiographs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine
from EARReconstructionLib.networks import build
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import reconstruct
from EARReconstructionLib.vertebra import VertebraROI
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.projection import xray_pair
from EARTrainingLib.samples import Samples
from EARTrainingLib.simulation import Simulation
from EARTrainingLib.training.export import choose_threshold, export
from EARTrainingLib.training.module import Learner, Statistics
from EARTrainingLib.training.run import train

STATISTICS = Statistics(-900.0, 250.0, None)


class Known(ReconstructionNetwork):
    """Gives back volumes in their order, whatever it is shown."""

    input_kind = "images"

    def __init__(self, volumes_hu):
        super().__init__()
        self.volumes = iter(volumes_hu)

    def forward(self, x):
        assert x.shape == (1, 2, 32, 32)
        return NetworkOutput((next(self.volumes)[None] - STATISTICS.hu_mean) / STATISTICS.hu_sd)


class TestThreshold:
    @pytest.fixture
    def validation(self, dataset):
        return Samples(dataset, "validation", lift="replicate", random=False)

    def test_lies_between_bone_and_the_rest(self, validation):
        """Bone at 100 HU and more, its surroundings up to 40: only 50 and 75 tell all from each other."""
        generator = torch.Generator().manual_seed(0)
        volumes = []
        for mask in (validation[n].mask for n in range(3)):
            spread = torch.rand(mask.shape, generator=generator)
            volumes.append(torch.where(mask, 100 + 400 * spread, 40 - 900 * spread))
        threshold, dice = choose_threshold(Known(volumes), validation, STATISTICS, torch.device("cpu"))
        assert threshold in (50.0, 75.0)
        assert dice == pytest.approx(1)

    def test_is_best_for_the_mean_over_vertebrae(self, validation):
        """Two bones at 0 HU in air at -500, one at 400 in bright surroundings at 200: two outvote one."""
        masks = [validation[n].mask for n in range(3)]
        levels = ((0.0, -500.0), (0.0, -500.0), (400.0, 200.0))
        volumes = [
            torch.where(mask, *(torch.tensor(x) for x in pair)) for mask, pair in zip(masks, levels, strict=True)
        ]
        threshold, dice = choose_threshold(Known(volumes), validation, STATISTICS, torch.device("cpu"))
        assert -500 < threshold < 0
        full = 2 * float(masks[2].sum()) / (masks[2].sum() + masks[2].numel())
        assert dice == pytest.approx((2 + float(full)) / 3)


def test_choosing_a_threshold_does_not_train(dataset, normalising, tmp_path):
    """A network that comes from training still moves the statistics of its norms: not in here."""
    network = build("E2E", width=2).train()
    before = {name: value.half().float() if value.is_floating_point() else value.clone()
              for name, value in network.state_dict().items()}  # fmt: skip
    samples = Samples(dataset, "validation", lift=normalising.lift, random=False)
    bundle = export(
        tmp_path / "e2e.safetensors", network, normalising, dataset, samples, STATISTICS, {}, torch.device("cpu")
    )
    after = bundle.network().state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class TestTheBundle:
    @pytest.fixture
    def worse(self, monkeypatch):
        """Every epoch validates worse than the one before."""
        validated = Learner.on_validation_epoch_end

        def also(learner):
            validated(learner)
            learner.validated["val_loss"] += 10 * learner.current_epoch

        monkeypatch.setattr(Learner, "on_validation_epoch_end", also)

    def test_holds_the_best_weights_and_says_where_they_are_from(
        self, run, dataset, recipe, checkpoint, worse, tmp_path
    ):
        bundle = load_bundle(run(recipe, tmp_path, name="mine"))
        best, last = checkpoint(tmp_path, "best"), checkpoint(tmp_path)
        assert (best["epoch"], last["epoch"]) == (0, 1)
        for name, value in bundle.network().state_dict().items():
            saved = best["state_dict"][f"averaged.{name}"]
            torch.testing.assert_close(value, saved, rtol=2e-3, atol=1e-6, check_dtype=False)
        card = bundle.card
        assert (card.name, card.architecture, card.arguments) == ("mine", "Plain", {"width": 2})
        assert (card.size, card.spacing_mm, card.lift, card.field) == (32, 3.0, "backproject", "cube")
        assert (card.hu_mean, card.hu_sd) == dataset.hu_statistics
        assert card.protocol == "isolated"
        assert card.angle_range_deg == (80.0, 100.0)  # the paper's acquisition: 5 degrees for either view
        assert card.sod_range_mm == (1000.0, 1000.0)
        assert card.levels == ("T12", "L1", "L2", "L3")
        assert card.data_licence == "CC0"
        told = card.provenance
        assert told["recipe"] == recipe.to_dict()
        assert told["data"] == dataset.fingerprint
        assert told["field"] == "cube"
        assert told["patients"] == {"VerSe20": 1, "phantom": 1}
        assert told["vertebrae"] == {"VerSe20": 2, "phantom": 3}
        assert told["licences"] == {"VerSe20": ["CC0"], "phantom": ["CC0"]}
        assert told["validation"]["val_loss"] == pytest.approx(best["ear_run"]["validated"]["val_loss"], abs=1e-4)
        assert json.loads(json.dumps(told)) == told

    @pytest.mark.parametrize(
        ("protocol", "xrays", "lent", "named"),
        [
            ("in-situ", "live", 0.4, True),
            ("in-situ", "live", 0.0, False),
            ("in-situ", "disk", 0.4, False),
            ("column", "live", 0.4, False),
        ],
    )
    def test_names_those_who_lent_a_body(self, dataset, recipe, tmp_path, protocol, xrays, lent, named):
        row = replace(dataset.rows[0], patient="lender", licence="CC BY 3.0")
        recipe = replace(recipe, xrays=xrays, simulation=Simulation(protocol, lent=lent))
        validation = Samples(dataset, "validation", lift="backproject", random=False)
        card = export(
            tmp_path / "a.safetensors", build(recipe.architecture, **recipe.arguments), recipe,
            replace(dataset, lenders=(row,)), validation, Statistics(*dataset.hu_statistics, None), {},
            torch.device("cpu"),
        ).card  # fmt: skip
        assert card.data_licence == ("CC BY 3.0, CC0" if named else "CC0")
        assert card.provenance["bodies_lent_by"] == (["lender"] if named else [])

    def test_is_made_for_the_levels_that_it_was_trained_on(self, run, recipe, tmp_path):
        card = load_bundle(run(replace(recipe, levels=("L1", "L3"), epochs=1), tmp_path)).card
        assert card.levels == ("L1", "L2", "L3")
        assert card.provenance["vertebrae"] == {"VerSe20": 1, "phantom": 3}

    def test_of_live_x_rays_has_the_simulation_s_ranges(self, run, recipe, tmp_path):
        simulation = Simulation(protocol="column")
        recipe = replace(recipe, xrays="live", simulation=simulation, epochs=1)
        card = load_bundle(run(recipe, tmp_path)).card
        assert card.name == "plain-column-32"
        assert card.protocol == "column"
        assert card.sod_range_mm == simulation.acquisition.sod_mm
        assert card.angle_range_deg == simulation.acquisition.angle_range_deg

    def test_of_the_paper_s_field_says_so(self, prepared, recipe, undrawn, tmp_path):
        """Each vertebra's own voxel size: its bundle can be evaluated, but not used on radiographs."""
        folder = tmp_path / "data"
        folder.mkdir()
        for name in ("volumes", "masks", "xrays", "scenes", "manifest.csv"):
            (folder / name).symlink_to(prepared / name)
        header = json.loads((prepared / "dataset.json").read_text())
        header["settings"]["field"] = "paper"
        (folder / "dataset.json").write_text(json.dumps(header))
        path = train(replace(recipe, lift="replicate", epochs=1), folder, tmp_path / "run")
        assert load_bundle(path).card.field == "paper"

    def test_rebuilds_a_vertebra_from_radiographs(self, run, recipe, tmp_path):
        bundle = load_bundle(run(replace(recipe, epochs=1), tmp_path))
        hu = torch.full((40, 40, 40), -1000.0)
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
        assert one.volume_hu.shape == (32,) * 3
        assert np.isfinite(one.volume_hu).all()


def test_what_is_opened_is_what_was_trained_on(prepared):
    """Guards the data set of these tests."""
    dataset = PreparedDataset.open(prepared)
    assert len(dataset.rows_of("train")) == 5
    assert len(dataset.rows_of("validation")) == 3
