"""Section 2: a look at one vertebra of the prepared data set."""

from __future__ import annotations

from pathlib import Path

import slicer
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.panel import views
from EARReconstructionLib.panel.host import Panel
from EARReconstructionLib.panel.section import Section
from EARReconstructionLib.scene.layout import RadiographViews
from slicer.i18n import tr as _

from ..datasets.manifest import Row
from ..datasets.prepared import PreparedDataset
from .preview import remove_vertebra, show_in_slices, show_vertebra, shown_vertebra
from .work import isFinished


class LookSection(Section):
    """Shows volume, segmentation and both X-rays in the views."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "EARTrainingLook", _("2. Look"))
        self.widget.collapsed = True
        self._views = RadiographViews(panel.scene)
        self._dataset: PreparedDataset | None = None
        self._trouble = ""
        self._read: tuple[str, float] = ("", 0.0)
        self._ids: list[str] = []
        self.ui.vertebraCombo.connect("activated(int)", self.onChosen)
        self.ui.showButton.connect("clicked()", self.onShow)
        self.ui.nextButton.connect("clicked()", self.onNext)
        self.ui.removeButton.connect("clicked()", self.onRemove)

    def refresh(self) -> None:
        """See Section."""
        trouble = self._open()
        ids = [row.id for row in self._dataset.rows] if self._dataset else []
        if ids != self._ids:
            self._ids = ids
            self.ui.vertebraCombo.clear()
            for one in self._dataset.rows if self._dataset else ():
                self.ui.vertebraCombo.addItem(_("{id} ({split})").format(id=one.id, split=one.split))
        if self._node is not None and ids:
            if self._node.vertebra not in ids:
                self._node.vertebra = ids[0]
            self.ui.vertebraCombo.setCurrentIndex(ids.index(self._node.vertebra))
        row = self._row()
        self.ui.factsLabel.text = _facts(row) if row else trouble
        self.enable(self.ui.vertebraCombo, trouble, _("A vertebra of the data set, and the split that it is in"))
        self.enable(self.ui.showButton, trouble, _("Volume, segmentation and both X-rays in the views"))
        last = trouble or (_("This is the last one") if ids and row and row.id == ids[-1] else "")
        self.enable(self.ui.nextButton, last, _("The next vertebra of the data set"))
        shown = shown_vertebra(self.panel.scene)
        self.enable(
            self.ui.removeButton, "" if shown else _("Nothing is shown"), _("Take it out of the scene; the files stay")
        )

    def cleanup(self) -> None:
        """See Section."""
        self._views.close()
        super().cleanup()

    def onChosen(self, index: int) -> None:
        """Another vertebra."""
        self._node.vertebra = self._ids[index]
        self.panel.changed()

    def onShow(self) -> None:
        """Show the chosen vertebra."""
        with self.panel.attempt(_("Showing the vertebra")):
            row = self._row()
            if self._dataset is None or row is None:
                return
            views.show_xrays_and_spine()
            volume = show_vertebra(self.panel.scene, self._dataset, row)
            self._views.fit()
            show_in_slices(self.panel.scene, volume)
            _focus()
            self.panel.say(_("{id} is in the views.").format(id=row.id))

    def onNext(self) -> None:
        """Show the next one."""
        self._node.vertebra = self._ids[self._ids.index(self._node.vertebra) + 1]
        self.onShow()

    def onRemove(self) -> None:
        """Take it out of the scene."""
        with self.panel.attempt(_("Removing the vertebra")):
            remove_vertebra(self.panel.scene)

    def _open(self) -> str:
        """Read the manifest when it is a new one; why there is nothing to look at, empty when there is."""
        folder = self._node.dataFolder if self._node is not None else ""
        if not isFinished(folder):
            self._dataset, self._read = None, ("", 0.0)
            return _("Prepare a data set first, or choose the folder of one in step 1")
        now = (folder, (Path(folder) / "manifest.csv").stat().st_mtime)
        if now != self._read:
            self._read, self._dataset, self._trouble = now, None, ""
            try:
                self._dataset = PreparedDataset.open(folder)
            except EARError as error:
                self._trouble = str(error)
        return self._trouble

    def _row(self) -> Row | None:
        wanted = self._node.vertebra if self._node is not None else ""
        return next((row for row in self._dataset.rows if row.id == wanted), None) if self._dataset else None


def _focus() -> None:
    """Look at what is there; without a main window nothing happens."""
    manager = slicer.app.layoutManager()
    for n in range(manager.threeDViewCount if manager is not None else 0):
        manager.threeDWidget(n).threeDView().resetFocalPoint()


def _facts(row: Row) -> str:
    """Level, patient and X-rays of a vertebra, in one or two lines."""
    said = _("{level} of {patient} ({source}), for {split}").format(
        level=row.level, patient=row.patient, source=row.source, split=row.split or _("no split")
    )
    if row.sod_mm is not None:
        text = _(
            "AP {alpha1_deg:.1f}°/{beta1_deg:.1f}°, lateral {alpha2_deg:.1f}°/{beta2_deg:.1f}°, SOD {sod_mm:.0f} mm"
        )
        said += "; " + text.format(**row.to_dict())
    return said
