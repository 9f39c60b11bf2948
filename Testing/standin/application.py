"""``slicer.app``: the application, on QApplication."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from . import cpp
from .files import IOManager
from .scene import Core


class qSlicerApplication(cpp.base("qSlicerApplication")):
    """The application. Its settings, temporary files and caches live in one folder that the test throws away."""

    AA_EnableTesting = 1001

    def _build(self) -> None:
        self._d.folder = Path()
        self._d.layout_manager = None
        self._d.testing = False
        self._d.paused = 0
        self._d.restarts: list[str] = []

    def _start(self, folder: Path) -> None:
        """Make the scene and all that hangs on it."""
        self._d.folder = folder
        for name in ("settings", "temporary", "cache", "extensions", "scenes"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        for scope in (QtCore.QSettings.Scope.UserScope, QtCore.QSettings.Scope.SystemScope):
            QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, scope, str(folder / "settings"))
        self.setOrganizationName("slicer.org")
        self.setApplicationName("Slicer")
        self.setApplicationVersion("5.12.0")
        values = self._d.values
        values.update(
            slicerHome=str(folder),
            temporaryPath=str(folder / "temporary"),
            cachePath=str(folder / "cache"),
            extensionsInstallPath=str(folder / "extensions"),
            defaultScenePath=str(folder / "scenes"),
            startupWorkingPath=os.getcwd(),
            slicerUserSettingsFilePath=QtCore.QSettings().fileName(),
            slicerRevisionUserSettingsFilePath=str(folder / "settings" / "Slicer-0.ini"),
        )
        self._d.core = Core(folder)
        self._d.io = IOManager(self._d.core.scene, self._d.core.module_logics)

    def mrmlScene(self) -> Any:
        return self._d.core.scene

    def applicationLogic(self) -> Any:
        return self._d.core.logic

    def moduleLogic(self, name: str) -> Any:
        return self._d.core.module_logics.get(name)

    def moduleManager(self) -> Any:
        return self._d.module_manager

    def coreIOManager(self) -> IOManager:
        return self._d.io

    ioManager = coreIOManager

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    settings = userSettings

    def revisionUserSettings(self) -> QtCore.QSettings:
        path = self._d.values["slicerRevisionUserSettingsFilePath"]
        return QtCore.QSettings(path, QtCore.QSettings.Format.IniFormat)

    def defaultSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings(str(self._d.folder / "default.ini"), QtCore.QSettings.Format.IniFormat)

    def layoutManager(self) -> Any:
        return self._d.layout_manager

    def setLayoutManager(self, manager: Any) -> None:
        self._d.layout_manager = manager

    def commandOptions(self) -> Any:
        window = any(isinstance(each, QtWidgets.QMainWindow) and each.visible for each in self.topLevelWidgets())
        return types.SimpleNamespace(
            testingEnabled=self._d.testing, noMainWindow=not window, runPythonAndExit=False, noSplash=True
        )

    def testingEnabled(self) -> bool:
        return self._d.testing

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def errorLogModel(self) -> None:
        return None

    def pythonConsole(self) -> None:
        return None

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}/user_guide/modules/{name.lower()}.html"

    def openNodeModule(self, node: Any, role: str = "", context: str = "") -> None:
        self._d.opened = node

    def setRenderPaused(self, pause: bool) -> None:
        self._d.paused += 1 if pause else -1
        if self._d.layout_manager is not None:
            self._d.layout_manager.setRenderPaused(pause)
        cpp.emit(self, "renderPaused(bool)", pause)

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def restart(self) -> None:
        self._d.restarts.append("restart")

    def confirmRestart(self, reason: str = "") -> None:
        self._d.restarts.append(reason)

    def launchDesigner(self, arguments: Any = ()) -> bool:
        return False
