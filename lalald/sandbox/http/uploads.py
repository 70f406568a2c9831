"""`/upload/`: the body becomes a source, in constant memory. It is the busiest operation, and does little else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lalald.sandbox.http import disposition
from lalald.sandbox.journal import Entry
from lalald.sandbox.sandbox_state import SandboxState
from lalald.sandbox.service.service import Account, RefusalError
from lalald.sandbox.service.storage import UploadBuffer
from lalald.sandbox.service.validation import InvalidError

HEADER = "Content-Disposition"


def name_of(request: Request) -> str:
    """The file's name.

    Raises InvalidError without a Content-Disposition, RefusalError for one without a file name.
    """
    header = next((value for name, value in request.headers.raw if name == b"content-disposition"), None)
    if header is None:
        raise InvalidError([{"loc": ["header", HEADER], "msg": "Field required", "type": "missing"}])
    name = disposition.file_name(header)
    if not name:
        raise RefusalError(400, f"{HEADER} has no file name; expected 'attachment; filename=<filename>'.")
    return name


async def upload(sandbox: SandboxState, account: Account, request: Request, entry: Entry, name: str) -> Response:
    """Store the body as `name`, and answer with its source.

    Nothing is stored after RefusalError (the body is empty or too large) and ClientDisconnect.
    """
    limit = sandbox.options.upload_limit_bytes
    if int(request.headers.get("content-length", 0)) > limit:
        raise _too_large(limit)
    buffer = UploadBuffer(sandbox.storage)
    try:
        await _receive(request, buffer, limit, entry)
        with buffer.open() as file:
            duration = sandbox.durations.of(file, name)
    except BaseException:
        buffer.discard()
        raise
    sandbox.delete_expired_files()
    source = account.add_source(
        name=name, duration=duration, stored=buffer.keep(), head=buffer.head, sha256=buffer.sha256
    )
    return JSONResponse(
        {"id": source.id, "name": name, "size": source.size, "duration": duration, "expires": int(source.expires_at)}
    )


async def _receive(request: Request, buffer: UploadBuffer, limit: int, entry: Entry) -> None:
    async for piece in request.stream():
        entry.received_bytes += len(piece)
        if entry.received_bytes > limit:
            raise _too_large(limit)
        buffer.write(piece)
    if buffer.size == 0:
        raise RefusalError(400, "The file is empty.")


def _too_large(limit: int) -> RefusalError:
    return RefusalError(400, f"The file exceeds the limit of {limit} bytes.", "exceeded_size")
