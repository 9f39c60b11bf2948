"""Attributes of Qt objects as PythonQt has them, put upon PySide6's classes.

A Qt property is read and written as an attribute, its setter is a method, its getter is not. What a C++ class does not
have raises AttributeError, on reading and on writing.
"""

# mypy: disable-error-code="arg-type, assignment"
from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from . import signals

_raw_getattr = signals.raw_getattr

#: PythonQt's name of QObject's objectName, beside its own.
_ALIASES = {"name": "objectName"}

#: Python types that a property of a C++ type takes. PythonQt turns anything into a string or a bool without a word
#: (None becomes "None", a node becomes False): here that is an error.
_TAKES: dict[str, tuple[type, ...]] = {
    "QString": (str,),
    "bool": (bool, int),
    "int": (int,),
    "uint": (int,),
    "double": (float, int),
    "float": (float, int),
    "QStringList": (list, tuple),
}


#: Properties being read: a getter that is virtual, such as sizeHint, makes PySide look for one in Python by this name.
_being_read: set[tuple[int, str]] = set()


class _Rules:
    """What one class offers: which names are Qt properties, and which come from Python."""

    def __init__(self, cls: type) -> None:
        self.name = cls.__name__
        meta = cls.staticMetaObject  # type: ignore[attr-defined]
        properties = (meta.property(index) for index in range(meta.propertyCount()))
        self.properties = {each.name(): each for each in properties}
        user = [base for base in cls.__mro__ if not is_cpp(base)]
        self.is_user_class = bool([base for base in user if base is not object])
        self.python = {name for base in user if base is not object for name in vars(base)}
        cpp = [base for base in cls.__mro__ if is_cpp(base)]
        self.is_ours = any("_cpp_signals" in vars(base) for base in cpp)
        self.members = {name for base in cpp for name in vars(base) if not name.startswith("_")}


def is_cpp(cls: type) -> bool:
    """Whether a class stands for a C++ class: one of Qt, or one of ours for ctk and Slicer."""
    return cls.__module__.startswith(("PySide6", "Shiboken")) or "_cpp_signals" in vars(cls)


@cache
def _rules(cls: type) -> _Rules:
    return _Rules(cls)


def properties_of(cls: type) -> set[str]:
    """The names of the Qt properties of a class."""
    return set(_rules(cls).properties)


def _get(self: QtCore.QObject, name: str) -> Any:
    if name.startswith("_"):
        return _raw_getattr(self, name)
    rules = _rules(type(self))
    if name in rules.python:
        return _raw_getattr(self, name)
    if name in _METHODS:
        return _METHODS[name].__get__(self)
    name = name if name in rules.properties else _ALIASES.get(name, name)
    if name in rules.properties and (id(self), name) not in _being_read:
        return _read(self, name)
    try:
        value = _raw_getattr(self, name)
    except AttributeError:
        return _dynamic(self, name)
    return signals.BoundSignal(self, name) if isinstance(value, QtCore.SignalInstance) else value


def _read(self: QtCore.QObject, name: str) -> Any:
    _being_read.add((id(self), name))
    try:
        return _as_pythonqt(_raw_getattr(self, "property")(name))
    finally:
        _being_read.discard((id(self), name))


def _dynamic(self: QtCore.QObject, name: str) -> Any:
    """A dynamic property, or a direct child by its name."""
    if shiboken6.isValid(self):
        value = _raw_getattr(self, "property")(name)
        if value is not None:
            return _as_pythonqt(value)
        for child in _raw_getattr(self, "children")():
            if _raw_getattr(child, "objectName")() == name:
                return child
    raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")


