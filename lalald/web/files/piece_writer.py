"""The bytes of one request to an upload, written as they come."""

from __future__ import annotations

import errno
import os

from starlette.requests import ClientDisconnect, Request

from lalald.filesystem.confined import upload_parts
from lalald.store.page import upload_rows
from lalald.store.page.upload_rows import Upload
from lalald.store.request_writer import Requests
from lalald.web.files.upload_errors import refusal_of_disk
from lalald.web.page import Page
from lalald.web.responses import RequestError

LARGEST_PIECE_BYTES = 50_000_000  # proxies cut at 100 MB
_WRITTEN_AT_ONCE = 1 << 20


class PieceWriter:
    """The bytes of one request, written as they come, a megabyte at a time."""

    def __init__(self, page: Page, one: Upload, descriptor: int) -> None:
        self._page = page
        self._one = one
        self._descriptor = descriptor
        self._offset = one.offset
        self._waiting = bytearray()

    async def take(self, request: Request) -> RequestError | None:
        """What is to be answered in place of success. Everything that came before it is kept."""
        room = min(LARGEST_PIECE_BYTES, self._one.size - self._one.offset)
        try:
            async for data in request.stream():
                if len(data) > room:
                    return RequestError(413, "The piece has more bytes than are left, or than a piece may have.")
                room -= len(data)
                self._waiting += data
                if len(self._waiting) >= _WRITTEN_AT_ONCE:
                    await self._flush()
            await self._flush()
        except ClientDisconnect:
            return await self._last_flush() or RequestError(400, "The connection was cut.")
        except OSError as error:
            return refusal_of_disk("The piece cannot be written", error)
        return None

    async def confirm(self) -> int:
        """Makes durable what was written, and says how much that is."""
        if self._offset != self._one.offset:
            await self._page.disks.run_transfer(self._one.inbox, os.fdatasync, self._descriptor)
        await self._page.store.write(_set_offset, self._one.id, self._offset, self._page.now())
        return self._offset

    async def _last_flush(self) -> RequestError | None:
        try:
            await self._flush()
        except OSError as error:
            return refusal_of_disk("The piece cannot be written", error)
        return None

    async def _flush(self) -> None:
        """Raises OSError where not all of it could be written."""
        data = bytes(self._waiting)
        self._waiting.clear()
        if not data:
            return
        count = await self._page.disks.run_transfer(self._one.inbox, upload_parts.write, self._descriptor, data)
        self._offset += count
        if count < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _set_offset(requests: Requests, upload_id: str, offset: int, now: float) -> None:
    upload_rows.set_offset(requests.connection, upload_id, offset, now)
