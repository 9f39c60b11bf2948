"""Section 3: train a network, and watch it learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from EARReconstructionLib.model_card import SUFFIX
from EARReconstructionLib.panel import settings
from EARReconstructionLib.panel.host import Panel
from slicer.i18n import tr as _

from . import commands
from .curves import StepCurve, read_history, show_curves
from .layout import show_in_views
from .python_section import PythonSection
from .work import WorkSection, arrange, folderTrouble, isFinished

#: Width of the picture of the last epoch, pixels.
_PICTURE_WIDTH = 400


class TrainSection(WorkSection):
    """Recipe, device and output; curves and a picture while it runs."""

    def __init__(self, panel: Panel, python: PythonSection) -> None:
        folders = {"runFolder": "runPath"}
        super().__init__(panel, python, "EARTrainingTrain", _("3. Train"), button="trainButton", folders=folders)
        self.widget.collapsed = True
        self._steps = StepCurve()
        self.ui.pictureLabel.setVisible(False)
        self.ui.stateLabel.text = ""
        for name in settings.DEVICES:
            self.ui.deviceCombo.addItem(name)
        self.ui.deviceCombo.setCurrentIndex(settings.DEVICES.index(settings.device()))
        self.ui.deviceCombo.connect("activated(int)", self.onDevice)
        self.ui.curvesButton.connect("clicked()", self.onCurves)

    def refresh(self) -> None:
        """See Section."""
        super().refresh()
        for name in ("networkCombo", "presetCombo", "deviceCombo", "epochsSpinBox", "timeSpinBox", "furtherEdit"):
            getattr(self.ui, name).enabled = not self.panel.busy
        folder = Path(self._node.runFolder) if self._node is not None else Path()
        begun = (folder / "last.ckpt").is_file() and not any(folder.glob(f"[!.]*{SUFFIX}"))
        text = _("Resume") if begun else _("Train")
        tip = _("Go on from the checkpoint in the output folder") if begun else _("Train the network")
        self.showButton(text, self._missing(), tip)
        has_curves = self._node is not None and (folder / "history.csv").is_file()
        # Also while it trains: a look changes nothing.
        self.ui.curvesButton.enabled = has_curves or self._running
        self.ui.curvesButton.toolTip = (
            _("Show the loss against epochs")
            if self.ui.curvesButton.enabled
            else _("There is no run in the output folder")
        )

    def begin(self) -> None:
        """Train, or go on."""
        self._steps = StepCurve()
        arguments = commands.train(self._node, settings.device())
        self.run(_("Training"), arguments, self._trained, self._told)
        if self._running:
            self._showCurves()

    def onDevice(self, index: int) -> None:
        """Another device, for both modules."""
        settings.setValue("Device", settings.DEVICES[index])
        self.panel.changed()

    def onCurves(self) -> None:
        """Show the curves of the run in the output folder."""
        with self.panel.attempt(_("Showing the curves")):
            self._showCurves()

    def _missing(self) -> str:
        if self._node is None:
            return _("There is no scene")
        if not isFinished(self._node.dataFolder):
            return _("Prepare a data set first, or choose the folder of one in step 1")
        return folderTrouble(self._node.runFolder)

    def _told(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            within = event["step"] / max(event["steps"], 1) * event["epochs"]
            self._steps.add(within, event["loss"])
            self.ui.stateLabel.text = event["what"]
        elif event["event"] == "epoch" and self._node is not None:
            self.ui.stateLabel.text = _(
                "epoch {epoch} of {epochs}: validation loss {loss:.4f}, Dice {dice:.3f}"
            ).format(epoch=event["epoch"], epochs=event["epochs"], loss=event["val_loss"], dice=event["val_dice"])
            self._showPicture(event.get("picture"))
            self._showCurves()

    def _trained(self, end: dict[str, Any]) -> None:
        self._showCurves()
        if not end["finished"]:
            self.panel.say(_("Stopped at the time limit, with a checkpoint. Resume goes on."))
            return
        bundle = end["bundle"]
        self._node.models = [*(name for name in self._node.models if name != bundle), bundle]
        self.panel.say(
            _("{name} is trained: Dice {dice:.3f} on the validation vertebrae. Evaluate it in step 4.").format(
                name=Path(bundle).stem, dice=end["dice"]
            )
        )

    def _showCurves(self) -> None:
        arrange()
        history = read_history(Path(self._node.runFolder))
        show_in_views(self.panel.scene, chart=show_curves(self.panel.scene, history, self._steps.points))

    def _showPicture(self, path: Any) -> None:
        picture = qt.QPixmap(str(path)) if path else qt.QPixmap()
        self.ui.pictureLabel.setVisible(not picture.isNull())
        if not picture.isNull():
            self.ui.pictureLabel.setPixmap(picture.scaledToWidth(_PICTURE_WIDTH, qt.Qt.SmoothTransformation))
