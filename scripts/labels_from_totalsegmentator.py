"""TotalSegmentator's labels as VerSe labels, which `ear xray`, `ear prepare` and `ear compare` read.

    python scripts/labels_from_totalsegmentator.py mask.nii.gz vertebrae.seg.nrrd

The input is one file of its task `total`, version 2 (option `--ml`): 27 is L5, and the labels rise to 50, C1. All other
structures are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_labels

#: From L5 upwards, as TotalSegmentator numbers them.
UPWARDS = [level for level in reversed(LEVELS) if level not in ("T13", "L6")]
L5 = 27

#: The highest of the task.
LABELS = 117


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    volume = read_volume(options.labels)
    verse = np.zeros(256, np.uint8)
    for number, level in enumerate(UPWARDS):
        verse[L5 + number] = VERSE_LABEL[level]
    found = np.unique(volume.array)
    if found.min() < 0 or found.max() > LABELS or (found != np.rint(found)).any():
        parser.error(f"{options.labels}: it holds {found.min():g} to {found.max():g}, not TotalSegmentator's labels")
    labels = verse[volume.array.astype(np.uint8)]
    if not labels.any():
        parser.error(f"{options.labels}: no vertebra is labelled; was it made by the task `total`, version 2?")
    names = {VERSE_LABEL[level]: level for level in UPWARDS if (labels == VERSE_LABEL[level]).any()}
    write_labels(options.output, labels, volume.ras_from_ijk, names)
    print(", ".join(names[label] for label in sorted(names)))


if __name__ == "__main__":
    main()
