"""ctk's widgets to choose a path or an item, and its message box."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp


class ctkPathLineEdit(cpp.base("ctkPathLineEdit")):
    """A line for a path, with a button that opens a file dialog."""

    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x001, 0x002, 0x004, 0x008, 0x007
    Readable, Writable, Executable, Modified, Hidden, System = 0x010, 0x020, 0x040, 0x080, 0x100, 0x200
    NoDotAndDotDot, NoDot, NoDotDot, NoFilter = 0x1000, 0x2000, 0x4000, -1
    ShowDirsOnly, DontConfirmOverwrite, ReadOnly = 0x01, 0x04, 0x20
    AdjustToContents, AdjustToContentsOnFirstShow, AdjustToMinimumContentsLength = 0, 1, 2

    def _build(self) -> None:
        self._d.combo, self._d.button = QtWidgets.QComboBox(), QtWidgets.QToolButton()
        self._d.combo.editable = True
        self._d.combo.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._d.combo.minimumContentsLength = 12
        self._d.button.text = "..."
        self._d.valid = False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.combo)
        layout.addWidget(self._d.button)
        self._d.combo.connect("editTextChanged(QString)", self._changed)
        self._d.button.connect("clicked()", self.browse)

    def _changed(self, path: str) -> None:
        valid = Path(path).exists() if path else False
        if valid != self._d.valid:
            self._d.valid = valid
            cpp.emit(self, "validInputChanged(bool)", valid)
        cpp.emit(self, "currentPathChanged(QString)", path)

    def _get_currentPath(self) -> str:
        return self._d.combo.currentText

    def _set_currentPath(self, path: str) -> None:
        self._d.combo.setEditText(path)

    def _set_showBrowseButton(self, visible: bool) -> None:
        self._d.button.setVisible(visible)

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._d.combo

    def browse(self) -> None:
        filters = ";;".join(self._d.values["nameFilters"])
        ask: Any = QtWidgets.QFileDialog.getOpenFileName
        arguments: tuple[Any, ...] = (self, self.label or "Select a file", self.currentPath, filters)
        if not self.filters & self.Files:
            ask, arguments = QtWidgets.QFileDialog.getExistingDirectory, arguments[:3]
        elif self.filters & self.Writable:
            ask = QtWidgets.QFileDialog.getSaveFileName
        path = ask(*arguments)
        if path:
            self.setCurrentPath(path)

    def _key(self) -> str:
        return f"ctkPathLineEdit/{self.settingKey or self.objectName}"

    def retrieveHistory(self) -> None:
        kept = QtCore.QSettings().value(self._key()) or []
        current = self.currentPath
        self._d.combo.clear()
        self._d.combo.addItems([kept] if isinstance(kept, str) else list(kept))
        self._d.combo.setEditText(current)

    def addCurrentPathToHistory(self) -> None:
        if self.currentPath:
            kept = QtCore.QSettings().value(self._key()) or []
            others = [path for path in ([kept] if isinstance(kept, str) else kept) if path != self.currentPath]
            QtCore.QSettings().setValue(self._key(), [self.currentPath, *others])


class ctkDirectoryButton(cpp.base("ctkDirectoryButton")):
    """A button that shows a folder and opens a dialog to choose another."""

    def _build(self) -> None:
        self._d.values.update(directory=QtCore.QDir.currentPath(), icon=QtGui.QIcon())
        self._d.button = QtWidgets.QPushButton(self._d.values["directory"])
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.button)
        self._d.button.connect("clicked()", self.browse)

    def _set_directory(self, path: str) -> None:
        changed = path != self._d.button.text
        self._d.button.text = self.text or path
        cpp.emit(self, "directorySelected(QString)", path)
        if changed:
            cpp.emit(self, "directoryChanged(QString)", path)

    def _set_text(self, text: str) -> None:
        self._d.button.text = text or self.directory

    def browse(self) -> str:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption, self.directory)
        if path:
            self.directory = path
        return path


class ctkComboBox(cpp.base("ctkComboBox")):
    """A combo box with a text for no choice."""

    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = 0, 1, 2, 3

    def _set_defaultText(self, text: str) -> None:
        self.setPlaceholderText(text)
        cpp.emit(self, "defaultTextChanged(QString)", text)

    def _get_currentUserDataAsString(self) -> str:
        return str(self.currentData or "")

    def _set_currentUserDataAsString(self, data: str) -> None:
        self.setCurrentIndex(self.findData(data))
        cpp.emit(self, "currentUserDataAsStringChanged(QString)", data)


class ctkCheckableComboBox(cpp.base("ctkCheckableComboBox")):
    """A combo box whose items can be checked."""

    def _build(self) -> None:
        self.model().dataChanged.connect(lambda: cpp.emit(self, "checkedIndexesChanged()"))

    def _indexes(self) -> list[Any]:
        return [self.model().index(row, 0) for row in range(self.count)]

    def checkState(self, index: Any) -> Any:
        return QtCore.Qt.CheckState(index.data(QtCore.Qt.ItemDataRole.CheckStateRole) or 0)

    def setCheckState(self, index: Any, state: Any) -> None:
        self.model().setData(index, int(state), int(QtCore.Qt.ItemDataRole.CheckStateRole))

    def checkedIndexes(self) -> tuple[Any, ...]:
        return tuple(index for index in self._indexes() if self.checkState(index) == QtCore.Qt.CheckState.Checked)

    def allChecked(self) -> bool:
        return len(self.checkedIndexes()) == self.count

    def noneChecked(self) -> bool:
        return not self.checkedIndexes()


class ctkMessageBox(cpp.base("ctkMessageBox")):
    """A message box that can be told not to come again."""
