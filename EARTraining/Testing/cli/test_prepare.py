"""`ear prepare`: from a folder as downloaded to a data set, and what it says on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets import preparation
from EARTrainingLib.datasets.prepared import PreparedDataset

SMALL = ("--size", 24, "--spacing", 3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, trees):
    """VerSe20 with three scans, one of them with a mask alone. Read only."""
    folder = trees.verse(tmp_path_factory.mktemp("verse"), ("sub-verse500", "sub-verse501", "sub-verse502"))
    next(folder.rglob("sub-verse502_ct.nii.gz")).unlink()
    return folder


def test_it_tells_what_there_is_and_where(ear, tree, tmp_path):
    run = ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--protocol", "column")
    assert run.exit_code == 0, run.output
    data = PreparedDataset.open(tmp_path / "out")
    assert len(data.rows) == 6
    assert data.settings["protocol"] == "column"
    for word in ("VerSe20", "thoracic", "lumbar", "Left out", "manifest.csv", "split.csv", str(tmp_path / "out")):
        assert word in run.stdout.replace("\n", "")
    line = next(line for line in run.stdout.splitlines() if "VerSe20" in line)
    assert [int(n) for n in line.replace("│", " ").split()[1:7]] == [2, 0, 2, 4, 6, 6]  # scans, C, T, L, all, train


def test_json(ear, tree, tmp_path):
    run = ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--json", "--no-scenes", "--field", "paper")
    told = json.loads(run.stdout)
    assert told["vertebrae"] == 6
    assert told["by_source"] == {"VerSe20": {"thoracic": 2, "lumbar": 4}}
    assert (told["scans"], told["failed"]) == (2, 0)
    assert sum(told["excluded"].values()) == 1
    assert told["output"] == str(tmp_path / "out")
    assert not (tmp_path / "out" / "scenes").exists()


def test_a_dry_run_does_nothing(ear, tree, tmp_path):
    run = ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--dry-run")
    assert run.exit_code == 0
    assert "VerSe20: 2 scans to prepare" in run.stdout
    assert "0 scans are done already" in run.stdout
    assert "left out: 1 x" in run.stdout
    assert not (tmp_path / "out").exists()
    told = json.loads(ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--dry-run", "--json").stdout)
    assert (told["to_do"], told["done"], sum(told["excluded"].values())) == ({"VerSe20": 2}, 0, 1)


def test_failed_scans_are_told(ear, trees, tmp_path):
    folder = trees.verse(tmp_path / "verse", ("sub-verse500", "sub-verse501"))
    next(folder.rglob("sub-verse500_ct.nii.gz")).write_bytes(b"damaged")
    run = ear("prepare", folder, "-o", tmp_path / "out", *SMALL)
    assert run.exit_code == 0
    assert "1 scans failed" in run.stdout
    assert "failed" in run.stdout


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--field", "sphere"), "cube, paper"),
        (("--protocol", "real"), "isolated, column, in-situ"),
        (("--acquisition", "theirs"), "nominal, paper, ours"),
        (("--engine", "drr"), "torch, deepdrr"),
        (("--size", 2), "8 voxels or more"),
    ],
)
def test_a_wrong_choice_is_answered_with_the_right_ones(ear, tree, tmp_path, wrong, told):
    run = ear("prepare", tree, "-o", tmp_path / "out", *wrong)
    assert run.exit_code == 2
    assert told in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_none(ear, tmp_path):
    run = ear("prepare", tmp_path / "nowhere", "-o", tmp_path / "out", "--json")
    assert run.exit_code == 2
    assert "nowhere" in json.loads(run.stdout)["error"]["subject"]


def test_other_settings(ear, tree, tmp_path):
    ear("prepare", tree, "-o", tmp_path / "out", *SMALL)
    run = ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--seed", 3)
    assert run.exit_code == 2
    assert "seed: 0 earlier, 3 now" in run.stderr


def test_errors_of_the_work_are_sentences(ear, tree, tmp_path, monkeypatch):
    def lost(*_, **__):
        raise EARError("worker process", "it died", "Run again")

    monkeypatch.setattr(preparation, "each", lost)
    run = ear("prepare", tree, "-o", tmp_path / "out", *SMALL)
    assert (run.exit_code, run.stderr.strip()) == (2, "Error: worker process: it died. Run again.")


def heeds_ctrl_c():
    """In a child: what a script starts in the background ignores Ctrl-C, and so do the tests then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(ear, tree, trees, tmp_path):
    folder = trees.verse(tmp_path / "verse", [f"sub-verse{n}" for n in range(500, 520)])
    root = Path(__file__).resolve().parents[3]
    folders = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    code = "from EARTrainingLib.cli import main; main()"
    out = tmp_path / "out"
    run = subprocess.Popen(
        [sys.executable, "-c", code, "prepare", folder, "-o", out, *map(str, SMALL), "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heeds_ctrl_c,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("scans/*.json")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "run the same command again, and it goes on from there" in said
    assert "Traceback" not in said
    assert 1 <= len(list(out.glob("scans/*.json"))) < 20
    again = ear("prepare", folder, "-o", out, *SMALL)
    assert again.exit_code == 0
    assert len(PreparedDataset.open(out).rows) == 60
