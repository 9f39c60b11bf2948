"""Radiographs in the scene: each a one-slice volume that stands where its beam puts it, in true size at the isocentre.

All that a Radiograph and its View say is kept in the node's attributes, so a saved scene gives them back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError, RadiographError
from ..geometry.biplanar import BiplanarGeometry
from ..geometry.frames import side_letters
from ..geometry.views import View
from ..radiograph import ROLES, Radiograph
from .nodes import (
    ROLE,
    Node,
    Scene,
    add_node,
    all_or_nothing,
    find_node,
    find_nodes,
    matrix,
    remove_nodes,
    set_voxels,
    voxels_of,
)
from .projection import plane_affine
from .views import TITLES, view_node_id

RADIOGRAPH, LETTERS = "radiograph", "letters"

#: Attributes of a radiograph's node: the fields of its record and of its view, as JSON.
FACTS, VIEW = "EAR.radiograph", "EAR.view"

#: Grey values shown as black and as white: percentiles of the image, so that a marker or a collimator does not count.
_WINDOW_PERCENTILES = (0.5, 99.5)

#: A window of less than this share of all values would show noise.
_NARROW = 0.02

#: Place of the letters, as a share of the way from the middle of the image to its edge.
_INSET = 0.92


def show_radiograph(scene: Scene, radiograph: Radiograph, view: View, node: Node | None = None) -> Node:
    """Put a radiograph into the scene, or into ``node``, which showed an earlier one; return its volume node.

    Bone is shown white. The letters of the patient's sides stand at the edges of the image as locked markups.
    Raises RadiographError when image and view do not fit; then the scene is as it was.
    """
    radiograph = replace(radiograph, view=view)
    facts = {
        "quantity": radiograph.quantity,
        "pixel_mm": radiograph.pixel_mm,
        "angles_deg": list(radiograph.angles_deg),
        "notes": list(radiograph.notes),
        "path": str(radiograph.path),
    }
    with all_or_nothing(scene):
        if node is None:
            node = add_node(scene, "vtkMRMLScalarVolumeNode", TITLES[radiograph.role], RADIOGRAPH)
        node.SetAttribute(ROLE, radiograph.role)
        node.SetAttribute(FACTS, json.dumps(facts))
        set_voxels(node, radiograph.pixels[None], plane_affine(view))
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*_window(radiograph.pixels))
        set_bone_white(node, True)
        _place(node, view)
    return node


def place_radiograph(node: Node, view: View) -> None:
    """Move a radiograph to where another view of its image puts it. Raises RadiographError when they do not fit."""
    replace(radiograph_of(node), view=view)
    _place(node, view)


def set_bone_white(node: Node, white: bool) -> None:
    """Show bone white, as on film, or black. Only the display changes, never the pixels."""
    bright = _facts(node)["quantity"] != "intensity"
    name = "Grey" if bright == white else "InvertedGrey"
    node.GetDisplayNode().SetAndObserveColorNodeID(f"vtkMRMLColorTableNode{name}")


def is_bone_white(node: Node) -> bool:
    """Whether bone is shown white."""
    inverted = node.GetDisplayNode().GetColorNodeID() == "vtkMRMLColorTableNodeInvertedGrey"
    return inverted == (_facts(node)["quantity"] == "intensity")


def radiograph_of(node: Node) -> Radiograph:
    """The radiograph that a node shows, with its view. Raises RadiographError for a node that is none of ours."""
    facts = _facts(node)
    return Radiograph(
        pixels=voxels_of(node)[0],
        quantity=facts["quantity"],
        pixel_mm=facts["pixel_mm"],
        role=node.GetAttribute(ROLE),
        angles_deg=tuple(facts["angles_deg"]),
        view=view_of(node),
        path=Path(facts["path"]),
        notes=tuple(facts["notes"]),
    )


def path_and_notes(node: Node) -> tuple[Path, list[str]]:
    """The file of a radiograph and what was assumed, for panels that ask often: the pixels of a large one take 25 ms.

    Raises RadiographError for a node that is none of ours.
    """
    facts = _facts(node)
    return Path(facts["path"]), facts["notes"]


def view_of(node: Node) -> View:
    """The view of a radiograph's node. Raises RadiographError for a node that is none of ours."""
    _facts(node)
    return _read_view(node.GetAttribute(VIEW))


