"""Every study from its first training to its table and figures, small."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from EARTrainingLib.evaluation import evaluate
from EARTrainingLib.studies import angle_rows, losses, running
from EARTrainingLib.studies.registry import STUDIES
from EARTrainingLib.studies.running import Order, Outcome, run_study
from EARTrainingLib.studies.study import FAILED, FINISHED, Run
from EARTrainingLib.training.run import train

#: Four steps per run.
SHORT = ("epochs=2", "epoch_samples=4", "learning_rate=0.003")


@dataclass
class Ran:
    """A study that was stopped after its first run, and its second call, which finished it."""

    outcome: Outcome
    trained: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.outcome.out

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "table.csv")

    @property
    def rows(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "evaluation/rows.csv")

    @property
    def text(self) -> str:
        return (self.out / "table.md").read_text(encoding="utf-8")


def stop_at_second(sentence):
    """What a kill between runs looks like from within."""
    if sentence.startswith("run 2 of ") and sentence.endswith("begins."):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    """A study by its name, done once."""
    done: dict[str, Ran] = {}

    def run(name: str) -> Ran:
        if name not in done:
            order = Order(tmp_path_factory.mktemp(name) / "out", data.folder, "tiny", settings=SHORT, device="cpu")
            trained: list[str] = []
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(running, "train", lambda *a, **k: trained.append(k["name"]) or train(*a, **k))
                if name in ("losses", "changes"):  # their figures are those of the modules
                    patch.setattr(evaluate, "draw_figures", lambda *_, **__: ({}, []))
                with pytest.raises(KeyboardInterrupt):
                    run_study(STUDIES[name], order, say=stop_at_second)
                done[name] = Ran(run_study(STUDIES[name], order), trained)
        return done[name]

    return run


@pytest.mark.parametrize("name", STUDIES)
class TestEvery:
    def test_goes_on_after_a_kill_and_trains_every_run_once(self, ran, name):
        assert set(ran(name).outcome.states.values()) == {FINISHED}
        assert max(Counter(ran(name).trained).values()) == 1
        assert len(ran(name).trained) == len(ran(name).outcome.states)

    def test_writes_what_it_says(self, ran, name):
        written = {str(path.relative_to(ran(name).out)) for path in ran(name).outcome.written}
        assert {"table.csv", "table.md", "table.tex"} < written
        for path in ran(name).outcome.written:
            assert path.is_file()
            if path.suffix == ".png":
                picture = matplotlib.image.imread(path)[..., :3]
                inked = (picture < 0.9).any(-1)
                assert 0.01 < inked.mean() < 0.95, path
                assert f"]({path.relative_to(ran(name).out)})" in ran(name).text

    def test_says_what_its_numbers_are_worth(self, ran, name):
        assert "its numbers say nothing about the methods" in ran(name).text
        assert "protocol `isolated`" in ran(name).text
        assert "2 epochs of 2 steps with 2 vertebrae each" in ran(name).text
        assert "its numbers say nothing about the methods" in (ran(name).out / "table.tex").read_text(encoding="utf-8")

    def test_cost_stands_beside_quality(self, ran, name):
        table = ran(name).table
        assert list(table["run"].unique()) == list(ran(name).outcome.states)
        assert (table["parameters"] > 1e5).all()
        assert table["step_s"].between(1e-3, 300).all()

    def test_a_second_call_changes_nothing(self, ran, name, data, monkeypatch):
        def kept():
            return {path: path.stat().st_mtime_ns for path in ran(name).out.rglob("*") if path.is_file()}

        monkeypatch.setattr(running, "train", lambda *_, **__: pytest.fail("trained again"))
        before = kept()
        order = Order(ran(name).out, data.folder, "tiny", settings=SHORT, device="cpu")
        assert run_study(STUDIES[name], order).written == ran(name).outcome.written
        assert kept() == before


class TestTables:
    @pytest.mark.parametrize("name", ["comparison", "modules", "losses", "changes"])
    def test_means_are_those_of_the_rows(self, ran, name):
        table, rows = ran(name).table.set_index("run"), ran(name).rows
        assert len(rows) == 2 * len(table)
        for run, own in rows.groupby("method"):
            for metric in ("mse", "mae", "dice", "psnr_hu4096", "ssim", "fd_minmax"):
                assert table.loc[run, metric] == pytest.approx(own[metric].mean(), rel=1e-9), (run, metric)
                assert table.loc[run, f"{metric}_sd"] == pytest.approx(own[metric].std(), rel=1e-9)
            finite = own["assd_mm"][np.isfinite(own["assd_mm"])]
            if len(finite):
                assert table.loc[run, "assd_mm"] == pytest.approx(finite.mean(), rel=1e-9)
            else:
                assert math.isnan(table.loc[run, "assd_mm"])

    def test_nothing_of_the_paper_where_it_has_nothing(self, ran):
        assert "Rows of the paper" not in ran("changes").text
        assert "diamonds" not in ran("changes").text.lower()

    @pytest.mark.parametrize("name", ["comparison", "modules", "losses"])
    def test_the_paper_stands_beside(self, ran, name):
        run, metric, value, where = {
            "comparison": ("EAR", "psnr_hu4096", 23.76, "Table 1"),
            "modules": ("+FEM", "fd_minmax", 0.3125, "Table 2"),
            "losses": ("+freq", "mse", 0.2488, "Table 3"),
        }[name]
        assert ran(name).table.set_index("run").loc[run, f"{metric}_paper"] == value
        (line,) = (line for line in ran(name).text.splitlines() if line.startswith(f"| {run} ({where})"))
        assert str(value) in line
        assert f"Rows of the paper ({where}) are from other data" in ran(name).text


class TestFigures:
    def test_modules_show_attention_and_frequency(self, ran):
        text = ran("modules").text
        for name, figure in (("distances", "Fig. 8"), ("edges", "Fig. 9"), ("frequency", "Fig. 10")):
            assert f"](evaluation/figures/{name}.png)\n\nAs {figure} of the paper." in text


class TestAngles:
    def test_every_model_is_tested_at_every_angle_on_the_same_vertebrae(self, ran):
        rows = ran("angles").rows
        assert set(rows["method"]) == {"60°", "90°", "140°", "any angle"}
        assert len(rows) == 4 * 3 * 2
        assert rows.groupby(["method", "angle_deg"])["id"].apply(tuple).nunique() == 1

    def test_measures_no_model_again_for_a_missing_table(self, ran, data, monkeypatch):
        text = ran("angles").text
        (ran("angles").out / "table.md").unlink()
        monkeypatch.setattr(angle_rows, "measure", lambda *_, **__: pytest.fail("measured again"))
        run_study(STUDIES["angles"], Order(ran("angles").out, data.folder, "tiny", settings=SHORT, device="cpu"))
        assert ran("angles").text == text

    def test_means_are_those_of_the_rows(self, ran):
        table = ran("angles").table.set_index(["run", "tested_deg"])
        for (model, angle), own in ran("angles").rows.groupby(["method", "angle_deg"]):
            assert table.loc[(model, angle), "mse"] == pytest.approx(own["mse"].mean(), rel=1e-9)
            assert table.loc[(model, angle), "dice"] == pytest.approx(own["dice"].mean(), rel=1e-9)

    def test_the_text_has_the_diagonal_and_the_model_for_all(self, ran):
        rows = ran("angles").rows
        section = ran("angles").text.split("## ASSD")[0]
        for angle in (60, 90, 140):
            (line,) = (line for line in section.splitlines() if line.startswith(f"| {angle}° |"))
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            for cell, model in zip(cells[1:4], (f"{angle}°", "any angle", "90°"), strict=True):
                own = rows[(rows["method"] == model) & (rows["angle_deg"] == angle)]["dice"]
                assert float(cell.split()[0].strip("*")) == pytest.approx(own.mean(), abs=6e-3)


class TestFailedRun:
    def test_the_table_names_it(self, data, tmp_path, monkeypatch):
        """A learning rate that spoils the weights at the second step."""
        monkeypatch.setattr(evaluate, "draw_figures", lambda *_, **__: ({}, []))

        def runs(recipe, scale, dataset):
            good, bad = losses.runs(recipe, scale, dataset)[:2]
            return [good, Run(bad.name, replace(bad.recipe, learning_rate=1e30, warm_up_epochs=0))]

        order = Order(tmp_path / "out", data.folder, "tiny", settings=SHORT, device="cpu")
        outcome = run_study(replace(losses.STUDY, runs=runs), order)
        assert outcome.states == {"recon": FINISHED, "+edge": FAILED}
        assert "is no number" in outcome.reasons["+edge"]
        table = pd.read_csv(tmp_path / "out/table.csv").set_index("run")
        assert table["state"].to_dict() == {"recon": "finished", "+edge": "failed"}
        assert "is no number" in table.loc["+edge", "reason"]
        text = (tmp_path / "out/table.md").read_text(encoding="utf-8")
        assert "| +edge | failed |" in text
        assert "+edge failed: epoch" in text
        assert math.isfinite(table.loc["recon", "mse"])
