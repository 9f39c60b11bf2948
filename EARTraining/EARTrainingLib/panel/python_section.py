"""Last section: the Python that does the work, and the log of the work. Starts the commands for the other sections."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import qt
from EARReconstructionLib.panel.host import Panel
from EARReconstructionLib.panel.section import Section
from slicer.i18n import tr as _

from . import pythons
from .child import Child, Told

#: How often what a process told is shown, ms.
_SHOW_MS = 200

#: Lines that the log keeps: it must not slow the panel.
_LOG_LINES = 1000


class PythonSection(Section):
    """Chooses the Python, checks it, installs what it lacks, and runs commands with it."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "EARTrainingPython", _("Python and log"))
        self.widget.collapsed = True
        self._child: Child | None = None
        self._told: Told | None = None
        self._checked: pythons.Python | None = None
        self._libraries: dict[str, str] = {}
        self.ui.logText.maximumBlockCount = _LOG_LINES
        self.ui.pythonPath.currentPath = pythons.setting()
        self.ui.ownRadioButton.checked = not pythons.setting()
        self.ui.otherRadioButton.checked = bool(pythons.setting())
        self.ui.ownRadioButton.connect("toggled(bool)", self.onChoice)
        self.ui.pythonPath.connect("currentPathChanged(QString)", self.onChoice)
        self.ui.checkPythonButton.connect("clicked()", self.onCheck)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self._timer = qt.QTimer()
        self._timer.interval = _SHOW_MS
        self._timer.connect("timeout()", self._show)

    def refresh(self) -> None:
        """See Section."""
        other = bool(self.ui.otherRadioButton.checked)
        self.enable(self.ui.ownRadioButton, "", _("Uses the libraries that are installed in 3D Slicer"))
        self.enable(self.ui.otherRadioButton, "", _("Uses, for example, the virtual environment of `make training`"))
        self.enable(
            self.ui.pythonPath,
            "" if other else _("3D Slicer's own Python is chosen"),
            _("Its program: bin/python of a virtual environment, Scripts\\python.exe on Windows"),
        )
        no_program = _("Name its program first") if other and not self.ui.pythonPath.currentPath else ""
        self.enable(self.ui.checkPythonButton, no_program, _("Look which libraries this Python has"))
        self.enable(self.ui.installButton, self._whyNotInstall(other), _("Install what is missing, after asking"))

    def cleanup(self) -> None:
        """See Section."""
        self._timer.stop()
        if self._child is not None:
            self._child.end()  # now: nobody will wait for it to stop by itself
            self._child = None
        super().cleanup()

    def start(
        self, title: str, arguments: list[str], done: Callable[[dict[str, Any]], None], told: Told | None = None
    ) -> None:
        """Run a command `ear` unless other work runs; then ``done`` is called with the fields of its event ``end``.

        told: called with every event, soon after it. What the Python lacks is said before anything is started.
        """
        if self.panel.busy:
            return
        with self.panel.attempt(title):
            python = pythons.chosen()

            def run() -> None:
                self.ui.logText.clear()
                verb, *options = arguments
                command = ["-m", "EARTrainingLib.cli", verb, "--progress-json", *options]
                self._follow(title, python, command, done, told)

            if python == self._checked:
                run()
            else:
                self._check(python, run)

    def tell(self, lines: list[str]) -> None:
        """Add lines to the log."""
        if lines:
            self.ui.logText.appendPlainText("\n".join(lines[-_LOG_LINES:]))

    def onChoice(self, *_arguments: Any) -> None:
        """Another Python."""
        own = bool(self.ui.ownRadioButton.checked)
        pythons.choose("" if own else self.ui.pythonPath.currentPath)
        self._checked, self._libraries = None, {}
        self.ui.librariesLabel.text = ""
        self.panel.changed()

    def onCheck(self) -> None:
        """Look what the Python has."""
        if self.panel.busy:
            return
        with self.panel.attempt(_("Checking Python")):
            self._check(pythons.chosen(), lambda: self.panel.say(_("This Python has all that is needed.")))

    def onInstall(self) -> None:
        """Install what is missing."""
        with self.panel.attempt(_("Installing libraries")):
            pythons.install(self._libraries)
            self._check(pythons.chosen(), lambda: self.panel.say(_("All libraries are installed.")))

    def _whyNotInstall(self, other: bool) -> str:
        if other:
            return _("Only 3D Slicer's own Python is changed from here")
        if not self._libraries:
            return _("Press Check first")
        return "" if not all(self._libraries.values()) else _("Nothing is missing")

    def _check(self, python: pythons.Python, then: Callable[[], None]) -> None:
        def done(end: dict[str, Any]) -> None:
            self._libraries = end["libraries"]
            self.ui.librariesLabel.text = _("Python {version}: {libraries}").format(
                version=end["python"],
                libraries=", ".join(f"{n} {v}" if v else _("no {n}").format(n=n) for n, v in self._libraries.items()),
            )
            try:
                pythons.check(python, self._libraries)
            except Exception:
                self.widget.collapsed = False
                raise
            self._checked = python
            then()

        self._follow(_("Looking for libraries"), python, ["-m", "EARTrainingLib.libraries"], done, None)

    def _follow(
        self,
        title: str,
        python: pythons.Python,
        arguments: list[str],
        done: Callable[[dict[str, Any]], None],
        told: Told | None,
    ) -> None:
        child = Child(title, [python.program, *arguments], pythons.environment(), slicers=python.slicers)
        self._child, self._told = child, told

        def finished(end: dict[str, Any]) -> None:
            self._show()
            self._child = None
            done(end)

        self._timer.start()
        self.panel.start(title, child.follow, finished)

    def _show(self) -> None:
        """Show what the process printed and told since the last time."""
        if self._child is not None:
            self.tell(_all(self._child.lines))
            for event in _all(self._child.events):
                if self._told is not None:
                    self._told(event)
        if not self.panel.busy:
            self._timer.stop()
            self._child = None


def _all(queue: SimpleQueue[Any]) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(queue.get_nowait())
        except Empty:
            return taken
