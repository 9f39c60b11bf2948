"""`ear train`: what its options become, what it says, how it stops and goes on."""

import json
import os
import signal

import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARTrainingLib.training import history
from EARTrainingLib.training.recipe import PRESETS

SMALL = ["--network", "E2E", "--set", "arguments.width=2", "--xrays", "disk", "--workers", "0", "--threads", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, small_dataset):
    """Two training vertebrae and one to validate."""
    people = (("p1", "train", "VerSe20", ("L1", "L2")), ("p2", "validation", "VerSe20", ("L1",)))
    return small_dataset.write_dataset(tmp_path_factory.mktemp("data"), people)


@pytest.fixture(autouse=True)
def same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def recipe_of(out):
    return json.loads((out / "recipe.json").read_text())


class TestTrain:
    def test_to_the_end(self, ear, data, tmp_path):
        out = tmp_path / "run"
        result = ear("train", data, "-o", out, *SMALL, "--epochs", 1, "--name", "mine")
        assert result.exit_code == 0, result.output + result.stderr
        bundle = load_bundle(out / "mine.safetensors")
        assert (
            f"{out / 'mine.safetensors'}: Dice {bundle.card.provenance['validation']['val_dice']:.3f}" in result.stdout
        )
        assert f"above {bundle.card.threshold_hu:.0f} HU" in result.stdout
        assert len(result.stdout.splitlines()) == 1
        assert (out / "pictures" / "epoch-0001.png").exists()

    def test_as_one_json_object(self, ear, data, tmp_path):
        result = ear("train", data, "-o", tmp_path, *SMALL, "--epochs", 1, "--json")
        said = json.loads(result.stdout)
        assert said["finished"]
        assert said["threshold_hu"] == load_bundle(said["bundle"]).card.threshold_hu

    def test_as_lines_for_a_program(self, ear, data, tmp_path):
        result = ear("train", data, "-o", tmp_path, *SMALL, "--epochs", 2, "--progress-json")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["event"] for line in lines] == ["step", "epoch", "step", "epoch", "end"]
        assert {"epoch", "step", "steps", "loss", "seconds", "eta_s"} <= lines[0].keys()
        assert lines[-1]["finished"]

    def test_options_and_settings_change_the_preset(self, ear, data, tmp_path):
        options = [
            "--preset", "paper", "--network", "E2E", "--set", "arguments.width=2", "--set", "losses.edge=0",
            "--epochs", 3, "--batch-size", 1, "--accumulate", 2, "--xrays", "live", "--protocol", "column",
            "--ema", 0.9, "--no-channels-last", "--no-compile", "--precision", 32, "--workers", 0,
        ]  # fmt: skip
        result = ear("train", data, "-o", tmp_path, *options, "--max-time", "00:00:00")
        assert result.exit_code == 0, result.output + result.stderr
        changed = PRESETS["paper"].differences(recipe_of(tmp_path))
        assert {name: there for name, (_, there) in changed.items()} == {
            "architecture": "E2E",
            "arguments.width": 2,
            "losses.edge": 0.0,
            "epochs": 3,
            "batch_size": 1,
            "accumulate": 2,
            "xrays": "live",
            "ema": 0.9,
            "channels_last": False,
        }

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ([], "isolated"),
            (["--protocol", "in-situ"], "in-situ"),
            (["--set", "simulation.protocol=column"], "column"),
        ],
    )
    def test_live_x_rays_show_what_those_of_the_data_show(self, ear, data, tmp_path, asked, shown):
        ear("train", data, "-o", tmp_path, *SMALL, "--xrays", "live", *asked, "--max-time", "00:00:00")
        assert recipe_of(tmp_path)["simulation"]["protocol"] == shown

    def test_no_average(self, ear, data, tmp_path):
        ear("train", data, "-o", tmp_path, *SMALL, "--ema", 0, "--max-time", "00:00:00")
        assert recipe_of(tmp_path)["ema"] is None


class TestStops:
    def test_in_time_and_goes_on(self, ear, data, tmp_path):
        command = ["train", data, "-o", tmp_path, *SMALL, "--epochs", 2]
        stopped = ear(*command, "--max-time", "00:00:00")
        assert stopped.exit_code == 0
        assert "Stopped after 00:00:00" in stopped.stdout
        assert "same command again" in stopped.stdout
        said = json.loads(ear(*command, "--max-time", "00:00:00", "--json").stdout)
        assert said["finished"]  # the second of two steps was the last

    def test_at_ctrl_c_with_a_checkpoint(self, ear, data, tmp_path, monkeypatch):
        noted = history.History.on_train_batch_end

        def press(self, *arguments):
            noted(self, *arguments)
            os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(history.History, "on_train_batch_end", press)
        result = ear("train", data, "-o", tmp_path, *SMALL, "--epochs", 2)
        assert result.exit_code == 130
        assert "Run the same command again" in result.stderr
        assert "Traceback" not in result.stderr
        assert (tmp_path / "last.ckpt").exists()


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--preset", "best"], ["--preset", "'best'", "paper, ours"]),
            (["--set", "losses.edges=0"], ["losses.edges", "losses.edge"]),
            (["--set", "losses.edge"], ["losses.edge", "NAME=VALUE"]),
            (["--epochs", "0"], ["epochs", "above 0"]),
            (["--network", "ViT"], ["ViT", "EAR"]),
            (["--network", "E2E", "--set", "arguments.depth=9"], ["depth", "E2E"]),
            (["--ema", "2"], ["ema", "between 0 and 1"]),
            (["--precision", "16"], ["precision", "bf16"]),
            (["--max-time", "2h"], ["--max-time", "'2h'", "HH:MM:SS"]),
            (["--xrays", "disk", "--protocol", "column"], ["--protocol column", "'isolated'", "live"]),
            (["--protocol", "prone"], ["prone", "isolated"]),
            (["--batch-size", "8"], ["batch_size", "8"]),
            (["--device", "tpu"], ["tpu"]),
            (["--devices", "3"], ["batch_size", "3 devices"]),
        ],
    )
    def test_a_sentence_and_nothing_written(self, refuses, data, tmp_path, options, words):
        refuses(["train", data, "-o", tmp_path / "run", *options], words)

    def test_output_is_a_file(self, refuses, data, tmp_path):
        (tmp_path / "file").write_text("a file")
        refuses(["train", data, "-o", tmp_path / "file", *SMALL], ["file"])

    def test_no_data(self, refuses, refuses_in_json, tmp_path):
        (tmp_path / "bare").mkdir()
        for folder in ("none", "bare"):
            refuses(["train", tmp_path / folder, "-o", tmp_path / "run"], [folder, "ear prepare"])
        refuses_in_json(["train", tmp_path / "none", "-o", tmp_path / "run"], ["none", "ear prepare"])

    def test_another_recipe_in_the_same_folder(self, ear, refuses, data, tmp_path):
        command = ["train", data, "-o", tmp_path / "run", *SMALL]
        assert ear(*command, "--max-time", "00:00:00").exit_code == 0
        refuses([*command, "--epochs", 7], ["last.ckpt", "epochs was 100, is 7", "another output folder"])
