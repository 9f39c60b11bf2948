"""What the panel asks of the commands, and that both know the same words."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from EARReconstructionLib.networks import NETWORKS
from EARTrainingLib import libraries
from EARTrainingLib.datasets.prepared import SPLITS
from EARTrainingLib.datasets.settings import PROTOCOLS
from EARTrainingLib.projection import ACQUISITIONS, ENGINES
from EARTrainingLib.training.recipe import PRESETS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def commands(slicer):
    from EARTrainingLib.panel import commands

    return commands


def parameters(**changes):
    values = {
        "sources": ["a b", "phantoms:3"], "dataFolder": "out", "size": 24, "spacingMm": 1.5, "protocol": "column",
        "acquisition": "ours", "engine": "torch", "jobs": 2, "scenes": False, "runFolder": "run", "preset": "paper",
        "network": "EAR", "epochs": 3, "timeLimitH": 0.0, "furtherOptions": "--set losses.edge=0  --workers 0",
        "evaluationFolder": "eval", "split": "all", "figures": True, "models": ["x/one.safetensors"],
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


class TestWords:
    """The lists that the combo boxes show are those of the commands."""

    def test_they_are_the_same(self, commands):
        assert set(commands.NETWORKS) == set(NETWORKS)
        assert set(commands.PRESETS) == set(PRESETS)
        assert tuple(commands.PROTOCOLS) == tuple(PROTOCOLS)
        assert set(commands.ACQUISITIONS) == set(ACQUISITIONS)
        assert set(commands.ENGINES) == set(ENGINES)
        assert set(commands.SPLITS) == {*SPLITS, "all"}

    def test_the_angles_in_words_are_those_that_are_drawn(self, slicer):
        from EARTrainingLib.panel.data_set import _angles, _protocols

        told = {name: [float(n) for n in re.findall(r"\d+\.?\d*", text)] for name, text in _angles().items()}
        nominal, paper, ours = (ACQUISITIONS[name] for name in ("nominal", "paper", "ours"))
        sod = nominal.sod_mm[0]
        assert told["nominal"] == [90 - nominal.angle_deg[0], 90.0, 0.0, sod, sod * nominal.magnification[0]]
        assert nominal.photons is None
        assert paper.alpha_error_deg == paper.beta_error_deg
        assert told["paper"] == [paper.alpha_error_deg, *(n / 1e6 for n in paper.photons)]
        assert told["ours"] == [ours.alpha_error_deg, ours.beta_error_deg, *ours.sod_mm, *ours.magnification]
        assert len(ours.spectra) == 3
        assert set(_protocols()) == set(PROTOCOLS)

    def test_requirements_are_those_of_the_package(self):
        package = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        for requirement in libraries.REQUIREMENTS.values():
            assert f'"{requirement}"' in package

    def test_what_the_commands_import_is_looked_for(self):
        """Everything that is imported and neither ours, nor Python's, nor of one command alone."""
        import sys

        found = set()
        for path in (ROOT / "EARTraining" / "EARTrainingLib").rglob("*.py"):
            if "panel" not in path.parts:
                found |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        known = {*libraries.FOUNDATION, *libraries.REQUIREMENTS, "vtkmodules", "EARReconstructionLib", "EARTrainingLib"}
        optional = {
            "dask",
            "distributed",
            "deepdrr",
            "killeengeo",
            "cupy",
            "numba",
        }  # clusters; DeepDRR has a Python of its own
        words = {name for name in found - known - optional - sys.stdlib_module_names if _is_installed(name)}
        assert not words


def _is_installed(name):
    from importlib.util import find_spec

    return find_spec(name) is not None  # else it is a word of a docstring


class TestArguments:
    """Lists of arguments, whatever stands in them."""

    def test_prepare(self, commands):
        arguments = commands.prepare(parameters(), "py")
        assert arguments[-3:] == ["--", "a b", "phantoms:3"]
        assert "--no-scenes" in arguments
        assert arguments[arguments.index("--spacing") + 1] == "1.5"
        assert "--deepdrr-python" not in arguments

    def test_deepdrr(self, commands):
        given = parameters(engine="deepdrr")
        assert commands.prepare(given, "py")[-5:-3] == ["py", "--no-scenes"]
        assert commands.check_engine(given, "py") == ["xray", "--check-engine", "deepdrr", "--deepdrr-python", "py"]

    def test_train(self, commands):
        arguments = commands.train(parameters(), "cpu")
        assert arguments[-6:] == ["--set", "losses.edge=0", "--workers", "0", "--", "out"]
        assert "--max-time" not in arguments
        assert "02:30:00" in commands.train(parameters(timeLimitH=2.5), "cpu")

    def test_evaluate_names_models_after_their_files(self, commands):
        assert commands.evaluate(parameters(), "cpu")[-3:] == ["--figures", "--name", "one=x/one.safetensors"]
        same = [str(Path(folder, "one.safetensors")) for folder in ("a", "b")]
        assert commands.evaluate(parameters(models=same), "cpu")[-1] == f"one (b)={same[1]}"

    @pytest.mark.parametrize(("hours", "said"), [(0.01, "00:00:36"), (1.5, "01:30:00"), (100, "100:00:00")])
    def test_clock(self, commands, hours, said):
        assert commands.clock(hours) == said
