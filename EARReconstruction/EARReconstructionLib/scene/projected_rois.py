"""Each vertebra ROI as a flat box in both radiographs, at the place and in the size in which the X-ray shows it.

The simplest design that holds: the ROI is the only truth. Its boxes are drawn anew from it whenever it or a radiograph
changes; a box that is dragged changes nothing but its ROI (projection.box_from_plane), and is then drawn from it like
the others. Boxes are neither saved nor undone: they come back by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from vtkmodules.vtkCommonCore import vtkCommand

from ..colours import level_colour
from ..errors import GeometryError
from ..geometry.frames import Affine
from .nodes import LEVEL, ROLE, Node, Scene, add_node, array_of, at_once, find_nodes, matrix, remove_nodes
from .observers import Observers
from .projection import box_from_plane, box_on_plane, magnification, slice_to_ras
from .radiographs import radiograph_nodes, view_of
from .rois import crop_mm, dress_roi, roi_nodes, roi_of, show_roi
from .views import view_node_id

BOX, CROP, _DISPLAY = "roi-box", "crop", "roi-box-display"

#: Role of the crop's cube in 3-D, beside those of the radiographs.
IN_3D = "3d"

#: Attribute of a box: the id of its ROI's node.
_OF = "EAR.of"

_CLASS = "vtkMRMLMarkupsROI"

#: A flat box needs some depth to be a box.
_DEPTH_MM = 1.0

#: Changes below this are round-off, mm.
_TOLERANCE_MM = 1e-4

_CROP_COLOUR = (0.85, 0.85, 0.85)

#: (id of the ROI's node, role, kind) of a box.
Key = tuple[str, str, str]


class ProjectedROIs:
    """Draws the boxes of all ROIs in a scene and hands what the user drags to the ROIs, until it is closed.

    One ROI is active: its boxes have handles. A click on the middle of a box makes its ROI the active one, and
    ``on_activate`` is told.
    """

    def __init__(self, scene: Scene, on_activate: Callable[[Node], None] | None = None) -> None:
        self._scene = scene
        self._on_activate = on_activate
        self._active = ""
        self._drawing = False
        self._boxes: dict[Key, Node] = {}
        self._shown: list[str] = []
        remove_nodes(scene, find_nodes(scene, BOX) + find_nodes(scene, CROP))  # of one that was never closed
        self._of_scene, self._of_nodes = Observers(), Observers()
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self._of_scene.add(scene, event, self._on_scene)
        for event in (scene.EndBatchProcessEvent, scene.EndUndoEvent, scene.EndRedoEvent):
            self._of_scene.add(scene, event, self._on_many)
        self.refresh()

    @property
    def active(self) -> Node | None:
        """The ROI whose boxes have handles."""
        return next((node for node in roi_nodes(self._scene) if node.GetID() == self._active), None)

    def activate(self, node: Node | None) -> None:
        """Give the handles to the boxes of one ROI; None takes them away."""
        self._active = node.GetID() if node else ""
        self.refresh()

    def close(self) -> None:
        """Remove the boxes and leave the scene alone."""
        self._of_scene.drop()
        self._of_nodes.drop()
        with at_once(self._scene):
            self._remove(list(self._boxes))

    def refresh(self) -> None:
        """Draw the boxes of all ROIs and radiographs that are in the scene now."""
        with self._quiet():
            self._of_nodes.drop()
            self._shown = self._present()
            rois, radiographs = roi_nodes(self._scene), radiograph_nodes(self._scene)
            ids, roles = {node.GetID() for node in rois}, {*radiographs, IN_3D}
            self._boxes = {key: box for key, box in self._boxes.items() if self._scene.IsNodePresent(box)}
            self._remove([key for key in self._boxes if key[0] not in ids or key[1] not in roles])
            for node in rois:
                dress_roi(node)
                self._draw(node)
                for event in (vtkCommand.ModifiedEvent, node.PointModifiedEvent, node.DisplayModifiedEvent):
                    self._of_nodes.add(node, event, self._on_roi)
            for node in radiographs.values():
                self._of_nodes.add(node, vtkCommand.ModifiedEvent, self._on_radiograph)
            for key, box in self._boxes.items():
                if key[2] == BOX:
                    self._of_nodes.add(box, box.PointModifiedEvent, self._on_drag)
                    self._of_nodes.add(box, box.PointStartInteractionEvent, self._on_press)

    def _deaf(self) -> bool:
        """While we draw, or while many nodes change at once: the end of that is told as well."""
        return self._drawing or self._scene.GetStates() != 0

    def _on_scene(self, *_: Any) -> None:
        if not self._deaf() and self._present() != self._shown:
            self.refresh()

    def _on_many(self, *_: Any) -> None:
        self.refresh()

    def _on_radiograph(self, *_: Any) -> None:
        if not self._deaf():
            self.refresh()

    def _on_roi(self, node: Node, _: Any) -> None:
        if not self._deaf():
            with self._quiet():
                self._draw(node)

    def _on_press(self, box: Node, _: Any) -> None:
        node = self._scene.GetNodeByID(box.GetAttribute(_OF))
        if node is not self.active:
            self.activate(node)
            if self._on_activate is not None:
                self._on_activate(node)

    def _on_drag(self, box: Node, _: Any) -> None:
        if self._deaf():
            return
        node, role = self._scene.GetNodeByID(box.GetAttribute(_OF)), box.GetAttribute(ROLE)
        with self._quiet():
            width, height, _depth = box.GetSize()
            with suppress(GeometryError):  # a drag to where no ROI can be: the box is put back
                view = view_of(radiograph_nodes(self._scene)[role])
                roi = box_from_plane(view, role, roi_of(node), box.GetCenterWorld(), (width, height))
                show_roi(self._scene, roi, node)
            self._draw(node)

    def _draw(self, node: Node) -> None:
        """Draw a ROI's boxes; those that cannot be drawn go."""
        drawn: set[Key] = set()
        side = crop_mm(node)

        def draw(role: str, kind: str, frame: Affine, size: tuple[float, float, float]) -> None:
            key = (node.GetID(), role, kind)
            active = node.GetID() == self._active
            if key in self._boxes:
                box = self._boxes[key]
                _shape(box, frame, size)
                _style(box.GetDisplayNode(), node, kind, active)
                box.SetName(node.GetName())
            else:
                self._boxes[key] = _new_box(self._scene, node, role, kind, frame, size, active)
            drawn.add(key)

        with suppress(GeometryError):  # between source and detector only
            roi = roi_of(node)
            if side:
                draw(IN_3D, CROP, _frame(np.eye(3), roi.centre_ras_mm), (side, side, side))
            for role, radiograph in radiograph_nodes(self._scene).items():
                view = view_of(radiograph)
                centre, (width, height) = box_on_plane(view, roi)
                frame = _frame(slice_to_ras(view)[:3, :3], centre)
                draw(role, BOX, frame, (width, height, _DEPTH_MM))
                if side:
                    seen = side * magnification(view, roi.centre_ras_mm)
                    draw(role, CROP, frame, (seen, seen, _DEPTH_MM))
        self._remove([key for key in self._boxes if key[0] == node.GetID() and key not in drawn])

    def _remove(self, keys: Iterable[Key]) -> None:
        remove_nodes(self._scene, [self._boxes.pop(key) for key in keys])

    def _present(self) -> list[str]:
        radiographs = radiograph_nodes(self._scene).values()
        return [node.GetID() for node in (*roi_nodes(self._scene), *radiographs)]

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """What is drawn inside is not taken for the user's doing."""
        before, self._drawing = self._drawing, True
        try:
            yield
        finally:
            self._drawing = before


