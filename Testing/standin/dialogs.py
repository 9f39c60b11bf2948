"""Dialogs that would wait for a person: each is kept, and answered by the test.

A dialog with nothing to decide (one button at most) closes by itself. One that asks takes the next answer that the test
has laid ready; without one it raises, so that no test hangs and no question goes unseen.
"""

# mypy: disable-error-code="assignment, attr-defined, method-assign"
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtGui, QtWidgets


@dataclass(frozen=True)
class Dialog:
    """What was asked or told, and what came back."""

    kind: str
    title: str
    text: str
    details: str
    result: Any


#: All dialogs since the last call of forget, oldest first.
shown: list[Dialog] = []

#: What the coming questions are answered with: a result, or a function of the dialog that returns it.
answers: deque[Any] = deque()


def forget() -> None:
    """Drop what was shown and what lies ready."""
    shown.clear()
    answers.clear()


def texts() -> list[str]:
    """The texts of what was shown."""
    return [dialog.text for dialog in shown]


def _next(kind: str, title: str, text: str, details: str, dialog: Any, default: Any = None) -> Any:
    if not answers and default is None:
        raise AssertionError(f"a {kind} waits for an answer that the test has not laid ready: {title}: {text}")
    answer = answers.popleft() if answers and default is None else default
    result = answer(dialog) if callable(answer) else answer
    shown.append(Dialog(kind, title, text, details, result))
    return result


def _run(dialog: Any, *_: Any) -> int:
    """QDialog.exec: nothing is shown on a screen, the answer is the result."""
    text, details, default = "", "", None
    if isinstance(dialog, QtWidgets.QMessageBox):
        text, details = dialog.text, dialog.detailedText
        # A detailed text has a button of its own.
        buttons = [each for each in dialog.buttons() if each.text.rstrip(".") not in ("Show Details", "Hide Details")]
        if len(buttons) <= 1:
            default = int(dialog.standardButton(buttons[0])) if buttons else int(QtWidgets.QMessageBox.Ok)
    dialog.show()
    QtWidgets.QApplication.processEvents()
    try:
        return int(_next(type(dialog).__name__, dialog.windowTitle.strip(), text, details, dialog, default))
    finally:
        dialog.hide()


def _path(kind: str) -> Callable[..., str]:
    """One of QFileDialog's functions. PythonQt returns the path alone, PySide a pair."""

    def ask(parent: Any = None, caption: str = "", folder: str = "", filters: str = "", *_: Any) -> Any:
        return _next(kind, caption, filters, folder, None)

    return ask


def _message(kind: str, informs: bool) -> Callable[..., Any]:
    """One of QMessageBox's functions."""

    def ask(parent: Any, title: str, text: str, buttons: Any = QtWidgets.QMessageBox.Ok, *_: Any) -> Any:
        one = int(buttons).bit_count() == 1
        return QtWidgets.QMessageBox.StandardButton(
            int(_next(kind, title, text, "", None, buttons if informs and one else None))
        )

    return ask


def _input(kind: str) -> Callable[..., Any]:
    """One of QInputDialog's functions. PythonQt returns the value alone, PySide a pair."""

    def ask(parent: Any, title: str, label: str, *_: Any) -> Any:
        return _next(kind, title, label, "", None)

    return ask


def _colour(initial: Any = None, parent: Any = None, title: str = "", *_: Any) -> QtGui.QColor:
    return _next("getColor", title, "", "", None)


def _open(url: Any) -> bool:
    """QDesktopServices.openUrl: nothing is opened."""
    shown.append(Dialog("openUrl", "", url.toString(), "", True))
    return True


def install() -> None:
    """Put this in the place of every modal dialog of Qt."""
    for cls in (QtWidgets.QDialog, QtWidgets.QMessageBox, QtWidgets.QFileDialog, QtWidgets.QInputDialog):
        cls.exec = _run  # type: ignore[method-assign, assignment]
        cls.exec_ = _run  # type: ignore[attr-defined]
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(QtWidgets.QFileDialog, name, staticmethod(_path(name)))
    for name in ("information", "warning", "critical", "question"):
        setattr(QtWidgets.QMessageBox, name, staticmethod(_message(name, name != "question")))
    for name in ("getText", "getInt", "getDouble", "getItem"):
        setattr(QtWidgets.QInputDialog, name, staticmethod(_input(name)))
    QtGui.QDesktopServices.openUrl = staticmethod(_open)  # type: ignore[method-assign, assignment]
    QtWidgets.QColorDialog.getColor = staticmethod(_colour)  # type: ignore[method-assign, assignment]
    QtWidgets.QMenu.exec = lambda menu, *_: _next(  # type: ignore[method-assign, assignment]
        "QMenu", menu.title, "", "", menu
    )
