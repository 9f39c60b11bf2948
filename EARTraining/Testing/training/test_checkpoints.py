"""Checkpoints: whole or not there, read without running anything, refused in words when they are damaged."""

import os
import pickle
import time

import pytest
import torch
from EARReconstructionLib import volume_io
from EARReconstructionLib.errors import EARError
from EARTrainingLib.training import checkpoints as module
from EARTrainingLib.training.checkpoints import Checkpoints, WholeFiles, read_checkpoint
from EARTrainingLib.training.errors import CheckpointError


class Trainer:
    """A run of two epochs of three steps, one pass each."""

    accumulate_grad_batches, num_training_batches, max_epochs, current_epoch = 1, 3, 2, 0

    def __init__(self):
        self.saved = []
        self.strategy = type("Strategy", (), {"reduce_boolean_decision": staticmethod(lambda flag, all: flag)})

    def save_checkpoint(self, path, weights_only=None):
        self.saved.append((path.name, weights_only))


class Learner:
    def __init__(self, loss):
        self.validated = {"val_loss": loss}


class TestWhole:
    def test_a_crash_before_the_renaming_leaves_the_older_one(self, run, recipe, tmp_path, monkeypatch):
        run(recipe, tmp_path, one_step=True)
        before = (tmp_path / "last.ckpt").read_bytes()
        sizes = []

        def crash(source, target):
            if str(target).endswith("last.ckpt"):
                sizes.append(os.path.getsize(source))
                raise KeyboardInterrupt
            return replace(source, target)

        replace = os.replace
        monkeypatch.setattr(volume_io.os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path)
        assert sizes[0] > 1000  # all of it was written
        assert (tmp_path / "last.ckpt").read_bytes() == before
        monkeypatch.setattr(volume_io.os, "replace", replace)
        assert run(recipe, tmp_path) is not None
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]

    def test_a_full_disk_is_an_error_and_leaves_the_older_one(self, tmp_path, monkeypatch):
        path = tmp_path / "last.ckpt"
        WholeFiles().save_checkpoint({"a": torch.ones(3)}, path)
        before = path.read_bytes()

        def full(_contents, stream):
            stream.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(EARError, match=r"last\.ckpt.*No space left"):
            WholeFiles().save_checkpoint({"a": torch.zeros(3)}, path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["last.ckpt"]

    def test_it_is_on_the_disk_before_it_has_its_name(self, tmp_path, monkeypatch):
        done = []
        sync, replace = os.fsync, os.replace
        monkeypatch.setattr(module.os, "fsync", lambda number: (done.append("sync"), sync(number)))
        monkeypatch.setattr(volume_io.os, "replace", lambda *names: (done.append("rename"), replace(*names)))
        WholeFiles().save_checkpoint({"a": torch.ones(3)}, tmp_path / "last.ckpt")
        assert done == ["sync", "rename"]


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class TestRead:
    @pytest.fixture
    def last(self, run, recipe, tmp_path):
        run(recipe, tmp_path, one_step=True)
        return tmp_path / "last.ckpt"

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
    def test_truncated(self, run, recipe, last, share):
        contents = last.read_bytes()
        last.write_bytes(contents[: int(share * len(contents))])
        with pytest.raises(CheckpointError, match=r"last\.ckpt: it is damaged.*Delete it"):
            run(recipe, last.parent)
        assert len(last.read_bytes()) == int(share * len(contents))

    def test_of_something_else(self, tmp_path):
        path = tmp_path / "last.ckpt"
        for contents in ({"state_dict": {}}, [1, 2], {"ear_run": {}}):
            torch.save(contents, path)
            with pytest.raises(CheckpointError, match="no checkpoint of a training run"):
                read_checkpoint(path)

    def test_code_in_it_is_not_run(self, run, recipe, last, tmp_path):
        for write in (torch.save, lambda contents, path: path.write_bytes(pickle.dumps(contents))):
            write({"ear_run": {"recipe": Evil(tmp_path / "pwned")}}, last)
            with pytest.raises(CheckpointError):
                run(recipe, last.parent)
            assert not (tmp_path / "pwned").exists()

    def test_code_that_comes_in_later_is_not_run_either(self, run, recipe, last, tmp_path, monkeypatch):
        """The file that Lightning loads may no longer be the one that was looked at."""
        sound = read_checkpoint(last)
        monkeypatch.setattr("EARTrainingLib.training.run.read_checkpoint", lambda _: sound)
        torch.save({"state_dict": Evil(tmp_path / "pwned")}, last)
        with pytest.raises(Exception, match="Weights only"):
            run(recipe, last.parent)
        assert not (tmp_path / "pwned").exists()


class TestWhen:
    def test_within_an_epoch_every_ten_minutes(self, tmp_path, monkeypatch):
        now = [0.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        trainer, checkpoints = Trainer(), Checkpoints(tmp_path, 0.0)
        for number, seconds in enumerate((599, 601, 1100)):
            now[0] = float(seconds)
            checkpoints.on_train_batch_end(trainer, Learner(1.0), None, None, number)
        assert trainer.saved == [("last.ckpt", None)]  # and not after the last step: the end of the epoch follows
        now[0] = 1300.0
        trainer.num_training_batches = 9
        checkpoints.on_train_batch_end(trainer, Learner(1.0), None, None, 3)
        assert len(trainer.saved) == 2

    def test_not_while_gradients_accumulate(self, tmp_path, monkeypatch):
        trainer, checkpoints = Trainer(), Checkpoints(tmp_path, time.monotonic(), max_time_s=0)
        trainer.accumulate_grad_batches, trainer.num_training_batches = 2, 6
        checkpoints.on_train_batch_end(trainer, Learner(1.0), None, None, 0)
        assert not trainer.saved
        with pytest.raises(module.Stopped):
            checkpoints.on_train_batch_end(trainer, Learner(1.0), None, None, 1)
        assert trainer.saved == [("last.ckpt", None)]

    def test_the_best_by_validation_loss(self, tmp_path):
        trainer, checkpoints = Trainer(), Checkpoints(tmp_path, time.monotonic())
        best = []
        for loss in (3.0, 2.0, 2.5, 1.9):
            trainer.saved = []
            checkpoints.on_train_epoch_end(trainer, Learner(loss))
            best.append([name for name, _ in trainer.saved])
        assert best == [
            ["best.ckpt", "last.ckpt"],
            ["best.ckpt", "last.ckpt"],
            ["last.ckpt"],
            ["best.ckpt", "last.ckpt"],
        ]
        resumed = Checkpoints(tmp_path, time.monotonic())
        resumed.load_state_dict(checkpoints.state_dict())
        trainer.saved = []
        resumed.on_train_epoch_end(trainer, Learner(1.95))
        assert trainer.saved == [("last.ckpt", None)]

    def test_after_the_last_epoch_there_is_nothing_to_stop(self, tmp_path):
        trainer = Trainer()
        trainer.current_epoch = 1
        Checkpoints(tmp_path, time.monotonic(), max_time_s=0).on_train_epoch_end(trainer, Learner(1.0))
        assert len(trainer.saved) == 2
