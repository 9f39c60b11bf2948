"""The modules ``qt`` and ``ctk``."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp, ui_files

_SOURCES = (QtCore, QtGui, QtWidgets)


class _QtModule(types.ModuleType):
    """``qt``: every class of Qt by its name."""

    Signal, Slot, Property = QtCore.Signal, QtCore.Slot, QtCore.Property
    QUiLoader = ui_files.QUiLoader

    def __getattr__(self, name: str) -> Any:
        if name[:1] in "Qq":
            for source in _SOURCES:
                if hasattr(source, name):
                    return getattr(source, name)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        return sorted({name for source in _SOURCES for name in dir(source) if name.startswith("Q")})


def _single_shot(delay_ms: int, target: Callable[..., Any], slot: str | None = None) -> None:
    """QTimer.singleShot: to a callable, or to a receiver and its slot's signature."""
    timer: Any = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)
    timer.connect("timeout()", *((target,) if slot is None else (target, slot)))
    timer.connect("timeout()", timer.deleteLater)
    timer.start(delay_ms)


def install() -> None:
    """Put ``qt`` and ``ctk`` where ``import`` finds them."""
    # PySide's own calls what it takes for its connect.
    QtCore.QTimer.singleShot = staticmethod(_single_shot)  # type: ignore[method-assign, assignment]
    sys.modules["qt"] = _QtModule("qt")
    ctk = types.ModuleType("ctk")
    for name, cls in cpp.made.items():
        if name.startswith("ctk"):
            setattr(ctk, name, cls)
    sys.modules["ctk"] = ctk
