"""EAR Reconstruction: vertebrae in 3-D from an anteroposterior and a lateral X-ray."""

# Slicer takes Optional[...] only, and its self-tests are unittest's.
# ruff: noqa: UP045, PT009

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Optional

import slicer
from EARReconstructionLib.resources import DEFAULT_MODEL, SAMPLE_CASE
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class EARReconstruction(ScriptedLoadableModule):
    """What Slicer tells about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("EAR Reconstruction")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Tomographic Reconstruction")]
        self.parent.dependencies = []
        self.parent.contributors = ["the SlicerEAR developers"]
        self.parent.helpText = _(
            "Rebuilds vertebrae in 3-D from an anteroposterior and a lateral X-ray, and compares them with a "
            "reference. For research, not for clinical use. See the "
            '<a href="{address}">tutorial and the troubleshooting</a>.'
        ).format(address="https://github.com/SlicerEAR/SlicerEAR")
        self.parent.acknowledgementText = _(
            "The method is the edge-aware reconstruction network EAR of arXiv 2407.20937."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerLayouts)


#: SHA256 of the files of the sample case.
SAMPLE_CHECKSUMS = {
    "frontal.nrrd": "9d031e24c2d9ec01e7a1333edceedfcbddd1a9bbebd14b17ba91ddfa15a449e4",
    "lateral.nrrd": "fafcf8758051b444337afcba6e5b51109e81a968d5b9d45e0cf34ec9a9f1cf20",
}


def registerSampleData():
    """Offer the sample case in the module Sample Data. Its files come with the extension: nothing is fetched."""
    import SampleData

    names = list(SAMPLE_CHECKSUMS)
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=_("EAR Reconstruction"),
        sampleName="EARSampleSpine",
        uris=[(SAMPLE_CASE / name).as_uri() for name in names],
        fileNames=[f"EARSampleSpine-{name}" for name in names],
        nodeNames=["EAR sample AP", "EAR sample lateral"],
        checksums=[f"SHA256:{SAMPLE_CHECKSUMS[name]}" for name in names],
        # The button shows them as the radiographs that they are, with geometry, vertebrae and reference.
        customDownloader=showSampleCase,
    )


def registerLayouts():
    """Let a saved scene find the views that it was saved with, before the module is opened."""
    from EARReconstructionLib.scene.layouts import add_layouts

    manager = slicer.app.layoutManager()
    if manager is not None:
        add_layouts(manager.layoutLogic().GetLayoutNode())


def showSampleCase(source=None):
    """Show the sample case, in the module's panel if there is a main window; return its radiographs."""
    with slicer.util.tryWithErrorDisplay(_("The sample case could not be opened."), waitCursor=True):
        nodes = EARReconstructionLogic().showSampleCase()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("EARReconstruction")
        return nodes


@parameterNodeWrapper
class EARReconstructionParameterNode:
    """What is saved with the scene. Radiographs, ROIs and results are nodes of their own.

    geometryPreset: distances of radiographs that do not say. selectedLevel: vertebra of the row that is selected.
    model: of a bundle, by name or path. expectedError: whether it is asked for, and shown in place of the heat map.
    run: whose results are reviewed. rangeMm: end of the heat map's colours.
    referenceThresholdHu: of bone, when the reference is a CT. onReference: the heat map lies on the reference.
    """

    geometryPreset: str = "default"
    boneWhite: bool = True
    showXraysIn3D: bool = True
    selectedLevel: str = ""
    showModelCube: bool = False
    model: str = DEFAULT_MODEL
    onlySelected: bool = False
    expectedError: bool = False
    run: str = ""
    boneVolume: bool = False
    edgeMap: bool = False
    referenceNode: Optional[slicer.vtkMRMLNode] = None
    referenceThresholdHu: Annotated[float, WithinRange(-200, 1500)] = 200
    rangeMm: Annotated[float, WithinRange(0.5, 20)] = 4
    heatMap: bool = True
    onReference: bool = False


class EARReconstructionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its sections are in EARReconstructionLib.panel, one for each step of the work."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        """Called when the user opens the module the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from EARReconstructionLib.panel.host import Panel
        from EARReconstructionLib.panel.reconstruct import ReconstructSection
        from EARReconstructionLib.panel.results import ResultsSection
        from EARReconstructionLib.panel.review import ReviewSection
        from EARReconstructionLib.panel.vertebrae import VertebraeSection
        from EARReconstructionLib.panel.xrays import XRaysSection

        self.logic = EARReconstructionLogic()
        self.panel = Panel(self, "EARReconstruction")
        self.xrays = XRaysSection(self.panel, self.logic)
        self.vertebrae = VertebraeSection(self.panel)
        self.results = ResultsSection(self.panel)
        self.reconstruct = ReconstructSection(self.panel, self.results.onReconstructed)
        self.review = ReviewSection(self.panel, self.results)
        for section in (self.xrays, self.vertebrae, self.reconstruct, self.results, self.review):
            self.panel.add(section)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when Slicer ends and before the module is reloaded."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()

    def enter(self):
        """Called each time the user opens the module."""
        self.initializeParameterNode()

    def onSceneStartClose(self, caller, event):
        """The parameter node is about to go."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """The scene is empty."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        """A scene was read: read the parameters again, which named nodes before those were there."""
        if self.panel.parameterNode is not None:
            self.panel.parameterNode.Modified()

    def initializeParameterNode(self):
        """Bind the panel to the parameter node of the scene, unless it is already."""
        node = self.logic.getParameterNode()
        bound = self.panel.parameterNode
        if bound is None or bound.parameterNode is not node.parameterNode:
            self.panel.setParameterNode(node)

    def onReload(self):
        """Take a changed Lib as well: Slicer itself imports the module file only."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "EARReconstructionLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class EARReconstructionLogic(ScriptedLoadableModuleLogic):
    """What scripts use: the same functions as the panel, on Slicer's scene."""

    def getParameterNode(self):
        """The parameters of the scene."""
        return EARReconstructionParameterNode(super().getParameterNode())

    def loadCase(self, path):
        """Show the case of a folder or a case.json, with its reference, in place of the case that is there.

        Returns both radiographs' nodes. Raises EARError's kinds.
        """
        from EARReconstructionLib.panel.references import load_reference_of
        from EARReconstructionLib.scene.loading import load_case
        from EARReconstructionLib.scene.radiographs import radiograph_nodes

        case = load_case(slicer.mrmlScene, path)
        parameters = self.getParameterNode()
        parameters.referenceNode = load_reference_of(case)
        if case.reference is not None and case.reference.threshold_hu is not None:
            parameters.referenceThresholdHu = case.reference.threshold_hu
        return list(radiograph_nodes(slicer.mrmlScene).values())

    def reconstruct(self, levels=None, model=None, device="auto", progress=None, cancel=None):
        """Rebuild the vertebrae of the scene (None: all) and show them; return them with their nodes.

        model: name or path of a bundle, by default that of the parameters. progress(done, total, what) is called before
        each step; cancel() stops the work when it is true. Raises EARError's kinds, and Cancelled.
        """
        from EARReconstructionLib.panel import models, torch
        from EARReconstructionLib.scene.results import vertebrae
        from EARReconstructionLib.scene.tasks import reconstruction_task

        torch.require()
        torch.import_torch()
        parameters = self.getParameterNode()
        task = reconstruction_task(slicer.mrmlScene, models.model_path(str(model or parameters.model)), levels, device)
        replaced = task.run(progress, cancel)
        parameters.run = replaced.run
        return [one for one in vertebrae(slicer.mrmlScene, replaced.run) if one.roi.level in replaced.levels]

    def compare(self, reference=None, run=None, progress=None, cancel=None):
        """Measure a run against a reference node (None: those of the parameters) and show its heat maps.

        Returns a Comparison for each level that fits; the log has a line for each that does not. Raises EARError's
        kinds, and Cancelled.
        """
        from EARReconstructionLib.scene.comparisons import comparisons_of
        from EARReconstructionLib.scene.tasks import comparison_task

        parameters = self.getParameterNode()
        run, reference = run or parameters.run, reference or parameters.referenceNode
        facts = {"threshold_hu": parameters.referenceThresholdHu, "range_mm": parameters.rangeMm}
        task = comparison_task(slicer.mrmlScene, run, reference, **facts)
        for remark in task.run(progress, cancel):
            logging.warning(remark)
        return comparisons_of(slicer.mrmlScene, run)

    def export(self, folder, run=None, overwrite=False):
        """Write a run (None: that of the parameters) into a folder; return the summary. Raises EARError's kinds."""
        from EARReconstructionLib.panel.models import installed_models
        from EARReconstructionLib.scene.tasks import export_task

        run, models = run or self.getParameterNode().run, installed_models().values()
        options = {"models": models, "overwrite": overwrite, "draw_now": True}
        return export_task(slicer.mrmlScene, run, Path(folder), **options).run()

    def showSampleCase(self):
        """Show the sample case: see loadCase."""
        nodes = self.loadCase(SAMPLE_CASE)
        self.getParameterNode().referenceNode.SetName(_("Sample reference"))
        return nodes


