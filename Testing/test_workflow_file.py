"""The GitHub workflow: little permission, pinned actions, commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    """What GitHub reads."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    """The steps of all jobs."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(steps: list[dict[str, Any]]) -> list[list[str]]:
    """The words of every command line."""
    lines = [line for step in steps for line in step.get("run", "").replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def test_two_jobs(workflow: dict[Any, Any]) -> None:
    assert set(workflow["jobs"]) == {"tests", "slicer"}


def test_runs_when_something_changes(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key "on" as true.
    assert {"push", "pull_request"} <= workflow[True].keys()
    assert "pull_request_target" not in workflow[True], "would give strangers' code our rights"


def test_may_only_read(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert "secrets." not in str(workflow)


def test_actions_are_github_s_own_at_a_major_version(steps: list[dict[str, Any]]) -> None:
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used), used


def test_every_step_does_one_thing(steps: list[dict[str, Any]]) -> None:
    assert all(("uses" in step) != ("run" in step) for step in steps)


def test_every_job_ends(workflow: dict[Any, Any]) -> None:
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())
    assert all(re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"]) for job in workflow["jobs"].values())


def test_nothing_from_outside_is_put_into_a_command(steps: list[dict[str, Any]]) -> None:
    """A branch's name, say, could be a command of its own."""
    assert not any("${{" in step.get("run", "") for step in steps)


def test_programs_exist(steps: list[dict[str, Any]]) -> None:
    words = [word for line in commands(steps) for word in line]
    scripts = {word for word in words if word.startswith("scripts/")}
    assert scripts == {"scripts/test_in_slicer.py"}
    assert all((ROOT / script).is_file() for script in scripts)
    assert {line[0] for line in commands(steps)} == {"make", "sudo", "python3"}


def test_make_knows_its_target_and_options(steps: list[dict[str, Any]]) -> None:
    (line,) = [line for line in commands(steps) if line[0] == "make"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{line[1]}:", makefile, re.MULTILINE)
    for option in line[2:]:
        assert re.search(rf"^{option.partition('=')[0]} \?=", makefile, re.MULTILINE), option
    (default,) = re.findall(r"^TORCH \?= (\S+)$", makefile, re.MULTILINE)
    assert line[-1].startswith(f"TORCH={default} "), "the same version of PyTorch as everywhere"


def test_slicer_s_arguments_are_known(steps: list[dict[str, Any]]) -> None:
    known = subprocess.run(
        [sys.executable, ROOT / "scripts" / "test_in_slicer.py", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = {word for line in commands(steps) if line[0] == "python3" for word in line if word.startswith("--")}
    assert options == {"--download", "--no-main-window", "--log"}
    assert all(f"[{option} " in known or f"[{option}]" in known for option in options)


def test_slicer_is_cached_by_its_version(workflow: dict[Any, Any], steps: list[dict[str, Any]]) -> None:
    (cache,) = [step["with"] for step in steps if step.get("uses", "").startswith("actions/cache@")]
    assert re.fullmatch(r"5\.\d+\.\d+", workflow["jobs"]["slicer"]["env"]["SLICER_VERSION"])
    assert "env.SLICER_VERSION" in cache["key"]
    script = (ROOT / "scripts" / "test_in_slicer.py").read_text(encoding="utf-8")
    assert cache["path"] == "~/.cache/slicer-ear"
    assert '/ ".cache") / "slicer-ear"' in script, "where --download keeps it"
    (pip,) = [step["with"] for step in steps if step.get("uses", "").startswith("actions/setup-python@")]
    assert (pip["cache"], pip["cache-dependency-path"]) == ("pip", "pyproject.toml")
