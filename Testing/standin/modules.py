"""Slicer's modules: ``slicer.modules``, the module manager, and the loader of scripted modules."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp, mrml_widget  # noqa: F401  (the base of the widgets here)


class qSlicerAbstractCoreModule(cpp.base("qSlicerAbstractCoreModule")):
    """A module. Those of Slicer itself have a logic and no panel here."""

    def _build(self) -> None:
        self._d.logic, self._d.representation = None, None
        self._d.values["icon"] = QtGui.QIcon()

    def logic(self) -> Any:
        return self._d.logic

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def widgetRepresentation(self) -> Any:
        if self._d.representation is None:
            self._d.representation = self.createNewWidgetRepresentation()
        return self._d.representation

    def createNewWidgetRepresentation(self) -> Any:
        return None


class qSlicerScriptedLoadableModule(cpp.base("qSlicerScriptedLoadableModule")):
    """A module written in Python: what its module class is constructed with."""

    def createNewWidgetRepresentation(self) -> Any:
        if not self.widgetRepresentationCreationEnabled:
            return None
        widget = qSlicerScriptedLoadableModuleWidget()
        widget._attach(self)
        return widget


class qSlicerAbstractModuleWidget(cpp.base("qSlicerAbstractModuleWidget")):
    """The panel of a module."""

    def enter(self) -> None:
        self._d.values["isEntered"] = True
        cpp.emit(self, "entered()")

    def exit(self) -> None:
        self._d.values["isEntered"] = False
        cpp.emit(self, "exited()")


class qSlicerScriptedLoadableModuleWidget(cpp.base("qSlicerScriptedLoadableModuleWidget")):
    """The panel of a module written in Python; ``self()`` is its Python object."""

    def _build(self) -> None:
        self._d.module, self._d.python = None, None
        QtWidgets.QVBoxLayout(self)

    def _attach(self, module: qSlicerScriptedLoadableModule) -> None:
        self._d.module = module
        self._d.values["moduleName"] = module.name
        self._instantiate()
        self.setMRMLScene(slicer.mrmlScene)

    def _instantiate(self) -> None:
        name = self._d.module.name
        cls = getattr(sys.modules[name], f"{name}Widget")
        self._d.python = cls(self)
        setattr(slicer.modules, f"{name}Widget", self._d.python)
        self._d.python.setup()

    def self(self) -> Any:
        return self._d.python

    def reload(self) -> bool:
        """Make the Python object anew from the file that has been imported again."""
        self._instantiate()
        return True

    def enter(self) -> None:
        super().enter()
        if hasattr(self._d.python, "enter"):
            self._d.python.enter()

    def exit(self) -> None:
        super().exit()
        if hasattr(self._d.python, "exit"):
            self._d.python.exit()


class qSlicerModuleFactoryManager(cpp.base("qSlicerModuleFactoryManager")):
    """Says which modules are loaded."""

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(vars(slicer.moduleNames))

    def isLoaded(self, name: str) -> bool:
        return name in self.loadedModuleNames()


class qSlicerModuleManager(cpp.base("qSlicerModuleManager")):
    """Finds modules by name."""

    def _build(self) -> None:
        self._d.factory = qSlicerModuleFactoryManager()

    def module(self, name: str) -> Any:
        found = getattr(slicer.modules, name.lower(), None)
        return found if found is not None and found.name == name else None

    def modulesNames(self) -> tuple[str, ...]:
        return self._d.factory.loadedModuleNames()

    def factoryManager(self) -> qSlicerModuleFactoryManager:
        return self._d.factory


class Modules(types.SimpleNamespace):
    """``slicer.modules``: each module by its name in lower case."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"module 'modules' has no attribute '{name}': no such module is loaded")


#: Modules of Slicer that others switch to, and that have no logic here.
_PANELS = ("Data", "DICOM", "SampleData", "SegmentEditor", "SegmentStatistics", "Welcome")


def add_core_modules(logics: dict[str, Any]) -> None:
    """Make the modules of Slicer itself known."""
    for name in (*logics, *_PANELS):
        module = qSlicerAbstractCoreModule()
        module._d.logic = logics.get(name)
        register(module, name)


def register(module: Any, name: str, path: str = "") -> None:
    """Put a module into slicer.modules and slicer.moduleNames."""
    module._d.values.update(name=name, path=path)
    setattr(slicer.modules, name.lower(), module)
    setattr(slicer.moduleNames, name, name)


def load_scripted(path: Path) -> qSlicerScriptedLoadableModule:
    """Load a module file as Slicer does at its start: import it under its name, construct its module class.

    Raises whatever the file raises; TypeError when it has no class of its name.
    """
    name, folder = path.stem, str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    python = importlib.util.module_from_spec(spec)
    sys.modules[name] = python
    spec.loader.exec_module(python)
    if not isinstance(getattr(python, name, None), type):
        raise TypeError(f"{path.name} has no class {name}")
    module = qSlicerScriptedLoadableModule()
    # The class asks for the path, not yet for the module.
    module._d.values.update(name=name, path=os.fspath(path))
    instance = getattr(python, name)(module)
    register(module, name, os.fspath(path))
    setattr(slicer.modules, f"{name}Instance", instance)
    if hasattr(instance, "setup"):
        instance.setup()
    cpp.emit(slicer.app.moduleManager(), "moduleLoaded(QString)", name)
    return module


def unload(name: str) -> None:
    """Unload a scripted module as Slicer does at its end: its widget is told and cleaned up, then deleted."""
    module = getattr(slicer.modules, name.lower())
    cpp.emit(slicer.app.moduleManager(), "moduleAboutToBeUnloaded(QString)", name)
    widget = module._d.representation
    if widget is not None:
        QtCore.QCoreApplication.sendPostedEvents(None, int(QtCore.QEvent.Type.DeferredDelete))
        widget.delete()
    for attribute in (name.lower(), f"{name}Widget", f"{name}Instance"):
        vars(slicer.modules).pop(attribute, None)
    vars(slicer.moduleNames).pop(name, None)
    slicer.selfTests.pop(name, None)
    sys.modules.pop(name, None)
