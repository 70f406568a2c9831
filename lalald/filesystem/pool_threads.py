"""Threads on which calls are run, with their results set in futures of the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from lalald.errors import OutOfResourcesError


@dataclass(eq=False, slots=True)
class Call:
    """Work for a thread. If its future is done before the work, the call was abandoned."""

    folders: tuple[str, ...]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Any]
    started_at: float
    thread_id: int = 0
    activity: bytes = b""
    active_at: float = 0.0


class Threads:
    """Daemon threads, created on demand up to `limit`."""

    def __init__(self, name: str, limit: int | None, on_end: Callable[[Call, Any, BaseException | None], None]) -> None:
        self._name = name
        self._limit = limit
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.running: set[Call] = set()

    def submit(self, call: Call) -> None:
        count = len(self._threads)
        if count <= len(self.running) and count != self._limit:
            self._add_thread()
        self.running.add(call)
        self._calls.put(call)

    def _add_thread(self) -> None:
        """Add a thread if the system has one to spare. Raises OutOfResourcesError if there is not even one."""
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._threads:
                raise OutOfResourcesError(f"no thread could be started: {error}") from error
        else:
            self._threads.append(thread)

    def stop(self) -> list[threading.Thread]:
        """End each thread after its present work."""
        for _ in self._threads:
            self._calls.put(None)
        return self._threads

    def _work(self) -> None:
        own_id = threading.get_native_id()
        while (call := self._calls.get()) is not None:
            call.thread_id = own_id
            answer: Any = None
            error: BaseException | None = None
            if not call.future.done():
                try:
                    answer = call.function(*call.arguments)
                except StopIteration as fault:  # a future cannot hold one
                    error = RuntimeError("StopIteration")
                    error.__cause__ = fault
                except BaseException as fault:  # noqa: BLE001 - raised again in the caller of `run`
                    error = fault
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                self._loop.call_soon_threadsafe(self._finish, call, answer, error)
            del call, answer, error  # an idle thread must not keep them alive

    def _finish(self, call: Call, answer: Any, error: BaseException | None) -> None:
        self.running.discard(call)
        self._on_end(call, answer, error)


def activity_of(thread_id: int) -> bytes:
    """A value that changes whenever the thread has run; empty if the kernel does not provide it."""
    with suppress(OSError), open(f"/proc/self/task/{thread_id}/status", "rb") as file:
        return file.read().rpartition(b"\nvoluntary_ctxt_switches")[2]
    return b""
