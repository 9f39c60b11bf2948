"""Table and figures of a study whose models are tested on the X-rays of the data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from EARReconstructionLib.job import Progress
from EARReconstructionLib.volume_io import written_whole

from ..datasets.prepared import SPLITS
from ..evaluation.evaluate import evaluate, read_evaluation
from ..evaluation.tables import HEADLINES, MISSING, Cell, cells, explanation, heading
from ..training.data import Data
from .overview import draw_overview
from .study import FAILED, FINISHED, Finished, Run, parameters
from .texts import TextTable, document, latex_document, write_text

#: What a surgeon reads, beside what a model costs.
SURFACES = ("assd_mm", "hd95_mm", "nsd_2mm")


@dataclass(frozen=True)
class StoredReport:
    """Evaluates the models of a study and writes its table and figures.

    reference: run that the others are compared with, and by which vertebrae are chosen for figures. paper: what the
    paper prints, run -> metric -> value, none for a study that is not the paper's; table: where. figures: file of the
    evaluation -> figure of the paper.
    """

    reference: str
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    table: str = ""
    figures: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, finished: Finished, device: str, jobs: int, progress: Progress | None) -> list[Path]:
        """Paths of the tables and the figures."""
        out, folder = finished.out, finished.out / "evaluation"
        reference = self.reference if self.reference in finished.bundles else next(iter(finished.bundles))
        evaluate(
            finished.bundles,
            finished.dataset.folder,
            folder,
            device=device,
            reference=reference,
            jobs=jobs,
            printed=self.paper or None,
            progress=progress,
        )
        summary, _, said = read_evaluation(folder)
        summary = summary[summary["scope"] == "all"]
        elsewhere = f"Rows of the paper ({self.table}) are from other data and other X-rays: compare the order only."
        notes = [
            *caption(finished, summary),
            *([elsewhere] if self.paper else []),
            *said["notes"],
            "evaluation/table.md has the intervals of the differences to "
            f"{reference}, vertebra by vertebra, and evaluation/rows.csv every vertebra.",
        ]
        tables = [self._quality(finished, summary), self._cost(finished, summary)]
        diamonds = " Diamonds: the paper's values, on other data." if self.paper else ""
        drawn = {"overview.png": f"Means with their 95 % intervals.{diamonds}"}
        draw_overview(
            out / "overview.png", summary, [run.name for run in finished.runs], self.paper, finished.scale.note
        )
        drawn |= {f"evaluation/figures/{name}": self._caption(name, text) for name, text in said["figures"].items()}
        with written_whole(out / "table.csv") as beside:
            self._frame(finished, summary).to_csv(beside, index=False)
        write_text(out / "table.md", document(finished.title, tables, notes, figure_list(drawn)))
        write_text(out / "table.tex", latex_document(tables, notes))
        return [*(out / f"table.{kind}" for kind in ("csv", "md", "tex")), *(out / name for name in drawn)]

    def _quality(self, finished: Finished, summary: pd.DataFrame) -> TextTable:
        metrics = [metric for metric in HEADLINES["Volumes"] if metric in set(summary["metric"])]
        found = cells(summary, metrics)
        rows = [[run.name, *_means(finished, run, found, metrics)] for run in finished.runs]
        quoted = [
            [f"{run.name} ({self.table})", *(_quoted(self.paper[run.name].get(metric)) for metric in metrics)]
            for run in finished.runs
            if run.name in self.paper
        ]
        return TextTable("The paper's metrics", ["", *map(heading, metrics)], rows, quoted)

    @staticmethod
    def _cost(finished: Finished, summary: pd.DataFrame) -> TextTable:
        found = cells(summary, SURFACES)
        header = ["", *map(heading, SURFACES), "Parameters", "Time per step [s]"]
        rows = [[run.name, *_means(finished, run, found, SURFACES), *costs(finished, run)] for run in finished.runs]
        return TextTable("Surfaces, and what a model costs", header, rows)

    def _caption(self, name: str, text: str) -> str:
        return f"As {self.figures[name]} of the paper. {text}" if name in self.figures else text

    def _frame(self, finished: Finished, summary: pd.DataFrame) -> pd.DataFrame:
        """One line per run: state, cost, and per metric mean, SD, interval and the paper's value."""
        lines = []
        for run in finished.runs:
            line: dict[str, Any] = cost_columns(finished, run)
            for one in summary[summary["method"] == run.name].itertuples():
                line |= {
                    one.metric: one.mean,
                    f"{one.metric}_sd": one.sd,
                    f"{one.metric}_low": one.low,
                    f"{one.metric}_high": one.high,
                }
            line |= {f"{metric}_paper": value for metric, value in self.paper.get(run.name, {}).items()}
            lines.append(line)
        return pd.DataFrame(lines)


