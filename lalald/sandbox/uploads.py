"""`/upload/`: the body becomes a file, in constant memory and with little ado, for it is the busiest operation."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lalald.sandbox import disposition
from lalald.sandbox.duration import duration_seconds
from lalald.sandbox.journal import Entry
from lalald.sandbox.rehearsal import Rehearsal
from lalald.sandbox.service import RefusalError
from lalald.sandbox.tracks import HEAD_BYTES
from lalald.sandbox.validation import InvalidError

HASHED_AT_ONCE_BYTES = 8 << 20  # a larger one is hashed when somebody asks: hashing is slower than receiving
HEADER = "Content-Disposition"


@dataclass(slots=True)
class Received:
    """A body on disk."""

    size: int
    head: bytes
    sha256: str | None


def name_of(request: Request) -> str:
    """The file's name.

    Raises:
        InvalidError: no Content-Disposition.
        RefusalError: one without a file name.
    """
    header = next((value for name, value in request.headers.raw if name == b"content-disposition"), None)
    if header is None:
        raise InvalidError([{"loc": ["header", HEADER], "msg": "Field required", "type": "missing"}])
    name = disposition.file_name(header)
    if not name:
        raise RefusalError(400, f"{HEADER} has no file name; expected 'attachment; filename=<filename>'.")
    return name


async def upload(rehearsal: Rehearsal, request: Request, entry: Entry) -> Response:
    """Stores the body and answers with its source.

    Raises:
        InvalidError, RefusalError: nothing is kept.
        ClientDisconnect: the client went in the middle; nothing is kept.
    """
    name = name_of(request)
    limit = rehearsal.options.upload_limit_bytes
    if int(request.headers.get("content-length", 0)) > limit:
        raise _too_large(limit)
    path = rehearsal.folder / rehearsal.new_id()
    try:
        received = await _receive(request, path, limit, entry)
        duration = duration_seconds(path, name, rehearsal.options.default_duration_seconds)
    except (RefusalError, ClientDisconnect, OSError):
        path.unlink(missing_ok=True)
        raise
    rehearsal.forget_spent_files()
    source = rehearsal.service.add_source(
        name=name, size=received.size, duration=duration, path=path, head=received.head, sha256=received.sha256
    )
    return JSONResponse(
        {"id": source.id, "name": name, "size": source.size, "duration": duration, "expires": int(source.expires_at)}
    )


async def _receive(request: Request, path: Path, limit: int, entry: Entry) -> Received:
    size, head, digest = 0, b"", hashlib.sha256()
    with path.open("xb", buffering=0) as file:
        async for piece in request.stream():
            size += len(piece)
            entry.received_bytes = size
            if size > limit:
                raise _too_large(limit)
            if len(head) < HEAD_BYTES:
                head = (head + piece)[:HEAD_BYTES]
            if size <= HASHED_AT_ONCE_BYTES:
                digest.update(piece)
            _write(file.fileno(), piece)
    if size == 0:
        raise RefusalError(400, "The file is empty.")
    return Received(size, head, digest.hexdigest() if size <= HASHED_AT_ONCE_BYTES else None)


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _too_large(limit: int) -> RefusalError:
    return RefusalError(400, f"The file exceeds the limit of {limit} bytes.", "exceeded_size")
