"""What the sections of a panel share: messages, long work with progress and Cancel, and when to look at the scene."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import Cancelled, EARError
from ..job import Cancel, Job, Progress
from .details import details
from .section import Section

T = TypeVar("T")

#: A job is looked at this often, and each time its thread gets the interpreter for this long, in ms. While it waits
#: for the user, the main thread of 3D Slicer is in Qt's event loop, called from C++, and need not let go of Python's
#: global lock: then a thread runs only while some Python code of the main thread sleeps.
_POLL_MS, _YIELD_MS = 5, 20

_ICONS = {"info": "Information", "warning": "Warning", "error": "Critical"}


@dataclass
class Outcome:
    """Whether what was attempted went well."""

    ok: bool = False


class Panel(VTKObservationMixin):
    """The panel of one module: a column of sections over a line of messages, progress and Cancel.

    widget: the module's ScriptedLoadableModuleWidget. uiName: of the frame's .ui file, without the ending.
    """

    def __init__(self, widget: Any, uiName: str) -> None:
        super().__init__()
        self.widget = widget
        self.parameterNode: Any = None
        self.sections: list[Section] = []
        frame = slicer.util.loadUI(widget.resourcePath(f"UI/{uiName}.ui"))
        widget.layout.addWidget(frame)
        frame.setMRMLScene(slicer.mrmlScene)
        self.ui: Any = slicer.util.childWidgetVariables(frame)
        self.ui.cancelButton.connect("clicked()", self.cancel)
        self.ui.detailsButton.connect("clicked()", self.copyDetails)
        self.ui.undoButton.connect("clicked()", self.undo)
        self._trouble: BaseException | None = None
        self._job: Job[Any] | None = None
        self._title = ""
        self._done: Callable[[Any], None] | None = None
        self._watched: list[Any] = []
        self._dropped = ""
        self._refreshTimer = make_timer(0, self._refresh, once=True)
        self._pollTimer = make_timer(_POLL_MS, self._poll)
        self._undoWasOn = bool(self.scene.GetUndoFlag())
        self.scene.SetUndoOn()
        for event in ("NodeAdded", "NodeRemoved", "EndImport", "EndClose", "EndUndo", "EndRedo", "EndBatchProcess"):
            self.addObserver(self.scene, getattr(self.scene, f"{event}Event"), self._onScene)
        self.addObserver(self.scene, self.scene.StartCloseEvent, self._onStartClose)
        self.say("")
        self.changed()

    @property
    def scene(self) -> Any:
        """The scene of the application."""
        return slicer.mrmlScene

    def add(self, section: Section) -> None:
        """Put a section below the others."""
        self.sections.append(section)
        layout = self.ui.sections.layout()
        layout.insertWidget(layout.count() - 1, section.widget)  # before the spacer
        section.setParameterNode(self.parameterNode)
        self.changed()

    def setParameterNode(self, node: Any) -> None:
        """Show another parameter node; None: there is none, for the scene closes or the panel goes."""
        if self.parameterNode is not None:
            self.removeObserver(self.parameterNode, "ModifiedEvent", self._onParameters)
        self.parameterNode = node
        if node is not None:
            _hold(node.parameterNode)
            self.addObserver(node, "ModifiedEvent", self._onParameters)
        for section in self.sections:
            section.setParameterNode(node)
        self.changed()

    def cleanup(self) -> None:
        """The panel goes: end the work, close the sections, listen no more."""
        if self._job is not None:
            self._job.cancel()
        self._job, self._done, self._watched = None, None, []
        self.setParameterNode(None)
        for section in self.sections:
            section.cleanup()
        self.sections = []
        end_timer(self._refreshTimer, self._refresh)
        end_timer(self._pollTimer, self._poll)
        self.removeObservers()
        if not self._undoWasOn:
            self.scene.SetUndoOff()

    # -- what the user reads

    def say(self, text: str, kind: str = "info") -> None:
        """Show one or two sentences. kind: "info", "warning" or "error"."""
        style = self.ui.messageLabel.style()
        icon = style.standardIcon(getattr(qt.QStyle, f"SP_MessageBox{_ICONS[kind]}"))
        self.ui.messageIcon.setPixmap(icon.pixmap(16, 16))
        self.ui.messageLabel.text = text
        self.ui.messageIcon.setVisible(bool(text))

    @contextmanager
    def attempt(self, step: str) -> Iterator[Outcome]:
        """Whatever goes wrong inside becomes a sentence, never an exception. step: what is done, for that sentence."""
        self.say("")
        outcome = Outcome()
        try:
            yield outcome
            outcome.ok = True
        except Cancelled:
            self.say(_("{step}: cancelled.").format(step=step))
        except Exception as error:
            self._trouble = error
            self.say(_sentence(step, error), "error")
            if not isinstance(error, EARError):
                logging.error("%s", step, exc_info=error)
        finally:
            self.changed()

    def copyDetails(self) -> None:
        """Put the last trouble with its log and all versions on the clipboard, for a report to the developers."""
        slicer.app.clipboard().setText(details(self.ui.messageLabel.text, self._trouble))
        self.say(_("The details are on the clipboard. Paste them into your message."))

    # -- the scene

    def changed(self) -> None:
        """Ask for one refresh of all sections soon, however often this is called."""
        self._refreshTimer.start()

    def saveForUndo(self) -> None:
        """Call this before a change that the user may want back."""
        self.scene.SaveStateForUndo()

    def undo(self) -> None:
        """Take back the last change."""
        with self.attempt(_("Undo")):
            self.scene.Undo()

    def _refresh(self) -> None:
        levels = self.scene.GetNumberOfUndoLevels()
        self.ui.undoButton.enabled = levels > 0 and not self.busy
        self.ui.undoButton.toolTip = _("Take back the last change") if levels else _("There is nothing to take back")
        self.ui.progressFrame.setVisible(self.busy)
        for section in self.sections:
            section.refresh()

    def _onScene(self, *_arguments: Any) -> None:
        if any(not self.scene.IsNodePresent(node) for node in self._watched):
            self._drop(_("{title}: stopped, for a node that it works with was deleted."))
        self.changed()

    def _onStartClose(self, *_arguments: Any) -> None:
        self._drop(_("{title}: stopped, for the scene was closed."))

    def _onParameters(self, *_arguments: Any) -> None:
        self.changed()

    # -- long work

    @property
    def busy(self) -> bool:
        """Whether a job runs, or ends."""
        return self._job is not None

    @property
    def busyReason(self) -> str:
        """Why nothing can be changed now; empty when it can."""
        return _("Wait for the work to end, or cancel it") if self.busy else ""

    def start(
        self,
        title: str,
        work: Callable[[Progress, Cancel], T],
        done: Callable[[T], None],
        *,
        watch: Iterable[Any] = (),
    ) -> None:
        """Run ``work`` on a thread, and then ``done(result)`` on this one, inside ``attempt(title)``.

        Nothing happens while other work runs. watch: nodes without which the result is worth nothing; when one is
        deleted or the scene closes, the work is cancelled and ``done`` is not called.
        """
        if self.busy:
            return
        self.say(title)
        self._title, self._done, self._watched, self._dropped = title, done, list(watch), ""
        self._job = Job(work, title)
        self.ui.cancelButton.enabled = True
        self._showProgress()
        self._pollTimer.start()
        self._refresh()

    def cancel(self) -> None:
        """Ask the work to stop."""
        if self._job is not None:
            self._job.cancel()
            self.ui.cancelButton.enabled = False
            self.say(_("{title}: stopping ...").format(title=self._title))

    def _drop(self, sentence: str) -> None:
        if self._job is not None and not self._dropped:
            self._dropped, self._watched = sentence.format(title=self._title), []
            self.cancel()

    def _poll(self) -> None:
        job = self._job
        if job is None:
            return
        if job.running:
            time.sleep(_YIELD_MS / 1000)
            self._showProgress()
            return
        self._pollTimer.stop()
        done, dropped = self._done, self._dropped
        self._job, self._done, self._watched = None, None, []
        if dropped:
            self.say(dropped, "warning")
            self.changed()
            return
        with self.attempt(self._title):
            result = job.result()
            if done is not None:
                done(result)

    def _showProgress(self) -> None:
        if self._job is None:
            return
        now, bar = self._job.progress, self.ui.progressBar
        bar.setRange(0, now.total)
        bar.value = min(now.done, now.total)
        step = _("{k} of {n}: {what}").format(k=min(now.done + 1, now.total), n=now.total, what=now.what)
        if now.remaining_s is not None:
            step = _("{step}, about {time} left").format(step=step, time=_duration(now.remaining_s))
        self.ui.progressLabel.text = step if now.total else _("Starting ...")


def _hold(node: Any) -> None:
    """Keep the Python object of a parameter node for good, beyond the panel and a reload.

    connectGui leaves an observer behind that holds the wrapper, and the wrapper holds the node. When nobody else does,
    Python's garbage collector takes such a ring apart although the node lives on in the scene, and the next change of
    the node calls what is left of the observer: 3D Slicer crashes.
    """
    held = vars(slicer.modules).setdefault("EARParameterNodes", [])
    if node not in held:
        held.append(node)


def make_timer(interval_ms: int, target: Callable[[], None], *, once: bool = False) -> Any:
    """A timer that calls ``target``; not started."""
    timer = qt.QTimer()
    timer.interval = interval_ms
    timer.singleShot = once
    timer.connect("timeout()", target)
    return timer


def end_timer(timer: Any, target: Callable[[], None]) -> None:
    """Stop a timer for good: it holds what it calls, which holds the timer, and no garbage collector sees that."""
    timer.stop()
    timer.disconnect("timeout()", target)


def _sentence(step: str, error: Exception) -> str:
    if isinstance(error, EARError):
        return str(error)
    if isinstance(error, MemoryError):
        return _("{step}: there is not enough memory. Close other programs or scenes, or do less at once.").format(
            step=step
        )
    if isinstance(error, OSError) and error.strerror:
        return _("{step}: {cause} ({file}). Check the disk and your permissions.").format(
            step=step, cause=error.strerror, file=error.filename or "-"
        )
    return _("{step}: an unexpected error. Copy the details and report them.").format(step=step)


def _duration(seconds: float) -> str:
    """ "40 s" or "3 min"; in steps, so that it does not flicker."""
    if seconds < 90:
        return _("{count} s").format(count=max(5 * round(seconds / 5), 1))
    return _("{count} min").format(count=round(seconds / 60))
