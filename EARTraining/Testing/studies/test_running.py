"""The order of work in a study: what is trained, what is not trained again, and what stops whom."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from EARReconstructionLib.errors import EARError
from EARTrainingLib.claim import Claimed
from EARTrainingLib.studies import angles, losses, running
from EARTrainingLib.studies.running import Order, run_study
from EARTrainingLib.studies.scales import StudyError
from EARTrainingLib.studies.study import ELSEWHERE, FAILED, FINISHED, WAITING
from EARTrainingLib.training.data import Data
from EARTrainingLib.training.errors import NotFiniteError
from EARTrainingLib.training.export import export
from EARTrainingLib.training.module import Statistics, new_network

RUNS = ["recon", "+edge", "+freq", "+proj"]
FOLDERS = ["recon", "edge", "freq", "proj"]


class Trainer:
    """In place of ``train``: writes bundles of untrained networks, and fails or stops where it is told to."""

    made: ClassVar[dict[str, bytes]] = {}

    def __init__(self, data):
        self.data, self.calls, self.seconds = data, [], []
        self.errors: dict[str, BaseException] = {}
        self.stopped: set[str] = set()

    def __call__(self, recipe, data, out, *, name, max_time_s=None, progress=None, **_):
        self.calls.append(name)
        self.seconds.append(max_time_s)
        if name in self.errors:
            raise self.errors[name]
        if name in self.stopped:
            return None
        path, key = out / f"{name}.safetensors", json.dumps([name, recipe.to_dict()])
        if key in self.made:
            out.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.made[key])
            return path
        statistics = Statistics(*self.data.hu_statistics, None)
        validation = Data(self.data, recipe).validation
        export(path, new_network(recipe), recipe, self.data, validation, statistics, {}, torch.device("cpu"))
        self.made[key] = path.read_bytes()
        return path


@pytest.fixture
def trainer(data, monkeypatch):
    trainer = Trainer(data)
    monkeypatch.setattr(running, "train", trainer)
    return trainer


@pytest.fixture
def reported():
    """Finished studies that came to a report."""
    return []


@pytest.fixture
def study(reported):
    """The study of losses, without its tables."""

    def report(finished, device, jobs, progress):
        reported.append(finished)
        (finished.out / "table.md").write_text("numbers")
        return [finished.out / "table.md"]

    return replace(losses.STUDY, report=report)


@pytest.fixture
def order(data, tmp_path):
    return Order(tmp_path / "study", data.folder, "tiny", device="cpu")


class TestOnce:
    def test_every_run_is_trained_once_in_the_order_of_the_study(self, study, order, trainer, reported):
        outcome = run_study(study, order)
        assert trainer.calls == FOLDERS
        assert outcome.states == dict.fromkeys(RUNS, FINISHED)
        assert outcome.written == (order.out / "table.md",)
        assert list(reported[0].bundles) == RUNS
        assert all(path.is_file() for path in reported[0].bundles.values())
        assert not any((order.out / "claims").iterdir())

    def test_a_second_call_trains_nothing(self, study, order, trainer, reported):
        run_study(study, order)
        outcome = run_study(study, order)
        assert trainer.calls == FOLDERS
        assert outcome.written == (order.out / "table.md",)
        assert len(reported) == 1

    def test_a_table_that_was_lost_is_written_again(self, study, order, trainer, reported):
        run_study(study, order)
        (order.out / "table.md").unlink()
        assert run_study(study, order).written == (order.out / "table.md",)
        assert len(reported) == 2

    def test_a_bundle_of_another_recipe_does_not_count(self, study, order, trainer):
        run_study(study, order)
        runs = order.out / "runs"
        shutil.copy(runs / "recon/recon.safetensors", runs / "edge/edge.safetensors")
        run_study(study, order)
        assert trainer.calls == [*FOLDERS, "edge"]

    def test_what_is_told(self, study, order, trainer):
        said = []
        run_study(study, order, say=said.append)
        assert said[0] == "run 1 of 4, recon: begins."
        assert said[1].startswith("run 1 of 4, recon: finished after ")
        assert len(said) == 8


class TestStops:
    def test_a_kill_between_runs_costs_nothing(self, study, order, trainer, reported):
        trainer.errors["freq"] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            run_study(study, order)
        assert not any((order.out / "claims").iterdir())
        trainer.errors.clear()
        outcome = run_study(study, order)
        assert trainer.calls == ["recon", "edge", "freq", "freq", "proj"]
        assert outcome.settled
        assert len(reported) == 1

    def test_a_run_that_ran_out_of_time_waits(self, study, order, trainer, reported):
        trainer.stopped = {"edge"}
        outcome = run_study(study, order)
        assert outcome.states == {"recon": FINISHED, "+edge": WAITING, "+freq": FINISHED, "+proj": FINISHED}
        assert outcome.written == ()
        assert reported == []

    def test_time_is_shared_out_and_ends_between_runs(self, study, order, trainer, reported, monkeypatch):
        clock = iter([0.0, 1.0, 1.0, 40.0, 70.0, 101.0, 101.0])
        monkeypatch.setattr(running.time, "monotonic", lambda: next(clock, 101.0))
        outcome = run_study(study, replace(order, max_time_s=100.0))
        assert trainer.calls == ["recon", "edge"]
        assert trainer.seconds[0] == 99.0
        assert trainer.seconds[1] < 99.0
        assert outcome.states["+freq"] == WAITING
        assert reported == []

    def test_without_time_nothing_is_trained(self, study, order, trainer):
        outcome = run_study(study, replace(order, max_time_s=0.0))
        assert trainer.calls == []
        assert outcome.states == dict.fromkeys(RUNS, WAITING)


class TestSpread:
    def test_only_what_is_named(self, study, order, trainer, reported):
        outcome = run_study(study, replace(order, only=("+freq", "recon")))
        assert trainer.calls == ["recon", "freq"]
        assert outcome.states == {"recon": FINISHED, "+edge": WAITING, "+freq": FINISHED, "+proj": WAITING}
        assert outcome.written == ()
        assert run_study(study, replace(order, only=("edge", "proj"))).settled
        assert trainer.calls == ["recon", "freq", "edge", "proj"]
        assert len(reported) == 1

    def test_an_unknown_run_is_refused_before_anything_is_written(self, study, order, trainer):
        with pytest.raises(StudyError, match=r"--only EAR: .* Use one of recon, \+edge, \+freq, \+proj"):
            run_study(study, replace(order, only=("EAR",)))
        assert not order.out.exists()

    def test_two_never_train_one_run(self, study, order, trainer):
        claim = order.out / "claims" / "edge"
        run_study(study, replace(order, only=("recon",)))
        claim.parent.mkdir(exist_ok=True)
        claim.write_text(json.dumps({"host": "node7", "process": 1, "started": 0}))
        outcome = run_study(study, order)
        assert trainer.calls == ["recon", "freq", "proj"]
        assert outcome.states["+edge"] == ELSEWHERE
        assert "node7" in outcome.reasons["+edge"]
        assert not outcome.settled
        os.utime(claim, (0, 0))  # left behind long ago
        assert run_study(study, order).settled

    def test_a_run_that_is_trained_outside_of_the_study_has_not_failed(self, study, order, trainer):
        trainer.errors["edge"] = Claimed("edge", "process 7 on node7 is at work on it", "Wait")
        outcome = run_study(study, order)
        assert outcome.states["+edge"] == ELSEWHERE
        assert outcome.reasons["+edge"] == "process 7 on node7 is at work on it"
        trainer.errors.clear()
        assert run_study(study, order).settled


class TestFailures:
    def test_the_others_go_on(self, study, order, trainer, reported):
        trainer.errors["edge"] = NotFiniteError("epoch 1, step 3", "the loss of A is no number", "Look at the batch")
        trainer.errors["freq"] = RuntimeError("CUDA error:\n out of luck")
        outcome = run_study(study, order)
        assert trainer.calls == FOLDERS
        assert outcome.states == {"recon": FINISHED, "+edge": FAILED, "+freq": FAILED, "+proj": FINISHED}
        assert "the loss of A is no number" in reported[0].failures["+edge"]
        assert reported[0].failures["+freq"] == "CUDA error: out of luck"
        assert list(reported[0].bundles) == ["recon", "+proj"]

    def test_a_failure_is_tried_again_when_it_is_named(self, study, order, trainer, reported):
        trainer.errors["edge"] = RuntimeError("out of luck")
        run_study(study, order)
        run_study(study, order)
        assert trainer.calls == FOLDERS
        trainer.errors.clear()
        outcome = run_study(study, replace(order, only=("+edge",)))
        assert trainer.calls == [*FOLDERS, "edge"]
        assert outcome.states == dict.fromkeys(RUNS, FINISHED)
        assert reported[-1].failures == {}

    def test_nothing_to_report_when_all_fail(self, study, order, trainer, reported):
        trainer.errors = {name: RuntimeError("out of luck") for name in FOLDERS}
        with pytest.raises(StudyError, match="all runs failed, recon because out of luck"):
            run_study(study, order)
        assert reported == []

    def test_a_mistake_of_the_program_is_no_failed_run(self, study, order, trainer):
        trainer.errors["recon"] = AttributeError("no such thing")
        with pytest.raises(AttributeError):
            run_study(study, order)
        assert not (order.out / "runs/recon/failed.json").exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"settings": ("epochs=5",)}, "runs \\+edge epochs: 10 earlier, 5 now"),
            ({"settings": ("losses.edge=0.2",)}, "losses edge: 0.1 earlier, 0.2 now"),
            ({"preset": "ours"}, "preset: 'paper' earlier, 'ours' now"),
            ({"scale": "small"}, "scale: 'tiny' earlier, 'small' now"),
        ],
    )
    def test_a_study_that_was_begun_otherwise(self, study, order, trainer, changed, words):
        run_study(study, replace(order, only=("recon",)))
        before = {path: path.read_bytes() for path in order.out.rglob("*") if path.is_file()}
        with pytest.raises(StudyError, match=words):
            run_study(study, replace(order, **changed))
        assert before == {path: path.read_bytes() for path in order.out.rglob("*") if path.is_file()}
        assert trainer.calls == ["recon"]

    def test_another_study_in_the_folder(self, study, order, trainer):
        run_study(study, replace(order, only=("recon",)))
        with pytest.raises(StudyError, match="study: 'losses' earlier, 'angles' now"):
            run_study(angles.STUDY, order)

    def test_other_data(self, study, order, trainer, data, tmp_path):
        run_study(study, replace(order, only=("recon",)))
        other = shutil.copytree(data.folder, tmp_path / "other")
        assert run_study(study, replace(order, data=other, only=("recon",))).states["recon"] == FINISHED
        manifest = (other / "manifest.csv").read_text()
        (other / "manifest.csv").write_text(manifest.replace("p0", "pX"))
        with pytest.raises(StudyError, match=r"data: '.*' earlier, '.*' now"):
            run_study(study, replace(order, data=other))

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"scale": "huge"}, "scale 'huge': .* tiny, small, paper"),
            ({"preset": "theirs"}, "preset 'theirs': .* paper, ours"),
            ({"scale": "paper", "data": None}, "scale 'paper': it makes no data for itself. Give a folder"),
            ({"device": "tpu"}, "device 'tpu'"),
            ({"settings": ("batch_size=100",)}, "a step takes 100 samples"),
            ({"settings": ("arguments.depth=3",)}, "EAR has no argument depth"),
        ],
    )
    def test_before_the_work(self, study, order, trainer, changed, words):
        with pytest.raises(EARError, match=words):
            run_study(study, replace(order, **changed))
        assert trainer.calls == []
        assert not order.out.exists()

    @pytest.mark.parametrize("split", ["test", "validation"])
    def test_data_without_a_split(self, study, order, trainer, data, tmp_path, split):
        bare = shutil.copytree(data.folder, tmp_path / "bare")
        manifest = (bare / "manifest.csv").read_text()
        (bare / "manifest.csv").write_text(manifest.replace(f",{split},", ",train,"))
        with pytest.raises(EARError, match=f"no vertebra in the split '{split}'"):
            run_study(study, replace(order, data=bare))
        assert not order.out.exists()

    def test_angles_need_scenes(self, order, trainer, data, tmp_path):
        bare = shutil.copytree(data.folder, tmp_path / "bare")
        shutil.rmtree(bare / "scenes")
        with pytest.raises(EARError, match="prepared without scenes"):
            run_study(angles.STUDY, replace(order, data=bare))
        assert not order.out.exists()
