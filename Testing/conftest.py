"""Fixtures of the tests that cross both modules; ``standin`` beside this file is their package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from standin.fixtures import ctk, desktop, desktop_of_session, parameters, qt, slicer

__all__ = ["ctk", "desktop", "desktop_of_session", "parameters", "qt", "slicer"]
