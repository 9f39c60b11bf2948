"""What can go wrong with an X-ray engine."""

from __future__ import annotations

from EARReconstructionLib.errors import EARError


class EngineError(EARError):
    """An X-ray engine that is missing, does not run, or draws things in the wrong place."""
