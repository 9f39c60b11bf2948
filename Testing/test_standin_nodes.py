"""The stand-in's widgets of Slicer that show nodes of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def volumes(slicer: Any) -> list[Any]:
    """Two volumes and a label map, which is a child class of the volumes'."""
    add = slicer.mrmlScene.AddNewNodeByClass
    names = {"a": "vtkMRMLScalarVolumeNode", "b": "vtkMRMLScalarVolumeNode", "labels": "vtkMRMLLabelMapVolumeNode"}
    return [add(kind, name) for name, kind in names.items()]


@pytest.fixture
def combo(slicer: Any) -> Any:
    """A combo box of volumes, child classes excluded."""
    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    combo.showChildNodeTypes = False
    combo.noneEnabled = True
    combo.setMRMLScene(slicer.mrmlScene)
    return combo


def heard_of(sender: Any, signature: str) -> list[Any]:
    """A list that grows with each signal."""
    heard: list[Any] = []
    sender.connect(signature, heard.append)
    return heard


class TestNodeComboBox:
    """qMRMLNodeComboBox."""

    def test_it_is_disabled_without_a_scene(self, slicer: Any, volumes: list[Any]) -> None:
        """The mistake of every beginner: the panel's scene was not set."""
        combo = slicer.qMRMLNodeComboBox()
        combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        assert (combo.enabled, combo.nodeCount()) == (False, 0)
        combo.setMRMLScene(slicer.mrmlScene)
        assert (combo.enabled, combo.nodeCount()) == (True, 3)

    def test_it_shows_its_types(self, combo: Any, volumes: list[Any]) -> None:
        assert [combo.nodeFromIndex(index).GetName() for index in range(combo.nodeCount())] == ["a", "b"]
        combo.showChildNodeTypes = True
        assert combo.nodeCount() == 3
        combo.hideChildNodeTypes = ["vtkMRMLLabelMapVolumeNode"]
        assert combo.nodeCount() == 2

    def test_attributes_filter(self, combo: Any, volumes: list[Any]) -> None:
        combo.addAttribute("vtkMRMLScalarVolumeNode", "kind")
        assert combo.nodeCount() == 0
        volumes[1].SetAttribute("kind", "x")
        assert combo.nodeCount() == 1
        combo.removeAttribute("vtkMRMLScalarVolumeNode", "kind")
        combo.addAttribute("vtkMRMLScalarVolumeNode", "kind", "y")
        assert combo.nodeCount() == 0

    def test_hidden_nodes(self, combo: Any, volumes: list[Any]) -> None:
        volumes[0].SetHideFromEditors(True)
        assert combo.nodeCount() == 1
        combo.showHidden = True
        assert combo.nodeCount() == 2

    def test_choosing(self, combo: Any, volumes: list[Any]) -> None:
        nodes, flags = heard_of(combo, "currentNodeChanged(vtkMRMLNode*)"), heard_of(combo, "currentNodeChanged(bool)")
        assert combo.currentNode() is None
        combo.setCurrentNode(volumes[1])
        combo.setCurrentNode(volumes[1])
        combo.setCurrentNodeID(volumes[0].GetID())
        combo.setCurrentNode(None)
        assert nodes == [volumes[1], volumes[0], None]
        assert flags == [True, True, False]
        assert combo.currentNodeID == ""

    def test_without_none_it_takes_the_first(self, slicer: Any, volumes: list[Any]) -> None:
        combo = slicer.qMRMLNodeComboBox()
        combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        heard = heard_of(combo, "currentNodeChanged(vtkMRMLNode*)")
        combo.setMRMLScene(slicer.mrmlScene)
        assert (combo.currentNode(), heard) == (volumes[0], [volumes[0]])

    def test_it_follows_a_removal(self, slicer: Any, combo: Any, volumes: list[Any]) -> None:
        combo.setCurrentNode(volumes[1])
        heard = heard_of(combo, "currentNodeChanged(vtkMRMLNode*)")
        slicer.mrmlScene.RemoveNode(volumes[1])
        assert (combo.currentNode(), combo.nodeCount(), heard) == (None, 1, [None])

    def test_a_removal_of_another_keeps_the_choice(self, slicer: Any, combo: Any, volumes: list[Any]) -> None:
        combo.setCurrentNode(volumes[1])
        heard = heard_of(combo, "currentNodeChanged(vtkMRMLNode*)")
        slicer.mrmlScene.RemoveNode(volumes[0])
        assert (combo.currentNode(), heard) == (volumes[1], [])

    def test_it_follows_a_new_name(self, combo: Any, volumes: list[Any], desktop: Any) -> None:
        combo.setCurrentNode(volumes[0])
        volumes[0].SetName("another")
        assert combo.findChild("QComboBox").currentText == "another"

    def test_it_follows_the_scene(self, slicer: Any, combo: Any, volumes: list[Any]) -> None:
        combo.setCurrentNode(volumes[0])
        slicer.mrmlScene.Clear()
        assert (combo.currentNode(), combo.nodeCount()) == (None, 0)

    def test_a_new_node(self, combo: Any) -> None:
        combo.addAttribute("vtkMRMLScalarVolumeNode", "kind", "x")
        combo.baseName = "New"
        node = combo.addNode()
        assert (node.GetName(), node.GetAttribute("kind"), combo.currentNode()) == ("New", "x", node)

    def test_renaming_asks(self, combo: Any, volumes: list[Any], desktop: Any) -> None:
        combo.setCurrentNode(volumes[0])
        desktop.answer("renamed")
        combo.renameCurrentNode()
        assert volumes[0].GetName() == "renamed"

    def test_wrong_arguments(self, combo: Any, qt: Any) -> None:
        with pytest.raises(ValueError, match="wrong arguments"):
            combo.setCurrentNode(3)
        with pytest.raises(AttributeError):
            combo.currentNode = None
        with pytest.raises(AttributeError):
            combo.setNodeTypes(["vtkMRMLModelNode"])  # no slot of Slicer's class
        with pytest.raises(RuntimeError, match=r"currentNodeChanged\(vtkMRMLNode\*\)"):
            combo.connect("currentNodeChanged()", print)

    def test_checking_nodes(self, slicer: Any, volumes: list[Any], qt: Any) -> None:
        combo = slicer.qMRMLCheckableNodeComboBox()
        combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        combo.setMRMLScene(slicer.mrmlScene)
        heard: list[int] = []
        combo.connect("checkedNodesChanged()", lambda: heard.append(1))
        combo.check(volumes[1])
        combo.setCheckState(volumes[1], qt.Qt.Checked)
        assert (combo.checkedNodes(), combo.noneChecked(), len(heard)) == ((volumes[1],), False, 1)

    def test_colour_tables(self, slicer: Any) -> None:
        combo = slicer.qMRMLColorTableComboBox()
        combo.setMRMLScene(slicer.mrmlScene)
        grey = slicer.util.getNode("Grey")
        combo.setCurrentNode(grey)
        assert combo.currentNode() is grey


