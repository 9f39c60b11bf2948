"""The whole evaluation: rows of known errors, files, and a second run that does not begin again."""

import json
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.errors import EARError
from EARTrainingLib.claim import Claimed, alone
from EARTrainingLib.datasets.readers.scan import DatasetError
from EARTrainingLib.evaluation import evaluate as module
from EARTrainingLib.evaluation.evaluate import evaluate, read_evaluation
from EARTrainingLib.metrics import METRICS

FILES = {"rows.csv", "table.csv", "table.md", "table.tex", "differences.csv", "evaluation.json", "finished"}


@pytest.fixture
def run(prepared, tmp_path, fake_predictions):
    """evaluate() without figures into one folder; models (name -> file) and anything else may be given."""

    def go(models, **options):
        options = {"figures": False, **options}
        return evaluate(models, options.pop("data", prepared), options.pop("out", tmp_path / "out"), **options)

    return go


def test_a_second_run_in_the_folder_is_refused(run, models, tmp_path):
    with alone(tmp_path / "out"), pytest.raises(Claimed, match=r"out: .* is at work on it"):
        run(models)


class TestRows:
    def test_errors_are_those_that_were_made(self, run, models):
        rows = run(models)
        assert rows["method"].unique().tolist() == list(models)
        assert len(rows) == 15
        mean = rows.groupby("method").mean(numeric_only=True)
        assert mean.loc["exact", "mae"] == 0
        assert mean.loc["exact", "dice"] == 1
        assert mean.loc["exact", "assd_mm"] == pytest.approx(0, abs=1e-6)
        # Voxels of 3 mm: at edges a mask is coarse, and what is grown lies further away.
        assert mean.loc["larger", "sde_mean_mm"] == pytest.approx(3, abs=0.5)
        assert mean.loc["smaller", "sde_mean_mm"] < -1  # what is thinner than a voxel is gone
        assert mean.loc["larger", "assd_mm"] == pytest.approx(3, abs=0.7)

    @pytest.mark.usefixtures("cheap")
    def test_columns_say_which_vertebra(self, run, models, dataset):
        rows = run({"A": models["exact"]})
        assert rows["id"].tolist() == [row.id for row in dataset.rows_of("test")]
        assert rows["patient"].tolist() == ["p4", "p4", "p4", "p5", "p6"]
        assert rows["region"].tolist() == ["thoracic", "lumbar", "lumbar", "lumbar", "cervical"]
        assert set(METRICS) < set(rows)
        assert (rows["split"] == "test").all()

    @pytest.mark.usefixtures("cheap")
    def test_fd_is_scaled_over_this_evaluation_and_says_how(self, run, models, tmp_path):
        rows = run({name: models[name] for name in ("larger", "smaller")})
        assert rows["fd_minmax"].min() == 0
        assert rows["fd_minmax"].max() == 1
        said = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        assert said["fd_bounds"] == [rows["fd"].min(), rows["fd"].max()]
        assert any(f"{rows['fd'].max():.3f}" in note for note in said["notes"])

    @pytest.mark.usefixtures("cheap")
    def test_other_splits_and_all(self, run, models, tmp_path):
        assert run({"A": models["exact"]}, split="train")["patient"].tolist() == ["p1"]
        everything = run({"A": models["exact"]}, split="all", out=tmp_path / "all")
        assert len(everything) == 6
        with pytest.raises(DatasetError, match="validation"):
            run({"A": models["exact"]}, split="validation")

    def test_the_real_network_is_what_is_measured(self, prepared, models, tmp_path, dataset):
        from EARTrainingLib.evaluation.measurement import measure
        from EARTrainingLib.evaluation.prediction import predictions

        rows = evaluate({"A": models["exact"]}, prepared, tmp_path, figures=False, device="cpu")
        first = next(predictions(load_bundle(models["exact"]), dataset, dataset.rows_of("test"), device="cpu"))
        expected = measure(first, dataset.hu_statistics)
        for name in ("mse", "dice", "ssim"):
            assert rows.loc[0, name] == pytest.approx(expected[name])

    @pytest.mark.usefixtures("cheap")
    def test_several_processes_give_the_same(self, run, models, tmp_path):
        one = run({"A": models["larger"]}, out=tmp_path / "one")
        with joblib.parallel_config(backend="threading"):
            two = run({"A": models["larger"]}, out=tmp_path / "two", jobs=2)
        pd.testing.assert_frame_equal(one, two)


