"""What is answered where an upload meets a full disk, a folder that is away, or a name in use."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lalald.web.responses import RequestError

TUS = {"Tus-Resumable": "1.0.0"}


@asynccontextmanager
async def answer_disk_errors(what: str) -> AsyncIterator[None]:
    """OSErrors within become answers."""
    try:
        yield
    except OSError as error:
        raise refusal_of_disk(what, error) from error


def refusal_of_disk(what: str, error: OSError) -> RequestError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "What has arrived is kept. Make room, then resume."
        return RequestError(507, f"{what}: the disk is full.", code="no_room", hint=hint)
    return RequestError(503, f"{what}: {error.strerror or error}.", code="folder_unavailable")


def name_in_use(path: str, what: str) -> RequestError:
    return RequestError(409, f"{what} the name {path}.", code="name_in_use", hint="Choose another name.")


def with_offset(error: RequestError, offset: int) -> RequestError:
    error.headers.update({**TUS, "Upload-Offset": str(offset)})
    return error
