"""What listens: hands a page of its own to everyone who comes, and passes their requests on to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from aiohttp import ClientError, web

from ..errors import EARError
from .gate import Gate, is_loopback
from .pages import Pages
from .relay import Relay

_WWW = Path(__file__).with_name("www")


@dataclass(frozen=True)
class Settings:
    """host, port: where to listen; port 0 takes a free one. token: needed from elsewhere, None on loopback.

    pages: so many at once. upload_mb: largest file that a page takes.
    """

    host: str
    port: int
    token: str | None
    pages: int
    upload_mb: int


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ready: called with the address when the first page can be opened.

    Raises EARError when the port is taken or pages cannot be started.
    """
    asyncio.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    pages = Pages(settings.pages, settings.upload_mb, elsewhere=not is_loopback(settings.host))
    relay = Relay()
    runner = web.AppRunner(_application(pages, relay, settings), shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise EARError(
                f"{settings.host}:{settings.port}", f"it cannot listen there ({error.strerror})", "Give another --port"
            ) from error
        starting = asyncio.ensure_future(pages.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await starting
            port = runner.addresses[0][1]
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            ready(f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else ""))
            await stopping
        starting.cancel()
    finally:
        await pages.close()
        await relay.close()
        await runner.cleanup()


def _application(pages: Pages, relay: Relay, settings: Settings) -> web.Application:
    async def start(_: web.Request) -> web.StreamResponse:
        try:
            page = await pages.open()
        except EARError as error:
            return _sentence(str(error), 503)
        raise web.HTTPSeeOther(f"/page/{page.key}/index.html")

    async def of_page(request: web.Request) -> web.StreamResponse:
        page, path = pages.find(request.match_info["key"]), request.match_info["path"]
        if page is None:
            if path == "index.html":  # an old address, of a page that has ended
                raise web.HTTPSeeOther("/")
            raise web.HTTPGone(text="This page has ended.")
        try:
            return await relay.forward(request, page, path)
        except (ClientError, ConnectionError) as error:
            if request.transport is None or request.transport.is_closing():
                raise
            raise web.HTTPBadGateway(text="This page has ended. Open a new one.") from error

    async def icon(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(_WWW / "icon.svg")

    app = web.Application()
    Gate(settings.token).add_to(app)
    app.router.add_get("/", start)
    app.router.add_get("/favicon.ico", icon)
    app.router.add_route("*", "/page/{key}/{path:.*}", of_page)
    return app


def _sentence(text: str, status: int) -> web.Response:
    page = (_WWW / "sentence.html").read_text(encoding="utf-8").replace("{{ sentence }}", escape(text))
    return web.Response(status=status, text=page, content_type="text/html")
