"""The split: by patient, the same for the same names, and never moved afterwards."""

from collections import Counter

import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets.readers import DatasetError
from EARTrainingLib.datasets.split import forced_splits, read_split, split_patients, write_split
from hypothesis import given
from hypothesis import strategies as st

PEOPLE = [f"verse{n:03d}" for n in range(100)]


def test_eight_to_one_to_one():
    split = split_patients(PEOPLE, 0)
    assert Counter(split.values()) == {"train": 80, "validation": 10, "test": 10}
    assert list(split) == PEOPLE


def test_names_and_seed_make_it():
    assert split_patients(reversed(PEOPLE * 2), 0) == split_patients(PEOPLE, 0)
    assert split_patients(PEOPLE, 1) != split_patients(PEOPLE, 0)


@pytest.mark.parametrize(
    ("count", "held_out"), [(1, 0), (2, 0), (3, 1), (9, 1), (10, 1), (14, 1), (16, 2), (25, 2), (26, 3)]
)
def test_few_patients(count, held_out):
    counts = Counter(split_patients(PEOPLE[:count], 0).values())
    assert counts["validation"] == counts["test"] == held_out
    assert counts["train"] == count - 2 * held_out


def test_what_a_source_fixes_counts_towards_the_shares():
    forced = {"verse001": "test", "verse002": "validation", "verse003": "validation", "verse004": "train"}
    split = split_patients(PEOPLE[:20], 0, forced=forced)
    assert {name: split[name] for name in forced} == forced
    assert Counter(split.values()) == {"train": 16, "validation": 2, "test": 2}


def test_all_fixed():
    assert set(split_patients(PEOPLE[:5], 0, forced=dict.fromkeys(PEOPLE, "test")).values()) == {"test"}


def test_new_patients_leave_the_old_where_they_are():
    earlier = split_patients(PEOPLE[:30], 0)
    later = split_patients(PEOPLE, 0, kept=earlier)
    assert {name: later[name] for name in earlier} == earlier
    assert Counter(later.values()) == {"train": 80, "validation": 10, "test": 10}


def test_who_only_lends_a_body_stays_so_and_counts_towards_no_share():
    kept = dict.fromkeys(PEOPLE[:10], "surroundings")
    split = split_patients(PEOPLE[:30], 0, kept=kept)
    assert {name: split[name] for name in kept} == kept
    assert Counter(split.values()) == {"surroundings": 10, "train": 16, "validation": 2, "test": 2}


def test_an_earlier_split_is_never_overruled_in_silence():
    with pytest.raises(DatasetError, match=r"verse001.*'train'.*'test'"):
        split_patients(PEOPLE, 0, forced={"verse001": "test"}, kept={"verse001": "train"})
    split_patients(PEOPLE, 0, forced={"verse001": "test"}, kept={"verse001": "test"})


@given(
    st.sets(st.text(min_size=1, max_size=4), max_size=60),
    st.dictionaries(st.text(min_size=1, max_size=4), st.sampled_from(("train", "validation", "test"))),
    st.integers(0, 99),
)
def test_every_patient_is_in_exactly_one_split(people, forced, seed):
    split = split_patients(people, seed, forced=forced)
    assert set(split) == people
    assert all(split[name] == forced[name] for name in people & set(forced))
    assert set(split.values()) <= {"train", "validation", "test"}


class TestForced:
    def test_scans_that_say_nothing_leave_it_open(self):
        fixed = [("a", "train"), ("b", None), ("a", None), ("c", "test"), ("a", "train")]
        assert forced_splits(fixed) == {"a": "train", "c": "test"}

    @pytest.mark.parametrize("second", ["test", "training"])
    def test_sources_that_disagree(self, second):
        with pytest.raises(DatasetError, match=f"patient a: .*{second}"):
            forced_splits([("a", "train"), ("a", second)])


class TestFile:
    def test_there_and_back(self, tmp_path):
        split = split_patients(PEOPLE[:12], 3)
        write_split(tmp_path / "split.csv", split)
        assert read_split(tmp_path / "split.csv") == split
        write_split(tmp_path / "split.csv", {**split, "lender": "surroundings"})
        assert read_split(tmp_path / "split.csv") == {**split, "lender": "surroundings"}
        write_split(tmp_path / "split.csv", split)
        assert (tmp_path / "split.csv").read_text().startswith("patient,split\nverse000,")

    def test_none_yet(self, tmp_path):
        assert read_split(tmp_path / "split.csv") == {}

    @pytest.mark.parametrize(
        "text",
        ["patient,split\na,train\na,test", "patient,split\na,trained\n", "patient,split\n,test", "who,split\na,test"],
    )  # fmt: skip
    def test_a_damaged_one_is_refused(self, tmp_path, text):
        (tmp_path / "split.csv").write_text(text)
        with pytest.raises(EARError, match=r"split\.csv"):
            read_split(tmp_path / "split.csv")
