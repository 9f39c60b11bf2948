"""Volume rendering, on demand: bone of a reconstruction or of the spine, or the edges that a network looked at."""

from __future__ import annotations

from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

from ..errors import EARError
from .nodes import KIND, Node, Scene, add_node, all_or_nothing, remove_nodes

RENDERING, PROPERTY = "rendering", "rendering-property"

#: The method that 3D Slicer starts with.
_METHOD = "vtkMRMLGPURayCastVolumeRenderingDisplayNode"

#: From here to this many HU above it, bone goes from clear to its full opacity.
_BONE_RAMP_HU = 300.0

_BONE = ((0.55, 0.36, 0.25), (0.93, 0.87, 0.74), (1.0, 0.98, 0.92))
_EDGE = ((0.10, 0.10, 0.45), (0.90, 0.45, 0.10), (1.0, 0.95, 0.60))


def render_bone(scene: Scene, volume: Node, threshold_hu: float) -> Node:
    """Show a volume in HU as bone in the 3-D views; return its display node. Raises EARError where this cannot be."""
    steps = threshold_hu, threshold_hu + _BONE_RAMP_HU / 2, threshold_hu + _BONE_RAMP_HU
    return _render(scene, volume, steps, _BONE, opacity=0.8, shaded=True)


def render_edges(scene: Scene, volume: Node) -> Node:
    """Show an edge map, 0 to 1, in the 3-D views; return its display node. Raises EARError where this cannot be."""
    return _render(scene, volume, (0.55, 0.8, 1.0), _EDGE, opacity=0.4, shaded=False)


def stop_rendering(scene: Scene, volume: Node) -> None:
    """Take a volume out of the 3-D views."""
    display = _display(volume)
    if display is not None:
        remove_nodes(scene, [display.GetVolumePropertyNode(), display])


def is_rendered(volume: Node) -> bool:
    """Whether a volume is shown in the 3-D views."""
    return _display(volume) is not None


def _render(
    scene: Scene,
    volume: Node,
    steps: tuple[float, float, float],
    colours: tuple[tuple[float, float, float], ...],
    opacity: float,
    shaded: bool,
) -> Node:
    stop_rendering(scene, volume)
    if not scene.GetTagByClassName(_METHOD):
        raise EARError("volume rendering", "this application has none", "Look at the surfaces")
    with all_or_nothing(scene):
        name = f"{volume.GetName()} rendering"
        properties = add_node(scene, "vtkMRMLVolumePropertyNode", name, PROPERTY, hidden=True)
        clear, colour = vtkPiecewiseFunction(), vtkColorTransferFunction()
        for step, (red, green, blue), share in zip(steps, colours, (0.0, 0.5, 1.0), strict=True):
            clear.AddPoint(step, share * opacity)
            colour.AddRGBPoint(step, red, green, blue)
        volume_property = properties.GetVolumeProperty()
        volume_property.SetScalarOpacity(clear)
        volume_property.SetColor(colour)
        volume_property.SetInterpolationTypeToLinear()
        volume_property.SetShade(shaded)
        display = add_node(scene, _METHOD, name, RENDERING, hidden=True)
        display.SetAndObserveVolumePropertyNodeID(properties.GetID())
        volume.AddAndObserveDisplayNodeID(display.GetID())
        display.SetVisibility(True)
    return display


def _display(volume: Node) -> Node | None:
    displays = (volume.GetNthDisplayNode(n) for n in range(volume.GetNumberOfDisplayNodes()))
    return next((one for one in displays if one and one.GetAttribute(KIND) == RENDERING), None)
