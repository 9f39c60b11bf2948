"""Table and figures of the study of angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from EARReconstructionLib.bundle import Bundle, load_bundle
from EARReconstructionLib.job import Progress
from EARReconstructionLib.report.rendering import NoRendererError
from EARReconstructionLib.volume_io import written_whole

from ..evaluation.figures.choice import examples
from ..evaluation.figures.surfaces import draw_distances
from ..evaluation.prediction import Prediction
from ..evaluation.summary import differences, summarise
from ..evaluation.tables import Cell, cells, heading
from ..metrics import METRICS
from .angle_figures import draw_curves, draw_matrix
from .angle_rows import SPLIT, measured, predictions_at
from .report import caption, cost_columns, costs, figure_list, printed
from .study import FAILED, Finished, Run
from .texts import TextTable, document, latex_document, write_text

#: The three ways of using a model that are compared, as tables and figures name them.
OWN, ALL, RIGHT = "one model per angle", "one model for all angles", "the model for 90°"

SHOWN = ("dice", "assd_mm")

#: Angles of the paper's surfaces.
SHOWN_DEG = (60, 90, 140)


def report(finished: Finished, device: str, jobs: int, progress: Progress | None) -> list[Path]:
    """Test every model at every angle; write rows.csv, table and figures, and return their paths."""
    out, folder = finished.out, finished.out / "evaluation"
    bundles = {name: load_bundle(path) for name, path in finished.bundles.items()}
    angles = {run.name: _trained(run) for run in finished.runs}
    tested = [angle for angle in angles.values() if angle is not None]
    rows = measured(bundles, finished.dataset, tested, folder / "finished", device, jobs, progress)
    metrics = [metric for metric in METRICS if metric in rows]
    summary = _per_angle(rows, metrics)
    compared = compare(rows, angles)
    taken = finished.runs[0].recipe.simulation.acquisition
    lines = _per_angle(compared, SHOWN)
    notes = [
        *caption(finished, summary),
        f"{OWN}: trained and tested at the same angle, with replicated X-rays, as in the paper. {ALL}: trained on "
        f"angles between {min(tested)}° and {max(tested)}°, with X-rays that are back-projected along their beams. "
        f"{RIGHT}: that of the first kind, at all angles. The lateral view stays, the frontal one turns.",
        f"Trained on X-rays within {2 * taken.alpha_error_deg:g}° of the angle. Tested on X-rays exactly at it, "
        "without noise, of the same vertebrae as they are.",
    ]
    tables = [*(_table(metric, lines, compared, tested) for metric in SHOWN), _cost_table(finished)]
    write_csv(folder / "rows.csv", rows)
    write_csv(out / "table.csv", _frame(finished, summary, angles))
    note = finished.scale.note
    draw_curves(out / "curves.png", lines, SHOWN, note)
    draw_matrix(out / "matrix.png", summary, list(bundles), SHOWN, note)
    drawn = {
        "curves.png": "As Fig. 11 of the paper: means over the test vertebrae; bands: 95 % intervals over patients.",
        "matrix.png": "Every model (row) at every angle (column): means over the test vertebrae.",
    }
    try:
        chosen = _draw_surfaces(out / "surfaces.png", finished, bundles, rows, angles, device)
    except NoRendererError as error:
        notes.append(f"Not drawn: surfaces.png ({error}).")
    else:
        drawn["surfaces.png"] = f"As the surfaces of Fig. 11. {chosen}"
    write_text(out / "table.md", document(finished.title, tables, notes, figure_list(drawn)))
    write_text(out / "table.tex", latex_document(tables, notes))
    return [*(out / f"table.{kind}" for kind in ("csv", "md", "tex")), *(out / name for name in drawn)]


def compare(rows: pd.DataFrame, angles: Mapping[str, int | None]) -> pd.DataFrame:
    """The rows of the three ways of using a model, under their names. angles: model -> its angle, None for any."""
    trained = rows["method"].map(angles)
    parts = {
        OWN: rows[trained == rows["angle_deg"]],
        ALL: rows[trained.isna()],
        RIGHT: rows[trained == 90],
    }
    return pd.concat([part.assign(method=name) for name, part in parts.items()], ignore_index=True)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table whole, or not at all."""
    with written_whole(path) as beside:
        frame.to_csv(beside, index=False)


def _trained(run: Run) -> int | None:
    """The angle of a run, None for one that is for all."""
    low, high = run.recipe.simulation.acquisition.angle_deg
    return round(low) if low == high else None


