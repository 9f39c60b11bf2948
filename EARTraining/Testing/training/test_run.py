"""A run that is stopped and goes on ends as one that was not, bit for bit; and what it refuses to go on from."""

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.errors import DeviceError, EARError
from EARTrainingLib.claim import Claimed
from EARTrainingLib.datasets.readers.scan import DatasetError
from EARTrainingLib.samples import Samples
from EARTrainingLib.training import history
from EARTrainingLib.training import run as module
from EARTrainingLib.training.errors import CheckpointError, RecipeError
from EARTrainingLib.training.module import Learner
from EARTrainingLib.training.run import train


def stopped_at_every_step(run, recipe, out, **options):
    """The path of the bundle, and how often the run was stopped."""
    stops = 0
    while (path := run(recipe, out, one_step=True, **options)) is None:
        stops += 1
        torch.manual_seed(1234 + stops)  # whatever another process may have drawn
    return path, stops


class TestResume:
    @pytest.mark.parametrize(
        ("architecture", "arguments", "changes", "workers"),
        [
            ("E2E", {"width": 2}, {}, 0),
            ("EAR", {"width": 2}, {"xrays": "live", "epoch_samples": 4}, 1),
            ("Plain", {}, {"batch_size": 1, "accumulate": 2, "ema": None, "optimizer": "adam"}, 0),
        ],
        ids=["disk", "live", "accumulated"],
    )
    def test_bit_for_bit(
        self, run, recipe, checkpoint, assert_same, tmp_path, architecture, arguments, changes, workers
    ):
        """Weights, averages, optimiser, schedule, counters, best epoch, and every logged number."""
        recipe = replace(recipe, architecture=architecture, arguments=arguments, **changes)
        whole = run(recipe, tmp_path / "whole", workers=workers)
        parts, stops = stopped_at_every_step(run, recipe, tmp_path / "parts", workers=workers)
        assert stops == 3  # after steps 1 and 3, and between the epochs
        for name in ("last", "best"):
            assert_same(checkpoint(whole.parent, name), checkpoint(parts.parent, name))
        for name in ("steps.csv", "history.csv"):
            assert (whole.parent / name).read_text() == (parts.parent / name).read_text()
        assert load_bundle(whole).sha256 == load_bundle(parts).sha256

    def test_logs_have_each_step_and_epoch_once(self, run, recipe, rows, tmp_path):
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        path, _ = stopped_at_every_step(run, recipe, tmp_path)
        steps, epochs = (rows(path.parent / name) for name in ("steps.csv", "history.csv"))
        assert [(row["epoch"], row["step"]) for row in steps] == [(1, 1), (1, 2), (2, 3), (2, 4)]
        assert [(row["epoch"], row["step"]) for row in epochs] == [(1, 2), (2, 4)]
        assert epochs[1]["train_loss"] == pytest.approx((steps[2]["loss"] + steps[3]["loss"]) / 2)
        events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        assert [event.step for event in events.Scalars("val_dice")] == [2, 4]

    def test_steps_after_the_last_checkpoint_come_again_once(self, run, recipe, checkpoint, assert_same, tmp_path):
        """A process that is killed between two checkpoints has logged more than it has saved."""
        run(recipe, tmp_path / "whole")
        run(recipe, tmp_path / "killed", one_step=True)
        early = (tmp_path / "killed" / "last.ckpt").read_bytes()
        run(recipe, tmp_path / "killed", one_step=True)
        run(recipe, tmp_path / "killed", one_step=True)
        (tmp_path / "killed" / "last.ckpt").write_bytes(early)
        with (tmp_path / "killed" / "steps.csv").open("a") as stream:
            stream.write("2,4,0.1")  # cut off
        (tmp_path / "killed" / f".{'a' * 32}.ckpt").write_bytes(b"half a checkpoint")
        assert run(recipe, tmp_path / "killed") is not None
        assert not [path.name for path in (tmp_path / "killed").iterdir() if path.name.startswith(".")]
        assert_same(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "killed"))
        for name in ("steps.csv", "history.csv"):
            assert (tmp_path / "whole" / name).read_text() == (tmp_path / "killed" / name).read_text()

    def test_a_finished_run_is_given_back(self, run, recipe, tmp_path):
        path = run(recipe, tmp_path)
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        assert run(recipe, tmp_path) == path
        assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def test_a_lost_bundle_is_written_again_without_training(self, run, recipe, tmp_path):
        path = run(recipe, tmp_path, name="mine")
        assert path.name == "mine.safetensors"
        first = load_bundle(path).sha256
        path.write_bytes(b"broken")
        last = (tmp_path / "last.ckpt").read_bytes()
        assert load_bundle(run(recipe, tmp_path, name="mine")).sha256 == first
        assert (tmp_path / "last.ckpt").read_bytes() == last

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"learning_rate": 2e-3}, ["learning_rate was 0.001, is 0.002"]),
            ({"seed": 1}, ["seed was 0, is 1"]),
            ({"arguments": {"width": 4}}, ["arguments.width was None, is 4"]),
            ({"architecture": "BX2S"}, ["architecture was 'Plain', is 'BX2S'"]),
            ({"epochs": 3, "ema": None}, ["epochs was 2, is 3", "ema was 0.995, is None"]),
        ],
        ids=str,
    )
    def test_another_recipe_is_refused(self, run, recipe, tmp_path, stopped, changes, words):
        shutil.copytree(stopped, tmp_path / "run")
        with pytest.raises(CheckpointError) as caught:
            run(replace(recipe, **changes), tmp_path / "run")
        for word in ["last.ckpt", "another output folder", *words]:
            assert word in str(caught.value)
        assert (tmp_path / "run" / "last.ckpt").read_bytes() == (stopped / "last.ckpt").read_bytes()

    def test_another_data_set_is_refused(self, prepared, recipe, tmp_path, stopped):
        shutil.copytree(stopped, tmp_path / "run")
        shutil.copytree(prepared, tmp_path / "data")
        manifest = tmp_path / "data" / "manifest.csv"
        manifest.write_text(manifest.read_text().replace("train", "test", 1))
        with pytest.raises(CheckpointError, match="data set"):
            train(recipe, tmp_path / "data", tmp_path / "run")

    @pytest.fixture
    def stopped(self, run, recipe, tmp_path):
        """A run after one step."""
        run(recipe, tmp_path / "stopped", one_step=True)
        return tmp_path / "stopped"


