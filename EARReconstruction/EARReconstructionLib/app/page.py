"""The process of one page: ``python -m EARReconstructionLib.app.page FOLDER UPLOAD_MB``, started by ``pages``.

It reads the secret of its requests from its standard input, writes its port to its standard output, serves on loopback,
and ends when its standard input ends, that is with whoever started it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Thread
from typing import Any

from aiohttp import web
from trame.app import get_server
from trame.ui.vuetify3 import VAppLayout

from ..errors import EARError
from .comparing import SideBySide
from .downloads import Downloads
from .relay import KEY_HEADER
from .saved import SavedScene
from .session import Session
from .steps import STEPS
from .uploads import Uploads
from .views import Views

_WWW = Path(__file__).with_name("www")

_THEME = {
    "theme": {
        "defaultTheme": "ear",
        "themes": {
            "ear": {
                "dark": True,
                "colors": {
                    "background": "#0b0f14",
                    "surface": "#18202a",
                    "primary": "#5cc8ff",
                    "on-primary": "#06202e",
                    "error": "#ff7b72",
                    "warning": "#e3b341",
                    "success": "#56d364",
                },
            }
        },
    },
    "defaults": {"global": {"ripple": False}},
}


def main() -> None:
    """Serve one page until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("upload_mb", type=int)
    parser.add_argument("--elsewhere", action="store_true", help="browsers may be on other machines")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    secret = sys.stdin.readline().strip()
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody reads what libraries print
    try:
        asyncio.run(_serve(options, secret, report))
    except EARError as error:
        print(error, file=report, flush=True)
    except Exception:
        logging.getLogger(__name__).exception("The page could not be served")
    _leave(options.folder)


async def _serve(options: argparse.Namespace, secret: str, report: Any) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    Thread(target=wait_for_end, daemon=True).start()
    server = get_server(client_type="vue3")
    sys.argv = sys.argv[:1]  # trame would read our arguments as its own
    session = _build(server, options)
    uploads = Uploads(session, options.upload_mb)
    session.parts.append(downloads := Downloads(session))

    def on_bind(wslink_server: Any) -> None:
        app: web.Application = wslink_server.app
        app.middlewares.append(web.middleware(_only_for(secret)))
        app.router.add_post("/upload/{purpose}", uploads.take)
        app.router.add_get("/download/{name}", downloads.give)
        app.router.add_get("/loading.tpl", _loading)

    server.controller.on_server_bind.add(on_bind)
    server.start(port=0, host="127.0.0.1", timeout=0, exec_mode="task", open_browser=False, show_connection_info=False)
    await server.ready
    print(f"port {server.port}", file=report, flush=True)
    await ended.wait()
    session.close()
    _leave(options.folder)


def _leave(folder: Path) -> None:
    """End now: work that runs is not waited for, and taken apart in any order Slicer's logics and views may crash."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _build(server: Any, options: argparse.Namespace) -> Session:
    server.enable_module({"serve": {"ear": str(_WWW)}, "scripts": ["ear/ear.js"], "styles": ["ear/ear.css"]})
    session = Session(server, options.folder)
    steps = [step(session) for step in STEPS]
    session.parts = [*steps, SideBySide(session), Views(session), SavedScene(session, options.upload_mb)]
    server.trigger("cancel")(session.cancel)
    server.state.update(
        {
            "trame__title": "EAR",
            "trame__favicon": "ear/icon.svg",
            "promise": "Images stay on the server that runs this page, and go when you close it."
            if options.elsewhere
            else "Nothing leaves this machine. What you open goes when you close the page.",
            "upload_mb": options.upload_mb,
            "trame__template_error": _text("lost.html"),
        }
    )
    with VAppLayout(server, vuetify_config=_THEME) as layout:
        layout.root.add_child(_template())
    session.changed()
    return session


def _template() -> str:
    """The page's Vue template: the page, and in it the steps, each in the same frame."""
    page, frame = (_text(f"{name}.html") for name in ("page", "step"))
    for number, step in enumerate(STEPS, 1):
        filled = frame.replace("NAME", step.name).replace("NUMBER", str(number)).replace("TITLE", step.title)
        page = page.replace(f"<!-- {step.name} -->", filled.replace("BODY", _text(f"{step.name}.html")))
    return page


async def _loading(_: web.Request) -> web.StreamResponse:
    """What trame shows until the page is there."""
    return web.FileResponse(_WWW / "loading.html")


def _text(name: str) -> str:
    return (_WWW / name).read_text(encoding="utf-8")


def _only_for(secret: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Others on this machine can reach our port; they are not answered."""

    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        if not secrets.compare_digest(request.headers.get(KEY_HEADER, "").encode(), secret.encode()):
            raise web.HTTPForbidden
        answer: web.StreamResponse = await handler(request)
        return answer

    return check


if __name__ == "__main__":
    main()
