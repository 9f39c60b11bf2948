"""Cases from label maps or CT: two radiographs of a whole column, its ROIs, and the truth to compare with.

python -m EARTrainingLib.datasets.cases OUT --phantom 7            the sample case that ships
python -m EARTrainingLib.datasets.cases OUT --collection FOLDER --person NAME
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from EARReconstructionLib.case import Case, Reference, write_case
from EARReconstructionLib.geometry import PRESETS, BiplanarGeometry, View, transform_points
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL, VertebraROI
from EARReconstructionLib.volume_io import Volume, largest_piece, read_volume, write_labels
from numpy.typing import NDArray
from scipy import ndimage

from ..projection import xray_pair
from .columns import TRAINED_LEVELS, CollectionError, Column, thinned, with_neighbours
from .phantom import ct, random_spine
from .scenes import box_ras_mm

#: Left-right marker of the sample's phantom: its left transverse processes are longer by this, mm.
MARKER_MM = 6.0

#: Photons per pixel before the patient.
PHOTONS = 2e6

#: Radiographs keep steps of this size, far below their noise, so that they compress well.
STEP = 1e-3


def case_of(
    name: str,
    hu: NDArray[np.float32],
    labels: Volume,
    levels: Sequence[str],
    folder: Path,
    *,
    preset: str = "default",
    iso_pixel_mm: float = 0.8,
    seed: int = 0,
) -> Path:
    """X-ray a volume (HU, on the grid of its labels) and write the case with its labels as reference.

    levels: vertebrae that get an ROI, at the centre of their bounding box. Both images show the whole volume, with the
    isocentre in its middle. Returns the path of case.json. Raises CaseError when the folder cannot be written.
    """
    rois = []
    for level in levels:
        box = box_ras_mm(largest_piece(labels.array == VERSE_LABEL[level]), labels.ras_from_ijk)
        assert box is not None, f"{level} is not in the labels"
        centre, size = (box[0] + box[1]) / 2, box[1] - box[0]
        rois.append(VertebraROI(level, tuple(np.round(centre, 2).tolist()), tuple(np.round(size, 2).tolist())))
    geometry = geometry_around(labels, preset, iso_pixel_mm)
    images = xray_pair(
        torch.from_numpy(hu),
        labels.ras_from_ijk,
        geometry,
        photons=PHOTONS,
        generator=torch.Generator().manual_seed(seed),
    )
    frontal, lateral = (
        Radiograph(
            (np.round(image.numpy() / STEP) * STEP).astype(np.float32),
            "attenuation",
            view.pixel_mm,
            role,
            (view.alpha_deg, view.beta_deg),
            view,
        )
        for image, view, role in zip(images, geometry.views, ("frontal", "lateral"), strict=True)
    )
    names = {VERSE_LABEL[n]: n for n in LEVELS if (labels.array == VERSE_LABEL[n]).any()}
    with tempfile.TemporaryDirectory() as temporary:
        truth = Path(temporary) / "reference.seg.nrrd"
        write_labels(truth, np.where(np.isin(labels.array, list(names)), labels.array, 0), labels.ras_from_ijk, names)
        case = Case(name, frontal, lateral, geometry, tuple(rois), Reference(segmentation=truth))
        return write_case(case, folder, overwrite=True)


def geometry_around(volume: Volume, preset: str, iso_pixel_mm: float) -> BiplanarGeometry:
    """An AP and a lateral view whose detectors just hold a volume, isocentre in its middle."""
    far = np.array(volume.array.shape[::-1]) - 0.5
    corners = [[i, j, k] for i in (-0.5, far[0]) for j in (-0.5, far[1]) for k in (-0.5, far[2])]
    ras = transform_points(volume.ras_from_ijk, corners)
    middle = (ras.min(0) + ras.max(0)) / 2
    isocentre = tuple(np.round(middle, 1).tolist())
    sod, sdd = PRESETS[preset]
    pixel = iso_pixel_mm * sdd / sod
    views = []
    for alpha in (0.0, 90.0):
        uv, _ = View(alpha, 0.0, sod, sdd, pixel, 2, 2, isocentre).project(ras)
        half = np.ceil(np.abs(uv - 1).max(0)).astype(int) + 2
        views.append(View(alpha, 0.0, sod, sdd, pixel, int(2 * half[1]), int(2 * half[0]), isocentre))
    return BiplanarGeometry(views[0], views[1])


def phantom_case(
    folder: Path, seed: int, levels: Sequence[str] = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
) -> Path:
    """A made-up lower spine, one more vertebra above as a neighbour, transverse processes longer on the left."""
    rng = np.random.default_rng(seed)
    first, last = (TRAINED_LEVELS.index(level) for level in (levels[0], levels[-1]))
    shown = TRAINED_LEVELS[max(first - 1, 0) : last + 1]
    spine = random_spine(rng, shown, scoliosis_deg=12.0, marker_mm=MARKER_MM)
    low, high = (np.asarray(x) for x in spine.bounding_box_mm())
    size = np.ceil(high - low).astype(int) + 6
    affine = np.eye(4)
    affine[:3, 3] = low - 3
    hu, labels = ct(spine, affine, (int(size[2]), int(size[1]), int(size[0])), rng)
    return case_of("Sample spine (phantom)", hu, Volume(labels, affine), levels, folder, seed=seed)


def bone_from_labels(labels: Volume, seed: int = 0) -> NDArray[np.float32]:
    """HU for a label map without a CT: a shell of 1.5 mm at 700 HU, a core of 180, air outside."""
    inside = labels.array > 0
    spacing = np.linalg.norm(labels.ras_from_ijk[:3, :3], axis=0)[::-1]
    depth = ndimage.distance_transform_edt(inside, spacing)
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(inside.shape), 1.5 / spacing)
    bone = np.where(depth <= 1.5 + spacing.min() / 2, 700.0, 180.0 + 40 * grain / max(float(grain.std()), 1e-6))
    return np.where(inside, bone, -1000.0).astype(np.float32)


def person_case(folder: Path, column: Column, ct_path: Path | None = None, *, in_situ: bool = False) -> Path:
    """A person of a collection. With a CT its own density is used, of the bone alone or, in situ, of everything.

    Raises CollectionError for a CT on another grid than the mask.
    """
    labels = column.labels
    if ct_path is None:
        labels = with_neighbours(thinned(labels))
        hu = bone_from_labels(labels)
    else:
        volume = read_volume(ct_path)
        same = volume.array.shape == labels.array.shape
        if not same or not np.allclose(volume.ras_from_ijk, labels.ras_from_ijk, atol=1e-2):
            raise CollectionError(ct_path, "it and the mask are not on one grid", "Give the CT that the mask is of")
        hu = volume.array.astype(np.float32)
        if not in_situ:
            hu = np.where(ndimage.binary_dilation(labels.array > 0), hu, -1000.0).astype(np.float32)
    name = f"{column.source} {column.person}{' in situ' if in_situ else ''}"
    return case_of(name, hu, labels, column.targets, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one case."""
    from .columns import read_columns

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--phantom", type=int)
    parser.add_argument("--collection", type=Path)
    parser.add_argument("--person")
    parser.add_argument("--ct", type=Path, help="CT on the grid of the person's mask")
    parser.add_argument("--in-situ", action="store_true", help="keep soft tissue, ribs and table of the CT")
    given = parser.parse_args(arguments)
    if given.phantom is not None:
        print(phantom_case(given.out, given.phantom))
        return
    if given.collection is None or given.person is None:
        parser.error("give --phantom, or --collection and --person")
    for column in read_columns(given.collection):
        if column.person == given.person:
            print(person_case(given.out, column, given.ct, in_situ=given.in_situ))
            return
    parser.error(f"there is no {given.person} in {given.collection}")


if __name__ == "__main__":
    main()
