"""``qt.QUiLoader``: reads .ui files with ctk's and Slicer's widgets, and says what in them would not work."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from typing import Any, NamedTuple

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import attributes, cpp, signals

#: Elements of a .ui file's property that hold an enumeration or flags: PySide cannot set them on classes of ours.
_ENUMERATIONS = ("enum", "set")


class UiError(RuntimeError):
    """Something in a .ui file that 3D Slicer would pass over with a line in its log, or not at all."""


class QUiLoader(QtUiTools.QUiLoader):
    """Makes the widgets of a .ui file."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._registered: set[str] = set()

    def load(self, device: Any, parent: Any = None) -> Any:
        """The root widget. Raises UiError for unknown classes, properties, signals and slots."""
        file = _read(bytes(device.readAll().data()), frozenset(self.availableWidgets()))
        for name in file.used - self._registered:  # one by one is slow: no more than are needed
            self.registerCustomWidget(cpp.made[name])
            self._registered.add(name)
        buffer = QtCore.QBuffer()
        buffer.setData(file.xml)
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        attributes.loading_ui.append("")
        try:
            widget = super().load(buffer, parent)
        finally:
            attributes.loading_ui.pop()
        for name, key, value in file.later:
            setattr(_named(widget, name), key, value)
        for connection in file.connections:
            _connect(widget, connection)
        return widget


class _File(NamedTuple):
    """What Qt's own loader reads, the classes of ours in it, and what has to be set and connected afterwards."""

    xml: bytes
    used: set[str]
    later: list[tuple[str, str, int]]
    connections: list[dict[str, str]]


@cache
def _read(xml: bytes, available: frozenset[str]) -> _File:
    """The same file is read once for all panels that a test process opens."""
    root = ET.fromstring(xml)
    used = {str(widget.get("class")) for widget in root.iter("widget")}
    if unknown := used - available - set(cpp.made) - {"Line"}:
        raise UiError(f"no such class of widgets: {', '.join(sorted(unknown))}")
    later = [item for widget in root.iter("widget") for item in _check_properties(widget)]
    connections = [{part.tag: part.text or "" for part in each} for each in root.iter("connection")]
    for each in root.findall("connections"):
        root.remove(each)
    return _File(ET.tostring(root), used & set(cpp.made), later, connections)


def _class_of(widget: ET.Element) -> type:
    name = str(widget.get("class"))
    return cpp.made.get(name) or getattr(QtWidgets, "QFrame" if name == "Line" else name)


def _check_properties(widget: ET.Element) -> list[tuple[str, str, int]]:
    """Look at the properties of one widget; those with enumerations of our classes are taken out and returned."""
    cls = _class_of(widget)
    names = attributes.properties_of(cls)
    later = []
    for item in list(widget.findall("property")):
        name, value = str(item.get("name")), item[0]
        if name == "orientation" and widget.get("class") == "Line":
            continue
        if name not in names and item.get("stdset") != "0":
            raise UiError(f"{widget.get('class')} '{widget.get('name')}' has no property '{name}'")
        if value.tag in _ENUMERATIONS and name in _own_properties(cls):
            widget.remove(item)
            later.append((str(widget.get("name")), name, _number(cls, value.text or "")))
    return later


def _own_properties(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in getattr(vars(base).get("_cpp_table"), "properties", ())}


def _number(cls: type, text: str) -> int:
    """The number of ``ctkPathLineEdit::Files|ctkPathLineEdit::Readable`` or ``Qt::AlignLeft``."""
    total = 0
    for part in text.split("|"):
        *scopes, name = part.split("::")
        scope = scopes[0] if scopes else ""
        holder = QtCore.Qt if scope == "Qt" else cpp.made.get(scope) or getattr(QtWidgets, scope, cls)
        if not hasattr(holder, name):
            raise UiError(f"no such value: {part}")
        total |= int(getattr(holder, name))
    return total


def _named(root: Any, name: str) -> Any:
    return root if root.objectName == name else QtCore.QObject.findChild(root, QtCore.QObject, name)


def _connect(root: Any, connection: dict[str, str]) -> None:
    ends = [_named(root, connection[end]) for end in ("sender", "receiver")]
    if None in ends:
        raise UiError(f"a connection names a widget that is not there: {connection}")
    sender, receiver = ends
    try:
        signals.connect(sender, connection["signal"], receiver, connection["slot"])
    except signals.SignalError as error:
        raise UiError(f"{connection['sender']} -> {connection['receiver']}: {error}") from error
