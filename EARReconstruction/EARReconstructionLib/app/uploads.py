"""Files that a browser sends: few, not too large, kept in the page's private folder as long as they are needed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from aiohttp import web

from ..errors import EARError
from ..radiograph import ROLES
from .files import lies_elsewhere, safe_name
from .saved import SavedScene
from .session import Session
from .steps.reconstruct import Reconstruct
from .steps.review import Review
from .steps.xrays import XRays

#: What a file may be for; the newest of each is kept.
PURPOSES = (*ROLES, "reference", "model", "scene")


class Uploads:
    """Takes files for a session. upload_mb: the largest."""

    def __init__(self, session: Session, upload_mb: int) -> None:
        self._session, self._limit_mb = session, upload_mb
        self._folder = session.folder / "uploads"
        self._in_turn = asyncio.Lock()

    async def take(self, request: web.Request) -> web.Response:
        """POST /upload/PURPOSE?name=FILE with the file as its body."""
        purpose = request.match_info["purpose"]
        if purpose not in PURPOSES:
            raise web.HTTPNotFound
        async with self._in_turn:  # two files chosen together: the second waits until the first is read
            with self._session.state, self._session.attempt("Opening a file"):
                path = await self._store(request, purpose)
                self._session.say("")
                self._hand_over(purpose, path)
            self._session.refresh()
            await self._session.settled()
        return web.Response(status=204)

    def _hand_over(self, purpose: str, path: Path) -> None:
        """Give a file to the part of the page that wants it."""
        part = self._session.part
        if purpose == "reference":
            part(Review).receive(path)
        elif purpose == "model":
            part(Reconstruct).receive(path)
        elif purpose == "scene":
            part(SavedScene).receive(path)
        else:
            part(XRays).receive(purpose, path)

    async def _store(self, request: web.Request, purpose: str) -> Path:
        name = safe_name(request.query.get("name", ""))
        busy = EARError(name, "another step is running", "Wait for it, or cancel it")
        if self._session.state.busy:
            raise busy
        size, limit = 0, self._limit_mb * 2**20
        too_large = EARError(name, f"it is larger than {self._limit_mb} MB", "Start with --upload-mb to allow more")
        if (request.content_length or 0) > limit:
            raise too_large
        folder = self._folder / purpose
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = folder / name
        try:
            with path.open("wb") as file:
                async for piece in request.content.iter_chunked(2**18):
                    size += len(piece)
                    if size > limit:
                        raise too_large
                    file.write(piece)
        except OSError as error:
            raise EARError(name, f"the server cannot keep it ({error.strerror})", "Make room there") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if not size:
            raise EARError(name, "it is empty", "Choose another file")
        if self._session.state.busy:  # started while the file came
            raise busy
        if lies_elsewhere(path):
            shutil.rmtree(folder, ignore_errors=True)
            raise EARError(name, "its pixels lie in a second file", "Save it as one file (.nrrd, .mha, .nii.gz)")
        return path
