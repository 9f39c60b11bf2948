"""Section 2: one box for each vertebra, listed, named, sized and drawn on both X-rays."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _
from vtkmodules.vtkCommonCore import vtkCommand

from ..errors import EARError, GeometryError
from ..geometry.biplanar import BiplanarGeometry
from ..model_card import ModelCard, read_card
from ..scene.checks import warnings
from ..scene.neighbours import between, next_roi
from ..scene.nodes import LEVEL, Node, find_nodes, remove_nodes
from ..scene.observers import Observers
from ..scene.placing import ANCHORS, roi_of_level, show_rois, whole_spine
from ..scene.projected_rois import ProjectedROIs
from ..scene.radiographs import geometry_of
from ..scene.review import jump
from ..scene.rois import ROI, crop_mm, roi_nodes, roi_of, show_crop, show_roi
from ..vertebra import LEVELS, VertebraROI
from . import models
from .host import Panel, end_timer, make_timer
from .section import Section
from .vertebra_table import VertebraTable

#: The panel follows a box that is dragged when the hand rests, not at every step of the mouse.
_REST_MS = 150

#: The level that is offered first.
_FIRST = "L1"


class VertebraeSection(Section):
    """Lists the vertebra ROIs and keeps their boxes in both radiographs as long as there is a scene."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "EARReconstructionVertebrae", _("2. Vertebrae"))
        self._boxes: ProjectedROIs | None = None
        self._observers = Observers()
        self._filling = False
        self._suggested = ""
        self._table = VertebraTable(self.ui.vertebraeTable, self.select, self._setVisible)
        self._sizes = (self.ui.sizeRSpinBox, self.ui.sizeASpinBox, self.ui.sizeSSpinBox)
        self._restTimer = make_timer(_REST_MS, panel.changed, once=True)
        self.ui.addButton.connect("clicked()", self.add)
        self.ui.addLevelComboBox.connect("activated(int)", lambda _index: panel.changed())
        self.ui.fillButton.connect("clicked()", self.fillBetween)
        self.ui.wholeSpineButton.connect("clicked()", self.addWholeSpine)
        self.ui.deleteButton.connect("clicked()", self.delete)
        self.ui.levelComboBox.connect("activated(int)", self._onLevel)
        for axis, spin in enumerate(self._sizes):
            spin.connect("valueChanged(double)", lambda value, axis=axis: self._onSize(axis, value))

    def setParameterNode(self, node: Any) -> None:
        """The boxes are kept as long as there is a scene with parameters."""
        super().setParameterNode(node)
        self._restTimer.stop()
        self._observers.drop()
        if self._boxes is not None:
            self._boxes.close()
        self._boxes = None if node is None else ProjectedROIs(self.panel.scene, self._onBoxClicked)

    def cleanup(self) -> None:
        """Close the boxes."""
        super().cleanup()
        end_timer(self._restTimer, self.panel.changed)

    # -- what the user does

    def add(self) -> None:
        """Add the level of the combo box."""
        level = self.ui.addLevelComboBox.currentData
        with self.panel.attempt(_("Adding {level}").format(level=level)):
            roi = roi_of_level(level, self._rois(), geometry_of(self.panel.scene))
            self._show([roi])
            self.panel.say(_("Drag {level} onto its vertebra in both X-rays.").format(level=level))

    def fillBetween(self) -> None:
        """Add what is missing between the vertebrae that are there."""
        with self.panel.attempt(_("Filling between")):
            rois = between(self._rois(), geometry_of(self.panel.scene))
            self._show(rois)
            self.panel.say(
                _("{count} vertebrae were added. Look at each and drag it into place.").format(count=len(rois))
            )

    def addWholeSpine(self) -> None:
        """Add three vertebrae from which the others can be filled in."""
        with self.panel.attempt(_("Adding a spine")):
            self._show(whole_spine(geometry_of(self.panel.scene)))
            text = _("Drag {levels} onto their vertebrae in both X-rays, then press Fill between.")
            self.panel.say(text.format(levels=", ".join(ANCHORS)))

    def delete(self) -> None:
        """Remove the selected vertebrae."""
        levels = self._table.selected()
        nodes = [node for node in roi_nodes(self.panel.scene) if node.GetAttribute(LEVEL) in levels]
        with self.panel.attempt(_("Deleting")):
            self.panel.saveForUndo()
            remove_nodes(self.panel.scene, nodes)

    def select(self, level: str) -> None:
        """Give a vertebra the handles, and turn the other views to it."""
        node = self._node_of(level)
        if self.panel.parameterNode is None or node is None:
            return
        self.panel.parameterNode.selectedLevel = level
        jump(self.panel.scene, roi_of(node).centre_ras_mm)

    def _onBoxClicked(self, node: Node) -> None:
        self.panel.parameterNode.selectedLevel = node.GetAttribute(LEVEL)

    def _setVisible(self, level: str, visible: bool) -> None:
        node = self._node_of(level)
        if node is not None:
            node.GetDisplayNode().SetVisibility(visible)

    def _onLevel(self, index: int) -> None:
        level, node = self.ui.levelComboBox.itemData(index), self._selected()
        if node is None or level == node.GetAttribute(LEVEL):
            return
        with self.panel.attempt(_("Renaming")):
            self.panel.saveForUndo()
            show_roi(self.panel.scene, replace(roi_of(node), level=level), node)
            self.panel.parameterNode.selectedLevel = level

    def _onSize(self, axis: int, value: float) -> None:
        node = self._selected()
        if self._filling or node is None:
            return
        with self.panel.attempt(_("Changing the size")):
            roi = roi_of(node)
            r, a, s = (value if n == axis else size for n, size in enumerate(roi.size_mm))
            self.panel.saveForUndo()
            show_roi(self.panel.scene, replace(roi, size_mm=(r, a, s)), node)

    def _show(self, rois: list[VertebraROI]) -> None:
        self.panel.saveForUndo()
        show_rois(self.panel.scene, rois)
        if rois:
            self.panel.parameterNode.selectedLevel = rois[0].level

    # -- what is shown

    def refresh(self) -> None:
        """Follow the scene."""
        self._observe()
        self._filling = True
        try:
            self._fillTable()
            self._fillSelected(self._activate())
            self._fillAdding()
        finally:
            self._filling = False

    def _activate(self) -> Node | None:
        """Give the handles to the selected vertebra; return it."""
        node = self._selected()
        if self._boxes is not None and self._boxes.active is not node:
            self._boxes.activate(node)
        return node

    def _fillTable(self) -> None:
        nodes = roi_nodes(self.panel.scene)
        rows = {node.GetAttribute(LEVEL): bool(node.GetDisplayNode().GetVisibility()) for node in nodes}
        selected = self.panel.parameterNode.selectedLevel if self.panel.parameterNode else ""
        card = self._card()
        self._table.fill(rows, warnings(self.panel.scene, card), selected)
        self._showCube(nodes, card)
        self.ui.vertebraeTable.setVisible(bool(nodes))
        self.ui.selectedFrame.setVisible(bool(nodes))
        self.ui.modelCubeCheckBox.setVisible(bool(nodes))

    def _fillSelected(self, node: Node | None) -> None:
        levels = self._table.selected()
        none = "" if node else _("Select a vertebra in the list, or click its box")
        self.enable(
            self.ui.deleteButton, none, _("Delete {levels}; Undo brings it back").format(levels=", ".join(levels))
        )
        self.enable(self.ui.levelComboBox, none, _("Another level for this vertebra"))
        own = node.GetAttribute(LEVEL) if node else ""
        used = {each.GetAttribute(LEVEL) for each in roi_nodes(self.panel.scene)}
        _fill(self.ui.levelComboBox, [level for level in LEVELS if level == own or level not in used], own)
        tips = (_("from right to left"), _("from front to back"), _("from head to foot"))
        size = next((roi.size_mm for roi in self._rois() if roi.level == own), None)
        for n, (spin, tip) in enumerate(zip(self._sizes, tips, strict=True)):
            self.enable(spin, none, _("Size of the box {way}").format(way=tip))
            if size:
                spin.value = size[n]

    def _fillAdding(self) -> None:
        rois, geometry, trouble = self._rois(), None, ""
        try:
            geometry = geometry_of(self.panel.scene)
        except EARError:
            trouble = _("Open both X-rays first, in step 1")
        chosen = self._fillLevels(rois, geometry)
        self.ui.addButton.text = _("Add {level}").format(level=chosen) if chosen else _("Add")
        full = "" if chosen else _("All levels are there")
        self.enable(self.ui.addButton, trouble or full, _("Add this vertebra where its neighbours let expect it"))
        self.enable(self.ui.addLevelComboBox, trouble or full, _("Level of the vertebra to add"))
        self._fillBetween(rois, geometry, trouble)
        some = _("Delete the vertebrae first") if rois else ""
        tip = _("Add {levels}, from which Fill between finds all others").format(levels=", ".join(ANCHORS))
        self.enable(self.ui.wholeSpineButton, trouble or some, tip)
        self.ui.wholeSpineButton.setVisible(not rois)
        self.ui.fillButton.setVisible(bool(rois))
        hint = trouble or _("Add a vertebra by its level, or start a whole spine.")
        self.ui.vertebraeHintLabel.text = hint + "." * (not hint.endswith("."))
        self.ui.vertebraeHintLabel.setVisible(not rois)

    def _fillLevels(self, rois: list[VertebraROI], geometry: BiplanarGeometry | None) -> str:
        """Offer the levels that are free; the choice is the next one whenever that changes. Returns the choice."""
        combo, used = self.ui.addLevelComboBox, {roi.level for roi in rois}
        free = [level for level in LEVELS if level not in used]
        chosen, suggested = combo.currentData or "", _FIRST
        if geometry is not None:
            try:
                suggested = next_roi(rois, geometry, first=_FIRST).level
            except GeometryError:
                suggested = ""
        if suggested != self._suggested or chosen not in free:
            self._suggested = suggested
            chosen = suggested or (free[0] if free else "")
        _fill(combo, free, chosen)
        return chosen

    def _fillBetween(self, rois: list[VertebraROI], geometry: BiplanarGeometry | None, trouble: str) -> None:
        missing: list[str] = []
        if geometry is not None:
            try:
                missing = [roi.level for roi in between(rois, geometry)]
                trouble = "" if missing else _("Between the first and the last vertebra none is missing")
            except GeometryError as error:
                trouble = _("Add two vertebrae first") if len(rois) < 2 else str(error)
        self.enable(self.ui.fillButton, trouble, _("Add {levels}").format(levels=", ".join(missing)))

    def _showCube(self, nodes: list[Node], card: ModelCard | None) -> None:
        """Around the selected vertebra alone: seventeen cubes cannot be told apart."""
        none = "" if card else _("Choose a model first, in step 3")
        tip = _("Show the cube that the model rebuilds around the middle of the selected box")
        self.enable(self.ui.modelCubeCheckBox, none, tip)
        shown = self._selected() if card is not None and self.panel.parameterNode.showModelCube else None
        for node in nodes:
            side = card.size * card.spacing_mm if card is not None and node is shown else None
            if crop_mm(node) != side:
                show_crop(node, side)

    # -- the scene

    def _observe(self) -> None:
        """Hear of every ROI that is there now."""
        self._observers.drop()
        for node in roi_nodes(self.panel.scene):
            for event in (vtkCommand.ModifiedEvent, node.PointModifiedEvent, node.DisplayModifiedEvent):
                self._observers.add(node, event, self._onRoi)

    def _onRoi(self, *_arguments: Any) -> None:
        self._restTimer.start()

    def _rois(self) -> list[VertebraROI]:
        """The ROIs in the order in which they were made, without those that no vertebra could have."""
        rois = []
        for node in find_nodes(self.panel.scene, ROI):
            with suppress(GeometryError):
                rois.append(roi_of(node))
        return rois

    def _node_of(self, level: str) -> Node | None:
        return next((node for node in roi_nodes(self.panel.scene) if node.GetAttribute(LEVEL) == level), None)

    def _selected(self) -> Node | None:
        return self._node_of(self.panel.parameterNode.selectedLevel) if self.panel.parameterNode else None

    def _card(self) -> ModelCard | None:
        """The card of the chosen model, if it can be read."""
        try:
            return read_card(models.model_path(self.panel.parameterNode.model)) if self.panel.parameterNode else None
        except EARError:
            return None


def _fill(combo: Any, levels: list[str], chosen: str) -> None:
    """Offer levels in a combo box, and choose one; an open list is left alone while nothing changes."""
    if levels != [combo.itemData(n) for n in range(combo.count)]:
        combo.clear()
        for level in levels:
            combo.addItem(level, level)
    combo.currentIndex = levels.index(chosen) if chosen in levels else -1
