"""Runs beside each other: a 3-D view for each, and one for the reference, turned together."""

from __future__ import annotations

from ..scene import side_by_side
from ..scene.layouts import COMPARED_TAGS
from ..scene.nodes import REFERENCE, find_node
from ..scene.results import runs
from .session import Session
from .views import COMPARED


class SideBySide:
    """State: compared (the views: tag and title), arrangement (of Views) as long as it is COMPARED."""

    def __init__(self, session: Session) -> None:
        self._session = session
        session.state.compared = []
        session.bind("Comparing models", self.compare_models)

    def refresh(self) -> None:
        """Leave when other views were chosen, or there is nothing left to see."""
        state, scene = self._session.state, self._session.scene
        if state.arrangement == COMPARED and not runs(scene):
            state.arrangement = "xrays"
        if state.arrangement != COMPARED and state.compared:
            state.compared = []
            side_by_side.leave(scene)

    def clear(self) -> None:
        """Nothing is left to compare."""
        self.refresh()

    def compare_models(self) -> None:
        """Show the newest runs, and what they were compared with, in views of their own."""
        session = self._session
        chosen = runs(session.scene)[-side_by_side.MOST_RUNS :]
        measured = any(find_node(session.scene, REFERENCE, run=run) for run in chosen)
        titles = [*chosen, "Reference"] if measured else chosen
        tags = COMPARED_TAGS[: len(titles)]
        session.stage.compare(tags)
        side_by_side.show_side_by_side(
            session.scene,
            chosen,
            with_reference=measured,
            range_mm=session.state.range_mm,
        )
        side_by_side.look_from_front(session.scene)
        compared = [{"tag": tag, "title": title} for tag, title in zip(tags, titles, strict=True)]
        session.state.update({"compared": compared, "arrangement": COMPARED, "enlarged": ""})
