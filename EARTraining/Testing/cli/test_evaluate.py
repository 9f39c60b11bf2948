"""`ear evaluate`: names, options and what it prints; the work itself is tested in ``evaluation/``."""

import json

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import save_bundle
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARTrainingLib.evaluation import evaluate as module
from EARTrainingLib.evaluation.measurement import IDENTIFIERS
from EARTrainingLib.metrics import METRICS


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Two models without training for the small data set, and one for another grid."""
    folder = tmp_path_factory.mktemp("bundles")

    def write(name, size=32):
        torch.manual_seed(len(name))
        card = ModelCard(
            name, "E2E", {"width": 2}, size, 3.0, "backproject", -900.0, 300.0, -850.0, (80.0, 100.0),
            (900.0, 1100.0), "isolated", ("L1", "L2"), "CC0",
        )  # fmt: skip
        return save_bundle(folder / f"{name}.safetensors", card, build("E2E", width=2)).path

    return {"one": write("one"), "other": write("other"), "large": write("large", 64)}


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """Numbers that cost nothing; the second model's are better."""

    def measure(prediction, _statistics):
        row = prediction.truth.row
        better = 0.1 if np.median(prediction.volume_hu) > -900 else 0.0
        numbers = {name: 0.5 + better for name in METRICS if name != "fd_minmax"}
        return {**{name: getattr(row, name, "lumbar") for name in IDENTIFIERS}, **numbers, "fd": float(len(row.id))}

    monkeypatch.setattr(module, "measure", measure)


def test_a_table_and_files(ear, prepared_folder, bundles, tmp_path):
    out = tmp_path / "out"
    run = ear("evaluate", bundles["one"], bundles["other"], "--data", prepared_folder, "-o", out, "--no-figures")
    assert run.exit_code == 0, run.output
    for words in ("Volumes", "Surfaces", "one", "other", "2 vertebrae of 1 patient", "no interval", str(out.resolve())):
        assert words in " ".join(run.stdout.split())
    assert "table.tex" in run.stdout
    for heading in ("ASSD [mm]", "HD95 [mm]", "Dice ↑"):  # rich must not take a unit for its markup
        assert heading.split()[-1] in run.stdout
    assert "figures " not in run.stdout  # none was drawn
    assert (out / "rows.csv").read_text().count("\n") == 5


def test_json_is_one_object_without_nan(ear, prepared_folder, bundles, tmp_path):
    run = ear(
        "evaluate", "--name", f"EAR={bundles['one']}", "--name", f"Mine=x={bundles['other']}", "--data",
        prepared_folder, "-o", tmp_path / "out", "--no-figures", "--json",
    )  # fmt: skip
    assert run.exit_code == 2  # "Mine=x=..." names a file that is not there
    assert "x=" in json.loads(run.stdout)["error"]["subject"]
    arguments = ["--name", f"EAR={bundles['one']}", bundles["other"], "--reference", "other", "--split", "all"]
    run = ear("evaluate", *arguments, "--data", prepared_folder, "-o", tmp_path / "out", "--no-figures", "--json")
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout, parse_constant=lambda text: pytest.fail(text))
    assert {line["method"] for line in told["table"]} == {"EAR", "other"}
    assert {line["reference"] for line in told["differences"]} == {"other"}
    assert told["notes"]
    assert told["output"] == str((tmp_path / "out").resolve())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{large}"], ["large", "ear prepare", "--size 64"]),
        (["{one}", "{one}"], ["two models are called one", "--name"]),
        (["--name", "EAR"], ["METHOD=BUNDLE"]),
        (["--name", "=x"], ["METHOD=BUNDLE"]),
        (["no-such-model"], ["no-such-model", "no such model"]),
        ([], ["none to evaluate"]),
        (["{one}", "--reference", "EAR"], ["no model has this name", "one"]),
        (["{one}", "--split", "tests"], ["'tests'"]),
    ],
)
def test_what_cannot_be_done_is_one_sentence(ear, prepared_folder, bundles, tmp_path, arguments, words):
    given = [text.format(**bundles) for text in arguments]
    run = ear("evaluate", *given, "--data", prepared_folder, "-o", tmp_path / "out")
    assert run.exit_code == 2
    for word in words:
        assert word in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_the_papers_numbers_only_if_wanted(ear, prepared_folder, bundles, tmp_path):
    arguments = ["evaluate", bundles["one"], "--data", prepared_folder, "-o", tmp_path / "out", "--no-figures"]
    assert ear(*arguments).exit_code == 0
    assert "paper" not in (tmp_path / "out" / "table.md").read_text()
    assert ear(*arguments, "--paper").exit_code == 0
    assert "BX2S (paper, other data)" in (tmp_path / "out" / "table.md").read_text()


def test_ctrl_c_keeps_finished_models(ear, prepared_folder, bundles, tmp_path, monkeypatch):
    real = module.predictions

    def predictions(bundle, *rest, **options):
        if bundle.card.name == "other":
            raise KeyboardInterrupt
        return real(bundle, *rest, **options)

    monkeypatch.setattr(module, "predictions", predictions)
    run = ear("evaluate", bundles["one"], bundles["other"], "--data", prepared_folder, "-o", tmp_path, "--no-figures")
    assert run.exit_code == 130
    assert "run the same command again" in run.stderr
    assert len(list((tmp_path / "finished").iterdir())) == 1
