"""Section 5: the reconstruction beside a reference, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..results import check_output
from ..scene.comparisons import comparisons_of
from ..scene.nodes import find_node
from ..scene.results import runs
from ..scene.review import jump, mark, worst_point
from ..scene.tables import STATISTICS, show_numbers
from ..scene.tasks import comparison_task, export_task
from . import settings
from .host import Panel
from .models import installed_models
from .references import is_ct, load_reference, reference_nodes
from .results import ResultsSection
from .section import Section
from .views import SIDE_BY_SIDE, current_views, show_side_by_side, show_spine_and_numbers, show_xrays_and_spine


class ReviewSection(Section):
    """Compares the run that is looked at with a reference, shows distances, and saves results."""

    def __init__(self, panel: Panel, results: ResultsSection) -> None:
        super().__init__(panel, "EARReconstructionReview", _("5. Review and save"))
        self._results = results
        self._references: list[Any] = []
        self._told: list[str] = []
        for name in (_("X-rays, axial plane, 3-D"), _("3-D, histogram, table"), _("Models side by side")):
            self.ui.viewsCombo.addItem(name)
        self.ui.referenceCombo.connect("activated(int)", self.onReference)
        self.ui.openReferenceButton.connect("clicked()", self.onOpenReference)
        self.ui.compareButton.connect("clicked()", self.onCompare)
        self.ui.worstButton.connect("clicked()", self.onWorst)
        self.ui.viewsCombo.connect("activated(int)", self.onViews)
        self.ui.saveButton.connect("clicked()", self.onSave)

    # -- what is shown

    def refresh(self) -> None:
        """The references, and what has been measured."""
        run = self._results.run
        none = "" if run else _("Reconstruct a vertebra first")
        self._fillReferences()
        reference = self._node.referenceNode if self._node else None
        asks = reference is not None and is_ct(reference)
        self.ui.thresholdLabel.setVisible(asks)
        self.ui.thresholdSlider.setVisible(asks)
        self.ui.thresholdSlider.enabled = not self.panel.busy
        self.enable(
            self.ui.referenceCombo, "", _("The truth: a segmentation, a model, or, roughly, a CT with a threshold")
        )
        self.enable(self.ui.openReferenceButton, "", _("Load a reference from a file"))
        self.enable(
            self.ui.compareButton,
            none or ("" if reference else _("Choose a reference first")),
            _("Measure the distances between {run} and the reference").format(run=run),
        )
        table = find_node(self.panel.scene, STATISTICS, run=run) if run else None
        self.ui.measuredFrame.setVisible(table is not None)
        if self.ui.statisticsTable.mrmlTableNode() is not table:
            self.ui.statisticsTable.setMRMLTableNode(table)
            self.ui.statisticsTable.resizeColumnsToContents()
        show_numbers(self.panel.scene, run)
        self.enable(self.ui.worstButton, "", _("Go to the greatest distance, and mark it"))
        self.enable(self.ui.viewsCombo, none, _("What the main window shows"))
        self.ui.viewsCombo.setCurrentIndex(current_views())
        self.enable(self.ui.saveButton, none, _("Write volumes, surfaces, distances and a report into a folder"))

    def _fillReferences(self) -> None:
        scene, combo = self.panel.scene, self.ui.referenceCombo
        nodes = reference_nodes(scene)
        self._references = nodes
        names = [_("none"), *(node.GetName() or "" for node in nodes)]
        if names != self._told:
            self._told = names
            combo.clear()
            for name in names:
                combo.addItem(name)
        chosen = self._node.referenceNode if self._node else None
        combo.setCurrentIndex(nodes.index(chosen) + 1 if chosen in nodes else 0)

    # -- what the user does

    def onReference(self, index: int) -> None:
        """A reference was chosen."""
        if self._node is not None:
            self._node.referenceNode = self._references[index - 1] if index else None

    def onOpenReference(self) -> None:
        """Load a reference from a file and choose it."""
        path = qt.QFileDialog.getOpenFileName(
            self.widget,
            _("Open a reference"),
            settings.value("LastFolder"),
            _("Segmentations, meshes, volumes") + " (*.seg.nrrd *.nrrd *.nii *.nii.gz *.stl *.ply *.obj *.vtp *.vtk)",
        )
        if not path:
            return
        with self.panel.attempt(_("Opening the reference")):
            settings.setValue("LastFolder", str(Path(path).parent))
            self._node.referenceNode = load_reference(Path(path))

    def onCompare(self) -> None:
        """Measure."""
        with self.panel.attempt(_("Comparison")):
            node, run = self._node, self._results.run
            task = comparison_task(
                self.panel.scene,
                run,
                node.referenceNode,
                threshold_hu=node.referenceThresholdHu if is_ct(node.referenceNode) else None,
                range_mm=node.rangeMm,
            )

            def done(found: Any) -> None:
                remarks = task.show(found)
                node.expectedError = False  # the heat map is what was asked for now
                if current_views() == SIDE_BY_SIDE:  # the reference has joined
                    self._sideBySide()
                self._results.showAgain()
                text = _("{run} is compared with {reference}.").format(run=run, reference=node.referenceNode.GetName())
                self.panel.say("\n".join([text, *remarks]), "warning" if remarks else "info")

            self.panel.start(_("Comparing"), task.work, done, watch=task.nodes)

    def onWorst(self) -> None:
        """Go to the greatest distance."""
        with self.panel.attempt(_("Worst point")):
            place, text = worst_point(comparisons_of(self.panel.scene, self._results.run))
            mark(self.panel.scene, place, text)
            jump(self.panel.scene, place)
            self.panel.say(_("The greatest distance: {text}.").format(text=text))

    def onViews(self, index: int) -> None:
        """Other views were chosen."""
        with self.panel.attempt(_("Views")):
            (show_xrays_and_spine, show_spine_and_numbers, self._sideBySide)[index]()
            self._results.showAgain()

    def _sideBySide(self) -> None:
        show_side_by_side(runs(self.panel.scene), self._node.rangeMm)

    def onSave(self) -> None:
        """Write the results into a folder."""
        folder = qt.QFileDialog.getExistingDirectory(
            self.widget, _("An empty folder for the results"), settings.value("ResultsFolder")
        )
        if folder:
            self.save(Path(folder))

    def save(self, folder: Path) -> None:
        """Write the results into a folder that is empty, or holds earlier ones that may go."""
        with self.panel.attempt(_("Saving the results")):
            settings.setValue("ResultsFolder", str(folder))
            check_output(folder, overwrite=True)
            question = _("{folder} holds earlier results. Replace them?").format(folder=folder)
            earlier = folder.is_dir() and any(folder.iterdir())
            if earlier and not slicer.util.confirmYesNoDisplay(question):
                return
            qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
            try:
                task = export_task(
                    self.panel.scene,
                    self._results.run,
                    folder,
                    models=installed_models().values(),
                    overwrite=earlier,
                    draw_now=True,
                )
            finally:
                qt.QApplication.restoreOverrideCursor()
            self.panel.start(_("Saving the results"), task.work, self._saved(folder), watch=task.nodes)

    def _saved(self, folder: Path) -> Callable[[Any], None]:
        def done(_summary: Any) -> None:
            self.panel.say(_("Saved in {folder}: open report.html there.").format(folder=folder))

        return done
