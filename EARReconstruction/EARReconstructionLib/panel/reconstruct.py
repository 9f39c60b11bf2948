"""Section 3: the model, the device, and the button that does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import BundleError, DeviceError, EARError
from ..job import Cancel, Progress
from ..model_card import SUFFIX, ModelCard, read_card
from ..scene.checks import GEOMETRY, warnings
from ..scene.nodes import LEVEL
from ..scene.radiographs import geometry_of
from ..scene.rois import roi_nodes
from ..scene.tasks import Replaced, Task, reconstruction_task
from . import models, settings, torch
from .host import Panel
from .section import Section

#: A second click of a double click must not cancel what the first one started, s.
_DOUBLE_CLICK_S = 0.6

#: Warnings that are shown; the others are in the tool tip.
_WARNINGS = 3


class ReconstructSection(Section):
    """Rebuilds the vertebrae. onReconstructed: told what was replaced, when the results are in the scene."""

    def __init__(self, panel: Panel, onReconstructed: Callable[[Replaced], None]) -> None:
        super().__init__(panel, "EARReconstructionReconstruct", _("3. Reconstruct"))
        self._onReconstructed = onReconstructed
        self._running = False
        self._started = 0.0
        self._names: list[str] = []
        self._shownCard = ""
        for name in settings.DEVICES:
            self.ui.deviceCombo.addItem(name)
        self.ui.deviceCombo.setCurrentIndex(settings.DEVICES.index(settings.device()))
        icon = self.ui.warningIcon.style().standardIcon(qt.QStyle.SP_MessageBoxWarning)
        self.ui.warningIcon.setPixmap(icon.pixmap(16, 16))
        self.ui.moreFrame.setVisible(False)
        # Always in sight, however far the sections are scrolled.
        for widget in (self.ui.warningFrame, self.ui.reconstructButton):
            self.panel.ui.primaryFrame.layout().addWidget(widget)
        self.ui.modelCombo.connect("activated(int)", self.onModel)
        self.ui.deviceCombo.connect("activated(int)", self.onDevice)
        self.ui.moreButton.connect("toggled(bool)", self.onMore)
        self.ui.addModelButton.connect("clicked()", self.onAddModel)
        self.ui.modelFolderButton.connect("clicked()", self.onModelFolder)
        self.ui.reconstructButton.connect("clicked()", self.onReconstruct)

    # -- what is shown

    def refresh(self) -> None:
        """Models, warnings, and what the button would do."""
        card, trouble = self._card()
        self._running = self._running and self.panel.busy
        self._fillModels()
        self.ui.cardLabel.text = models.one_line(card) if card else trouble
        if self.ui.moreFrame.visible:
            self._showCard()
        if not self.panel.busy:  # then torch may be half imported
            self.ui.torchLabel.text = torch.description()
        for widget in (self.ui.modelCombo, self.ui.deviceCombo, self.ui.onlySelectedCheckBox, self.ui.addModelButton):
            widget.enabled = not self.panel.busy
        level = self._node.selectedLevel if self._node else ""
        text = (
            _("Only {level}, the selected vertebra").format(level=level) if level else _("Only the selected vertebra")
        )
        self.ui.onlySelectedCheckBox.text = text
        self._showExpectedError(card)
        self._showWarnings(card)
        self._showButton(trouble)

    def _showExpectedError(self, card: ModelCard | None) -> None:
        box = self.ui.expectedErrorCheckBox
        box.enabled = not self.panel.busy and card is not None and bool(card.error_calibration)
        if card is not None and not card.error_calibration:
            box.toolTip = _("Nobody has measured how far off this model is where it is unsure")
        else:
            box.toolTip = _(
                "Colour the vertebrae by how far off they may be, mm. Reconstructing takes seven times as long"
            )

    def _fillModels(self) -> None:
        names = list(models.installed_models())
        chosen = self._node.model if self._node else ""
        if chosen and chosen not in names:
            names.append(chosen)
        combo = self.ui.modelCombo
        if names != self._names:
            self._names = names
            combo.clear()
            for name in names:
                combo.addItem(name)
        if chosen in names:
            combo.setCurrentIndex(names.index(chosen))

    def _showWarnings(self, card: ModelCard | None) -> None:
        found = warnings(self.panel.scene, card) if not self._missing() else {}
        sentences = [one for level in (GEOMETRY, *self._levels()) for one in found.get(level, ())]
        text = "\n".join(sentences[:_WARNINGS])
        if len(sentences) > _WARNINGS:
            text += "\n" + _("and {count} more (rest the mouse here)").format(count=len(sentences) - _WARNINGS)
        self.ui.warningLabel.text = text
        self.ui.warningLabel.toolTip = "\n".join(sentences)
        self.ui.warningFrame.setVisible(bool(sentences))

    def _showButton(self, trouble: str) -> None:
        button, levels = self.ui.reconstructButton, self._levels()
        self.panel.ui.cancelButton.setVisible(not self._running)  # this button is the same then
        if self._running:
            button.text, button.enabled = _("Cancel"), self.panel.ui.cancelButton.enabled
            button.toolTip = _("Stop the reconstruction. What is done already is not kept")
            return
        if len(levels) == 1:
            button.text = _("Reconstruct {level}").format(level=levels[0])
        elif levels:
            button.text = _("Reconstruct {count} vertebrae").format(count=len(levels))
        else:
            button.text = _("Reconstruct")
        model = self._node.model if self._node else ""
        self.enable(
            button,
            self._missing() or trouble,
            _("Rebuild {levels} with {model}").format(levels=", ".join(levels), model=Path(model).stem),
        )

    def _missing(self) -> str:
        """Why there is nothing to reconstruct; empty when there is."""
        if self._node is None:
            return _("There is no scene")
        try:
            geometry_of(self.panel.scene)
        except EARError as error:
            return str(error)
        if not roi_nodes(self.panel.scene):
            return _("Add a vertebra first, in step 2")
        if not self._levels():
            return _("Select a vertebra in step 2, or reconstruct all of them")
        return ""

    def _levels(self) -> list[str]:
        """The levels that the button would rebuild, from head to tail."""
        levels = [node.GetAttribute(LEVEL) for node in roi_nodes(self.panel.scene)]
        if self._node is not None and self._node.onlySelected:
            return [level for level in levels if level == self._node.selectedLevel]
        return levels

    def _card(self) -> tuple[ModelCard | None, str]:
        """The card of the chosen model, or a sentence on why there is none."""
        try:
            return (read_card(models.model_path(self._node.model)), "") if self._node else (None, "")
        except BundleError as error:
            return None, str(error)

    def _showCard(self) -> None:
        try:
            text = models.card_text(self._node.model) if self._node else ""
        except BundleError as error:
            text = str(error)
        damaged = [sentence for sentence in models.damaged_models() if sentence not in text]
        text = "\n\n".join([text, *damaged])
        if text != self._shownCard:  # setting it again would scroll it to its beginning
            self._shownCard = text
            self.ui.cardText.setMarkdown(text)

    # -- what the user does

    def onModel(self, index: int) -> None:
        """A model was chosen."""
        if self._node is not None:
            self._node.model = self._names[index]

    def onDevice(self, index: int) -> None:
        """A device was chosen. It stays for the user, whatever the scene."""
        settings.setValue("Device", settings.DEVICES[index])
        self.panel.changed()

    def onMore(self, shown: bool) -> None:
        """Show or hide the model's card."""
        self.ui.moreFrame.setVisible(shown)
        self.ui.moreButton.setArrowType(qt.Qt.DownArrow if shown else qt.Qt.RightArrow)
        self.panel.changed()

    def onAddModel(self) -> None:
        """Add a model from a file, and choose it."""
        path = qt.QFileDialog.getOpenFileName(
            self.widget, _("Add a model"), settings.value("LastFolder"), _("Models") + f" (*{SUFFIX})"
        )
        if not path:
            return
        settings.setValue("LastFolder", str(Path(path).parent))
        question = _("You have added a model {name} before. Replace it?").format(name=Path(path).stem)
        if models.was_added(path) and not slicer.util.confirmYesNoDisplay(question):
            return
        with self.panel.attempt(_("Adding a model")):
            name = models.add_model(path, replace=True)
            if self._node is not None:
                self._node.model = name
            self.panel.say(_("{name} is installed.").format(name=name))

    def onModelFolder(self) -> None:
        """Open the folder of the user's models."""
        with self.panel.attempt(_("Opening the folder of models")):
            folder = models.user_folder()
            folder.mkdir(parents=True, exist_ok=True)
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def onReconstruct(self) -> None:
        """Reconstruct, or cancel it."""
        if self._running:
            if time.monotonic() - self._started > _DOUBLE_CLICK_S:
                self.panel.cancel()
                self.panel.changed()
            return
        self._start(settings.device())

    def _start(self, device: str) -> None:
        with self.panel.attempt(_("Reconstruction")):
            path = models.model_path(self._node.model)
            torch.require()
            sure = self._node.expectedError and bool(read_card(path).error_calibration)
            task = reconstruction_task(self.panel.scene, path, self._levels(), device, uncertainty=sure)

            def work(progress: Progress, cancel: Cancel) -> Any:
                torch.import_torch()
                try:
                    return task.work(progress, cancel)
                except DeviceError as error:  # asked about on the main thread
                    return error

            self._running, self._started = True, time.monotonic()
            self.panel.start(
                _("Reconstructing"), work, lambda result: self._done(task, result, device), watch=task.nodes
            )

    def _done(self, task: Task[Any, Replaced], result: Any, device: str) -> None:
        if not isinstance(result, DeviceError):
            self._onReconstructed(task.show(result))
            return
        question = _("{sentence}\n\nReconstruct on the CPU instead? It is slower.").format(sentence=result)
        if device == "cpu" or "cuda" not in result.subject or not slicer.util.confirmYesNoDisplay(question):
            raise result
        self._start("cpu")
