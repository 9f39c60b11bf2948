"""Slicer's views of tables, segments and the subject hierarchy."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from . import cpp, mrml_widget  # noqa: F401  (the base of a widget here)
from .observing import Observers

_ID = int(QtCore.Qt.ItemDataRole.UserRole)


class qMRMLTableView(cpp.base("qMRMLTableView")):
    """A table node as a spreadsheet, to be read; its first row is the columns' names."""

    def _build(self) -> None:
        self._d.scene, self._d.node, self._d.observers = None, None, Observers(self)
        self._d.model = QtGui.QStandardItemModel()
        self.setModel(self._d.model)

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene = scene
        cpp.emit(self, "mrmlSceneChanged(vtkMRMLScene*)", scene)

    def mrmlTableNode(self) -> Any:
        return self._d.node

    def setMRMLTableNode(self, node: Any) -> None:
        self._d.node = slicer.vtkMRMLTableNode.SafeDownCast(node)
        self._d.observers.clear()
        if self._d.node is not None:
            self._d.observers.add(self._d.node, vtk.vtkCommand.ModifiedEvent, self._fill)
        self._fill()

    def tableModel(self) -> Any:
        return self._d.model

    def copySelection(self) -> None:
        texts = [index.data() for index in self.selectedIndexes()]
        QtWidgets.QApplication.clipboard().setText("\t".join(texts))

    def _fill(self) -> None:
        model, table = self._d.model, self._d.node.GetTable() if self._d.node else None
        model.clear()
        if table is None:
            return
        columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
        model.setHorizontalHeaderLabels([column.GetName() or "" for column in columns])
        for row in range(table.GetNumberOfRows()):
            model.appendRow([QtGui.QStandardItem(column.GetVariantValue(row).ToString()) for column in columns])


class qMRMLSegmentsTableView(cpp.base("qMRMLSegmentsTableView")):
    """The segments of a segmentation: visibility, colour, opacity, name."""

    def _build(self) -> None:
        self._d.node, self._d.observers = None, Observers(self)
        self._d.model, self._d.table, self._d.busy = QtGui.QStandardItemModel(), QtWidgets.QTableView(), False
        self._d.table.setModel(self._d.model)
        self._d.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        self._d.table.horizontalHeader().setStretchLastSection(True)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.table)
        self._d.table.selectionModel().connect(
            "selectionChanged(QItemSelection,QItemSelection)",
            lambda new, old: cpp.emit(self, "selectionChanged(QItemSelection,QItemSelection)", new, old),
        )
        self._d.model.connect("itemChanged(QStandardItem*)", self._edited)

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene = scene
        cpp.emit(self, "mrmlSceneChanged(vtkMRMLScene*)", scene)

    def segmentationNode(self) -> Any:
        return self._d.node

    def setSegmentationNode(self, node: Any) -> None:
        self._d.node = slicer.vtkMRMLSegmentationNode.SafeDownCast(node)
        self._d.observers.clear()
        if self._d.node is not None:
            events = slicer.vtkSegmentation
            for event in (events.SegmentAdded, events.SegmentRemoved, events.SegmentModified):
                self._d.observers.add(self._d.node.GetSegmentation(), event, self._fill)
            self._d.node.CreateDefaultDisplayNodes()
            self._d.observers.add(self._d.node.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, self._fill)
        self._fill()

    def _ids(self) -> tuple[str, ...]:
        return tuple(self._d.node.GetSegmentation().GetSegmentIDs()) if self._d.node else ()

    def _get_segmentCount(self) -> int:
        return len(self._ids())

    def tableWidget(self) -> Any:
        return self._d.table

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self.segmentIDForRow(row) for row in range(self._d.model.rowCount()))

    def segmentIDForRow(self, row: int) -> str:
        return self._d.model.item(row, 0).data(_ID)

    def rowForSegmentID(self, segment_id: str) -> int:
        shown = self.displayedSegmentIDs()
        return shown.index(segment_id) if segment_id in shown else -1

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self.segmentIDForRow(row.row()) for row in self._d.table.selectionModel().selectedRows())

    def setSelectedSegmentIDs(self, ids: Any) -> None:
        self._d.table.clearSelection()
        flags = QtCore.QItemSelectionModel.SelectionFlag
        for segment_id in ids:
            index = self._d.model.index(self.rowForSegmentID(segment_id), 0)
            self._d.table.selectionModel().select(index, flags.Select | flags.Rows)

    def clearSelection(self) -> None:
        self._d.table.clearSelection()

    def _fill(self) -> None:
        if self._d.busy:
            return
        self._d.busy = True
        selected = self.selectedSegmentIDs() if self._d.model.rowCount() else ()
        self._d.model.clear()
        self._d.model.setHorizontalHeaderLabels(["", "Color", "Opacity", "Name"])
        for segment_id in self._ids():
            segment, display = self._d.node.GetSegmentation().GetSegment(segment_id), self._d.node.GetDisplayNode()
            if self.textFilter.lower() in (segment.GetName() or "").lower():
                self._add_row(segment_id, segment, display)
        self.setSelectedSegmentIDs([each for each in selected if each in self._ids()])
        for column, name in enumerate(("visibilityColumnVisible", "colorColumnVisible", "opacityColumnVisible")):
            self._d.table.setColumnHidden(column, not getattr(self, name))
        self._d.busy = False

    def _add_row(self, segment_id: str, segment: Any, display: Any) -> None:
        eye, colour = QtGui.QStandardItem(), QtGui.QStandardItem()
        eye.setCheckable(True)
        visible = display.GetSegmentVisibility(segment_id)
        eye.setCheckState(QtCore.Qt.CheckState.Checked if visible else QtCore.Qt.CheckState.Unchecked)
        eye.setData(segment_id, _ID)
        colour.setBackground(QtGui.QBrush(QtGui.QColor.fromRgbF(*segment.GetColor())))
        opacity = QtGui.QStandardItem(f"{display.GetSegmentOpacity3D(segment_id):.2f}")
        self._d.model.appendRow([eye, colour, opacity, QtGui.QStandardItem(segment.GetName())])

    def _edited(self, item: Any) -> None:
        """A box or a name that a person changed goes into the segmentation."""
        if self._d.busy:
            return
        segment_id = self.segmentIDForRow(item.row())
        if item.column() == 0:
            shown = item.checkState() == QtCore.Qt.CheckState.Checked
            self._d.node.GetDisplayNode().SetSegmentVisibility(segment_id, shown)
        elif item.column() == 3 and not self.readOnly:
            cpp.emit(self, "segmentAboutToBeModified(QString)", segment_id)
            self._d.node.GetSegmentation().GetSegment(segment_id).SetName(item.text())

    def _refill(self, _: Any) -> None:
        self._fill()

    _set_textFilter = _set_visibilityColumnVisible = _set_colorColumnVisible = _set_opacityColumnVisible = _refill

    def _set_headerVisible(self, visible: bool) -> None:
        self._d.table.horizontalHeader().setVisible(visible)


