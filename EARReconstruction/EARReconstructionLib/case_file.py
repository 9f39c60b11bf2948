"""The JSON of a case, field by field: every complaint names the file, the field and the next step."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from .errors import CaseError, GeometryError
from .geometry import PRESETS, View
from .radiograph import ROLES, Radiograph, read_radiograph
from .vertebra import LEVELS, VertebraROI

FORMAT, VERSION, FILE_NAME = "EAR case", 1, "case.json"

_VIEW_NUMBERS = ("alpha_deg", "beta_deg", "sod_mm", "sdd_mm", "pixel_mm", "height", "width")
_VIEW_LISTS = {"isocentre_ras_mm": 3, "principal_point": 2}


@dataclass(frozen=True)
class Reference:
    """Where the truth of a case lies: a mask with VerSe labels, or a CT volume, or a mesh per level.

    threshold_hu: of the bone in ``volume``; None leaves it to the comparison. Raises CaseError unless exactly one
    kind is given, and for a mesh of an unknown level.
    """

    segmentation: Path | None = None
    volume: Path | None = None
    threshold_hu: float | None = None
    meshes: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(bool(kind) for kind in (self.segmentation, self.volume, self.meshes)) != 1:
            raise CaseError(
                "reference",
                "it needs one of segmentation, volume and meshes",
                "Give a segmentation, or a volume with threshold_hu, or meshes by level",
            )
        if self.threshold_hu is not None and self.volume is None:
            raise CaseError("reference", "threshold_hu belongs to a volume", "Leave it out or give a volume")
        for level in self.meshes:
            if level not in LEVELS:
                raise CaseError("reference", f"there is no level {level!r}", "Use C1 to C7, T1 to T13 or L1 to L6")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it needs."""
        return tuple(path for path in (self.segmentation, self.volume, *self.meshes.values()) if path)


