"""An answer of announced length, made of pieces that are read while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class FileAnswer(Response):
    """Pieces whose number of bytes is announced. Where they end too early the connection is cut: the client notices.

    `close` is called in the end, whether or not a piece was wanted.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        media_type: str,
        pieces: AsyncGenerator[bytes],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.init_headers({**headers, "Content-Type": media_type})
        self._pieces = pieces
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_client_is_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async for piece in self._pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    if gone.done():
                        return
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await self._pieces.aclose()
            self._close()


async def _client_is_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
