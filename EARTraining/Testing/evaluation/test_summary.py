"""Intervals over patients: against a case counted by hand, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from EARTrainingLib.evaluation.summary import bootstrap_means, differences, interval, summarise


def frame(**columns):
    """Rows of one method with defaults."""
    count = len(columns["patient"])
    base = {
        "method": ["EAR"] * count,
        "id": [f"v{n}" for n in range(count)],
        "region": ["lumbar"] * count,
        "level": ["L1"] * count,
    }
    return pd.DataFrame({**base, **columns})


class TestBootstrap:
    def test_two_patients_by_hand(self):
        """Patient a has three vertebrae of 0, b one of 1. Drawn twice: aa 0 (1/4), bb 1 (1/4), ab 1/4 (1/2)."""
        means = bootstrap_means([[0.0], [0.0], [0.0], [1.0]], ["a", "a", "a", "b"], resamples=20000)[:, 0]
        values, counts = np.unique(means.round(12), return_counts=True)
        np.testing.assert_array_equal(values, [0, 0.25, 1])
        np.testing.assert_allclose(counts / 20000, [0.25, 0.5, 0.25], atol=0.02)
        np.testing.assert_array_equal(interval([[0.0], [0.0], [0.0], [1.0]], ["a", "a", "a", "b"]), [[0], [1]])

    def test_a_patient_with_many_vertebrae_does_not_make_the_mean_look_certain(self):
        """Ten patients whose means differ by 1, one of them with 200 vertebrae: drawing vertebrae would be sure."""
        rng = np.random.default_rng(0)
        patients = ["big"] * 200 + [f"p{n}" for n in range(9)]
        values = np.concatenate([rng.normal(1, 0.01, 200), rng.normal(0, 0.01, 9)])[:, None]
        low, high = interval(values, patients)[:, 0]
        assert low < 0.05  # drawn without the big one
        assert high > 0.98
        by_vertebra = interval(values, [str(n) for n in range(len(values))])[:, 0]
        assert by_vertebra[0] > 0.9
        assert low < values.mean() < high

    def test_it_covers_the_true_mean_as_often_as_it_says(self):
        """Patients' own means and their numbers of vertebrae vary. Drawn by vertebra the interval covers far less."""
        rng = np.random.default_rng(1)
        covered, naive, runs = 0, 0, 200
        for _ in range(runs):
            counts = rng.integers(1, 12, 40)
            values = np.concatenate([rng.normal(m, 0.3, n) for m, n in zip(rng.normal(5, 1, 40), counts, strict=True)])
            patients = np.repeat(np.arange(40), counts).astype(str).tolist()
            low, high = interval(values[:, None], patients, resamples=400, seed=int(rng.integers(1e6)))[:, 0]
            covered += low <= 5 <= high
            alone = [str(n) for n in range(len(values))]
            low, high = interval(values[:, None], alone, resamples=200)[:, 0]
            naive += low <= 5 <= high
        assert 0.89 <= covered / runs <= 0.98
        assert naive / runs < 0.7

    def test_it_is_the_same_at_every_run_and_for_every_column(self):
        values = np.random.default_rng(2).normal(size=(30, 1))
        patients = [f"p{n % 7}" for n in range(30)]
        twice = interval(np.hstack([values, values + 1]), patients)
        np.testing.assert_allclose(twice[:, 0], interval(values, patients)[:, 0], rtol=1e-12)
        np.testing.assert_allclose(twice[:, 1], twice[:, 0] + 1)

    def test_values_that_are_missing_count_for_nothing(self):
        patients = ["a", "a", "b", "c"]
        with_gap = bootstrap_means([[1.0], [np.nan], [2.0], [np.inf]], patients, resamples=500)
        assert np.nanmin(with_gap) == 1
        assert np.nanmax(with_gap) == 2
        assert np.isnan(with_gap).any()  # only c was drawn
        assert np.isfinite(interval([[1.0], [np.nan], [2.0], [np.inf]], patients)).all()

    def test_one_patient_has_no_interval(self):
        assert np.isnan(interval([[1.0], [2.0]], ["a", "a"])).all()


class TestSummary:
    def test_mean_sd_and_counts(self):
        rows = frame(patient=["a", "a", "b"], assd_mm=[1.0, 2.0, 6.0], dice=[0.5, np.nan, 0.7])
        told = summarise(rows, ["assd_mm", "dice"]).query("scope == 'all'").set_index("metric")
        assert told.loc["assd_mm", "mean"] == 3
        assert told.loc["assd_mm", "sd"] == pytest.approx(np.std([1, 2, 6], ddof=1))
        assert (told.loc["assd_mm", ["n", "missing", "patients"]] == [3, 0, 2]).all()
        assert told.loc["dice", "mean"] == pytest.approx(0.6)
        assert (told.loc["dice", ["n", "missing"]] == [2, 1]).all()
        assert told.loc["assd_mm", "low"] == 1.5
        assert told.loc["assd_mm", "high"] == 6

    def test_groups_go_from_head_to_foot_and_methods_as_given(self):
        one = frame(
            patient=["a", "b", "c", "d"],
            level=["L2", "T10", "C3", "T9"],
            region=["lumbar", "thoracic", "cervical", "thoracic"],
            dice=[0.1, 0.2, 0.3, 0.4],
        )
        rows = pd.concat([one.assign(method="Z"), one.assign(method="A", dice=one["dice"] + 0.1)])
        told = summarise(rows, ["dice"])
        assert told.query("scope == 'level'")["group"].unique().tolist() == ["C3", "T9", "T10", "L2"]
        assert told.query("scope == 'region'")["group"].unique().tolist() == ["cervical", "thoracic", "lumbar"]
        assert told.query("scope == 'all'")["method"].tolist() == ["Z", "A"]
        thoracic = told.query("group == 'thoracic' and method == 'A'").iloc[0]
        assert thoracic["mean"] == pytest.approx(0.4)
        assert thoracic["n"] == thoracic["patients"] == 2


class TestDifferences:
    def test_they_are_taken_vertebra_by_vertebra(self):
        """Every vertebra gets 0.1 better: vertebrae differ far more than that, and the interval does not care."""
        base = frame(patient=list("aabbcc"), dice=[0.1, 0.9, 0.3, 0.7, 0.2, 0.8])
        other = base.assign(method="B", dice=base["dice"] + 0.1).sample(frac=1, random_state=0)
        told = differences(pd.concat([base, other]), ["dice"], "EAR").iloc[0]
        assert told["method"] == "B"
        assert told["reference"] == "EAR"
        for name in ("mean", "low", "high"):
            assert told[name] == pytest.approx(0.1)

    def test_what_one_of_both_lacks_is_missing(self):
        base = frame(patient=list("abc"), assd_mm=[1.0, np.nan, 2.0])
        told = differences(pd.concat([base, base.assign(method="B", assd_mm=[2.0, 1.0, 4.0])]), ["assd_mm"], "EAR")
        assert told.loc[0, "mean"] == 1.5
        assert told.loc[0, "missing"] == 1

    def test_a_method_alone_has_none_and_a_wrong_name_is_an_error(self):
        rows = frame(patient=["a"], dice=[0.5])
        assert differences(rows, ["dice"], "EAR").empty
        with pytest.raises(ValueError, match="'E2E'"):
            differences(rows, ["dice"], "E2E")
