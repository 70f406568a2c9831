"""Short-lived processes of our own: in a process group that ends with them, without our keys, without our descriptors."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_KEPT_VARIABLES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})
_GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
_KEPT_OUTPUT_BYTES = 4096  # the last ones


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, negative for a signal; None where it had to be killed. `output`: the end of it."""

    code: int | None
    output: bytes


def allowed_environment(environ: Mapping[str, str], *also: str) -> dict[str, str]:
    """What a process needs to find its way; no variable that may hold a key is among it."""
    kept = _KEPT_VARIABLES | set(also)
    return {name: value for name, value in environ.items() if name in kept or name.startswith("LC_")}


async def run(
    words: Sequence[str], *, given: bytes, environ: Mapping[str, str], timeout_seconds: float, with_errors: bool
) -> Ended:
    """Runs a program to its end, or for so long. `given` is its standard input; `with_errors`: its errors are output, too.

    Whatever it has started in its process group ends with it, and at once where this is cancelled. Raises OSError where it
    cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if with_errors else asyncio.subprocess.DEVNULL,
        env=dict(environ),
        start_new_session=True,
    )
    reading, giving = asyncio.ensure_future(_tail(process.stdout)), asyncio.ensure_future(_give(process.stdin, given))
    try:
        code = await _code(process, timeout_seconds)
        _kill_group(process.pid)
        await asyncio.wait([reading], timeout=_GRACE_SECONDS)  # a process that left its group may keep the pipe open
    finally:
        _kill_group(process.pid)
        giving.cancel()
        reading.cancel()
    return Ended(code, reading.result() if reading.done() and not reading.cancelled() else b"")


async def _code(process: asyncio.subprocess.Process, timeout_seconds: float) -> int | None:
    """The exit code; None where it was ended since its time was up."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await process.wait()
    except TimeoutError:
        await _end(process)
    _kill_group(process.pid)
    await process.wait()
    return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """A chance to clean up; whoever ignores it is killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def _give(pipe: asyncio.StreamWriter | None, given: bytes) -> None:
    """A program need not read what it is given."""
    assert pipe is not None  # noqa: S101 - it was asked to be one
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(given)
        await pipe.drain()
        pipe.close()
        await pipe.wait_closed()


async def _tail(pipe: asyncio.StreamReader | None) -> bytes:
    assert pipe is not None  # noqa: S101 - it was asked to be one
    kept = b""
    while chunk := await pipe.read(65536):
        kept = (kept + chunk)[-_KEPT_OUTPUT_BYTES:]
    return kept
