"""Our views: AP and lateral side by side over axial and 3-D, and each radiograph in its own view and plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkCommand

from ..geometry.views import View
from .nodes import Node, Scene, array_of, matrix
from .observers import Observers
from .projection import slice_to_ras
from .radiographs import radiograph_nodes, view_of
from .views import TITLES, VIEW_TAGS, view_node_id

#: Number of our layout; 3D Slicer keeps those below 500 for itself.
LAYOUT_ID = 2407

#: Group of the radiographs' views: jumps and links of the standard views (group 0) leave them alone.
VIEW_GROUP = "24"

#: Bar colours of the radiographs' views: those of 3D Slicer's coronal and sagittal view.
_VIEW_COLOURS = {"frontal": "#6EB04B", "lateral": "#EDD54C"}

#: Room for a radiograph that fills its view, as a multiple of it.
_MARGIN = 1.04

#: A view's plane may differ this much, in mm or as a direction, before it is put back.
_TOLERANCE = 1e-4


def layout_description() -> str:
    """The layout as 3D Slicer's XML."""

    def view(node_class: str, tag: str, **properties: str) -> str:
        texts = (f'<property name="{name}" action="default">{text}</property>' for name, text in properties.items())
        return f'<item><view class="{node_class}" singletontag="{tag}">{"".join(texts)}</view></item>'

    def row(*views: str) -> str:
        return f'<item><layout type="horizontal" split="true">{"".join(views)}</layout></item>'

    orientations = {"frontal": "Coronal", "lateral": "Sagittal"}
    radiographs = row(
        *(
            view(
                "vtkMRMLSliceNode",
                VIEW_TAGS[role],
                orientation=orientation,
                viewlabel=TITLES[role],
                viewcolor=_VIEW_COLOURS[role],
                viewgroup=VIEW_GROUP,
            )
            for role, orientation in orientations.items()
        )
    )
    volumes = row(
        view("vtkMRMLSliceNode", "Red", orientation="Axial", viewlabel="R", viewcolor="#F34A33"),
        view("vtkMRMLViewNode", "1", viewlabel="1"),
    )
    return f'<layout type="vertical" split="true">{radiographs}{volumes}</layout>'


def add_layout(layout_node: Node) -> int:
    """Make our layout known to the scene's vtkMRMLLayoutNode; return its number."""
    if not layout_node.IsLayoutDescription(LAYOUT_ID):
        layout_node.AddLayoutDescription(LAYOUT_ID, layout_description())
    return LAYOUT_ID


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
