"""Unexpected exceptions: whether they concern one job or all, whether two are alike, and their text for a row."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import lalald
from lalald.errors import InternalFaultError, LalaldError, OutOfResourcesError, RowError, ServiceError, StoreError

Answer = TypeVar("Answer")

_RAN_OUT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_WORDS = {
    errno.ENOMEM: "there is no memory left",
    errno.EMFILE: "this process has as many files open as it may (LimitNOFILE= of a unit, or `ulimit -n`)",
    errno.ENFILE: "the system has as many files open as it can",
    errno.EAGAIN: "no further thread or process could be started",
}
_NO_THREAD = "can't start new thread"  # CPython's words; its RuntimeError has no code
_MOST_CHARACTERS = 500
_OWN_CODE = os.path.dirname(lalald.__file__) + os.sep


def is_exhaustion(error: BaseException) -> bool:
    """Whether memory, file descriptors or threads ran out, as the error or a cause of it: no file and no job is to blame."""
    return any(_ran_out(cause) for cause in _with_causes(error))


def _ran_out(error: BaseException) -> bool:
    if isinstance(error, MemoryError | OutOfResourcesError):
        return True
    if isinstance(error, BlockingIOError):  # of clone(2); where a file's name stands with it, it is about that file
        return error.errno == errno.EAGAIN and error.filename is None
    if isinstance(error, OSError):
        return error.errno in _RAN_OUT
    return isinstance(error, RuntimeError) and _NO_THREAD in str(error)


def describe_exhaustion(error: BaseException) -> str:
    """What ran out, in words; of an error for which `is_exhaustion` is true."""
    for cause in _with_causes(error):
        if isinstance(cause, MemoryError):
            return _WORDS[errno.ENOMEM]
        if isinstance(cause, OSError) and (words := _WORDS.get(cause.errno or 0)):
            return words
    return _WORDS[errno.EAGAIN]


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def is_about_one_job(error: Exception) -> bool:
    """Whether the error may concern one job or file alone; a store that cannot be used concerns all."""
    return not isinstance(error, StoreError) or isinstance(error, RowError)


def signature(error: BaseException) -> str:
    """Type and code line: exceptions with equal signatures count as the same fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(_OWN_CODE)] or list(frames)
    place = f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else "unknown"
    return f"{type(error).__name__} at {place}"


def describe_exception(error: BaseException) -> str:
    """Type and message in one printable line."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    line = " ".join(words.encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"


async def convert_faults(asking: Awaitable[Answer]) -> Answer:
    """Return the answer of an API call. Raises InternalFaultError for an unexpected exception in reading it."""
    try:
        return await asking
    except LalaldError:
        raise
    except Exception as error:
        raise InternalFaultError(f"internal: {describe_exception(error)}") from error


async def convert_exhaustion(running: Awaitable[Answer]) -> Answer:
    """Return the result. Raises OutOfResourcesError where a file or network error was caused by exhausted resources."""
    try:
        return await running
    except LalaldError as error:
        if not isinstance(error, StoreError | ServiceError) and is_exhaustion(error):
            raise OutOfResourcesError(str(error)) from error
        raise
