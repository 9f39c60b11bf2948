"""Observers of nodes that are dropped together and keep nobody alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from .nodes import Node


class Observers:
    """What one object listens to.

    A node holds its callbacks, and callbacks hold their object: without weak references a scene and whoever listens to
    it would only go together, in any order, when Python collects its garbage.
    """

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, subject: Node, event: int | str, method: Callable[[Node, str], None]) -> None:
        """Call a bound method with (subject, name of the event) from now on."""
        weak = WeakMethod(method)

        def call(caller: Node, name: str) -> None:
            live = weak()
            if live is not None:
                live(caller, name)

        self._tags.append((subject, subject.AddObserver(event, call)))

    def drop(self) -> None:
        """Listen no more."""
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags.clear()
