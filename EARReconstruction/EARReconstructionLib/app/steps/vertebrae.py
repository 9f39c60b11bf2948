"""Step 2: a box around each vertebra."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from vtkmodules.vtkCommonCore import vtkCommand

from ...errors import EARError, GeometryError
from ...scene.checks import GEOMETRY, warnings
from ...scene.neighbours import between, next_roi
from ...scene.nodes import LEVEL, Node, find_nodes, remove_nodes
from ...scene.observers import Observers
from ...scene.placing import ANCHORS, roi_of_level, show_rois, whole_spine
from ...scene.radiographs import geometry_of
from ...scene.rois import ROI, roi_nodes, roi_of, show_crop, show_roi
from ...vertebra import LEVELS, VertebraROI
from .reconstruct import Reconstruct
from .step import Step, number


class Vertebrae(Step):
    """State: vertebrae (rows of the list), selected (node id, or ""), size (R, A, S in mm of that one), levels, free
    (of these), next_level (to add), cubes (whether the model's are shown), can_undo, geometry_warnings."""

    name, title = "vertebrae", "Vertebrae"

    def prepare(self) -> None:
        self.state.update(
            {
                "geometry_warnings": [],
                "vertebrae": [],
                "selected": "",
                "size": [],
                "levels": list(LEVELS),
                "free": [],
                "next_level": "",
                "cubes": False,
                "can_undo": False,
            }
        )
        self._observed: list[Node] = []
        self._wanted = ""
        self._offered: object = None
        self._observers = Observers()
        self.scene.SetUndoOn()
        self.bind("Adding a vertebra", self.choose_next, self.add_next, self.fill_between, self.add_whole_spine)
        self.bind("Undo", self.undo)
        self.bind("Changing a vertebra", self.select_vertebra, self.rename_vertebra, self.resize_vertebra)
        self.bind("Changing a vertebra", self.delete_vertebra, self.hide_vertebra, self.show_cubes)

    def refresh(self) -> None:
        boxes = self.session.stage.boxes
        active = boxes.active
        self.state.selected = active.GetID() if active else ""
        nodes = roi_nodes(self.scene)
        self._observe(nodes)
        found = warnings(self.scene, self.session.part(Reconstruct).card)
        self.state.geometry_warnings = found.pop(GEOMETRY, [])
        self.state.vertebrae = [_row(node, found.get(node.GetAttribute(LEVEL), [])) for node in nodes]
        self.state.size = [round(side, 1) for side in roi_of(active).size_mm] if active else []
        names = [node.GetAttribute(LEVEL) for node in nodes]
        words = f"{names[0]} to {names[-1]}" if len(names) > 1 else "".join(names)
        self._choose_next(names)
        self.state.can_undo = self.scene.GetNumberOfUndoLevels() > 0
        self.summarise(bool(names), f"{len(names)} · {words}" if len(names) > 1 else words or "none yet")

    def clear(self) -> None:
        remove_nodes(self.scene, roi_nodes(self.scene))
        self.scene.ClearUndoStack()
        self.scene.ClearRedoStack()

    def choose_next(self, level: str) -> None:
        """The level that is added next."""
        self._wanted = level

    def add_next(self) -> None:
        """Put a box where those that are there let expect it."""
        roi = roi_of_level(self.state.next_level, self._rois(), geometry_of(self.scene))
        self._show([roi])
        self.session.say(f"{roi.level}: drag its middle onto the vertebra, in both X-rays.")

    def fill_between(self) -> None:
        """Put the vertebrae that are missing between those that are there."""
        missing = between(self._rois(), geometry_of(self.scene))
        if not missing:
            raise GeometryError(
                "Fill between", "no level is missing between the boxes", "Put the top and the bottom one"
            )
        self._show(missing)
        self.session.say(f"{len(missing)} added: check each in both X-rays.")

    def add_whole_spine(self) -> None:
        """Put three boxes from which the others can be filled in."""
        self._show(whole_spine(geometry_of(self.scene)))
        self.session.say(f"Drag {', '.join(ANCHORS)} onto their vertebrae in both X-rays, then press Fill between.")

    def undo(self) -> None:
        """Take back the last change of the boxes that was made here."""
        self.scene.Undo()

    def select_vertebra(self, node_id: str) -> None:
        """Give the handles to a box, or take them away."""
        self.session.stage.boxes.activate(None if node_id == self.state.selected else self._node(node_id))

    def rename_vertebra(self, node_id: str, level: str) -> None:
        """Give a box another level."""
        node = self._node(node_id)
        self.scene.SaveStateForUndo()
        show_roi(self.scene, replace(roi_of(node), level=level), node)

    def resize_vertebra(self, axis: int, text: Any) -> None:
        """A side of the selected box that was typed, mm."""
        node, side = self._node(self.state.selected), number(text)
        roi = roi_of(node)
        if side is None:
            raise GeometryError(f"vertebra {roi.level}", f"{text!r} is no size", "Give millimetres")
        r, a, s = (side if n == axis else old for n, old in enumerate(roi.size_mm))
        self.scene.SaveStateForUndo()
        show_roi(self.scene, VertebraROI(roi.level, roi.centre_ras_mm, (r, a, s)), node)

    def delete_vertebra(self, node_id: str) -> None:
        """Take a box away."""
        node = self._node(node_id)
        self.scene.SaveStateForUndo()
        remove_nodes(self.scene, [node])

    def hide_vertebra(self, node_id: str) -> None:
        """Hide a box, or show it again."""
        node = self._node(node_id)
        node.SetDisplayVisibility(not node.GetDisplayVisibility())

    def show_cubes(self) -> None:
        """Show the cube that the model sees around each vertebra, or hide it."""
        self.state.cubes = not self.state.cubes
        for node in roi_nodes(self.scene):
            self._show_cube(node)

    def _rois(self) -> list[VertebraROI]:
        """In the order in which they were made."""
        return [roi_of(node) for node in find_nodes(self.scene, ROI)]

    def _show(self, rois: list[VertebraROI]) -> None:
        """Add boxes; the first one gets the handles."""
        self.scene.SaveStateForUndo()
        nodes = show_rois(self.scene, rois)
        for node in nodes:
            self._show_cube(node)
        self.session.stage.boxes.activate(nodes[0])

    def _choose_next(self, used: list[str]) -> None:
        """Offer the levels that are free; the choice is the likely one until someone chooses another."""
        free = [level for level in LEVELS if level not in used]
        likely = free[0] if free else ""
        with suppress(GeometryError):
            likely = next_roi(self._rois(), geometry_of(self.scene)).level
        if (used, likely) != self._offered:
            self._offered, self._wanted = (used, likely), ""
        self.state.update({"free": free, "next_level": self._wanted if self._wanted in free else likely})

    def _observe(self, nodes: list[Node]) -> None:
        """Hear of boxes that are dragged in a view."""
        if nodes != self._observed:
            self._observed = nodes
            self._observers.drop()
            for node in nodes:
                for event in (vtkCommand.ModifiedEvent, node.PointModifiedEvent):
                    self._observers.add(node, event, self.session.soon)

    def _show_cube(self, node: Node) -> None:
        show_crop(node, self.state.cube_mm if self.state.cubes else None)

    def _node(self, node_id: str) -> Node:
        node = next((node for node in roi_nodes(self.scene) if node.GetID() == node_id), None)
        if node is None:
            raise EARError("vertebra", "it is no longer there", "Choose another")
        return node


def _row(node: Node, sentences: list[str]) -> dict[str, Any]:
    red, green, blue = node.GetDisplayNode().GetColor()
    return {
        "id": node.GetID(),
        "level": node.GetAttribute(LEVEL),
        "colour": f"rgb({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f})",
        "visible": bool(node.GetDisplayVisibility()),
        "warnings": sentences,
    }
