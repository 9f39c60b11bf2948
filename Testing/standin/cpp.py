"""Classes of ctk and Slicer, each made from its entry in the tables of declared.py and a body in Python.

A body names its base by ``cpp.base("ctkSliderWidget")``. It builds its parts in ``_build``, keeps them in ``_d``, and
may answer for a property with ``_get_value`` and ``_set_value``; else the value is just kept. It must have every method
of its table that is more than a property's setter, and may have no public name that the table does not know.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from . import declared, signals

#: The classes by name, bodies included.
made: dict[str, type] = {}

#: Python's type of a property or a signal's argument of a C++ type; what is not here travels as any object.
_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "double": float,
    "QString": str,
    "QStringList": "QStringList",
    "QColor": QtGui.QColor,
    "QIcon": QtGui.QIcon,
    "QSize": QtCore.QSize,
}


def base(name: str) -> Any:
    """The base class for the body of the class ``name``: its Qt base, properties and signals."""
    table = declared.classes()[name]
    parent = made.get(table.base) or getattr(QtWidgets, table.base, None) or getattr(QtCore, table.base)
    members: dict[str, Any] = {"_cpp_signals": {}, "_cpp_table": table, "__init_subclass__": classmethod(_complete)}
    for key, each in table.properties.items():
        members[key] = _property(key, each)
    overloads: dict[str, int] = {}
    for signature, kinds in table.signals.items():
        plain = signature.split("(")[0]
        count = overloads[plain] = overloads.get(plain, 0) + 1
        attribute = plain if count == 1 else f"_{plain}_{count}"
        members[attribute] = QtCore.Signal(*(_TYPES.get(kind, object) for kind in kinds))
        members["_cpp_signals"][signature] = attribute
    if not hasattr(parent, "_cpp_table"):
        members["__init__"] = _make
    return type(parent)(f"{name}Base", (parent,), members)


def forward(inner: str, *names: str) -> Callable[[type], type]:
    """Let properties of a class be those of a widget inside it, kept as ``_d.<inner>``."""

    def apply(cls: Any) -> Any:
        for name in names:
            setattr(cls, f"_get_{name}", lambda self, name=name: getattr(getattr(self._d, inner), name))
            setattr(cls, f"_set_{name}", lambda self, value, name=name: setattr(getattr(self._d, inner), name, value))
        return cls

    return apply


def emit(sender: QtCore.QObject, signature: str, *arguments: Any) -> None:
    """Send a signal by its full C++ signature."""
    signals.find(sender, signature).emit(*arguments)


def _make(self: Any, *arguments: Any) -> None:
    """The constructors: ``(parent)``, ``(text, parent)`` for buttons, and what the Qt base takes."""
    parent = type(self).__mro__[[hasattr(cls, "_cpp_table") for cls in type(self).__mro__].index(False)]
    parent.__init__(self, *arguments)
    values = {key: each.default for cls in _tables(type(self)) for key, each in cls.properties.items()}
    self._d = types.SimpleNamespace(values=values)
    for cls in reversed(type(self).__mro__):
        if "_build" in vars(cls):
            vars(cls)["_build"](self)


def _tables(cls: type) -> list[declared.Declared]:
    return [vars(each)["_cpp_table"] for each in reversed(cls.__mro__) if "_cpp_table" in vars(each)]


def _property(name: str, each: declared.Property) -> QtCore.Property:
    def read(self: Any) -> Any:
        getter = getattr(type(self), f"_get_{name}", None)
        return getter(self) if getter else self._d.values[name]

    def write(self: Any, value: Any) -> None:
        setter = getattr(type(self), f"_set_{name}", None)
        self._d.values[name] = value
        if setter:
            setter(self, value)

    kind = _TYPES.get(each.kind, "QVariant")
    return QtCore.Property(kind, read, write) if each.writable else QtCore.Property(kind, read)


def _complete(cls: Any) -> None:
    """Check the body of a class against its table, give it its setters, and check what its methods are called with."""
    table: declared.Declared = cls._cpp_table
    if cls.__name__ != table.name:
        return  # a class that a module derives in Python
    cls._cpp_signals = {}
    for name, overloads in table.methods.items():
        function = vars(cls).get(name) or _setter(name, table)
        if function is None:
            raise TypeError(f"{table.name}.{name} is in the table, and the stand-in has no body for it")
        setattr(cls, name, _checked(function, name, overloads))
    inherited = {name for parent in cls.__mro__[1:] for name in dir(parent)}
    known = table.methods.keys() | table.properties.keys() | inherited
    unknown = [
        name
        for name, value in vars(cls).items()
        if not name.startswith("_") and name not in known and not isinstance(value, int)
    ]
    if unknown:
        raise TypeError(f"{table.name} has {unknown}, which its table does not know")
    made[table.name] = cls


def _setter(method: str, table: declared.Declared) -> Callable[..., None] | None:
    name = method.removeprefix("set")[:1].lower() + method.removeprefix("set")[1:]
    if not method.startswith("set") or name not in table.properties:
        return None
    return lambda self, value: setattr(self, name, value)


def _checked(function: Callable[..., Any], name: str, overloads: list[tuple[str, ...]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Any, *arguments: Any) -> Any:
        if not any(_fits(arguments, kinds) for kinds in overloads):
            wanted = " or ".join(f"({', '.join(kinds)})" for kinds in overloads)
            raise ValueError(f"Called {name}{wanted} with wrong arguments: {arguments!r}")
        return function(self, *arguments)

    return call


def _fits(arguments: tuple[Any, ...], kinds: tuple[str, ...]) -> bool:
    needed = sum(not kind.endswith("=") for kind in kinds)
    return needed <= len(arguments) <= len(kinds) and all(
        _is(argument, kind.rstrip("=")) for argument, kind in zip(arguments, kinds, strict=False)
    )


def _is(value: Any, kind: str) -> bool:
    """Whether PythonQt would take a value for an argument of a C++ type without losing anything."""
    if kind.endswith("*") and kind.startswith("vtk"):
        return value is None or (hasattr(value, "IsA") and bool(value.IsA(kind[:-1])))
    takes: dict[str, Any] = {
        "bool": (bool, int),
        "int": (int,),
        "vtkIdType": (int,),
        "double": (int, float),
        "QString": (str,),
        "QStringList": (list, tuple),
        "QColor": (QtGui.QColor,),
        "QIcon": (QtGui.QIcon,),
    }
    return isinstance(value, takes.get(kind, object))
