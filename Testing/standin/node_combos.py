"""Slicer's combo boxes over the nodes of a scene."""

# mypy: disable-error-code="misc, attr-defined, has-type, union-attr"
from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from . import cpp, mrml_widget  # noqa: F401  (the base of a widget here)
from .observing import Observers

_MODIFIED = vtk.vtkCommand.ModifiedEvent


class qMRMLNodeComboBox(cpp.base("qMRMLNodeComboBox")):
    """Shows the nodes of its types, follows the scene, and is disabled until it has one."""

    def _build(self) -> None:
        self._d.combo = QtWidgets.QComboBox()
        self._d.scene, self._d.nodes, self._d.told = None, [], ""
        self._d.filters, self._d.labels, self._d.busy, self._d.state = [], {}, False, None
        self._d.scene_observers, self._d.node_observers = Observers(self), Observers(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.combo)
        self._d.combo.connect("currentIndexChanged(int)", self._chosen)
        self._d.combo.connect("activated(int)", self._activated)
        self.enabled = False

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        self._d.scene_observers.clear()
        self._d.scene = scene
        self.enabled = scene is not None
        if scene is not None:
            for event in ("NodeAdded", "NodeRemoved", "EndBatchProcess", "EndClose", "EndImport"):
                self._d.scene_observers.add(scene, getattr(scene, f"{event}Event"), self._fill)
        self._fill()

    def _offered(self) -> list[Any]:
        """The nodes of the types, filters aside."""
        found: list[Any] = []
        for kind in self.nodeTypes if self._d.scene is not None else ():
            of_kind = self._d.scene.GetNodesByClass(kind)
            of_kind.UnRegister(None)
            nodes = [of_kind.GetItemAsObject(index) for index in range(of_kind.GetNumberOfItems())]
            found += [node for node in nodes if node not in found and self._is_of(node, kind)]
        return found

    def _is_of(self, node: Any, kind: str) -> bool:
        if any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
            return False
        return bool(self.showChildNodeTypes) or node.GetClassName() == kind

    def _is_shown(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for kind, name, value in self._d.filters:
            has = node.GetAttribute(name)
            if node.IsA(kind) and (has is None or (value is not None and has != str(value))):
                return False
        return True

    def _fill(self) -> None:
        scene = self._d.scene
        if self._d.busy or (scene is not None and scene.IsBatchProcessing()):
            return
        offered = self._offered()
        nodes = [node for node in offered if self._is_shown(node)]
        state = (offered, nodes, [node.GetName() for node in nodes], self.noneDisplay, self.noneEnabled)
        if state == self._d.state:
            return
        self._d.busy, self._d.state = True, state
        before, current = self._d.nodes, self.currentNode()
        self._d.nodes = nodes
        self._d.node_observers.clear()
        for node in offered:
            self._d.node_observers.add(node, _MODIFIED, self._fill)
        self._show()
        self._d.busy = False
        self._select(current if current in self._d.nodes else self._first())
        for node in self._d.nodes:
            if node not in before:
                cpp.emit(self, "nodeAdded(vtkMRMLNode*)", node)
                cpp.emit(self, "nodeAddedByUser(vtkMRMLNode*)", node)

    def _show(self) -> None:
        combo = self._d.combo
        combo.blockSignals(True)
        combo.clear()
        combo.addItems([self.noneDisplay] * self.noneEnabled + [node.GetName() or "" for node in self._d.nodes])
        combo.blockSignals(False)

    def _first(self) -> Any:
        return self._d.nodes[0] if self._d.nodes and not self.noneEnabled else None

    def _select(self, node: Any) -> None:
        nodes, combo = self._d.nodes, self._d.combo
        index = nodes.index(node) + self.noneEnabled if node in nodes else int(self.noneEnabled) - 1
        combo.blockSignals(True)
        combo.setCurrentIndex(index)
        combo.blockSignals(False)
        self._chosen()

    def _chosen(self) -> None:
        node = self.currentNode()
        node_id = node.GetID() if node else ""
        if node_id != self._d.told:
            self._d.told = node_id
            cpp.emit(self, "currentNodeChanged(vtkMRMLNode*)", node)
            cpp.emit(self, "currentNodeChanged(bool)", node is not None)
            cpp.emit(self, "currentNodeIDChanged(QString)", node_id)

    def _activated(self) -> None:
        cpp.emit(self, "nodeActivated(vtkMRMLNode*)", self.currentNode())

    def currentNode(self) -> Any:
        index = self._d.combo.currentIndex - self.noneEnabled
        return self._d.nodes[index] if 0 <= index < len(self._d.nodes) else None

    def _get_currentNodeID(self) -> str:
        node = self.currentNode()
        return (node.GetID() or "") if node else ""

    def _set_currentNodeID(self, node_id: str) -> None:
        self._select(next((node for node in self._d.nodes if node.GetID() == node_id), None))

    _get_currentNodeId, _set_currentNodeId = _get_currentNodeID, _set_currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            self._set_currentNodeID(node)
        else:
            self._select(node)

    def setCurrentNodeIndex(self, index: int) -> None:
        self._select(self.nodeFromIndex(index))

    def nodeFromIndex(self, index: int) -> Any:
        return self._d.nodes[index] if 0 <= index < len(self._d.nodes) else None

    def nodeCount(self) -> int:
        return len(self._d.nodes)

    def _refill(self, _: Any) -> None:
        self._fill()

    _set_nodeTypes = _set_showHidden = _set_showChildNodeTypes = _set_hideChildNodeTypes = _refill
    _set_noneDisplay = _refill

    def _set_noneEnabled(self, enabled: bool) -> None:
        # The index that is current still counts the item that comes or goes.
        index = self._d.combo.currentIndex + (1 if enabled else -1)
        self._d.combo.blockSignals(True)
        self._show()
        self._d.combo.setCurrentIndex(index)
        self._d.combo.blockSignals(False)
        self._fill()

    def addAttribute(self, kind: str, name: str, value: Any = None) -> None:
        self._d.filters.append((kind, name, value))
        self._fill()

    def removeAttribute(self, kind: str, name: str) -> None:
        self._d.filters = [each for each in self._d.filters if each[:2] != (kind, name)]
        self._fill()

    def setNodeTypeLabel(self, label: str, kind: str) -> None:
        self._d.labels[kind] = label

    def nodeTypeLabel(self, kind: str) -> str:
        return self._d.labels.get(kind, "")

    def sortFilterProxyModel(self) -> Any:
        return self._d.combo.model()

    def addMenuAction(self, action: Any) -> None:
        action.setParent(self)

    def addNode(self, kind: str = "") -> Any:
        kind = kind or (self.nodeTypes[0] if self.nodeTypes else "")
        if kind not in self.nodeTypes:
            return None
        node = self._d.scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        for of_kind, name, value in self._d.filters:
            if node.IsA(of_kind):
                node.SetAttribute(name, str(value or ""))
        name = self.baseName or self._d.labels.get(kind) or node.GetNodeTagName()
        node.SetName(self._d.scene.GenerateUniqueName(name))
        node = self._d.scene.AddNode(node)
        cpp.emit(self, "nodeAddedByUserAction(vtkMRMLNode*)", node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            cpp.emit(self, "nodeAboutToBeRemoved(vtkMRMLNode*)", node)
            self._d.scene.RemoveNode(node)

    def editCurrentNode(self) -> None:
        cpp.emit(self, "nodeAboutToBeEdited(vtkMRMLNode*)", self.currentNode())

    def renameCurrentNode(self) -> None:
        node = self.currentNode()
        name = QtWidgets.QInputDialog.getText(self, "Rename", "New name:") if node else ""
        if name:
            node.SetName(name)
            cpp.emit(self, "currentNodeRenamed(QString)", name)


class qMRMLCheckableNodeComboBox(cpp.base("qMRMLCheckableNodeComboBox")):
    """A combo box that checks nodes instead of choosing one."""

    def _build(self) -> None:
        self._d.checked = set()

    def checkState(self, node: Any) -> QtCore.Qt.CheckState:
        is_checked = node is not None and node in self._d.nodes and node.GetID() in self._d.checked
        return QtCore.Qt.CheckState.Checked if is_checked else QtCore.Qt.CheckState.Unchecked

    def setCheckState(self, node: Any, state: Any) -> None:
        before = self.checkState(node)
        (self._d.checked.add if int(state) else self._d.checked.discard)(node.GetID())
        if self.checkState(node) != before:
            cpp.emit(self, "checkedNodesChanged()")

    def setUserCheckable(self, node: Any, checkable: bool) -> None:
        self._d.labels[node.GetID()] = checkable

    def check(self, node: Any) -> None:
        self.setCheckState(node, QtCore.Qt.CheckState.Checked)

    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, QtCore.Qt.CheckState.Unchecked)

    def checkedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._d.nodes if node.GetID() in self._d.checked)

    def uncheckedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._d.nodes if node.GetID() not in self._d.checked)

    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()


