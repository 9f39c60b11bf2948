"""Each radiograph in its own view and plane, and volumes in theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkCommand

from ..geometry.views import View
from .nodes import Node, Scene, array_of, matrix
from .observers import Observers
from .projection import slice_to_ras
from .radiographs import radiograph_nodes, view_of
from .views import view_node_id

#: Room for a radiograph that fills its view, as a multiple of it: the letters at its edges need some.
_MARGIN = 1.1

#: A view's plane may differ this much, in mm or as a direction, before it is put back.
_TOLERANCE = 1e-4


def show_layers(
    scene: Scene, slice_node: Node, background: Node | None, foreground: Node | None = None, opacity: float = 0.5
) -> None:
    """Show volumes in a slice view, None for nothing. opacity: of the foreground, 0 to 1."""
    for composite in list(scene.GetNodes()):
        if composite.IsA("vtkMRMLSliceCompositeNode") and composite.GetLayoutName() == slice_node.GetLayoutName():
            composite.SetBackgroundVolumeID(background.GetID() if background else None)
            composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
            composite.SetForegroundOpacity(opacity if foreground else 0.0)


class RadiographViews:
    """Shows each radiograph in its view and keeps the view in its plane, until it is closed.

    Zoom and pan stay free. Without this a turn of the mouse wheel or a jump leaves the plane, and the view goes black.
    Views that appear later, a scene that is loaded, and a radiograph that is moved are all seen to.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._putting_back = False
        self._pairs: list[tuple[Node, Node]] = []
        self._of_scene, self._of_nodes = Observers(), Observers()
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
            self._of_scene.add(scene, event, self._on_scene)
        self._on_scene()

    def close(self) -> None:
        """Let the views go."""
        self._of_scene.drop()
        self._of_nodes.drop()

    def fit(self) -> None:
        """Show each radiograph whole."""
        for slice_node, radiograph in self._shown():
            show_layers(self._scene, slice_node, radiograph)
            _fit(slice_node, view_of(radiograph))

    def show_in_3d(self, visible: bool) -> None:
        """Show or hide the radiographs' planes in the 3-D views."""
        for slice_node, _ in self._shown():
            slice_node.SetSliceVisible(visible)

    def _shown(self) -> list[tuple[Node, Node]]:
        """(slice node, radiograph) of the roles that have both."""
        radiographs = radiograph_nodes(self._scene)
        pairs = ((self._scene.GetNodeByID(view_node_id(role)), node) for role, node in radiographs.items())
        return [(slice_node, node) for slice_node, node in pairs if slice_node is not None]

    def _on_scene(self, *_: Any) -> None:
        if self._scene.GetStates():
            return
        pairs = self._shown()
        if pairs != self._pairs:
            self._pairs = pairs
            self._of_nodes.drop()
            for node in (node for pair in pairs for node in pair):
                self._of_nodes.add(node, vtkCommand.ModifiedEvent, self._put_back)
            self.fit()
        self._put_back()

    def _put_back(self, *_: Any) -> None:
        if self._putting_back or self._scene.GetStates():  # the end of what happens to the scene is told as well
            return
        self._putting_back = True
        try:
            for slice_node, radiograph in self._pairs:
                _align(slice_node, view_of(radiograph))
        finally:
            self._putting_back = False


def _align(slice_node: Node, view: View) -> None:
    plane = slice_to_ras(view)
    if np.abs(array_of(slice_node.GetSliceToRAS()) - plane).max() > _TOLERANCE:
        right, _, normal, origin = plane[:3].T.tolist()
        slice_node.SetSliceToRASByNTP(*normal, *right, *origin, 0)
        # Within an event of its own, as here, the node does not work out what depends on its plane.
        slice_node.GetXYToRAS().DeepCopy(matrix(plane @ array_of(slice_node.GetXYToSlice())))
        slice_node.GetUVWToRAS().DeepCopy(matrix(plane @ array_of(slice_node.GetUVWToSlice())))
        slice_node.Modified()


def _fit(slice_node: Node, view: View) -> None:
    pixel = view.pixel_mm * view.sod_mm / view.sdd_mm
    columns, rows, _ = slice_node.GetDimensions()
    per_pixel = _MARGIN * pixel * max(view.width / columns, view.height / rows)
    slice_node.SetFieldOfView(columns * per_pixel, rows * per_pixel, slice_node.GetFieldOfView()[2])
    slice_node.SetXYZOrigin(0, 0, 0)
