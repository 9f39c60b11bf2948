"""Errors that nobody caught: in slots, observers of VTK, virtual methods of Qt and threads.

3D Slicer prints them to its Python console and goes on. So does the stand-in, and a test that asks is told.
"""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from PySide6 import QtCore

#: What has gone wrong since the last call of raise_first or forget.
uncaught: list[BaseException] = []


class UncaughtError(AssertionError):
    """An error that 3D Slicer would have printed to its Python console."""


def record(error: BaseException) -> None:
    """Keep an error for the test, and print it as 3D Slicer does."""
    uncaught.append(error)
    traceback.print_exception(type(error), error, error.__traceback__)


def raise_first() -> None:
    """Raise the first error kept, as an UncaughtError; the others are in its text. Without one, do nothing."""
    if uncaught:
        errors = list(uncaught)
        uncaught.clear()
        text = "\n".join(f"{type(error).__name__}: {error}" for error in errors)
        raise UncaughtError(f"not caught by the module:\n{text}") from errors[0]


def forget() -> None:
    """Drop what was kept."""
    uncaught.clear()


#: Lines of Qt about the screen that is not there.
_OF_NO_SCREEN = ("This plugin does not support propagateSizeHints", "This plugin does not support raise")


def _of_qt(_kind: Any, _where: Any, text: str) -> None:
    if not text.startswith(_OF_NO_SCREEN):
        print(f"Qt: {text}", file=sys.stderr)


def install() -> None:
    """Hear of errors that Python cannot raise: both VTK and Qt hand them to sys.excepthook."""
    QtCore.qInstallMessageHandler(_of_qt)

    def in_python(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        record(error.with_traceback(trace))

    def in_thread(args: Any) -> None:
        if args.exc_value is not None:
            record(args.exc_value)

    sys.excepthook = in_python
    threading.excepthook = in_thread
