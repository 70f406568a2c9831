"""`/upload/`: the body becomes a source, in constant memory and with little ado, for it is the busiest operation."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lalald.sandbox.http import disposition
from lalald.sandbox.journal import Entry
from lalald.sandbox.sandbox_state import Rehearsal
from lalald.sandbox.service.service import RefusalError, Service
from lalald.sandbox.service.storage import Intake
from lalald.sandbox.service.validation import InvalidError

HEADER = "Content-Disposition"


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


async def upload(rehearsal: Rehearsal, account: Service, request: Request, entry: Entry, name: str) -> Response:
    """Stores the body under `name` and answers with its source.

    Raises:
        RefusalError: it is empty or too large; nothing is kept.
        ClientDisconnect: the client went in the middle; nothing is kept.
    """
    limit = rehearsal.options.upload_limit_bytes
    if int(request.headers.get("content-length", 0)) > limit:
        raise _too_large(limit)
    intake = Intake(rehearsal.storage)
    try:
        await _receive(request, intake, limit, entry)
        with intake.opened() as file:
            duration = rehearsal.durations.of(file, name)
    except BaseException:
        intake.discard()
        raise
    rehearsal.forget_spent_files()
    source = account.add_source(
        name=name, duration=duration, stored=intake.keep(), head=intake.head, sha256=intake.sha256
    )
    return JSONResponse(
        {"id": source.id, "name": name, "size": source.size, "duration": duration, "expires": int(source.expires_at)}
    )


async def _receive(request: Request, intake: Intake, limit: int, entry: Entry) -> None:
    async for piece in request.stream():
        entry.received_bytes += len(piece)
        if entry.received_bytes > limit:
            raise _too_large(limit)
        intake.write(piece)
    if intake.size == 0:
        raise RefusalError(400, "The file is empty.")


def _too_large(limit: int) -> RefusalError:
    return RefusalError(400, f"The file exceeds the limit of {limit} bytes.", "exceeded_size")
