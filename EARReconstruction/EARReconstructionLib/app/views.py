"""The views of the page: how they are arranged, what is in them, and the buttons on them."""

from __future__ import annotations

from ..scene.radiographs import radiograph_nodes
from ..scene.results import runs
from ..scene.rois import roi_nodes
from ..scene.views import VIEW_TAGS
from .session import Session
from .stage import AXIAL, SPINE

#: X-rays side by side; the spine large beside them; all four alike.
ARRANGEMENTS = ("xrays", "spine", "four")

#: Runs side by side, an arrangement of its own (comparing.SideBySide).
COMPARED = "compared"


class Views:
    """State: arrangement (of ARRANGEMENTS), enlarged (tag of a view that fills the page, or ""), filled (by tag)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        session.state.update({"enlarged": "", "filled": {}})
        session.bind("Views", self.arrange)
        session.bind("Views", self.fit_view)
        session.bind("Views", self.enlarge)
        for event in (session.scene.NodeAddedEvent, session.scene.NodeRemovedEvent):
            session.scene.AddObserver(event, session.soon)

    def refresh(self) -> None:
        """Which views have something to show."""
        nodes, rebuilt = radiograph_nodes(self._session.scene), bool(runs(self._session.scene))
        filled = {tag: role in nodes for role, tag in VIEW_TAGS.items()}
        boxes = roi_nodes(self._session.scene)
        self._session.state.filled = {**filled, SPINE: bool(boxes) or rebuilt, AXIAL: rebuilt}
        self._session.stage.draw(self._seen())
        for node in boxes:  # in 3-D they would stand before what was rebuilt
            node.GetDisplayNode().SetVisibility3D(not rebuilt)

    def _seen(self) -> list[str]:
        """Tags of the views that the page shows now."""
        state = self._session.state
        if state.enlarged:
            return [state.enlarged]
        if state.arrangement == COMPARED:
            return [view["tag"] for view in state.compared]
        others = {"xrays": [], "spine": [SPINE], "four": [AXIAL, SPINE]}
        return [*VIEW_TAGS.values(), *others[state.arrangement]]

    def clear(self) -> None:
        """Back to the X-rays."""
        self._session.state.update({"arrangement": "xrays", "enlarged": ""})

    def arrange(self, arrangement: str) -> None:
        """Put the views beside each other in one of the ARRANGEMENTS."""
        if arrangement in ARRANGEMENTS:
            self._session.state.update({"arrangement": arrangement, "enlarged": ""})

    def fit_view(self, tag: str) -> None:
        """Show all that there is in a view."""
        self._session.stage.fit(tag)

    def enlarge(self, tag: str) -> None:
        """Let a view fill the page, or go back."""
        self._session.state.enlarged = "" if self._session.state.enlarged == tag else tag
