"""Step 1: the two radiographs and their geometry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import EARError, GeometryError, RadiographError
from ...geometry import PRESETS
from ...job import Cancel, Progress
from ...radiograph import ROLES, Radiograph, read_radiograph
from ...resources import SAMPLE_CASE
from ...scene.loading import (
    CASE,
    IMAGE,
    MANUAL,
    distances_source,
    load_case,
    set_angles,
    set_distances,
    set_preset,
    show_radiographs,
)
from ...scene.nodes import Node
from ...scene.radiographs import (
    FACTS,
    geometry_of,
    is_bone_white,
    radiograph_nodes,
    remove_radiograph,
    set_bone_white,
    view_of,
)
from ...scene.views import TITLES
from .step import Step, number

#: What a file may leave open -> how the page asks for it.
_QUESTIONS = {
    "pixel_mm": "Size of a detector pixel (mm)",
    "alpha_deg": "Angle of the beam around the patient (degrees)",
    "bone": "Bone in this picture is",
    "patient_orientation": "Where the picture's right and lower edge point, such as L/F",
}

#: Where distances come from, in words; a preset's name is one already.
_SOURCES = {IMAGE: "from the image", MANUAL: "typed", CASE: "from the case"}


class XRays(Step):
    """State: xrays (by role: name, size, notes, geometry, its source, greys, those shown), asked (by role: what its
    file leaves open), preset, presets, bone_white, angle."""

    name, title = "xrays", "X-rays"

    def prepare(self) -> None:
        self.state.update({"xrays": {}, "asked": {}, "bone_white": True, "angle": ""})
        self.state.update({"preset": "default", "presets": [_preset(name) for name in PRESETS]})
        self._waiting: dict[str, tuple[Path, dict[str, Any]]] = {}
        self.bind("Opening the sample case", self.open_sample)
        self.bind("Opening a radiograph", self.give_answer)
        self.bind("Geometry", self.choose_preset, self.type_geometry)
        self.bind("Display", self.toggle_bone, self.choose_contrast)
        self.bind("Starting over", self.start_over)

    def refresh(self) -> None:
        nodes = radiograph_nodes(self.scene)
        self.state.xrays = {role: _facts(node) for role, node in nodes.items()}
        self.state.asked = {role: self.state.asked[role] for role in self._waiting}
        self.state.bone_white = all(is_bone_white(node) for node in nodes.values())
        missing = [TITLES[role] for role in ROLES if role not in nodes]
        try:
            self.state.angle = f"{geometry_of(self.scene).angle_deg:.0f}"
        except GeometryError:
            self.state.angle = ""
        words = {0: "AP and lateral", 1: f"{''.join(missing)} missing"}.get(len(missing), "none yet")
        self.summarise(not missing, words)

    def open_sample(self) -> None:
        """Show the sample case in place of all that is there."""
        self.start_over()
        case = load_case(self.scene, SAMPLE_CASE)
        self.state.update({"sample_reference": case.reference is not None, "step": "reconstruct"})
        self.session.say(f"A made-up spine. Its {len(case.rois)} vertebrae are marked already.")

    def receive(self, role: str, path: Path) -> None:
        """A file that was uploaded for a role."""
        self._load(role, path, {})

    def give_answer(self, role: str, given: Any) -> None:
        """What a file left open. It comes with the call: as state, the next question would wipe what is being typed."""
        path, facts = self._waiting[role]
        fact = self.state.asked[role]["fact"]
        if fact in ("pixel_mm", "alpha_deg"):
            given = number(given)
        if given in (None, ""):
            raise RadiographError(path.name, "the answer is missing or no number", f"Give it: {_QUESTIONS[fact]}")
        self._load(role, path, {**facts, fact: given})

    def choose_preset(self, name: str) -> None:
        """Put both radiographs at the distances of a preset."""
        self.state.preset = name
        if radiograph_nodes(self.scene):
            set_preset(self.scene, name)

    def type_geometry(self, role: str, what: str, text: Any) -> None:
        """A distance or an angle that was typed: what is "sod_mm", "sdd_mm", "alpha_deg" or "beta_deg"."""
        value = number(text)
        if value is None:
            raise EARError("Geometry", f"{text!r} is no number", "Give millimetres and degrees")
        now = {**self.state.xrays[role]["geometry"], what: value}
        if what.endswith("_mm"):
            set_distances(self.scene, role, now["sod_mm"], now["sdd_mm"])
        else:
            set_angles(self.scene, role, now["alpha_deg"], now["beta_deg"])

    def toggle_bone(self) -> None:
        """Show bone white, or black."""
        for node in radiograph_nodes(self.scene).values():
            set_bone_white(node, not self.state.bone_white)

    def choose_contrast(self, role: str, low: float, high: float) -> None:
        """The grey values shown as black and as white."""
        if high > low:
            radiograph_nodes(self.scene)[role].GetDisplayNode().SetWindowLevelMinMax(low, high)

    def start_over(self) -> None:
        """Empty the page."""
        for part in self.session.parts:
            part.clear()
        self.session.say("")
        self.state.step = "xrays"

    def clear(self) -> None:
        for node in radiograph_nodes(self.scene).values():
            remove_radiograph(self.scene, node)
        self._waiting.clear()

    def _load(self, role: str, path: Path, facts: dict[str, Any]) -> None:
        """Read a file off the event loop, and show it or ask for what it leaves open."""
        self._waiting.pop(role, None)

        def read(_: Progress, __: Cancel) -> Radiograph | RadiographError:
            try:
                return read_radiograph(path, role, **facts)
            except RadiographError as error:  # it may be no trouble but a question
                return error

        def show(found: Radiograph | RadiographError) -> None:
            if isinstance(found, RadiographError):
                self._ask(role, path, facts, found)
                return
            show_radiographs(self.scene, {role: found}, preset=self.state.preset)
            self.state.sample_reference = False
            if len(radiograph_nodes(self.scene)) == len(ROLES):
                self.state.step = "vertebrae"

        self.session.start("Opening the X-ray", read, show)

    def _ask(self, role: str, path: Path, facts: dict[str, Any], error: RadiographError) -> None:
        fact = error.asks
        if not fact or fact in facts:
            raise error
        self._waiting[role] = path, facts
        question = {"fact": fact, "name": path.name, "cause": error.cause, "words": _QUESTIONS[fact]}
        self.state.asked = {**self.state.asked, role: question}


def _facts(node: Node) -> dict[str, Any]:
    """What the page tells of a radiograph; its pixels are left alone, for this is asked with every change."""
    view, facts = view_of(node), json.loads(node.GetAttribute(FACTS))
    source, display = distances_source(node), node.GetDisplayNode()
    low, high = node.GetImageData().GetScalarRange()
    shown = [display.GetWindowLevelMin(), display.GetWindowLevelMax()]
    return {
        "name": Path(facts["path"]).name,
        "size": f"{view.width} x {view.height} pixels of {view.pixel_mm:.3g} mm",
        "notes": facts["notes"],
        "geometry": {name: getattr(view, name) for name in ("sod_mm", "sdd_mm", "alpha_deg", "beta_deg")},
        "greys": [min(low, shown[0]), max(high, shown[1])],
        "shown": shown,
        "source": _SOURCES.get(source, f"preset {source}"),
    }


def _preset(name: str) -> dict[str, str]:
    sod, sdd = PRESETS[name]
    return {"value": name, "title": f"{name}: SOD {sod:g}, SDD {sdd:g} mm"}
