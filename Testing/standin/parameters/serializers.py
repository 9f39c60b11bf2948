"""How a value is kept in a vtkMRMLScriptedModuleNode: the same names and texts as Slicer writes into its scenes."""

# mypy: disable-error-code="assignment, attr-defined, name-defined"
from __future__ import annotations

import abc
import enum
import pathlib
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import slicer

from . import annotations
from .observed import ObservedDict, ObservedList

_OfText = Callable[[str], Any]


class Serializer(abc.ABC):
    """Reads and writes one kind of value under a name."""

    #: Whether the value read may be kept: it can only change through the node.
    caching = True

    @abc.abstractmethod
    def default(self) -> Any:
        """The value where none is given."""

    def isIn(self, node: Any, name: str) -> bool:
        """Whether the node holds it."""
        return bool(node.HasParameter(name))

    @abc.abstractmethod
    def write(self, node: Any, name: str, value: Any) -> None:
        """Keep a value."""

    @abc.abstractmethod
    def read(self, node: Any, name: str) -> Any:
        """The value kept."""

    def remove(self, node: Any, name: str) -> None:
        """Drop it."""
        node.UnsetParameter(name)

    def validate(self, value: Any) -> None:  # noqa: B027
        """Raise an error for a value that is not allowed."""


class Validated(Serializer):
    """A serializer that asks validators first."""

    def __init__(self, serializer: Serializer, validators: Iterable[annotations.Validator]) -> None:
        nested = isinstance(serializer, Validated)
        self.inner: Serializer = serializer.inner if isinstance(serializer, Validated) else serializer
        self.validators = [*(serializer.validators if nested else []), *validators]  # type: ignore[attr-defined]
        self.caching = self.inner.caching
        self.default, self.isIn = self.inner.default, self.inner.isIn  # type: ignore[method-assign]
        self.read, self.remove = self.inner.read, self.inner.remove  # type: ignore[method-assign]

    def default(self) -> Any:
        """Of what is inside."""

    def read(self, node: Any, name: str) -> Any:
        """Of what is inside."""

    def validate(self, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)

    def write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        self.inner.write(node, name, value)


class Text(Serializer):
    """Values that are written as a text and read from it."""

    def __init__(self, default: Callable[[], Any], to_text: Callable[[Any], str], of_text: _OfText) -> None:
        self._default, self._to_text, self._of_text = default, to_text, of_text

    def default(self) -> Any:
        return self._default()

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, self._to_text(value))

    def read(self, node: Any, name: str) -> Any:
        return self._of_text(node.GetParameter(name))


class NodeReference(Serializer):
    """A node, kept as a reference; the empty parameter beside it tells that None was set."""

    def default(self) -> None:
        return None

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneOnly(Serializer):
    """None, for Optional."""

    def default(self) -> None:
        return None

    def write(self, node: Any, name: str, value: Any) -> None:
        if value is not None:
            raise ValueError("Value must be None")
        node.SetParameter(name, "True")

    def read(self, node: Any, name: str) -> None:
        return None


class Listed(Serializer):
    """A list: ``name.len``, ``name.0``, ``name.1``..."""

    def __init__(self, element: Serializer) -> None:
        self.element, self.caching = element, element.caching

    def default(self) -> list[Any]:
        return []

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}.len"))

    def _count(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}.len")) if self.isIn(node, name) else 0

    def write(self, node: Any, name: str, value: Any) -> None:
        values = list(value)
        for each in values:
            self.element.validate(each)
        with slicer.util.NodeModify(node):
            before = self._count(node, name)
            for index, each in enumerate(values):
                self.element.write(node, f"{name}.{index}", each)
            node.SetParameter(f"{name}.len", str(len(values)))
            for index in range(len(values), before):
                self.element.remove(node, f"{name}.{index}")

    def read(self, node: Any, name: str) -> ObservedList:
        values = [self.element.read(node, f"{name}.{index}") for index in range(self._count(node, name))]
        return ObservedList(values, lambda new: self._saved(node, name, new))

    def _saved(self, node: Any, name: str, values: list[Any]) -> ObservedList:
        self.write(node, name, values)
        return self.read(node, name)

    def remove(self, node: Any, name: str) -> None:
        with slicer.util.NodeModify(node):
            for index in range(self._count(node, name)):
                self.element.remove(node, f"{name}.{index}")
            node.UnsetParameter(f"{name}.len")


class Tupled(Serializer):
    """A tuple of fixed length: ``name.0``, ``name.1``..."""

    def __init__(self, elements: list[Serializer]) -> None:
        self.elements, self.caching = elements, all(each.caching for each in elements)

    def default(self) -> tuple[Any, ...]:
        return tuple(each.default() for each in self.elements)

    def isIn(self, node: Any, name: str) -> bool:
        return self.elements[0].isIn(node, f"{name}.0")

    def write(self, node: Any, name: str, value: Any) -> None:
        values = tuple(value)
        if len(values) != len(self.elements):
            raise ValueError("Unexpected number of tuple values")
        with slicer.util.NodeModify(node):
            for index, (element, each) in enumerate(zip(self.elements, values, strict=True)):
                element.write(node, f"{name}.{index}", each)

    def read(self, node: Any, name: str) -> tuple[Any, ...]:
        return tuple(each.read(node, f"{name}.{index}") for index, each in enumerate(self.elements))

    def remove(self, node: Any, name: str) -> None:
        for index, each in enumerate(self.elements):
            each.remove(node, f"{name}.{index}")


