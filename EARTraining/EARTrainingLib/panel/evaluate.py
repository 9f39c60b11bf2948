"""Section 4: measure models on the data set, and install a good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from EARReconstructionLib.model_card import SUFFIX, read_card
from EARReconstructionLib.panel import models, settings
from EARReconstructionLib.panel.host import Panel
from slicer.i18n import tr as _

from . import commands
from .layout import show_in_views
from .python_section import PythonSection
from .results import show_results
from .work import WorkSection, arrange, folderTrouble, isFinished


class EvaluateSection(WorkSection):
    """Models with a tick each, split, Run; the table, the figures, and the way into EAR Reconstruction."""

    def __init__(self, panel: Panel, python: PythonSection) -> None:
        folders = {"evaluationFolder": "evaluationPath"}
        super().__init__(
            panel, python, "EARTrainingEvaluate", _("4. Evaluate"), button="evaluateButton", folders=folders
        )
        self.widget.collapsed = True
        self._listed: dict[str, Path] = {}
        self.ui.modelsList.connect("itemChanged(QListWidgetItem*)", self.onTicked)
        self.ui.modelsList.connect("currentRowChanged(int)", self.onRow)
        self.ui.figuresButton.connect("clicked()", self.onFigures)
        self.ui.useButton.connect("clicked()", self.onUse)

    def refresh(self) -> None:
        """See Section."""
        super().refresh()
        self._fillModels()
        for name in ("modelsList", "splitCombo", "figuresCheckBox"):
            getattr(self.ui, name).enabled = not self.panel.busy
        self.showButton(_("Evaluate"), self._missing(), _("Measure the ticked models on the chosen vertebrae"))
        folder = Path(self._node.evaluationFolder) / "figures" if self._node is not None else None
        # Also while something runs: a look changes nothing.
        there = folder is not None and folder.is_dir()
        self.ui.figuresButton.enabled = there
        self.ui.figuresButton.toolTip = (
            _("Open the folder of figures") if there else _("There are no figures in the output folder yet")
        )
        path = self._current()
        name = path.stem if path else ""
        self.enable(
            self.ui.useButton,
            "" if path else _("Select a model in the list"),
            _("Install {name} and choose it in EAR Reconstruction").format(name=name),
        )

    def begin(self) -> None:
        """Evaluate the ticked models."""
        self.run(_("Evaluating"), commands.evaluate(self._node, settings.device()), self._evaluated)

    def onTicked(self, item: Any) -> None:
        """A model was ticked, or not any more."""
        if self._node is not None:
            names = list(self._listed)
            ticked = [names[n] for n in range(len(names)) if self.ui.modelsList.item(n).checkState() == qt.Qt.Checked]
            if ticked != list(self._node.models):
                self._node.models = ticked

    def onRow(self, row: int) -> None:
        """Another model is selected."""
        self.panel.changed()

    def onFigures(self) -> None:
        """Open the folder of figures in the system's file browser."""
        folder = Path(self._node.evaluationFolder) / "figures"
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder))):
            self.panel.say(_("The figures are in {folder}.").format(folder=folder))

    def onUse(self) -> None:
        """Install the selected model and choose it in EAR Reconstruction."""
        with self.panel.attempt(_("Installing the model")):
            path = self._current()
            if path is None:
                return
            installed = models.installed_models()
            if path not in installed.values():
                read_card(path)  # before a question about what cannot be used
                question = _("There is a model {name} already. Replace it?").format(name=path.stem)
                if path.stem in installed and not slicer.util.confirmYesNoDisplay(question):
                    return
                name = models.add_model(path, replace=path.stem in installed)
            else:
                name = path.stem
            self._chooseInReconstruction(name)

    def _chooseInReconstruction(self, name: str) -> None:
        if not hasattr(slicer.modules, "earreconstruction"):
            self.panel.say(_("{name} is installed. EAR Reconstruction lists it.").format(name=name))
            return
        slicer.util.getModuleLogic("EARReconstruction").getParameterNode().model = name
        self.panel.say(_("{name} is installed, and chosen in EAR Reconstruction.").format(name=name))

    def _evaluated(self, end: dict[str, Any]) -> None:
        arrange()
        show_in_views(self.panel.scene, table=show_results(self.panel.scene, end["table"]))
        self.python.tell(end["notes"])
        self.panel.say(_("The means are in the table view; all tables are in {folder}.").format(folder=end["output"]))

    def _missing(self) -> str:
        if self._node is None:
            return _("There is no scene")
        if not isFinished(self._node.dataFolder):
            return _("Prepare a data set first, or choose the folder of one in step 1")
        if not self._node.models:
            return _("Tick a model first")
        return folderTrouble(self._node.evaluationFolder)

    def _current(self) -> Path | None:
        row = self.ui.modelsList.currentRow
        return list(self._listed.values())[row] if 0 <= row < len(self._listed) else None

    def _fillModels(self) -> None:
        """Models of the run and of the user, the ticked ones with a tick."""
        listed = self._found()
        ticked = list(self._node.models) if self._node is not None else []
        view = self.ui.modelsList
        if listed != self._listed:
            self._listed = {}  # the signals of the list are about nothing now
            view.clear()
            for name, path in listed.items():
                item = qt.QListWidgetItem(path.stem)
                item.setToolTip(str(path))
                item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked if name in ticked else qt.Qt.Unchecked)
                view.addItem(item)
            self._listed = listed
            if listed:
                view.setCurrentRow(0)
        for n, name in enumerate(listed):
            state = qt.Qt.Checked if name in ticked else qt.Qt.Unchecked
            if view.item(n).checkState() != state:
                view.item(n).setCheckState(state)

    def _found(self) -> dict[str, Path]:
        """Argument of `ear evaluate` -> file: bundles of the run's folder first, then the installed ones."""
        if self._node is None:
            return {}
        run = Path(self._node.runFolder)
        files = sorted(run.glob(f"[!.]*{SUFFIX}")) if run.is_absolute() and run.is_dir() else []
        files += [path for path in map(Path, self._node.models) if path.is_file() and path not in files]
        files += [path for path in models.installed_models().values() if path not in files]
        return {str(path): path for path in files}
