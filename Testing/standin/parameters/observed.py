"""Lists and dictionaries that write themselves back into the parameter node when they are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any


class ObservedList(MutableSequence[Any]):
    """A parameter's list."""

    def __init__(self, values: list[Any], save: Callable[[list[Any]], ObservedList]) -> None:
        self._values, self._save = values, save

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._change(lambda values: values.__setitem__(index, value))

    def __delitem__(self, index: Any) -> None:
        self._change(lambda values: values.__delitem__(index))

    def insert(self, index: int, value: Any) -> None:
        """Put a value before an index."""
        self._change(lambda values: values.insert(index, value))

    def _change(self, do: Callable[[list[Any]], None]) -> None:
        new = list(self._values)
        do(new)
        # What is read again knows of changes inside its own elements.
        self._values = self._save(new)._values

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedList) else other)

    def __add__(self, other: Any) -> Any:
        raise NotImplementedError("Adding an ObservedList is not supported. However, += is supported.")

    __radd__ = __add__

    def __repr__(self) -> str:
        return f"ObservedList({self._values})"


class ObservedDict(MutableMapping[Any, Any]):
    """A parameter's dictionary."""

    def __init__(self, values: dict[Any, Any], save: Callable[[dict[Any, Any]], None]) -> None:
        self._values, self._save = values, save

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        new = {**self._values, key: value}
        self._save(new)
        self._values = new

    def __delitem__(self, key: Any) -> None:
        new = dict(self._values)
        del new[key]
        self._save(new)
        self._values = new

    def __repr__(self) -> str:
        return f"ObservedDict({self._values})"
