"""Cases from label maps: two radiographs of a whole column, its ROIs, and the truth to compare with."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from EARReconstructionLib.case import Case, Reference, write_case
from EARReconstructionLib.geometry import PRESETS, BiplanarGeometry
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.vertebra import LEVELS, VERSE_LABEL, VertebraROI
from EARReconstructionLib.volume_io import Volume, largest_piece, write_labels
from numpy.typing import NDArray

from ..projection import Spectrum, XrayEngine
from ..projection.drr import ISO_PIXEL_MM, PHOTONS, images_of, views_around
from .readers.scan import DatasetError
from .scenes import box_ras_mm
from .subjects import PHANTOM_LEVELS, phantom_subject

#: Radiographs keep steps of this size, far below their noise, so that they compress well.
STEP = 1e-3


def case_of(
    name: str,
    hu: NDArray[np.float32] | Volume,
    labels: Volume,
    levels: Sequence[str],
    folder: Path,
    *,
    geometry: BiplanarGeometry | None = None,
    spectrum: Spectrum | None = None,
    photons: float | None = PHOTONS,
    seed: int = 0,
    engine: XrayEngine | None = None,
) -> Path:
    """X-ray a volume in HU and write the case with labels as its reference.

    hu: a volume, or an array on the grid of the labels. levels: vertebrae that get an ROI, at the centre of their
    bounding box. geometry: of both images; unless given they show the whole volume, with the isocentre in its middle.
    Returns the path of case.json. Raises CaseError when the folder cannot be written, and what ``images_of`` does.
    """
    volume = hu if isinstance(hu, Volume) else Volume(hu, labels.ras_from_ijk)
    rois = [roi_of(level, labels) for level in levels]
    geometry = geometry or geometry_around(volume)
    images = images_of(volume, geometry.views, spectrum=spectrum, photons=photons, seed=seed, engine=engine)
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


def geometry_around(volume: Volume, preset: str = "default", iso_pixel_mm: float = ISO_PIXEL_MM) -> BiplanarGeometry:
    """An AP and a lateral view whose detectors just hold a volume, isocentre in its middle."""
    sod, sdd = PRESETS[preset]
    angles = [(0.0, 0.0), (90.0, 0.0)]
    frontal, lateral = views_around(volume, angles, sod_mm=sod, sdd_mm=sdd, pixel_mm=iso_pixel_mm * sdd / sod)
    return BiplanarGeometry(frontal, lateral)


def phantom_case(folder: Path, seed: int, levels: Sequence[str] = PHANTOM_LEVELS) -> Path:
    """The case of a made-up lower spine (see ``phantom_subject``)."""
    subject = phantom_subject(seed, levels)
    assert subject.labels is not None
    return case_of(subject.name, subject.hu, subject.labels, levels, folder, seed=seed)


def roi_of(level: str, labels: Volume) -> VertebraROI:
    """The bounding box of a vertebra in a label map. Raises DatasetError when it is not there."""
    box = box_ras_mm(largest_piece(labels.array == VERSE_LABEL.get(level, -1)), labels.ras_from_ijk)
    if box is None:
        raise DatasetError(level, "no voxel of the mask is labelled so", "Name a vertebra that is in it")
    centre, size = (box[0] + box[1]) / 2, box[1] - box[0]
    return VertebraROI(level, tuple(np.round(centre, 2).tolist()), tuple(np.round(size, 2).tolist()))
