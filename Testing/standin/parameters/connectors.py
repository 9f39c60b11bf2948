"""Which widget can show which type of parameter. Anything else raises, as in Slicer, and so does a derived class."""

# mypy: disable-error-code="assignment, attr-defined"
from __future__ import annotations

import enum
import logging
import pathlib
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from . import annotations
from .packs import FloatRange


class GuiConnector:
    """Shows one parameter in one widget. A module may derive its own."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call a function when a person changes the widget; None ends it."""
        if callback is None and self._callback is not None:
            self._disconnect()
        elif callback is not None:
            self._connect()
        self._callback = callback

    def changed(self) -> None:
        """The widget has been changed."""
        if self._callback is not None:
            self._callback()

    def _connect(self) -> None:
        raise NotImplementedError

    def _disconnect(self) -> None:
        raise NotImplementedError

    def widget(self) -> Any:
        """The widget."""
        raise NotImplementedError

    def read(self) -> Any:
        """The widget's value."""
        raise NotImplementedError

    def write(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError


class _Property(GuiConnector):
    """A widget whose value is one property, with a signal that tells of its changes."""

    def __init__(self, widget: Any, name: str, signal: str, to: Any = None, of: Any = None) -> None:
        super().__init__()
        self._widget, self._name, self._signal = widget, name, signal
        self._to, self._of = to or (lambda value: value), of or (lambda value: value)

    def _connect(self) -> None:
        if self._signal:
            self._widget.connect(self._signal, self.changed)

    def _disconnect(self) -> None:
        if self._signal:
            self._widget.disconnect(self._signal, self.changed)

    def widget(self) -> Any:
        return self._widget

    def read(self) -> Any:
        return self._of(getattr(self._widget, self._name))

    def write(self, value: Any) -> None:
        setattr(self._widget, self._name, self._to(value))


class _Items(_Property):
    """A combo box with one item for each possible value."""

    def __init__(self, widget: Any, values: list[Any], labels: list[str]) -> None:
        super().__init__(widget, "currentIndex", "currentIndexChanged(int)", values.index, values.__getitem__)
        widget.clear()
        for label in labels:
            widget.addItem(label)


class _PlainText(_Property):
    """A QTextEdit."""

    def __init__(self, widget: Any) -> None:
        super().__init__(widget, "plainText", "textChanged()")

    def write(self, value: str) -> None:
        # Setting a text moves the cursor to the front.
        if self._widget.plainText != value:
            self._widget.plainText = value


class _Range(_Property):
    """A ctkRangeWidget."""

    def __init__(self, widget: Any) -> None:
        super().__init__(widget, "", "valuesChanged(double,double)")

    def read(self) -> FloatRange:
        return FloatRange(self._widget.minimumValue, self._widget.maximumValue)

    def write(self, value: FloatRange) -> None:
        self._widget.setValues(value.minimum, value.maximum)


class _Node(_Property):
    """A qMRMLNodeComboBox."""

    def __init__(self, widget: Any, kind: Any) -> None:
        super().__init__(widget, "", "currentNodeChanged(vtkMRMLNode*)")
        widget.nodeTypes = [each().GetClassName() for each in _node_classes(kind)]

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)


def _node_classes(kind: Any) -> list[Any]:
    """The classes of nodes in a type, when it has no others but None."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) is typing.Union else (kind,)
    plain = [annotations.plain(each) for each in kinds]
    nodes = [each for each in plain if isinstance(each, type) and issubclass(each, slicer.vtkMRMLNode)]
    return nodes if len(nodes) + plain.count(type(None)) == len(plain) else []


def _number(widget: Any, beside: Any, whole: bool) -> GuiConnector:
    """A slider or spin box, with the range that the annotations give."""
    for kind, name in ((annotations.Decimals, "decimals"), (annotations.SingleStep, "singleStep")):
        found = annotations.first(beside, kind)
        if found is not None:
            setattr(widget, name, found.value)
    within = annotations.first(beside, annotations.WithinRange)
    low = within or annotations.first(beside, annotations.Minimum)
    high = within or annotations.first(beside, annotations.Maximum)
    is_slider = type(widget) in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget, ctk.ctkDoubleSlider)
    if is_slider and not (low and high):
        raise RuntimeError(f"Cannot have a connection to {type(widget).__name__} where the number is unbounded.")
    integer = type(widget) in (qt.QSlider, qt.QSpinBox)
    lowest, highest = (-(2**31), 2**31 - 1) if integer else (float("-inf"), float("inf"))
    widget.minimum = low.minimum if low else lowest
    widget.maximum = high.maximum if high else highest
    signal = "valueChanged(int)" if integer else "valueChanged(double)"
    return _Property(widget, "value", signal, of=int if whole else float)


def _flag(widget: Any) -> GuiConnector:
    if type(widget) is qt.QPushButton:
        if not widget.checkable:
            logging.warning("Making push button checkable for conversion to bool: %s", widget)
            widget.checkable = True
        return _Property(widget, "checked", "toggled(bool)")
    return _Property(widget, "checked", "stateChanged(int)")


#: Connectors that a module registered itself.
_registered: list[Any] = []


def parameterNodeGuiConnector(cls: Any = None) -> Any:
    """Class decorator: a connector of a module's own."""
    if cls is None:
        return parameterNodeGuiConnector
    _registered.append(cls)
    return cls


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """The connector of a widget and a type; raises RuntimeError when there is none."""
    for cls in _registered:
        if cls.canRepresent(widget, datatype):
            return cls.create(widget, datatype)
    kind, beside = annotations.split(datatype)
    connector = _built_in(widget, type(widget), kind, beside)
    if connector is None:
        raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget '{type(widget)}'")
    return connector


def _built_in(widget: Any, cls: type, kind: Any, beside: Any) -> GuiConnector | None:
    real = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox, ctk.ctkDoubleSlider, slicer.qMRMLSliderWidget)
    if kind is bool and cls in (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton):
        return _flag(widget)
    if (kind is int and cls in (qt.QSlider, qt.QSpinBox, *real[:2])) or (kind is float and cls in real):
        return _number(widget, beside, kind is int)
    if cls in (qt.QComboBox, ctk.ctkComboBox):
        return _choice(widget, kind, beside)
    if kind is str and cls in (qt.QLineEdit, qt.QLabel):
        return _Property(widget, "text", "textChanged(QString)" if cls is qt.QLineEdit else "")
    if kind is str and cls is qt.QTextEdit:
        return _PlainText(widget)
    if kind is FloatRange and cls is ctk.ctkRangeWidget:
        bounds = annotations.first(beside, annotations.RangeBounds)
        if bounds is None:
            raise RuntimeError("Cannot have a connection to ctkRangeWidget where the float is unbounded.")
        widget.setRange(bounds.minimum, bounds.maximum)
        return _Range(widget)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        names = {ctk.ctkPathLineEdit: "currentPath", ctk.ctkDirectoryButton: "directory"}
        if cls in names:
            return _Property(widget, names[cls], f"{names[cls]}Changed(QString)", str, kind)
    if cls is slicer.qMRMLNodeComboBox and _node_classes(kind):
        return _Node(widget, kind)
    return None


def _choice(widget: Any, kind: Any, beside: Any) -> GuiConnector | None:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda each: each.name)
        return _Items(widget, list(kind), [label(each) for each in kind])
    choices = annotations.first(beside, annotations.Choice)
    if kind not in (int, float, str, bool):
        return None
    if choices is None:
        raise RuntimeError("A combo box requires the Choice annotation to be used.")
    return _Items(widget, list(choices.choices), [str(each) for each in choices.choices])
