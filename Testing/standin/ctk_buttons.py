"""ctk's buttons."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp

_HEADER_MARGIN = 10


def _fold(self: Any, checked: bool) -> None:
    """Show or hide what is inside."""
    self._d.busy = True
    for child in self.children():
        if not child.isWidgetType():
            continue
        if not checked:
            self._d.shown |= set() if child.isHidden() else {child}
            child.hide()
        elif child in self._d.shown:
            child.show()
    if checked:
        self._d.shown.clear()
    self._d.busy = False


def _watch_child(self: Any, event: QtCore.QChildEvent) -> None:
    if event.added() and event.child().isWidgetType():
        event.child().installEventFilter(self)


def _keep_folded(self: Any, child: Any, event: QtCore.QEvent) -> bool:
    """What is shown or hidden while collapsed takes effect when it is opened."""
    if not self._d.busy and not self.checked and event.type() == QtCore.QEvent.ShowToParent:
        self._d.shown.add(child)
        self._d.busy = True
        child.hide()
        self._d.busy = False
    elif not self._d.busy and not self.checked and event.type() == QtCore.QEvent.HideToParent:
        self._d.shown.discard(child)
    return False


class ctkCollapsibleButton(cpp.base("ctkCollapsibleButton")):
    """A bar that shows or hides what is laid out below it."""

    def _build(self) -> None:
        self._d.shown, self._d.busy = set(), False
        self.checkable = True
        self.checked = True
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(4, self._header_height(), 4, 4)
        self.connect("toggled(bool)", self._toggled)

    def _header_height(self) -> int:
        return self.fontMetrics().height() + _HEADER_MARGIN

    def _get_collapsed(self) -> bool:
        return not self.checked

    def _set_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    def _toggled(self, checked: bool) -> None:
        _fold(self, checked)
        self.setMaximumHeight(16777215 if checked else self._header_height() + 4)
        self.updateGeometry()
        cpp.emit(self, "contentsCollapsed(bool)", not checked)

    childEvent, eventFilter = _watch_child, _keep_folded

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._header_height()

    def paintEvent(self, _: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self._header_height())
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowUp if self.checked else QtWidgets.QStyle.PE_IndicatorArrowDown
        text = QtCore.QRect(option.rect)
        option.rect = QtCore.QRect(6, 6, 12, self._header_height() - 12)
        painter.drawPrimitive(arrow, option)
        painter.drawText(text.adjusted(24, 0, 0, 0), int(QtCore.Qt.AlignVCenter | QtCore.Qt.AlignLeft), self.text)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        inside = layout.totalSizeHint() if layout is not None and self.checked else QtCore.QSize(80, 0)
        return QtCore.QSize(inside.width(), max(inside.height(), self._header_height() + 4))


class ctkCollapsibleGroupBox(cpp.base("ctkCollapsibleGroupBox")):
    """A group box whose title opens and closes it."""

    def _build(self) -> None:
        self._d.shown, self._d.busy = set(), False
        self.checkable = True
        self.connect("toggled(bool)", self._toggled)

    def _get_collapsed(self) -> bool:
        return not self.checked

    def _set_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    def _toggled(self, checked: bool) -> None:
        _fold(self, checked)
        self.setMaximumHeight(16777215 if checked else self.fontMetrics().height() + self.collapsedHeight)

    childEvent, eventFilter = _watch_child, _keep_folded


class ctkPushButton(cpp.base("ctkPushButton")):
    """A push button whose text can be aligned."""


class ctkCheckablePushButton(cpp.base("ctkCheckablePushButton")):
    """A push button with a check box."""

    def _set_checkState(self, state: int) -> None:
        if self.checkBoxControlsButton:
            self.checkable = bool(state)
        cpp.emit(self, "checkBoxToggled(bool)", bool(state))
        cpp.emit(self, "checkStateChanged(Qt::CheckState)", state)


class ctkMenuButton(cpp.base("ctkMenuButton")):
    """A push button with a menu beside it."""


class ctkCheckBox(cpp.base("ctkCheckBox")):
    """A check box with an icon of its own."""


class ctkColorPickerButton(cpp.base("ctkColorPickerButton")):
    """A button that shows a colour."""

    def _build(self) -> None:
        self._d.values["color"] = QtGui.QColor(0, 0, 0)
        self.connect("clicked()", self.changeColor)
        self._show()

    def _set_color(self, color: QtGui.QColor) -> None:
        self._show()
        cpp.emit(self, "colorChanged(QColor)", color)

    def _set_colorName(self, name: str) -> None:
        self._show()
        cpp.emit(self, "colorNameChanged(QString)", name)

    def _set_displayColorName(self, _: bool) -> None:
        self._show()

    def changeColor(self) -> None:
        color = QtWidgets.QColorDialog.getColor(self.color, self)
        if color.isValid():
            self.setColor(color)

    def _show(self) -> None:
        values = self._d.values
        swatch = QtGui.QPixmap(16, 16)
        swatch.fill(values["color"])
        self.setIcon(QtGui.QIcon(swatch))
        if values["displayColorName"]:
            self.setText(values["colorName"] or values["color"].name())
