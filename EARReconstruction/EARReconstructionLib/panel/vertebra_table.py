"""The list of vertebrae: shown or not, level with its colour, and what to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..colours import level_colour

#: More rows than this are scrolled to.
_VISIBLE_ROWS = 9

_LEVEL, _NOTE = 0, 1


class VertebraTable:
    """Fills a QTableWidget and tells what the user does in it, never what the program does.

    onSelect: told the level of a row that the user selects. onVisible: told level and whether it is shown.
    """

    def __init__(self, table: Any, onSelect: Callable[[str], None], onVisible: Callable[[str, bool], None]) -> None:
        self._table, self._onSelect, self._onVisible = table, onSelect, onVisible
        self._levels: list[str] = []
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Vertebra"), _("Look at")])
        table.horizontalHeader().setSectionResizeMode(_NOTE, qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.connect("itemSelectionChanged()", self._onSelection)
        table.connect("cellChanged(int,int)", self._onCell)

    def selected(self) -> list[str]:
        """The levels of the selected rows, from head to foot."""
        rows = {index.row() for index in self._table.selectionModel().selectedRows()}
        return [level for row, level in enumerate(self._levels) if row in rows]

    def fill(self, rows: Mapping[str, bool], notes: Mapping[str, Sequence[str]], selected: str) -> None:
        """rows: level -> whether it is shown, from head to foot. notes: level -> sentences on it."""
        table = self._table
        table.blockSignals(True)
        try:
            if list(rows) != self._levels:
                self._levels = list(rows)
                table.setRowCount(len(rows))
                for row, level in enumerate(rows):
                    self._make(row, level)
                self._fit()
            for row, (level, visible) in enumerate(rows.items()):
                table.item(row, _LEVEL).setCheckState(qt.Qt.Checked if visible else qt.Qt.Unchecked)
                sentences = notes.get(level, ())
                note = table.item(row, _NOTE)
                note.setText(sentences[0] if sentences else "")
                note.setToolTip("\n".join(sentences))
                note.setIcon(self._warning() if sentences else qt.QIcon())
            if selected not in self.selected():
                table.clearSelection()
                if selected in self._levels:
                    table.selectRow(self._levels.index(selected))
        finally:
            table.blockSignals(False)

    def _make(self, row: int, level: str) -> None:
        item = qt.QTableWidgetItem(level)
        item.setIcon(_swatch(level))
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        item.setToolTip(_("Tick to show the box of {level}").format(level=level))
        self._table.setItem(row, _LEVEL, item)
        self._table.setItem(row, _NOTE, qt.QTableWidgetItem())

    def _fit(self) -> None:
        """As high as its rows, up to a limit."""
        table, rows = self._table, min(len(self._levels), _VISIBLE_ROWS)
        height = table.horizontalHeader().sizeHint.height() + rows * table.verticalHeader().defaultSectionSize
        table.setFixedHeight(height + 2 * table.frameWidth)

    def _warning(self) -> Any:
        return self._table.style().standardIcon(qt.QStyle.SP_MessageBoxWarning)

    def _onSelection(self) -> None:
        chosen = self.selected()
        if chosen:
            self._onSelect(chosen[0])

    def _onCell(self, row: int, column: int) -> None:
        if column == _LEVEL:
            self._onVisible(self._levels[row], self._table.item(row, _LEVEL).checkState() == qt.Qt.Checked)


def _swatch(level: str) -> Any:
    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor.fromRgbF(*level_colour(level)))
    return qt.QIcon(pixmap)