def _new_box(
    scene: Scene, roi_node: Node, role: str, kind: str, frame: Affine, size: tuple[float, float, float], active: bool
) -> Node:
    def prepare_display(display: Node) -> None:
        if role == IN_3D:
            display.SetVisibility2D(False)
        else:
            display.SetDisplayableOnlyInView(view_node_id(role))
        display.SetRotationHandleVisibility(False)
        display.SetTranslationHandleVisibility(False)  # it would lie over the middle, which is dragged as well
        display.SetScaleHandleComponentVisibility([True, True, False, True])  # sides and corners, not the depth
        display.SetPropertiesLabelVisibility(kind == BOX)
        # A filled box takes the click on a neighbour's middle, over which its edge runs.
        display.SetFillVisibility(False)
        if kind == CROP:
            display.SetGlyphScale(0)
        _style(display, roi_node, kind, active)

    def prepare_box(box: Node) -> None:
        box.SetLocked(kind == CROP)
        _shape(box, frame, size)

    name, of = roi_node.GetName(), roi_node.GetID()
    hidden: dict[str, Any] = {"hidden": True, "saved": False}
    display = add_node(scene, f"{_CLASS}DisplayNode", f"{name} display", _DISPLAY, prepare=prepare_display, **hidden)
    return add_node(
        scene, f"{_CLASS}Node", name, kind, display=display, prepare=prepare_box, role=role, of=of, **hidden
    )


def _shape(box: Node, frame: Affine, size: tuple[float, float, float]) -> None:
    if not np.allclose(array_of(box.GetObjectToNodeMatrix()), frame, rtol=0, atol=_TOLERANCE_MM):
        box.SetAndObserveObjectToNodeMatrix(matrix(frame))
    if not np.allclose(box.GetSize(), size, rtol=0, atol=_TOLERANCE_MM):
        box.SetSize(*size)


def _style(display: Node, roi_node: Node, kind: str, active: bool) -> None:
    source = roi_node.GetDisplayNode()
    colour = level_colour(roi_node.GetAttribute(LEVEL)) if kind == BOX else _CROP_COLOUR
    display.SetColor(colour)
    display.SetSelectedColor(colour)
    display.SetActiveColor(colour)
    display.SetVisibility(source is None or source.GetVisibility())
    display.SetHandlesInteractive(active and kind == BOX)
    display.SetOutlineOpacity(1.0 if active else 0.6)


def _frame(axes: NDArray[np.float64], origin: ArrayLike) -> Affine:
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = axes, origin
    return frame
