"""Slicer's scene with four views, which the browser shows as pictures and steers with its mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import slicer
from trame_rca.encoders import RcaImageEncoder
from trame_slicer.core import SlicerApp
from trame_slicer.rca_view import RemoteViewFactory
from trame_slicer.views import SliceView, ThreeDView, ViewLayoutDefinition, ViewProps, ViewType
from trame_slicer.views.render_scheduler import NoScheduleRendering
from trame_slicer.views.threed_view import ViewDirection
from vtkmodules.vtkCommonCore import vtkCommand, vtkObject, vtkOutputWindow
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from ..errors import EARError
from ..scene.layout import RadiographViews
from ..scene.layouts import VIEW_GROUP
from ..scene.nodes import KIND, Node, remove_nodes
from ..scene.projected_rois import ProjectedROIs
from ..scene.views import TITLES, VIEW_TAGS

#: Names of the views beside those of the radiographs (VIEW_TAGS).
AXIAL, SPINE = "Red", "Spine"

#: Tag of the standard 3-D view's node (scene.views.STANDARD_VIEWS).
_STANDARD_TAG = "1"

#: Background of 3-D, the page's own.
_BACKGROUND = "#0b0f14"

#: Pictures per second that a view aims at under the mouse, and elsewhere.
_FPS, _FPS_ELSEWHERE = 30.0, 10.0

#: Of the pictures while something moves, percent of JPEG; they get sharp when it rests.
_QUALITY = 70


class Stage:
    """The scene, its views, and what keeps radiographs and boxes in them.

    One per process, for Slicer's factories are global.
    on_activate: told of the ROI whose box was clicked. Raises EARError where nothing can be drawn.
    """

    def __init__(self, server: Any, on_activate: Callable[[Node], None]) -> None:
        if not vtkRenderWindow().SupportsOpenGL():
            raise EARError(
                "pictures", "this machine has no OpenGL", "Install libegl1, libegl-mesa0 and libgl1-mesa-dri"
            )
        self._app = SlicerApp()
        self._compared: tuple[str, ...] = ()
        self._turning = False
        self.scene = self._app.scene
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        for make, kind in ((_slice_view, ViewType.SLICE_VIEW), (_spine_view, ViewType.THREE_D_VIEW)):
            self._app.view_manager.register_factory(
                RemoteViewFactory(
                    server,
                    make,
                    kind,
                    rca_encoder=RcaImageEncoder.JPEG,
                    target_fps=_FPS,
                    blur_fps=_FPS_ELSEWHERE,
                    interactive_quality=_QUALITY,
                )
            )
        self._add_views(_definitions())
        self._dress()
        self.radiographs = RadiographViews(self.scene)
        self.boxes = ProjectedROIs(self.scene, on_activate)
        for tag in VIEW_TAGS.values():  # a picture that gets another shape shows the radiograph whole again
            self.view(tag).render_window().AddObserver(vtkCommand.WindowResizeEvent, self._fit_soon)
        self._fitting: asyncio.Handle | None = None

    def view(self, tag: str) -> Any:
        """A view by its singleton tag."""
        return self._app.view_manager.get_view(tag)

    def fit(self, tag: str) -> None:
        """Show all that there is in a view."""
        if tag in VIEW_TAGS.values():
            self.radiographs.fit()
        elif tag == AXIAL:
            self.view(tag).fit_view_to_content()
        else:
            self.view(tag).fit_view_to_content()
            self.view(tag).zoom(0.12)  # the box that VTK fits is larger than what stands in it
        self.view(tag).schedule_render()

    def compare(self, tags: Sequence[str]) -> None:
        """Show 3-D views of these tags beside the others, each with its camera; turning one turns all of them."""
        made = [tag for tag in tags if not self._app.view_manager.is_view_created(tag)]
        self._add_views([ViewLayoutDefinition.threed_view(name=tag, background_color=_BACKGROUND) for tag in made])
        for tag in made:
            view = self.view(tag)
            view.renderer().SetUseDepthPeeling(False)
            view.render_window().SetMultiSamples(0)
            camera = view.renderer().GetActiveCamera()
            camera.AddObserver(vtkCommand.ModifiedEvent, partial(self._turn_alike, tag))
        self._compared = tuple(tags)

    def draw(self, tags: Collection[str]) -> None:
        """Draw the views of these tags, and no others: nobody sees them."""
        for view in self._app.view_manager.get_views():
            blocked = view.get_singleton_tag() not in {_STANDARD_TAG if tag == SPINE else tag for tag in tags}
            if view.is_render_blocked != blocked:
                view.set_render_blocked(blocked)

    def read(self, path: Path) -> None:
        """Add the nodes of an .mrml, none of which may be of a view; of what can be seen, only ours stay.

        Raises EARError.
        """
        before = {node.GetID() for node in list(self.scene.GetNodes())}
        self.scene.SetRootDirectory(str(path.parent))
        self.scene.SetURL(str(path))
        complete = self.scene.Import()
        new = [node for node in list(self.scene.GetNodes()) if node.GetID() not in before]
        seen = [node for node in new if node.IsA("vtkMRMLDisplayableNode") or node.IsA("vtkMRMLTransformNode")]
        remove_nodes(self.scene, [node for node in seen if node.GetAttribute(KIND) is None])
        if not complete:
            raise EARError("scene", "parts of it could not be read", "Save it again in 3D Slicer")

    def save(self, path: Path) -> None:
        """Write the scene for 3D Slicer. Raises EARError."""
        self.scene.SetRootDirectory(str(path.parent))
        self.scene.SetURL(str(path))
        output = vtkOutputWindow.GetInstance()
        mode = output.GetDisplayMode()
        output.SetDisplayMode(output.NEVER)  # it tells of every file that it adds
        try:
            if not self.scene.WriteToMRB(str(path)):
                raise EARError("scene", "it could not be written", "Make room on the server's disk")
        finally:
            output.SetDisplayMode(mode)

    def look_from(self, side: str) -> None:
        """Turn 3-D to a side of the patient: "anterior", "left" and so on."""
        self.view(SPINE).rotate_to_view_direction(ViewDirection[side.upper()])

    def _add_views(self, definitions: Sequence[ViewLayoutDefinition]) -> None:
        manager = self._app.view_manager
        shown = vtkObject.GetGlobalWarningDisplay()
        vtkObject.GlobalWarningDisplayOff()  # trame-slicer observes an event that VTK calls deprecated, in each view
        for definition in definitions:
            manager.create_view(definition)
        vtkObject.SetGlobalWarningDisplay(shown)
        manager.set_current_view_ids([view.get_singleton_tag() for view in manager.get_views()])

    def _turn_alike(self, tag: str, camera: Any, _: str) -> None:
        if self._turning or tag not in self._compared:
            return
        self._turning = True
        try:
            for other in self._compared:
                if other != tag:
                    view = self.view(other)
                    follower = view.renderer().GetActiveCamera()
                    follower.SetPosition(camera.GetPosition())
                    follower.SetFocalPoint(camera.GetFocalPoint())
                    follower.SetViewUp(camera.GetViewUp())
                    view.renderer().ResetCameraClippingRange()
                    view.schedule_render()
        finally:
            self._turning = False

    def _dress(self) -> None:
        spine: ThreeDView = self.view(SPINE)
        spine.set_background_color_from_string(_BACKGROUND)
        # A processor that draws needs a second or more for a volume: while it turns, it is drawn coarser.
        spine.get_view_node().SetVolumeRenderingQuality(slicer.vtkMRMLViewNode.Adaptive)
        spine.set_orientation_marker(slicer.vtkMRMLViewNode.OrientationMarkerTypeAxes, 1)
        spine.renderer().SetUseDepthPeeling(False)  # translucent boxes do not need it, and it costs several pictures
        for tag in (*VIEW_TAGS.values(), AXIAL, SPINE):
            self.view(tag).render_window().SetMultiSamples(0)  # with samples a picture of the spine takes three times
        for name, smooth in (("ButtonPress", False), ("ButtonRelease", True)):
            for button in ("Left", "Middle", "Right"):
                spine.interactor().AddObserver(f"{button}{name}Event", partial(self._smooth, smooth))
        self._smooth(True)

    def _smooth(self, smooth: bool, *_: Any) -> None:
        """Smooth the edges in 3-D, but not while it is turned: that would halve the pictures per second."""
        self.view(SPINE).renderer().SetUseFXAA(smooth)

    def _fit_soon(self, *_: Any) -> None:
        if self._fitting is None:
            self._fitting = asyncio.get_running_loop().call_later(0.05, self._fit_radiographs)

    def _fit_radiographs(self) -> None:
        self._fitting = None
        self.radiographs.fit()


def _definitions() -> list[ViewLayoutDefinition]:
    orientations = {"frontal": "Coronal", "lateral": "Sagittal"}
    radiographs = [
        ViewLayoutDefinition(
            VIEW_TAGS[role],
            ViewType.SLICE_VIEW,
            ViewProps(orientation=orientation, label=TITLES[role], group=VIEW_GROUP),  # type: ignore[arg-type]
        )
        for role, orientation in orientations.items()
    ]
    return [
        *radiographs,
        ViewLayoutDefinition.axial_view(AXIAL),
        ViewLayoutDefinition.threed_view(name=SPINE, background_color=_BACKGROUND),
    ]


def _slice_view(**arguments: Any) -> SliceView:
    """A slice view that draws nothing before a browser looks at it: else each of its parts costs a picture."""
    return SliceView(**arguments, scheduled_render_strategy=NoScheduleRendering())


def _spine_view(**arguments: Any) -> ThreeDView:
    """As _slice_view, under the tag of scene code: trame-slicer makes names of variables from a view's own."""
    if arguments["name"] == SPINE:
        arguments["name"] = _STANDARD_TAG
    return ThreeDView(**arguments, scheduled_render_strategy=NoScheduleRendering())