class TestFiles:
    @pytest.mark.usefixtures("cheap")
    def test_all_are_there_and_agree(self, run, models, tmp_path):
        rows = run(models, reference="larger")
        out = tmp_path / "out"
        assert {path.name for path in out.iterdir()} == FILES
        back = pd.read_csv(out / "rows.csv")
        pd.testing.assert_frame_equal(back, rows, check_exact=False, rtol=1e-12)
        summary, paired, said = read_evaluation(out)
        assert set(paired["reference"]) == {"larger"}
        assert set(paired["method"]) == {"exact", "smaller"}
        own = summary.query("scope == 'all' and method == 'larger' and metric == 'assd_mm'").iloc[0]
        assert own["mean"] == pytest.approx(rows.query("method == 'larger'")["assd_mm"].mean())
        assert own["patients"] == 3
        assert said["reference"] == "larger"

    @pytest.mark.usefixtures("cheap")
    def test_it_says_what_was_evaluated_on_what(self, run, models, tmp_path, dataset):
        run({"A": models["exact"]})
        said = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        assert said["models"]["A"]["sha256"] == load_bundle(models["exact"]).sha256
        assert said["data"]["fingerprint"] == dataset.fingerprint
        assert said["data"]["patients"] == 3
        assert said["data"]["settings"]["size"] == 32
        assert said["torch"] == torch.__version__
        assert said["bootstrap"]["unit"] == "patient"
        assert any("A: trained on other data" in note for note in said["notes"])
        assert any("not made for C5" in note for note in said["notes"])

    @pytest.mark.usefixtures("cheap")
    def test_volumes_are_kept_if_wanted(self, run, models, tmp_path, dataset):
        run({"A/B": models["larger"]}, save_volumes=True)
        (folder,) = (tmp_path / "out" / "volumes").iterdir()
        assert folder.name == f"A_B-{load_bundle(models['larger']).sha256[:8]}"
        assert {path.stem for path in folder.iterdir()} == {row.id for row in dataset.rows_of("test")}


@pytest.mark.usefixtures("cheap")
class TestResume:
    def test_finished_models_are_not_run_again(self, run, models, fake_predictions, tmp_path):
        first = run(models)
        before = (tmp_path / "out" / "table.csv").read_bytes()
        assert len(fake_predictions) == 15
        told = []
        second = run(models, progress=lambda *step: told.append(step))
        assert len(fake_predictions) == 15
        pd.testing.assert_frame_equal(first, second)
        assert (tmp_path / "out" / "table.csv").read_bytes() == before
        assert told[-1][:2] == (15, 15)

    def test_a_stopped_run_goes_on_with_the_next_model(self, run, models, fake_predictions):
        def stop(done, _total, _words):
            if done == 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(models, progress=stop)
        assert {name for name, _ in fake_predictions} == {"exact", "larger"}
        fake_predictions.clear()
        rows = run(models)
        assert [name for name, _ in fake_predictions].count("exact") == 0
        assert len(fake_predictions) == 10
        assert len(rows) == 15

    def test_under_another_name_and_with_another_model_beside_it(self, run, models, fake_predictions):
        run({"A": models["exact"]})
        fake_predictions.clear()
        rows = run({"B": models["exact"], "C": models["larger"]})
        assert {name for name, _ in fake_predictions} == {"larger"}
        assert rows["method"].unique().tolist() == ["B", "C"]

    def test_other_data_or_another_split_are_no_match(self, run, models, fake_predictions, prepared, tmp_path):
        run({"A": models["exact"]})
        fake_predictions.clear()
        run({"A": models["exact"]}, split="all")
        assert len(fake_predictions) == 6
        fake_predictions.clear()
        other = shutil.copytree(prepared, tmp_path / "other")
        text = (other / "manifest.csv").read_text()
        (other / "manifest.csv").write_text(text.replace("VerSe20-p1-L1,kept,", "VerSe20-p1-L1,kept,changed"))
        run({"A": models["exact"]}, data=other, split="all")
        assert len(fake_predictions) == 6

    @pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key": 1}'])
    def test_a_damaged_file_is_made_again(self, run, models, fake_predictions, tmp_path, damage):
        run({"A": models["exact"]})
        (kept,) = (tmp_path / "out" / "finished").iterdir()
        kept.write_bytes(damage)
        fake_predictions.clear()
        run({"A": models["exact"]})
        assert len(fake_predictions) == 5

    def test_volumes_that_are_wanted_now_are_made(self, run, models, fake_predictions, tmp_path):
        run({"A": models["exact"]})
        fake_predictions.clear()
        run({"A": models["exact"]}, save_volumes=True)
        assert len(fake_predictions) == 5
        run({"A": models["exact"]}, save_volumes=True)
        assert len(fake_predictions) == 5


