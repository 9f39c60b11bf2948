"""A sound case with its bundle and results, and the command run on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import save_bundle
from EARReconstructionLib.case import read_case
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARReconstructionLib.reconstruction import reconstruct
from EARReconstructionLib.report import surfaces
from EARReconstructionLib.surface import mask_surface, write_surface
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, write_labels, write_volume
from EARTrainingLib.cli import app
from EARTrainingLib.datasets.cases import case_of, geometry_around
from typer.testing import CliRunner

LEVELS = ("L1", "L2")
AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])
AFFINE[:3, 3] = (-30.0, -20.0, 40.0)


def run_ear(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


def run_python(code, *arguments):
    """Run a program of one line in a process of its own."""
    root = Path(__file__).resolve().parents[3]
    folders = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def column():
    """(k, j, i) labels of two ellipsoids, L1 above L2, with a process to the left each."""
    k, j, i = np.indices((70, 34, 40))
    labels = np.zeros(k.shape, np.uint8)
    for level, middle in (("L1", 50), ("L2", 20)):
        body = ((i - 19) / 13) ** 2 + ((j - 17) / 11) ** 2 + ((k - middle) / 9) ** 2 < 1
        process = (np.abs(j - 15) < 3) & (np.abs(k - middle) < 3) & (i > 2) & (i < 19)
        labels[body | process] = VERSE_LABEL[level]
    return labels


def card(threshold_hu):
    return ModelCard(
        name="tiny",
        architecture="E2E",
        arguments={"width": 2},
        size=16,  # what E2E can take at least: a coarse surface is measured and drawn in no time
        spacing_mm=5.0,
        lift="backproject",
        hu_mean=-700.0,
        hu_sd=400.0,
        threshold_hu=threshold_hu,
        angle_range_deg=(80.0, 100.0),
        sod_range_mm=(500.0, 1600.0),
        protocol="column",
        levels=LEVELS,
        data_licence="Apache-2.0",
    )


def write_bundle(folder):
    """A network without training, and the threshold above which two fifths of what it draws lie."""
    torch.manual_seed(0)
    bundle = save_bundle(folder / "tiny.safetensors", card(-600.0), build("E2E", width=2))
    case = read_case(folder / "case")
    drawn = reconstruct(case.radiographs, case.geometry, case.rois, bundle, device="cpu")
    threshold = float(np.percentile([one.volume_hu for one in drawn], 60))
    save_bundle(folder / "tiny.safetensors", card(threshold), bundle.network())


@pytest.fixture(scope="session", autouse=True)
def _small_pictures():
    """What a report shows is tested where it is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surfaces, "LONGEST", 120)
        yield


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """A folder with a sound case, bundle, reference mesh and CT, and results made of them. Read only."""
    folder = tmp_path_factory.mktemp("sound")
    labels = column()
    hu = np.where(labels > 0, 500.0, -1000.0).astype(np.float32)
    volume = Volume(labels, AFFINE)
    case_of("two vertebrae", hu, volume, LEVELS, folder / "case", geometry=geometry_around(volume, iso_pixel_mm=1.5))
    write_surface(folder / "L1.ply", mask_surface(labels == VERSE_LABEL["L1"], AFFINE))
    write_volume(folder / "ct.nrrd", hu, AFFINE)
    write_labels(folder / "labels.seg.nrrd", labels, AFFINE, {VERSE_LABEL[n]: n for n in LEVELS})
    write_bundle(folder)
    run = run_ear("reconstruct", folder / "case", "-o", folder / "results", "-m", folder / "tiny.safetensors", "--json")
    assert run.exit_code == 0, run.output + run.stderr
    (folder / "said.json").write_text(run.stdout)
    return folder


@pytest.fixture
def place(sound, tmp_path):
    """A copy of the sound folder to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "place"))


@pytest.fixture
def ear():
    """The command: arguments -> its result."""
    return run_ear


@pytest.fixture
def python():
    """A program of one line: code, arguments -> its finished process."""
    return run_python


def contents(folder):
    """Every file of a folder with its bytes, and every folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture
def refuses(tmp_path):
    """(arguments, words): the command answers one sentence with these words and exit code 2, and writes nothing."""

    def check(arguments, words):
        before = contents(tmp_path)
        result = run_ear(*arguments)
        assert result.exit_code == 2, result.output + result.stderr + repr(result.exception)
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        said = result.stderr.strip()
        assert said.startswith("Error: ")
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1, said
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"
        _, _, advice = said.rstrip(".").rpartition(". ")  # the next step is its last sentence
        assert len(advice.split()) >= 2, said
        assert contents(tmp_path) == before

    return check


@pytest.fixture
def refuses_in_json():
    """(arguments, words): with --json the sentence comes in its three parts on stdout."""

    def check(arguments, words):
        result = run_ear(*arguments, "--json")
        assert result.exit_code == 2
        fields = json.loads(result.stdout)["error"]
        assert set(fields) == {"subject", "cause", "advice"}
        assert all(fields.values())
        for word in words:
            assert word in " ".join(fields.values())
        assert "Traceback" not in result.stderr

    return check