def _as_pythonqt(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _set(self: QtCore.QObject, name: str, value: Any) -> None:
    rules = _rules(type(self))
    name = name if name in rules.properties else _ALIASES.get(name, name)
    if loading_ui and isinstance(value, QtCore.QObject) and _raw_getattr(value, "objectName")() == name:
        return  # PySide's loader makes an attribute of every child; PythonQt does not.
    if isinstance(value, QtCore.SignalInstance):
        _raw_getattr(self, "__dict__")[name] = value  # PySide keeps a signal that it has made.
    elif name in rules.properties:
        _write(self, rules, name, value)
    elif name in rules.members or name in _METHODS:
        raise AttributeError(f"'{name}' can not be overwritten on {rules.name} object")
    elif not name.startswith("_") and _raw_getattr(self, "property")(name) is not None:
        _raw_getattr(self, "setProperty")(name, value)
    elif rules.is_user_class or (rules.is_ours and name == "_d" and "_d" not in _raw_getattr(self, "__dict__")):
        _set_in_python(self, name, value)
    else:
        raise AttributeError(
            f"'{name}' does not exist on {rules.name} and creating new attributes on C++ objects is not allowed"
        )


def _set_in_python(self: QtCore.QObject, name: str, value: Any) -> None:
    for cls in type(self).__mro__:
        descriptor = vars(cls).get(name)
        if hasattr(type(descriptor), "__set__"):
            descriptor.__set__(self, value)  # type: ignore[union-attr]
            return
    _raw_getattr(self, "__dict__")[name] = value


def _write(self: QtCore.QObject, rules: _Rules, name: str, value: Any) -> None:
    declared = rules.properties[name]
    if not declared.isWritable():
        raise AttributeError(f"Property '{name}' of {rules.name} object is not writable")
    wanted = _TAKES.get(declared.typeName()) or _qt_type(declared.typeName())
    if wanted and not isinstance(value, wanted):
        raise AttributeError(
            f"Property '{name}' of type '{declared.typeName()}' of {rules.name} does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )
    if not _raw_getattr(self, "setProperty")(name, plain_number(value)):
        raise AttributeError(f"Property '{name}' of type '{declared.typeName()}' does not accept {value!r}")


def plain_number(value: Any) -> Any:
    """VTK's enumerations and numpy's floats as numbers that Qt knows; anything else as it is."""
    if isinstance(value, (Enum, bool)):
        return value
    return int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else value


def _qt_type(name: str) -> tuple[type, ...]:
    """The class of a property such as QIcon or QColor: nothing else is taken for it."""
    cls = getattr(QtGui, name, None) or getattr(QtCore, name, None)
    return (cls,) if isinstance(cls, type) and not issubclass(cls, int) else ()


def _class_name(self: QtCore.QObject) -> str:
    return type(self).__name__


def _delete(self: QtCore.QObject) -> None:
    shiboken6.delete(self)


def _matches(child: QtCore.QObject, kind: Any) -> bool:
    return child.inherits(kind) if isinstance(kind, str) else isinstance(child, kind)


def _find_children(self: QtCore.QObject, kind: Any, name: str | None = None) -> tuple[QtCore.QObject, ...]:
    """PythonQt's: with a name it does not look inside children of another name."""
    found: list[QtCore.QObject] = []
    for child in self.children():
        if name is None or child.objectName == name:
            found += [child] * _matches(child, kind)
            found += _find_children(child, kind, name)
    return tuple(found)


def _find_child(self: QtCore.QObject, kind: Any, name: str | None = None) -> QtCore.QObject | None:
    for child in self.children():
        if (name is None or child.objectName == name) and _matches(child, kind):
            return child
    inside = (_find_child(child, kind, name) for child in self.children())
    return next((child for child in inside if child is not None), None)


_METHODS: dict[str, Any] = {
    "connect": signals.connect,
    "disconnect": signals.disconnect,
    "className": _class_name,
    "delete": _delete,
    "findChild": _find_child,
    "findChildren": _find_children,
}

#: Not empty while a .ui file is being read.
loading_ui: list[str] = []


def follow_pythonqt() -> None:
    """Put the rules upon every Qt object of this process; a second call does nothing."""
    for cls in qt_classes():
        if issubclass(cls, QtCore.QObject):
            # PySide gives each class a way of its own to write attributes, and some one to read them.
            if "__getattribute__" in vars(cls) and cls.__getattribute__ is not _get:
                signals.raw_lookups[cls] = cls.__getattribute__
                cls.__getattribute__ = _get  # type: ignore[method-assign, assignment]
            cls.__setattr__ = _set  # type: ignore[method-assign, assignment]


@cache
def qt_classes() -> tuple[type, ...]:
    """All classes of Qt; PySide makes each when it is first asked for."""
    found = (getattr(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module))
    return tuple(cls for cls in found if isinstance(cls, type))
