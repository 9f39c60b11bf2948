"""What can be seen in a module's source that works on PySide6 and not in Slicer, or not in every Slicer."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from . import enums

#: Packages that Slicer does not have, or Python 3.12 has no more.
_MISSING = ("PySide2", "PySide6", "PyQt5", "PyQt6", "qtpy", "PythonQt", "imp", "distutils")


class SourceError(SyntaxError):
    """A line that Slicer would not run."""


def check(path: Path) -> None:
    """Look at one Python file. Raises SourceError with every such line."""
    state = path.stat()
    _check(path, state.st_mtime_ns, state.st_size)


@cache
def _check(path: Path, *_: int) -> None:
    """Once for each state of a file: an error is not kept."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    found = [f"{path.name}:{node.lineno} {text}" for node in ast.walk(tree) if (text := _wrong(node))]  # type: ignore[attr-defined]
    if found:
        raise SourceError("\n".join(found))


def _wrong(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and node.attr == "exec_":
        return "exec_() is gone with Qt 6: exec()"
    if isinstance(node, ast.Attribute) and _is_scoped_enumeration(node):
        return f"{ast.unparse(node)}: PythonQt has enumerations without their scope"
    if _translates(node) and any(isinstance(argument, ast.JoinedStr) for argument in node.args):  # type: ignore[attr-defined]
        return "an f-string cannot be translated: _('...').format(...)"
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    wrong = [name for name in names if name.split(".")[0] in _MISSING]
    return f"{', '.join(wrong)}: not in Slicer, which has qt and ctk and Python 3.12" if wrong else ""


def _translates(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "translate")


def _is_scoped_enumeration(node: ast.Attribute) -> bool:
    """``qt.QMessageBox.StandardButton.Ok``"""
    parts = ast.unparse(node).split(".")
    if len(parts) != 4 or parts[0] != "qt":
        return False
    import qt

    holder = getattr(qt, parts[1], None)
    return enums.is_qt_enumeration(getattr(holder, parts[2], None))
