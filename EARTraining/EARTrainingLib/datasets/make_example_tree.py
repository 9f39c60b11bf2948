"""A folder laid out like VerSe20, filled with phantoms: made-up data to try `ear prepare` on before any download.

python -m EARTrainingLib.datasets.make_example_tree OUT --scans 4
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from EARReconstructionLib.volume_io import Volume, write_volume, written_whole

from .readers.phantoms import phantom_volumes

#: Stem with a number to fill in, levels and storage axes of four scans of three patients; the first patient has two.
#: Axes as scanners and archives store them: sagittal, axial, LPS and a turned one.
_SCANS = (
    ("sub-verse9{0}0_split-verse9{0}1", ("L1", "L2", "L3", "L4", "L5"), "PIR"),
    ("sub-verse9{0}0_split-verse9{0}2", ("T9", "T10", "T11", "T12"), "LPS"),
    ("sub-gl9{0}3_dir-ax", ("T11", "T12", "L1", "L2"), "LAS"),
    ("sub-verse9{0}4_dir-sag", ("T5", "T6", "T7", "T8"), "ASL"),
)

_README = """Made-up data. Every scan here is a phantom computed by EARTrainingLib.datasets.make_example_tree;
names and folders follow VerSe20, and there is no patient behind them.
"""


def make_example_tree(out: Path, scans: int = 4) -> None:
    """Write phantom CTs (bone in air, 1 mm) and masks in the layout of VerSe20's training part into a folder.

    scans: how many, by fours: two series of one patient, and two patients more. The same number gives the same files.
    Raises EARError when the folder cannot be written.
    """
    part = out / "dataset-01training"
    with written_whole(out / "README.txt") as beside:
        beside.write_text(_README, encoding="utf-8")
    for number in range(scans):
        name, levels, axes = _SCANS[number % len(_SCANS)]
        stem = name.format(number // len(_SCANS))
        subject = stem.split("_")[0]
        # The two series of a patient show one spine.
        hu, labels = phantom_volumes(number - 1 if number % len(_SCANS) == 1 else number, levels)
        ct = stored_along(Volume(np.rint(hu.array).astype(np.int16), hu.ras_from_ijk), axes)
        mask = stored_along(labels, axes)
        write_volume(part / "rawdata" / subject / f"{stem}_ct.nii.gz", ct.array, ct.ras_from_ijk)
        write_volume(part / "derivatives" / subject / f"{stem}_seg-vert_msk.nii.gz", mask.array, mask.ras_from_ijk)


def stored_along(volume: Volume, axes: str) -> Volume:
    """A volume whose axes i, j, k run towards R, A, S with the same voxels stored along others, such as "PIR"."""
    source = ["RASLPI".index(letter) % 3 for letter in axes]
    array = volume.array.transpose([2 - axis for axis in source[::-1]])
    affine = volume.ras_from_ijk[:, [*source, 3]].copy()
    for axis, letter in enumerate(axes):
        if letter in "LPI":
            affine[:3, 3] += affine[:3, axis] * (array.shape[2 - axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, 2 - axis)
    return Volume(np.ascontiguousarray(array), affine)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scans", type=int, default=4)
    given = parser.parse_args(arguments)
    make_example_tree(given.out, given.scans)
    print(f"{given.scans} made-up scans in the layout of VerSe20: {given.out}")


if __name__ == "__main__":
    main()
