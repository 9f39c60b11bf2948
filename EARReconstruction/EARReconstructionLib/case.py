"""A case on disk: two radiographs, their geometry, the vertebrae to rebuild, and a reference if there is one.

A case is a folder with ``case.json``, or such a file under any name. Paths in it start from its folder; they may lead
anywhere, for files are only ever read as images and meshes, never run::

    {"format": "EAR case", "version": 1, "name": "sample",
     "radiographs": {"frontal": {"file": "ap.dcm"},
                     "lateral": {"file": "lateral.png", "pixel_mm": 0.143, "bone": "bright"}},
     "geometry": {"preset": "default"},
     "vertebrae": [{"level": "L1", "centre_ras_mm": [0, 0, 0], "size_mm": [70, 79, 52]}],
     "reference": {"segmentation": "spine.nii.gz"}}

geometry: a preset (with ``angle_deg`` and ``isocentre_ras_mm`` if wanted), or the fields of both views (View.to_dict),
or nothing when the images carry it. What it says outweighs the images. reference: ``segmentation`` (VerSe labels), or
``volume`` with ``threshold_hu``, or ``meshes`` by level.
"""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .case_file import FILE_NAME, FORMAT, VERSION, CaseFile, Reference
from .errors import CaseError, EARError, GeometryError
from .geometry import BiplanarGeometry, View
from .radiograph import ROLES, Radiograph, write_radiograph
from .vertebra import VertebraROI

__all__ = ["Case", "Reference", "read_case", "write_case"]

#: Formats whose pixels lie in a second file.
_DETACHED = (".mhd", ".nhdr", ".hdr", ".img")


@dataclass(frozen=True, eq=False)
class Case:
    """All that a reconstruction starts from. folder: where it was read from.

    Raises CaseError when image and view do not fit, a level appears twice, or a vertebra's centre is outside an image.
    """

    name: str
    frontal: Radiograph
    lateral: Radiograph
    geometry: BiplanarGeometry
    rois: tuple[VertebraROI, ...]
    reference: Reference | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        subject = f"case {self.name}"
        for role, radiograph, view in zip(ROLES, self.radiographs, self.geometry.views, strict=True):
            if radiograph.role != role:
                raise CaseError(subject, f"its {role} radiograph is a {radiograph.role} one", "Swap the two")
            height, width = radiograph.pixels.shape
            if (view.height, view.width) != (height, width) or not np.isclose(view.pixel_mm, radiograph.pixel_mm):
                raise CaseError(
                    subject,
                    f"the {role} image has {width} x {height} pixels of {radiograph.pixel_mm:g} mm, its view "
                    f"{view.width} x {view.height} of {view.pixel_mm:g} mm",
                    "Correct the view's width, height and pixel_mm",
                )
            if not radiograph.lies_as(view):
                raise CaseError(
                    subject,
                    f"the {role} image was read for alpha {radiograph.angles_deg[0]:g} and lies mirrored to alpha "
                    f"{view.alpha_deg:g}",
                    "Read it again with the angles of its view",
                )
        levels = [roi.level for roi in self.rois]
        for roi in self.rois:
            if levels.count(roi.level) > 1:
                raise CaseError(subject, f"vertebra {roi.level} appears twice", "Give each level once")
            for role, view in zip(ROLES, self.geometry.views, strict=True):
                if not _shows(view, roi.centre_ras_mm):
                    raise CaseError(
                        subject,
                        f"the centre of vertebra {roi.level} lies outside the {role} radiograph",
                        "Move the ROI, or correct the geometry",
                    )

    @property
    def radiographs(self) -> tuple[Radiograph, Radiograph]:
        """(frontal, lateral)."""
        return self.frontal, self.lateral