def radiograph_nodes(scene: Scene) -> dict[str, Node]:
    """Role -> node of the radiographs in the scene, the last one that was added of each.

    A node gets its view last: one without is still being made.
    """
    nodes = find_nodes(scene, RADIOGRAPH, class_name="vtkMRMLScalarVolumeNode")
    last = {node.GetAttribute(ROLE): node for node in nodes if node.GetAttribute(VIEW)}
    return {role: last[role] for role in ROLES if role in last}


def geometry_of(scene: Scene) -> BiplanarGeometry:
    """The pair of views in the scene. Raises GeometryError when one is missing or both look the same way."""
    nodes = radiograph_nodes(scene)
    for role in ROLES:
        if role not in nodes:
            raise GeometryError("scene", f"it has no {role} radiograph", "Load one")
    return BiplanarGeometry(*(view_of(nodes[role]) for role in ROLES))


def remove_radiograph(scene: Scene, node: Node) -> None:
    """Remove a radiograph with its letters."""
    remove_nodes(scene, [*find_nodes(scene, LETTERS, of=node.GetID()), node])


@lru_cache(maxsize=16)
def _read_view(text: str) -> View:
    """Whoever follows the scene asks for the same few views at each of its changes."""
    return View.from_dict(json.loads(text))


def _facts(node: Node) -> dict[str, Any]:
    text = node.GetAttribute(FACTS)
    if text is None or node.GetImageData() is None:
        raise RadiographError(
            node.GetName() or "node", "it is no radiograph with a geometry", "Load the image as a radiograph"
        )
    facts: dict[str, Any] = json.loads(text)
    return facts


def _window(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Values shown as black and as white: those of nearly all pixels, or of all where nearly all are the same."""
    span = float(pixels.min()), float(pixels.max())
    low, high = (float(value) for value in np.percentile(pixels, _WINDOW_PERCENTILES))
    return (low, high) if high - low > _NARROW * (span[1] - span[0]) else span


def _place(node: Node, view: View) -> None:
    modifying = node.StartModify()
    node.SetAttribute(VIEW, json.dumps(view.to_dict()))
    node.SetIJKToRASMatrix(matrix(plane_affine(view)))
    node.EndModify(modifying)
    _show_letters(node, view)


def _show_letters(node: Node, view: View) -> None:
    """Letters at the edges of a radiograph, moved along when they are there already."""
    scene, of = node.GetScene(), node.GetID()
    letters = find_node(scene, LETTERS, of=of)
    if letters is None:
        name = f"{node.GetName()} sides"
        letters = add_node(scene, "vtkMRMLMarkupsFiducialNode", name, LETTERS, hidden=True, of=of)
        letters.CreateDefaultDisplayNodes()
        letters.GetDisplayNode().SetSelectedColor(1, 1, 1)
        letters.GetDisplayNode().SetGlyphScale(0)  # the letter alone
        letters.GetDisplayNode().SetTextScale(4)
        ground = letters.GetDisplayNode().GetTextProperty()  # white letters are read on a white image too
        ground.SetBackgroundColor(0, 0, 0)
        ground.SetBackgroundOpacity(0.6)
        letters.GetDisplayNode().SetPropertiesLabelVisibility(False)
    letters.GetDisplayNode().SetDisplayableOnlyInView(view_node_id(node.GetAttribute(ROLE)))
    affine = plane_affine(view)
    middle = np.array([(view.width - 1) / 2, (view.height - 1) / 2])
    letters.RemoveAllControlPoints()
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        column, row = middle + _INSET * np.array(step) * (view.width / 2, view.height / 2)
        place = affine @ (column, row, 0, 1)
        letters.AddControlPoint(place[:3].tolist(), side_letters(affine[:3, :2] @ step))
    letters.SetLocked(True)
