"""The one thing that a file does not say, asked for in the panel itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..errors import RadiographError

Paths = Mapping[str, Path]
Facts = Mapping[str, Mapping[str, Any]]


class Question:
    """Shows one question and hands the files on with its answer."""

    def __init__(self, ui: Any, onAnswer: Callable[[Paths, Facts], None]) -> None:
        self._ui, self._onAnswer = ui, onAnswer
        self._asked: tuple[Paths, Facts, str, str] | None = None
        ui.questionContinueButton.connect("clicked()", self._continue)
        ui.questionCancelButton.connect("clicked()", self.hide)
        ui.questionSpinBox.connect("valueChanged(double)", self._onValue)
        self.hide()

    def ask(self, paths: Paths, facts: Facts, role: str, error: RadiographError) -> None:
        """Show the question about the file of a role. error: the one that says what it asks for."""
        fact = error.asks
        self._asked = (paths, facts, role, fact)
        text, choices = _questions()[fact]
        spin, combo = self._ui.questionSpinBox, self._ui.questionComboBox
        self._ui.questionLabel.text = text.format(name=paths[role].name, cause=error.cause)
        spin.setVisible(not choices)
        combo.setVisible(bool(choices))
        combo.clear()
        for label, answer in choices:
            combo.addItem(label, answer)
        if fact == "pixel_mm":
            spin.setRange(0.0, 20.0)
            spin.decimals, spin.suffix, spin.singleStep = 4, " mm", 0.01
        else:
            spin.setRange(-180.0, 180.0)
            spin.decimals, spin.suffix, spin.singleStep = 1, " °", 1.0
        spin.value = 0.0
        self._onValue(0.0)
        self._ui.questionFrame.setVisible(True)

    def hide(self) -> None:
        """Ask nothing any more."""
        self._asked = None
        self._ui.questionFrame.setVisible(False)

    def _onValue(self, value: float) -> None:
        missing = self._asked is not None and self._asked[3] == "pixel_mm" and value <= 0
        self._ui.questionContinueButton.enabled = not missing
        self._ui.questionContinueButton.toolTip = _("Give the size first") if missing else _("Open the file")

    def _continue(self) -> None:
        if self._asked is None:
            return
        paths, facts, role, fact = self._asked
        isChoice = bool(_questions()[fact][1])
        answer = self._ui.questionComboBox.currentData if isChoice else self._ui.questionSpinBox.value
        self._onAnswer(paths, {**facts, role: {**facts[role], fact: answer}})


def _questions() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Fact -> question and choices; none for a number."""
    return {
        "pixel_mm": (_("{name} does not say how large a pixel is on the detector. Width of one pixel:"), []),
        "bone": (
            _("{name} does not say whether bone is bright or dark. In the picture as a viewer shows it, bone is:"),
            [(_("bright"), "bright"), (_("dark"), "dark")],
        ),
        "alpha_deg": (
            _("{name}: {cause}. Unless AP and lateral are swapped, rotation of the beam (0 is AP, 90 a left lateral):"),
            [],
        ),
        "patient_orientation": (
            _("{name}: {cause}. Unless AP and lateral are swapped, the right edge of the picture shows the patient's:"),
            [
                (_("left side"), "L/F"),
                (_("right side"), "R/F"),
                (_("front"), "A/F"),
                (_("back"), "P/F"),
            ],
        ),
    }
