"""EAR Training: data sets, training and evaluation of the networks that EAR Reconstruction uses."""

# Slicer's self-tests are unittest's.
# ruff: noqa: PT009

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import slicer
from EARTrainingLib.panel import commands
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class EARTraining(ScriptedLoadableModule):
    """What Slicer tells about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("EAR Training")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Tomographic Reconstruction")]
        self.parent.dependencies = ["EARReconstruction"]
        self.parent.contributors = ["the SlicerEAR developers"]
        self.parent.helpText = _(
            "Prepares data sets from CT scans, trains networks that rebuild vertebrae from two X-rays, and evaluates "
            "them. For research, not for clinical use. See the "
            '<a href="{address}">tutorial and the troubleshooting</a>.'
        ).format(address="https://github.com/SlicerEAR/SlicerEAR")
        self.parent.acknowledgementText = _(
            "The method is the edge-aware reconstruction network EAR of arXiv 2407.20937."
        )


#: Where things go unless the user says otherwise.
HOME = Path.home() / "EARTraining"


@parameterNodeWrapper
class EARTrainingParameterNode:
    """What is saved with the scene: the options of the commands. Folders are texts; "" is none.

    sources: of the data set, as `ear prepare` takes them. vertebra: id of the one that is looked at. timeLimitH: hours
    after which training stops with a checkpoint, 0 for none. furtherOptions: of `ear train`. models: names or files of
    the models to evaluate.
    """

    sources: list[str]
    dataFolder: str = str(HOME / "data")
    size: Annotated[int, WithinRange(8, 512)] = 128
    spacingMm: Annotated[float, WithinRange(0.1, 20)] = 1.0
    protocol: Annotated[str, Choice(list(commands.PROTOCOLS))] = "isolated"
    acquisition: Annotated[str, Choice(list(commands.ACQUISITIONS))] = "paper"
    engine: Annotated[str, Choice(list(commands.ENGINES))] = "torch"
    jobs: Annotated[int, WithinRange(1, 256)] = 1
    scenes: bool = True
    vertebra: str = ""
    network: Annotated[str, Choice(list(commands.NETWORKS))] = "EAR"
    preset: Annotated[str, Choice(list(commands.PRESETS))] = "ours"
    epochs: Annotated[int, WithinRange(1, 100000)] = 100
    timeLimitH: Annotated[float, WithinRange(0, 10000)] = 0
    furtherOptions: str = ""
    runFolder: str = str(HOME / "run")
    models: list[str]
    split: Annotated[str, Choice(list(commands.SPLITS))] = "test"
    figures: bool = True
    evaluationFolder: str = str(HOME / "evaluation")


class EARTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its sections are in EARTrainingLib.panel, one for each step of the work."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        """Called when the user opens the module the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from EARReconstructionLib.panel.host import Panel
        from EARTrainingLib.panel.data_set import DataSetSection
        from EARTrainingLib.panel.evaluate import EvaluateSection
        from EARTrainingLib.panel.look import LookSection
        from EARTrainingLib.panel.python_section import PythonSection
        from EARTrainingLib.panel.train import TrainSection

        self.logic = EARTrainingLogic()
        self.panel = Panel(self, "EARTraining")
        self.panel.ui.undoButton.setVisible(False)  # what the commands write lies in folders
        python = PythonSection(self.panel)
        look = LookSection(self.panel)
        train = TrainSection(self.panel, python)
        data = DataSetSection(self.panel, python, (look, train))
        evaluate = EvaluateSection(self.panel, python)
        for section in (data, look, train, evaluate, python):
            self.panel.add(section)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when Slicer ends and before the module is reloaded."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()

    def enter(self):
        """Called each time the user opens the module."""
        self.initializeParameterNode()
        self.panel.changed()  # folders may have changed meanwhile

    def onSceneStartClose(self, caller, event):
        """The parameter node is about to go."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """The scene is empty."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Bind the panel to the parameter node of the scene, unless it is already."""
        node = self.logic.getParameterNode()
        bound = self.panel.parameterNode
        if bound is None or bound.parameterNode is not node.parameterNode:
            self.panel.setParameterNode(node)

    def onReload(self):
        """Take a changed Lib as well: Slicer itself imports the module file only."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "EARTrainingLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class EARTrainingLogic(ScriptedLoadableModuleLogic):
    """What scripts use: the parameters, and a prepared data set in Slicer's scene. The work is the commands' `ear`."""

    def getParameterNode(self):
        """The parameters of the scene."""
        return EARTrainingParameterNode(super().getParameterNode())

    def showVertebra(self, folder, name):
        """Show a vertebra of a prepared data set; return its volume's node. Raises DatasetError.

        folder: of the data set. name: id of the vertebra, as in its manifest.csv.
        """
        from EARTrainingLib.datasets.prepared import PreparedDataset
        from EARTrainingLib.datasets.readers import DatasetError
        from EARTrainingLib.panel.preview import show_vertebra

        dataset = PreparedDataset.open(folder)
        for row in dataset.rows:
            if row.id == name:
                return show_vertebra(slicer.mrmlScene, dataset, row)
        raise DatasetError(name, _("the data set has no such vertebra"), _("Take an id of its manifest.csv"))


class EARTrainingTest(ScriptedLoadableModuleTest):
    """The self-test: needs no network, no torch and no training libraries."""

    def runTest(self):
        """Run all tests on an empty scene."""
        slicer.mrmlScene.Clear()
        self.test_curves()

    def test_curves(self):
        """Numbers of a run become a chart, and go with the scene."""
        from EARTrainingLib.panel.curves import COLUMNS, show_curves

        self.delayDisplay("Curves")
        history = {name: [1.0, 2.0, 3.0] for name in COLUMNS.values()}
        chart = show_curves(slicer.mrmlScene, history, [(0.5, 4.0)])
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 3)
        self.assertEqual(chart.GetNthPlotSeriesNode(1).GetTableNode().GetNumberOfRows(), 3)
        self.assertEqual(EARTrainingLogic().getParameterNode().network, "EAR")
        slicer.mrmlScene.Clear()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"), 0)
