"""A comparison in the scene: heat maps on the rebuilt vertebrae and on their reference, with tables and a chart."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..comparison import Comparison
from ..distance import SIGNED_DISTANCE, SurfaceError, with_distances
from ..errors import EARError
from ..vertebra import LEVELS
from .folders import file_under
from .heatmap import RANGE_MM, forget_distances, measured_nodes, show_distances
from .nodes import (
    LEVEL,
    REFERENCE,
    RUN,
    SURFACE,
    Node,
    Scene,
    add_node,
    all_or_nothing,
    find_node,
    find_nodes,
    remove_nodes,
)
from .tables import remove_tables, show_histogram, show_statistics

#: Attribute of a measured surface: what else its comparison says, as JSON.
FACTS = "EAR.comparison"

_REFERENCE_COLOUR = (0.93, 0.87, 0.74)


def show_comparisons(
    scene: Scene,
    comparisons: Sequence[Comparison],
    references: Mapping[str, vtkPolyData],
    run: str,
    range_mm: float = RANGE_MM,
) -> None:
    """Show what was measured on a run: heat maps, the hidden reference with its own, statistics and histogram.

    What was measured on the run's other vertebrae before goes: it may have been another reference.
    references: level -> surface, RAS mm, that the comparison was made with. range_mm: colours run from minus to plus
    this. Raises EARError when a vertebra is not in the scene or has no reference; then nothing has been added.
    """
    surfaces: dict[str, Node] = {}
    for one in comparisons:
        node = find_node(scene, SURFACE, run=run, level=one.level)
        if node is None or one.level not in references:
            raise EARError(
                f"vertebra {one.level}", "its surfaces are not in the scene", "Reconstruct it again, then compare"
            )
        surfaces[one.level] = node
    with all_or_nothing(scene):
        for one in comparisons:
            signed = with_distances(references[one.level], one.error.reference_signed_mm)
            reference = _reference(scene, one.level, run, signed)
            show_distances(reference, signed, range_mm)
            show_distances(surfaces[one.level], one.surface, range_mm)
            surfaces[one.level].SetAttribute(FACTS, json.dumps(one.to_dict()))
        show_statistics(scene, comparisons, run)
        show_histogram(scene, comparisons, run, range_mm)
    _forget(scene, run, _measured_levels(scene, run) - surfaces.keys())


def comparisons_of(scene: Scene, run: str) -> list[Comparison]:
    """What was measured on a run, from head to tail, as its nodes keep it: distances of the points to 0.001 mm."""
    found = []
    for level in sorted(_measured_levels(scene, run), key=LEVELS.index):
        node, reference = (find_node(scene, kind, run=run, level=level) for kind in (SURFACE, REFERENCE))
        if node is None or reference is None or node.GetAttribute(FACTS) is None:
            continue  # someone has removed one of the two
        facts = json.loads(node.GetAttribute(FACTS))
        del facts["level"]
        r, a, s = facts.pop("worst_ras_mm")
        notes, overlap = tuple(facts.pop("notes")), facts.pop("dice")
        error = SurfaceError(_signed_mm(node), _signed_mm(reference), worst_ras_mm=(r, a, s), notes=notes, **facts)
        found.append(Comparison(level, overlap, error, node.GetPolyData()))
    return found


def forget_comparisons(scene: Scene, run: str, levels: Collection[str]) -> None:
    """Take away what was measured on vertebrae that are being replaced: their colours, reference, and all tables."""
    measured = _measured_levels(scene, run) & set(levels)
    if measured:
        _forget(scene, run, measured)
        remove_tables(scene, run)


def _measured_levels(scene: Scene, run: str) -> set[str]:
    return {node.GetAttribute(LEVEL) for node in measured_nodes(scene) if node.GetAttribute(RUN) == run}


def _forget(scene: Scene, run: str, levels: Collection[str]) -> None:
    """Colours and references of these levels go; the tables stay."""
    for node in measured_nodes(scene):
        if node.GetAttribute(RUN) == run and node.GetAttribute(LEVEL) in levels:
            node.RemoveAttribute(FACTS)
            forget_distances(node)
    remove_nodes(scene, [node for level in levels for node in find_nodes(scene, REFERENCE, run=run, level=level)])


def _signed_mm(node: Node) -> NDArray[np.float64]:
    return np.array(vtk_to_numpy(node.GetPolyData().GetPointData().GetArray(SIGNED_DISTANCE)), np.float64)


def _reference(scene: Scene, level: str, run: str, surface: vtkPolyData) -> Node:
    """The node of a reference surface, hidden when it is new."""
    node = find_node(scene, REFERENCE, level=level, run=run)
    if node is None:
        node = add_node(scene, "vtkMRMLModelNode", f"{level} reference", REFERENCE, level=level, run=run)
        node.SetAndObservePolyData(surface)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetColor(_REFERENCE_COLOUR)
        node.GetDisplayNode().SetVisibility2D(False)
        node.GetDisplayNode().SetVisibility(False)
        file_under(scene, node, run)
    return node
