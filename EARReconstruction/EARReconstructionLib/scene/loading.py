"""Radiographs from files and from volumes that 3D Slicer has loaded, and their distances and angles set by hand.

A file rarely says all. What must be asked for is told by ``RadiographError.asks``; distances that a file does not
state come from a preset, and the node remembers where its distances come from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..case import Case, read_case
from ..errors import GeometryError, RadiographError
from ..geometry.biplanar import PRESETS, BiplanarGeometry
from ..geometry.views import View
from ..radiograph import ROLES, Radiograph, read_radiograph
from ..radiograph_file import StoredImage
from ..radiograph_layout import resolve_angles
from .cases import show_case
from .nodes import Node, Scene, all_or_nothing, at_once
from .radiographs import place_radiograph, radiograph_nodes, radiograph_of, show_radiograph, view_of

#: Attributes of a radiograph: where its distances come from, and those that its file states, as JSON.
DISTANCES, STATED = "EAR.distances", "EAR.statedDistances"

#: Where distances come from, beside the names of the presets: the image file, a person, a case file.
IMAGE, MANUAL, CASE = "image", "manual", "case"

#: What file names say about the role, when nothing else does.
_NAMES = {
    "frontal": r"(?<![a-z])(ap|pa|frontal|coronal)(?![a-z])",
    "lateral": r"(?<![a-z])(lat|lateral|sagittal)(?![a-z])",
}


def load_radiograph(scene: Scene, path: str | Path, role: str, *, preset: str = "default", **facts: Any) -> Node:
    """Show the radiograph of a file as that of a role, in place of an earlier one; return its node.

    preset: distances for a file that does not state both. facts: arguments of read_radiograph, which outweigh the file.
    Raises RadiographError for a file that is no radiograph or shows the other role's image, GeometryError for a pair
    that looks the same way; then the scene is as it was.
    """
    return load_radiographs(scene, {role: Path(path)}, preset=preset, facts={role: facts})[role]


def load_radiographs(
    scene: Scene,
    paths: Mapping[str, Path],
    *,
    preset: str = "default",
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Node]:
    """Show the radiographs of several roles, all or none. facts: by role. See ``load_radiograph``."""
    given = {role: dict((facts or {}).get(role, {})) for role in paths}
    read = {role: read_radiograph(path, role, **given[role]) for role, path in paths.items()}
    typed = {role for role in paths if {"sod_mm", "sdd_mm"} & set(given[role])}
    return show_radiographs(scene, read, preset=preset, typed=typed)


def show_radiographs(
    scene: Scene, read: Mapping[str, Radiograph], *, preset: str = "default", typed: Collection[str] = ()
) -> dict[str, Node]:
    """The second half of ``load_radiographs``, for radiographs that were read elsewhere, on whatever thread.

    typed: the roles whose distances a person gave. Raises as ``load_radiographs``.
    """
    nodes = radiograph_nodes(scene)
    pair = {role: radiograph_of(node) for role, node in nodes.items()}
    sources, stated = {}, {}
    for role, radiograph in read.items():
        sources[role] = MANUAL if role in typed else IMAGE
        if radiograph.view is None:
            pair[role], sources[role] = radiograph.placed(*PRESETS[preset]), preset
        else:
            stated[role] = [radiograph.view.sod_mm, radiograph.view.sdd_mm]
            pair[role] = radiograph
    _check_pair(pair)
    with all_or_nothing(scene):
        for role in read:
            view = pair[role].view
            assert view is not None
            node = nodes[role] = show_radiograph(scene, pair[role], view, nodes.get(role))
            node.SetAttribute(DISTANCES, sources[role])
            node.SetAttribute(STATED, json.dumps(stated[role]) if role in stated else None)
    return {role: nodes[role] for role in read}


def load_case(scene: Scene, path: str | Path) -> Case:
    """Show a case folder's radiographs and ROIs in place of those in the scene. Raises EARError's kinds."""
    case = read_case(path)
    with at_once(scene):
        show_case(scene, case)
    for node in radiograph_nodes(scene).values():
        node.RemoveAttribute(DISTANCES)
        node.RemoveAttribute(STATED)
    return case


def role_of(path: Path) -> str | None:
    """The role that a file's tags, or else its name, speak for; None when both could be."""
    possible = [role for role in ROLES if _is_readable(path, role)]
    if len(possible) != 1:
        possible = [role for role, words in _NAMES.items() if re.search(words, path.stem.lower())]
    return possible[0] if len(possible) == 1 else None


