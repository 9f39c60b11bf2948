"""Passes a browser's requests on to the process of its page, and the answers back: HTTP, and the websocket."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, web

from .pages import Page

#: Header by which a page's process knows that it is us who ask.
KEY_HEADER = "X-EAR-Key"

#: A browser that does not answer a ping within half of this, s, has vanished.
HEARTBEAT_S = 20.0

#: The page's websocket cuts what it sends into pieces of 4 MiB.
_LARGEST_MESSAGE = 8 * 2**20

#: Headers that speak of one connection, not of what it carries.
_OF_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "cookie", "origin"}


class Relay:
    """Holds the connections to all pages."""

    def __init__(self) -> None:
        self._client: ClientSession | None = None

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.close()

    async def forward(self, request: web.Request, page: Page, path: str) -> web.StreamResponse:
        """Answer a request for ``path`` of a page."""
        if self._client is None:
            self._client = ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False)
        url = f"http://127.0.0.1:{page.port}/{path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, page, url)
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _OF_CONNECTION}
        headers[KEY_HEADER] = page.secret
        body = request.content if request.can_read_body else None
        async with self._client.request(
            request.method, url, params=request.query, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = {name: text for name, text in answer.headers.items() if name.lower() not in _OF_CONNECTION}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(2**16):
                await response.write(piece)
            await response.write_eof()
            return response

    async def _websocket(self, request: web.Request, page: Page, url: str) -> web.StreamResponse:
        assert self._client is not None
        here = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=_LARGEST_MESSAGE, compress=False)
        async with self._client.ws_connect(
            url, headers={KEY_HEADER: page.secret}, max_msg_size=_LARGEST_MESSAGE
        ) as there:
            await here.prepare(request)
            with page.watched():
                ways = [asyncio.ensure_future(_copy(here, there)), asyncio.ensure_future(_copy(there, here))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            with suppress(ClientError, ConnectionError):
                await here.close()
        return here


async def _copy(
    source: web.WebSocketResponse | ClientWebSocketResponse, target: web.WebSocketResponse | ClientWebSocketResponse
) -> None:
    async for message in source:
        if message.type == WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await target.send_bytes(message.data)
