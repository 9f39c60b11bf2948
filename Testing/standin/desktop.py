"""The desktop as a test drives it: load a module, open its panel, click, drag, wait, look."""

# mypy: disable-error-code="union-attr"
from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import dialogs, extras, failures, install, lint, processes
from .imports import Imports

_SCREEN = (1400, 900)
_MAIN_WINDOW = "qSlicerMainWindow"


class Desktop:
    """One desktop for all tests of a process: Qt and Slicer's factories allow no second one."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="slicer-standin-"))
        self.app = install(self.folder)
        from . import utilities

        #: What modules asked pip for, registered with SampleData (the arguments of each call), and why they restarted.
        self.pip_calls: list[Any] = utilities.pip_calls
        self.sample_data: list[dict[str, Any]] = extras.sample_data
        #: Sample's name -> a function that returns its nodes: what downloading it gives.
        self.downloads = extras.downloads
        self.restarts: list[str] = self.app._d.restarts
        self.window: Any = None
        self._modules: dict[str, Imports] = {}
        self._layouts: Any = None
        self.pytorch = extras.PyTorch()
        extras.add_pytorch(self.pytorch)

    # -- windows and modules

    def show_main_window(self, size: tuple[int, int] = _SCREEN) -> Any:
        """Open the main window with the four-up layout; without it Slicer runs as with --no-main-window."""
        import slicer

        if self.window is None:
            self.window = slicer.qSlicerMainWindow()
            self.window.resize(*size)
            self.layout_manager().setViewport(self.window.centralWidget())
        if not self.window.visible:
            self.window.objectName = _MAIN_WINDOW
            self.app.setLayoutManager(self.layout_manager())
            self._layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
            self.window.show()
            self.process_events()
        return self.window

    def layout_manager(self) -> Any:
        """The layout manager, which makes views; Slicer has it as long as it has a main window."""
        import slicer

        if self._layouts is None:
            self._layouts = slicer.qSlicerLayoutManager()
            self._layouts._start(self.app.applicationLogic(), self.app.mrmlScene())
        return self._layouts

    def load_module(self, path: Path | str) -> Any:
        """Look at a module file and its Lib, load it as Slicer does at its start, and return the module."""
        from . import cpp, modules

        path = Path(path).absolute()
        for source in (path, *sorted((path.parent / f"{path.stem}Lib").rglob("*.py"))):
            lint.check(source)
        if path.stem in self._modules:
            self.unload_module(path.stem)
        before = Imports()
        module = modules.load_scripted(path)
        self._modules[path.stem] = before
        cpp.emit(self.app, "startupCompleted()")
        self.app.disconnect("startupCompleted()")  # each module hears of it once
        self.process_events()
        self.check()
        return module

    def unload_module(self, name: str) -> None:
        """Unload a module as Slicer does when it ends, and forget what it imported from its own folder.

        Raises AssertionError when its panel still observes something after its cleanup.
        """
        import slicer

        from . import modules

        folder = str(Path(getattr(slicer.modules, name.lower()).path).parent)
        before = self._modules.pop(name)
        if self.window is not None and self.window.moduleSelector().selectedModule == name:
            self.window.moduleSelector()._leave()
        panel = getattr(slicer.modules, f"{name}Widget", None)
        modules.unload(name)
        left = [
            f"{observed.GetClassName()}: {method}" for observed, _, method, *_ in getattr(panel, "Observations", ())
        ]
        if left:
            panel.removeObservers()
        for node in _nodes(self.app.mrmlScene(), "vtkMRMLScriptedModuleNode"):
            # The bindings of parameter nodes outlive the panel (see CONNECT_GUI_RETURNS_TAG).
            node.RemoveAllObservers()
        before.restore(folder)
        self.process_events()
        assert not left, f"{name} leaves observers behind: {left}"

    def open(self, name: str) -> Any:
        """Select a module in the main window; return the Python object of its panel."""
        import slicer

        self.show_main_window()
        slicer.util.selectModule(name)
        self.process_events()
        self.check()
        return slicer.util.getModuleWidget(name)

    # -- what a person does

    def click(self, widget: Any) -> None:
        """Click a button or an action. Raises AssertionError when it is hidden or disabled."""
        name = widget.objectName or type(widget).__name__
        assert widget.enabled, f"{name} is disabled"
        if widget.isWidgetType():
            assert widget.isWindow() or widget.isVisibleTo(widget.window()), f"{name} is not visible"
            widget.click()
        else:
            widget.trigger()
        self.process_events()
        self.check()

    def drag(
        self, view: Any, start: tuple[float, float], end: tuple[float, float], steps: int = 8, button: str = "Left"
    ) -> None:
        """Drag the mouse over a slice or 3-D view. Pixels from the view's lower left corner, as VTK counts them."""
        interactor = view.interactorStyle().GetInteractor()
        points = np.linspace(start, end, steps + 1)
        self._move(interactor, points[0])
        getattr(interactor, f"{button}ButtonPressEvent")()
        for point in points[1:]:
            self._move(interactor, point)
        getattr(interactor, f"{button}ButtonReleaseEvent")()
        self.process_events()
        self.check()

    @staticmethod
    def _move(interactor: Any, point: Any) -> None:
        interactor.SetEventInformation(round(float(point[0])), round(float(point[1])))
        interactor.MouseMoveEvent()

    def answer(self, *answers: Any) -> None:
        """Lay answers ready for the coming dialogs: a path, a button, or a function of the dialog."""
        dialogs.answers.extend(answers)

    @property
    def dialogs(self) -> list[dialogs.Dialog]:
        """The dialogs since the test began."""
        return dialogs.shown

    # -- what modules asked for

    @property
    def testing(self) -> bool:
        """Whether Slicer runs with --testing: it shows no messages then, and answers questions itself."""
        return self.app.testingEnabled()

    @testing.setter
    def testing(self, testing: bool) -> None:
        self.app._d.testing = testing

    def as_slicer_5_10(self) -> contextlib.AbstractContextManager[None]:
        """Inside, Slicer is version 5.10: no slicer.packaging, and launchConsoleProcess waits."""
        from . import utilities

        return utilities.as_slicer_5_10()

    # -- time

    def process_events(self) -> None:
        """Let Qt handle what waits, deletions included."""
        from PySide6 import QtCore

        for _ in range(2):
            self.app.processEvents()
            QtCore.QCoreApplication.sendPostedEvents(None, int(QtCore.QEvent.Type.DeferredDelete))

    def wait_until(self, happened: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Let events be handled until something is true. Raises AssertionError after timeout_s."""
        until = time.monotonic() + timeout_s
        while not happened():
            self.process_events()
            self.check()
            assert time.monotonic() < until, f"not within {timeout_s:g} s"
            time.sleep(0.005)
        self.process_events()
        self.check()

    def check(self) -> None:
        """Raise UncaughtError for errors that a slot, an observer or a thread left behind."""
        failures.raise_first()

    @contextlib.contextmanager
    def expect_uncaught(self, kind: type[BaseException] = Exception) -> Iterator[None]:
        """Inside, an error of this kind is left behind, and that is right. Raises AssertionError when it is not."""
        self.check()
        found: list[BaseException | None] = []
        try:
            yield
        except failures.UncaughtError as error:
            found.append(error.__cause__)
        found += failures.uncaught
        failures.forget()
        assert found, f"no {kind.__name__} was left behind"
        assert isinstance(found[0], kind), found

    # -- pictures

    def grab(self, widget: Any, path: Path | str | None = None) -> npt.NDArray[np.uint8]:
        """What a widget shows: (height, width, 3), first row at the top. path: also written there, as PNG."""
        from PySide6 import QtGui

        from .mrml_views import looking

        self.process_events()
        with looking():
            image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
        if path is not None:
            assert image.save(str(path)), f"{path} could not be written"
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        self.check()
        return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()

    # -- between tests

    def clear(self) -> None:
        """As after a start of Slicer without main window: no nodes, no modules of the test, nothing running."""
        self.end_work()
        for name in list(self._modules):
            self.unload_module(name)
        if self.window is not None:
            # It cannot be made twice, so it hides, and nobody finds it.
            self.window.hide()
            self.window.objectName = ""
            self.app.setLayoutManager(None)
        scene = self.app.mrmlScene()
        scene.Clear()
        for node in _nodes(scene, "vtkMRMLScriptedModuleNode"):
            scene.RemoveNode(node)
        self.app.userSettings().clear()
        self.app.revisionUserSettings().clear()
        self.testing = False
        self.pytorch.reset()
        for asked in (self.restarts, self.pip_calls, self.sample_data, self.downloads):
            asked.clear()
        dialogs.forget()
        self.process_events()
        failures.forget()

    def end_work(self, timeout_s: float = 10.0) -> list[Any]:
        """End all processes that modules started, wait for threads; return what had to be ended."""
        ended = processes.end_all()
        until = time.monotonic() + timeout_s
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                while thread.is_alive() and time.monotonic() < until:
                    self.process_events()
                    thread.join(0.01)
                assert not thread.is_alive(), f"the thread {thread.name} does not end"
        return ended

    def close(self) -> None:
        """End the desktop."""
        self.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _nodes(scene: Any, kind: str) -> list[Any]:
    found = scene.GetNodesByClass(kind)
    found.UnRegister(None)
    return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