class TestStops:
    def test_when_its_time_is_over(self, run, prepared, recipe, checkpoint, tmp_path, monkeypatch):
        """At the first step after it."""
        clock = iter(range(0, 100000, 10))
        monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
        events = []
        assert train(recipe, prepared, tmp_path, max_time_s=60.0, progress=events.append) is None
        late = [event["step"] for event in events if event["event"] == "step" and event["seconds"] >= 60]
        assert len(late) <= 1
        assert checkpoint(tmp_path)["global_step"] == max(event["step"] for event in events) < 4
        assert not list(tmp_path.glob("*.safetensors"))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_at_a_signal_after_the_step(self, run, recipe, checkpoint, assert_same, tmp_path, capfd, number):
        earlier = signal.getsignal(number)

        def press(event):
            if event["step"] == 1:
                os.kill(os.getpid(), number)

        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path / "run", progress=press)
        assert signal.getsignal(number) == earlier
        assert "Stopping after this step" in capfd.readouterr().err
        assert checkpoint(tmp_path / "run")["global_step"] in (1, 2)
        assert run(recipe, tmp_path / "run") is not None
        run(recipe, tmp_path / "whole")
        assert_same(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run"))

    def test_at_once_at_the_second_signal(self, run, recipe, tmp_path):
        def press(_event):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path, progress=press)
        assert not (tmp_path / "last.ckpt").exists()


