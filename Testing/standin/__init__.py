"""A stand-in for the 3D Slicer desktop: PySide6 off screen and slicer-core behind ``qt``, ``ctk`` and ``slicer``.

It loads real module files and .ui files, so that they are tested on a machine without Slicer. It is strict: what fails
in Slicer fails here, and what Slicer passes over in silence (a misspelt signal, an error in a slot) fails here too.

A test takes the fixture ``desktop`` of fixtures.py, which the conftest.py beside this package hands on::

    desktop.load_module(folder / "Example.py")
    panel = desktop.open("Example")
    desktop.answer("a/b.nrrd")  # for the file dialog that the click opens
    desktop.click(panel.ui.loadButton)
    desktop.wait_until(lambda: panel.ui.applyButton.enabled)
    desktop.grab(panel.parent, tmp_path / "panel.png")
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any


def why_not() -> str | None:
    """Why the stand-in cannot run here, or None."""
    for package, what in (("PySide6", "PySide6-Essentials"), ("slicer_core", "slicer-core")):
        if importlib.util.find_spec(package) is None:
            return f"the desktop stand-in needs {what}"
    _choose_platform()
    try:
        import PySide6.QtUiTools
        import PySide6.QtWidgets  # noqa: F401
        import slicer_core  # noqa: F401
    except ImportError as error:
        return f"the desktop stand-in cannot draw: {error}"
    return None


def _choose_platform() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


def install(folder: Path) -> Any:
    """Put ``qt``, ``ctk`` and the desktop's part of ``slicer`` in place; return the application.

    folder: keeps settings, temporary files and caches. A second call returns the same application.
    """
    _choose_platform()
    from .installation import install_into

    return install_into(folder)
