"""Which vertebrae a figure shows: by rule, so that nobody picks the handsome ones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ...datasets.manifest import Row

CRITERION = "assd_mm"

_LONGEST_NAME = 22

#: Kinds of examples, in the order of a figure's rows.
KINDS = ("best", "median", "worst")


def examples(rows: pd.DataFrame, reference: str, kinds: Sequence[str] = KINDS) -> dict[str, str]:
    """Kind -> id of the vertebra with the best, the median and the worst ASSD of the reference method.

    Ties go to the first id. A vertebra appears once; those that could not be measured are the worst. With fewer
    vertebrae than kinds, the last kinds are left out.
    """
    own = rows[rows["method"] == reference]
    order = own.sort_values([CRITERION, "id"], na_position="last")["id"].tolist()
    places = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    chosen: dict[str, str] = {}
    for kind in kinds:
        if order[places[kind]] not in chosen.values():
            chosen[kind] = order[places[kind]]
    return chosen


def longest_spine(rows: pd.DataFrame, reference: str) -> list[str]:
    """Ids of the series with the most vertebrae, in their order; ties go to the one that comes first.

    One series, not one patient: two scans of a person lie in two frames.
    """
    own = rows[rows["method"] == reference]
    groups = own.groupby(["source", "patient", "series"], sort=False)["id"]
    series: list[list[str]] = [ids.tolist() for _, ids in groups]
    return max(series, key=len)


def label(row: Row, kind: str) -> str:
    """Level, kind and patient as a row label; a long name loses its middle, as its ends tell patients apart."""
    name = row.patient
    if len(name) > _LONGEST_NAME:
        name = f"{name[:8]}...{name[11 - _LONGEST_NAME :]}"
    return f"{row.level}, {kind}\n{name}"


def rule(reference: str, kinds: Sequence[str] = KINDS) -> str:
    """The rule in words, for a caption."""
    return f"Vertebrae chosen by rule: {', '.join(kinds)} ASSD of {reference}."
