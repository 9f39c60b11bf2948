"""How fast do networks learn? Their training losses, sample by sample, at equal steps and at equal time.

    python scripts/compare_training.py EAR=runs/ear/steps.csv E2E=runs/e2e/steps.csv [-o learning.png] \
        [--column reconstruction] [--seconds EAR=2.4 E2E=2.0] [--window 50]

Runs of one seed on one data set see the same samples in the same order, whatever their network: the difference of their
losses at a step is one between networks. Prints for each window of steps the mean loss of the first run, and the mean
difference of each other run to it with its standard error. --seconds: of a step of each run; then the picture has a
second panel over time. Steps that an interruption made come twice count as they were the last time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def named(text: str) -> tuple[str, str]:
    """NAME=VALUE as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def losses(path: Path, column: str) -> pd.Series:
    """One loss per step."""
    table = pd.read_csv(path).drop_duplicates("step", keep="last").set_index("step")
    return table[column].sort_index()


def windows(runs: dict[str, pd.Series], length: int) -> pd.DataFrame:
    """A row per window: mean loss of the first run, and difference and standard error of each other run."""
    first, *others = runs
    rows = []
    last = max(run.index.max() for run in runs.values())
    for begin in range(0, int(last), length):
        row: dict[str, object] = {"steps": f"{begin + 1}-{begin + length}"}
        parts = {name: run.loc[begin + 1 : begin + length] for name, run in runs.items()}
        row[first] = f"{parts[first].mean():.4f}"
        for name in others:
            both = (parts[name] - parts[first]).dropna()
            if len(both) > 1:
                row[name] = f"{both.mean():+.4f} +- {both.sem():.4f} ({len(both)})"
        rows.append(row)
    return pd.DataFrame(rows).fillna("").set_index("steps")


def draw(path: Path, runs: dict[str, pd.Series], seconds: dict[str, float], length: int, column: str) -> None:
    """Running means over steps, and over time where the seconds of a step are known."""
    figure, axes = plt.subplots(1, 2 if seconds else 1, figsize=(9 if seconds else 5, 3.6), squeeze=False, sharey=True)
    for number, (name, run) in enumerate(runs.items()):
        smooth = run.rolling(length).mean()
        axes[0, 0].plot(smooth.index, smooth, color=f"C{number}", label=name)
        if name in seconds:
            axes[0, 1].plot(smooth.index * seconds[name] / 60, smooth, color=f"C{number}", label=name)
    axes[0, 0].set_xlabel("steps")
    axes[0, 0].set_ylabel(f"{column}, mean of {length} steps")
    if seconds:
        axes[0, 1].set_xlabel("minutes")
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=named, nargs="+", metavar="NAME=CSV")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--column", default="reconstruction")
    parser.add_argument("--seconds", type=named, nargs="*", default=[], metavar="NAME=SECONDS")
    parser.add_argument("--window", type=int, default=50)
    arguments = parser.parse_args()
    runs = {name: losses(Path(path), arguments.column) for name, path in arguments.runs}
    print(windows(runs, arguments.window).to_string())
    if arguments.output is not None:
        seconds = {name: float(value) for name, value in arguments.seconds}
        draw(arguments.output, runs, seconds, arguments.window, arguments.column)


if __name__ == "__main__":
    main()
