"""A recipe: the two presets, its way through JSON, overrides from the command line, and what it refuses."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from EARTrainingLib.training.errors import RecipeError
from EARTrainingLib.training.recipe import PRESETS, Recipe


class TestPresets:
    def test_the_paper_s(self):
        paper = PRESETS["paper"]
        assert (paper.architecture, paper.optimizer, paper.learning_rate, paper.weight_decay) == (
            "EAR",
            "adam",
            0.01,
            1e-5,
        )
        assert (paper.batch_size, paper.accumulate, paper.epochs, paper.warm_up_epochs) == (2, 1, 100, 10)
        weights = paper.losses
        assert (weights.reconstruction, weights.edge, weights.frequency, weights.projection) == (1.0, 0.1, 0.1, 0.1)
        assert (paper.lift, paper.xrays, paper.ema, paper.clip, paper.precision) == (
            "replicate",
            "disk",
            None,
            None,
            "32",
        )

    def test_ours(self):
        ours = PRESETS["ours"]
        assert (ours.optimizer, ours.learning_rate, ours.weight_decay) == ("adamw", 1e-3, 1e-5)
        assert (ours.ema, ours.clip, ours.lift, ours.xrays) == (0.995, 1.0, "backproject", "live")


class TestLearningRate:
    def test_rises_linearly_and_falls_along_a_cosine(self):
        recipe = replace(PRESETS["paper"], epochs=100, warm_up_epochs=10)
        at = [recipe.learning_rate_at(step, 7) for step in range(700)]
        assert at[0] == pytest.approx(0.01 / 70)
        assert at[34] == pytest.approx(0.005)
        assert at[69] == pytest.approx(0.01)
        assert at[70] == pytest.approx(0.01)
        assert at[70 + 315] == pytest.approx(0.005)  # half way between 70 and 700
        assert at[699] == pytest.approx(0.005 * (1 + math.cos(math.pi * 629 / 630)))
        assert max(at) <= 0.01 + 1e-12
        assert all(b < a for a, b in pairwise(at[70:]))

    def test_without_warm_up_and_with_nothing_else(self):
        assert replace(Recipe(), warm_up_epochs=0, epochs=2).learning_rate_at(0, 5) == pytest.approx(1e-3)
        short = replace(PRESETS["paper"], epochs=2)  # shorter than its warm-up of 10
        assert [short.learning_rate_at(step, 5) for step in (0, 9)] == pytest.approx([0.01 / 50, 0.01 * 10 / 50])


class TestJson:
    @pytest.mark.parametrize("name", PRESETS)
    def test_there_and_back(self, name):
        recipe = PRESETS[name].with_overrides(["arguments.width=8", "simulation.acquisition.photons=null"])
        text = json.dumps(recipe.to_dict())
        assert Recipe.from_dict(json.loads(text)) == recipe
        assert recipe.arguments == {"width": 8}
        assert recipe.simulation.acquisition.photons is None

    def test_what_is_missing_has_its_default(self):
        assert Recipe.from_dict({"losses": {"edge": 0}}) == replace(Recipe(), losses=replace(Recipe().losses, edge=0.0))

    def test_differences_are_named_with_both_values(self):
        changed = Recipe().with_overrides(["losses.edge=0", "arguments.width=8", "simulation.deformation.bend_mm=0"])
        assert changed.differences(Recipe()) == {
            "losses.edge": (0.0, 0.1),
            "arguments.width": (8, None),
            "simulation.deformation.bend_mm": (0.0, 1.5),
        }
        assert Recipe().differences(Recipe().to_dict()) == {}
        older = Recipe().to_dict()
        del older["clip"]
        assert Recipe().differences(older | {"momentum": 0.9}) == {"clip": (1.0, None), "momentum": (None, 0.9)}


class TestOverrides:
    def test_of_every_kind(self):
        recipe = Recipe().with_overrides(
            [
                "architecture=BX2S",
                "epochs=7",
                "learning_rate=1",
                "precision=bf16",
                "compile=true",
                "ema=null",
                "arguments.in_channels=2",
                "losses.frequency_high_pass=1.5",
                "simulation.protocol=in-situ",
                "simulation.acquisition.angle_deg=[60, 140]",
                'simulation.acquisition.spectra=["60kV-3.5mmAl"]',
            ]
        )
        assert (recipe.architecture, recipe.epochs, recipe.learning_rate) == ("BX2S", 7, 1.0)
        assert (recipe.precision, recipe.compile, recipe.ema) == ("bf16", True, None)
        assert recipe.arguments == {"in_channels": 2}
        assert recipe.losses.frequency_high_pass == 1.5
        assert recipe.simulation.protocol == "in-situ"
        assert recipe.simulation.acquisition.angle_deg == (60.0, 140.0)
        assert recipe.simulation.acquisition.spectra == ("60kV-3.5mmAl",)
        assert Recipe().with_overrides(["precision=32"]).precision == "32"

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("epochs", ["epochs", "NAME=VALUE"]),
            ("=3", ["NAME=VALUE"]),
            ("epoch=3", ["epoch:", "no such field", "epochs"]),
            ("losses.edges=0", ["losses.edges", "losses.edge"]),
            ("loss.edge=0", ["loss:", "losses"]),
            ("simulation.deformation.bend=0", ["simulation.deformation.bend", "bend_mm"]),
            ("epochs=many", ["epochs", "'many'", "a whole number"]),
            ("epochs=1.5", ["epochs", "1.5", "a whole number"]),
            ("losses.bone=1", ["losses.bone", "1", "such as [0.9, 1.1]"]),
            ("arguments=3", ["arguments", "3", 'such as {"width": 8}']),
            ("epochs=true", ["epochs", "True"]),
            ("epochs=0", ["epochs", "above 0"]),
            ("epochs=-1", ["epochs", "above 0"]),
            ("learning_rate=fast", ["learning_rate", "a number"]),
            ("learning_rate=NaN", ["learning_rate"]),
            ("compile=1", ["compile", "true or false"]),
            ("losses=3", ["losses", "losses.NAME=VALUE"]),
            ("losses.edge=-1", ["losses", "edge", "-1"]),
            ("architecture=ViT", ["architecture", "ViT", "EAR"]),
            ("lift=copy", ["lift", "copy", "backproject"]),
            ("optimizer=sgd", ["optimizer", "sgd", "adamw"]),
            ("precision=16", ["precision", "16", "bf16"]),
            ("xrays=film", ["xrays", "film", "disk"]),
            ("ema=1", ["ema"]),
            ("ema=0", ["ema"]),
            ("batch_size=0", ["batch_size"]),
            ("simulation.protocol=prone", ["simulation", "prone", "isolated"]),
            ("simulation.acquisition.sod_mm=[9, 3]", ["simulation.acquisition", "SOD", "9 to 3"]),
            ("simulation.acquisition.sod_mm=[900]", ["simulation.acquisition.sod_mm", "[900]"]),
            ("simulation.bone.shell_hu=[700, 160]", ["simulation.bone", "shell_hu", "700 to 160"]),
            ('levels=["T1", "S1"]', ["levels", "'S1'", "C1 to L6"]),
            ('levels=["L5", "T1"]', ["levels", "L5 lies below T1"]),
            ('levels=["L5"]', ["levels", "['L5']"]),
        ],
    )
    def test_errors_name_the_field_and_what_it_takes(self, setting, words):
        with pytest.raises(RecipeError) as caught:
            Recipe().with_overrides([setting])
        for word in words:
            assert word in str(caught.value), str(caught.value)
