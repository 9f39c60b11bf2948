"""Distances and angles of both X-rays: shown in a line each, and set by a preset or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..geometry.biplanar import PRESETS
from ..radiograph import ROLES
from ..scene.loading import CASE, IMAGE, MANUAL, STATED, distances_source, set_angles, set_distances, set_preset
from ..scene.radiographs import path_and_notes, view_of
from .host import Panel

if TYPE_CHECKING:
    from .section import Section

#: Number in the panel -> field of a View.
_FIELDS = {"Sod": "sod_mm", "Sdd": "sdd_mm", "Alpha": "alpha_deg", "Beta": "beta_deg"}


class Geometry:
    """The geometry lines and the group with the numbers, in the section of the X-rays."""

    def __init__(self, panel: Panel, section: Section) -> None:
        self._panel, self._section, self._ui = panel, section, section.ui
        self._filling = False
        self._spins = {
            role: {field: getattr(self._ui, f"{role}{name}SpinBox") for name, field in _FIELDS.items()}
            for role in ROLES
        }
        for role, spins in self._spins.items():
            for field, spin in spins.items():
                spin.connect("valueChanged(double)", lambda value, role=role, field=field: self._onNumber(role, field))
        self._ui.presetComboBox.connect("activated(int)", self._onPreset)
        for role in self._spins:
            label = getattr(self._ui, f"{role}GeometryLabel")
            label.connect("linkActivated(QString)", lambda _link, role=role: self._sayNotes(role))
        self._nodes: Mapping[str, Any] = {}

    def refresh(self, nodes: Mapping[str, Any]) -> None:
        """Show the geometry of the radiographs by role."""
        self._nodes = nodes
        self._filling = True
        try:
            self._fillPresets()
            for role, spins in self._spins.items():
                node = nodes.get(role)
                label = getattr(self._ui, f"{role}GeometryLabel")
                label.setVisible(node is not None)
                label.text = _line(node) if node else ""
                label.toolTip = "\n".join(path_and_notes(node)[1]) if node else ""
                for field, spin in spins.items():
                    tip = _tips()[field]
                    self._section.enable(spin, "" if node else _("Open this X-ray first"), tip)
                    if node is not None:
                        spin.value = getattr(view_of(node), field)
        finally:
            self._filling = False

    def _fillPresets(self) -> None:
        combo, nodes = self._ui.presetComboBox, self._nodes.values()
        sources = {distances_source(node) for node in nodes}
        current = sources.pop() if len(sources) == 1 else MANUAL if sources else self._preset()
        names = [*PRESETS]
        names = ([IMAGE] if any(node.GetAttribute(STATED) for node in nodes) else []) + names
        names += [] if current in names else [current]
        if names != [combo.itemData(n) for n in range(combo.count)]:
            combo.clear()
            for name in names:
                combo.addItem(_preset_label(name), name)
        combo.currentIndex = names.index(current)
        tip = _("Typical distances of the devices they name, for images that do not state theirs")
        self._section.enable(combo, "", tip)

    def _preset(self) -> str:
        parameters = self._panel.parameterNode
        return parameters.geometryPreset if parameters is not None else "default"

    def _onPreset(self, index: int) -> None:
        name = self._ui.presetComboBox.itemData(index)
        with self._panel.attempt(_("Setting the distances")):
            if name in PRESETS:
                self._panel.parameterNode.geometryPreset = name
            if self._nodes and name in (*PRESETS, IMAGE):
                set_preset(self._panel.scene, name)

    def _onNumber(self, role: str, field: str) -> None:
        if self._filling:
            return
        values = {name: spin.value for name, spin in self._spins[role].items()}
        with self._panel.attempt(_("Setting the geometry")):
            if field in ("sod_mm", "sdd_mm"):
                set_distances(self._panel.scene, role, values["sod_mm"], values["sdd_mm"])
            else:
                set_angles(self._panel.scene, role, values["alpha_deg"], values["beta_deg"])

    def _sayNotes(self, role: str) -> None:
        if role in self._nodes:
            _path, notes = path_and_notes(self._nodes[role])
            self._panel.say("\n".join(f"{note[:1].upper()}{note[1:]}." for note in notes))


def _line(node: Any) -> str:
    """ "SOD 1000 mm, SDD 1300 mm, 0°, from the image", with a link to what was assumed."""
    view, (_path, notes) = view_of(node), path_and_notes(node)
    angle = f"{view.alpha_deg:g}°" + (f" / {view.beta_deg:+g}°" if view.beta_deg else "")
    text = _("SOD {sod:.0f} mm, SDD {sdd:.0f} mm, {angle} ({source})").format(
        sod=view.sod_mm, sdd=view.sdd_mm, angle=angle, source=_source_label(distances_source(node))
    )
    if not notes:
        return text
    return _('{text}. <a href="notes">{count} assumed</a>').format(text=text, count=len(notes))


def _source_label(source: str) -> str:
    texts = {IMAGE: _("from the image"), MANUAL: _("set by hand"), CASE: _("from the case")}
    return texts.get(source) or _("preset: {name}").format(name=_preset_names().get(source, source))


def _preset_label(name: str) -> str:
    texts = {IMAGE: _("As the images state"), MANUAL: _("Set by hand"), CASE: _("As the case states")}
    if name not in PRESETS:
        return texts.get(name, name)
    sod, sdd = PRESETS[name]
    return _("{label} {sod:.0f} / {sdd:.0f} mm").format(label=_preset_names()[name], sod=sod, sdd=sdd)


def _preset_names() -> dict[str, str]:
    return {"default": _("Default"), "c-arm": _("C-arm"), "long-film": _("Long film")}


def _tips() -> dict[str, str]:
    return {
        "sod_mm": _("Distance from the X-ray source to the middle of the patient (SOD)"),
        "sdd_mm": _("Distance from the X-ray source to the detector (SDD)"),
        "alpha_deg": _("Rotation of the beam about the patient's long axis: 0 is AP, 90 a left lateral"),
        "beta_deg": _("Tilt of the beam towards the head"),
    }