def _per_angle(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Lines of summarise over all vertebrae, with the angle."""
    parts = []
    for angle, own in rows.groupby("angle_deg"):
        lines = summarise(own, metrics)
        parts.append(lines[lines["scope"] == "all"].assign(angle_deg=angle))
    return pd.concat(parts, ignore_index=True)


def _table(metric: str, lines: pd.DataFrame, compared: pd.DataFrame, angles: Sequence[int]) -> TextTable:
    named = lines.assign(method=lines["method"] + lines["angle_deg"].astype(str))  # one number of decimals for all
    found = cells(named, [metric])
    rows = []
    for angle in angles:
        texts = [_text(found.get((f"{way}{angle}", metric))) for way in (OWN, ALL, RIGHT)]
        rows.append([f"{angle}°", *texts, _difference(compared[compared["angle_deg"] == angle], metric)])
    return TextTable(heading(metric), ["tested at", OWN, ALL, RIGHT, f"{ALL} minus {OWN}"], rows)


def _text(cell: Cell | None) -> str:
    return "" if cell is None else printed(Cell(cell.mean, cell.sd, cell.interval))


def _difference(rows: pd.DataFrame, metric: str) -> str:
    own = rows[rows["method"].isin((OWN, ALL))]
    if own["method"].nunique() < 2:
        return ""
    cell = cells(differences(own, [metric], OWN), [metric])[ALL, metric]
    return f"{cell.mean} {cell.interval}".strip()


def _cost_table(finished: Finished) -> TextTable:
    rows = []
    for run in finished.runs:
        state = f" ({FAILED})" if run.name in finished.failures else ""
        rows.append([f"{run.name}{state}", run.recipe.lift, *costs(finished, run)])
    return TextTable("Models", ["trained at", "Lift", "Parameters", "Time per step [s]"], rows)


def _frame(finished: Finished, summary: pd.DataFrame, angles: Mapping[str, int | None]) -> pd.DataFrame:
    """One line per run and angle that it was tested at: state, cost, and per metric mean, SD and interval."""
    lines = []
    for run in finished.runs:
        head: dict[str, Any] = {**cost_columns(finished, run), "trained_deg": angles[run.name], "lift": run.recipe.lift}
        own = summary[summary["method"] == run.name]
        for angle, group in own.groupby("angle_deg"):
            line = {**head, "tested_deg": angle}
            for one in group.itertuples():
                line |= {
                    one.metric: one.mean,
                    f"{one.metric}_sd": one.sd,
                    f"{one.metric}_low": one.low,
                    f"{one.metric}_high": one.high,
                }
            lines.append(line)
        if own.empty:
            lines.append(head)
    return pd.DataFrame(lines)


def _draw_surfaces(
    path: Path,
    finished: Finished,
    bundles: Mapping[str, Bundle],
    rows: pd.DataFrame,
    angles: Mapping[str, int | None],
    device: str,
) -> str:
    """A vertebra rebuilt at some angles, by the model of each and by the one for all. Returns which one, and why."""
    each = {angle: name for name, angle in angles.items() if name in bundles and angle is not None}
    for_all = [name for name, angle in angles.items() if name in bundles and angle is None]
    shown = [angle for angle in SHOWN_DEG if not each or angle in each] or list(each)[: len(SHOWN_DEG)]
    judge, at = for_all[0] if for_all else each[shown[0]], 90 if 90 in shown else shown[0]
    (id,) = examples(rows[rows["angle_deg"] == at], judge, ("median",)).values()
    test = finished.dataset.rows_of(SPLIT)
    number = [row.id for row in test].index(id)
    every = dict.fromkeys(shown, for_all[0]) if for_all else {}
    ways = {"One model\nper angle": each, "One model\nfor all angles": every}
    pictures: dict[str, dict[str, Prediction]] = {way: {} for way, models in ways.items() if models}
    assd_mm = {}
    for way, angle in product(pictures, shown):
        name = ways[way][angle]
        found = next(predictions_at(bundles[name], finished.dataset, angle, [number], device))
        row = replace(test[number], id=f"{id} {way}")  # the same vertebra in another row of the figure
        pictures[way][f"{angle}°"] = replace(found, truth=replace(found.truth, row=row))
        own = rows[(rows["method"] == name) & (rows["angle_deg"] == angle) & (rows["id"] == id)]
        assd_mm[f"{angle}°", row.id] = float(own["assd_mm"].iloc[0])
    rule = f"{test[number].level} of {test[number].patient}, chosen by rule: the median ASSD of {judge!r} at {at}°."
    draw_distances(path, pictures, assd_mm, f"{rule} {finished.scale.note}".strip())
    return rule
