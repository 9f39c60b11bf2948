"""ctk's widgets for numbers: spin box, slider, slider with spin box, range."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from . import cpp

_SLIDER_STEPS = 1000


def _row(parent: QtWidgets.QWidget, *widgets: QtWidgets.QWidget) -> None:
    layout = QtWidgets.QHBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)


@cpp.forward("spin", "prefix", "suffix", "cleanText", "minimum", "maximum", "singleStep", "value", "readOnly")
class ctkDoubleSpinBox(cpp.base("ctkDoubleSpinBox")):
    """A QDoubleSpinBox in a widget of its own."""

    def _build(self) -> None:
        self._d.spin = QtWidgets.QDoubleSpinBox()
        _row(self, self._d.spin)
        self._d.spin.connect("valueChanged(double)", self._changed)
        self._d.spin.connect("editingFinished()", lambda: cpp.emit(self, "editingFinished()"))

    def _changed(self, value: float) -> None:
        cpp.emit(self, "valueChanged(double)", value)
        cpp.emit(self, "valueChanged(QString)", self._d.spin.text)

    def _get_decimals(self) -> int:
        return self._d.spin.decimals

    def _set_decimals(self, decimals: int) -> None:
        self._d.spin.decimals = decimals
        cpp.emit(self, "decimalsChanged(int)", decimals)

    def setValueIfDifferent(self, value: float) -> None:
        self._d.spin.value = value

    def setValueAlways(self, value: float) -> None:
        self._d.spin.value = value

    def stepUp(self) -> None:
        self._d.spin.stepUp()

    def stepDown(self) -> None:
        self._d.spin.stepDown()


class _DoubleSlider(QtWidgets.QSlider):
    """A slider whose positions stand for a range of floating-point numbers."""

    def __init__(self) -> None:
        super().__init__(QtCore.Qt.Orientation.Horizontal)
        self.setRange(0, _SLIDER_STEPS)

    def show_value(self, value: float, low: float, high: float) -> None:
        self.blockSignals(True)
        self.setValue(round(_SLIDER_STEPS * (value - low) / (high - low)) if high > low else 0)
        self.blockSignals(False)

    def value_of(self, position: int, low: float, high: float) -> float:
        return low + position / _SLIDER_STEPS * (high - low)


class ctkDoubleSlider(cpp.base("ctkDoubleSlider")):
    """A slider over floating-point numbers."""

    def _build(self) -> None:
        self._d.slider = _DoubleSlider()
        _row(self, self._d.slider)
        self._d.slider.connect("valueChanged(int)", self._moved)

    def _moved(self, position: int) -> None:
        values = self._d.values
        self.setValue(float(self._d.slider.value_of(position, values["minimum"], values["maximum"])))
        cpp.emit(self, "sliderMoved(double)", values["value"])

    def _set_value(self, value: float) -> None:
        self._keep(value)

    def _set_minimum(self, _: float) -> None:
        self._bounded("maximum", max)

    def _set_maximum(self, _: float) -> None:
        self._bounded("minimum", min)

    def _bounded(self, other: str, choose: Any) -> None:
        values = self._d.values
        values[other] = choose(values["minimum"], values["maximum"])
        cpp.emit(self, "rangeChanged(double,double)", values["minimum"], values["maximum"])
        self._keep(values["value"])

    def _keep(self, value: float) -> None:
        values = self._d.values
        values["value"] = min(max(float(value), values["minimum"]), values["maximum"])
        self._d.slider.show_value(values["value"], values["minimum"], values["maximum"])
        if values["value"] != getattr(self._d, "told", 0.0):
            self._d.told = values["value"]
            cpp.emit(self, "valueChanged(double)", values["value"])


@cpp.forward("spin", "prefix", "suffix", "singleStep")
class ctkSliderWidget(cpp.base("ctkSliderWidget")):
    """A slider and a spin box for one number."""

    def _build(self) -> None:
        self._d.slider, self._d.spin = _DoubleSlider(), QtWidgets.QDoubleSpinBox()
        self._d.spin.setRange(0.0, 99.0)
        _row(self, self._d.slider, self._d.spin)
        self._d.slider.connect("valueChanged(int)", self._moved)
        self._d.spin.connect("valueChanged(double)", self._changed)

    def _moved(self, position: int) -> None:
        spin = self._d.spin
        spin.value = self._d.slider.value_of(position, spin.minimum, spin.maximum)

    def _changed(self, value: float) -> None:
        self._follow()
        cpp.emit(self, "valueChanged(double)", value)

    def _follow(self) -> None:
        self._d.slider.show_value(self._d.spin.value, self._d.spin.minimum, self._d.spin.maximum)

    def _get_value(self) -> float:
        return self._d.spin.value

    def _set_value(self, value: float) -> None:
        self._d.spin.value = value

    def _get_minimum(self) -> float:
        return self._d.spin.minimum

    def _set_minimum(self, value: float) -> None:
        self._d.spin.minimum = value
        self._follow()

    def _get_maximum(self) -> float:
        return self._d.spin.maximum

    def _set_maximum(self, value: float) -> None:
        self._d.spin.maximum = value
        self._follow()

    def _get_decimals(self) -> int:
        return self._d.spin.decimals

    def _set_decimals(self, decimals: int) -> None:
        self._d.spin.decimals = decimals
        cpp.emit(self, "decimalsChanged(int)", decimals)

    def _set_spinBoxVisible(self, visible: bool) -> None:
        self._d.spin.setVisible(visible)

    def reset(self) -> None:
        self._d.spin.value = 0.0


class ctkRangeWidget(cpp.base("ctkRangeWidget")):
    """Two spin boxes for the ends of a range."""

    def _build(self) -> None:
        self._d.low, self._d.high = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        bar = QtWidgets.QProgressBar()
        bar.setTextVisible(False)
        _row(self, self._d.low, bar, self._d.high)
        self._d.high.value = 99.0
        self._d.told = (0.0, 99.0)
        for spin in (self._d.low, self._d.high):
            spin.connect("valueChanged(double)", lambda: self.setValues(self._d.low.value, self._d.high.value))

    def _both(self, name: str, value: Any) -> None:
        for spin in (self._d.low, self._d.high):
            setattr(spin, name, value)

    def _set_decimals(self, decimals: int) -> None:
        self._both("decimals", decimals)

    def _set_singleStep(self, step: float) -> None:
        self._both("singleStep", step)

    def _set_suffix(self, suffix: str) -> None:
        self._both("suffix", suffix)

    def _set_prefix(self, prefix: str) -> None:
        self._both("prefix", prefix)

    def _set_minimum(self, value: float) -> None:
        self.setRange(value, max(value, self.maximum))

    def _set_maximum(self, value: float) -> None:
        self.setRange(min(value, self.minimum), value)

    def _get_minimumValue(self) -> float:
        return self._d.low.value

    def _get_maximumValue(self) -> float:
        return self._d.high.value

    def _set_minimumValue(self, value: float) -> None:
        self.setValues(value, max(value, self._d.high.value))

    def _set_maximumValue(self, value: float) -> None:
        self.setValues(min(value, self._d.low.value), value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._d.values.update(minimum=float(minimum), maximum=float(maximum))
        for spin in (self._d.low, self._d.high):
            spin.setRange(minimum, maximum)
        cpp.emit(self, "rangeChanged(double,double)", minimum, maximum)

    def setValues(self, low: float, high: float) -> None:
        for spin, value in ((self._d.low, min(low, high)), (self._d.high, max(low, high))):
            spin.blockSignals(True)
            spin.value = value
            spin.blockSignals(False)
        before, self._d.told = self._d.told, (self._d.low.value, self._d.high.value)
        if before[0] != self._d.told[0]:
            cpp.emit(self, "minimumValueChanged(double)", self._d.told[0])
        if before[1] != self._d.told[1]:
            cpp.emit(self, "maximumValueChanged(double)", self._d.told[1])
        if before != self._d.told:
            cpp.emit(self, "valuesChanged(double,double)", *self._d.told)

    def reset(self) -> None:
        self.setValues(0.0, 0.0)
