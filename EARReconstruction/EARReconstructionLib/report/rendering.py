"""Surfaces drawn in 3-D without a screen: cameras with anatomical letters, bone and the colours of a distance."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import vtk
from numpy.typing import ArrayLike, NDArray
from vtk.util.numpy_support import vtk_to_numpy

from ..colours import RANGE_MM, distance_colours, error_colours
from ..distance import SIGNED_DISTANCE
from ..expected_error import EXPECTED_ERROR
from ..geometry.frames import side_letters

BONE = (0.93, 0.87, 0.74)

#: Pixels are drawn this many times finer and averaged, so that edges are smooth on every driver.
_OVERSAMPLING = 2


@dataclass(frozen=True, eq=False)
class Shading:
    """Colours of a point array (mm). colours: (N, 3) in [0, 1], evenly spaced from the low to the high end."""

    scalars: str
    colours: NDArray[np.float64]
    low_mm: float
    high_mm: float


def distance_shading(range_mm: float) -> Shading:
    """Of signed distances, from minus to plus this many mm."""
    return Shading(SIGNED_DISTANCE, distance_colours(), -range_mm, range_mm)


def error_shading() -> Shading:
    """Of expected errors, as wherever they are shown."""
    return Shading(EXPECTED_ERROR, error_colours(), 0.0, RANGE_MM)


class NoRendererError(RuntimeError):
    """This machine cannot draw in 3-D without a screen."""


@dataclass(frozen=True)
class Camera:
    """A parallel view. towards: from the body to the eye, RAS. height_mm: what the picture shows from its lower to its
    upper edge. S is up; A is up where the eye looks along S.
    """

    towards: tuple[float, float, float]
    centre_ras_mm: tuple[float, float, float]
    height_mm: float

    @property
    def right(self) -> NDArray[np.float64]:
        """(3,) RAS direction of the picture's rows, from left to right."""
        return _picture_axes(self.towards)[0]

    @property
    def up(self) -> NDArray[np.float64]:
        """(3,) RAS direction from the picture's lower to its upper edge."""
        return _picture_axes(self.towards)[1]

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Sides of the body at the picture's left, right, upper and lower edge."""
        return (
            side_letters(-self.right),
            side_letters(self.right),
            side_letters(self.up),
            side_letters(-self.up),
        )


def framed(
    surfaces: Sequence[vtk.vtkPolyData],
    towards: tuple[float, float, float],
    size: tuple[int, int],
    margin: float = 0.06,
) -> Camera:
    """The camera from a direction that just holds surfaces (RAS mm), with a margin on each side as a share of them.

    size: (width, height) of the picture in pixels.
    """
    points = np.concatenate([vtk_to_numpy(surface.GetPoints().GetData()) for surface in surfaces])
    right, up = _picture_axes(towards)
    across, along = points @ right, points @ up
    needed = max(np.ptp(along), np.ptp(across) * size[1] / size[0])
    centre = (points.min(0) + points.max(0)) / 2
    for axis, values in ((right, across), (up, along)):  # the middle of what is seen is not that of the box
        centre = centre + axis * ((values.min() + values.max()) / 2 - centre @ axis)
    r, a, s = (float(x) for x in centre)
    return Camera(towards, (r, a, s), float(needed) * (1 + 2 * margin))


def at_one_scale(cameras: Sequence[Camera]) -> list[Camera]:
    """The same cameras, all with the largest one's millimetres per pixel."""
    return [replace(camera, height_mm=max(c.height_mm for c in cameras)) for camera in cameras]


def _picture_axes(towards: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    eye = np.asarray(towards, float)
    eye = eye / np.linalg.norm(eye)
    reference = np.array([0.0, 1.0, 0.0]) if abs(eye[2]) > 0.95 else np.array([0.0, 0.0, 1.0])
    right = np.cross(reference, eye)
    right /= np.linalg.norm(right)
    return right, np.cross(eye, right)


class Studio:
    """One window without a screen for many pictures of one size: opening it costs more than a picture.

    size: (width, height) in pixels. background: RGB, 0 to 1.
    Raises NoRendererError when this machine cannot draw in 3-D without a screen.
    """

    def __init__(self, size: tuple[int, int], background: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        self._renderer = vtk.vtkRenderer()
        self._renderer.SetBackground(*background)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(*(n * _OVERSAMPLING for n in size))
        self._window.AddRenderer(self._renderer)
        lights = vtk.vtkLightKit()
        for light in ("Key", "Fill", "Back", "Head"):
            getattr(lights, f"Set{light}LightWarmth")(0.5)  # white: colours must be those of the legend
        lights.AddLightsToRenderer(self._renderer)
        ball = vtk.vtkSphereSource()
        ball.Update()
        if np.ptp(self.picture([ball.GetOutput()], Camera((0, 1, 0), (0, 0, 0), 2.0))) == 0:
            raise NoRendererError(
                "nothing was drawn: install a software renderer (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri)"
            )

    def __enter__(self) -> Studio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._window.Finalize()

    def picture(
        self, surfaces: Sequence[vtk.vtkPolyData], camera: Camera, shading: Shading | None = None
    ) -> NDArray[np.uint8]:
        """Surfaces (RAS mm) as (h, w, 3), in the colour of bone without a shading."""
        self._renderer.RemoveAllViewProps()
        for surface in surfaces:
            self._renderer.AddActor(_actor(surface, shading))
        eye = self._renderer.GetActiveCamera()
        towards = np.asarray(camera.towards, float)
        eye.SetFocalPoint(*camera.centre_ras_mm)
        eye.SetPosition(*(np.asarray(camera.centre_ras_mm) + 1000 * towards / np.linalg.norm(towards)))
        eye.SetViewUp(*camera.up)
        eye.ParallelProjectionOn()
        eye.SetParallelScale(camera.height_mm / 2)
        self._renderer.ResetCameraClippingRange()
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        fine = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
        n = _OVERSAMPLING
        total = sum(fine[row::n, column::n].astype(np.uint16) for row in range(n) for column in range(n))
        return np.asarray(total // n**2, np.uint8)


def _actor(surface: vtk.vtkPolyData, shading: Shading | None) -> vtk.vtkActor:
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.SetScalarVisibility(shading is not None)
    if shading is not None:
        table = vtk.vtkLookupTable()
        table.SetNumberOfTableValues(len(shading.colours))
        for n, colour in enumerate(shading.colours):
            table.SetTableValue(n, *colour)
        mapper.SelectColorArray(shading.scalars)
        mapper.SetScalarModeToUsePointFieldData()
        mapper.SetLookupTable(table)
        mapper.SetScalarRange(shading.low_mm, shading.high_mm)
        mapper.InterpolateScalarsBeforeMappingOn()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    paint = actor.GetProperty()
    paint.SetColor(*BONE)
    paint.SetAmbient(0.08)
    paint.SetSpecular(0.12)
    paint.SetSpecularPower(12)
    return actor
