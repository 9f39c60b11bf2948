"""Step 5: how far the reconstruction is from a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...colours import RANGE_MM
from ...comparison import BONE_THRESHOLD_HU, Comparison
from ...errors import EARError
from ...job import Cancel, Progress
from ...report.chart import draw_histogram
from ...resources import SAMPLE_CASE
from ...scene.comparisons import comparisons_of
from ...scene.heatmap import measured_nodes, set_range
from ...scene.nodes import Node, find_node, find_nodes, remove_nodes
from ...scene.review import MARK, jump, mark, worst_point
from ...scene.tables import show_histogram
from ...scene.tasks import comparison_task
from ..references import OPENED, Reference, read_reference
from .results import Results
from .step import Step, number

#: Shape of the chart; the page stretches it.
_CHART_MM = 86.0, 34.0

_SAMPLE_REFERENCE = SAMPLE_CASE / "reference" / "segmentation.seg.nrrd"


class Review(Step):
    """State: reference (its name, or ""), reference_is_ct, threshold_hu, sample_reference (whether there is one),
    measured (rows of the table), histogram (SVG), range_mm, heat_map, on_reference, worst."""

    name, title = "review", "Review"

    def prepare(self) -> None:
        self.state.update({"reference": "", "reference_is_ct": False, "threshold_hu": BONE_THRESHOLD_HU})
        self.state.update({"sample_reference": False, "measured": [], "histogram": "", "range_mm": RANGE_MM})
        self.state.update({"heat_map": True, "on_reference": False, "worst": ""})
        self._node: Node | None = None
        self._read: object = None
        self.bind("Comparison", self.compare, self.use_sample_reference, self.type_threshold)
        self.bind("Review", self.show_heat_map, self.choose_range, self.choose_side, self.show_worst, self.show_level)

    def refresh(self) -> None:
        surfaces = [(node.GetID(), node.GetPolyData().GetMTime()) for node in measured_nodes(self.scene)]
        if (self.run, surfaces, self.state.range_mm) != self._read:  # reading it all takes longer than a drag allows
            self._read = self.run, surfaces, self.state.range_mm
            self._tell(comparisons_of(self.scene, self.run) if self.run and surfaces else [])

    def _tell(self, comparisons: list[Comparison]) -> None:
        self.state.measured = [
            {
                "level": one.level,
                "dice": f"{one.dice:.3f}",
                "assd": f"{one.error.assd_mm:.2f}",
                "hd95": f"{one.error.hd95_mm:.2f}",
                "within": f"{100 * one.error.nsd_2mm:.0f}",
            }
            for one in comparisons
        ]
        chart = draw_histogram(comparisons, self.state.range_mm, *_CHART_MM) if comparisons else ""
        self.state.histogram = chart
        if comparisons:
            mean = sum(one.error.assd_mm for one in comparisons) / len(comparisons)
            self.state.worst = worst_point(comparisons)[1]
            self.summarise(True, f"{mean:.2f} mm mean distance")
        else:
            self.state.worst = ""
            self.summarise(False, "")
            if self.state.on_reference or not self.state.heat_map:
                self.state.update({"on_reference": False, "heat_map": True})

    def receive(self, path: Path) -> None:
        """A reference that was uploaded."""

        def read(_: Progress, __: Cancel) -> Reference:
            return read_reference(path)

        def take(reference: Reference) -> None:
            self._take(reference)
            path.unlink(missing_ok=True)  # it is in the scene now

        self.session.start("Reading the reference", read, take)

    def use_sample_reference(self) -> None:
        """Take the sample case's own, and compare at once: there is nothing to choose."""

        def read(_: Progress, __: Cancel) -> Reference:
            return read_reference(_SAMPLE_REFERENCE)

        def take(reference: Reference) -> None:
            self._take(reference)
            self.compare()

        self.session.start("Reading the reference", read, take)

    def clear(self) -> None:
        remove_nodes(self.scene, [*find_nodes(self.scene, OPENED), *find_nodes(self.scene, MARK)])
        self._node = None
        self.state.update({"reference": "", "reference_is_ct": False, "threshold_hu": BONE_THRESHOLD_HU})
        self.state.update({"heat_map": True, "on_reference": False, "sample_reference": False})

    def adopt(self) -> None:
        """Take the reference that came with a scene."""
        node = find_node(self.scene, OPENED)
        if node is not None:
            is_ct = node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")
            self._node = node
            self.state.update({"reference": node.GetName(), "reference_is_ct": is_ct})

    def type_threshold(self, text: Any) -> None:
        """The bone threshold of a CT, HU."""
        value = number(text)
        if value is None:
            raise EARError("Threshold", f"{text!r} is no number", "Give Hounsfield units, such as 200")
        self.state.threshold_hu = value

    def compare(self) -> None:
        """Measure the run against the reference, off the event loop."""
        if self.run is None or self._node is None:
            raise EARError("Comparison", "there is nothing to compare", "Reconstruct, then choose a reference")
        threshold = self.state.threshold_hu if self.state.reference_is_ct else None
        run, range_mm = self.run, self.state.range_mm
        task = comparison_task(self.scene, run, self._node, threshold_hu=threshold, range_mm=range_mm)

        def show(found: Any) -> None:
            remarks = task.show(found)
            self.state.update({"heat_map": True, "on_reference": False, "expected_error": False})
            self.state.update({"arrangement": "spine", "step": "review"})
            self.session.part(Results).shown(run)
            if remarks:  # or what was said meanwhile, such as that a file has to wait, stays
                self.session.say(" ".join(remarks), "warning")

        self.session.start("Comparison", task.work, show, watch=task.nodes)

    def show_heat_map(self, on: bool) -> None:
        """Show distances as colours, or each vertebra in its own."""
        self.state.update({"heat_map": on, "expected_error": False})
        self.session.part(Results).colour()

    def choose_range(self, range_mm: float) -> None:
        """Let the colours run from minus to plus this."""
        assert self.run is not None
        set_range(self.scene, float(range_mm))
        self.state.range_mm = float(range_mm)
        show_histogram(self.scene, comparisons_of(self.scene, self.run), self.run, float(range_mm))

    def choose_side(self, reference: bool) -> None:
        """Show the heat map on the reference, or on the reconstruction."""
        assert self.run is not None
        self.state.on_reference = reference
        self.session.part(Results).choose_look("surfaces")

    def show_worst(self) -> None:
        """Turn the views to the worst point, and mark it."""
        assert self.run is not None
        self._show(comparisons_of(self.scene, self.run))

    def show_level(self, level: str) -> None:
        """Turn the views to the worst point of a vertebra."""
        assert self.run is not None
        self._show([one for one in comparisons_of(self.scene, self.run) if one.level == level])

    def _show(self, comparisons: list[Comparison]) -> None:
        point, words = worst_point(comparisons)
        mark(self.scene, point, words)
        jump(self.scene, point)

    def _take(self, reference: Reference) -> None:
        remove_nodes(self.scene, [*find_nodes(self.scene, OPENED), *find_nodes(self.scene, MARK)])
        self._node = reference.show(self.scene)
        self.state.update({"reference": reference.name, "reference_is_ct": reference.is_ct})
