"""Signals as PythonQt connects them: by their full C++ signature, to any callable, which gets what it takes.

A signal that does not exist raises here; 3D Slicer only prints a line, and the button stays dead.
"""

# mypy: disable-error-code="arg-type, union-attr"
from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import failures

#: The look-up of attributes that PySide gives a class, before PythonQt's rules are put upon it.
raw_lookups: dict[type, Callable[[Any, str], Any]] = {QtCore.QObject: QtCore.QObject.__getattribute__}


@cache
def _lookup_of(cls: type) -> Callable[[Any, str], Any]:
    return next(raw_lookups[base] for base in cls.__mro__ if base in raw_lookups)


def raw_getattr(self: Any, name: str) -> Any:
    """An attribute of a Qt object as PySide has it."""
    return _lookup_of(type(self))(self, name)


#: C++ signatures of the signals of our own classes, each with the attribute that holds PySide's signal.
Declared = dict[str, str]


#: Signals that Qt 5.15 does not have; Slicer is built with either.
_OF_NEWER_QT = ("checkStateChanged(Qt::CheckState)",)


class SignalError(RuntimeError):
    """A signal or a connection that does not exist."""


@cache
def signatures(cls: type) -> dict[str, str]:
    """Normalised C++ signature -> attribute, of all signals of a class; later classes first."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        found.update(base.__dict__.get("_cpp_signals", {}))
    # An object's metaObject() would take the class's own with it when the object goes.
    meta = cls.staticMetaObject  # type: ignore[attr-defined]
    for index in range(meta.methodCount()):
        method = meta.method(index)
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal:
            signature = method.methodSignature().data().decode()
            if "PyObject" not in signature:
                found.setdefault(signature, signature.split("(")[0])
    return {signature: name for signature, name in found.items() if signature not in _OF_NEWER_QT or _is_own(cls, name)}


def _is_own(cls: type, name: str) -> bool:
    """Whether a signal is one of ctk's or Slicer's."""
    return any(name in base.__dict__.get("_cpp_signals", {}).values() for base in cls.__mro__)


def normalised(signature: str) -> str:
    """A signature without spaces, const and &, as Qt compares them; raises SignalError for something else."""
    if not re.fullmatch(r"\s*\w+\s*\(.*\)\s*", signature):
        raise SignalError(f"{signature!r} is not a signal's signature such as 'clicked(bool)'")
    return QtCore.QMetaObject.normalizedSignature(signature).data().decode()


def find(sender: QtCore.QObject, signature: str) -> Any:
    """PySide's signal of an object by C++ signature; raises SignalError when the object has no such signal."""
    known = signatures(type(sender))
    name = normalised(signature)
    if name not in known:
        same = [other for other in known if other.split("(")[0] == name.split("(")[0]]
        hint = f"; it has {', '.join(sorted(same))}" if same else ""
        raise SignalError(f"signal '{signature}' does not exist on {type(sender).__name__}{hint}")
    signal = raw_getattr(sender, known[name])
    if any(name in cls.__dict__.get("_cpp_signals", {}) for cls in type(sender).__mro__):
        return signal
    return signal[name[name.index("(") + 1 : -1]] if name.count("(") and not name.endswith("()") else signal


def accepted_arguments(target: Callable[..., Any]) -> int | None:
    """How many arguments PythonQt hands to a callable at most: all (None) unless it is a plain function or method."""
    function = target.__func__ if inspect.ismethod(target) else target
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - inspect.ismethod(target)


class _Connection:
    """One callable on one signal, as PySide keeps it."""

    def __init__(self, signal: Any, signature: str, target: Callable[..., Any]) -> None:
        self.signal, self.target = signal, target
        count = 0 if signature.endswith("()") else signature.count(",") + 1
        accepted = accepted_arguments(target)
        self.count = count if accepted is None else min(count, accepted)
        # PySide asks a function for the number of its arguments; with *args it gets all of the signal's.
        self.slot = lambda *arguments: self._call(arguments)
        signal.connect(self.slot)

    def _call(self, arguments: tuple[Any, ...]) -> None:
        try:
            self.target(*arguments[: self.count])
        except Exception as error:
            failures.record(error)

    def close(self) -> None:
        self.signal.disconnect(self.slot)


#: Connections of each C++ object, by its address; an object's go with it.
_connections: dict[int, list[tuple[str, _Connection]]] = {}


def _pointer(sender: QtCore.QObject) -> int:
    """The address of the C++ object: PySide may make more than one Python object for it."""
    return int(shiboken6.getCppPointer(sender)[0])


def connect(sender: QtCore.QObject, signature: str, *target: Any) -> bool:
    """``widget.connect('clicked(bool)', f)`` or ``widget.connect('clicked()', receiver, 'slot()')``."""
    if len(target) not in (1, 2) or not isinstance(signature, str):
        raise TypeError("connect takes a signature and a callable, or a receiver and its slot's signature")
    callable_ = target[0] if len(target) == 1 else _slot(*target)
    if isinstance(callable_, BoundSignal):
        callable_ = callable_.emit
    if not callable(callable_):
        raise TypeError(f"{callable_!r} cannot be called")
    key = _pointer(sender)
    if key not in _connections:
        _connections[key] = []
        raw_getattr(sender, "destroyed").connect(lambda *_: _connections.pop(key, None))
    name = normalised(signature)
    _connections[key].append((name, _Connection(find(sender, signature), name, callable_)))
    return True


def disconnect(sender: QtCore.QObject, signature: str, *target: Any) -> bool:
    """Undo one connect; without a target all of the signal. False when there was none."""
    find(sender, signature)
    name = normalised(signature)
    callable_ = (target[0] if len(target) == 1 else _slot(*target)) if target else None
    if isinstance(callable_, BoundSignal):
        callable_ = callable_.emit
    kept = _connections.get(_pointer(sender), [])
    gone = [item for item in kept if item[0] == name and callable_ in (None, item[1].target)]
    for item in gone if callable_ is None else gone[:1]:
        kept.remove(item)
        item[1].close()
    return bool(gone)


def _slot(receiver: QtCore.QObject, signature: str) -> Callable[..., Any]:
    name = signature.split("(")[0].strip()
    method = getattr(receiver, name, None)
    if not callable(method):
        raise SignalError(f"slot '{signature}' does not exist on {type(receiver).__name__}")
    return method


class BoundSignal:
    """A signal of one object: ``widget.clicked``, with connect, disconnect and emit."""

    def __init__(self, sender: QtCore.QObject, name: str) -> None:
        self._sender, self._name = sender, name
        of_name = [signature for signature in signatures(type(sender)) if signature.split("(")[0] == name]
        # Of overloads PythonQt takes the one that was declared first; Qt lists a default argument's short form last.
        self.signature = of_name[0]

    def connect(self, target: Any) -> bool:
        """Connect a callable or another signal."""
        return connect(self._sender, self.signature, target)

    def disconnect(self, *target: Any) -> bool:
        """Disconnect a callable, or all."""
        return disconnect(self._sender, self.signature, *target)

    def emit(self, *arguments: Any) -> None:
        """Send the signal."""
        raw_getattr(self._sender, self._name).emit(*arguments)

    __call__ = emit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundSignal) and (self._sender, self._name) == (other._sender, other._name)

    def __hash__(self) -> int:
        return hash((id(self._sender), self._name))

    def __repr__(self) -> str:
        return f"<qt signal {self._name} of {type(self._sender).__name__}>"