class TestWhatItWrites:
    def test_files(self, prepared, recipe, tmp_path):
        path = train(recipe, prepared, tmp_path, max_time_s=None)
        assert path == tmp_path / "plain-isolated-32.safetensors"
        assert json.loads((tmp_path / "recipe.json").read_text()) == recipe.to_dict()
        names = {p.name for p in tmp_path.iterdir()}
        assert names == {
            "best.ckpt", "history.csv", "last.ckpt", path.name, "pictures", "recipe.json", "steps.csv", "tensorboard"
        }  # fmt: skip
        assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["epoch-0001.png", "epoch-0002.png"]

    def test_without_tensorboard_there_is_csv(self, run, recipe, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
        run(recipe, tmp_path, one_step=True)
        assert (tmp_path / "steps.csv").exists()
        assert not (tmp_path / "tensorboard").exists()

    def test_progress_tells_every_step_and_epoch(self, run, recipe, rows, tmp_path):
        events = []
        run(recipe, tmp_path, progress=lambda event: events.append(json.loads(json.dumps(event))))
        assert [event["event"] for event in events] == ["step", "step", "epoch"] * 2
        steps = [event for event in events if event["event"] == "step"]
        assert [(e["epoch"], e["step"], e["steps"], e["epochs"]) for e in steps] == [
            (1, 1, 4, 2), (1, 2, 4, 2), (2, 3, 4, 2), (2, 4, 4, 2)
        ]  # fmt: skip
        assert [e["loss"] for e in steps] == [row["loss"] for row in rows(tmp_path / "steps.csv")]
        seconds = [e["seconds"] for e in events]
        assert seconds == sorted(seconds)
        assert [e["eta_s"] > 0 for e in events] == [True] * 4 + [False, False]
        assert events[2]["picture"] == str(tmp_path / "pictures" / "epoch-0001.png")
        told = [e["val_dice"] for e in events if e["event"] == "epoch"]
        assert told == [row["val_dice"] for row in rows(tmp_path / "history.csv")]


class TestTrouble:
    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_broken_file_is_named(self, prepared, recipe, undrawn, tmp_path, workers):
        """Also from a worker, and the run goes on once the file is mended."""
        data = shutil.copytree(prepared, tmp_path / "data")
        (broken,) = data.glob("xrays/*p2-L3.npz")
        sound = broken.read_bytes()
        broken.write_bytes(sound[:500])
        with pytest.raises(DatasetError, match=r"p2-L3\.npz.*damaged"):
            train(recipe, data, tmp_path / "run", workers=workers)
        broken.write_bytes(sound)
        assert train(recipe, data, tmp_path / "run") is not None

    def test_a_killed_worker(self, run, recipe, tmp_path, monkeypatch):
        def killed(_samples, _number):
            os._exit(9)

        monkeypatch.setattr(Samples, "__getitem__", killed)
        with pytest.raises(EARError, match=r"workers: a process that loads samples was killed.*same command"):
            run(recipe, tmp_path, workers=1)

    def test_a_full_disk(self, run, recipe, tmp_path, monkeypatch):
        def full(_path, _row):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(history, "_append", full)
        with pytest.raises(EARError, match=r"No space left.*same command"):
            run(recipe, tmp_path)

    def test_a_device_without_memory(self, run, recipe, tmp_path, monkeypatch):
        def short(*_):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(Learner, "training_step", short)
        with pytest.raises(DeviceError, match=r"memory is too small.*batch size"):
            run(recipe, tmp_path)


class TestRefused:
    def test_while_another_run_is_at_work_in_the_folder(self, run, recipe, tmp_path):
        seen = []

        def second(_event):
            with pytest.raises(Claimed, match="is at work on it"):
                run(recipe, tmp_path)
            seen.append(True)

        run(recipe, tmp_path, one_step=True, progress=second)
        assert seen
        assert run(recipe, tmp_path) is not None

    def test_before_anything_is_written(self, prepared, recipe, tmp_path, small_dataset, monkeypatch):
        alone = small_dataset.write_dataset(tmp_path / "alone", (("p1", "train", "VerSe20", ("L1", "L2")),))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        for options, error, words in (
            ({"data": alone}, DatasetError, "no vertebra in the split 'validation'"),
            ({"data": tmp_path / "none"}, DatasetError, "ear prepare"),
            ({"device": "cuda"}, DeviceError, "CUDA"),
            ({"recipe": replace(recipe, batch_size=6)}, RecipeError, "a step takes 6 samples, and there are 5"),
            ({"devices": 4}, RecipeError, "2 samples do not spread evenly over 4 devices"),
        ):
            with pytest.raises(error, match=words):
                train(**{"recipe": recipe, "data": prepared, "out": tmp_path / "out", **options})
            assert not (tmp_path / "out").exists()

    def test_more_cuda_devices_than_there_are(self, prepared, recipe, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(DeviceError, match="2 devices: this machine has 1"):
            train(recipe, prepared, tmp_path / "out", devices=2)


def test_it_learns(run, normalising, rows, tmp_path):
    """The same few bones again and again."""
    run(replace(normalising, arguments={"width": 4}, epochs=5, learning_rate=1e-2, ema=0.5), tmp_path)
    history = rows(tmp_path / "history.csv")
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert history[0]["val_dice"] < 0.2
    assert history[-1]["val_dice"] > 0.4
