"""What stands beside a parameter's type in ``Annotated[...]``: validators, defaults, and hints for its widget."""

from __future__ import annotations

import abc
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any


class Validator(abc.ABC):
    """Refuses values; a module may derive its own."""

    @abc.abstractmethod
    def validate(self, value: Any) -> None:
        """Raise an error for a value that is not allowed."""


@dataclass
class NotNone(Validator):
    """Anything but None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


@dataclass
class IsInstance(Validator):
    """An instance of a type, or None."""

    classtype: Any

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is type '{type(value)}' value '{value}'")


@dataclass
class WithinRange(Validator):
    """From minimum to maximum, both included."""

    minimum: Any
    maximum: Any

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class Minimum(Validator):
    """Not below."""

    minimum: Any

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must not be less than {self.minimum}, is {value}")


@dataclass
class Maximum(Validator):
    """Not above."""

    maximum: Any

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must not be greater than {self.maximum}, is {value}")


@dataclass
class Choice(Validator):
    """One of a list."""

    choices: Any

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


@dataclass
class Exclude(Validator):
    """None of a list."""

    excludedValues: Any

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, but must not be an excluded value: {self.excludedValues}")


@dataclass
class RangeBounds(Validator):
    """A range that lies within bounds."""

    minimum: Any
    maximum: Any

    def validate(self, value: Any) -> None:
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"Range must be within the bound of [{self.minimum}, {self.maximum}], is {value}")


class Default:
    """The value of a parameter that has not been set: a value, or a function that makes it."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        """The value, made anew each time by a generator."""
        return self._generator() if self._generator else self._value


@dataclass
class Decimals:
    """Decimals of the widget that shows the parameter."""

    value: int


@dataclass
class SingleStep:
    """Step of the widget that shows the parameter."""

    value: float


def split(annotated: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type and what stands beside it."""
    if isinstance(annotated, types.UnionType):
        return annotated, ()  # Python 3.10 takes it for the Union that is equal to it
    # One more annotation makes a plain type and an annotated one look alike.
    arguments = typing.get_args(Annotated[annotated, ""])
    return arguments[0], arguments[1:-1]


def first(annotations: Iterable[Any], kind: type) -> Any:
    """The first annotation of a kind, or None."""
    return next((each for each in annotations if isinstance(each, kind)), None)


def plain(annotated: Any) -> Any:
    """The type alone."""
    return split(annotated)[0]
