"""Run short-lived child processes, each in a process group that ends with it, without lalald's keys and descriptors."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

_KEPT_VARIABLES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})
_GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
_END_SECONDS = 1.0  # for the kernel to end what was killed
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


class _Running(asyncio.SubprocessProtocol):
    """What is known of a process while it runs."""

    def __init__(self) -> None:
        self.output = b""
        self.has_exited = asyncio.Event()
        self.output_ended = asyncio.Event()

    def pipe_data_received(self, _descriptor: int, data: bytes) -> None:
        self.output = (self.output + data)[-_KEPT_OUTPUT_BYTES:]

    def pipe_connection_lost(self, descriptor: int, _error: Exception | None) -> None:
        if descriptor == 1:
            self.output_ended.set()

    def process_exited(self) -> None:
        self.has_exited.set()


async def run(
    words: Sequence[str], *, given: bytes, environ: Mapping[str, str], timeout_seconds: float, with_errors: bool
) -> Ended:
    """Run a program to its end, or until the timeout. `given` is its standard input; `with_errors`: its errors are output, too.

    Whatever it has started in its process group ends with it, and at once where this is cancelled. Raises OSError where it
    cannot be started.
    """
    errors = asyncio.subprocess.STDOUT if with_errors else asyncio.subprocess.DEVNULL
    loop = asyncio.get_running_loop()
    transport, running = await loop.subprocess_exec(
        _Running, *words, stderr=errors, env=dict(environ), start_new_session=True
    )
    group = transport.get_pid()
    try:
        _give(transport, given)
        is_over = await _has_ended(running.has_exited, timeout_seconds)
        if not is_over:
            _signal(group, signal.SIGTERM)
            await _has_ended(running.has_exited, _GRACE_SECONDS)
        _signal(group, signal.SIGKILL)
        await _has_ended(running.output_ended, _END_SECONDS)  # a process that left its group may keep the pipe open
    finally:
        _signal(group, signal.SIGKILL)
        await _has_ended(running.has_exited, _END_SECONDS)
        transport.close()
    return Ended(transport.get_returncode() if is_over else None, running.output)


def _give(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    """A program need not read what it is given: what it leaves is thrown away at its end."""
    pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    pipe.write(given)
    pipe.write_eof()


async def _has_ended(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _signal(group: int, number: int) -> None:
    """To every process of the group, its leader gone or not."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
