"""Examples follow a rule, also where values tie or are missing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from EARTrainingLib.evaluation.figures.choice import examples, label, longest_spine, rule


def frame(values, method="EAR"):
    return pd.DataFrame({"method": method, "id": [f"v{n}" for n in range(len(values))], "assd_mm": values})


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ([3.0, 1.0, 2.0, 5.0, 4.0], {"best": "v1", "median": "v0", "worst": "v3"}),
        ([3.0, 1.0, 2.0, 4.0], {"best": "v1", "median": "v2", "worst": "v3"}),
        ([2.0, 2.0, 2.0], {"best": "v0", "median": "v1", "worst": "v2"}),
        ([3.0, np.nan, 2.0], {"best": "v2", "median": "v0", "worst": "v1"}),
        ([1.0, 2.0], {"best": "v0", "worst": "v1"}),
        ([1.0], {"best": "v0"}),
    ],
)
def test_best_median_and_worst_of_the_reference(values, chosen):
    rows = pd.concat([frame(values[::-1], "other"), frame(values)])
    assert examples(rows, "EAR") == chosen


def test_the_longest_spine_is_one_series():
    rows = pd.DataFrame(
        {
            "method": ["EAR"] * 6 + ["B"] * 6,
            "id": list("abcdef") * 2,
            "source": ["VerSe19"] * 12,
            "patient": ["p1", "p1", "p1", "p1", "p2", "p2"] * 2,
            "series": ["s1", "s1", "s2", "s2", "s3", "s3"] * 2,
        }
    )
    assert longest_spine(rows, "EAR") == ["a", "b"]
    assert longest_spine(rows.drop(index=0), "EAR") == ["c", "d"]


def test_the_caption_says_the_rule():
    assert rule("EAR", ("median",)) == "Vertebrae chosen by rule: median ASSD of EAR."


def test_labels_name_level_kind_and_patient(dataset):
    row = dataset.rows_of("test")[0]
    assert label(row, "best") == "T12, best\np4"
    long = label(replace(row, patient="1.3.6.1.4.1.9328.50.4.0001"), "worst").split("\n")[1]
    assert len(long) == 22  # what a row has room for
    assert long.startswith("1.3.6.1.")
    assert long.endswith("50.4.0001")
