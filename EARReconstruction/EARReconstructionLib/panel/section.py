"""One collapsible part of a panel, with a .ui file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctk
import qt
import slicer
from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName

if TYPE_CHECKING:
    from .host import Panel


class Section:
    """What the sections of a panel have in common. Panel.add calls setParameterNode and refresh from then on.

    panel: the panel it belongs to. uiName: of its .ui file, without the ending. title: on its bar.
    """

    def __init__(self, panel: Panel, uiName: str, title: str) -> None:
        self.panel = panel
        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = title
        self.widget.objectName = uiName + "Section"
        content = slicer.util.loadUI(panel.widget.resourcePath(f"UI/{uiName}.ui"))
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(content)
        content.setMRMLScene(slicer.mrmlScene)
        #: The widgets of the .ui file by their names.
        self.ui: Any = slicer.util.childWidgetVariables(content)
        self._node: Any = None
        self._tag: int | None = None

    def setParameterNode(self, node: Any) -> None:
        """Bind the widgets that have a SlicerParameterName to a parameter node; None lets go of the last one."""
        if self._node is not None:
            self._node.disconnectGui(self._tag)
        self._node = node
        if node is not None:
            named = {each.property(SlicerParameterNamePropertyName): each for each in vars(self.ui).values()}
            # connectGui would do the same, but keeps the tag to itself: nothing could be disconnected again.
            self._tag = node.connectParametersToGui({name: each for name, each in named.items() if name})

    def refresh(self) -> None:
        """Set what depends on the scene and on the panel: texts, what is enabled, and tool tips that say why not."""

    def cleanup(self) -> None:
        """The panel goes: close what listens to the scene."""
        self.setParameterNode(None)

    def enable(self, widget: Any, reason: str, toolTip: str) -> None:
        """Enable a widget when there is no reason against it. Its tool tip is the reason, else ``toolTip``.

        While the panel works, nothing of what changes the scene is enabled.
        """
        reason = self.panel.busyReason or reason
        widget.enabled = not reason
        widget.toolTip = reason or toolTip
