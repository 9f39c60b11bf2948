"""`ear models`: what it tells of each installed bundle."""

import json
from pathlib import Path

from EARReconstructionLib import resources
from EARReconstructionLib.bundle import load_bundle
from EARTrainingLib.cli import app
from typer.testing import CliRunner


class TestModels:
    def test_installed_models_are_told(self, ear, sound, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", sound)
        result = CliRunner().invoke(app, ["models"], env={"COLUMNS": "140"})
        assert result.exit_code == 0, result.stderr
        for word in ("tiny", "E2E", "16", "5 mm", "column", "80", "100", "500", "1600", "L1", "L2", "Apache-2.0"):
            assert word in result.stdout, word
        (told,) = json.loads(ear("models", "--json").stdout)
        assert told["name"] == "tiny"
        assert told["sha256"] == load_bundle(sound / "tiny.safetensors").sha256
        assert told["path"] == str(sound / "tiny.safetensors")

    def test_no_model_is_an_empty_list(self, ear, tmp_path, monkeypatch):
        monkeypatch.setattr(resources, "MODELS", tmp_path)
        assert ear("models").exit_code == 0
        assert json.loads(ear("models", "--json").stdout) == []

    def test_the_default_model_is_installed(self, ear):
        (told,) = [m for m in json.loads(ear("models", "--json").stdout) if m["name"] == resources.DEFAULT_MODEL]
        assert told["protocol"] == "in-situ"
        assert told["data_licence"] not in ("", "not stated")
        assert Path(told["path"]).stat().st_size <= 15_000_000
