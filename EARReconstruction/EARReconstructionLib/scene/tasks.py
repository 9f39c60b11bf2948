"""Long work on a scene in three steps: look, work, show.

A scene belongs to one thread. So a task is made there, from copies of all that it needs; its work knows no scene and
may run on any thread (job.Job); what came out is shown in the scene's thread again. ``Task.run`` does it in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..comparison import Comparison, compare
from ..errors import Cancelled, CaseError, ReferenceSurfaceError
from ..job import Cancel, Progress
from ..radiograph import ROLES
from ..report import FILE_NAME, draw_report, write_report
from ..results import Draw, Result, write_result
from .comparisons import show_comparisons
from .exports import result_of
from .heatmap import RANGE_MM
from .nodes import VOLUME, Node, Scene, find_nodes
from .radiographs import geometry_of, radiograph_nodes, radiograph_of
from .references import reference_work, run_shapes
from .results import ShownVertebra, remove_results, show_results, vertebrae
from .rois import roi_nodes, roi_of

if TYPE_CHECKING:
    from ..reconstruction import Reconstruction

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Task(Generic[T, R]):
    """work: on any thread. show: in the scene's thread, with what work returned. nodes: none may go meanwhile."""

    work: Callable[[Progress, Cancel], T]
    show: Callable[[T], R]
    nodes: tuple[Node, ...]

    def run(self, progress: Progress | None = None, cancel: Cancel | None = None) -> R:
        """All of it, here and now. Raises what its steps raise, and Cancelled."""
        return self.show(self.work(progress or (lambda *_: None), cancel or (lambda: False)))


@dataclass(frozen=True, eq=False)
class Replaced:
    """What a reconstruction changed in a run: its levels, and the vertebrae that were there before."""

    run: str
    levels: tuple[str, ...]
    before: tuple[ShownVertebra, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a comparison found: level by level, the surfaces it was made with, and sentences on what did not fit."""

    comparisons: list[Comparison]
    references: dict[str, vtkPolyData]
    remarks: list[str]


def reconstruction_task(
    scene: Scene,
    model: Path,
    levels: Collection[str] | None = None,
    device: str = "auto",
    *,
    uncertainty: bool = False,
) -> Task[list[Reconstruction], Replaced]:
    """Rebuild the scene's vertebrae (None: all of them) by the model of a file.

    uncertainty: with the error to expect, which takes seven times as long.

    Raises GeometryError when a radiograph is missing, CaseError when a level has no ROI; the work raises BundleError,
    CaseError and DeviceError.
    """
    nodes = radiograph_nodes(scene)
    geometry = geometry_of(scene)
    radiographs = [radiograph_of(nodes[role]) for role in ROLES]
    chosen = {roi.level: (node, roi) for node in roi_nodes(scene) for roi in [roi_of(node)]}
    missing = sorted(set(levels or ()) - set(chosen))
    if missing or not chosen:
        raise CaseError("scene", f"it has no ROI for {', '.join(missing) or 'any vertebra'}", "Add one")
    chosen = {level: pair for level, pair in chosen.items() if levels is None or level in levels}

    def work(progress: Progress, cancel: Cancel) -> list[Reconstruction]:
        from ..bundle import load_bundle
        from ..reconstruction import reconstruct

        rois = [roi for _, roi in chosen.values()]
        progress(0, len(rois), rois[0].level)
        return reconstruct(
            radiographs,
            geometry,
            rois,
            load_bundle(model),
            device=device,
            uncertainty=uncertainty,
            progress=progress,
            cancel=cancel,
        )

    def show(rebuilt: list[Reconstruction]) -> Replaced:
        run = rebuilt[0].model
        before = tuple(one for one in vertebrae(scene, run) if one.roi.level in chosen)
        show_results(scene, rebuilt)
        return Replaced(run, tuple(chosen), before)

    return Task(work, show, (*nodes.values(), *(node for node, _ in chosen.values())))


def take_back(scene: Scene, replaced: Replaced) -> None:
    """Undo a reconstruction: its vertebrae go, and those that were there before come back, not yet compared."""
    before = {one.roi.level for one in replaced.before}
    remove_results(scene, replaced.run, set(replaced.levels) - before)
    if before:
        show_results(scene, cast("list[Reconstruction]", list(replaced.before)))


def comparison_task(
    scene: Scene, run: str, reference: Node, *, threshold_hu: float | None = None, range_mm: float = RANGE_MM
) -> Task[Measured, list[str]]:
    """Measure a run against a reference node; what it shows returns a sentence for each level that did not fit.

    threshold_hu: of bone, when the reference is a CT. Raises ReferenceSurfaceError, and so does the work when no level
    can be compared.
    """
    make_references = reference_work(scene, run, reference, threshold_hu=threshold_hu)
    shapes = run_shapes(scene, run)

    def work(progress: Progress, cancel: Cancel) -> Measured:
        references = make_references()
        common = [level for level in shapes if level in references]
        if not common:
            compare(shapes, references)  # says what each of them has
        found, remarks = [], []
        for n, level in enumerate(common):
            if cancel():
                raise Cancelled
            progress(n, len(common), level)
            try:
                found += compare({level: shapes[level]}, {level: references[level]})
            except ReferenceSurfaceError as error:  # one vertebra that does not fit must not cost the others
                remarks.append(f"{level} was not compared: {error}")
                if len(remarks) == len(common):
                    raise
        return Measured(found, {one.level: references[one.level].surface for one in found}, remarks)

    def show(measured: Measured) -> list[str]:
        show_comparisons(scene, measured.comparisons, measured.references, run, range_mm)
        return measured.remarks

    return Task(work, show, (reference, *find_nodes(scene, VOLUME, run=run)))


def export_task(
    scene: Scene,
    run: str,
    folder: Path,
    *,
    models: Iterable[Path] | None = None,
    overwrite: bool = False,
    draw_now: bool = False,
) -> Task[dict[str, Any], dict[str, Any]]:
    """Write a run into a folder as `ear reconstruct` does, with a report; the summary comes out.

    models: see result_of. overwrite: replace earlier results there. draw_now: draw the report here and not with the
    work; a desktop on macOS lets no other thread open a window, even one without a screen. Raises EARError's kinds, and
    so does the work.
    """
    result = result_of(scene, run, models=models)
    draw = _drawn(result) if draw_now else draw_report

    def work(progress: Progress, cancel: Cancel) -> dict[str, Any]:
        return write_result(result, folder, overwrite=overwrite, draw=draw)

    return Task(work, lambda summary: summary, tuple(find_nodes(scene, VOLUME, run=run)))


def _drawn(result: Result) -> Draw:
    """What writes a report that is drawn already."""
    with TemporaryDirectory() as folder:
        page = write_report(result, Path(folder) / FILE_NAME).read_bytes()

    def draw(_: Result, into: Path) -> list[str]:
        (into / FILE_NAME).write_bytes(page)
        return []

    return draw
