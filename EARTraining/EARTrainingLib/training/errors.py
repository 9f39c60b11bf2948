"""What can go wrong in training, and how a run tells that it stopped."""

from __future__ import annotations

from EARReconstructionLib.errors import EARError


class RecipeError(EARError):
    """A recipe that cannot be trained, or an unknown field of one."""


class CheckpointError(EARError):
    """A checkpoint that is damaged, or of another recipe or data set."""


class NotFiniteError(EARError):
    """A loss or gradient that is no number. The batch lies beside the run."""


class Stopped(Exception):
    """The run stopped before its end, with a checkpoint. by_user: by a signal, not because its time was over."""

    def __init__(self, by_user: bool) -> None:
        super().__init__("stopped before the end")
        self.by_user = by_user
