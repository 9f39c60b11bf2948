"""Section 1: from CT scans, or made-up spines, to a data set for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from EARReconstructionLib.panel.host import Panel
from EARReconstructionLib.panel.section import Section
from slicer.i18n import tr as _

from . import commands
from .python_section import PythonSection
from .work import WorkSection, folderTrouble, isDataSet, isFinished

#: Setting of the user: the Python that has DeepDRR.
_DEEPDRR = "EARTraining/DeepDRRPython"

#: What a trial is made of: minutes on a CPU.
_TRIAL = {"sources": ["phantoms:3"], "size": 32, "spacingMm": 3.0, "epochs": 10, "network": "E2E", "preset": "ours"}


class DataSetSection(WorkSection):
    """Sources, grid, X-rays; Check and Prepare. following: sections that open when a data set is there."""

    def __init__(self, panel: Panel, python: PythonSection, following: tuple[Section, ...]) -> None:
        folders = {"dataFolder": "dataPath"}
        super().__init__(panel, python, "EARTrainingDataSet", _("1. Data set"), button="prepareButton", folders=folders)
        self._following = following
        self._shown: list[str] = []
        self.ui.deepdrrPath.currentPath = str(slicer.app.userSettings().value(_DEEPDRR) or "")
        self.ui.moreFrame.setVisible(False)
        self.ui.resultTable.setVisible(False)
        self.ui.resultTable.horizontalHeader().setStretchLastSection(True)
        self.ui.resultTable.verticalHeader().setVisible(False)
        self.ui.sourcesList.connect("itemSelectionChanged()", panel.changed)
        self.ui.addFolderButton.connect("clicked()", self.onAddFolder)
        self.ui.addPhantomsButton.connect("clicked()", self.onAddPhantoms)
        self.ui.trialButton.connect("clicked()", self.onTrial)
        self.ui.removeButton.connect("clicked()", self.onRemove)
        self.ui.moreButton.connect("toggled(bool)", self.onMore)
        self.ui.deepdrrPath.connect("currentPathChanged(QString)", self.onDeepDRR)
        self.ui.checkEngineButton.connect("clicked()", self.onCheckEngine)
        self.ui.checkButton.connect("clicked()", self.onCheck)

    def refresh(self) -> None:
        """See Section."""
        super().refresh()
        node = self._node
        sources = list(node.sources) if node is not None else []
        if sources != self._shown:
            self._shown = sources
            self.ui.sourcesList.clear()
            for source in sources:
                self.ui.sourcesList.addItem(_readable(source))
        selected = self.ui.sourcesList.currentRow >= 0 and bool(self.ui.sourcesList.selectedItems())
        self.enable(self.ui.addFolderButton, "", _("A folder as downloaded: VerSe, CTSpine1K, or CT and mask pairs"))
        self.enable(self.ui.addPhantomsButton, "", _("Made-up spines: no download, for trying things out"))
        self.enable(
            self.ui.trialButton, "", _("Everything set for a run of minutes: three made-up spines, a small network")
        )
        self.enable(
            self.ui.removeButton, "" if selected else _("Select a source first"), _("Remove the selected source")
        )
        self.ui.anglesLabel.text = _angles().get(node.acquisition, "") if node is not None else ""
        self.ui.protocolLabel.text = _protocols().get(node.protocol, "") if node is not None else ""
        deepdrr = node is not None and node.engine == "deepdrr"
        self.enable(
            self.ui.deepdrrPath,
            "" if deepdrr else _("Only for the engine deepdrr"),
            _("Program python of an environment that has DeepDRR (Linux, CUDA)"),
        )
        for name in ("sizeSpinBox", "spacingSpinBox", "protocolCombo", "acquisitionCombo", "engineCombo", "jobsSpinBox",
                     "scenesCheckBox", "phantomsSpinBox"):  # fmt: skip
            getattr(self.ui, name).enabled = not self.panel.busy
        self.enable(self.ui.checkEngineButton, self._noDeepDRR(), _("Take an X-ray of a bead, and say what is missing"))
        reason = self._missing()
        self.enable(self.ui.checkButton, reason, _("Count the scans and what is left out, and change nothing"))
        folder = node.dataFolder if node is not None else ""
        goes_on = isDataSet(folder) and not isFinished(folder)
        text = _("Resume") if goes_on else _("Prepare")
        self.showButton(text, reason or self._noDeepDRR(), _("Cut out the vertebrae and take their X-rays"))

    def begin(self) -> None:
        """Prepare the data set."""
        self.run(
            _("Preparing the data set"), commands.prepare(self._node, self.ui.deepdrrPath.currentPath), self._prepared
        )

    def onAddFolder(self) -> None:
        """Ask for a folder of scans."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder of a data set"))
        if folder:
            self._add(folder)

    def onAddPhantoms(self) -> None:
        """Add made-up spines, in place of those that are there."""
        others = [source for source in self._node.sources if not source.startswith("phantoms:")]
        self._node.sources = [*others, f"phantoms:{self.ui.phantomsSpinBox.value}"]
        self.panel.changed()

    def onTrial(self) -> None:
        """Set everything for a trial, in folders of its own."""
        for name, value in _TRIAL.items():
            setattr(self._node, name, value)
        for name in ("dataFolder", "runFolder", "evaluationFolder"):
            folder = Path(getattr(self._node, name))
            if folder.parent.name != "trial":
                setattr(self._node, name, str(folder.parent / "trial" / folder.name))
        self.panel.changed()

    def onRemove(self) -> None:
        """Remove the selected source."""
        row = self.ui.sourcesList.currentRow
        self._node.sources = [source for n, source in enumerate(self._node.sources) if n != row]
        self.panel.changed()

    def onMore(self, shown: bool) -> None:
        """Show or hide the engine and the like."""
        self.ui.moreFrame.setVisible(shown)
        self.ui.moreButton.arrowType = qt.Qt.DownArrow if shown else qt.Qt.RightArrow

    def onDeepDRR(self, path: str) -> None:
        """Another Python for DeepDRR."""
        slicer.app.userSettings().setValue(_DEEPDRR, path)
        self.panel.changed()

    def onCheck(self) -> None:
        """Count scans and exclusions."""
        arguments = commands.prepare(self._node, self.ui.deepdrrPath.currentPath)
        arguments.insert(1, "--dry-run")
        self.python.start(_("Checking the sources"), arguments, self._checked)

    def onCheckEngine(self) -> None:
        """See whether the X-ray engine works here."""
        arguments = commands.check_engine(self._node, self.ui.deepdrrPath.currentPath)
        self.python.start(_("Checking the X-ray engine"), arguments, self._engineChecked)

    def _add(self, source: str) -> None:
        if source not in self._node.sources:
            self._node.sources = [*self._node.sources, source]
        self.panel.changed()

    def _missing(self) -> str:
        if self._node is None:
            return _("There is no scene")
        if not self._node.sources:
            return _("Add a source first")
        return folderTrouble(self._node.dataFolder)

    def _noDeepDRR(self) -> str:
        if self._node is None:
            return _("There is no scene")
        missing = self._node.engine == "deepdrr" and not self.ui.deepdrrPath.currentPath
        return _("Name the Python that has DeepDRR first, under More") if missing else ""

    def _checked(self, end: dict[str, Any]) -> None:
        to_do = sum(end["to_do"].values())
        rows = [(_("to prepare"), source, str(count)) for source, count in end["to_do"].items()]
        rows += [(_("done already"), _("scans"), str(end["done"]))] if end["done"] else []
        rows += [(_("left out"), reason, str(count)) for reason, count in end["excluded"].items()]
        self._tabulate((_("What"), _("Source or reason"), _("Number")), rows)
        self.panel.say(
            _("{to_do} scans to prepare, {done} done already, {excluded} left out.").format(
                to_do=to_do, done=end["done"], excluded=sum(end["excluded"].values())
            )
        )

    def _prepared(self, end: dict[str, Any]) -> None:
        rows = [(part, source, str(n)) for source, parts in end["by_source"].items() for part, n in parts.items()]
        rows += [(_("patients for {split}").format(split=split), "", str(n)) for split, n in end["patients"].items()]
        rows += [(_("left out"), reason, str(count)) for reason, count in end["excluded"].items()]
        self._tabulate((_("What"), _("Source or reason"), _("Number")), rows)
        for section in self._following:
            section.widget.collapsed = False
        said = _("{vertebrae} vertebrae of {scans} scans are ready in {folder}.").format(
            vertebrae=end["vertebrae"], scans=end["scans"], folder=end["output"]
        )
        if end["failed"]:
            said += " " + _("{failed} scans failed: Prepare tries them again; manifest.csv has the reasons.").format(
                failed=end["failed"]
            )
        self.panel.say(said, "warning" if end["failed"] else "info")

    def _engineChecked(self, end: dict[str, Any]) -> None:
        if end.get("pieces"):
            rows = [(one["name"], one["found"] or _("nothing"), one["advice"] or "-") for one in end["pieces"]]
            self._tabulate((_("Piece"), _("Found"), _("What to do")), rows)
        if end["ready"]:
            self.panel.say(
                _("The engine {engine} works: a bead lies {error:.3f} pixels from its place.").format(
                    engine=end["engine"], error=end["error_px"]
                )
            )
        else:
            missing = [one["name"] for one in end["pieces"] if not one["there"]]
            self.panel.say(
                _("The engine {engine} cannot work here: {missing}. The table says what to do.").format(
                    engine=end["engine"], missing=", ".join(missing)
                ),
                "warning",
            )

    def _tabulate(self, heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        table = self.ui.resultTable
        table.setColumnCount(len(heading))
        table.setHorizontalHeaderLabels(list(heading))
        table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            for m, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(n, m, item)
        table.resizeColumnsToContents()
        table.resizeRowsToContents()
        table.setVisible(bool(rows))


def _readable(source: str) -> str:
    kind, _colon, count = source.partition(":")
    return _("{count} made-up spines (phantoms)").format(count=count) if kind == "phantoms" else source


def _angles() -> dict[str, str]:
    """What each of commands.ACQUISITIONS means; the tests compare the numbers."""
    return {
        "nominal": _("AP alpha 0°, lateral alpha 90°, beta 0°, SOD 1000 mm, SDD 1300 mm, no noise"),
        "paper": _("as nominal, alpha and beta each ±5°, 1 to 10 million photons per pixel"),
        "ours": _("alpha ±8°, beta ±5°, SOD 530 to 1600 mm, SDD 1.15 to 1.9 times that, off centre, three tubes"),
    }


def _protocols() -> dict[str, str]:
    return {
        "isolated": _("the vertebra alone, as in the paper"),
        "column": _("all vertebrae and nothing else"),
        "in-situ": _("everything in the CT, as a real X-ray; without a CT, a made-up body around the bones"),
    }
