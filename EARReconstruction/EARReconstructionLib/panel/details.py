"""What a developer needs to know about a failure: its log, and the versions of all that took part."""

from __future__ import annotations

import platform
import traceback

import slicer

from .. import __version__
from .settings import device
from .torch import description


def details(message: str, trouble: BaseException | None) -> str:
    """A plain text: the message, the log of the trouble, versions and device. torch is never imported for it."""
    log = "".join(traceback.format_exception(trouble)) if trouble else "none\n"
    versions = {
        "3D Slicer": slicer.app.applicationVersion,
        "SlicerEAR": __version__,
        "Python": platform.python_version(),
        "torch": description(),
        "device": device(),
        "system": platform.platform(),
    }
    lines = "\n".join(f"{name}: {version}" for name, version in versions.items())
    return f"{message}\n\n{lines}\n\nLog: {log}"
