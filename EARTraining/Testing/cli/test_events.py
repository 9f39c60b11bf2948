"""`--progress-json`: one JSON object per line, as cli.common says, whatever the verb."""

import json
import sys

import pytest
from EARTrainingLib.cli import common
from EARTrainingLib.studies import running
from EARTrainingLib.studies.running import Outcome

SMALL = ("--size", 24, "--spacing", 3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, trees):
    """VerSe20 with two scans."""
    return trees.verse(tmp_path_factory.mktemp("verse"), ("sub-verse500", "sub-verse501"))


def events(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_prepare(ear, tree, tmp_path):
    told = events(ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--progress-json"))
    assert [event["event"] for event in told] == ["step", "step", "end"]
    assert [(event["done"], event["total"]) for event in told[:-1]] == [(1, 2), (2, 2)]
    assert "verse500" in told[0]["what"]
    assert told[-1]["vertebrae"] == 6
    again = ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--json")
    assert told[-1] == {"event": "end", **json.loads(again.stdout)}


def test_a_dry_run(ear, tree, tmp_path):
    (told,) = events(ear("prepare", tree, "-o", tmp_path / "out", *SMALL, "--dry-run", "--progress-json"))
    assert told == {"event": "end", "to_do": {"VerSe20": 2}, "done": 0, "excluded": {}}


def test_study(ear, tmp_path, monkeypatch):
    def study(_study, order, *, progress, say):
        progress(1, 4, "training one")
        return Outcome(order.out, {"one": "waits"}, {}, ())

    monkeypatch.setattr(running, "run_study", study)
    told = events(ear("study", "losses", "-o", tmp_path, "--progress-json"))
    assert told[0] == {"event": "step", "done": 1, "total": 4, "what": "training one"}
    assert (told[1]["event"], told[1]["finished"]) == ("end", False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("prepare", "{none}", "-o", "{out}"),
        ("evaluate", "--data", "{none}", "-o", "{out}"),
        ("train", "{none}", "-o", "{out}"),
    ],
)
def test_errors(ear, tmp_path, arguments):
    given = [text.format(none=tmp_path / "none", out=tmp_path / "out") for text in arguments]
    run = ear(*given, "--progress-json")
    (told,) = events(run)
    assert (run.exit_code, told["event"]) == (2, "error")
    assert set(told) == {"event", "subject", "cause", "advice"}
    assert run.stderr == ""


def test_a_stop(capsys):
    with pytest.raises(common.typer.Exit) as stop, common.reported(as_events=True, cancelled="Stopped."):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert json.loads(capsys.readouterr().out) == {"event": "cancelled", "what": "Stopped."}


class TestAsAModule:
    """`python -m EARTrainingLib.cli`."""

    def run(self, python, *arguments):
        code = "import runpy; runpy.run_module('EARTrainingLib.cli', run_name='__main__', alter_sys=True)"
        return python(code, *arguments)

    def test_it_says_who_it_is_first(self, python):
        run = self.run(python, "xray", "--check-engine", "nothing", "--progress-json")
        first, last = events(run)
        assert (first["event"], last["event"], run.returncode) == ("start", "error", 2)
        assert first["pid"] > 0

    def test_a_slip_in_the_arguments_is_a_sentence(self, python):
        run = self.run(python, "train", "--nonsense", "--progress-json")
        assert events(run)[-1]["cause"].startswith("No such option: --nonsense")
        assert run.returncode == 2

    def test_a_missing_library_is_a_sentence(self, python):
        code = (
            "import runpy, sys; sys.modules['lightning'] = None\n"
            "runpy.run_module('EARTrainingLib.cli', run_name='__main__', alter_sys=True)"
        )
        run = python(code, "train", "data", "-o", "run", "--progress-json")
        assert events(run)[-1]["cause"] == "its library lightning is missing"
        assert (events(run)[-1]["subject"], run.returncode) == (sys.executable, 2)
