"""Slicer's main window: module panel at the left, views at the right, status bar below."""

# mypy: disable-error-code="assignment, attr-defined, has-type, method-assign, misc, union-attr"
from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from . import cpp

_PANEL_WIDTH = 480


class qSlicerModuleSelectorToolBar(cpp.base("qSlicerModuleSelectorToolBar")):
    """Chooses the module whose panel is shown."""

    def _build(self) -> None:
        self._d.module, self._d.show = None, None

    def _get_selectedModule(self) -> str:
        return self._d.module.name if self._d.module is not None else ""

    def _set_selectedModule(self, name: str) -> None:
        self.selectModule(name)

    def selectModule(self, name: str) -> None:
        module = slicer.app.moduleManager().module(name)
        if module is None:
            # Slicer writes a line into its log and stays where it is.
            raise RuntimeError(f"there is no module '{name}' to select")
        widget = module.widgetRepresentation()
        self._leave()
        self._d.module = module
        self._d.show(widget)
        if widget is not None:
            widget.enter()
        cpp.emit(self, "moduleSelected(QString)", name)

    def _leave(self) -> None:
        """Tell the panel that it is not shown any more."""
        module, self._d.module = self._d.module, None
        if module is not None and module.widgetRepresentation() is not None:
            module.widgetRepresentation().exit()
        self._d.show(None)


class qSlicerMainWindow(cpp.base("qSlicerMainWindow")):
    """The main window."""

    def _build(self) -> None:
        self.objectName = "qSlicerMainWindow"
        self.windowTitle = "3D Slicer"
        self._d.selector = qSlicerModuleSelectorToolBar()
        self._d.selector._d.show = self._show_panel
        self.addToolBar(self._d.selector)
        self._d.viewport = QtWidgets.QWidget()
        self._d.viewport.setMinimumSize(200, 200)
        self.setCentralWidget(self._d.viewport)
        self._d.scroll = QtWidgets.QScrollArea()
        self._d.scroll.setWidgetResizable(True)
        self._d.scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._d.scroll.objectName = "ModulePanel"
        dock = QtWidgets.QDockWidget("Module panel")
        dock.objectName = "PanelDockWidget"
        dock.setWidget(self._d.scroll)
        dock.setMinimumWidth(_PANEL_WIDTH)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.setStatusBar(QtWidgets.QStatusBar())

    def _show_panel(self, widget: Any) -> None:
        # A scroll area deletes the widget that another takes the place of.
        self._d.scroll.takeWidget()
        if widget is not None:
            self._d.scroll.setWidget(widget)
            widget.show()

    def moduleSelector(self) -> Any:
        return self._d.selector

    def pythonConsole(self) -> Any:
        return None
