"""Section 1: both X-rays, where they come from, how they are shown, and their geometry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import RadiographError
from ..radiograph import ROLES
from ..scene.layout import RadiographViews
from ..scene.loading import load_radiographs, path_of_volume, role_of
from ..scene.nodes import KIND
from ..scene.radiographs import is_bone_white, path_and_notes, radiograph_nodes, set_bone_white
from . import settings
from .host import Panel
from .section import Section
from .views import show_xrays_and_spine
from .xray_contrast import Contrast
from .xray_geometry import Geometry
from .xray_question import Question


class XRaysSection(Section):
    """Opens the radiographs and shows what is known of them. logic: the module's."""

    def __init__(self, panel: Panel, logic: Any) -> None:
        super().__init__(panel, "EARReconstructionXRays", _("1. X-rays"))
        self._logic = logic
        self._views: RadiographViews | None = None
        self._shown: object = None
        self._selectors = {"frontal": self.ui.frontalSelector, "lateral": self.ui.lateralSelector}
        self._openers = {"frontal": self.ui.openFrontalButton, "lateral": self.ui.openLateralButton}
        self._question = Question(self.ui, self._onAnswer)
        self._geometry = Geometry(panel, self)
        self._contrast = Contrast(self)
        self.ui.sampleButton.connect("clicked()", self.showSampleCase)
        self.ui.openBothButton.connect("clicked()", self.openBoth)
        self.ui.fitButton.connect("clicked()", self.showViews)
        for role in ROLES:
            self._openers[role].connect("clicked()", lambda role=role: self.open(role))
            self._selectors[role].connect("activated(int)", lambda index, role=role: self._onSelected(role, index))

    @staticmethod
    def title(role: str) -> str:
        """What people call the radiograph of a role."""
        return {"frontal": _("AP"), "lateral": _("Lateral")}[role]

    def setParameterNode(self, node: Any) -> None:
        """The views are kept as long as there is a scene with parameters."""
        super().setParameterNode(node)
        if self._views is not None:
            self._views.close()
        self._views = None if node is None else RadiographViews(self.panel.scene)
        self._shown = None
        self._question.hide()

    # -- opening

    def showSampleCase(self) -> None:
        """Show the case that comes with the module."""
        with self.panel.attempt(_("Opening the sample case")) as outcome, slicer.util.WaitCursor():
            self._logic.showSampleCase()
        if outcome.ok:
            self._question.hide()
            self.showViews()
            self.panel.say(_("This is the sample case, a phantom. Its vertebrae are marked: rebuild them in step 3."))

    def open(self, role: str) -> None:
        """Ask for the file of one radiograph and show it."""
        title = _("Open the {view} X-ray").format(view=self.title(role))
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, settings.value("LastFolder"), _filter())
        if path:
            self.load({role: Path(path)})

    def openBoth(self) -> None:
        """Ask for two files at once, tell AP from lateral, and show them."""
        title = _("Open the AP and the lateral X-ray: choose two files")
        chosen = qt.QFileDialog.getOpenFileNames(
            slicer.util.mainWindow(), title, settings.value("LastFolder"), _filter()
        )
        if not chosen:
            return
        if len(chosen) != 2:
            self.panel.say(_("Choose two files, the AP and the lateral X-ray, or open them one by one."), "warning")
            return
        paths = [Path(name) for name in chosen]
        with slicer.util.WaitCursor():
            first, second = (role_of(path) for path in paths)
        if second == "frontal" or first == "lateral":
            paths.reverse()
        unsure = first is None and second is None
        if self.load(dict(zip(ROLES, paths, strict=True))) and unsure:
            text = _(
                "Nothing in the files says which is which: {name} was taken as AP. If it is not, open each by hand."
            )
            self.panel.say(text.format(name=paths[0].name), "warning")

    def load(self, paths: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]] | None = None) -> bool:
        """Show the radiographs of files by role, and ask in the panel for what a file does not say.

        facts: what was answered so far, by role. Returns whether they are shown now.
        """
        self._question.hide()
        settings.setValue("LastFolder", str(next(iter(paths.values())).parent))
        given = {role: dict((facts or {}).get(role, {})) for role in paths}
        asked = False
        with self.panel.attempt(_("Opening the X-rays")) as outcome, slicer.util.WaitCursor():
            try:
                load_radiographs(self.panel.scene, paths, preset=self.panel.parameterNode.geometryPreset, facts=given)
            except RadiographError as error:
                role = next((role for role, path in paths.items() if str(path) == error.subject), None)
                if role is None or not error.asks or error.asks in given[role]:
                    raise
                self._question.ask(paths, given, role, error)
                asked = True
        if not outcome.ok or asked:
            return False
        self.showViews()
        return True

    def _onAnswer(self, paths: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]]) -> None:
        self.load(paths, facts)

    def _onSelected(self, role: str, index: int) -> None:
        node = self.panel.scene.GetNodeByID(self._selectors[role].itemData(index) or "")
        if node is None or node is radiograph_nodes(self.panel.scene).get(role):
            return
        with self.panel.attempt(_("Opening the X-rays")) as outcome:
            path = path_of_volume(node, _file_of_instance)
        if outcome.ok:
            self.load({role: path})
        self._selectors[role].currentIndex = 0
        self.panel.changed()

    # -- showing

    def showViews(self) -> None:
        """Bring up our views, and show each radiograph whole."""
        show_xrays_and_spine()
        # Views that appear now get their size when the window is laid out.
        qt.QTimer.singleShot(0, self._fit)

    def _fit(self) -> None:
        if self._views is not None:
            self._views.fit()
            manager = slicer.app.layoutManager()
            if manager is not None:
                manager.resetThreeDViews()

    def refresh(self) -> None:
        """Follow the scene."""
        nodes, parameters = radiograph_nodes(self.panel.scene), self.panel.parameterNode
        self.ui.hintLabel.setVisible(not nodes)
        self.ui.openBothButton.default = not nodes
        self.enable(
            self.ui.openBothButton, "", _("Choose two files; AP and lateral are told apart by their tags or names")
        )
        self.enable(self.ui.sampleButton, "", _("Show the case that comes with this module, in place of what is open"))
        self.enable(self.ui.fitButton, "" if nodes else _("Open an X-ray first"), _("Show the views of this module"))
        for role in ROLES:
            self.enable(self._openers[role], "", _("Open a file: DICOM, PNG, TIFF, NRRD, MetaImage or NIfTI"))
            self._fillSelector(role, nodes.get(role))
        for box in (self.ui.boneWhiteCheckBox, self.ui.showIn3DCheckBox):
            box.enabled = bool(nodes)
        if parameters is not None and self._views is not None:
            for node in nodes.values():
                if is_bone_white(node) != parameters.boneWhite:
                    set_bone_white(node, parameters.boneWhite)
            shown = (parameters.showXraysIn3D, *nodes.values())
            if shown != self._shown:  # else the eye in a view's bar could not be used
                self._shown = shown
                self._views.show_in_3d(parameters.showXraysIn3D)
        self._geometry.refresh(nodes)
        self._contrast.refresh(nodes)

    def _fillSelector(self, role: str, current: Any) -> None:
        """First the radiograph of the role, then the flat images that are in the scene."""
        selector = self._selectors[role]
        path = path_and_notes(current)[0] if current else None
        items = [(path.name if path else _("not loaded"), current.GetID() if current else "")]
        items += [(node.GetName() or "", node.GetID()) for node in _flat_images(self.panel.scene)]
        if items != [(selector.itemText(n), selector.itemData(n)) for n in range(selector.count)]:
            selector.clear()
            for text, data in items:
                selector.addItem(text, data)
        selector.currentIndex = 0
        tip = _("Choose an image that 3D Slicer has loaded, or open a file")
        self.enable(selector, "", str(path) if path else tip)


def _flat_images(scene: Any) -> list[Any]:
    """Volumes of others, one pixel thick."""
    return [
        node
        for node in list(scene.GetNodes())
        if node.GetClassName() == "vtkMRMLScalarVolumeNode"
        and node.GetAttribute(KIND) is None
        and not node.GetHideFromEditors()
        and node.GetImageData() is not None
        and min(node.GetImageData().GetDimensions()) == 1
    ]


def _file_of_instance(uid: str) -> str:
    database = getattr(slicer, "dicomDatabase", None)  # there is none without the DICOM module
    return str(database.fileForInstance(uid) or "") if database is not None else ""


def _filter() -> str:
    """DICOM files often have no ending, and the kind of a file is told by its content."""
    return _("X-rays: DICOM, PNG, TIFF, NRRD, MetaImage, NIfTI") + " (*)"
