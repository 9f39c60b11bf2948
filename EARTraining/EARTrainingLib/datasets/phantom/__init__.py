"""A parametric spine, T1 to L5: exact ground truth for training, tests and the demo where no patient data are.

``random_spine`` draws a column of implicit surfaces, ``ct`` turns it into Hounsfield units and labels. RAS
millimetres throughout; arrays are (k, j, i).
"""

from .ct import AIR_HU, ct
from .morphometry import LEVELS, VERSE_LABEL
from .shape import FAR_MM, VertebraShape, mean_vertebra
from .spine import PhantomSpine, PlacedVertebra, random_spine
from .variation import random_vertebra

__all__ = [
    "AIR_HU",
    "FAR_MM",
    "LEVELS",
    "VERSE_LABEL",
    "PhantomSpine",
    "PlacedVertebra",
    "VertebraShape",
    "ct",
    "mean_vertebra",
    "random_spine",
    "random_vertebra",
]
