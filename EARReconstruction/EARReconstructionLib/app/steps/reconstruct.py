"""Step 3: the model does its work."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import BundleError, EARError
from ...model_card import SUFFIX, ModelCard, installed_bundles, read_card
from ...radiograph import ROLES
from ...resources import DEFAULT_MODEL, MODELS
from ...scene.display import look_at
from ...scene.nodes import LEVEL, VOLUME, find_nodes
from ...scene.radiographs import radiograph_nodes
from ...scene.results import runs
from ...scene.rois import roi_nodes
from ...scene.tasks import Replaced, reconstruction_task
from .results import Results
from .step import Step

#: Models that a page takes from files.
MOST_MODELS = 4

_DEVICES = [
    {"value": "auto", "title": "Automatic"},
    {"value": "cuda", "title": "Graphics card (CUDA)"},
    {"value": "cpu", "title": "Processor (CPU)"},
]


class Reconstruct(Step):
    """card: of the model that is chosen.

    State: models, model, model_line, cube_mm, devices, device, only_selected, obstacle, to_rebuild (a number),
    calibrated (whether the model knows what errors to expect), expected_error (whether they are asked for and shown).
    """

    name, title = "reconstruct", "Reconstruct"

    def prepare(self) -> None:
        self._paths = {path.stem: path for path in installed_bundles(MODELS)}
        self.state.update({"models": list(self._paths), "model": DEFAULT_MODEL, "devices": _DEVICES, "device": "auto"})
        self.state.update({"only_selected": False, "obstacle": "", "to_rebuild": 0, "model_line": "", "cube_mm": 0})
        self.state.update({"calibrated": False, "expected_error": False})
        self.bind("Choosing a model", self.choose_model)
        self.bind("Reconstruction", self.reconstruct, self.choose_device, self.choose_only_selected)
        self.bind("Expected error", self.choose_expected_error)
        self.choose_model(DEFAULT_MODEL)

    def refresh(self) -> None:
        self.state.to_rebuild = len(self._levels())
        self.state.obstacle = self._obstacle()
        done = runs(self.scene)
        count = len(find_nodes(self.scene, VOLUME, run=self.run)) if self.run else 0
        self.summarise(bool(done), f"{count} rebuilt" if done else "")

    def clear(self) -> None:
        self.state.update({"only_selected": False, "expected_error": False})

    def receive(self, path: Path) -> None:
        """A model that was uploaded: it belongs to this page, and goes with it."""
        if path.suffix != SUFFIX:
            raise BundleError(path, f"models are files {SUFFIX}", "Choose such a file")
        read_card(path)
        kept = self.session.folder / "models" / path.name
        known = self._paths.get(path.stem)
        if known not in (None, kept):
            raise BundleError(path, "there is a model of this name already", "Rename the file, then add it")
        if known is None and len(list(kept.parent.glob("*"))) == MOST_MODELS:
            raise BundleError(path, f"{MOST_MODELS} models have been added already", "Open a new page")
        kept.parent.mkdir(exist_ok=True)
        self._paths[path.stem] = path.replace(kept)
        self.state.models = list(self._paths)
        self.choose_model(path.stem)
        self.session.say(f"{path.stem} is added to this page.")

    def choose_model(self, name: str) -> None:
        """Take another model."""
        if name not in self._paths:
            raise BundleError(name, "there is no such model", "Choose another one")
        self.card = read_card(self._paths[name])
        side = self.card.size * self.card.spacing_mm
        self.state.update({"model": name, "model_line": _line(self.card), "cube_mm": side})
        self.state.calibrated = bool(self.card.error_calibration)

    def choose_device(self, name: str) -> None:
        """Take another device."""
        self.state.device = name

    def choose_only_selected(self, only: bool) -> None:
        """Rebuild the selected vertebra alone, or all."""
        self.state.only_selected = only

    def choose_expected_error(self, on: bool) -> None:
        """Ask for the errors to expect with the next reconstruction, and show those that are there."""
        self.state.expected_error = on
        if self.run:
            self.session.part(Results).colour()

    def reconstruct(self) -> None:
        """Rebuild the vertebrae, off the event loop."""
        obstacle = self._obstacle()
        if obstacle:
            raise EARError("Reconstruction", obstacle, "Do that first")
        sure = self.state.expected_error and self.state.calibrated
        path = self._paths[self.state.model]
        task = reconstruction_task(self.scene, path, self._levels(), self.state.device, uncertainty=sure)

        def show(rebuilt: Any) -> None:
            replaced: Replaced = task.show(rebuilt)
            self.state.update({"run": replaced.run, "step": "results", "arrangement": "spine", "enlarged": ""})
            self.session.part(Results).rebuilt(replaced)
            if not replaced.before:
                look_at(self.scene, replaced.run)
            notes = dict.fromkeys(note for one in rebuilt for note in one.notes)
            count = len(replaced.levels)
            done = f"{count} vertebrae rebuilt." if count > 1 else f"{replaced.levels[0]} rebuilt."
            self.session.say(" ".join([done, *notes]), "warning" if notes else "information")

        self.session.start("Reconstruction", task.work, show, watch=task.nodes)

    def _levels(self) -> list[str]:
        nodes = roi_nodes(self.scene)
        active = self.session.stage.boxes.active
        if self.state.only_selected and active is not None:
            nodes = [active]
        return [node.GetAttribute(LEVEL) for node in nodes]

    def _obstacle(self) -> str:
        """Why it cannot be done now, or nothing."""
        if len(radiograph_nodes(self.scene)) < len(ROLES):
            return "Open an AP and a lateral X-ray first"
        if not roi_nodes(self.scene):
            return "Put a box around a vertebra first"
        if find_spec("torch") is None:
            return "PyTorch is missing on the server: pip install torch"
        return ""


def _line(card: ModelCard) -> str:
    side = card.size * card.spacing_mm
    levels = f"{card.levels[0]} to {card.levels[-1]}"
    return f"{card.architecture.upper()}, cube of {side:.0f} mm at {card.spacing_mm:g} mm, {levels}"
