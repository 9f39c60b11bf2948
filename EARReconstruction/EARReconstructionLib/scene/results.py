"""Results in the scene: per vertebra a volume (HU), a surface and an edge map; the stitched spine with its segments.

What one model made is a run, a folder of the subject hierarchy under the model's name. Doing a vertebra again replaces
its data in that run, and the spine, and nothing else: nodes keep their ids, so views keep showing them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..colours import level_colour
from ..errors import EARError
from ..geometry.frames import Affine
from ..spine import Spine, stitch
from ..vertebra import LEVELS, VertebraROI
from ..volume_io import largest_piece
from .comparisons import forget_comparisons
from .folders import file_under, remove_folder
from .heatmap import update_legend
from .nodes import (
    EDGES,
    EXPECTED,
    LEVEL,
    RUN,
    SPINE,
    SURFACE,
    VOLUME,
    Node,
    Scene,
    add_node,
    affine_of,
    all_or_nothing,
    find_node,
    find_nodes,
    remove_nodes,
    set_voxels,
    voxels_of,
)
from .radiographs import radiograph_nodes
from .rendering import stop_rendering
from .rois import ROI
from .segments import show_segments

if TYPE_CHECKING:
    from ..reconstruction import Reconstruction

#: Attribute of a volume: what else its reconstruction says, as JSON.
FACTS = "EAR.reconstruction"

#: Edge maps are shown from here on: where there is no edge, our networks draw about 0.43.
EDGES_FROM = 0.5

#: Grey window of HU volumes: soft tissue to cortical bone.
WINDOW_HU = (-200.0, 1000.0)


@dataclass(frozen=True, eq=False)
class ShownVertebra:
    """A reconstruction as the scene holds it: the fields of Reconstruction, and its nodes.

    surface_node: None when there is no bone. edges_node: None when the network draws no edges.
    """

    roi: VertebraROI
    volume_hu: NDArray[np.float32]
    mask: NDArray[np.bool_]
    edges: NDArray[np.float32] | None
    ras_from_ijk: Affine
    threshold_hu: float
    model: str
    notes: tuple[str, ...]
    checksum: str
    device: str
    expected_error_mm: NDArray[np.float32] | None
    volume_node: Node
    surface_node: Node | None
    edges_node: Node | None


def show_results(scene: Scene, reconstructions: Sequence[Reconstruction]) -> Spine:
    """Show what one model rebuilt, beside what it rebuilt before; return the stitched spine of all of it.

    Raises EARError for vertebrae that cannot be stitched, or of several models; then the scene is as it was.
    """
    run = _run_of(reconstructions)
    new = {one.roi.level for one in reconstructions}
    kept = [one for one in vertebrae(scene, run) if one.roi.level not in new]
    spine = stitch(sorted([*kept, *reconstructions], key=lambda one: LEVELS.index(one.roi.level)))
    forget_comparisons(scene, run, new)
    with all_or_nothing(scene):
        for one in reconstructions:
            _show_vertebra(scene, one, spine.surfaces.get(one.roi.level))
        _show_spine(scene, spine, run)
    update_legend(scene)
    return spine


def runs(scene: Scene) -> list[str]:
    """Names of the models whose results are in the scene, the oldest first."""
    return list(dict.fromkeys(node.GetAttribute(RUN) for node in find_nodes(scene, VOLUME)))


def vertebrae(scene: Scene, run: str) -> list[ShownVertebra]:
    """The reconstructions of a run, from head to tail."""
    shown = [_shown(scene, node) for node in find_nodes(scene, VOLUME, run=run)]
    return sorted(shown, key=lambda one: LEVELS.index(one.roi.level))


def rois_of(scene: Scene, run: str) -> dict[str, VertebraROI]:
    """Level -> ROI that the vertebrae of a run were rebuilt from, from head to tail. Cheaper than ``vertebrae``."""
    rois = [_roi(node) for node in find_nodes(scene, VOLUME, run=run)]
    return {roi.level: roi for roi in sorted(rois, key=lambda roi: LEVELS.index(roi.level))}


def remove_results(scene: Scene, run: str, levels: Collection[str] | None = None) -> None:
    """Remove a run, or only these levels of it; the rest of its spine is stitched anew."""
    left = [] if levels is None else [one for one in vertebrae(scene, run) if one.roi.level not in levels]
    gone = find_nodes(scene, run=run)
    if left:
        spine = stitch(left)
        forget_comparisons(scene, run, levels or ())
        gone = [node for node in find_nodes(scene, run=run) if node.GetAttribute(LEVEL) in (levels or ())]
    for node in gone:
        if node.IsA("vtkMRMLVolumeNode"):
            stop_rendering(scene, node)
    remove_nodes(scene, gone)
    if left:
        _show_spine(scene, spine, run)
    else:
        remove_folder(scene, run)
    update_legend(scene)


def _run_of(reconstructions: Iterable[Reconstruction]) -> str:
    models = {one.model for one in reconstructions}
    if len(models) != 1:
        raise EARError("results", f"they are of {len(models)} models", "Show what one model rebuilt")
    return models.pop()


def _show_vertebra(scene: Scene, one: Reconstruction, surface: vtkPolyData | None) -> None:
    volume = _volume(scene, one, VOLUME, f"{one.roi.level} volume", one.volume_hu)
    facts = {
        "centre_ras_mm": one.roi.centre_ras_mm,
        "size_mm": one.roi.size_mm,
        "threshold_hu": one.threshold_hu,
        "notes": one.notes,
        "checksum": one.checksum,
        "device": one.device,
    }
    volume.SetAttribute(FACTS, json.dumps(facts))
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(*WINDOW_HU)
    if one.edges is None:
        remove_nodes(scene, find_nodes(scene, EDGES, run=one.model, level=one.roi.level))
    else:
        edges = _volume(scene, one, EDGES, f"{one.roi.level} edges", one.edges)
        display = edges.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(EDGES_FROM, 1)
        display.SetThreshold(EDGES_FROM, 1)  # as a foreground it leaves the rest of the volume visible
        display.SetApplyThreshold(True)
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    if one.expected_error_mm is None:
        remove_nodes(scene, find_nodes(scene, EXPECTED, run=one.model, level=one.roi.level))
    else:
        _volume(scene, one, EXPECTED, f"{one.roi.level} expected error", one.expected_error_mm)
    if surface is None:
        remove_nodes(scene, find_nodes(scene, SURFACE, run=one.model, level=one.roi.level))
    else:
        _show_surface(scene, one, surface)


def _volume(scene: Scene, one: Reconstruction, kind: str, name: str, voxels: NDArray[np.float32]) -> Node:
    node = _node(scene, "vtkMRMLScalarVolumeNode", name, kind, one)
    set_voxels(node, voxels, one.ras_from_ijk)
    node.CreateDefaultDisplayNodes()
    return node


def _show_surface(scene: Scene, one: Reconstruction, surface: vtkPolyData) -> None:
    node = _node(scene, "vtkMRMLModelNode", f"{one.roi.level} surface", SURFACE, one)
    node.SetAndObservePolyData(surface)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(level_colour(one.roi.level))
    display.SetBackfaceCulling(False)
    display.SetVisibility2D(False)  # a cut through the isocentre says nothing about a radiograph
    if one.expected_error_mm is None:
        display.SetScalarVisibility(False)  # an earlier surface may have shown its own


def _node(scene: Scene, class_name: str, name: str, kind: str, one: Reconstruction) -> Node:
    """The node of this kind, level and run, made when there is none, with references to what it was made from."""
    level, run = one.roi.level, one.model
    node = find_node(scene, kind, level=level, run=run) or add_node(scene, class_name, name, kind, level=level, run=run)
    for role, radiograph in radiograph_nodes(scene).items():
        node.SetNodeReferenceID(f"EAR.{role}", radiograph.GetID())
    roi = find_node(scene, ROI, level=level)
    if roi is not None:
        node.SetNodeReferenceID("EAR.roi", roi.GetID())
    file_under(scene, node, run)
    return node


def _show_spine(scene: Scene, spine: Spine, run: str) -> None:
    node = find_node(scene, SPINE, run=run)
    if node is None:
        node = add_node(scene, "vtkMRMLScalarVolumeNode", f"Spine {run}", SPINE, run=run)
    set_voxels(node, spine.volume.array, spine.volume.ras_from_ijk)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(*WINDOW_HU)
    file_under(scene, node, run)
    file_under(scene, show_segments(scene, spine, run), run)


def _roi(volume: Node) -> VertebraROI:
    facts = json.loads(volume.GetAttribute(FACTS))
    return VertebraROI(volume.GetAttribute(LEVEL), tuple(facts["centre_ras_mm"]), tuple(facts["size_mm"]))


def _shown(scene: Scene, node: Node) -> ShownVertebra:
    level, run = node.GetAttribute(LEVEL), node.GetAttribute(RUN)
    facts = json.loads(node.GetAttribute(FACTS))
    hu = voxels_of(node)
    edges, expected = (find_node(scene, kind, run=run, level=level) for kind in (EDGES, EXPECTED))
    return ShownVertebra(
        roi=_roi(node),
        volume_hu=hu,
        mask=largest_piece(hu > facts["threshold_hu"]),
        edges=voxels_of(edges) if edges else None,
        ras_from_ijk=affine_of(node),
        threshold_hu=facts["threshold_hu"],
        model=run,
        notes=tuple(facts["notes"]),
        checksum=facts["checksum"],
        device=facts["device"],
        expected_error_mm=voxels_of(expected) if expected else None,
        volume_node=node,
        surface_node=find_node(scene, SURFACE, run=run, level=level),
        edges_node=edges,
    )
