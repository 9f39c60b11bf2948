"""The stand-in's ``qt``: attributes, signals, enumerations and dialogs as in Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class TestAttributes:
    """Qt properties are attributes; their setters are methods; nothing else is there."""

    def test_a_property_is_read_and_written(self, qt: Any) -> None:
        button = qt.QPushButton("Apply")
        assert button.text == "Apply"
        button.text = "Cancel"
        button.setEnabled(False)
        assert (button.text, button.enabled) == ("Cancel", False)

    def test_its_getter_cannot_be_called(self, qt: Any) -> None:
        button = qt.QPushButton("Apply")
        with pytest.raises(TypeError, match="not callable"):
            button.text()
        with pytest.raises(TypeError, match="not callable"):
            qt.QSpinBox().value()

    def test_a_method_that_is_no_property_is_called(self, qt: Any) -> None:
        combo = qt.QComboBox()
        combo.addItem("a", 5)
        assert (combo.count, combo.itemText(0), combo.itemData(0)) == (1, "a", 5)
        assert qt.QWidget().layout() is None

    @pytest.mark.parametrize("name", ["txt", "isenabled", "_private"])
    def test_an_unknown_attribute_raises(self, qt: Any, name: str) -> None:
        button = qt.QPushButton()
        with pytest.raises(AttributeError):
            getattr(button, name)
        with pytest.raises(AttributeError):
            setattr(button, name, 1)

    def test_a_method_cannot_be_overwritten(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="can not be overwritten"):
            qt.QPushButton().setText = "Apply"

    def test_a_property_without_setter_is_read_only(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="not writable"):
            qt.QComboBox().count = 3

    @pytest.mark.parametrize(
        ("name", "value"),
        [("text", None), ("text", 3), ("text", Path("a")), ("enabled", None), ("enabled", "yes"), ("icon", "a.png")],
    )
    def test_a_value_of_the_wrong_type_raises(self, qt: Any, name: str, value: Any) -> None:
        with pytest.raises(AttributeError, match="does not accept"):
            setattr(qt.QPushButton(), name, value)

    def test_a_widget_of_a_module_may_have_attributes_of_its_own(self, qt: Any) -> None:
        class Panel(qt.QWidget):
            def __init__(self) -> None:
                super().__init__()
                self.rows = [1]

            def text(self) -> str:
                return "mine"

        panel = Panel()
        panel.rows.append(2)
        assert (panel.rows, panel.text()) == ([1, 2], "mine")

    def test_children_by_name(self, qt: Any, slicer: Any) -> None:
        panel = qt.QWidget()
        inner = qt.QWidget(panel)
        inner.objectName = "inner"
        box = qt.QCheckBox("x", inner)
        box.name = "box"
        assert panel.inner is inner
        assert slicer.util.childWidgetVariables(panel).box is box
        assert slicer.util.findChild(panel, "box") is box
        with pytest.raises(AttributeError):
            _ = panel.box  # not a direct child

    def test_a_name_does_not_reach_into_children_of_another_name(self, qt: Any) -> None:
        """PythonQt's findChildren with a name, unlike Qt's."""
        panel = qt.QWidget()
        inner = qt.QWidget(panel)
        box = qt.QCheckBox("x", inner)
        box.objectName = "box"
        assert panel.findChildren(qt.QCheckBox) == (box,)
        assert panel.findChildren(qt.QCheckBox, "box") == ()
        assert panel.findChild("QCheckBox") is box

    def test_a_deleted_widget_is_gone(self, qt: Any, desktop: Any) -> None:
        now, later = qt.QLabel("now"), qt.QLabel("later")
        now.delete()
        later.deleteLater()
        desktop.process_events()
        for label in (now, later):
            with pytest.raises((RuntimeError, ValueError)):
                _ = label.text

    def test_className(self, qt: Any) -> None:
        assert qt.QLabel().className() == "QLabel"


class TestEnumerations:
    """PythonQt's enumerations are numbers in the class that holds them."""

    def test_a_number_is_equal(self, qt: Any) -> None:
        heard: list[bool] = []
        box = qt.QCheckBox()
        box.connect("stateChanged(int)", lambda state: heard.append(state == qt.Qt.Checked))
        box.checked = True
        assert heard == [True]
        assert box.checkState() == 2

    def test_they_have_no_scope(self, qt: Any) -> None:
        combo = qt.QComboBox()
        combo.sizeAdjustPolicy = qt.QComboBox.AdjustToContents
        assert combo.sizeAdjustPolicy == qt.QComboBox.AdjustToContents
        label = qt.QLabel()
        label.alignment = qt.Qt.AlignRight | qt.Qt.AlignVCenter
        assert int(label.alignment) == 0x82


