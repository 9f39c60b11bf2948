"""``@parameterPack``: several values under one name, and the range of numbers that comes with Slicer."""

# mypy: disable-error-code="assignment, attr-defined"
from __future__ import annotations

import typing
from typing import Any

import slicer

from . import annotations
from .serializers import Serializer, of_type, registered


class _Member:
    """One value of a pack."""

    def __init__(self, name: str, kind: Any, owner: type) -> None:
        self.name, self.kind = name, kind
        self.serializer, beside = of_type(kind)
        given = annotations.first(beside, annotations.Default)
        if hasattr(owner, name):
            self.default = getattr(owner, name)
        else:
            self.default = given.value if given else self.serializer.default()
        self.serializer.validate(self.default)


def isParameterPack(obj: Any) -> bool:
    """Whether a class or an object is a parameter pack."""
    return bool(getattr(obj, "_is_parameterPack", False))


def parameterPack(cls: Any = None) -> Any:
    """Class decorator: the annotated names become checked values."""
    if cls is None:
        return parameterPack
    hints = typing.get_type_hints(cls, include_extras=True)
    if not hints:
        raise ValueError("Unable to find any members in parameterPack")
    members = {name: _Member(name, kind, cls) for name, kind in hints.items()}
    own_init = vars(cls).get("__init__")
    for name in ("allParameters", "getValue", "setValue", "dataType"):
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterPack")

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        vars(self)["_values"] = {name: member.default for name, member in members.items()}
        vars(self)["_save"] = lambda: None
        if own_init is not None:
            own_init(self, *args, **kwargs)
            return
        given = dict(zip(members, args, strict=False)) | kwargs
        for name, value in given.items():
            if name not in members:
                raise TypeError(f"__init__() got an unexpected keyword argument '{name}'")
            setattr(self, name, value)

    for name, member in members.items():
        setattr(cls, name, _property(member))
    cls.__init__ = init
    cls.allParameters, cls._is_parameterPack = members, True
    cls.getValue, cls.setValue, cls.dataType = _get_value, _set_value, classmethod(_data_type)
    if "__eq__" not in vars(cls):
        cls.__eq__ = lambda self, other: type(self) is type(other) and self._values == other._values
    if "__repr__" not in vars(cls):
        cls.__repr__ = lambda self: f"{cls.__name__}({self._values})"
    return cls


def _property(member: _Member) -> property:
    def write(self: Any, value: Any) -> None:
        member.serializer.validate(value)
        self._values[member.name] = value
        self._save()

    return property(lambda self: self._values[member.name], write)


def _get_value(self: Any, name: str) -> Any:
    top, _, rest = name.partition(".")
    _check(self, top)
    return getattr(self, top).getValue(rest) if rest else getattr(self, top)


def _set_value(self: Any, name: str, value: Any) -> None:
    top, _, rest = name.partition(".")
    _check(self, top)
    if rest:
        getattr(self, top).setValue(rest, value)
    else:
        setattr(self, top, value)


def _data_type(cls: Any, name: str) -> Any:
    top, _, rest = name.partition(".")
    _check(cls, top)
    kind = cls.allParameters[top].kind
    return annotations.plain(kind).dataType(rest) if rest else kind


def _check(pack: Any, name: str) -> None:
    if name not in pack.allParameters:
        raise ValueError(f"{pack} has no member '{name}'")


class _PackSerializer(Serializer):
    """A pack: ``name.<member>`` for each of its values."""

    caching = True

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def default(self) -> Any:
        return self._cls()

    def validate(self, value: Any) -> None:
        if not isinstance(value, self._cls):
            raise ValueError(f"Value must be of type '{self._cls}', is type '{type(value)}'")

    def isIn(self, node: Any, name: str) -> bool:
        member = next(iter(self._cls.allParameters.values()))
        return bool(member.serializer.isIn(node, f"{name}.{member.name}"))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        with slicer.util.NodeModify(node):
            for member in self._cls.allParameters.values():
                member.serializer.write(node, f"{name}.{member.name}", value._values[member.name])

    def read(self, node: Any, name: str) -> Any:
        pack = self._cls()
        for member in self._cls.allParameters.values():
            pack._values[member.name] = member.serializer.read(node, f"{name}.{member.name}")
            if isParameterPack(pack._values[member.name]):
                vars(pack._values[member.name])["_save"] = lambda: self.write(node, name, pack)
        vars(pack)["_save"] = lambda: self.write(node, name, pack)
        return pack

    def remove(self, node: Any, name: str) -> None:
        for member in self._cls.allParameters.values():
            member.serializer.remove(node, f"{name}.{member.name}")


registered.append((isParameterPack, _PackSerializer))


@parameterPack
class FloatRange:
    """Two numbers, the first not above the second."""

    _minimum: float
    _maximum: float

    def __init__(self, minimum: float = 0, maximum: float = 0) -> None:
        self.setRange(minimum, maximum)

    def setRange(self, minimum: float, maximum: float) -> None:
        """Set both."""
        if not minimum <= maximum:
            raise ValueError(f"FloatRange must have minimum <= maximum: {minimum} <= {maximum}")
        self._values.update(_minimum=minimum, _maximum=maximum)  # type: ignore[attr-defined]
        self._save()  # type: ignore[attr-defined]

    @property
    def minimum(self) -> float:
        """The lower number."""
        return self._minimum

    @minimum.setter
    def minimum(self, value: float) -> None:
        self.setRange(value, self._maximum)

    @property
    def maximum(self) -> float:
        """The upper number."""
        return self._maximum

    @maximum.setter
    def maximum(self, value: float) -> None:
        self.setRange(self._minimum, value)
