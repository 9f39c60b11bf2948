"""Observers of VTK objects that end with the Qt object they belong to, as ctk's qvtkConnect's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shiboken6
import vtk


class Observers:
    """The observers of one widget."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, call: Callable[[], None]) -> None:
        """Call ``call`` at an event, as long as the owner lives."""

        def on_event(*_: Any) -> None:
            if shiboken6.isValid(self._owner):
                call()
            else:
                self.clear()

        # A strong reference would keep the subject hierarchy in use that closing the scene has removed.
        reference = vtk.vtkWeakReference()
        reference.Set(observed)
        self._tags.append((reference, observed.AddObserver(event, on_event)))

    def clear(self) -> None:
        """Remove all."""
        tags, self._tags = self._tags, []
        for reference, tag in tags:
            if reference.Get() is not None:
                reference.Get().RemoveObserver(tag)