def read_case(path: str | Path) -> Case:
    """Read a case from its folder or its JSON file.

    Raises CaseError for the file itself, RadiographError for an image, GeometryError for views that do not make a pair.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    file = CaseFile.load(path)
    frontal, lateral = file.radiographs()
    try:
        geometry = BiplanarGeometry(file.view(frontal), file.view(lateral))
    except GeometryError as error:
        raise GeometryError(path, error.cause, error.advice) from error
    try:
        return Case(file.name, frontal, lateral, geometry, file.rois(), file.reference(), path.parent)
    except CaseError as error:
        raise CaseError(path, error.cause, error.advice) from error


def write_case(case: Case, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write a folder that stands alone: case.json, both radiographs as NRRD, and a copy of the reference.

    The folder is made beside its place and renamed when it is complete. overwrite: replace a case that is there; other
    files in its folder stay. Returns the path of case.json. Raises CaseError.
    """
    folder = Path(folder).resolve()
    beside = folder.with_name(f".{uuid.uuid4().hex}")
    try:
        _check_target(folder, overwrite)
        beside.mkdir(parents=True)
        fields: dict[str, Any] = {"format": FORMAT, "version": VERSION, "name": case.name, "radiographs": {}}
        for role, radiograph, view in zip(ROLES, case.radiographs, case.geometry.views, strict=True):
            placed = replace(radiograph, view=view, angles_deg=(view.alpha_deg, view.beta_deg))
            write_radiograph(placed, beside / f"{role}.nrrd")
            fields["radiographs"][role] = {"file": f"{role}.nrrd"}
        fields["geometry"] = case.geometry.to_dict()
        fields["vertebrae"] = [
            {"level": roi.level, "centre_ras_mm": list(roi.centre_ras_mm), "size_mm": list(roi.size_mm)}
            for roi in case.rois
        ]
        if case.reference is not None:
            fields["reference"] = _copy_reference(case.reference, beside)
        (beside / FILE_NAME).write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _replace_folder(folder, beside)
    except OSError as error:
        raise CaseError(
            folder, f"it could not be written ({error.strerror or error})", "Choose a folder with room and write access"
        ) from error
    except CaseError:
        raise
    except EARError as error:  # it names a file of the folder that is about to go
        raise CaseError(folder, error.cause, error.advice) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder / FILE_NAME


def _shows(view: View, point_ras_mm: tuple[float, float, float]) -> bool:
    """Whether a point lies between source and detector and inside the image."""
    with np.errstate(divide="ignore", invalid="ignore"):
        (u, v), depth = view.project(point_ras_mm)
    return bool(0 < depth < view.sdd_mm and 0 <= u <= view.width and 0 <= v <= view.height)


def _check_target(folder: Path, overwrite: bool) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / FILE_NAME).is_file())):
        raise CaseError(folder, "it holds something else than a case", "Choose a new or an empty folder")
    if (folder / FILE_NAME).exists() and not overwrite:
        raise CaseError(folder, "there is a case already", "Choose another folder or allow it to be overwritten")


def _copy_reference(reference: Reference, folder: Path) -> dict[str, Any]:
    """Copy the reference's files into ``folder``/reference; the fields of case.json."""
    (folder / "reference").mkdir()

    def copied(source: Path, name: str) -> str:
        if source.suffix.lower() in _DETACHED:
            raise CaseError(source, "its voxels lie in a second file", "Save it as one file (.nrrd, .nii.gz)")
        ending = next((e for e in (".seg.nrrd", ".nii.gz") if source.name.lower().endswith(e)), source.suffix)
        shutil.copyfile(source, folder / "reference" / (name + ending))
        return f"reference/{name}{ending}"

    if reference.meshes:
        return {"meshes": {level: copied(path, level) for level, path in reference.meshes.items()}}
    if reference.segmentation:
        return {"segmentation": copied(reference.segmentation, "segmentation")}
    fields: dict[str, Any] = {"volume": copied(reference.files[0], "volume")}
    return fields if reference.threshold_hu is None else {**fields, "threshold_hu": reference.threshold_hu}


def _replace_folder(folder: Path, new: Path) -> None:
    """Put a complete folder in its place; files of an older one that the new one does not have are kept."""
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.with_name(f".{uuid.uuid4().hex}")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    for path in sorted(old.rglob("*")):
        target = folder / path.relative_to(old)
        if path.exists() and not target.exists():
            path.rename(target)
    shutil.rmtree(old, ignore_errors=True)
