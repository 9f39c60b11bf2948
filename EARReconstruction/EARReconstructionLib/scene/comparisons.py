"""A comparison in the scene: heat maps on the rebuilt vertebrae and on their reference, with tables and a chart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..distance import with_distances
from ..errors import EARError
from .folders import file_under
from .heatmap import MEASURED, RANGE_MM, forget_distances, show_distances, update_legend
from .nodes import LEVEL, REFERENCE, SURFACE, Node, Scene, add_node, all_or_nothing, find_node, find_nodes, remove_nodes
from .tables import remove_tables, show_histogram, show_statistics

if TYPE_CHECKING:
    from ..comparison import Comparison

_REFERENCE_COLOUR = (0.93, 0.87, 0.74)


def show_comparisons(
    scene: Scene,
    comparisons: Sequence[Comparison],
    references: Mapping[str, vtkPolyData],
    run: str,
    range_mm: float = RANGE_MM,
) -> None:
    """Show what was measured on a run: heat maps, the hidden reference with its own, statistics and histogram.

    references: level -> surface, RAS mm, that the comparison was made with. range_mm: colours run from minus to plus
    this. Raises EARError when a vertebra is not in the scene or has no reference; then nothing has been added.
    """
    surfaces = {one.level: find_node(scene, SURFACE, run=run, level=one.level) for one in comparisons}
    for level, node in surfaces.items():
        if node is None or level not in references:
            raise EARError(
                f"vertebra {level}", "its surfaces are not in the scene", "Reconstruct it again, then compare"
            )
    with all_or_nothing(scene):
        for one in comparisons:
            signed = with_distances(references[one.level], one.error.reference_signed_mm)
            reference = _reference(scene, one.level, run, signed)
            show_distances(reference, signed, range_mm)
            show_distances(surfaces[one.level], one.surface, range_mm)
        show_statistics(scene, comparisons, run)
        show_histogram(scene, comparisons, run, range_mm)


def show_side(scene: Scene, run: str, reference: bool) -> None:
    """Show the reference's surfaces in place of the rebuilt ones, or the other way round."""
    for kind, visible in ((REFERENCE, reference), (SURFACE, not reference)):
        for node in find_nodes(scene, kind, run=run):
            node.SetDisplayVisibility(visible)
    update_legend(scene)


def forget_comparisons(scene: Scene, run: str, levels: Collection[str]) -> None:
    """Take away what was measured on vertebrae that are being replaced: their colours, reference, and all tables."""
    measured = [n for n in find_nodes(scene, run=run) if n.GetAttribute(MEASURED) and n.GetAttribute(LEVEL) in levels]
    if not measured:
        return
    for node in measured:
        forget_distances(node)
    remove_nodes(scene, [node for level in levels for node in find_nodes(scene, REFERENCE, run=run, level=level)])
    remove_tables(scene, run)


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
