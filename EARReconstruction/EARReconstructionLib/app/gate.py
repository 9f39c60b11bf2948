"""Who may come in: on this machine's own address anyone who sits at it, from elsewhere whoever has the token."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "ear_token"

_SIGN_IN = Path(__file__).with_name("www") / "token.html"

#: The page loads nothing from elsewhere and sends nothing elsewhere; Vue compiles its templates in the browser.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' {socket}; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Looks at every request before anyone else does.

    token: None on loopback. There the name that the browser asked for must be this machine's own, or a page of a
    stranger could reach us under a name that it has pointed here.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def add_to(self, app: web.Application) -> None:
        """Guard an application."""
        app.middlewares.append(self.check)
        app.on_response_prepare.append(_protect)
        app.router.add_post("/token", self.sign_in)

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on, or answer it here."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="This page may only be used from its own address.")
        if self._token is None:
            if not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
                raise web.HTTPForbidden(text="Open this page as http://127.0.0.1 with its port.")
        elif request.path != "/token" and not self._knows(request.cookies.get(COOKIE, "")):
            if request.method == "GET" and self._knows(request.query.get("token", "")):
                return self._let_in()
            return _ask(401)
        return await handler(request)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The form of the page that asks for the token."""
        given = (await request.post()).get("token", "")
        return self._let_in() if isinstance(given, str) and self._knows(given.strip()) else _ask(401, wrong=True)

    def _knows(self, token: str) -> bool:
        return self._token is None or secrets.compare_digest(token.encode(), self._token.encode())

    def _let_in(self) -> web.StreamResponse:
        """To the start, where the address no longer shows the token."""
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self._token or "", httponly=True, samesite="Strict")
        return response


def _ask(status: int, *, wrong: bool = False) -> web.Response:
    text = _SIGN_IN.read_text(encoding="utf-8")
    words = "That is not the token." if wrong else ""
    return web.Response(status=status, text=text.replace("{{ wrong }}", words), content_type="text/html")


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    socket = f"ws://{request.host} wss://{request.host}"
    response.headers.setdefault("Content-Security-Policy", _POLICY.format(socket=socket))
    response.headers["Referrer-Policy"] = "same-origin"  # the address of a page is the key to it; forms need an origin
    response.headers["X-Content-Type-Options"] = "nosniff"
