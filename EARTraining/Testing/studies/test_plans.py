"""Which models every study trains, and how, beside what the paper's tables say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.deformation import UNDEFORMED
from EARTrainingLib.projection.acquisition import ACQUISITIONS
from EARTrainingLib.studies import angles, changes, comparison, losses, modules
from EARTrainingLib.studies.registry import STUDIES
from EARTrainingLib.studies.scales import SCALES, StudyError
from EARTrainingLib.studies.study import Run, parameters, shared_recipe
from EARTrainingLib.training.recipe import PRESETS


def plan(study, data, scale="paper", preset="paper", settings=()):
    """The runs of a study by name."""
    recipe = shared_recipe(preset, SCALES[scale], settings, data)
    return {run.name: run.recipe for run in study.runs(recipe, SCALES[scale], data)}


def varied(recipes):
    """Dotted names of the fields in which recipes differ from the first."""
    first, *others = recipes.values()
    return {name for other in others for name in first.differences(other)}


class TestAll:
    @pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
    @pytest.mark.parametrize("scale", SCALES)
    @pytest.mark.parametrize("preset", PRESETS)
    def test_runs_have_folders_of_their_own_equal_steps_and_one_seed(self, study, scale, preset, planned_data):
        recipe = shared_recipe(preset, SCALES[scale], (), planned_data)
        runs = study.runs(recipe, SCALES[scale], planned_data)
        assert len({run.folder for run in runs}) == len(runs)
        assert all(run.folder for run in runs)
        same = ("epochs", "warm_up_epochs", "batch_size", "accumulate", "epoch_samples", "seed", "learning_rate")
        assert len({tuple(getattr(run.recipe, name) for name in same) for run in runs}) == 1
        for run in runs:
            assert parameters(run.recipe) > 0

    @pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
    def test_the_paper_s_scale_is_the_paper_s_recipe(self, study, planned_data):
        for recipe in plan(study, planned_data).values():
            named = {name.split(".")[0] for name in PRESETS["paper"].differences(recipe)}
            assert named <= {"architecture", "arguments", "losses", "lift", "xrays", "simulation", "ema"}
            assert recipe.epochs == 100
            assert (recipe.optimizer, recipe.learning_rate, recipe.batch_size) == ("adam", 0.01, 2)

    def test_settings_hold_for_every_run(self, planned_data):
        for study in STUDIES.values():
            settings = ("epochs=7", "losses.edge=0.3", "arguments.width=8")
            for name, recipe in plan(study, planned_data, "tiny", settings=settings).items():
                assert recipe.epochs == 7
                assert recipe.losses.edge == (0 if (study.name, name) == ("losses", "recon") else 0.3)
                if recipe.architecture == "EAR":
                    assert recipe.arguments["width"] == 8

    def test_the_network_is_no_setting(self, planned_data):
        with pytest.raises(StudyError, match="architecture=SIT: a study chooses its networks itself"):
            shared_recipe("paper", SCALES["tiny"], ("architecture=SIT",), planned_data)

    def test_an_unknown_setting_is_named(self, planned_data):
        with pytest.raises(EARError, match="epoch: a recipe has no such field"):
            shared_recipe("paper", SCALES["tiny"], ("epoch=3",), planned_data)

    def test_live_x_rays_show_what_the_data_show(self, planned_data):
        column = replace(planned_data, settings={**planned_data.settings, "protocol": "in-situ"})
        for study in STUDIES.values():
            for recipe in plan(study, column, preset="ours").values():
                assert recipe.xrays == "live"
                assert recipe.simulation.protocol == "in-situ"

    def test_folders_are_for_every_system(self):
        names = {"+ABS": "abs", "60°": "60", "any angle": "any-angle", "BX2S": "bx2s"}
        assert {name: Run(name, PRESETS["paper"]).folder for name in names} == names


class TestComparison:
    def test_five_networks_that_differ_in_nothing_else_and_ours(self, planned_data):
        recipes = plan(comparison.STUDY, planned_data)
        ours = recipes.pop("ours")
        assert list(recipes) == ["PSR", "SIT", "E2E", "BX2S", "EAR"]
        assert set(recipes["E2E"].differences(ours)) == {"lift", "losses.dice"}
        assert all(recipe.architecture == name for name, recipe in recipes.items())
        assert {name.split(".")[0] for name in varied(recipes)} == {"architecture", "arguments"}
        weights = recipes["SIT"].losses
        assert (weights.reconstruction, weights.edge, weights.frequency, weights.projection) == (1, 0.1, 0.1, 0.1)

    def test_full_widths(self, planned_data):
        """Millions of parameters at 128^3 as far as the papers say them."""
        whole = replace(planned_data, settings={**planned_data.settings, "size": 128})
        counts = {name: parameters(recipe) / 1e6 for name, recipe in plan(comparison.STUDY, whole).items()}
        assert counts["PSR"] == pytest.approx(589, abs=1)
        assert counts["SIT"] == pytest.approx(9, abs=0.5)
        assert counts["BX2S"] == pytest.approx(1.8, abs=0.05)
        assert counts["EAR"] == pytest.approx(5.7, abs=0.05)

    def test_networks_of_images_have_the_size_of_the_data(self, planned_data):
        recipes = plan(comparison.STUDY, planned_data, "tiny")
        assert [recipes[name].arguments.get("size") for name in recipes] == [64, 64, None, None, None, None]

    def test_a_smaller_psr_where_the_scale_says_so(self, planned_data):
        assert plan(comparison.STUDY, planned_data, "small")["PSR"].arguments == {"width": 0.25, "size": 64}


class TestModules:
    def test_table_2(self, planned_data):
        recipes = plan(modules.STUDY, planned_data)
        switches = {
            name: tuple(
                recipe.arguments[module]
                for module in ("attention_shortcuts", "frequency_enhancement", "edge_attention")
            )
            for name, recipe in recipes.items()
        }
        assert switches == {
            "baseline": (False, False, False),
            "+ABS": (True, False, False),
            "+FEM": (True, True, False),
            "+EAM": (True, True, True),
        }
        assert all(recipe.architecture == "EAR" for recipe in recipes.values())
        assert all(name.startswith("arguments.") for name in varied(recipes))

    def test_each_module_adds_parameters(self, planned_data):
        counts = [parameters(recipe) for recipe in plan(modules.STUDY, planned_data).values()]
        assert counts == sorted(set(counts))
        assert counts[-1] == parameters(plan(comparison.STUDY, planned_data)["EAR"])

    def test_the_paper_s_numbers(self):
        assert list(modules.TABLE_2) == list(modules.MODULES)
        best = {
            metric: min(modules.TABLE_2, key=lambda n: modules.TABLE_2[n][metric]) for metric in ("mse", "fd_minmax")
        }
        assert best == {"mse": "+EAM", "fd_minmax": "+EAM"}


class TestLosses:
    def test_table_3(self, planned_data):
        recipes = plan(losses.STUDY, planned_data)
        weights = {
            name: (r.losses.reconstruction, r.losses.edge, r.losses.frequency, r.losses.projection)
            for name, r in recipes.items()
        }
        assert weights == {
            "recon": (1, 0, 0, 0),
            "+edge": (1, 0.1, 0, 0),
            "+freq": (1, 0.1, 0.1, 0),
            "+proj": (1, 0.1, 0.1, 0.1),
        }
        assert all(name.startswith("losses.") for name in varied(recipes))
        assert list(losses.TABLE_3) == list(recipes)

    def test_the_last_runs_of_both_tables_are_the_same_model(self, planned_data):
        """They print the same numbers for it."""
        module, loss = plan(modules.STUDY, planned_data)["+EAM"], plan(losses.STUDY, planned_data)["+proj"]
        on = {"attention_shortcuts": True, "frequency_enhancement": True, "edge_attention": True}
        assert module == replace(loss, arguments={**loss.arguments, **on})
        assert parameters(module) == parameters(loss)
        assert modules.TABLE_2["+EAM"] == losses.TABLE_3["+proj"]


class TestAngles:
    def test_fig_11(self, planned_data):
        recipes = plan(angles.STUDY, planned_data)
        taken = {name: recipe.simulation.acquisition.angle_deg for name, recipe in recipes.items()}
        assert taken == {f"{n}°": (n, n) for n in range(60, 150, 10)} | {"any angle": (60, 140)}
        assert {name: recipe.lift for name, recipe in recipes.items()} == {
            name: "backproject" if name == "any angle" else "replicate" for name in recipes
        }
        assert varied(recipes) == {"lift", "simulation.acquisition.angle_deg"}

    def test_x_rays_are_those_of_the_data_but_for_the_angle(self, planned_data):
        for recipe in plan(angles.STUDY, planned_data).values():
            simulation = recipe.simulation
            assert recipe.xrays == "live"
            assert simulation.protocol == "isolated"
            assert simulation.deformation == UNDEFORMED
            assert replace(simulation.acquisition, angle_deg=(90, 90)) == ACQUISITIONS["paper"]

    def test_our_preset_keeps_its_augmentation(self, planned_data):
        simulation = plan(angles.STUDY, planned_data, preset="ours")["70°"].simulation
        assert simulation.deformation == PRESETS["ours"].simulation.deformation
        assert simulation.acquisition == replace(ACQUISITIONS["ours"], angle_deg=(70, 70))

    def test_three_angles_are_enough_to_see_that_it_runs(self, planned_data):
        assert list(plan(angles.STUDY, planned_data, "tiny")) == ["60°", "90°", "140°", "any angle"]


class TestChanges:
    def test_each_run_changes_one_thing(self, planned_data):
        recipes = plan(changes.STUDY, planned_data, preset="ours")
        first = recipes[changes.PRINTED]
        assert (first.lift, first.ema, first.architecture) == ("replicate", None, "EAR")
        assert (first.losses.dice, first.losses.attention, first.losses.frequency_high_pass) == (0, 0, 0)
        changed = {name: list(first.differences(recipe)) for name, recipe in recipes.items()}
        assert changed.pop(changes.PRINTED) == []
        assert all(len(names) == 1 for names in changed.values())
        assert changed["back-projection"] == ["lift"]
        assert changed["stem of stride 1"] == ["arguments.stem_stride"]
        assert changed["high-pass"] == ["losses.frequency_high_pass"]
        assert changed["supervised edges"] == ["losses.attention"]
        assert changed["averaged weights"] == ["ema"]

    def test_it_prints_nothing_of_the_paper(self):
        assert not changes.STUDY.report.paper
