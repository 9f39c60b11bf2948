"""Grey values of each X-ray that are shown as black and as white."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..radiograph import ROLES

if TYPE_CHECKING:
    from .section import Section

#: Steps over all grey values of an image.
_STEPS = 500


class Contrast:
    """One range for each X-ray, in the section of the X-rays."""

    def __init__(self, section: Section) -> None:
        self._section, self._filling = section, False
        self._ranges = {role: getattr(section.ui, f"{role}ContrastWidget") for role in ROLES}
        self._nodes: Mapping[str, Any] = {}
        for role, widget in self._ranges.items():
            widget.connect("valuesChanged(double,double)", lambda low, high, role=role: self._onRange(role, low, high))

    def refresh(self, nodes: Mapping[str, Any]) -> None:
        """Show what the displays of the radiographs have."""
        self._nodes = nodes
        self._filling = True
        try:
            for role, widget in self._ranges.items():
                node = nodes.get(role)
                widget.enabled = node is not None
                widget.toolTip = _("Grey values shown as black and as white") if node else _("Open this X-ray first")
                if node is not None:
                    low, high = node.GetImageData().GetScalarRange()
                    display = node.GetDisplayNode()
                    widget.singleStep = (high - low) / _STEPS
                    # The range first, or it would cut the values.
                    widget.setRange(min(low, display.GetWindowLevelMin()), max(high, display.GetWindowLevelMax()))
                    widget.setValues(display.GetWindowLevelMin(), display.GetWindowLevelMax())
        finally:
            self._filling = False

    def _onRange(self, role: str, low: float, high: float) -> None:
        if not self._filling and role in self._nodes and high > low:
            self._nodes[role].GetDisplayNode().SetWindowLevelMinMax(low, high)
