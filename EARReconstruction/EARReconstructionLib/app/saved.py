"""A scene that was saved here or in 3D Slicer, opened again: radiographs, ROIs, results and their distances."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import EARError
from ..job import Cancel, Progress
from ..scene import display, side_by_side
from ..scene.radiographs import radiograph_nodes
from ..scene.results import runs
from ..scene.rois import roi_nodes
from .files import unpack
from .session import Session
from .steps.results import Results
from .steps.review import Review
from .steps.xrays import XRays

#: An archive may unpack to this many times the largest file that may be sent: volumes of one value shrink to nothing.
_GROWTH = 8


class SavedScene:
    """Takes the place of all that is in the page with what an .mrb holds of ours. upload_mb: the largest upload."""

    def __init__(self, session: Session, upload_mb: int) -> None:
        self._session, self._upload_mb = session, upload_mb
        self._folder = session.folder / "scene"

    def refresh(self) -> None:
        """It shows nothing of its own."""

    def clear(self) -> None:
        """It keeps nothing."""

    def receive(self, path: Path) -> None:
        """An .mrb that was uploaded."""

        def unpacked(_: Progress, __: Cancel) -> Path:
            try:
                return unpack(path, self._folder, 2**20 * _GROWTH * self._upload_mb)
            except BaseException:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise
            finally:
                path.unlink(missing_ok=True)

        self._session.start("Opening the scene", unpacked, lambda mrml: self._show(mrml, path.name))

    def _show(self, mrml: Path, name: str) -> None:
        session = self._session
        session.part(XRays).start_over()
        try:
            session.stage.read(mrml)
        except EARError:
            session.part(XRays).start_over()
            raise
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        scene = session.scene
        there = runs(scene)
        if not there and not radiograph_nodes(scene) and not roi_nodes(scene):
            raise EARError(name, "there is nothing of EAR in it", "Open one that was saved with X-rays or results")
        if side_by_side.is_side_by_side(scene):
            side_by_side.leave(scene)
        session.part(Review).adopt()
        if there:
            session.part(Results).shown(there[-1])
            display.look_at(scene, there[-1])
        session.state.update({"step": "results", "arrangement": "spine"} if there else {"step": "vertebrae"})
        session.say(f"{name} is open.")
