"""Files for the browser: everything as one archive, its parts, and the scene for 3D Slicer."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from ..errors import EARError
from ..job import Cancel, Progress
from ..scene.results import runs
from ..scene.tasks import export_task
from .session import Session

#: Kind -> (file to save, what of the folder of results goes into it). A single file is given as it is.
_PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "everything": ("ear-results.zip", ("**/*",)),
    "stl": ("ear-surfaces-stl.zip", ("surfaces/*.stl",)),
    "nrrd": ("ear-volumes-nrrd.zip", ("volumes/*.nrrd", "*.nrrd")),
    "csv": ("ear-distances.csv", ("distances.csv",)),
    "report": ("ear-report.html", ("report.html",)),
}
_SCENE = "ear-scene.mrb"


class Downloads:
    """Writes what is asked for into the page's folder and hands it out.

    State: can_download (kinds), download (the address of what is ready; the page fetches it).
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.folder / "downloads"
        self._count = 0
        session.state.update({"can_download": [], "download": ""})
        session.bind("Download", self.prepare_download)

    def refresh(self) -> None:
        """What there is to take away."""
        state = self._session.state
        kinds = ["everything", "stl", "nrrd", "report", "mrb"] if runs(self._session.scene) else []
        state.can_download = kinds + (["csv"] if state.measured else [])

    def clear(self) -> None:
        """Take away what was written for the browser."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def prepare_download(self, kind: str) -> None:
        """Write a file; the page fetches it when it is complete."""
        if kind not in self._session.state.can_download:
            raise EARError("Download", "there is nothing of this kind", "Reconstruct, or compare, first")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        write = self._write_scene() if kind == "mrb" else self._write_results(kind)
        self._session.start("Preparing the download", write, self._offer)

    async def give(self, request: web.Request) -> web.StreamResponse:
        """GET /download/NAME."""
        path = self._folder / request.match_info["name"]
        if path.parent != self._folder or not path.is_file():
            raise web.HTTPNotFound(text="This file is no longer there. Ask for it again.")
        return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{path.name}"'})

    def _offer(self, path: Path) -> None:
        self._count += 1  # asked for twice, it is fetched twice
        self._session.state.download = f"download/{path.name}?{self._count}"

    def _write_results(self, kind: str) -> Callable[[Progress, Cancel], Path]:
        name, patterns = _PARTS[kind]
        source, target = self._folder / "results", self._folder / name
        task = export_task(self._session.scene, self._session.state.run, source)

        def work(progress: Progress, cancel: Cancel) -> Path:
            task.work(progress, cancel)
            files = sorted({path for pattern in patterns for path in source.glob(pattern) if path.is_file()})
            if target.suffix != ".zip":
                return Path(shutil.move(files[0], target))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in files:
                    archive.write(path, path.relative_to(source))
            return target

        return work

    def _write_scene(self) -> Callable[[Progress, Cancel], Path]:
        path = self._folder / _SCENE
        self._session.stage.save(path)  # here and now: a scene belongs to one thread

        def work(_: Progress, __: Cancel) -> Path:
            return path

        return work
