"""What a browser may send: names that are safe, and archives and images that reach for nothing outside themselves."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from ..errors import EARError

_LONGEST_NAME = 80

_MOST_FILES = 2000

#: Nodes of windows, and of programs that know more than we: the page has its own.
_OF_WINDOWS = {"Slice", "SliceComposite", "View", "Camera", "Layout", "Crosshair", "Interaction", "Selection"}
_OF_WINDOWS |= {"PlotView", "TableView", "SceneView", "SceneViewStorage", "ScriptedModule", "SegmentEditor"}

#: Attributes in which a node names its files.
_FILES, _ADDRESSES = ("fileName", "fileListMember"), ("uri", "uriListMember")

#: Headers in which an image says that its pixels lie in another file: that would be one of the server's.
_ELSEWHERE = re.compile(rb"^\s*(ElementDataFile\s*=\s*(?!LOCAL\s)|data ?file\s*:)", re.IGNORECASE | re.MULTILINE)

_HEADER_BYTES = 2**16

_SAVE_AGAIN = "Save it again in 3D Slicer as a Medical Reality Bundle (.mrb)"


def safe_name(name: str) -> str:
    """A file's own name without any folder, of letters that every disk takes, its endings kept."""
    kept = re.sub(r"[^\w.() -]", "_", re.split(r"[\\/]", name)[-1]).strip(" .")
    return kept[-_LONGEST_NAME:].lstrip(" .") or "file"


def unpack(path: Path, folder: Path, limit_bytes: int) -> Path:
    """Unpack an .mrb into a new folder and return its .mrml, without the nodes of windows.

    Raises EARError for what is no such archive, for one that is too large, and for one with files outside itself: those
    would be the server's.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_FILES or sum(part.file_size for part in parts) > limit_bytes:
                raise EARError(path.name, "it is too large when it is unpacked", "Remove what is not of EAR from it")
            archive.extractall(folder)  # names that lead out of the folder are changed so that they do not
        (mrml,) = folder.glob("**/*.mrml")
        tree = ElementTree.parse(mrml)
    except (zipfile.BadZipFile, ElementTree.ParseError, ValueError, RuntimeError, NotImplementedError) as error:
        raise EARError(path.name, "it is no scene of 3D Slicer, or damaged", _SAVE_AGAIN) from error
    except OSError as error:
        raise EARError(path.name, f"it could not be unpacked ({error.strerror})", "Make room on the server") from error
    scene = tree.getroot()
    for node in list(scene):
        if node.tag in _OF_WINDOWS:
            scene.remove(node)
    inside = folder.resolve()
    for node in scene.iter():
        for name, text in node.attrib.items():
            own = name.startswith(_FILES)
            if (own and not _is_inside(mrml.parent / unquote(text), inside)) or (text and name.startswith(_ADDRESSES)):
                raise EARError(path.name, "it names files outside of itself", _SAVE_AGAIN)
    if any(lies_elsewhere(file) for file in folder.rglob("*") if file.is_file() and file != mrml):
        raise EARError(path.name, "the pixels of an image in it lie in a second file", _SAVE_AGAIN)
    tree.write(mrml, encoding="utf-8", xml_declaration=True)
    return mrml


def lies_elsewhere(path: Path) -> bool:
    """Whether a file says that its pixels are in another file."""
    with path.open("rb") as file:
        return bool(_ELSEWHERE.search(file.read(_HEADER_BYTES).split(b"\n\n")[0]))


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder)