@pytest.fixture
def segmentation(slicer: Any) -> Any:
    """A segmentation of two segments."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "spine")
    node.CreateDefaultDisplayNodes()
    for name in ("L1", "L2"):
        node.GetSegmentation().AddEmptySegment(name, name)
    return node


class TestSegments:
    """qMRMLSegmentsTableView and qMRMLSegmentSelectorWidget."""

    @pytest.fixture
    def table(self, slicer: Any, segmentation: Any) -> Any:
        table = slicer.qMRMLSegmentsTableView()
        table.setMRMLScene(slicer.mrmlScene)
        table.setSegmentationNode(segmentation)
        return table

    def test_it_follows_the_segmentation(self, table: Any, segmentation: Any) -> None:
        segmentation.GetSegmentation().AddEmptySegment("L3", "L3")
        segmentation.GetSegmentation().RemoveSegment("L1")
        assert (table.displayedSegmentIDs(), table.segmentCount) == (("L2", "L3"), 2)

    def test_selection(self, table: Any) -> None:
        heard: list[int] = []
        table.connect("selectionChanged(QItemSelection,QItemSelection)", lambda: heard.append(1))
        table.setSelectedSegmentIDs(["L2"])
        assert (table.selectedSegmentIDs(), len(heard)) == (("L2",), 1)

    def test_the_eye(self, table: Any, segmentation: Any, qt: Any) -> None:
        table.tableWidget().model().item(0, 0).setCheckState(qt.Qt.Unchecked)
        assert not segmentation.GetDisplayNode().GetSegmentVisibility("L1")

    def test_filter(self, table: Any) -> None:
        table.textFilter = "l2"
        assert table.displayedSegmentIDs() == ("L2",)

    def test_selector(self, slicer: Any, segmentation: Any) -> None:
        selector = slicer.qMRMLSegmentSelectorWidget()
        heard = heard_of(selector, "currentSegmentChanged(QString)")
        selector.setMRMLScene(slicer.mrmlScene)
        selector.setCurrentNode(segmentation)
        selector.setCurrentSegmentID("L2")
        segmentation.GetSegmentation().RemoveSegment("L2")
        assert heard == ["L1", "L2", "L1"]


class TestOtherViews:
    """qMRMLTableView, qMRMLSubjectHierarchyTreeView, qMRMLVolumeThresholdWidget, qMRMLSliderWidget."""

    def test_table(self, slicer: Any) -> None:
        node = slicer.util.updateTableFromArray(None, np.array([[1.0, 2.0], [3.0, 4.0]]), ["x", "y"])
        view = slicer.qMRMLTableView()
        view.setMRMLTableNode(node)
        model = view.model()
        assert [model.rowCount(), model.columnCount(), model.item(1, 1).text()] == [2, 2, "4"]
        slicer.util.updateTableFromArray(node, np.array([[1.0, 2.0]]))
        assert view.model().rowCount() == 1

    def test_subject_hierarchy(self, slicer: Any, volumes: list[Any]) -> None:
        view = slicer.qMRMLSubjectHierarchyTreeView()
        view.setMRMLScene(slicer.mrmlScene)
        hierarchy = view.subjectHierarchyNode()
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Case")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volumes[0]), folder)
        heard = heard_of(view, "currentItemChanged(vtkIdType)")
        view.setCurrentNode(volumes[0])
        assert (view.displayedItemCount(), view.currentItem()) == (4, heard[-1])
        slicer.mrmlScene.RemoveNode(volumes[0])
        assert (view.displayedItemCount(), view.currentItem()) == (3, 0)
        del hierarchy  # one that is held stays in use after the scene has been closed: so it is in Slicer
        slicer.mrmlScene.Clear()
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "model")
        assert view.displayedItemCount() == 1

    def test_hidden_nodes_have_no_item(self, slicer: Any) -> None:
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLModelNode")
        hidden.UnRegister(None)
        hidden.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(hidden)
        assert not hierarchy.GetItemByDataNode(hidden)

    def test_threshold(self, slicer: Any) -> None:
        volume = slicer.util.addVolumeFromArray(np.arange(8.0).reshape(2, 2, 2))
        volume.CreateDefaultDisplayNodes()
        widget = slicer.qMRMLVolumeThresholdWidget()
        assert not widget.enabled
        widget.setMRMLVolumeNode(volume)
        heard: list[Any] = []
        widget.connect("thresholdValuesChanged(double,double)", lambda low, high: heard.append((low, high)))
        widget.setThreshold(2.0, 5.0)
        display = volume.GetDisplayNode()
        assert (display.GetLowerThreshold(), display.GetUpperThreshold(), heard[-1]) == (2.0, 5.0, (2.0, 5.0))

    def test_slider_with_units(self, slicer: Any) -> None:
        slider = slicer.qMRMLSliderWidget()
        slider.setMRMLScene(slicer.mrmlScene)
        slider.quantity = "length"
        slider.value = 3.0
        assert slider.value == 3.0


class TestObservers:
    """Widgets let go of the scene when they are deleted."""

    def test_a_deleted_widget_hears_nothing(self, slicer: Any, combo: Any, desktop: Any) -> None:
        combo.delete()
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        desktop.check()

    def test_an_error_in_an_observer_reaches_the_test(self, slicer: Any, desktop: Any) -> None:
        def fail(caller: Any, event: Any) -> None:
            raise KeyError("of the observer")

        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, fail)
        with desktop.expect_uncaught(KeyError):
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        slicer.mrmlScene.RemoveObserver(tag)
