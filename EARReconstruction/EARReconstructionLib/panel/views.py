"""Which views the main window has. Without a main window nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer

from ..scene import side_by_side
from ..scene.layouts import COMPARED_ID, NUMBERS_ID, XRAYS_ID, add_layouts
from ..scene.nodes import REFERENCE, find_node

XRAYS, NUMBERS, SIDE_BY_SIDE = range(3)


def current_views() -> int:
    """Which of ours the main window has, or -1."""
    manager = slicer.app.layoutManager()
    layout = manager.layout if manager is not None else -1
    if layout > COMPARED_ID:
        return SIDE_BY_SIDE
    return {XRAYS_ID: XRAYS, NUMBERS_ID: NUMBERS}.get(layout, -1)


def show_xrays_and_spine() -> None:
    """AP and lateral over the axial plane and 3-D."""
    _arrange(lambda: XRAYS_ID)


def show_spine_and_numbers() -> None:
    """3-D beside the histogram and the table."""
    _arrange(lambda: NUMBERS_ID)


def show_side_by_side(runs: Sequence[str], range_mm: float) -> None:
    """Up to four runs beside each other, and their reference. Raises EARError without any."""
    scene = slicer.mrmlScene
    chosen = runs[-side_by_side.MOST_RUNS :]
    measured = any(find_node(scene, REFERENCE, run=run) for run in chosen)
    _arrange(lambda: side_by_side.show_side_by_side(scene, chosen, with_reference=measured, range_mm=range_mm))
    side_by_side.look_from_front(scene)


def _arrange(choose: Callable[[], int]) -> None:
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    if side_by_side.is_side_by_side(slicer.mrmlScene):
        side_by_side.leave(slicer.mrmlScene)
    add_layouts(manager.layoutLogic().GetLayoutNode())
    manager.setLayout(choose())
