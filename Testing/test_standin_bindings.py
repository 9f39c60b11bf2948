"""The stand-in's ``slicer.parameterNodeWrapper``: widgets that show parameters and set them."""

from __future__ import annotations

import enum
import logging
import pathlib
from collections.abc import Callable
from typing import Annotated, Any

import pytest


class Speed(enum.Enum):
    """How fast."""

    SLOW = 1
    FAST = 2

    def label(self) -> str:
        """What a person reads."""
        return self.name.capitalize()


Parameters = Callable[..., Any]


class Gui:
    """Widgets by their names, as childWidgetVariables returns them."""


@pytest.fixture
def gui(qt: Any, ctk: Any, slicer: Any) -> Callable[..., Any]:
    """A function that puts widgets under the parameters they show."""

    def make(**widgets: Any) -> Any:
        made = Gui()
        for name, widget in widgets.items():
            widget.setProperty("SlicerParameterName", name)
            setattr(made, f"{name}Widget", widget)
        return made

    return make


class TestGui:
    """Widgets follow parameters and set them."""

    def check(self, made: Any, name: str, widget: Any, key: str, steps: list[tuple[Any, Any]]) -> None:
        """Each value through the node and through the widget. steps: (value of the parameter, of the widget)."""
        for value, shown in steps:
            setattr(made, name, value)
            assert getattr(widget, key) == shown
        for value, shown in reversed(steps):
            setattr(widget, key, shown)
            assert getattr(made, name) == value

    def test_numbers(self, parameters: Parameters, gui: Any, qt: Any, ctk: Any) -> None:
        from slicer.parameterNodeWrapper import Decimals, SingleStep, WithinRange

        bounded = WithinRange(-5, 5)
        made = parameters(
            a=Annotated[float, bounded, Decimals(3), SingleStep(0.5)],
            b=Annotated[int, bounded],
            c=Annotated[int, bounded],
            d=float,
            e=int,
        )
        widgets = gui(
            a=ctk.ctkSliderWidget(), b=ctk.ctkSliderWidget(), c=qt.QSlider(), d=ctk.ctkDoubleSpinBox(), e=qt.QSpinBox()
        )
        made.connectGui(widgets)
        assert (widgets.aWidget.minimum, widgets.aWidget.decimals, widgets.aWidget.singleStep) == (-5.0, 3, 0.5)
        for name in "abcde":
            self.check(made, name, getattr(widgets, f"{name}Widget"), "value", [(1, 1), (-2, -2), (3, 3)])
        assert type(made.b) is int

    def test_a_slider_needs_bounds(self, parameters: Parameters, gui: Any, ctk: Any) -> None:
        with pytest.raises(RuntimeError, match="unbounded"):
            parameters(x=float).connectGui(gui(x=ctk.ctkSliderWidget()))

    def test_flags_and_texts(self, parameters: Parameters, gui: Any, qt: Any, ctk: Any) -> None:
        made = parameters(flag=bool, pressed=bool, line=str, text=str, folder=pathlib.Path)
        widgets = gui(
            flag=qt.QCheckBox(),
            pressed=qt.QPushButton(),
            line=qt.QLineEdit(),
            text=qt.QTextEdit(),
            folder=ctk.ctkPathLineEdit(),
        )
        made.connectGui(widgets)
        for name in ("flag", "pressed"):
            self.check(made, name, getattr(widgets, f"{name}Widget"), "checked", [(True, True), (False, False)])
        self.check(made, "line", widgets.lineWidget, "text", [("a", "a"), ("b", "b")])
        self.check(made, "text", widgets.textWidget, "plainText", [("a\nb", "a\nb"), ("", "")])
        path = pathlib.Path("a") / "b"
        self.check(made, "folder", widgets.folderWidget, "currentPath", [(path, "a/b"), (pathlib.Path("c"), "c")])

    def test_choices(self, parameters: Parameters, gui: Any, qt: Any, ctk: Any) -> None:
        from slicer.parameterNodeWrapper import Choice, Default

        made = parameters(speed=Speed, method=Annotated[str, Choice(["a", "b"]), Default("b")])
        widgets = gui(speed=qt.QComboBox(), method=ctk.ctkComboBox())
        made.connectGui(widgets)
        assert [widgets.speedWidget.itemText(index) for index in range(2)] == ["Slow", "Fast"]
        assert widgets.methodWidget.currentText == "b"
        self.check(made, "speed", widgets.speedWidget, "currentIndex", [(Speed.FAST, 1), (Speed.SLOW, 0)])
        self.check(made, "method", widgets.methodWidget, "currentText", [("a", "a"), ("b", "b")])
        with pytest.raises(RuntimeError, match="Choice"):
            parameters(method=str).connectGui(gui(method=qt.QComboBox()))

    def test_ranges(self, parameters: Parameters, gui: Any, ctk: Any) -> None:
        from slicer.parameterNodeWrapper import FloatRange, RangeBounds

        made = parameters(window=Annotated[FloatRange, RangeBounds(-10, 10)])
        widgets = gui(window=ctk.ctkRangeWidget())
        made.connectGui(widgets)
        widgets.windowWidget.setValues(-2.0, 3.0)
        assert (made.window.minimum, made.window.maximum) == (-2.0, 3.0)
        made.window = FloatRange(0, 1)
        assert (widgets.windowWidget.minimumValue, widgets.windowWidget.maximumValue) == (0.0, 1.0)

    def test_nodes(self, parameters: Parameters, gui: Any, slicer: Any) -> None:
        made = parameters(volume=slicer.vtkMRMLScalarVolumeNode)
        combo = slicer.qMRMLNodeComboBox()
        combo.noneEnabled = True
        combo.setMRMLScene(slicer.mrmlScene)
        made.connectGui(gui(volume=combo))
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        assert combo.nodeTypes == ("vtkMRMLScalarVolumeNode",)
        combo.setCurrentNode(volume)
        assert made.volume is volume
        slicer.mrmlScene.RemoveNode(volume)
        assert (made.volume, combo.currentNode()) == (None, None)

    def test_a_widget_that_cannot_show_the_type(self, parameters: Parameters, gui: Any, qt: Any) -> None:
        with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
            parameters(x=int).connectGui(gui(x=qt.QLineEdit()))

    def test_a_derived_widget_is_not_known(self, parameters: Parameters, gui: Any, qt: Any) -> None:
        """Slicer goes by the exact class."""

        class Line(qt.QLineEdit):
            pass

        with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
            parameters(x=str).connectGui(gui(x=Line()))

    def test_a_parameter_that_is_not_there(self, parameters: Parameters, gui: Any, qt: Any) -> None:
        with pytest.raises(ValueError, match="misspelt"):
            parameters(x=str).connectGui(gui(misspelt=qt.QLineEdit()))

    def test_parameters_by_hand(self, parameters: Parameters, qt: Any) -> None:
        made, edit = parameters(x=str), qt.QLineEdit()
        tag = made.connectParametersToGui({"x": edit})
        edit.text = "a"
        made.disconnectGui(tag)
        edit.text = "b"
        assert made.x == "a"
        made.x = "c"
        assert edit.text == "b"

    def test_connectGui_returns_no_tag(self, parameters: Parameters, gui: Any, qt: Any) -> None:
        """Slicer's issue 7547: the bindings of the module template outlive its disconnectGui."""
        made, edit = parameters(x=str), qt.QLineEdit()
        tag = made.connectGui(gui(x=edit))
        made.disconnectGui(tag)
        edit.text = "a"
        assert (tag, made.x) == (None, "a")

    def test_a_value_that_is_refused_reaches_the_test(self, parameters: Parameters, qt: Any, desktop: Any) -> None:
        from slicer.parameterNodeWrapper import Exclude

        made, edit = parameters(x=Annotated[str, Exclude(["bad"])]), qt.QLineEdit()
        made.connectParametersToGui({"x": edit})
        with desktop.expect_uncaught(ValueError):
            edit.text = "bad"

    def test_the_widget_of_a_parameter(self, qt: Any, slicer: Any) -> None:
        from slicer.parameterNodeWrapper import findChildWidgetForParameter

        panel = qt.QWidget()
        edit = qt.QLineEdit(panel)
        edit.setProperty("SlicerParameterName", "x")
        assert findChildWidgetForParameter(panel, "x") is edit
        assert findChildWidgetForParameter(panel, "y") is None

    def test_a_push_button_becomes_checkable(self, parameters: Parameters, gui: Any, qt: Any, caplog: Any) -> None:
        with caplog.at_level(logging.WARNING):
            parameters(x=bool).connectGui(gui(x=qt.QPushButton()))
        assert "checkable" in caplog.text
