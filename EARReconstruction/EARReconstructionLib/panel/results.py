"""Section 4: what has been reconstructed, and how it is seen."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from ..errors import EARError
from ..scene import display
from ..scene.heatmap import set_expected_errors, set_heat_map, set_range
from ..scene.nodes import EDGES, LEVEL, RUN, VOLUME, find_nodes
from ..scene.results import remove_results, rois_of, runs
from ..scene.side_by_side import is_side_by_side
from ..scene.tasks import Replaced, take_back
from .host import Panel
from .section import Section
from .views import show_xrays_and_spine

_SHOW, _MODEL, _VERTEBRAE = range(3)

#: Notes that are shown; the others are in the tool tip.
_NOTES = 3


class ResultsSection(Section):
    """Lists the runs, one for each model, and shows them as the parameters say."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "EARReconstructionResults", _("4. Results"))
        self._replaced: Replaced | None = None
        self._shown: object = None
        self._filling = False
        header = self.ui.runsTable.horizontalHeader()
        header.setSectionResizeMode(_SHOW, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_MODEL, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(_VERTEBRAE, qt.QHeaderView.ResizeToContents)
        self.ui.runsTable.connect("itemChanged(QTableWidgetItem*)", self.onItem)
        self.ui.runsTable.connect("itemSelectionChanged()", self.onSelection)
        self.ui.removeButton.connect("clicked()", self.onRemove)
        self.ui.takeBackButton.connect("clicked()", self.onTakeBack)

    @property
    def run(self) -> str:
        """The run that is looked at: the chosen one, else the newest; empty when there is none."""
        there = runs(self.panel.scene)
        chosen = self._node.run if self._node else ""
        return chosen if chosen in there else (there[-1] if there else "")

    # -- what is shown

    def refresh(self) -> None:
        """The table of runs, and what is seen of them."""
        there, run = runs(self.panel.scene), self.run
        if self._replaced is not None and self._replaced.run not in there:
            self._replaced = None
        self._fill(there, run)
        self._showNotes(run)
        none = "" if run else _("Reconstruct a vertebra first")
        self.enable(
            self.ui.boneVolumeCheckBox, none, _("Show the bone of the whole spine as a volume, not as surfaces")
        )
        self.enable(self.ui.removeButton, none, _("Remove the results of {run} from the scene").format(run=run))
        self.enable(
            self.ui.takeBackButton,
            "" if self._replaced else _("There is no new reconstruction to undo"),
            _("Take back the last reconstruction: what it replaced comes back"),
        )
        level = self._edgesOf(run)
        without = "" if level else _("The network of {run} draws no edges").format(run=run)
        self.enable(
            self.ui.edgeMapCheckBox, none or without, _("Show where the network saw edges, in 3-D and in the planes")
        )
        self.ui.edgeMapCheckBox.text = _("Edge map of {level}").format(level=level) if level else _("Edge map")
        self._show(there, run)

    def _fill(self, there: list[str], run: str) -> None:
        table = self.ui.runsTable
        self.ui.emptyLabel.setVisible(not there)
        table.setVisible(bool(there))
        self._filling = True
        table.setRowCount(len(there))
        for row, name in enumerate(there):
            levels = list(rois_of(self.panel.scene, name))
            eye = _item(table, row, _SHOW, "")
            eye.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable)
            shown = display.is_run_shown(self.panel.scene, name)
            eye.setCheckState(qt.Qt.Checked if shown else qt.Qt.Unchecked)
            eye.setToolTip(_("Show or hide these results"))
            _item(table, row, _MODEL, name).setToolTip(_("Click to look at these results"))
            _item(table, row, _VERTEBRAE, str(len(levels))).setToolTip(", ".join(levels))
        if run:
            table.selectRow(there.index(run))
        self._filling = False

    def _showNotes(self, run: str) -> None:
        notes = display.notes_of(self.panel.scene, run)
        text = "\n".join(notes[:_NOTES])
        if len(notes) > _NOTES:
            text += "\n" + _("and {count} more (rest the mouse here)").format(count=len(notes) - _NOTES)
        self.ui.notesLabel.text = text
        self.ui.notesLabel.toolTip = "\n".join(notes)
        self.ui.notesLabel.setVisible(bool(notes))

    def _edgesOf(self, run: str) -> str:
        """The level whose edge map can be shown: the selected one, else the first that has one."""
        levels = [node.GetAttribute(LEVEL) for node in find_nodes(self.panel.scene, EDGES, run=run)]
        selected = self._node.selectedLevel if self._node else ""
        return selected if selected in levels else next(iter(levels), "")

    def _show(self, there: list[str], run: str) -> None:
        """Show the runs as the parameters say, when these have changed since the last time."""
        node, scene = self._node, self.panel.scene
        if node is None or self.panel.busy or is_side_by_side(scene):  # there each surface has a view of its own
            return
        edges = self._edgesOf(run) if node.edgeMap else ""
        levels = tuple((one.GetAttribute(RUN), one.GetAttribute(LEVEL)) for one in find_nodes(scene, VOLUME))
        colours = (node.heatMap, node.rangeMm, node.expectedError)
        wanted = (levels, run, edges, node.boneVolume, node.onReference, *colours)
        if wanted == self._shown or not (levels or self._shown):
            return
        self._shown = wanted
        try:
            for name in there:
                display.show_run(
                    scene,
                    name,
                    display.is_run_shown(scene, name),
                    on_reference=node.onReference,
                    bone=node.boneVolume,
                    edges_of=edges if name == run else "",
                )
            set_heat_map(scene, node.heatMap)
            set_range(scene, node.rangeMm)
            set_expected_errors(scene, node.expectedError)
            display.show_in_planes(scene, run, edges)
            display.show_boxes(scene)
        except EARError as error:
            self.panel.say(str(error), "error")

    def showAgain(self) -> None:
        """Something else has changed what is seen: show it as the parameters say."""
        self._shown = None
        self.panel.changed()

    # -- what the user does

    def onReconstructed(self, replaced: Replaced) -> None:
        """New results are in the scene: show them, and hide those of other models."""
        scene, node = self.panel.scene, self._node
        self._replaced = replaced
        if is_side_by_side(scene):
            show_xrays_and_spine()
        for name in runs(scene):
            display.show_run(scene, name, name == replaced.run)
        if node is not None:
            node.run, node.onReference = replaced.run, False
        if not replaced.before:
            display.look_at(scene, replaced.run)
            if node is not None:
                node.showXraysIn3D = False  # their planes go through the spine and hide half of it
        self.showAgain()
        count = len(replaced.levels)
        self.panel.say(
            _("{level} is reconstructed.").format(level=replaced.levels[0])
            if count == 1
            else _("{count} vertebrae are reconstructed.").format(count=count)
        )

    def onItem(self, item: Any) -> None:
        """A box was ticked: show or hide a run."""
        if self._filling or item.column() != _SHOW:
            return
        run = self.ui.runsTable.item(item.row(), _MODEL).text()
        if is_side_by_side(self.panel.scene):
            show_xrays_and_spine()
        display.show_run(self.panel.scene, run, item.checkState() == qt.Qt.Checked)
        self.showAgain()

    def onSelection(self) -> None:
        """A row was chosen: this run is looked at, and shown if it was hidden."""
        row = self.ui.runsTable.currentRow()
        if self._filling or row < 0 or self._node is None:
            return
        self._node.run = self.ui.runsTable.item(row, _MODEL).text()

    def onRemove(self) -> None:
        """Remove the run that is looked at."""
        with self.panel.attempt(_("Removing results")):
            run = self.run
            remove_results(self.panel.scene, run)
            self.panel.say(_("The results of {run} are removed.").format(run=run))

    def onTakeBack(self) -> None:
        """Undo the last reconstruction."""
        replaced, self._replaced = self._replaced, None
        if replaced is None:
            return
        with self.panel.attempt(_("Undoing the reconstruction")):
            take_back(self.panel.scene, replaced)
            self.showAgain()
            self.panel.say(_("{levels}: the last reconstruction is undone.").format(levels=", ".join(replaced.levels)))


def _item(table: Any, row: int, column: int, text: str) -> Any:
    """The item of a cell with a text, made when there is none."""
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem()
        table.setItem(row, column, item)
    item.setText(text)
    return item