def path_of_volume(node: Node, file_of_instance: Callable[[str], str]) -> Path:
    """The file that a volume in the scene was loaded from.

    file_of_instance: UID of a DICOM instance -> its file in the database, "" for none. Raises RadiographError for a
    volume without a file, or made of several.
    """
    name = node.GetName() or "volume"
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    storage = node.GetStorageNode()
    files = [file_of_instance(uid) for uid in instances]
    if not any(files) and storage is not None and storage.GetFileName():
        files = [storage.GetFullNameFromFileName()]
        files += [storage.GetNthFileName(n) for n in range(1, storage.GetNumberOfFileNames())]
    if len(files) > 1:
        raise RadiographError(name, f"it is a stack of {len(files)} images", "Choose a single 2-D radiograph")
    if not any(files):
        raise RadiographError(name, "it was not loaded from a file", "Open the file of the radiograph")
    return Path(files[0])


def distances_source(node: Node) -> str:
    """Where a radiograph's distances come from: IMAGE, MANUAL, CASE or the name of a preset."""
    return node.GetAttribute(DISTANCES) or CASE


def set_distances(scene: Scene, role: str, sod_mm: float, sdd_mm: float) -> None:
    """Set a radiograph's distances by hand. Raises GeometryError when they cannot be."""
    _move(scene, role, MANUAL, sod_mm=sod_mm, sdd_mm=sdd_mm)


def set_preset(scene: Scene, name: str) -> None:
    """Give all radiographs the distances of a preset; IMAGE: those that their files state.

    Raises GeometryError for an unknown name, and when no file states any.
    """
    nodes = radiograph_nodes(scene)
    if name == IMAGE:
        known = {role: json.loads(text) for role, node in nodes.items() if (text := node.GetAttribute(STATED))}
        if not known:
            raise GeometryError("X-rays", "the files do not state SOD and SDD", "Choose a preset, or give them")
    elif name in PRESETS:
        known = {role: PRESETS[name] for role in nodes}
    else:
        raise GeometryError(f"preset {name!r}", "there is no such preset", f"Use one of {', '.join(PRESETS)}")
    for role, (sod_mm, sdd_mm) in known.items():
        _move(scene, role, name, sod_mm=sod_mm, sdd_mm=sdd_mm)


def set_angles(scene: Scene, role: str, alpha_deg: float, beta_deg: float) -> None:
    """Turn a radiograph's beam. Raises GeometryError or RadiographError for a beam that cannot be its role's."""
    _move(scene, role, None, alpha_deg=alpha_deg, beta_deg=beta_deg)


def _move(scene: Scene, role: str, source: str | None, **changes: Any) -> None:
    nodes = radiograph_nodes(scene)
    if role not in nodes:
        raise GeometryError("scene", f"it has no {role} radiograph", "Load one")
    radiograph = radiograph_of(nodes[role])
    view = replace(view_of(nodes[role]), **changes)
    # The rule by which files are read: a lateral radiograph's beam runs from side to side.
    image = StoredImage(radiograph.pixels, (0.0, 1.0))
    resolve_angles(Path(nodes[role].GetName()), image, role, view.alpha_deg, view.beta_deg)
    _check_views({other: view_of(node) for other, node in nodes.items()} | {role: view})
    place_radiograph(nodes[role], view)
    if source is not None:
        nodes[role].SetAttribute(DISTANCES, source)


def _check_pair(pair: Mapping[str, Radiograph]) -> None:
    """Raises RadiographError when two roles show one image, GeometryError when both look the same way."""
    if set(pair) != set(ROLES):
        return
    first, second = (pair[role] for role in ROLES)
    same = first.path.resolve() == second.path.resolve()
    if same or any(np.array_equal(first.pixels, pixels) for pixels in (second.pixels, second.pixels[:, ::-1])):
        raise RadiographError(
            second.path, "the frontal and the lateral radiograph are the same image", "Choose the other one of the two"
        )
    _check_views({role: radiograph.view for role, radiograph in pair.items() if radiograph.view})


def _check_views(views: Mapping[str, View]) -> None:
    if set(views) == set(ROLES):
        BiplanarGeometry(views["frontal"], views["lateral"])


def _is_readable(path: Path, role: str) -> bool:
    """Whether a file could be the radiograph of a role; what it does not say is assumed."""
    try:
        read_radiograph(path, role, pixel_mm=1.0, bone="bright")
    except RadiographError:
        return False
    return True
