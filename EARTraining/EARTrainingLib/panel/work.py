"""What the sections have in common that run a command: a main button that becomes Cancel, and fields for folders."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from EARReconstructionLib.panel.host import Panel
from EARReconstructionLib.panel.section import Section
from slicer.i18n import tr as _

from . import layout
from .child import Told
from .python_section import PythonSection

#: A second click of a double click must not cancel what the first one started, s.
_DOUBLE_CLICK_S = 0.6


class WorkSection(Section):
    """button: the main one. folders: parameter -> the ctkPathLineEdit that shows it (texts cannot be bound to one)."""

    def __init__(
        self, panel: Panel, python: PythonSection, uiName: str, title: str, *, button: str, folders: dict[str, str]
    ) -> None:
        super().__init__(panel, uiName, title)
        self.python = python
        self._button = getattr(self.ui, button)
        self._folders = {parameter: getattr(self.ui, widget) for parameter, widget in folders.items()}
        self._running, self._started = False, 0.0
        for parameter, widget in self._folders.items():
            widget.connect("currentPathChanged(QString)", self._keeper(parameter))
        self._button.connect("clicked()", self.onButton)

    def setParameterNode(self, node: Any) -> None:
        """See Section."""
        super().setParameterNode(node)
        self._showFolders()

    def refresh(self) -> None:
        """See Section."""
        self._running = self._running and self.panel.busy
        self._showFolders()
        for widget in self._folders.values():
            widget.enabled = not self.panel.busy

    def run(
        self, title: str, arguments: list[str], done: Callable[[dict[str, Any]], None], told: Told | None = None
    ) -> None:
        """Run a command; the main button is Cancel as long as it runs."""
        if self.panel.busy:
            return
        self.python.start(title, arguments, done, told)
        self._running, self._started = self.panel.busy, time.monotonic()
        self.panel.changed()

    def onButton(self) -> None:
        """The main button: start, or stop what it started."""
        if not self._running:
            self.begin()
        elif time.monotonic() - self._started > _DOUBLE_CLICK_S:
            self.panel.cancel()
            self.panel.changed()

    def begin(self) -> None:
        """What the main button starts."""
        raise NotImplementedError

    def showButton(self, text: str, reason: str, toolTip: str) -> None:
        """Text and state of the main button; Cancel while its work runs."""
        if self._running:
            self._button.text, self._button.enabled = _("Cancel"), self.panel.ui.cancelButton.enabled
            self._button.toolTip = _("Stop. What is finished is kept: start again to go on")
            return
        self._button.text = text
        self.enable(self._button, reason, toolTip)

    def _showFolders(self) -> None:
        for parameter, widget in self._folders.items():
            text = getattr(self._node, parameter) if self._node is not None else ""
            if widget.currentPath != text:
                widget.currentPath = text

    def _keeper(self, parameter: str) -> Callable[[str], None]:
        def keep(path: str) -> None:
            if self._node is not None and getattr(self._node, parameter) != path:
                setattr(self._node, parameter, path)

        return keep


def folderTrouble(folder: str) -> str:
    """Why results cannot go into a folder, as far as a look tells; empty when they can."""
    if not folder.strip():
        return _("Name the output folder first")
    if not Path(folder).is_absolute():
        return _("Give the whole path of the output folder")
    return _("The output folder is a file") if Path(folder).is_file() else ""


def isDataSet(folder: str) -> bool:
    """Whether a folder holds a data set, finished or begun."""
    return bool(folder) and (Path(folder) / "dataset.json").is_file()


def isFinished(folder: str) -> bool:
    """Whether a folder holds a data set that can be used."""
    return isDataSet(folder) and (Path(folder) / "manifest.csv").is_file()


def arrange() -> None:
    """Curves over results; without a main window nothing happens."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        manager.setLayout(layout.add_layout(manager.layoutLogic().GetLayoutNode()))
