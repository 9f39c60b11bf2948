"""What can go wrong, in words for the person who can mend it."""

from __future__ import annotations

from pathlib import Path


class EARError(Exception):
    """Base of every error that a user can act on: ``subject: cause. advice``.

    subject: the file, node or option concerned. cause: what is wrong with it. advice: the next step.
    """

    def __init__(self, subject: str | Path, cause: str, advice: str) -> None:
        self.subject, self.cause, self.advice = str(subject), cause.rstrip(". "), advice.rstrip(". ")
        super().__init__(f"{self.subject}: {self.cause}. {self.advice}.")

    def __reduce__(self) -> tuple[type[EARError], tuple[str, ...]]:
        """Lets an error come back from a worker process: exceptions are remade from what they were made of."""
        return type(self), (self.subject, self.cause, self.advice)


class GeometryError(EARError):
    """Views, distances or ROIs that cannot describe a bi-planar X-ray."""


class RadiographError(EARError):
    """A file that is not a usable radiograph.

    asks: the argument of read_radiograph with which it can be read after all; "" when there is none.
    """

    def __init__(self, subject: str | Path, cause: str, advice: str, asks: str = "") -> None:
        super().__init__(subject, cause, advice)
        self.asks = asks

    def __reduce__(self) -> tuple[type[EARError], tuple[str, ...]]:
        """See EARError."""
        return type(self), (self.subject, self.cause, self.advice, self.asks)


class CaseError(EARError):
    """A case folder or case file that cannot be read."""


class BundleError(EARError):
    """A model file that is not a usable bundle."""


class ReferenceSurfaceError(EARError):
    """A reference volume, segmentation or mesh that cannot be compared with."""


class DeviceError(EARError):
    """A computing device that is missing or too small for the work."""


class Cancelled(Exception):
    """The user stopped the work; nothing was written."""
