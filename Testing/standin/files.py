"""Slicer's loading and saving: what slicer.util's functions ask of the application's coreIOManager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

#: File name's end -> type of file, first match wins.
_TYPES = {
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
    ".seg.nrrd": "SegmentationFile",
    ".seg.nhdr": "SegmentationFile",
    ".mrk.json": "MarkupsFile",
    ".fcsv": "MarkupsFile",
    ".ctbl": "ColorTableFile",
    ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile",
    ".nii.gz": "VolumeFile",
    ".nii": "VolumeFile",
    ".mha": "VolumeFile",
    ".mhd": "VolumeFile",
    ".dcm": "VolumeFile",
    ".png": "VolumeFile",
    ".jpg": "VolumeFile",
    ".tif": "VolumeFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".obj": "ModelFile",
    ".ply": "ModelFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".txt": "TextFile",
}

#: Type of file -> class of the node and of its storage.
_NODES = {
    "ModelFile": ("vtkMRMLModelNode", "vtkMRMLModelStorageNode"),
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
    "TransformFile": ("vtkMRMLTransformNode", "vtkMRMLTransformStorageNode"),
    "ColorTableFile": ("vtkMRMLColorTableNode", "vtkMRMLColorTableStorageNode"),
    "TextFile": ("vtkMRMLTextNode", "vtkMRMLTextStorageNode"),
}

_LABEL_MAP, _SINGLE_FILE = 0x1, 0x4


class IOManager:
    """Reads files into the scene and writes nodes into files."""

    def __init__(self, scene: Any, logics: dict[str, Any]) -> None:
        self._scene, self._logics = scene, logics

    def fileType(self, name: str) -> str:
        """The type of a file by its name; "NoFile" for one that Slicer cannot read."""
        lower = str(name).lower()
        return next((kind for end, kind in _TYPES.items() if lower.endswith(end)), "NoFile")

    def fileWriterFileType(self, node: Any) -> str:
        """The type of file that a node is written into."""
        return next((kind for kind, (cls, _) in _NODES.items() if node.IsA(cls)), "VolumeFile")

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        """Read a file; put its nodes into the collection ``loaded``. False when that fails."""
        path = Path(properties["fileName"])
        if not path.is_file():
            _tell(messages, f"{path} is not there")
            return False
        if kind == "SceneFile":
            self._scene.SetURL(str(path))
            clear = properties.get("clear", False)
            if path.suffix == ".mrb":
                return bool(self._scene.ReadFromMRB(str(path), clear))
            return bool(self._scene.Connect() if clear else self._scene.Import())
        node = self._read(kind, path, properties, messages)
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def _read(self, kind: str, path: Path, properties: dict[str, Any], messages: Any) -> Any:
        name = properties.get("name") or path.name.split(".")[0]
        if kind == "VolumeFile":
            options = _SINGLE_FILE * properties.get("singleFile", True) | _LABEL_MAP * properties.get("labelmap", False)
            return self._logics["Volumes"].AddArchetypeVolume(str(path), name, options)
        if kind == "MarkupsFile":
            node_id = self._logics["Markups"].LoadMarkups(str(path), name, messages)
            return self._scene.GetNodeByID(node_id) if node_id else None
        if kind not in _NODES:
            _tell(messages, f"{path.name} is of no known type")
            return None
        cls, storage_class = _NODES[kind]
        node = self._scene.AddNewNodeByClass(cls, name)
        storage = self._scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(str(path))
        if not storage.ReadData(node):
            self._scene.RemoveNode(storage)
            self._scene.RemoveNode(node)
            return None
        node.SetAndObserveStorageNodeID(storage.GetID())
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node

    def saveNodes(self, kind: str, properties: dict[str, Any], messages: Any = None) -> bool:
        """Write the scene, or the node ``properties["nodeID"]``, into ``properties["fileName"]``."""
        path = Path(properties["fileName"]).absolute()
        if kind == "SceneFile":
            return self._save_scene(path, messages)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if not node.GetStorageNode():
            node.AddDefaultStorageNode(str(path))
        storage = node.GetStorageNode()
        storage.SetFileName(str(path))
        return bool(storage.WriteData(node))

    def _save_scene(self, path: Path, messages: Any) -> bool:
        if path.suffix not in (".mrb", ".mrml"):
            _tell(messages, "the stand-in saves a scene as .mrb or .mrml only")
            return False
        self._scene.SetURL(str(path))
        self._scene.SetRootDirectory(str(path.parent))
        return bool(self._scene.WriteToMRB(str(path)) if path.suffix == ".mrb" else self._scene.Commit(str(path)))

    def exportNodes(
        self, ids: list[str], names: list[str], properties: dict[str, Any], harden: bool, messages: Any = None
    ) -> bool:
        """Write nodes into files without a trace in the scene."""
        done = []
        for node_id, name in zip(ids, names, strict=True):
            node = self._scene.GetNodeByID(node_id)
            storage = node.CreateDefaultStorageNode()
            storage.UnRegister(None)
            storage.SetFileName(str(Path(name).absolute()))
            done.append(bool(storage.WriteData(node)))
        return all(done)

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        """The formats that a node can be written in, such as "NRRD (*.nrrd)"."""
        kind = self.fileWriterFileType(node)
        return tuple(f"{end[1:].upper()} (*{end})" for end, each in _TYPES.items() if each == kind)

    def extractKnownExtension(self, name: str, node: Any) -> str:
        """The end of a file name that is a known extension, with its dot."""
        return next((end for end in _TYPES if name.lower().endswith(end)), "")

    def registeredFileReaderCount(self, kind: str) -> int:
        """How many readers a type of file has."""
        return int(kind in _TYPES.values())

    def addDefaultStorageNodes(self) -> None:
        """Give every node that can be stored a storage node."""
        for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
            node.AddDefaultStorageNode()


def _tell(messages: Any, text: str) -> None:
    if messages is not None:
        import vtk

        messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