class Mapped(Serializer):
    """A dictionary, kept as a list of pairs."""

    def __init__(self, key: Serializer, value: Serializer) -> None:
        self._pairs = Listed(Tupled([key, value]))
        self.caching = self._pairs.caching
        self.isIn, self.remove = self._pairs.isIn, self._pairs.remove  # type: ignore[method-assign]

    def default(self) -> dict[Any, Any]:
        return {}

    def write(self, node: Any, name: str, value: Any) -> None:
        self._pairs.write(node, name, value.items())

    def read(self, node: Any, name: str) -> ObservedDict:
        return ObservedDict(dict(self._pairs.read(node, name)), lambda new: self.write(node, name, new))


class United(Serializer):
    """One of several types: the value stands under ``name.<number of its type>``."""

    def __init__(self, members: list[tuple[Any, Serializer]]) -> None:
        self._members = members
        self.caching = all(each.caching for _, each in members)

    def default(self) -> Any:
        optional = len(self._members) == 2 and self._members[1][0] is type(None)
        return None if optional else self._members[0][1].default()

    def _holder(self, node: Any, name: str) -> tuple[str, Serializer] | None:
        named = ((f"{name}.{index}", each) for index, (_, each) in enumerate(self._members))
        return next(((key, each) for key, each in named if each.isIn(node, key)), None)

    def isIn(self, node: Any, name: str) -> bool:
        return self._holder(node, name) is not None

    def write(self, node: Any, name: str, value: Any) -> None:
        errors: list[Exception] = []
        for index, (kind, each) in enumerate(self._members):
            if not _is_of(value, kind):
                continue
            try:
                each.validate(value)
            except (ValueError, TypeError) as error:
                errors.append(error)
                continue
            with slicer.util.NodeModify(node):
                self.remove(node, name)
                each.write(node, f"{name}.{index}", value)
            return
        raise errors[-1] if errors else TypeError(f"Unable to write value '{value}' of type '{type(value)}'")

    def read(self, node: Any, name: str) -> Any:
        holder = self._holder(node, name)
        if holder is None:
            raise KeyError(f"Unable to find value for name: {name}")
        return holder[1].read(node, holder[0])

    def remove(self, node: Any, name: str) -> None:
        for index, (_, each) in enumerate(self._members):
            each.remove(node, f"{name}.{index}")


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a member of a union is asked at all; Slicer goes by the exact type here, so that a bool is no int."""
    origin = typing.get_origin(kind) or kind
    for alike in ((int, float), _PATHS):
        if origin in alike:
            return type(value) in alike
    broad = _is_node(origin) or hasattr(origin, "_is_parameterPack") or issubclass(origin, enum.Enum)
    return isinstance(value, origin) if broad else type(value) is origin


def _is_node(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


#: Serializers of further types, such as parameter packs: (whether it can, how it is made).
registered: list[tuple[Callable[[Any], bool], Callable[[Any], Serializer]]] = []

_SIMPLE: dict[Any, tuple[Callable[[], Any], Callable[[Any], str], Callable[[str], Any], Any]] = {
    int: (lambda: 0, str, int, int),
    float: (lambda: 0, str, float, (int, float)),
    str: (str, str, str, str),
    bool: (lambda: False, lambda value: "True" if value else "False", lambda text: text == "True", bool),
}
_PATHS = (pathlib.Path, pathlib.PosixPath, pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath)


def of_type(annotated: Any) -> tuple[Serializer, list[Any]]:
    """The serializer of a type, and the annotations beside it that are no validators. Raises TypeError."""
    kind, beside = annotations.split(annotated)
    validators = [each for each in beside if isinstance(each, annotations.Validator)]
    others = [each for each in beside if not isinstance(each, annotations.Validator)]
    return Validated(_of_plain_type(kind), validators), others


def _of_plain_type(kind: Any) -> Serializer:
    checks: list[annotations.Validator] = [annotations.NotNone()]
    arguments = [of_type(each)[0] for each in typing.get_args(kind)]
    if kind in _SIMPLE:
        default, to_text, of_text, accepted = _SIMPLE[kind]
        return Validated(Text(default, to_text, of_text), [*checks, annotations.IsInstance(accepted)])
    if kind in _PATHS:
        return Validated(Text(kind, str, kind), [*checks, annotations.IsInstance(kind)])
    if _is_node(kind):
        return Validated(NodeReference(), [annotations.IsInstance(kind)])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        members = kind.__members__
        texts = Text(lambda: next(iter(members.values())), lambda each: each.name, lambda key: members[key])
        return Validated(texts, [*checks, annotations.IsInstance(kind)])
    origin = typing.get_origin(kind)
    if origin is list and len(arguments) == 1:
        return Listed(arguments[0])
    if origin is tuple and arguments:
        return Tupled(arguments)
    if origin is dict and len(arguments) == 2:
        return Mapped(*arguments)
    if origin is typing.Union:
        kinds = [annotations.plain(each) for each in typing.get_args(kind)]
        return United(list(zip(kinds, arguments, strict=True)))
    if kind is type(None):
        return NoneOnly()
    for can, make in registered:
        if can(kind):
            return make(kind)
    hint = "; write Optional[...] or Union[...]" if isinstance(kind, types.UnionType) else ""
    raise TypeError(f"Unable to create serializer for type: {kind}{hint}")
