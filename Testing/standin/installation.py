"""Puts the parts of the stand-in together."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from . import (
    application,
    attributes,
    cpp,
    ctk_buttons,
    ctk_choosers,
    ctk_sliders,
    dialogs,
    enums,
    extras,
    failures,
    layouts,
    main_window,
    modules,
    mrml_plots,
    mrml_tables,
    mrml_values,
    mrml_views,
    mrml_widget,
    node_combos,
    processes,
    qt_module,
    utilities,
)

#: Where the classes of the tables have their bodies.
BODIES = (
    application,
    ctk_buttons,
    ctk_choosers,
    ctk_sliders,
    layouts,
    main_window,
    modules,
    mrml_plots,
    mrml_tables,
    mrml_values,
    mrml_views,
    mrml_widget,
    node_combos,
)


def install_into(folder: Path) -> Any:
    """See standin.install."""
    running = QtWidgets.QApplication.instance()
    if isinstance(running, application.qSlicerApplication):
        return running
    if running is not None:
        raise RuntimeError("another QApplication runs in this process; the stand-in needs its own")
    _keep_singletons()
    app = application.qSlicerApplication(["Slicer"])
    enums.make_comparable()
    attributes.follow_pythonqt()
    failures.install()
    dialogs.install()
    qt_module.install()
    for name, cls in cpp.made.items():
        if name.startswith(("qMRML", "qSlicer")):
            setattr(slicer, name, cls)
    app._start(folder)
    slicer.app, slicer.mrmlScene = app, app.mrmlScene()
    slicer.modules, slicer.moduleNames = modules.Modules(), types.SimpleNamespace()
    app._d.module_manager = modules.qSlicerModuleManager()
    modules.add_core_modules(app._d.core.module_logics)
    processes.install(folder / "bin")
    utilities.install()
    extras.add_sample_data()
    # These two import qt and ctk themselves.
    from . import parameters, scripted

    for name, module in (("ScriptedLoadableModule", scripted), ("parameterNodeWrapper", parameters)):
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    return app


def _keep_singletons() -> None:
    """PySide 6.12 lets one reference to None or True go at many calls; before Python 3.12 they are counted, and die."""
    if sys.version_info < (3, 12):
        for value in (None, True, False):
            ctypes.c_ssize_t.from_address(id(value)).value += 1 << 40