class EARReconstructionTest(ScriptedLoadableModuleTest):
    """The self-test. It needs no network and installs nothing; without torch it leaves out the network's run."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all tests."""
        for test in (self.test_sampleCase, self.test_results, self.test_network):
            self.setUp()
            test()
        self.setUp()

    def test_sampleCase(self):
        """The sample case comes up with both radiographs and its vertebrae, and goes with the scene."""
        from EARReconstructionLib.scene.rois import roi_nodes

        self.delayDisplay("The sample case")
        nodes = EARReconstructionLogic().showSampleCase()
        self.assertEqual([node.GetName() for node in nodes], ["AP", "Lateral"])
        self.assertEqual([node.GetName() for node in roi_nodes(slicer.mrmlScene)][-1], "L5")
        slicer.mrmlScene.Clear()
        self.assertFalse(roi_nodes(slicer.mrmlScene))

    def test_results(self):
        """A result, a ball where L3 is, is shown, compared, exported, saved and loaded."""
        import tempfile

        from EARReconstructionLib.scene.comparisons import comparisons_of
        from EARReconstructionLib.scene.results import runs, show_results

        self.delayDisplay("Results")
        logic = EARReconstructionLogic()
        logic.showSampleCase()
        show_results(slicer.mrmlScene, [_ball("L3")])
        logic.getParameterNode().run = "self-test"
        (compared,) = logic.compare()
        self.assertGreater(compared.error.hd_mm, 10)  # a vertebra is no ball
        with tempfile.TemporaryDirectory() as folder:
            logic.export(Path(folder) / "results")
            written = {path.name for path in (Path(folder) / "results").rglob("*") if path.is_file()}
            self.assertLessEqual({"L3.nrrd", "L3.stl", "distances.csv", "report.html"}, written)
            slicer.util.saveScene(str(Path(folder) / "scene.mrb"))
            slicer.mrmlScene.Clear()
            self.assertFalse(runs(slicer.mrmlScene))
            slicer.util.loadScene(str(Path(folder) / "scene.mrb"))
        self.assertEqual(runs(slicer.mrmlScene), ["self-test"])
        (again,) = comparisons_of(slicer.mrmlScene, "self-test")
        self.assertAlmostEqual(again.error.hd_mm, compared.error.hd_mm, places=3)

    def test_network(self):
        """The bundled model rebuilds L2 of the sample case about as well as it should."""
        from EARReconstructionLib.panel import torch

        missing = torch.missing()
        if missing:
            self.delayDisplay(f"The network is not tested: {', '.join(missing)} is not installed")
            return
        self.delayDisplay("The network")
        logic = EARReconstructionLogic()
        logic.showSampleCase()
        steps = []
        (rebuilt,) = logic.reconstruct(["L2"], device="cpu", progress=lambda *step: steps.append(step))
        self.assertEqual((rebuilt.roi.level, steps[-1][:2]), ("L2", (1, 1)))
        (compared,) = logic.compare()
        self.assertLess(compared.error.assd_mm, 2.5)


def _ball(level):
    """What a network could have made of a vertebra of the scene: a ball of 20 mm radius in the middle of its ROI."""
    from types import SimpleNamespace

    import numpy as np
    from EARReconstructionLib.geometry import cube_affine
    from EARReconstructionLib.scene.nodes import LEVEL
    from EARReconstructionLib.scene.rois import roi_nodes, roi_of

    roi = next(roi_of(node) for node in roi_nodes(slicer.mrmlScene) if node.GetAttribute(LEVEL) == level)
    far_mm = np.linalg.norm(np.indices((31, 31, 31)) * 2.0 - 30, axis=0)
    volume = (1500 - 50 * far_mm).astype(np.float32)
    facts = {"threshold_hu": 500.0, "model": "self-test", "checksum": "", "device": "", "notes": (), "edges": None}
    facts["expected_error_mm"] = None
    facts["ras_from_ijk"] = cube_affine(roi.centre_ras_mm, 31, 2.0)
    return SimpleNamespace(roi=roi, volume_hu=volume, mask=volume > 500, **facts)
