"""What all sections share: messages, long work, Cancel, deleted nodes, closed scenes, few refreshes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest


class Gate:
    """Work that a test holds and lets go. It counts how often it was started."""

    def __init__(self, result: Any = "result") -> None:
        self.open, self.result, self.starts = threading.Event(), result, 0

    def __call__(self, progress: Any, cancel: Any) -> Any:
        from EARReconstructionLib.errors import Cancelled

        self.starts += 1
        progress(0, 3, "L1")
        while not self.open.wait(0.005):
            if cancel():
                raise Cancelled
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture
def panel(driver: Any) -> Any:
    """The panel."""
    return driver.panel


class TestAttempt:
    def test_that_goes_well(self, panel: Any) -> None:
        panel.say("old", "error")
        with panel.attempt("Loading") as outcome:
            pass
        assert (outcome.ok, panel.ui.messageLabel.text) == (True, "")

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (MemoryError(), "Loading: there is not enough memory"),
            (OSError(28, "No space left on device", "a.nrrd"), "Loading: No space left on device (a.nrrd)"),
            (ValueError("inner"), "Loading: an unexpected error"),
        ],
    )
    def test_that_fails(self, panel: Any, error: Exception, says: str, caplog: pytest.LogCaptureFixture) -> None:
        with panel.attempt("Loading") as outcome:
            raise error
        assert not outcome.ok
        assert panel.ui.messageLabel.text.startswith(says)
        assert "inner" not in panel.ui.messageLabel.text
        assert "Loading" in caplog.text  # and the log has all of it

    def test_with_a_sentence_of_ours(self, panel: Any, caplog: pytest.LogCaptureFixture) -> None:
        from EARReconstructionLib.errors import Cancelled, EARError

        with panel.attempt("Loading"):
            raise EARError("a.dcm", "it is empty", "Export it again")
        assert panel.ui.messageLabel.text == "a.dcm: it is empty. Export it again."
        with panel.attempt("Loading"):
            raise Cancelled
        assert panel.ui.messageLabel.text == "Loading: cancelled."
        assert not caplog.text

    def test_details(self, driver: Any, slicer: Any) -> None:
        with driver.panel.attempt("Loading"):
            raise ValueError("inner")
        driver.click("detailsButton")
        text = slicer.app.clipboard().text()
        for part in ("Loading: an unexpected error", "ValueError: inner", "3D Slicer: 5.12", "SlicerEAR: ", "torch: "):
            assert part in text
        assert "clipboard" in driver.message


class TestWork:
    def test_it_shows_how_far_it_is(self, driver: Any, panel: Any) -> None:
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append)
        driver.desktop.wait_until(lambda: panel.ui.progressBar.maximum == 3)
        assert panel.busy
        assert panel.ui.progressFrame.isVisibleTo(driver.widget.parent)
        assert panel.ui.progressLabel.text == "1 of 3: L1"
        assert driver.message == "Rebuilding"
        gate.open.set()
        driver.wait()
        assert got == ["result"]
        assert driver.message == ""
        assert not panel.ui.progressFrame.isVisibleTo(driver.widget.parent)

    def test_only_one_at_a_time(self, driver: Any, panel: Any) -> None:
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append)
        panel.start("Rebuilding", gate, got.append)
        gate.open.set()
        driver.wait()
        assert (gate.starts, got) == (1, ["result"])

    def test_cancel(self, driver: Any, panel: Any) -> None:
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append)
        driver.settle()
        driver.click("cancelButton")
        assert not panel.ui.cancelButton.enabled
        driver.wait()
        assert (driver.message, got) == ("Rebuilding: cancelled.", [])
        panel.start("Again", gate, got.append)
        assert panel.ui.cancelButton.enabled
        gate.open.set()
        driver.wait()
        assert got == ["result"]

    def test_it_fails(self, driver: Any, panel: Any) -> None:
        gate = Gate(ValueError("inner"))
        gate.open.set()
        panel.start("Rebuilding", gate, lambda _: None)
        driver.wait()
        assert driver.message.startswith("Rebuilding: an unexpected error")

    def test_showing_its_result_fails(self, driver: Any, panel: Any) -> None:
        gate = Gate()
        gate.open.set()
        panel.start("Rebuilding", gate, lambda _: 1 / 0)
        driver.wait()
        assert driver.message.startswith("Rebuilding: an unexpected error")

    def test_a_node_that_it_needs_is_deleted(self, driver: Any, panel: Any) -> None:
        nodes = [driver.scene.AddNewNodeByClass("vtkMRMLModelNode") for _ in range(2)]
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append, watch=nodes[:1])
        driver.scene.RemoveNode(nodes[1])
        driver.settle()
        assert "deleted" not in driver.message
        driver.scene.RemoveNode(nodes[0])
        driver.wait()
        assert (driver.message, got) == ("Rebuilding: stopped, for a node that it works with was deleted.", [])

    def test_it_ends_although_a_node_is_gone(self, driver: Any, panel: Any) -> None:
        """The work does not ask whether it should stop: its result is dropped all the same."""
        node, got, release = driver.scene.AddNewNodeByClass("vtkMRMLModelNode"), [], threading.Event()
        panel.start("Rebuilding", lambda *_: release.wait(10), got.append, watch=[node])
        driver.scene.RemoveNode(node)
        release.set()
        driver.wait()
        assert (driver.message, got) == ("Rebuilding: stopped, for a node that it works with was deleted.", [])

    def test_the_scene_closes(self, driver: Any, panel: Any) -> None:
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append)
        driver.scene.Clear()
        driver.wait()
        assert (driver.message, got) == ("Rebuilding: stopped, for the scene was closed.", [])

    def test_the_module_goes(self, driver: Any, panel: Any) -> None:
        gate, got = Gate(), []
        panel.start("Rebuilding", gate, got.append)
        driver.desktop.unload_module("EARReconstruction")
        driver.desktop.wait_until(lambda: not [t for t in threading.enumerate() if t.name == "Rebuilding"])
        assert got == []


class TestRefresh:
    def test_many_changes_are_one(self, driver: Any, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        driver.settle()
        calls = []
        monkeypatch.setattr(panel.sections[0], "refresh", lambda: calls.append(1))
        for _ in range(5):
            driver.scene.AddNewNodeByClass("vtkMRMLModelNode")
        driver.parameters.boneWhite = False
        assert calls == []
        driver.settle()
        assert calls == [1]

    def test_undo(self, driver: Any, panel: Any) -> None:
        button = panel.ui.undoButton
        assert (button.enabled, button.toolTip) == (False, "There is nothing to take back")
        node = driver.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        node.SetUndoEnabled(True)
        panel.saveForUndo()
        node.SetName("changed")
        panel.changed()
        driver.settle()
        driver.click("undoButton")
        assert node.GetName() != "changed"
        assert not button.enabled


def test_the_message_is_always_in_sight(driver: Any, tmp_path: Path) -> None:
    """Sections scroll above it, whatever the height of the window."""
    driver.panel.say("A sentence that is so long that it must be broken into more than one line. " * 3, "warning")
    driver.desktop.window.resize(1000, 500)
    driver.settle()
    label, window = driver.panel.ui.messageLabel, driver.desktop.window
    bottom = label.mapTo(window, label.rect.bottomRight())
    assert bottom.y() < window.height
    assert bottom.x() < 500
    driver.desktop.window.resize(1400, 900)
