"""Our arrangements of the main window's views, as 3D Slicer's XML.

Slicer learns them at its start, for a saved scene may ask for one before the module is opened. So this is light to
import.
"""

from __future__ import annotations

from .nodes import Node
from .views import TITLES, VIEW_TAGS

#: Numbers of the layouts; 3D Slicer keeps those below 500 for itself. COMPARED_ID + n is the one of n views beside each
#: other.
XRAYS_ID, NUMBERS_ID, COMPARED_ID = 2407, 2410, 2420

#: Group of the radiographs' views: jumps and links of the standard views (group 0) leave them alone.
VIEW_GROUP = 24

#: Singleton tag of the chart and the table.
NUMBERS_TAG = "EARReview"

#: Singleton tags of the views beside each other, and their group: turning one turns the others, and no other view.
COMPARED_TAGS = tuple(f"EARCompared{n}" for n in range(1, 6))
COMPARED_GROUP = 25

#: Bar colours of the radiographs' views: those of 3D Slicer's coronal and sagittal view.
_VIEW_COLOURS = {"frontal": "#6EB04B", "lateral": "#EDD54C"}


def add_layouts(layout_node: Node) -> None:
    """Make our layouts known to the scene's vtkMRMLLayoutNode."""
    compared = {COMPARED_ID + n: compared_layout(n) for n in range(1, len(COMPARED_TAGS) + 1)}
    for number, text in {XRAYS_ID: xrays_layout(), NUMBERS_ID: numbers_layout(), **compared}.items():
        if not layout_node.IsLayoutDescription(number):
            layout_node.AddLayoutDescription(number, text)


def xrays_layout() -> str:
    """AP and lateral side by side over the axial plane and 3-D."""
    orientations = {"frontal": "Coronal", "lateral": "Sagittal"}
    radiographs = (
        _view(
            "vtkMRMLSliceNode",
            VIEW_TAGS[role],
            orientation=orientation,
            viewlabel=TITLES[role],
            viewcolor=_VIEW_COLOURS[role],
            viewgroup=VIEW_GROUP,
        )
        for role, orientation in orientations.items()
    )
    axial = _view("vtkMRMLSliceNode", "Red", orientation="Axial", viewlabel="R", viewcolor="#F34A33")
    return _split("vertical", _split("horizontal", *radiographs), _split("horizontal", axial, _spine()))


def numbers_layout() -> str:
    """To read a comparison: 3-D beside the histogram over the table."""
    chart = _view("vtkMRMLPlotViewNode", NUMBERS_TAG, viewlabel="P")
    table = _view("vtkMRMLTableViewNode", NUMBERS_TAG, viewlabel="T")
    return _split("horizontal", _spine(), _split("vertical", chart, table), sizes=(600, 400))


def compared_layout(views: int) -> str:
    """So many 3-D views, in rows of at most three."""
    per_row = 2 if views == 4 else 3
    items = [_view("vtkMRMLViewNode", tag, viewgroup=COMPARED_GROUP) for tag in COMPARED_TAGS[:views]]
    rows = (_split("horizontal", *items[n : n + per_row]) for n in range(0, views, per_row))
    return _split("vertical", *rows)


def _spine() -> str:
    return _view("vtkMRMLViewNode", "1", viewlabel="1")


def _view(node_class: str, tag: str, **properties: object) -> str:
    texts = (f'<property name="{name}" action="default">{value}</property>' for name, value in properties.items())
    return f'<view class="{node_class}" singletontag="{tag}">{"".join(texts)}</view>'


def _split(way: str, *parts: str, sizes: tuple[int, ...] = ()) -> str:
    shares = [f' splitSize="{size}"' for size in sizes] or [""] * len(parts)
    items = (f"<item{share}>{part}</item>" for share, part in zip(shares, parts, strict=True))
    return f'<layout type="{way}" split="true">{"".join(items)}</layout>'
