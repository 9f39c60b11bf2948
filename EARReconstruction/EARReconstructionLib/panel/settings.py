"""Settings of the user, which stay from one start of 3D Slicer to the next."""

from __future__ import annotations

from typing import Any

import slicer

#: Where a computation may run.
DEVICES = ("auto", "cuda", "cpu")


def value(name: str, default: str = "") -> str:
    """A setting of ours as a text."""
    found: Any = slicer.app.userSettings().value(f"EARReconstruction/{name}", default)
    return str(found or default)


def setValue(name: str, text: str) -> None:
    """Keep a setting of ours."""
    slicer.app.userSettings().setValue(f"EARReconstruction/{name}", text)


def device() -> str:
    """The device that the user wants: one of DEVICES."""
    chosen = value("Device", "auto")
    return chosen if chosen in DEVICES else "auto"