@pytest.mark.usefixtures("cheap")
class TestErrors:
    def check(self, run, words, models, fake_predictions, tmp_path, **options):
        with pytest.raises(EARError) as told:
            run(models, **options)
        for word in words:
            assert word in str(told.value)
        assert not fake_predictions
        assert not (tmp_path / "out").exists()

    def test_a_bad_bundle_is_told_before_the_work(self, run, models, fake_predictions, tmp_path):
        spoilt = tmp_path / "spoilt.safetensors"
        data = bytearray(models["exact"].read_bytes())
        data[-1] ^= 1
        spoilt.write_bytes(data)
        self.check(run, ["spoilt", "checksum"], {"A": models["exact"], "B": spoilt}, fake_predictions, tmp_path)
        missing = {"A": models["exact"], "B": tmp_path / "missing.safetensors"}
        self.check(run, ["missing.safetensors", "no such file"], missing, fake_predictions, tmp_path)

    def test_a_model_for_another_grid_too(self, run, models, fake_predictions, tmp_path, write_model):
        other = write_model(tmp_path / "fine.safetensors", size=64, spacing_mm=1.5).path
        pair = {"A": models["exact"], "B": other}
        self.check(run, ["fine", "64 voxels of 1.5 mm", "32 voxels of 3 mm"], pair, fake_predictions, tmp_path)

    def test_weights_of_another_network_too(self, run, models, fake_predictions, tmp_path, write_model):
        from dataclasses import replace

        from EARReconstructionLib.bundle import save_bundle

        good = load_bundle(models["exact"])
        wider = replace(good.card, arguments={"width": 4})
        wrong = save_bundle(tmp_path / "wrong.safetensors", wider, good.network()).path
        pair = {"A": models["exact"], "B": wrong}
        self.check(run, ["wrong", "do not fit its network"], pair, fake_predictions, tmp_path)

    def test_wrong_options(self, run, models, fake_predictions, tmp_path):
        one = {"A": models["exact"]}
        self.check(run, ["no model has this name", "A"], one, fake_predictions, tmp_path, reference="B")
        self.check(run, ["'tests'", "test"], one, fake_predictions, tmp_path, split="tests")
        self.check(run, ["none to evaluate"], {}, fake_predictions, tmp_path)
        self.check(run, ["no prepared data set"], one, fake_predictions, tmp_path, data=tmp_path)
        alike = {"A B": models["exact"], "A/B": models["larger"]}
        self.check(run, ["told apart"], alike, fake_predictions, tmp_path)

    def test_a_folder_without_an_evaluation(self, tmp_path):
        with pytest.raises(EARError, match="no finished evaluation"):
            read_evaluation(tmp_path)


def test_a_network_that_draws_no_bone_does_not_stop_the_others(run, models, monkeypatch, tmp_path):
    from EARTrainingLib.evaluation.prediction import Prediction, Truth

    fake = module.predictions

    def predictions(bundle, dataset, rows, **options):
        if bundle.card.name == "larger":
            for row in rows:
                truth = Truth.read(dataset, row)
                yield Prediction(truth, np.full_like(truth.volume_hu, -1000), None, 0.0)
        else:
            yield from fake(bundle, dataset, rows, **options)

    monkeypatch.setattr(module, "predictions", predictions)
    rows = run({"empty": models["larger"], "good": models["smaller"]}, reference="good")
    assert rows.query("method == 'empty'")["assd_mm"].isna().all()
    text = (tmp_path / "out" / "table.md").read_text()
    assert "n/a" in text
    assert "empty: ASSD, HD95" in text
