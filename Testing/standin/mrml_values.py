"""Slicer's widgets for numbers: ctk's, with the units of the scene."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

from PySide6 import QtWidgets

from . import cpp
from .ctk_sliders import ctkRangeWidget


class _WithScene:
    """What the three have in common."""

    def _build(self) -> None:
        self._d.scene = None  # type: ignore[attr-defined]

    def mrmlScene(self) -> Any:
        return self._d.scene  # type: ignore[attr-defined]

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene = scene  # type: ignore[attr-defined]


class qMRMLSliderWidget(cpp.base("qMRMLSliderWidget")):
    """A slider that can take its unit from the scene; here it has none."""

    _build, mrmlScene, setMRMLScene = _WithScene._build, _WithScene.mrmlScene, _WithScene.setMRMLScene


class qMRMLSpinBox(cpp.base("qMRMLSpinBox")):
    """A spin box that can take its unit from the scene; here it has none."""

    _build, mrmlScene, setMRMLScene = _WithScene._build, _WithScene.mrmlScene, _WithScene.setMRMLScene


class qMRMLRangeWidget(cpp.base("qMRMLRangeWidget")):
    """A range that can take its unit from the scene; here it has none."""

    _build, mrmlScene, setMRMLScene = _WithScene._build, _WithScene.mrmlScene, _WithScene.setMRMLScene


class qMRMLVolumeThresholdWidget(cpp.base("qMRMLVolumeThresholdWidget")):
    """The threshold of a volume's display."""

    Auto, Manual, Off = 0, 1, 2

    def _build(self) -> None:
        self._d.volume, self._d.range = None, ctkRangeWidget()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.range)
        self._d.range.connect("valuesChanged(double,double)", self._changed)
        self.enabled = False

    def setMRMLVolumeNode(self, node: Any) -> None:
        self._d.volume = node
        display = node.GetScalarVolumeDisplayNode() if node else None
        self.enabled = display is not None
        if display is not None:
            low, high = node.GetImageData().GetScalarRange() if node.GetImageData() else (0.0, 0.0)
            self._d.range.setRange(low, high)
            self._d.range.setValues(display.GetLowerThreshold(), display.GetUpperThreshold())
            modes = (self.Off, self.Auto if display.GetAutoThreshold() else self.Manual)
            self._d.values["autoThreshold"] = modes[bool(display.GetApplyThreshold())]

    def mrmlVolumeNode(self) -> Any:
        return self._d.volume

    def _changed(self, low: float, high: float) -> None:
        display = self._d.volume.GetScalarVolumeDisplayNode() if self._d.volume else None
        if display is not None:
            display.SetThreshold(low, high)
        cpp.emit(self, "thresholdValuesChanged(double,double)", low, high)

    def _set_autoThreshold(self, mode: int) -> None:
        display = self._d.volume.GetScalarVolumeDisplayNode() if self._d.volume else None
        if display is not None:
            display.SetApplyThreshold(mode != self.Off)
            display.SetAutoThreshold(mode == self.Auto)
        cpp.emit(self, "autoThresholdValueChanged(int)", mode)

    def _get_lowerThreshold(self) -> float:
        return self._d.range.minimumValue

    def _get_upperThreshold(self) -> float:
        return self._d.range.maximumValue

    def _set_lowerThreshold(self, value: float) -> None:
        self._d.range.minimumValue = value

    def _set_upperThreshold(self, value: float) -> None:
        self._d.range.maximumValue = value

    def setThreshold(self, low: float, high: float) -> None:
        self._d.range.setValues(low, high)

    def setThresholdBounds(self, low: float, high: float) -> None:
        self._d.range.setRange(low, high)
