"""What every answer of the sandbox carries, and the note that every request leaves in the journal."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lalald.sandbox.journal import Entry, Journal

logger = logging.getLogger(__name__)
ENTRY = "lalald.entry"
CONTROLS = "/sandbox/"


class Stamp:
    """Gives each answer an `x-request-id` (32 hex digits) and a `date`, and writes each request down.

    `operations` names the operation of a path, `otherwise` that of all others; those under `/sandbox/` are not told.
    """

    def __init__(self, app: ASGIApp, journal: Journal, operations: Mapping[str, str], otherwise: str = "other") -> None:
        self._app = app
        self._journal = journal
        self._operations = operations
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith(CONTROLS):
            await self._app(scope, receive, send)
            return
        operation = self._operations.get(path) or self._operations.get(f"{path}/", self._otherwise)
        with_key = any(name == b"x-license-key" for name, _ in scope["headers"])
        entry = scope[ENTRY] = self._journal.begin(operation, path, os.urandom(16).hex(), with_key=with_key)
        try:
            await self._app(scope, receive, _stamped(send, entry))
        except Exception:
            logger.exception("sandbox.broken")
            raise
        finally:
            self._journal.end(entry)


def _stamped(send: Send, entry: Entry) -> Send:
    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", entry.request_id.encode()),
                (b"date", formatdate(entry.at, usegmt=True).encode()),
            ]
        await send(message)

    return stamped
