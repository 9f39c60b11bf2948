"""The stand-in's reader of .ui files and of sources: what would not work in Slicer raises."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

UI = """
<ui version="4.0"><class>Panel</class>
 <widget class="qMRMLWidget" name="Panel">
  <layout class="QVBoxLayout" name="layout"><item>{item}</item></layout>
 </widget>
 <customwidgets/>
 <connections>{connection}</connections>
</ui>
"""
LABEL = '<widget class="QLabel" name="label"><property name="text"><string>a</string></property></widget>'


def ui(item: str = LABEL, connection: str = "") -> str:
    """The text of a .ui file with one widget."""
    return UI.format(item=item, connection=connection)


def connection(signal: str, slot: str, receiver: str = "label") -> str:
    """The text of one connection of a .ui file."""
    return (
        f"<connection><sender>Panel</sender><signal>{signal}</signal>"
        f"<receiver>{receiver}</receiver><slot>{slot}</slot></connection>"
    )


class TestUiFiles:
    """A .ui file must be right in all its parts."""

    def load(self, slicer: Any, folder: Path, text: str) -> Any:
        path = folder / "Panel.ui"
        path.write_text(text, encoding="utf-8")
        return slicer.util.loadUI(str(path))

    def test_a_file(self, slicer: Any, tmp_path: Path) -> None:
        panel = self.load(slicer, tmp_path, ui())
        assert panel.className() == "qMRMLWidget"
        assert slicer.util.childWidgetVariables(panel).label.text == "a"

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (ui('<widget class="ctkMisspelt" name="x"/>'), "no such class"),
            (ui(LABEL.replace('"text"', '"txt"')), "no property 'txt'"),
            (
                ui(LABEL.replace("QLabel", "ctkSliderWidget")),
                "no property 'text'",
            ),
            (
                ui(
                    '<widget class="ctkPathLineEdit" name="x"><property name="filters">'
                    "<set>ctkPathLineEdit::Folders</set></property></widget>"
                ),
                "no such value",
            ),
            (ui(connection=connection("sceneChanged(vtkMRMLScene*)", "clear()")), "signal"),
            (ui(connection=connection("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")), "slot"),
            (ui(connection=connection("mrmlSceneChanged(vtkMRMLScene*)", "clear()", "nobody")), "not there"),
        ],
        ids=["class", "property", "property of ctk", "value", "signal", "slot", "receiver"],
    )
    def test_what_is_wrong_in_it_raises(self, slicer: Any, tmp_path: Path, text: str, why: str) -> None:
        with pytest.raises(RuntimeError, match=why):
            self.load(slicer, tmp_path, text)

    def test_a_dynamic_property(self, slicer: Any, tmp_path: Path) -> None:
        text = LABEL.replace('name="text"', 'name="SlicerParameterName" stdset="0"').replace(">a<", ">n<")
        panel = self.load(slicer, tmp_path, ui(text))
        assert panel.findChild("QLabel").property("SlicerParameterName") == "n"


class TestSources:
    """What a module's source may not hold."""

    @pytest.mark.parametrize(
        "line",
        [
            "qt.QMessageBox.StandardButton.Ok",
            "dialog.exec_()",
            '_(f"{count} files")',
            "from PySide6 import QtWidgets",
            "import imp",
        ],
    )
    def test_lines_that_slicer_would_not_run(self, desktop: Any, tmp_path: Path, line: str) -> None:
        path = tmp_path / "Panel.py"
        path.write_text(f"def f(dialog, count, _, qt):\n    {line}\n", encoding="utf-8")
        with pytest.raises(SyntaxError, match=r"Panel\.py:2"):
            desktop.load_module(path)

    def test_its_lib_is_looked_at_too(self, desktop: Any, tmp_path: Path) -> None:
        (tmp_path / "PanelLib" / "app").mkdir(parents=True)
        (tmp_path / "PanelLib" / "app" / "form.py").write_text("dialog.exec_()\n", encoding="utf-8")
        (tmp_path / "Panel.py").write_text("class Panel: pass\n", encoding="utf-8")
        with pytest.raises(SyntaxError, match=r"form\.py:1"):
            desktop.load_module(tmp_path / "Panel.py")

    def test_lines_that_it_runs(self, qt: Any, tmp_path: Path) -> None:
        from standin import lint

        path = tmp_path / "Panel.py"
        text = """
            import qt, ctk, slicer
            def f(dialog, count, _):
                dialog.exec()
                return _("{count} files").format(count=count), qt.QMessageBox.Ok, qt.Qt.Checked
        """
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        lint.check(path)