class TestSignals:
    """``connect`` takes the full C++ signature."""

    def test_a_slot_gets_what_it_takes(self, qt: Any) -> None:
        heard: list[Any] = []
        button = qt.QPushButton()
        button.checkable = True
        button.connect("clicked(bool)", lambda checked: heard.append(checked))
        button.connect("clicked(bool)", lambda: heard.append("none"))
        button.connect("clicked()", lambda: heard.append("short"))
        button.clicked.connect(lambda: heard.append("bound"))
        button.click()
        assert heard == [True, "none", "short", "bound"]

    @pytest.mark.parametrize("signature", ["clicked(int)", "klicked()", "clicked", "", "textChanged(QString)"])
    def test_a_signal_that_is_not_there_raises(self, qt: Any, signature: str) -> None:
        with pytest.raises(RuntimeError, match="signa"):
            qt.QPushButton().connect(signature, print)

    def test_a_signal_of_qt_6_only(self, qt: Any) -> None:
        with pytest.raises(RuntimeError, match="does not exist"):
            qt.QCheckBox().connect("checkStateChanged(Qt::CheckState)", print)

    def test_the_error_names_the_right_signature(self, qt: Any) -> None:
        with pytest.raises(RuntimeError, match=r"valueChanged\(int\)"):
            qt.QSpinBox().connect("valueChanged(double)", print)

    def test_signatures_are_normalised(self, qt: Any) -> None:
        heard: list[str] = []
        edit = qt.QLineEdit()
        edit.connect("textChanged( const QString & )", heard.append)
        edit.text = "a"
        assert heard == ["a"]

    def test_disconnect(self, qt: Any) -> None:
        heard: list[int] = []
        spin = qt.QSpinBox()
        spin.connect("valueChanged(int)", heard.append)
        spin.value = 1
        assert spin.disconnect("valueChanged(int)", heard.append)
        spin.value = 2
        assert heard == [1]
        assert not spin.disconnect("valueChanged(int)", heard.append)

    def test_a_slot_of_another_object(self, qt: Any) -> None:
        edit, label = qt.QLineEdit(), qt.QLabel()
        edit.connect("textChanged(QString)", label, "setText(QString)")
        edit.text = "b"
        assert label.text == "b"
        with pytest.raises(RuntimeError, match="slot"):
            edit.connect("textChanged(QString)", label, "setTxt(QString)")

    def test_what_is_no_slot_raises(self, qt: Any) -> None:
        with pytest.raises(TypeError):
            qt.QPushButton().connect("clicked()", "a text")

    def test_an_error_in_a_slot_reaches_the_test(self, qt: Any, desktop: Any) -> None:
        def fail() -> None:
            raise ValueError("of the slot")

        button = qt.QPushButton()
        button.connect("clicked()", fail)
        with desktop.expect_uncaught(ValueError):
            button.click()
        with pytest.raises(AssertionError, match="of the slot"):
            desktop.click(button)

    def test_an_expected_error_must_come(self, desktop: Any) -> None:
        with pytest.raises(AssertionError, match="no ValueError"), desktop.expect_uncaught(ValueError):
            pass

    def test_a_timer(self, qt: Any, desktop: Any) -> None:
        heard: list[int] = []
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.connect("timeout()", lambda: heard.append(1))
        timer.start(1)
        qt.QTimer.singleShot(1, lambda: heard.append(2))
        desktop.wait_until(lambda: len(heard) == 2)
        assert not timer.active


class TestClicks:
    """A test clicks what a person could click."""

    def test_disabled_or_hidden_buttons_cannot_be_clicked(self, qt: Any, desktop: Any) -> None:
        panel = qt.QWidget()
        button = qt.QPushButton("x", panel)
        button.enabled = False
        with pytest.raises(AssertionError, match="disabled"):
            desktop.click(button)
        button.enabled = True
        button.hide()
        with pytest.raises(AssertionError, match="not visible"):
            desktop.click(button)


class TestDialogs:
    """No dialog waits: it is kept, and answered by the test."""

    def test_a_message_closes_by_itself(self, slicer: Any, desktop: Any) -> None:
        desktop.show_main_window()
        slicer.util.errorDisplay("It failed.", detailedText="why")
        slicer.util.infoDisplay("Done.")
        assert [(each.text, each.details) for each in desktop.dialogs] == [("It failed.", "why"), ("Done.", "")]

    def test_under_test_slicer_shows_no_message(self, slicer: Any, desktop: Any) -> None:
        desktop.show_main_window()
        desktop.testing = True
        slicer.util.errorDisplay("It failed.")
        slicer.util.confirmOkCancelDisplay("Really?")
        assert desktop.dialogs == []

    def test_a_question_takes_the_answer(self, qt: Any, slicer: Any, desktop: Any) -> None:
        desktop.answer(qt.QMessageBox.Ok)
        assert slicer.util.confirmOkCancelDisplay("Really?")
        desktop.answer(qt.QMessageBox.No)
        assert not slicer.util.confirmYesNoDisplay("Sure?")
        assert [each.text for each in desktop.dialogs] == ["Really?", "Sure?"]

    def test_a_question_without_answer_raises(self, slicer: Any) -> None:
        with pytest.raises(AssertionError, match=r"not laid ready.*Really"):
            slicer.util.confirmOkCancelDisplay("Really?")

    def test_no_browser_is_opened(self, qt: Any, desktop: Any) -> None:
        assert qt.QDesktopServices.openUrl(qt.QUrl("https://example.org"))
        assert [(each.kind, each.text) for each in desktop.dialogs] == [("openUrl", "https://example.org")]

    def test_a_path(self, qt: Any, desktop: Any) -> None:
        desktop.answer("a/b.txt")
        assert qt.QFileDialog.getOpenFileName(None, "Open", "", "Texts (*.txt)") == "a/b.txt"

    def test_an_answer_may_look_at_the_dialog(self, qt: Any, desktop: Any) -> None:
        dialog = qt.QDialog()
        box = qt.QCheckBox("x", dialog)

        def check(shown: Any) -> int:
            shown.findChild(qt.QCheckBox).checked = True
            return int(qt.QDialog.Accepted)

        desktop.answer(check)
        assert dialog.exec() == qt.QDialog.Accepted
        assert box.checked

    def test_tryWithErrorDisplay(self, slicer: Any, desktop: Any) -> None:
        """Slicer shows the error and raises it again."""
        desktop.show_main_window()
        with pytest.raises(ValueError, match="empty"), slicer.util.tryWithErrorDisplay("Cannot compute."):
            raise ValueError("the volume is empty")
        assert "Cannot compute." in desktop.dialogs[0].text
        assert "the volume is empty" in desktop.dialogs[0].text