@dataclass(frozen=True)
class CaseFile:
    """A case file whose frame has been checked; its parts are checked when they are asked for.

    All methods raise CaseError.
    """

    path: Path
    name: str
    fields: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> CaseFile:
        """The JSON of format "EAR case", version 1."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            raise CaseError(
                path, "there is no such file", f"Choose the folder of a case, or its {FILE_NAME}"
            ) from error
        except OSError as error:
            raise CaseError(path, f"it cannot be opened ({error.strerror})", "Check its permissions") from error
        except (ValueError, RecursionError) as error:
            raise CaseError(path, f"it is not JSON ({error})", "Correct it there, or write the case again") from error
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise CaseError(
                path, f"it is not a case: its format is not {FORMAT!r}", f"Choose the {FILE_NAME} of a case"
            )
        version = fields.get("version")
        if version != VERSION:
            raise CaseError(path, f"its version is {version!r}, this SlicerEAR reads {VERSION}", "Update SlicerEAR")
        file = cls(path, "", fields)
        required = ("format", "version", "name", "radiographs", "vertebrae")
        file._object(fields, "the case", required, ("geometry", "reference"))
        return cls(path, file._text(fields["name"], "name"), fields)

    def radiographs(self) -> tuple[Radiograph, Radiograph]:
        """(frontal, lateral), read with what the case says about their views. Raises RadiographError too."""
        entries = self._object(self.fields["radiographs"], "radiographs", tuple(ROLES))
        views = self._geometry()
        return self._radiograph("frontal", entries, views), self._radiograph("lateral", entries, views)

    def view(self, radiograph: Radiograph) -> View:
        """The radiograph's view; refuses one that has none."""
        if radiograph.view is None:
            self._fail(
                f"the {radiograph.role} radiograph does not carry its geometry ({'; '.join(radiograph.notes)})",
                'Add "geometry": {"preset": "default"}, or sod_mm and sdd_mm of both views',
            )
        return radiograph.view

    def rois(self) -> tuple[VertebraROI, ...]:
        """The vertebrae to rebuild."""
        items = self.fields["vertebrae"]
        if not isinstance(items, list):
            self._fail("vertebrae is not a list", "Put the vertebrae between [ and ]")
        rois = []
        for number, item in enumerate(items, 1):
            where = f"vertebra {number}"
            roi = self._object(item, where, ("level", "centre_ras_mm", "size_mm"))
            r, a, s = self._numbers(roi["centre_ras_mm"], f"{where}: centre_ras_mm", 3)
            width, depth, height = self._numbers(roi["size_mm"], f"{where}: size_mm", 3)
            try:
                rois.append(VertebraROI(self._text(roi["level"], f"{where}: level"), (r, a, s), (width, depth, height)))
            except GeometryError as error:
                raise CaseError(self.path, f"{error.subject}: {error.cause}", error.advice) from error
        return tuple(rois)

    def reference(self) -> Reference | None:
        """The truth, if the case has one; its files must exist."""
        value = self.fields.get("reference")
        if value is None:
            return None
        given = self._object(value, "reference", (), ("segmentation", "volume", "threshold_hu", "meshes"))
        meshes = given.get("meshes", {})
        if not isinstance(meshes, dict):
            self._fail("reference: meshes is not an object", 'Write it as {"L1": "L1.stl"}')
        threshold = given.get("threshold_hu")
        reference = Reference(
            segmentation=self._file(given, "segmentation"),
            volume=self._file(given, "volume"),
            threshold_hu=None if threshold is None else self._number(threshold, "reference: threshold_hu"),
            meshes={
                level: self.path.parent / self._text(name, f"reference: {level}") for level, name in meshes.items()
            },
        )
        for file in reference.files:
            if not file.is_file():
                self._fail(f"its reference {file} does not exist", "Correct the path or leave the reference out")
        return reference

    def _geometry(self) -> dict[str, dict[str, Any]]:
        """Role -> what is given about its view, as far as it is given."""
        value = self.fields.get("geometry")
        if value is None:
            return {role: {} for role in ROLES}
        if not isinstance(value, dict) or "preset" not in value:
            self._object(value, "geometry", tuple(ROLES))
            return {role: self._view(value[role], f"geometry: {role}") for role in ROLES}
        self._object(value, "geometry", ("preset",), ("angle_deg", "isocentre_ras_mm"))
        preset = self._text(value["preset"], "geometry: preset")
        if preset not in PRESETS:
            self._fail(f"geometry: there is no preset {preset!r}", f"Use one of {', '.join(PRESETS)}")
        common: dict[str, Any] = dict(zip(("sod_mm", "sdd_mm"), PRESETS[preset], strict=True))
        if "isocentre_ras_mm" in value:
            common["isocentre_ras_mm"] = self._numbers(value["isocentre_ras_mm"], "geometry: isocentre_ras_mm", 3)
        if "angle_deg" not in value:
            return {role: dict(common) for role in ROLES}
        angle = self._number(value["angle_deg"], "geometry: angle_deg")
        return {"frontal": {**common, "alpha_deg": 90 - angle}, "lateral": {**common, "alpha_deg": 90.0}}

    def _view(self, value: Any, where: str) -> dict[str, Any]:
        given = self._object(value, where, (), (*_VIEW_NUMBERS, *_VIEW_LISTS, "P"))  # P follows from the others
        numbers = {n: self._number(given[n], f"{where}: {n}") for n in _VIEW_NUMBERS if given.get(n) is not None}
        lists = {
            n: self._numbers(given[n], f"{where}: {n}", count)
            for n, count in _VIEW_LISTS.items()
            if given.get(n) is not None
        }
        return numbers | lists

    def _radiograph(self, role: str, entries: dict[str, Any], views: dict[str, dict[str, Any]]) -> Radiograph:
        where, view = f"radiographs: {role}", dict(views[role])
        given = self._object(entries[role], where, ("file",), ("quantity", "bone", "pixel_mm", "patient_orientation"))
        options: dict[str, Any] = {n: self._text(v, f"{where}: {n}") for n, v in given.items() if n != "pixel_mm"}
        file = self.path.parent / options.pop("file")
        if "pixel_mm" in given:
            options["pixel_mm"] = self._number(given["pixel_mm"], f"{where}: pixel_mm")
            if view.get("pixel_mm", options["pixel_mm"]) != options["pixel_mm"]:
                self._fail(f"pixel_mm of the {role} radiograph and of its view differ", "Give it once")
        height, width = view.pop("height", None), view.pop("width", None)
        radiograph = read_radiograph(file, role, **(view | options))
        rows, columns = radiograph.pixels.shape
        if height not in (None, rows) or width not in (None, columns):
            self._fail(
                f"the {role} image has {columns} x {rows} pixels, its view {width or columns:g} x {height or rows:g}",
                "Correct the view's width and height, or choose the image that belongs to it",
            )
        return radiograph

    def _file(self, fields: dict[str, Any], name: str) -> Path | None:
        return self.path.parent / self._text(fields[name], f"reference: {name}") if name in fields else None

    def _fail(self, cause: str, advice: str) -> NoReturn:
        raise CaseError(self.path, cause, advice)

    def _object(
        self, value: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """A JSON object with these fields and no others: a misspelt one would otherwise be passed over."""
        if not isinstance(value, dict):
            self._fail(f"{where} is not an object", "Put its fields between { and }")
        known = ", ".join(required + optional)
        for name in required:
            if name not in value:
                self._fail(f"{where}: {name} is missing", f"Add it; the fields are {known}")
        for name in value:
            if name not in required + optional:
                self._fail(f"{where}: there is no field {name!r}", f"Use {known}")
        return value

    def _text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value:
            self._fail(f"{where} is not a text", 'Write it between " and "')
        return value

    def _number(self, value: Any, where: str) -> float:
        try:
            number = math.nan if isinstance(value, bool | str) else float(value)
        except (TypeError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            self._fail(f"{where} is not a number", "Give it in mm, degrees or HU as its name says")
        return number

    def _numbers(self, value: Any, where: str, count: int) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) != count:
            self._fail(f"{where} is not a list of {count} numbers", f"Write it as {[*range(1, count + 1)]}")
        return tuple(self._number(item, where) for item in value)
