"""JSON operations: one POST each, over the connections of the transfers, with one deadline for all of it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any

from lalald.api import translate
from lalald.api.address import Origin
from lalald.api.transfer import Transfer
from lalald.api.translate import JSON_LIMIT_BYTES, Reply
from lalald.api.wire import Deadlines, StaleError, Wire
from lalald.api.wires import Wires
from lalald.credentials import LicenseKey
from lalald.errors import RefusedError, TransientError

_AT_ONCE_AT_MOST = 20


class Post:
    """Sends JSON to the service's origin and follows no redirect."""

    def __init__(self, origin: Origin, path: str, wires: Wires, user_agent: str, deadlines: Deadlines) -> None:
        self._origin = origin
        self._path = f"{path}/api/v1/"
        self._wires = wires
        self._user_agent = user_agent
        self._deadlines = deadlines
        self._threads = ThreadPoolExecutor(_AT_ONCE_AT_MOST, "json")

    async def send(self, path: str, body: Any, key: LicenseKey) -> Reply:
        """The answer to one operation, whatever it says.

        Raises:
            TransientError: none came, or none that ends.
            RefusedError: the body is nothing that JSON could say.
        """
        question = _Question(self._request(path, _written(body), key), self._deadlines.answer_seconds)
        transfer = Transfer()
        answer = asyncio.get_running_loop().run_in_executor(self._threads, self._exchange, question, transfer, key)
        try:
            async with asyncio.timeout(self._deadlines.answer_seconds):
                return await answer
        except TimeoutError as error:
            raise translate.lost(error, self._origin.host) from None
        finally:
            if not answer.done() or answer.cancelled():  # out of time, or given up
                transfer.end()

    def _request(self, path: str, content: bytes, key: LicenseKey) -> bytes:
        lines = [
            f"POST {self._path}{path}/ HTTP/1.1",
            f"Host: {self._origin.authority}",
            f"User-Agent: {self._user_agent}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            f"X-License-Key: {key.reveal()}",
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + content

    def _exchange(self, question: _Question, transfer: Transfer, key: LicenseKey) -> Reply:
        """On a thread."""
        wire, response = self._wires.ask(self._origin, transfer, question.ask)
        body = wire.read_all(response, JSON_LIMIT_BYTES)
        if question.is_sent and body is not None:
            self._wires.give_back(wire, response, transfer)
        else:
            wire.close()
        if body is None:
            raise _too_long(response.status)
        return translate.concealed(Reply(response.status, response.getheader, body), key)

    def close(self) -> None:
        """What is under way goes on: an answer cut off may be one that was paid for."""
        self._threads.shutdown(wait=False)


class _Question:
    """A request on its way; as an object, since what is bound to a name may end in a traceback, and it holds the key."""

    def __init__(self, request: bytes, answer_within_seconds: float) -> None:
        self.is_sent = False
        self._request = request
        self._within_seconds = answer_within_seconds

    def ask(self, wire: Wire) -> HTTPResponse:
        """Asked once, whatever becomes of a kept connection: what costs money is not asked again behind the caller's back."""
        try:
            self.is_sent = wire.send(memoryview(self._request))
            return wire.answer("POST", self._within_seconds)
        except StaleError as error:
            raise translate.lost(error.__cause__ or error, wire.origin.host) from None


def _written(body: Any) -> bytes:
    if body is None:
        return b""
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError) as error:
        raise RefusedError(f"the presets cannot be written as JSON: {error}") from error


def _too_long(status: int) -> TransientError:
    told = f"the service's answer cannot be read: it is longer than {JSON_LIMIT_BYTES >> 20} MiB"
    return TransientError(told, answered=True, status=status)