class qMRMLSubjectHierarchyTreeView(cpp.base("qMRMLSubjectHierarchyTreeView")):
    """The subject hierarchy as a tree of names."""

    def _build(self) -> None:
        self._d.scene, self._d.root, self._d.observers = None, 0, Observers(self)
        self._d.model = QtGui.QStandardItemModel()
        self.setModel(self._d.model)
        self.setHeaderHidden(True)
        self.selectionModel().connect("selectionChanged(QItemSelection,QItemSelection)", self._selected)

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene, self._d.root = scene, 0
        self._d.observers.clear()
        if scene is not None:
            events = slicer.vtkMRMLSubjectHierarchyNode
            for name in ("Added", "Removed", "Modified", "Reparented"):
                event = getattr(events, f"SubjectHierarchyItem{name}Event")
                self._d.observers.add(self.subjectHierarchyNode(), event, self._fill)
            # Closing the scene makes another hierarchy.
            for event in (scene.EndCloseEvent, scene.EndImportEvent):
                self._d.observers.add(scene, event, lambda: self.setMRMLScene(scene))
        self._fill()

    def subjectHierarchyNode(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._d.scene) if self._d.scene else None

    def rootItem(self) -> int:
        return self._d.root or self.subjectHierarchyNode().GetSceneItemID()

    def setRootItem(self, item: int) -> None:
        self._d.root = item
        self._fill()

    def _fill(self) -> None:
        current = self.currentItem() if self._d.model.rowCount() else 0
        self._d.model.clear()
        if self._d.scene is not None and not self._d.scene.IsBatchProcessing():
            self._add_children(self.rootItem(), self._d.model.invisibleRootItem())
            self.expandAll()
            self.setCurrentItem(current)

    def _add_children(self, item: int, row: Any) -> None:
        hierarchy, children = self.subjectHierarchyNode(), vtk.vtkIdList()
        hierarchy.GetItemChildren(item, children, False)
        for child in (children.GetId(index) for index in range(children.GetNumberOfIds())):
            node = hierarchy.GetItemDataNode(child)
            if node is not None and self.nodeTypes and not any(node.IsA(kind) for kind in self.nodeTypes):
                continue
            entry = QtGui.QStandardItem(hierarchy.GetItemName(child))
            entry.setData(child, _ID)
            row.appendRow(entry)
            self._add_children(child, entry)

    def _items(self, row: Any = None) -> list[Any]:
        row = row or self._d.model.invisibleRootItem()
        below = [row.child(index) for index in range(row.rowCount())]
        return [item for child in below for item in (child, *self._items(child))]

    def displayedItemCount(self) -> int:
        return len(self._items())

    def currentItem(self) -> int:
        indexes = self.selectionModel().selectedRows()
        return int(indexes[0].data(_ID)) if indexes else 0

    def currentItems(self, into: Any) -> None:
        into.Reset()
        for index in self.selectionModel().selectedRows():
            into.InsertNextId(int(index.data(_ID)))

    def setCurrentItem(self, item: int) -> None:
        entry = next((entry for entry in self._items() if entry.data(_ID) == item), None)
        flags = QtCore.QItemSelectionModel.SelectionFlag
        if entry is None:
            self.selectionModel().clearSelection()
        else:
            self.selectionModel().select(entry.index(), flags.ClearAndSelect | flags.Rows)

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentItem(self.subjectHierarchyNode().GetItemByDataNode(node) if node else 0)

    def _selected(self) -> None:
        items = [int(index.data(_ID)) for index in self.selectionModel().selectedRows()]
        cpp.emit(self, "currentItemChanged(vtkIdType)", items[0] if items else 0)
        cpp.emit(self, "currentItemsChanged(QList<vtkIdType>)", items)
