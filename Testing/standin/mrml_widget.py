"""The base of Slicer's widgets."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

from . import cpp


class qMRMLWidget(cpp.base("qMRMLWidget")):
    """A widget that knows the scene and hands it to the widgets connected to it in the .ui file."""

    def _build(self) -> None:
        self._d.scene = None

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._d.scene:
            self._d.scene = scene
            cpp.emit(self, "mrmlSceneChanged(vtkMRMLScene*)", scene)


class qSlicerWidget(cpp.base("qSlicerWidget")):
    """A widget of an application."""
