"""Standard names of vertebrae: SNOMED CT codes of DICOM's context group 7603 "Vertebra", as 3D Slicer's segments carry
them.

T13 and L6 are variants without a code of their own: they get that of any vertebra.
"""

from __future__ import annotations

import re

from ..vertebra import LEVELS, VERSE_LABEL

#: Level -> SNOMED CT code of "<level> vertebra" (DICOM PS3.16, CID 7603).
VERTEBRA_CODES: dict[str, str] = {
    "C1": "14806007",
    "C2": "39976000",
    "C3": "113205007",
    "C4": "5329002",
    "C5": "36978003",
    "C6": "36054005",
    "C7": "87391001",
    "T1": "64864005",
    "T2": "53733008",
    "T3": "1626008",
    "T4": "73071006",
    "T5": "56401006",
    "T6": "45296009",
    "T7": "62487009",
    "T8": "11068009",
    "T9": "82687006",
    "T10": "7610001",
    "T11": "12989004",
    "T12": "23215003",
    "L1": "66794005",
    "L2": "14293000",
    "L3": "36470004",
    "L4": "11994002",
    "L5": "49668003",
}

#: "Vertebra", whichever.
_ANY_VERTEBRA = "51282000"

#: Words beside a level that leave it the vertebra's name.
_SAYS_NOTHING = ("vertebra", "vertebrae", "bone", "surface", "model", "mesh", "mask", "reference", "segment", "label")

_SEGMENT_CONTEXT = "Segmentation category and type - DICOM master list"
_REGION_CONTEXT = "Anatomic codes - DICOM master list"


def terminology_entry(level: str) -> str:
    """A segment's terminology tag: context, category, type, modifier, then an empty anatomic region."""
    code = VERTEBRA_CODES.get(level)
    kind = f"SCT^{code}^{level} vertebra" if code else f"SCT^{_ANY_VERTEBRA}^Vertebra"
    return "~".join([_SEGMENT_CONTEXT, "SCT^123037004^Anatomical Structure", kind, "^^", _REGION_CONTEXT, "^^", "^^"])


def level_named(text: str) -> str | None:
    """The level that a name means, or None: "L1", "vertebra L1", "vertebrae_Th12"; "Segment_20" is a VerSe label.

    A name that says more, such as "L1 disc", is no vertebra's.
    """
    words = re.findall(r"[a-z]+\d*|\d+", text.lower())
    match words:
        case [("segment" | "label"), number] if number.isdigit():
            return next((level for level, label in VERSE_LABEL.items() if label == int(number)), None)
    others = [word for word in words if word not in _SAYS_NOTHING]
    level = re.fullmatch(r"(c|th?|l)0?(\d+)", others[0]) if len(others) == 1 else None
    name = f"{level[1][0].upper()}{level[2]}" if level else ""
    return name if name in LEVELS else None


def level_meant(entry: str) -> str | None:
    """The level in a segment's terminology tag, by its code or its words, as its type or as its region."""
    levels = {code: level for level, code in VERTEBRA_CODES.items()}
    for field in entry.split("~")[2::3]:
        scheme, code, meaning = [*field.split("^"), "", "", ""][:3]
        level = levels.get(code) if scheme == "SCT" else None
        if level or (level := level_named(meaning)):
            return level
    return None
