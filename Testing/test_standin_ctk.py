"""The stand-in's ``ctk``, and the tables from which its classes are made."""

# mypy: disable-error-code="has-type"
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Heard(list[Any]):
    """What a signal sent, one entry for each time."""

    def __init__(self, sender: Any, signature: str) -> None:
        super().__init__()
        sender.connect(signature, self.add)

    def add(self, *arguments: Any) -> None:
        """Keep one."""
        self.append(arguments[0] if len(arguments) == 1 else arguments)


class TestTables:
    """Every class of the tables is there, with what its table says and no more."""

    @pytest.fixture
    def made(self, desktop: Any) -> dict[str, Any]:
        from standin import cpp

        return cpp.made

    def test_every_class_is_made(self, made: dict[str, Any], ctk: Any, slicer: Any) -> None:
        from standin import declared

        assert set(made) == set(declared.classes())
        for name, cls in made.items():
            if not name.startswith("ctkVTK"):
                assert getattr(ctk if name.startswith("ctk") else slicer, name) is cls

    def test_every_widget_has_its_properties_and_signals(self, made: dict[str, Any]) -> None:
        from PySide6.QtWidgets import QMainWindow, QWidget
        from standin import declared

        for name, table in declared.classes().items():
            # Views need a scene's node before they can be asked, modules a file.
            if not issubclass(made[name], QWidget) or issubclass(made[name], QMainWindow) or "View" in name:
                continue
            if "Slice" in name or "Three" in name or "Plot" in name or "TableWidget" in name:
                continue
            widget = made[name]()
            for key in table.properties:
                getattr(widget, key)
            for signature in table.signals:
                widget.connect(signature, print)
            assert widget.className() == name

    @pytest.mark.parametrize("line", ["property bool", "singal x()", "slot y"])
    def test_a_line_that_says_nothing_raises(self, desktop: Any, line: str) -> None:
        from standin import declared

        with pytest.raises(ValueError, match="not a property"):
            declared._add(declared.Declared("X", "QWidget"), line)

    def test_a_body_may_have_no_name_that_the_table_does_not_know(self, desktop: Any) -> None:
        from standin import cpp

        with pytest.raises(TypeError, match="does not know"):
            type("ctkMenuButton", (cpp.base("ctkMenuButton"),), {"openMenu": lambda self: None})

    def test_a_body_must_have_every_method(self, desktop: Any) -> None:
        from standin import cpp

        with pytest.raises(TypeError, match="has no body"):
            type("qMRMLWidget", (cpp.base("qMRMLWidget"),), {})

    def test_a_class_of_a_module_may_add_what_it_likes(self, ctk: Any) -> None:
        class Factor(ctk.ctkSliderWidget):
            def double(self) -> None:
                self.value = 2 * self.value

        factor = Factor()
        factor.value = 3.0
        factor.double()
        assert factor.value == 6.0


class TestSliderWidget:
    """ctkSliderWidget."""

    def test_value(self, ctk: Any) -> None:
        slider = ctk.ctkSliderWidget()
        heard = Heard(slider, "valueChanged(double)")
        slider.minimum, slider.maximum, slider.decimals = -5.0, 50.0, 1
        slider.value = 12.34
        slider.setValue(100)
        assert (slider.value, heard) == (50.0, [12.3, 50.0])

    def test_what_is_no_slot_in_ctk_does_not_exist(self, ctk: Any) -> None:
        """Python sees properties, slots and invokable methods of a C++ class only."""
        with pytest.raises(AttributeError):
            ctk.ctkSliderWidget().setMinimum(3)

    @pytest.mark.parametrize("value", ["12", None])
    def test_a_value_of_the_wrong_type(self, ctk: Any, value: Any) -> None:
        slider = ctk.ctkSliderWidget()
        with pytest.raises(AttributeError, match="does not accept"):
            slider.value = value
        with pytest.raises(ValueError, match="wrong arguments"):
            slider.setValue(value)

    def test_numbers_of_numpy(self, ctk: Any) -> None:
        import numpy as np

        slider = ctk.ctkSliderWidget()
        slider.value = np.float64(4.0)
        assert slider.value == 4.0

    def test_a_wrong_signature(self, ctk: Any) -> None:
        with pytest.raises(RuntimeError, match=r"it has valueChanged\(double\)"):
            ctk.ctkSliderWidget().connect("valueChanged(int)", print)


class TestOtherNumbers:
    """ctkDoubleSpinBox, ctkDoubleSlider, ctkRangeWidget."""

    def test_double_spin_box(self, ctk: Any) -> None:
        spin = ctk.ctkDoubleSpinBox()
        numbers, texts = Heard(spin, "valueChanged(double)"), Heard(spin, "valueChanged(QString)")
        spin.suffix = " mm"
        spin.value = 4.5
        assert (numbers, texts, spin.cleanText) == ([4.5], ["4.50 mm"], "4.50")

    def test_double_slider(self, ctk: Any) -> None:
        slider = ctk.ctkDoubleSlider()
        heard = Heard(slider, "valueChanged(double)")
        slider.maximum = 2.0
        slider.value = 1.5
        slider.value = 9.0
        assert heard == [1.5, 2.0]

    def test_range(self, ctk: Any) -> None:
        widget = ctk.ctkRangeWidget()
        heard = Heard(widget, "valuesChanged(double,double)")
        widget.setRange(0.0, 10.0)
        widget.setValues(2.0, 5.0)
        widget.minimumValue = 6.0  # pushes the upper value
        assert (widget.minimum, widget.maximum, heard[-2:]) == (0.0, 10.0, [(2.0, 5.0), (6.0, 6.0)])


