"""What ctk's and Slicer's own Qt classes offer to Python: properties, signals, and slots or invokable methods.

Taken from their headers (commontk/CTK and Slicer/Slicer, versions around Slicer 5.10). Python sees nothing else of
them: a public C++ method that is neither slot nor invokable, such as ctkSliderWidget::setMinimum, does not exist here
as it does not exist there. What the stand-in does not act upon is still taken and kept.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .tables_application import APPLICATION
from .tables_ctk import CTK
from .tables_slicer import SLICER


@dataclass(frozen=True)
class Property:
    """One Q_PROPERTY: its C++ type, its value at the beginning, and whether it can be written."""

    kind: str
    default: Any
    writable: bool


@dataclass(frozen=True)
class Declared:
    """One class of the tables. methods: name -> the lists of argument types that it takes, one for each overload."""

    name: str
    base: str
    properties: dict[str, Property] = field(default_factory=dict)
    signals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    methods: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)


#: Values at the beginning where the table names none.
_EMPTY: dict[str, Any] = {"bool": False, "int": 0, "double": 0.0, "QString": "", "QStringList": []}

_PROPERTY = re.compile(r"property (?P<kind>\S+) (?P<name>\w+)(?P<readonly> readonly)?(?: = (?P<default>.+))?$")
_CALL = re.compile(r"(?:signal|slot) (?P<name>\w+)\((?P<types>.*)\)$")


@cache
def classes() -> dict[str, Declared]:
    """Every class of the tables by name. Raises ValueError for a line that says nothing known."""
    found: dict[str, Declared] = {}
    current: Declared | None = None
    for line in (line.strip() for line in (CTK + SLICER + APPLICATION).splitlines()):
        if not line:
            continue
        if line.startswith("class "):
            name, base = line.removeprefix("class ").split(" : ")
            current = found[name] = Declared(name, base)
        elif current is not None:
            _add(current, line)
        else:
            raise ValueError(f"outside a class: {line}")
    return found


def _add(declared: Declared, line: str) -> None:
    if match := _PROPERTY.match(line):
        kind = match["kind"]
        default = ast.literal_eval(match["default"]) if match["default"] else _EMPTY.get(kind)
        declared.properties[match["name"]] = Property(kind, default, not match["readonly"])
    elif match := _CALL.match(line):
        types = tuple(part.strip() for part in match["types"].split(",") if part.strip())
        if line.startswith("signal"):
            declared.signals[f"{match['name']}({','.join(types)})"] = types
        else:
            declared.methods.setdefault(match["name"], []).append(types)
    else:
        raise ValueError(f"not a property, signal or slot: {line}")
