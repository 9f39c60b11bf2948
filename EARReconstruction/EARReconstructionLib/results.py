"""The whole job from a case to a folder of results, and that folder's files. What the commands and panels call.

Only ``run_case`` needs torch: results are written and compared where it is not installed.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtkmodules.vtkCommonDataModel import vtkPolyData

from .case import Case
from .comparison import Comparison, Shape, compare, reference_shapes
from .errors import CaseError, EARError, ReferenceSurfaceError
from .job import Cancel, Progress
from .model_card import ModelCard
from .spine import Spine, stitch, write_spine
from .surface import write_surface
from .volume_io import Volume, write_volume

if TYPE_CHECKING:
    from .bundle import Bundle
    from .reconstruction import Reconstruction

SUMMARY = "summary.json"
DISTANCES = "distances.csv"

#: Draws a result into a folder and returns notes; the faces have different means to draw.
Draw = Callable[["Result", Path], list[str]]

#: Columns of the table of distances.
COLUMNS = ("level", "dice", "assd_mm", "rms_mm", "hd95_mm", "hd_mm", "mean_signed_mm", "nsd_1mm", "nsd_2mm")


@dataclass(frozen=True, eq=False)
class Result:
    """All that came out of a case. card, checksum: of the bundle (SHA-256), where they are known."""

    case: Case
    model: str
    device: str
    reconstructions: tuple[Reconstruction, ...]
    spine: Spine
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...] = ()
    card: ModelCard | None = None
    checksum: str = ""

    @property
    def surfaces(self) -> dict[str, vtkPolyData]:
        """Level -> surface, carrying its distances where there is a reference."""
        return {**self.spine.surfaces, **{c.level: c.surface for c in self.comparisons}}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, each sentence once."""
        images = (*self.case.frontal.notes, *self.case.lateral.notes)
        rebuilt = (note for one in self.reconstructions for note in one.notes)
        return tuple(dict.fromkeys([*images, *rebuilt, *self.remarks]))