class TestCollapsibleButton:
    """ctkCollapsibleButton and ctkCollapsibleGroupBox."""

    def test_its_contents(self, qt: Any, ctk: Any, desktop: Any) -> None:
        panel = qt.QWidget()
        button = ctk.ctkCollapsibleButton(panel)
        button.text = "Inputs"
        form = qt.QFormLayout(button)
        edit, hidden = qt.QLineEdit(), qt.QLabel("hidden")
        form.addRow("Line", edit)
        form.addRow(hidden)
        hidden.hide()
        heard = Heard(button, "contentsCollapsed(bool)")
        panel.show()
        button.collapsed = True
        assert not edit.visible
        edit.show()  # takes effect when it is opened
        assert not edit.visible
        desktop.click(button)
        assert (edit.visible, hidden.visible, button.collapsed) == (True, False, False)
        assert heard == [True, False]

    def test_group_box(self, ctk: Any, qt: Any) -> None:
        box = ctk.ctkCollapsibleGroupBox()
        label = qt.QLabel("x", box)
        box.collapsed = True
        assert not label.isVisibleTo(box)
        later = qt.QLabel("made after it was collapsed, as those of a .ui file are", box)
        later.show()
        assert not later.isVisibleTo(box)
        box.collapsed = False
        assert label.isVisibleTo(box)
        assert later.isVisibleTo(box)


class TestChoosers:
    """ctkPathLineEdit, ctkDirectoryButton, ctkComboBox, ctkCheckableComboBox, ctkColorPickerButton."""

    def test_path(self, ctk: Any, desktop: Any, tmp_path: Path) -> None:
        edit = ctk.ctkPathLineEdit()
        edit.filters = ctk.ctkPathLineEdit.Dirs
        paths, valid = Heard(edit, "currentPathChanged(QString)"), Heard(edit, "validInputChanged(bool)")
        edit.currentPath = "not/there"
        desktop.answer(str(tmp_path))
        edit.browse()
        assert (paths, valid) == (["not/there", str(tmp_path)], [True])
        assert desktop.dialogs[0].kind == "getExistingDirectory"

    def test_a_path_is_a_text(self, ctk: Any, tmp_path: Path) -> None:
        with pytest.raises(AttributeError, match="does not accept"):
            ctk.ctkPathLineEdit().currentPath = tmp_path

    def test_the_history_of_paths(self, ctk: Any, tmp_path: Path) -> None:
        for name in ("a", "b"):
            edit = ctk.ctkPathLineEdit()
            edit.settingKey = "example"
            edit.currentPath = name
            edit.addCurrentPathToHistory()
        edit.retrieveHistory()
        assert [edit.comboBox().itemText(index) for index in range(2)] == ["b", "a"]

    def test_directory(self, ctk: Any, desktop: Any, tmp_path: Path) -> None:
        button = ctk.ctkDirectoryButton()
        heard = Heard(button, "directoryChanged(QString)")
        button.directory = str(tmp_path)
        button.directory = str(tmp_path)
        assert heard == [str(tmp_path)]

    def test_combo_box(self, ctk: Any) -> None:
        combo = ctk.ctkComboBox()
        for text, data in (("One", "1"), ("Two", "2")):
            combo.addItem(text, data)
        heard = Heard(combo, "currentIndexChanged(int)")
        combo.currentUserDataAsString = "2"
        assert (combo.currentText, heard) == ("Two", [1])

    def test_checkable_combo_box(self, ctk: Any, qt: Any) -> None:
        combo = ctk.ctkCheckableComboBox()
        combo.addItem("a")
        combo.addItem("b")
        heard = Heard(combo, "checkedIndexesChanged()")
        combo.setCheckState(combo.model().index(1, 0), qt.Qt.Checked)
        assert [index.row() for index in combo.checkedIndexes()] == [1]
        assert len(heard) == 1
        assert not combo.allChecked()

    def test_colour(self, ctk: Any, qt: Any, desktop: Any) -> None:
        button = ctk.ctkColorPickerButton()
        heard = Heard(button, "colorChanged(QColor)")
        desktop.answer(qt.QColor("#ff0000"))
        desktop.click(button)
        assert (button.color.name(), button.text, len(heard)) == ("#ff0000", "#ff0000", 1)

    def test_a_button_with_a_box(self, ctk: Any, qt: Any) -> None:
        button = ctk.ctkCheckablePushButton()
        heard = Heard(button, "checkBoxToggled(bool)")
        button.checkState = int(qt.Qt.Checked)
        assert (button.checkable, heard) == (True, [True])
