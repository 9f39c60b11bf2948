"""A MRML scene with the logics of an application and of Slicer's own modules, on slicer-core."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import slicer
import vtk

from .hierarchy import HierarchyKeeper

#: Module -> its logic. The order matters: the subject hierarchy before the segmentations.
LOGICS = {
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
}


#: Slicer's share folder, as the application names it.
_SHARE = "share/Slicer-5.12"


class Core:
    """The scene and its logics. home: folder that stands for Slicer's own; scene bundles are unpacked in it."""

    def __init__(self, home: Path) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.logic = slicer.vtkSlicerApplicationLogic()
        (home / _SHARE / "ColorFiles").mkdir(parents=True, exist_ok=True)
        (home / "cache").mkdir(exist_ok=True)
        self.logic.SetHomeDirectory(str(home))
        self.logic.SetShareDirectory(_SHARE)
        self.logic.SetMRMLScene(self.scene)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.logic.SetViewLogics(vtk.vtkCollection())
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        self.module_logics = {name: self._add_logic(name, cls) for name, cls in LOGICS.items()}
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        self._hierarchy = HierarchyKeeper(self.scene)
        self._read_bundles(home / "cache")

    def _add_logic(self, name: str, cls: str) -> Any:
        logic = getattr(slicer, cls)()
        # Before the scene: a second colour logic in the other order wipes the colour nodes.
        if hasattr(logic, "SetMRMLApplicationLogic"):
            logic.SetMRMLApplicationLogic(self.logic)
        if name == "Terminologies" and (terminologies := _terminologies()):
            logic.SetModuleShareDirectory(str(terminologies))
        logic.SetMRMLScene(self.scene)
        self.logic.SetModuleLogic(name, logic)
        return logic

    def _read_bundles(self, cache: Path) -> None:
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLApplicationLogic(self.logic)
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        self._data = slicer.vtkDataIOManagerLogic()
        self._data.SetMRMLApplicationLogic(self.logic)
        self._data.SetMRMLScene(self.scene)
        self._data.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()


def _terminologies() -> Path | None:
    """The folder of Slicer's terminology files; slicer-core comes without, trame-slicer with them."""
    spec = importlib.util.find_spec("trame_slicer")
    folder = Path(spec.origin).parent / "resources" / "terminologies" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None
