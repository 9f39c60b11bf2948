"""Step 4: what was rebuilt, and how it is shown."""

from __future__ import annotations

from ...errors import EARError
from ...scene import display, side_by_side
from ...scene.heatmap import set_expected_errors, set_heat_map
from ...scene.nodes import EDGES, LEVEL, VOLUME, find_nodes
from ...scene.results import remove_results, runs
from ...scene.tasks import Replaced, take_back
from ..comparing import SideBySide
from ..stage import SPINE
from .step import Step

#: Ways to show a run in 3-D.
LOOKS = ("surfaces", "volume", "edges")


class Results(Step):
    """State: runs (rows), run (the one that is looked at), look (of LOOKS), edges_of (the level whose edge map can be
    shown, or ""), notes, planes (whether the X-rays stand in 3-D), can_take_back."""

    name, title = "results", "Results"

    def prepare(self) -> None:
        self.state.update({"runs": [], "run": "", "look": "surfaces", "edges_of": "", "notes": [], "planes": False})
        self.state.can_take_back = False
        self._replaced: Replaced | None = None
        self.bind("Undoing the reconstruction", self.take_back_last)
        self.bind("Results", self.choose_run, self.remove_run, self.choose_look, self.show_planes, self.look_from)

    def refresh(self) -> None:
        there, run = runs(self.scene), self.run or ""
        levels = {name: [n.GetAttribute(LEVEL) for n in find_nodes(self.scene, VOLUME, run=name)] for name in there}
        self.state.runs = [{"name": name, "count": len(levels[name])} for name in there]
        with_edges = [node.GetAttribute(LEVEL) for node in find_nodes(self.scene, EDGES, run=run)] if run else []
        boxes = self.session.stage.boxes
        chosen = boxes.active.GetAttribute(LEVEL) if boxes.active else ""
        self.state.edges_of = chosen if chosen in with_edges else (with_edges[-1] if with_edges else "")
        self.state.notes = display.notes_of(self.scene, run) if run else []
        self.state.run = run
        if self._replaced is not None and self._replaced.run not in there:
            self._replaced = None
        self.state.can_take_back = self._replaced is not None
        self.summarise(bool(there), f"{len(there)} models" if len(there) > 1 else run)

    def clear(self) -> None:
        for run in runs(self.scene):
            remove_results(self.scene, run)
        self._replaced = None
        self.show_planes(False)
        self.state.look = "surfaces"

    def rebuilt(self, replaced: Replaced) -> None:
        """A reconstruction is in the scene: show it. What it replaced can come back."""
        self._replaced = replaced
        self.shown(replaced.run)

    def take_back_last(self) -> None:
        """Undo the last reconstruction: what it replaced comes back, not yet compared."""
        if self._replaced is None:
            raise EARError("Undo", "there is no new reconstruction", "Reconstruct first")
        replaced, self._replaced = self._replaced, None
        take_back(self.scene, replaced)
        self._show_rest()
        self.session.say(f"{', '.join(replaced.levels)}: the last reconstruction is undone.")

    def shown(self, run: str) -> None:
        """A run is new, or looked at again: show it and no other."""
        self._leave_side_by_side()
        self.state.run = run
        for other in runs(self.scene):
            display.show_run(self.scene, other, False)
        self._show()

    def choose_run(self, run: str) -> None:
        """Look at another run."""
        self.shown(run)

    def remove_run(self, run: str) -> None:
        """Take a run away."""
        remove_results(self.scene, run)
        self._show_rest()

    def choose_look(self, look: str) -> None:
        """Show surfaces, bone as a volume, or the edges that the network saw in one vertebra."""
        if look in LOOKS and self.run:
            self.state.look = look
            self._show()

    def colour(self) -> None:
        """Colour the surfaces by distances, or by the errors to expect, or each vertebra in its own colour."""
        set_heat_map(self.scene, self.state.heat_map)
        set_expected_errors(self.scene, self.state.expected_error)

    def show_planes(self, visible: bool) -> None:
        """Show the X-rays' planes in 3-D, or hide them."""
        self.state.planes = visible
        self.session.stage.radiographs.show_in_3d(visible)

    def look_from(self, side: str) -> None:
        """Turn the 3-D view to a side of the patient."""
        self.session.stage.look_from(side)
        self.session.stage.view(SPINE).schedule_render()

    def _leave_side_by_side(self) -> None:
        """There each run has a view of its own, and what was visible before comes back afterwards."""
        if side_by_side.is_side_by_side(self.scene):
            self.state.arrangement = "spine"
            self.session.part(SideBySide).refresh()

    def _show_rest(self) -> None:
        """Something went: show what is left."""
        if self.run:
            self.shown(self.run)
        else:
            self.state.update({"step": "reconstruct", "arrangement": "xrays", "look": "surfaces"})

    def _show(self) -> None:
        self._leave_side_by_side()
        run, look = self.state.run, self.state.look
        edges = self.state.edges_of if look == "edges" else ""
        on_reference = self.state.on_reference
        display.show_run(self.scene, run, True, on_reference=on_reference, bone=look == "volume", edges_of=edges)
        display.show_in_planes(self.scene, run, edges)
        self.colour()