def run_case(
    case: Case,
    bundle: Bundle,
    *,
    levels: Sequence[str] = (),
    device: str = "auto",
    batch_size: int | None = None,
    uncertainty: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Rebuild a case's vertebrae (all, or ``levels``), stitch them, and compare them with its reference if it has one.

    uncertainty: as in ``reconstruct``; the spine's surfaces then carry the expected error of their points.

    Raises EARError's kinds, and Cancelled.
    """
    from .reconstruction import choose_device, reconstruct

    unknown = sorted(set(levels) - {roi.level for roi in case.rois})
    if unknown or not case.rois:
        have = ", ".join(roi.level for roi in case.rois) or "none"
        raise CaseError(
            case.name, f"it has no ROI for {', '.join(unknown) or 'any vertebra'}", f"Its vertebrae: {have}. Add an ROI"
        )
    rois = [roi for roi in case.rois if not levels or roi.level in levels]
    references = reference_shapes(case)  # before the work: a reference that cannot be read must not cost it
    rebuilt = reconstruct(
        case.radiographs,
        case.geometry,
        rois,
        bundle,
        device=device,
        batch_size=batch_size,
        uncertainty=uncertainty,
        progress=progress,
        cancel=cancel,
    )
    spine = stitch(rebuilt)
    masks = {one.roi.level: Volume(one.mask, one.ras_from_ijk) for one in rebuilt}
    shapes = {level: Shape(spine.surfaces[level], masks[level]) for level in spine.surfaces if level in references}
    comparisons, remarks = [], []
    for level, shape in shapes.items():
        try:
            comparisons += compare({level: shape}, {level: references[level]})
        except ReferenceSurfaceError as error:  # a reference that does not fit must not cost the reconstruction
            remarks.append(f"{level} was not compared: {error}")
    used = choose_device(device).type
    return Result(
        case,
        bundle.card.name,
        used,
        tuple(rebuilt),
        spine,
        tuple(comparisons),
        tuple(remarks),
        bundle.card,
        bundle.sha256,
    )


def write_result(result: Result, folder: Path, *, overwrite: bool = False, draw: Draw | None = None) -> dict[str, Any]:
    """Write a result into a folder that appears when all of it is there; return the summary that it holds.

    volumes/LEVEL.nrrd (HU) and LEVEL-edges.nrrd, spine.nrrd, spine-labels.seg.nrrd, surfaces/LEVEL.stl, summary.json,
    with a reference distances.csv and distances/LEVEL.vtp (the surface with its distances), with uncertainty
    volumes/LEVEL-expected-error.nrrd and expected-errors/LEVEL.vtp (mm), and what ``draw`` adds.

    overwrite: replace a folder of earlier results, never one of anything else. Raises EARError.
    """
    folder = Path(folder).resolve()
    check_output(folder, overwrite)
    beside = folder.with_name(f".{uuid.uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        write_spine(result.spine, beside)
        for one in result.reconstructions:
            place = beside / "volumes" / one.roi.level
            metadata = {"model": one.model, "threshold_hu": repr(one.threshold_hu)}
            write_volume(place.with_suffix(".nrrd"), one.volume_hu, one.ras_from_ijk, metadata=metadata)
            if one.edges is not None:
                write_volume(place.with_name(f"{one.roi.level}-edges.nrrd"), one.edges, one.ras_from_ijk)
            if one.expected_error_mm is not None:
                errors = place.with_name(f"{one.roi.level}-expected-error.nrrd")
                write_volume(errors, one.expected_error_mm, one.ras_from_ijk, metadata={"unit": "mm"})
                if one.roi.level in result.spine.surfaces:
                    surface = result.spine.surfaces[one.roi.level]
                    write_surface(beside / "expected-errors" / f"{one.roi.level}.vtp", surface)
        for compared in result.comparisons:  # STL has no place for distances; 3D Slicer colours a VTP by them
            write_surface(beside / "distances" / f"{compared.level}.vtp", compared.surface)
        if result.comparisons:
            write_distances(result.comparisons, beside / DISTANCES)
        notes = list(result.notes)
        if draw is not None:
            notes += draw(result, beside)
        summary = {
            "case": result.case.name,
            "model": result.model,
            "device": result.device,
            "vertebrae": [one.roi.level for one in result.reconstructions],
            "comparison": [c.to_dict() for c in result.comparisons],
            "notes": notes,
            "files": sorted(str(p.relative_to(beside)) for p in beside.rglob("*") if p.is_file()),
        }
        (beside / SUMMARY).write_text(json.dumps(summary, indent=1), encoding="utf-8")
        _put_in_place(beside, folder)
    except OSError as error:
        raise EARError(
            folder, f"it could not be written ({error.strerror or error})", "Choose a folder with room and write access"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return summary


def check_output(folder: Path, overwrite: bool) -> None:
    """Raise EARError when results may not be written to a folder; call it before the work, not after.

    What may be replaced is a folder with a summary of ours and no file that the summary does not list.
    """
    folder = Path(folder)
    blocked = next((p for p in folder.parents if p.exists() and not p.is_dir()), None)
    if blocked is not None:
        raise EARError(folder, f"{blocked} is a file, not a folder", "Choose another folder")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    listed = _listed_files(folder)
    if not listed:
        raise EARError(folder, "it holds something else than results", "Choose a new or an empty folder")
    if not overwrite:
        raise EARError(folder, "it holds earlier results", "Choose another folder, or add --overwrite to replace them")
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
    if there - listed:
        raise EARError(
            folder, f"besides earlier results it holds {min(there - listed)}", "Move that, or choose another folder"
        )


def _listed_files(folder: Path) -> set[str]:
    """The files of a folder of results, its summary among them; nothing for any other folder."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if {"case", "model", "vertebrae", "files"} <= set(summary):
            return {SUMMARY, *summary["files"]}
    except (OSError, ValueError, TypeError):
        pass
    return set()


def _put_in_place(new: Path, folder: Path) -> None:
    """Rename a complete folder to its place; what was there goes when the new one stands, and comes back if not."""
    if not folder.exists():
        os.replace(new, folder)
        return
    old = folder.with_name(f".{uuid.uuid4().hex}")
    os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_distances(comparisons: Sequence[Comparison], path: Path) -> None:
    """The table of a comparison as CSV, lengths in mm."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for one in comparisons:
            row = one.to_dict()
            table.writerow([row["level"], *(f"{row[name]:.4f}" for name in COLUMNS[1:])])
