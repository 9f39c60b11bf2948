"""Means with their bootstrap intervals over patients.

Vertebrae of one patient resemble each other: their number says little about how well a mean is known. So patients are
drawn with replacement, each with all of its vertebrae (the cluster bootstrap; Field and Welsh 2007), and the interval
is that of the same mean over vertebrae that the table prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from EARReconstructionLib.vertebra import LEVELS
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
SEED = 0

#: Share of the resampled means inside an interval.
LEVEL = 0.95

#: With fewer patients the interval is known to be too narrow, and tables say so.
FEW_PATIENTS = 10

_PLACE = {name: n for n, name in enumerate((*LEVELS, "cervical", "thoracic", "lumbar"))}

_NUMBERS = ("metric", "n", "missing", "patients", "mean", "sd", "low", "high")

#: Scope of a summary -> the column whose values are its groups.
SCOPES = {"all": None, "region": "region", "level": "level"}


def bootstrap_means(
    values: ArrayLike, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """(resamples, M) means of the columns of ``values`` (N, M), each over patients drawn with replacement.

    patients: (N,), whose rows they are. Values that are not finite are left out of the mean. The draw depends on the
    number of patients and the seed alone.
    """
    table = np.asarray(values, float)
    names, owner = np.unique(np.asarray(patients, str), return_inverse=True)
    finite = np.isfinite(table)
    sums, counts = (np.zeros((len(names), table.shape[1])) for _ in range(2))
    np.add.at(sums, owner, np.where(finite, table, 0.0))
    np.add.at(counts, owner, finite)
    share = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), share, size=resamples)
    with np.errstate(invalid="ignore"):  # nobody drawn has a value: no mean
        means: NDArray[np.float64] = (drawn @ sums) / (drawn @ counts)
    return means


def interval(
    values: ArrayLike, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """(2, M) lower and upper end of the 95 % percentile interval of the columns' means; nan with one patient only."""
    table = np.asarray(values, float)
    if len(set(patients)) < 2:
        return np.full((2, table.shape[1]), np.nan)
    means = bootstrap_means(table, patients, resamples=resamples, seed=seed)
    ends = np.full((2, table.shape[1]), np.nan)
    known = np.isfinite(means).any(0)
    tail = (1 - LEVEL) / 2
    ends[:, known] = np.nanquantile(means[:, known], [tail, 1 - tail], axis=0)
    return ends


def summarise(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean, SD over vertebrae and interval over patients of every metric, method and group, one line each.

    Columns: scope ("all", "region", "level"), group, method, metric, n, missing, patients, mean, sd, low, high.
    Methods keep the order of the rows, groups go from head to foot. missing: vertebrae without a finite value, which n
    does not count.
    """
    lines = []
    for scope, column in SCOPES.items():
        groups = {"all": rows} if column is None else dict(tuple(rows.groupby(column)))
        for group, members in sorted(groups.items(), key=lambda item: _PLACE.get(item[0], 0)):
            for method, own in members.groupby("method", sort=False):
                lines += _lines(own, metrics, {"scope": scope, "group": group, "method": method})
    return pd.DataFrame(lines, columns=["scope", "group", "method", *_NUMBERS])


def differences(rows: pd.DataFrame, metrics: Sequence[str], reference: str) -> pd.DataFrame:
    """Every other method minus the reference, vertebra by vertebra, in the columns of summarise (all vertebrae).

    Raises ValueError when no row is the reference's.
    """
    if reference not in set(rows["method"]):
        raise ValueError(f"no rows of the method {reference!r}")
    table = rows.set_index(["method", "id"])
    base = table.loc[reference]
    lines = []
    for method in rows["method"].unique():
        if method != reference:
            own = table.loc[method]
            delta = own[list(metrics)] - base.loc[own.index, list(metrics)]
            delta["patient"] = own["patient"]
            lines += _lines(delta, metrics, {"method": method, "reference": reference})
    return pd.DataFrame(lines, columns=["method", "reference", *_NUMBERS])


def _lines(rows: pd.DataFrame, metrics: Sequence[str], head: Mapping[str, object]) -> list[dict[str, object]]:
    values = rows[list(metrics)].to_numpy(float)
    values = np.where(np.isfinite(values), values, np.nan)
    patients = rows["patient"].astype(str).tolist()
    low, high = interval(values, patients)
    lines: list[dict[str, object]] = []
    for n, metric in enumerate(metrics):
        known = values[np.isfinite(values[:, n]), n]
        lines.append(
            {
                **head,
                "metric": metric,
                "n": len(known),
                "missing": len(values) - len(known),
                "patients": len(set(patients)),
                "mean": known.mean() if len(known) else np.nan,
                "sd": known.std(ddof=1) if len(known) > 1 else np.nan,
                "low": low[n],
                "high": high[n],
            }
        )
    return lines
