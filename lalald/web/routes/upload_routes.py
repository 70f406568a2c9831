"""Files for an inbox, sent in pieces that resume: in the shape of tus 1.0 (creation, termination), with JSON where it has metadata.

The intake sees one atomic drop: the part moves in when its last byte is durable.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import takewhile
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald.config import Inbox
from lalald.errors import StoreError
from lalald.filesystem.confined import upload_parts
from lalald.inbox.explanation import with_former_folders
from lalald.reports.files.planned_file import why_not_taken
from lalald.reports.formatting import iso
from lalald.store.page import upload_rows
from lalald.store.page.upload_rows import Upload
from lalald.store.queries import Reports
from lalald.store.request_writer import Requests
from lalald.web import parameters
from lalald.web.files.closing import close_apart
from lalald.web.files.piece_writer import LARGEST_PIECE_BYTES, PieceWriter
from lalald.web.files.upload_errors import TUS, answer_disk_errors, name_in_use, refusal_of_disk, with_offset
from lalald.web.files.upload_places import UploadPlaces, check_marker
from lalald.web.page import Page
from lalald.web.responses import RequestError, json_answer, json_object, no_content, not_found
from lalald.web.routes.inbox_routes import path_within

LARGEST_FILE_BYTES = 10_000_000_000  # what the service takes
MOST_OPEN = 20
KEPT_SECONDS = 86400.0
_LONGEST_FINGERPRINT = 200
_LONGEST_NAME_BYTES = 255
_PIECE_TYPE = "application/offset+octet-stream"


class UploadRoutes:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._places = UploadPlaces(page.config.state_dir)
        self._beginning: dict[str, Upload] = {}  # in the order in which they came
        self._writers: set[str] = set()  # uploads that a request writes to just now

    def routes(self) -> list[Route]:
        one = "/api/uploads/{upload_id}"
        return [
            Route("/api/uploads", self.listed, methods=["GET"]),
            Route("/api/uploads", self.create, methods=["POST"]),
            Route(one, self.show, methods=["GET", "HEAD"]),
            Route(one, self.append, methods=["PATCH"]),
            Route(one, self.cancel, methods=["DELETE"]),
        ]

    async def listed(self, _request: Request) -> Response:
        self._check_allowed()
        found = await self._page.store.ask(_all)
        return json_answer(
            {
                "uploads": [_object(one) for one in found],
                "largest_piece": LARGEST_PIECE_BYTES,
                "largest_file": LARGEST_FILE_BYTES,
            }
        )

    async def show(self, request: Request) -> Response:
        found = await self._upload(request)
        headers = {**TUS, "Upload-Offset": str(found.offset), "Upload-Length": str(found.size)}
        return json_answer(_object(found), headers=headers)

    async def create(self, request: Request) -> Response:
        self._check_allowed()
        body = await json_object(request)
        inbox, path, size = await self._wanted(body)
        fingerprint: str = parameters.field(body, "fingerprint", str, required=False) or ""
        if len(fingerprint) > _LONGEST_FINGERPRINT:
            raise RequestError(422, f"fingerprint has at most {_LONGEST_FINGERPRINT} characters.")
        now = self._page.now()
        one = Upload(os.urandom(16).hex(), str(inbox.path), path, size, 0, 0, fingerprint, now, now)
        self._beginning[one.id] = one
        try:
            one = await self._begin(one)
        finally:
            del self._beginning[one.id]
        headers = {**TUS, "Location": f"uploads/{one.id}", "Upload-Offset": "0"}
        return json_answer(_object(one), status=201, headers=headers)

    async def _begin(self, one: Upload) -> Upload:
        """With its part. Those that began before it count as open, though they may have no row yet. Raises RequestError."""
        before = list(
            takewhile(lambda other: other.id != one.id, self._beginning.values())
        )  # one may get its row meanwhile
        marker, rows = await self._page.store.ask(_marker_and_uploads, one.inbox)
        known = {other.id for other in rows}
        others = [*rows, *(other for other in before if other.id not in known)]
        if len(others) >= MOST_OPEN:
            hint = "Finish or cancel one of them first."
            raise RequestError(429, f"{MOST_OPEN} uploads are open already.", code="too_many_uploads", hint=hint)
        async with answer_disk_errors("The upload cannot begin"):
            inode = await self._page.disks.run(one.inbox, self._places.begin, one, marker, others)
        one, is_added = replace(one, inode=inode), False
        try:
            is_added = await self._page.store.write(_add, one)
        finally:
            if not is_added:
                await self._page.disks.run(one.inbox, upload_parts.remove_part, one.inbox, one.id)
        if not is_added:
            raise name_in_use(one.path, "Another upload that is not complete has")
        return one

    async def append(self, request: Request) -> Response:
        if request.headers.get("content-type", "").lower() != _PIECE_TYPE:
            raise RequestError(415, f"A piece has the type {_PIECE_TYPE}.", code="unprocessable")
        at, announced = _header_number(request, "upload-offset"), _header_number(request, "content-length", 0)
        if announced > LARGEST_PIECE_BYTES:
            raise RequestError(413, f"A piece has at most {LARGEST_PIECE_BYTES:,} bytes.", headers=TUS)
        upload_id = request.path_params["upload_id"]
        async with self._writing(upload_id):
            one = await self._upload(request)
            if at != one.offset:
                raise with_offset(
                    RequestError(409, f"The upload has {one.offset:,} bytes.", code="offset_mismatch"), one.offset
                )
            marker = await self._check_inbox(one.inbox)
            offset = await self._write(request, one, marker)
            headers = {**TUS, "Upload-Offset": str(offset)}
            return no_content({**headers, "Upload-Complete": "?1"} if offset == one.size else headers)

    async def cancel(self, request: Request) -> Response:
        async with self._writing(request.path_params["upload_id"]):
            one = await self._upload(request)
            async with answer_disk_errors("The upload cannot be removed"):
                await self._page.disks.run(one.inbox, upload_parts.remove_part, one.inbox, one.id)
            await self._page.store.write(_remove, one.id)
        return no_content(TUS)

    # what an upload needs

    def _check_allowed(self) -> None:
        if not self._page.config.web.uploads:
            raise RequestError(404, "Uploads are turned off in the configuration (web.uploads).", code="uploads_off")

    async def _upload(self, request: Request) -> Upload:
        self._check_allowed()
        found = await self._page.store.ask(_one, request.path_params["upload_id"])
        if found is None:
            hint = "It is complete, was cancelled, or was not touched for a day."
            raise RequestError(404, "There is no such upload.", hint=hint, headers=TUS)
        return found

    async def _wanted(self, body: dict[str, Any]) -> tuple[Inbox, str, int]:
        """Where the file is to go. Raises RequestError where the intake would not take it."""
        inbox = self._page.inbox(parameters.field(body, "inbox", str))
        if inbox is None:
            raise not_found("There is no such inbox.")
        path, size = path_within(parameters.field(body, "path", str)), parameters.field(body, "size", int)
        inbox = with_former_folders(inbox, await self._page.store.ask(_target_folders))
        if any(len(os.fsencode(part)) > _LONGEST_NAME_BYTES for part in path.split("/")):
            raise RequestError(422, "The name is too long.", code="not_taken", hint="255 bytes are the limit.")
        if (reason := why_not_taken(inbox, path)) is not None:
            raise RequestError(422, f"lalald would not process it: {reason}.", code="not_taken")
        if size <= 0:
            raise RequestError(422, "An empty file is never processed.", code="not_taken")
        if size > LARGEST_FILE_BYTES:
            raise RequestError(413, f"The service takes at most {LARGEST_FILE_BYTES:,} bytes.", headers=TUS)
        return inbox, path, size

    async def _check_inbox(self, root: str) -> str | None:
        """An upload goes on only where the inbox is the one that it was begun in: its marker."""
        if self._page.inbox(root) is None:
            raise RequestError(503, "Its inbox is not in the configuration any more.", code="folder_unavailable")
        marker, _ = await self._page.store.ask(_marker_and_uploads, root)
        await self._page.disks.run(root, check_marker, root, marker)
        return marker

    @asynccontextmanager
    async def _writing(self, upload_id: str) -> AsyncIterator[None]:
        """One writer each. Raises RequestError where there is one."""
        if upload_id in self._writers:
            hint = "Another tab or program sends it, or a connection that broke is not noticed yet."
            raise RequestError(
                423, "This upload is being written to.", code="locked", hint=hint, headers={"Retry-After": "1"}
            )
        self._writers.add(upload_id)
        try:
            yield
        finally:
            self._writers.discard(upload_id)

    # bytes

    async def _write(self, request: Request, one: Upload, marker: str | None) -> int:
        """How many bytes the upload has now; all of them: it is in the inbox. Raises RequestError."""
        disks, inbox = self._page.disks, one.inbox
        try:
            descriptor = await disks.run(inbox, upload_parts.open_part, inbox, one.id, one.inode, one.offset)
        except FileNotFoundError:
            return await self._without_part(one)
        except OSError as error:
            raise refusal_of_disk("The upload cannot go on", error) from error
        try:
            writer = PieceWriter(self._page, one, descriptor)
            refusal = await writer.take(request)
            try:
                offset = await writer.confirm()
            except StoreError as error:  # a disk that is full may be the state folder's, too
                raise (refusal and with_offset(refusal, one.offset)) or error from error
            if refusal is not None:
                raise with_offset(refusal, offset)
            if offset == one.size:
                await self._move_in(one, marker, descriptor)
            return offset
        finally:
            close_apart(descriptor)

    async def _without_part(self, one: Upload) -> int:
        """The part is in the inbox, and a crash came before its row was removed; or it is gone. Raises RequestError."""
        await self._check_inbox(one.inbox)  # which may have gone in this moment
        is_complete = one.offset == one.size and await self._page.disks.run(
            one.inbox, upload_parts.has_moved_in, one.inbox, one.path, one.inode
        )
        await self._page.store.write(_remove, one.id)
        if not is_complete:
            hint = "Begin it again, unless it is in the list of jobs." if one.offset == one.size else "Begin it again."
            raise RequestError(404, "The part of this upload is gone.", headers=TUS, hint=hint)
        return one.size

    async def _move_in(self, one: Upload, marker: str | None, descriptor: int) -> None:
        try:
            await self._page.disks.run(one.inbox, self._places.finish, one, marker, descriptor)
        except FileExistsError as error:
            raise with_offset(name_in_use(one.path, "A file in the inbox has"), one.size) from error
        except RequestError as error:
            raise with_offset(error, one.size) from error
        except OSError as error:
            raise with_offset(refusal_of_disk("The file cannot be moved into the inbox", error), one.size) from error
        await self._page.store.write(_remove, one.id)


def _header_number(request: Request, name: str, default: int | None = None) -> int:
    word = request.headers.get(name)
    if word is None and default is not None:
        return default
    if word is None or not (word.isascii() and word.isdigit()) or len(word) > 18:
        raise RequestError(400, f"The header {name} must be a number of bytes.")
    return int(word)


def _object(one: Upload) -> dict[str, Any]:
    return {
        "id": one.id,
        "inbox": one.inbox,
        "path": one.path,
        "size": one.size,
        "offset": one.offset,
        "fingerprint": one.fingerprint,
        "created_at": iso(one.created_at),
        "expires_at": iso(one.touched_at + KEPT_SECONDS),
    }


def _all(reports: Reports) -> list[Upload]:
    return upload_rows.uploads(reports.connection)


def _one(reports: Reports, upload_id: str) -> Upload | None:
    return upload_rows.upload(reports.connection, upload_id)


def _marker_and_uploads(reports: Reports, inbox: str) -> tuple[str | None, list[Upload]]:
    return reports.known_files().folders.inbox_marker(inbox), upload_rows.uploads(reports.connection)


def _target_folders(reports: Reports) -> list[str]:
    return list(reports.known_files().target_folders())


def _add(requests: Requests, one: Upload) -> bool:
    return upload_rows.add_upload(requests.connection, one)


def _remove(requests: Requests, upload_id: str) -> None:
    upload_rows.remove_upload(requests.connection, upload_id)