class qMRMLColorTableComboBox(cpp.base("qMRMLColorTableComboBox")):
    """The colour tables of the scene."""

    def _build(self) -> None:
        self.nodeTypes = ["vtkMRMLColorNode"]
        self.showHidden = True


class qMRMLSegmentSelectorWidget(cpp.base("qMRMLSegmentSelectorWidget")):
    """A segmentation and one of its segments."""

    def _build(self) -> None:
        self._d.scene, self._d.told = None, ""
        self._d.nodes, self._d.segments = qMRMLNodeComboBox(), QtWidgets.QComboBox()
        self._d.nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._d.observers = Observers(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._d.nodes)
        layout.addWidget(self._d.segments)
        self.connect("mrmlSceneChanged(vtkMRMLScene*)", self._d.nodes.setMRMLScene)
        self._d.nodes.connect("currentNodeChanged(vtkMRMLNode*)", self._node_changed)
        self._d.segments.connect("currentIndexChanged(int)", self._chosen)

    def _set_noneEnabled(self, enabled: bool) -> None:
        self._d.nodes.noneEnabled = enabled

    def _set_segmentationNodeSelectorVisible(self, visible: bool) -> None:
        self._d.nodes.setVisible(visible)

    def _node_changed(self, node: Any) -> None:
        self._d.observers.clear()
        if node is not None:
            for event in (slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved):
                self._d.observers.add(node.GetSegmentation(), event, self._fill)
        self._fill()
        cpp.emit(self, "currentNodeChanged(vtkMRMLNode*)", node)

    def _fill(self) -> None:
        node, current = self.currentNode(), self.currentSegmentID()
        segmentation = node.GetSegmentation() if node else None
        self._d.segments.blockSignals(True)
        self._d.segments.clear()
        for segment_id in segmentation.GetSegmentIDs() if segmentation else ():
            self._d.segments.addItem(segmentation.GetSegment(segment_id).GetName(), segment_id)
        self._d.segments.setCurrentIndex(max(self._d.segments.findData(current), 0))
        self._d.segments.blockSignals(False)
        self._chosen()

    def _chosen(self) -> None:
        if self.currentSegmentID() != self._d.told:
            self._d.told = self.currentSegmentID()
            cpp.emit(self, "currentSegmentChanged(QString)", self._d.told)

    def currentNode(self) -> Any:
        return self._d.nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._d.nodes.currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        self._d.nodes.setCurrentNode(node)

    def setCurrentNodeID(self, node_id: str) -> None:
        self._d.nodes.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        return self._d.segments.currentData or ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._d.segments.setCurrentIndex(self._d.segments.findData(segment_id))
