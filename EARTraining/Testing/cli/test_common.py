"""What holds for every verb of `ear`: help, and the processes around it."""

import json

import pytest
import typer
from EARReconstructionLib.errors import EARError
from EARTrainingLib.cli import app
from EARTrainingLib.cli.common import progress_bar, reported
from typer.testing import CliRunner

VERBS = {
    "Use": ("demo", "reconstruct", "compare", "models"),
    "Research": ("prepare", "train", "evaluate", "study", "xray"),
}


class TestHelp:
    def test_the_command_lists_its_verbs(self, ear):
        result = ear("--help")
        assert result.exit_code == 0
        words = " ".join(result.stdout.split())
        for verb in (*VERBS["Use"], *VERBS["Research"], "not a medical device"):
            assert verb in words

    @pytest.mark.parametrize(
        ("verb", "words"),
        [
            ("demo", ["--output", "--model", "--device", "--json", "phantom", "replaced"]),
            ("reconstruct", ["CASE", "case.json", "--output", "--levels", "--overwrite", "--batch-size", "3D Slicer"]),
            ("compare", ["RECONSTRUCTION", "REFERENCE", "--level", "--threshold", "--space", "--csv", "--json", "mm"]),
            ("models", ["--json", "trained on"]),
            (
                "xray",
                ["[CT]", "--view", "--preset", "--mask", "--protocol", "--case", "--check-engine", "DRRs"],
            ),
        ],
    )
    def test_each_verb_explains_itself(self, verb, words):
        result = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
        assert result.exit_code == 0
        said = " ".join(result.stdout.split()).lower()
        for word in words:
            assert word.lower() in said, word

    def test_help_does_not_wait_for_what_is_heavy(self, python):
        code = "import sys, EARTrainingLib.cli; print(*sys.modules)"
        heavy = {"torch", "lightning", "monai", "vtkmodules", "SimpleITK", "scipy", "numpy", "pandas", "matplotlib"}
        assert not heavy & set(python(code).stdout.split())

    def test_verbs_stand_in_groups(self, ear):
        said = ear("--help").stdout
        use, research = said.index("─ Use ─"), said.index("─ Research ─")
        for verb in VERBS["Use"]:
            assert use < said.index(f"│ {verb} ") < research
        for verb in VERBS["Research"]:
            assert research < said.index(f"│ {verb} ")

    def test_nothing_is_help(self, ear):
        assert "Usage" in (result := ear()).stdout + result.stderr


class TestReported:
    def test_an_error_for_the_user_is_one_sentence(self, capsys):
        with pytest.raises(typer.Exit) as end, reported():
            raise EARError("ct.nrrd", "it is empty", "Give another")
        assert end.value.exit_code == 2
        assert capsys.readouterr() == ("", "Error: ct.nrrd: it is empty. Give another.\n")

    def test_in_json_it_is_its_parts(self, capsys):
        with pytest.raises(typer.Exit), reported(as_json=True):
            raise EARError("ct.nrrd", "it is empty", "Give another")
        fields = json.loads(capsys.readouterr().out)["error"]
        assert fields == {"subject": "ct.nrrd", "cause": "it is empty", "advice": "Give another"}

    def test_ctrl_c_says_what_is_left(self, capsys):
        with pytest.raises(typer.Exit) as end, reported(cancelled="Stopped; run it again to go on."):
            raise KeyboardInterrupt
        assert end.value.exit_code == 130
        assert capsys.readouterr().err == "Stopped; run it again to go on.\n"

    def test_a_fault_of_ours_is_not_hidden(self):
        with pytest.raises(ZeroDivisionError), reported():
            _ = 1 / 0


def test_the_progress_bar_writes_nothing_to_stdout(capsys):
    with progress_bar("Working", 3) as tell:
        tell(1, 3, "on L1")
        tell(2, 3, "")
    assert capsys.readouterr().out == ""
