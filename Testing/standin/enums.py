"""Enumerations as PythonQt has them: values are numbers, so ``state == qt.Qt.Checked`` holds for a number as well."""

# mypy: disable-error-code="arg-type"
from __future__ import annotations

from enum import Enum, EnumMeta
from typing import Any

from .attributes import qt_classes


def make_comparable() -> None:
    """Let every enumeration of Qt compare equal to its number."""
    for holder in qt_classes():
        for member in list(vars(holder).values()):
            if isinstance(member, EnumMeta) and not issubclass(member, int):
                _compare_with_numbers(member)


def _compare_with_numbers(enumeration: type[Enum]) -> None:
    def equal(self: Enum, other: Any) -> bool:
        return self is other or (isinstance(other, int) and self.value == other)

    enumeration.__eq__ = equal  # type: ignore[assignment, method-assign]
    enumeration.__hash__ = lambda self: hash(self.value)  # type: ignore[assignment, method-assign]
    enumeration.__int__ = lambda self: self.value  # type: ignore[attr-defined]
    enumeration.__index__ = lambda self: self.value  # type: ignore[attr-defined]


def is_qt_enumeration(value: Any) -> bool:
    """Whether a value is a type of enumeration of Qt."""
    return isinstance(value, EnumMeta) and value.__module__.startswith("PySide6")
