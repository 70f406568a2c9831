"""Record every request in the journal, and add the headers that every answer has."""

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


class RequestRecorder:
    """Gives each answer an `x-request-id` (32 hex digits) and a `date`, and records each request.

    `operations` maps paths to operations; `otherwise` is the operation of all other paths. Requests under `/sandbox/` are not recorded.
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
            await self._app(scope, receive, _recording(send, entry))
        except Exception:
            logger.exception("sandbox.failed")
            raise
        finally:
            self._journal.end(entry)


def _recording(send: Send, entry: Entry) -> Send:
    async def record(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", entry.request_id.encode()),
                (b"date", formatdate(entry.at, usegmt=True).encode()),
            ]
        await send(message)

    return record
