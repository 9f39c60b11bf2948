"""A module as Slicer's template makes it: what the tests of the stand-in load."""

# Slicer takes Optional[...] only, and its self-tests are unittest's.
# ruff: noqa: UP045, PT009

# mypy: disable-error-code="call-arg, union-attr"
from __future__ import annotations

import enum
import os
import pathlib
from typing import Annotated, Optional

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class StandinExample(ScriptedLoadableModule):
    """Texts about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Stand-in Example")
        self.parent.categories = [_("Examples")]
        self.parent.helpText = _("Doubles voxels.") + self.getDefaultModuleDocumentationLink()
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Add a sample to the module SampleData."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="StandinExample",
        sampleName="Small",
        uris="https://example.org/small.nrrd",
        fileNames="small.nrrd",
        nodeNames="Small",
        checksums="SHA256:00",
    )


class Speed(enum.Enum):
    """How fast."""

    SLOW = 1
    FAST = 2

    def label(self):
        """What the person reads."""
        return self.name.capitalize()


@parameterNodeWrapper
class StandinExampleParameterNode:
    """The module's parameters."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    outputVolume: slicer.vtkMRMLScalarVolumeNode
    factor: Annotated[float, WithinRange(-100, 200)] = 100
    invert: bool = False
    rounds: Annotated[int, WithinRange(1, 9), Default(3)]
    title: str = "none"
    folder: pathlib.Path = pathlib.Path("data")
    method: Annotated[str, Choice(["double", "triple"])] = "double"
    speed: Speed
    optional: Optional[float]
    names: list[str]


class StandinExampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/StandinExample.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = StandinExampleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.initializeParameterNode()

    def cleanup(self):
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, node):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self._parameterNode = node
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller=None, event=None):
        ready = bool(self._parameterNode and self._parameterNode.inputVolume)
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Double the voxels") if ready else _("Select an input volume")

    def onApplyButton(self):
        with slicer.util.tryWithErrorDisplay(_("Failed to compute results."), waitCursor=True):
            node = self._parameterNode
            node.outputVolume = self.logic.process(node.inputVolume, node.factor)


class StandinExampleLogic(ScriptedLoadableModuleLogic):
    """Multiplies voxels."""

    def getParameterNode(self):
        return StandinExampleParameterNode(super().getParameterNode())

    def process(self, volume, factor):
        """A new volume whose voxels are ``factor`` percent of the old."""
        if not volume.GetImageData():
            raise ValueError("the volume is empty")
        array = slicer.util.arrayFromVolume(volume) * (factor / 100.0)
        return slicer.util.addVolumeFromArray(array, name=os.path.basename(volume.GetName()) + " times")


class StandinExampleTest(ScriptedLoadableModuleTest):
    """The self-test."""

    def runTest(self):
        slicer.mrmlScene.Clear()
        self.delayDisplay("test")
        logic = StandinExampleLogic()
        import numpy as np

        volume = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
        self.assertEqual(float(slicer.util.arrayFromVolume(logic.process(volume, 300)).max()), 3.0)
