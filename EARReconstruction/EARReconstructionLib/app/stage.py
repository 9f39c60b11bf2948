"""Slicer's scene with four views, which the browser shows as pictures and steers with its mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import slicer
from trame_rca.encoders import RcaImageEncoder
from trame_slicer.core import SlicerApp
from trame_slicer.rca_view import RemoteSliceViewFactory, RemoteViewFactory
from trame_slicer.views import ThreeDView, ViewLayoutDefinition, ViewProps, ViewType
from trame_slicer.views.threed_view import ViewDirection
from vtkmodules.vtkCommonCore import vtkCommand, vtkObject, vtkOutputWindow
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from ..errors import EARError
from ..scene.layout import VIEW_GROUP, RadiographViews
from ..scene.nodes import Node
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
        self.scene = self._app.scene
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        for factory, more in (
            (RemoteSliceViewFactory, {}),
            (RemoteViewFactory, {"view_ctor": _spine_view, "view_type": ViewType.THREE_D_VIEW}),
        ):
            self._app.view_manager.register_factory(
                factory(
                    server,
                    rca_encoder=RcaImageEncoder.JPEG,
                    target_fps=_FPS,
                    blur_fps=_FPS_ELSEWHERE,
                    interactive_quality=_QUALITY,
                    **more,
                )
            )
        shown = vtkObject.GetGlobalWarningDisplay()
        vtkObject.GlobalWarningDisplayOff()  # trame-slicer observes an event that VTK calls deprecated, in each view
        for definition in _definitions():
            self._app.view_manager.create_view(definition)
        vtkObject.SetGlobalWarningDisplay(shown)
        self._app.view_manager.set_current_view_ids([*VIEW_TAGS.values(), AXIAL, _STANDARD_TAG])
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

    def close(self) -> None:
        """Let the scene go."""
        self.boxes.close()
        self.radiographs.close()

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
            ViewProps(orientation=orientation, label=TITLES[role], group=int(VIEW_GROUP)),  # type: ignore[arg-type]
        )
        for role, orientation in orientations.items()
    ]
    return [
        *radiographs,
        ViewLayoutDefinition.axial_view(AXIAL),
        ViewLayoutDefinition.threed_view(name=SPINE, background_color=_BACKGROUND),
    ]


def _spine_view(**arguments: Any) -> ThreeDView:
    """A 3-D view of the tag that scene code speaks of: trame-slicer makes names of variables from a view's own name."""
    return ThreeDView(**{**arguments, "name": _STANDARD_TAG})
