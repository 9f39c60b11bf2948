"""Expected errors fit the people that they were measured on, and are tested on others."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from EARReconstructionLib.bundle import Bundle, load_bundle, save_bundle
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.expected_error import calibrated
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks import build
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARTrainingLib import calibration as module
from EARTrainingLib.calibration import (
    COLUMNS,
    calibration_of,
    chosen_threshold,
    left_out,
    measured_points,
    reliability,
)
from EARTrainingLib.cli import app
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation.prediction import fit_notes, predictions
from typer.testing import CliRunner


def points(patient, slope, count=4000, seed=0):
    """Errors that are exponential, ``slope`` times the spread and 0.5 mm on average."""
    rng = np.random.default_rng(seed)
    spread = rng.gamma(2.0, 0.4, count)
    error = rng.exponential(0.5 + slope * spread)
    values = {"patient": patient, "id": f"{patient} L1", "level": "L1", "spread_mm": spread, "error_mm": error}
    return pd.DataFrame(values)[list(COLUMNS)]


class TestCalibration:
    def test_finds_the_error_that_belongs_to_a_spread(self):
        found = calibration_of(points("a", 2.0, 40000))
        asked = np.array([0.3, 0.8, 1.5, 2.5], np.float32)
        np.testing.assert_allclose(calibrated(asked, found), 0.5 + 2 * asked, rtol=0.08)

    def test_rises_though_the_errors_do_not(self):
        found = np.array(calibration_of(points("a", 0.0, 300)))
        assert (np.diff(found[:, 0]) > 0).all()
        assert (np.diff(found[:, 1]) >= 0).all()
        assert found[:, 1].mean() == pytest.approx(0.5, rel=0.15)

    def test_a_spread_that_says_nothing_is_refused(self):
        with pytest.raises(EARError, match="same everywhere"):
            calibration_of(points("a", 1.0).assign(spread_mm=1.0))


class TestLeftOut:
    def test_nobody_is_calibrated_on_their_own_errors(self):
        everybody = pd.concat([points("a", 1.0, seed=1), points("b", 1.0, seed=2), points("c", 9.0, seed=3)])
        found = left_out(everybody)
        assert len(found) == len(everybody)
        c = found[found.patient == "c"]
        np.testing.assert_allclose(c.expected_mm.mean(), 0.5 + c.spread_mm.mean(), rtol=0.05)
        assert c.error_mm.mean() > 5 * c.expected_mm.mean()
        a = found[found.patient == "a"]
        assert a.expected_mm.mean() > 2 * a.error_mm.mean()

    def test_one_person_is_not_enough(self):
        with pytest.raises(EARError, match="two people"):
            left_out(points("a", 1.0))


class TestReliability:
    def test_of_errors_as_great_as_expected(self):
        people = pd.concat([points(name, 2.0, 20000, seed) for seed, name in enumerate("abc")])
        fit = left_out(people)
        good, raw = (reliability(fit[name], fit.error_mm) for name in ("expected_mm", "spread_mm"))
        assert good.off_mm < 0.06
        assert raw.off_mm == pytest.approx(0.5 + 0.8, abs=0.05)  # slope 2 instead of 1, and the 0.5 mm
        assert 0.3 < good.correlation < 0.9
        assert good.rank_correlation == pytest.approx(raw.rank_correlation, abs=0.02)
        assert (np.diff(good.table.measured_mm) > 0).all()
        assert good.table.points.sum() == len(people)

    def test_of_a_known_table(self):
        expected = pd.Series(np.repeat([1.0, 2.0], 500) + np.tile([0, 1e-6], 500))
        fit = reliability(expected, expected + np.repeat([0.5, -1.0], 500))
        assert fit.off_mm == pytest.approx(0.75, abs=1e-3)


@pytest.fixture(scope="module")
def dataset(prepared_folder):
    return PreparedDataset.open(prepared_folder)


class Both(ReconstructionNetwork):
    """Bright where both lifted images are."""

    input_kind = "volumes"

    def forward(self, x):
        return NetworkOutput(x.amin(1, keepdim=True))


class Drawn(Bundle):
    """A bundle whose network is ``Both``."""

    def network(self):
        return Both().eval()


def card(dataset):
    return ModelCard(
        "tiny", "E2E", {"width": 2}, dataset.size, dataset.spacing_mm, "backproject", 0.0, 1.0, 0.5,
        (80.0, 100.0), (900.0, 1100.0), "isolated", ("L1", "L2"), "CC0",
    )  # fmt: skip


def test_points_are_those_of_the_evaluated_surfaces(dataset):
    rows, bundle = dataset.rows[:2], Drawn(card(dataset), {}, "0")
    found = measured_points(bundle, dataset, rows, device="cpu")
    assert list(found) == list(COLUMNS)
    for row, one in zip(rows, predictions(bundle, dataset, rows, device="cpu"), strict=True):
        own = found[found.id == row.id]
        assert set(own.patient) == {row.patient}
        np.testing.assert_allclose(own.error_mm, np.abs(one.error.signed_mm), atol=0.02)
        assert (own.spread_mm > 0).mean() > 0.99
        assert own.spread_mm.median() < 1.5  # half a voxel: this network notices everything


def test_the_command_writes_a_model_that_can_tell_its_errors(prepared_folder, dataset, tmp_path, monkeypatch):
    people = sorted({row.patient for row in dataset.rows})[:2]

    def measured(_bundle, _dataset, rows, **_options):
        return pd.concat([points(name, 2.0, 400) for name in sorted({row.patient for row in rows})])

    monkeypatch.setattr(module, "measured_points", measured)
    plain = save_bundle(tmp_path / "tiny.safetensors", card(dataset), build("E2E", width=2))
    out = tmp_path / "out.safetensors"
    command = ["calibrate", plain.path, "--data", prepared_folder, "-o", out, "--split", "all"]
    run = CliRunner().invoke(app, [*map(str, command), "--patients", ",".join(people), "--json", "--device", "cpu"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["patients"] == people
    assert told["points"] == 800
    assert told["left_out"]["off_mm"] < told["uncalibrated"]["off_mm"]
    written = load_bundle(out)
    assert [list(pair) for pair in written.card.error_calibration] == told["calibration"]
    assert replace(written.card, error_calibration=()) == plain.card
    for name, value in plain.weights.items():
        assert torch.equal(written.weights[name], value)


def test_two_data_sets_count_together(prepared_folder, dataset, tmp_path, monkeypatch):
    """Such as bare columns and X-rays in situ of the same people."""
    folders = [prepared_folder, shutil.copytree(prepared_folder, tmp_path / "in-situ")]
    seen = []

    def measured(_bundle, data, rows, **_options):
        seen.append(data.folder)
        return pd.concat([points(name, len(seen), 400) for name in sorted({row.patient for row in rows})])

    monkeypatch.setattr(module, "measured_points", measured)
    plain = save_bundle(tmp_path / "tiny.safetensors", card(dataset), build("E2E", width=2))
    both = [option for folder in folders for option in ("--data", str(folder))]
    command = ["calibrate", str(plain.path), *both, "-o", str(tmp_path / "out.safetensors"), "--split", "all", "--json"]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert seen == folders
    people = {row.patient for row in dataset.rows}
    assert json.loads(run.stdout)["points"] == 2 * 400 * len(people)


def test_people_of_one_data_set_only(prepared_folder, dataset, tmp_path, monkeypatch):
    """A data set without them is passed over."""
    people = sorted({row.patient for row in dataset.rows})[:2]
    other = shutil.copytree(prepared_folder, tmp_path / "other")
    manifest = other / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    for n, name in enumerate(people):
        text = text.replace(f",{name},", f",nobody{n},")
    manifest.write_text(text, encoding="utf-8")
    seen = []

    def measured(_bundle, data, rows, **_options):
        seen.append(data.folder)
        return pd.concat([points(name, 2.0, 400) for name in sorted({row.patient for row in rows})])

    monkeypatch.setattr(module, "measured_points", measured)
    plain = save_bundle(tmp_path / "tiny.safetensors", card(dataset), build("E2E", width=2))
    command = ["calibrate", plain.path, "--data", other, "--data", prepared_folder, "-o", tmp_path / "x.safetensors"]
    options = ["--split", "all", "--patients", ",".join(people), "--json"]
    run = CliRunner().invoke(app, [*map(str, command), *options])
    assert run.exit_code == 0, run.output
    assert seen == [prepared_folder]


class Step(ReconstructionNetwork):
    """Bone has 300 HU, all else 200, whatever threshold the card names."""

    input_kind = "volumes"

    def __init__(self, mask):
        super().__init__()
        self.mask = torch.from_numpy(mask)

    def forward(self, lifted):
        return NetworkOutput(torch.where(self.mask, 300.0, 200.0)[None, None].expand_as(lifted[:, :1]), None)


def test_the_threshold_of_these_people(dataset):
    row = dataset.rows[0]

    class Known(Bundle):
        def network(self):
            return Step(dataset.mask(row)).eval()

    bundle = Known(replace(card(dataset), threshold_hu=150.0), {}, "0")
    told = []
    parts = [(dataset, [row]), (dataset, [])]  # of the second nobody is wanted
    found, best, own = chosen_threshold(bundle, parts, device="cpu", progress=lambda *step: told.append(step))
    assert told == [(1, 1, row.id)]
    assert 200 <= found < 300
    assert best == pytest.approx(1.0)
    mask = dataset.mask(row)
    assert own == pytest.approx(2 * mask.sum() / (mask.sum() + mask.size))


def test_the_command_sets_the_threshold_where_it_is_asked_to(prepared_folder, dataset, tmp_path, monkeypatch):
    def measured(bundle, _dataset, rows, **_options):
        assert bundle.card.threshold_hu == 225.0  # errors are measured at the new one
        return pd.concat([points(name, 2.0, 400) for name in sorted({row.patient for row in rows})])

    monkeypatch.setattr(module, "measured_points", measured)
    monkeypatch.setattr(module, "chosen_threshold", lambda *_, **__: (225.0, 0.9, 0.8))
    plain = save_bundle(tmp_path / "tiny.safetensors", card(dataset), build("E2E", width=2))
    out = tmp_path / "out.safetensors"
    command = ["calibrate", plain.path, "--data", prepared_folder, "-o", out, "--split", "all", "--threshold"]
    run = CliRunner().invoke(app, [*map(str, command), "--device", "cpu"])
    assert run.exit_code == 0, run.output
    assert "Threshold: 225 HU, Dice 0.900 (before: 0 HU, 0.800)" in run.stdout
    written = load_bundle(out).card
    assert written.threshold_hu == 225.0
    people = sorted({row.patient for row in dataset.rows})
    assert written.provenance["threshold"] == {"patients": people, "earlier_hu": 0.5, "dice": 0.9}
    assert any("threshold" in note for note in fit_notes(load_bundle(out), dataset, dataset.rows[:1]))


def test_an_unknown_person_is_named(prepared_folder, dataset, tmp_path):
    plain = save_bundle(tmp_path / "tiny.safetensors", card(dataset), build("E2E", width=2))
    command = ["calibrate", plain.path, "--data", prepared_folder, "-o", tmp_path / "x", "--patients", "nobody"]
    run = CliRunner().invoke(app, [*map(str, command), "--json"])
    assert run.exit_code == 2
    assert "nobody" in json.loads(run.stdout)["error"]["cause"]
