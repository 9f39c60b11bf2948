"""What a user does, from two X-rays to a reviewed spine: one class per step, in their order."""

from __future__ import annotations

from .reconstruct import Reconstruct
from .results import Results
from .review import Review
from .step import Step
from .vertebrae import Vertebrae
from .xrays import XRays

STEPS: tuple[type[Step], ...] = (XRays, Vertebrae, Reconstruct, Results, Review)