def caption(finished: Finished, summary: pd.DataFrame) -> list[str]:
    """What a reader must know of a study's numbers. summary: lines of summarise for all vertebrae."""
    dataset, recipe = finished.dataset, finished.runs[0].recipe
    settings, sources = dataset.settings, Counter(row.source for row in dataset.rows)
    counts = Counter(row.split for row in dataset.rows)
    grid = f"{dataset.size} voxels of {dataset.spacing_mm:g} mm" if settings["field"] == "cube" else "its own box"
    steps = Data(dataset, recipe).steps_per_epoch()
    told = [
        *([finished.scale.note] if finished.scale.note else []),
        *explanation(summary),
        f"Data: {', '.join(f'{count} vertebrae of {source}' for source, count in sources.items())}; "
        f"{', '.join(f'{counts[split]} {split}' for split in SPLITS)}; split by patient. Field `{settings['field']}` "
        f"({grid}), protocol `{settings['protocol']}`.",
        f"Every run: {recipe.epochs} epochs of {steps} steps with {recipe.batch_size * recipe.accumulate} vertebrae "
        f"each, preset `{finished.preset}`, the same seed ({recipe.seed}) and the same order of samples.",
    ]
    devices = sorted({pace.device for pace in finished.paces.values()})
    if devices:
        several = " Times on different devices cannot be compared." if len(devices) > 1 else ""
        told.append(f"Time per step: median, loading included, on {', '.join(devices)}.{several}")
    return told + [f"{name} failed: {reason}" for name, reason in finished.failures.items()]


def costs(finished: Finished, run: Run) -> list[str]:
    """Parameters and seconds per step as printed."""
    pace = finished.paces.get(run.name)
    count = parameters(run.recipe)
    size = f"{count / 1e6:.2f} M" if count < 1e8 else f"{count / 1e6:.0f} M"
    return [size, f"{pace.step_s:.3g}" if pace else MISSING]


def cost_columns(finished: Finished, run: Run) -> dict[str, Any]:
    """The columns of table.csv that say how a run went."""
    pace = finished.paces.get(run.name)
    return {
        "run": run.name,
        "state": FAILED if run.name in finished.failures else FINISHED,
        "reason": finished.failures.get(run.name, ""),
        "parameters": parameters(run.recipe),
        "step_s": pace.step_s if pace else None,
        "device": pace.device if pace else "",
    }


def figure_list(captions: Mapping[str, str]) -> list[str]:
    """Paragraphs of Markdown: file -> caption."""
    return ["## Figures", *(f"![]({name})\n\n{text}" for name, text in captions.items())]


def printed(cell: Cell) -> str:
    """Mean ± SD [interval], the best mean bold."""
    if cell.mean == MISSING:
        return MISSING
    mean = f"**{cell.mean}**" if cell.best else cell.mean
    return " ".join(part for part in (mean, f"± {cell.sd}", cell.interval) if part)


def _means(finished: Finished, run: Run, found: Mapping[tuple[str, str], Cell], metrics: Sequence[str]) -> list[str]:
    if run.name in finished.failures:
        return [FAILED, *[""] * (len(metrics) - 1)]
    return [printed(found[run.name, metric]) for metric in metrics]


def _quoted(value: float | None) -> str:
    """With the digits that the paper prints."""
    if value is None:
        return ""
    return f"{value:.2f}" if value > 10 else f"{value:.4f}"
