"""Standard names of vertebrae: SNOMED CT codes of DICOM's context group 7603 "Vertebra", as 3D Slicer's segments carry
them.

T13 and L6 are variants without a code of their own: they get that of any vertebra.
"""

from __future__ import annotations

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

_SEGMENT_CONTEXT = "Segmentation category and type - DICOM master list"
_REGION_CONTEXT = "Anatomic codes - DICOM master list"


def terminology_entry(level: str) -> str:
    """A segment's terminology tag: context, category, type, modifier, then an empty anatomic region."""
    code = VERTEBRA_CODES.get(level)
    kind = f"SCT^{code}^{level} vertebra" if code else f"SCT^{_ANY_VERTEBRA}^Vertebra"
    return "~".join([_SEGMENT_CONTEXT, "SCT^123037004^Anatomical Structure", kind, "^^", _REGION_CONTEXT, "^^", "^^"])
