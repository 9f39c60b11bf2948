"""`ear study`: what it takes, what it says, how it goes on."""

import json
from dataclasses import replace

import pytest
from EARTrainingLib.evaluation import evaluate
from EARTrainingLib.studies import registry
from EARTrainingLib.studies.registry import STUDIES

SHORT = ["--scale", "tiny", "--set", "epochs=1", "--set", "epoch_samples=2", "--device", "cpu"]


@pytest.fixture
def two_runs(monkeypatch):
    """The study of losses with its first two runs, without its pictures of bones."""
    whole = STUDIES["losses"]
    monkeypatch.setitem(registry.STUDIES, "losses", replace(whole, runs=lambda *a: whole.runs(*a)[:2]))
    monkeypatch.setattr(evaluate, "draw_figures", lambda *_, **__: ({}, []))


class TestStudy:
    def test_to_the_end_in_two_calls(self, ear, two_runs, prepared_folder, tmp_path):
        out = tmp_path / "study"
        command = ["study", "losses", "-o", out, "--data", prepared_folder, *SHORT]
        result = ear(*command, "--only", "edge")
        assert result.exit_code == 0, result.output + result.stderr
        assert "run 2 of 2, +edge: finished after" in result.stderr
        assert result.stdout.splitlines() == [
            "  recon       waiting",
            "  +edge       finished",
            "There is no table yet: run the same command again to go on.",
        ]
        result = ear(*command)
        assert result.exit_code == 0, result.output + result.stderr
        assert "+edge" not in result.stderr
        lines = result.stdout.splitlines()
        assert lines[:2] == ["  recon       finished", "  +edge       finished"]
        assert lines[3] == f"Results in {out}"
        assert [line.strip() for line in lines[4:]] == ["table.csv", "table.md", "table.tex", "overview.png"]
        assert all((out / line.strip()).is_file() for line in lines[4:])

    def test_as_json(self, ear, two_runs, prepared_folder, tmp_path):
        out = tmp_path / "study"
        result = ear(
            "study", "losses", "-o", out, "--data", prepared_folder, *SHORT, "--max-time", "00:00:00", "--json"
        )
        assert result.exit_code == 0, result.output + result.stderr
        assert json.loads(result.stdout) == {
            "output": str(out),
            "finished": False,
            "runs": {"recon": "waiting", "+edge": "waiting"},
            "reasons": {},
            "written": [],
        }
        assert result.stderr == ""

    def test_ctrl_c_is_said_in_a_sentence(self, ear, two_runs, prepared_folder, tmp_path, monkeypatch):
        def stopped(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("EARTrainingLib.studies.running.train", stopped)
        result = ear("study", "losses", "-o", tmp_path / "study", "--data", prepared_folder, *SHORT)
        assert result.exit_code == 130
        assert "Everything finished is kept: run the same command again to go on." in result.stderr


class TestList:
    def test_every_study_and_what_it_reproduces(self, ear):
        result = ear("study", "--list")
        assert result.exit_code == 0
        words = " ".join(result.stdout.replace("│", " ").split())
        for name, of in {
            "comparison": "Table 1",
            "modules": "Table 2",
            "losses": "Table 3",
            "angles": "Fig. 11",
            "changes": "beyond the paper",
        }.items():
            assert words.index(name) < words.index(of)

    def test_as_json(self, ear):
        listed = json.loads(ear("study", "--list", "--json").stdout)["studies"]
        assert [one["name"] for one in listed] == list(STUDIES)
        assert listed[3]["reproduces"] == "Fig. 11"


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "out"], ["no study was named", "comparison, modules, losses, angles, changes"]),
            (["ablation", "-o", "out"], ["ablation", "Use one of comparison"]),
            (["losses"], ["--output", "-o"]),
            (["losses", "-o", "out", "--scale", "big"], ["scale 'big'", "tiny, small, paper"]),
            (["losses", "-o", "out", "--preset", "mine"], ["preset 'mine'", "paper, ours"]),
            (["losses", "-o", "out"], ["scale 'paper'", "makes no data", "--data"]),
            (["losses", "-o", "out", "--scale", "tiny", "--max-time", "5"], ["--max-time", "HH:MM:SS"]),
            (["losses", "-o", "out", "--scale", "tiny", "--data", "nowhere"], ["nowhere", "no prepared data set"]),
        ],
    )
    def test_in_one_sentence(self, refuses, arguments, words, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        refuses(["study", *arguments], words)

    def test_what_is_of_no_run(self, refuses, prepared_folder, tmp_path):
        command = ["study", "modules", "-o", tmp_path / "out", "--data", prepared_folder, *SHORT]
        refuses([*command, "--only", "FAM"], ["--only FAM", "baseline, +ABS, +FEM, +EAM"])
        refuses([*command, "--set", "epochs=many"], ["epochs", "'many'", "a whole number"])
        refuses([*command, "--set", "depth=3"], ["depth", "no such field"])

    def test_another_configuration_with_the_difference(self, ear, refuses, two_runs, prepared_folder, tmp_path):
        command = ["study", "losses", "-o", tmp_path / "out", "--data", prepared_folder, *SHORT]
        assert ear(*command, "--max-time", "00:00:00").exit_code == 0
        refuses([*command, "--set", "epochs=3"], ["runs +edge epochs: 1 earlier, 3 now", "another folder"])

    def test_in_json(self, refuses_in_json):
        refuses_in_json(["study", "ablation"], ["ablation", "comparison"])
