"""Tables that go into a report or a paper: Markdown and LaTeX (booktabs) from one summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from EARReconstructionLib.volume_io import written_whole

from ..metrics import METRICS
from .summary import FEW_PATIENTS

#: The paper's six columns, and what a surgeon reads. What is in neither stands in table.csv only.
HEADLINES = {
    "Volumes": ("mse", "mae", "dice", "psnr_hu4096", "ssim", "fd_minmax"),
    "Surfaces": ("assd_mm", "hd95_mm", "nsd_1mm", "nsd_2mm", "sde_mean_mm", "sde_rms_mm"),
}

#: Printed for what could not be computed.
MISSING = "n/a"

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0"}
_LATEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$", "zero": r"$\to 0$"}
_LATEX_SIGNS = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX_SIGNS |= {"²": "$^2$", "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Cell:
    """A number as it is printed: mean, SD, interval (all with the same decimals), and whether it is the best one."""

    mean: str
    sd: str = ""
    interval: str = ""
    best: bool = False


def heading(metric: str) -> str:
    """Title, unit and arrow of a metric, such as "ASSD [mm] ↓"."""
    title, unit, better = METRICS[metric]
    return " ".join(part for part in (title, f"[{unit}]" if unit else "", ARROWS[better]) if part)


def decimals(lines: pd.DataFrame) -> int:
    """Decimals for one metric's lines of a summary: the half width of a typical interval keeps two digits.

    At least 2 and at most 4, of millimetres 2: no voxel is that small.
    """
    width = ((lines["high"] - lines["low"]) / 2).median()
    if not width > 0:
        width = lines["sd"].median() / 3  # no interval: one patient
    if METRICS[lines["metric"].iloc[0]][1] == "mm":
        return 2
    return 3 if not width > 0 else min(max(math.ceil(-math.log10(width)) + 1, 2), 4)


def cells(lines: pd.DataFrame, metrics: Sequence[str]) -> dict[tuple[str, str], Cell]:
    """(method, metric) -> what is printed, for the lines of one group. Values that print alike are best together."""
    printed = {}
    for metric in metrics:
        own = lines[lines["metric"] == metric]
        places = decimals(own)
        best = _best({line.method: round(line.mean, places) for line in own.itertuples()}, metric)
        for line in own.itertuples():
            ends = [_number(x, places) for x in (line.low, line.high)]
            printed[line.method, metric] = Cell(
                _number(line.mean, places),
                _number(line.sd, places),
                "" if MISSING in ends else f"[{ends[0]}, {ends[1]}]",
                line.method in best,
            )
    return printed


def write_tables(
    folder: Path,
    summary: pd.DataFrame,
    paired: pd.DataFrame,
    notes: Sequence[str],
    printed: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write table.csv (the whole summary), differences.csv, table.md and table.tex, each whole or not at all.

    printed: rows of a paper, method -> metric -> value. They stand below a line and are marked.
    """
    for name, frame in (("table.csv", summary), ("differences.csv", paired)):
        with written_whole(folder / name) as beside:
            frame.to_csv(beside, index=False)
    for name, text in (
        ("table.md", markdown(summary, paired, notes, printed)),
        ("table.tex", latex(summary, paired, notes, printed)),
    ):
        with written_whole(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")


def markdown(
    summary: pd.DataFrame,
    paired: pd.DataFrame,
    notes: Sequence[str] = (),
    printed: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """Headline tables, differences and regions: mean ± SD [interval], the best mean bold."""
    parts = []
    for title, metrics in _present(summary).items():
        for scope in ("all", "region"):
            lines = summary[summary["scope"] == scope]
            if scope == "region" and lines["group"].nunique() < 2:
                continue
            parts += [f"## {title}" + (" by region" if scope == "region" else "")]
            first = ["region", "method"] if scope == "region" else ["method"]
            rows = [
                [*([group] if scope == "region" else []), method, *(_markdown(found[method, m]) for m in metrics)]
                for group, own in lines.groupby("group", sort=False)
                for found in [cells(own, metrics)]
                for method in own["method"].unique()
            ]
            if scope == "all":
                rows += [
                    [f"{name} (paper, other data)", *numbers] for name, numbers in _quoted(printed, metrics).items()
                ]
            parts.append(_markdown_table([*first, *map(heading, metrics)], rows))
        if len(paired):
            found = cells(paired, metrics)
            parts += [f"## {title}: difference to {paired['reference'].iloc[0]}"]
            body = [[m, *(_markdown_difference(found[m, x]) for x in metrics)] for m in paired["method"].unique()]
            parts.append(_markdown_table(["method", *map(heading, metrics)], body))
    remarks = "\n".join(f"- {note}" for note in [*explanation(summary), *notes])
    return "\n\n".join(["# Evaluation", *parts, remarks]) + "\n"


def latex(
    summary: pd.DataFrame,
    paired: pd.DataFrame,
    notes: Sequence[str] = (),
    printed: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    r"""The headline tables for \usepackage{booktabs}: each method has a line of means and one of intervals."""
    lines = summary[summary["scope"] == "all"]
    text = [r"% Needs \usepackage{booktabs}."]
    for title, metrics in _present(summary).items():
        found = cells(lines, metrics)
        body = [
            row
            for method in lines["method"].unique()
            for row in _latex_rows(method, [found[method, m] for m in metrics], bold=True)
        ]
        quoted = _quoted(printed, metrics)
        body += [r"\midrule"] if quoted else []
        body += [
            _latex_line([rf"\textit{{{_escaped(name)}}} (paper, other data)", *numbers])
            for name, numbers in quoted.items()
        ]
        text.append(_tabular(title, metrics, body, [*explanation(summary), *notes]))
        if len(paired):
            found, reference = cells(paired, metrics), paired["reference"].iloc[0]
            body = [
                row
                for method in paired["method"].unique()
                for row in _latex_rows(method, [found[method, m] for m in metrics], bold=False)
            ]
            text.append(_tabular(f"{title}: difference to {reference}", metrics, body, []))
    return "\n\n".join(text) + "\n"


def explanation(summary: pd.DataFrame) -> list[str]:
    """What the numbers of a table are, for its caption."""
    everything = summary[summary["scope"] == "all"]
    patients, vertebrae = int(everything["patients"].max()), int((everything["n"] + everything["missing"]).max())
    told = [
        f"{_count(vertebrae, 'vertebra', 'vertebrae')} of {_count(patients, 'patient', 'patients')}. Mean ± SD over "
        "vertebrae; in brackets the 95 % bootstrap interval of the mean, resampled by patient."
    ]
    if patients < FEW_PATIENTS:
        told.append(
            "With one patient there is no interval."
            if patients == 1
            else f"Intervals from {patients} patients only are rough, and rather too narrow."
        )
    for method, lines in everything.groupby("method", sort=False):
        if missing := int(lines["missing"].max()):
            names = ", ".join(METRICS[m][0] for m in lines.loc[lines["missing"] > 0, "metric"])
            told.append(f"{method}: {names} could not be computed for {missing} of them, which its means leave out.")
    return told


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _present(summary: pd.DataFrame) -> dict[str, list[str]]:
    known = set(summary["metric"])
    return {title: [m for m in metrics if m in known] for title, metrics in HEADLINES.items()}


def _number(value: float, places: int) -> str:
    if not math.isfinite(value):
        return MISSING
    return f"{round(value, places) or 0.0:.{places}f}"  # never -0.00


def _best(means: Mapping[str, float], metric: str) -> set[str]:
    better = METRICS[metric][2]
    rank = {"higher": lambda x: -x, "lower": lambda x: x, "zero": abs}[better]
    ranks = {method: rank(x) for method, x in means.items() if math.isfinite(x)}
    return {method for method, x in ranks.items() if x == min(ranks.values())} if len(ranks) > 1 else set()


def _quoted(printed: Mapping[str, Mapping[str, float]] | None, metrics: Sequence[str]) -> dict[str, list[str]]:
    """A paper's numbers for these columns, with the digits that it prints; rows without any are left out."""
    rows = {
        name: [
            ("" if m not in values else f"{values[m]:.2f}" if values[m] > 10 else f"{values[m]:.4f}") for m in metrics
        ]
        for name, values in (printed or {}).items()
    }
    return {name: numbers for name, numbers in rows.items() if any(numbers)}


def _markdown(cell: Cell) -> str:
    mean = f"**{cell.mean}**" if cell.best else cell.mean
    sd = "" if cell.sd == MISSING else f"± {cell.sd}"
    return " ".join(part for part in (mean, sd, cell.interval) if part)


def _markdown_difference(cell: Cell) -> str:
    return f"{cell.mean} {cell.interval}".strip()


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines)


def _latex_rows(method: str, row: Sequence[Cell], *, bold: bool) -> list[str]:
    first, second = [_escaped(method)], [""]
    for cell in row:
        mean, sd, ends = (text.replace("-", "$-$") for text in (cell.mean, cell.sd, cell.interval))
        spread = rf" $\pm$ {sd}" if bold and sd != MISSING else ""
        first.append((rf"\textbf{{{mean}}}" if cell.best and bold else mean) + spread)
        second.append(rf"{{\scriptsize {ends}}}" if ends else "")
    return [_latex_line(first), _latex_line(second)]


def _latex_line(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _tabular(title: str, metrics: Sequence[str], body: Sequence[str], notes: Sequence[str]) -> str:
    header = []
    for metric in metrics:
        name, unit, better = METRICS[metric]
        parts = (_escaped(name), f"[{_escaped(unit)}]" if unit else "", _LATEX_ARROWS[better])
        header.append(" ".join(part for part in parts if part))
    return "\n".join(
        [
            *(f"% {note}" for note in [title + ".", *notes]),
            rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}",
            r"\toprule",
            _latex_line(["Method", *header]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX_SIGNS.get(sign, sign) for sign in text)
