"""Run blocking work on threads per configured folder, so that a folder whose server is gone does not delay the others.

    run(folder, work) ──► one of its threads ──► the result
                            │ none after a while?
                            ├─► does the folder answer a probe? ──► no: all its work is abandoned, the folder is silent
                            └─► does the thread still progress? ──► no, for long: the same

A silent folder refuses work at once. It is silent until it answers and its abandoned work has returned, so that nothing runs twice;
or until something else is mounted there, which old threads cannot affect.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from lalald.errors import FolderUnavailableError, OutOfResourcesError
from lalald.filesystem.mounts import mounts_above
from lalald.filesystem.names import printable
from lalald.filesystem.pool_threads import Call, Threads, activity_of

Answer = TypeVar("Answer")

_SLOW_SECONDS = 5.0
_PROBE_SECONDS = 20.0  # sleeping disks take some time to spin up
_STUCK_SECONDS = 600.0  # longer than any network wait; threads that work on large files progress all the time
_FILES_AT_ONCE = 4


@dataclass(slots=True)
class _Silence:
    """A folder, or the connection between two, that does not answer."""

    folders: tuple[str, ...]
    words: str
    hint: str
    mounts: list[list[bytes]]  # of the folders when they fell silent
    abandoned: set[Call]
    is_probed: bool = False  # a probe has not returned yet

    def error(self) -> FolderUnavailableError:
        return FolderUnavailableError(self.words, hint=self.hint, path=self.folders[0])


def _probe(folder: str) -> None:
    """Return once the folder answers, with or without an error. statvfs(2) of a share asks its server each time."""
    with suppress(OSError):
        os.statvfs(folder)


class MountPools:
    """One per daemon, used on its event loop. Idle while no work is running."""

    def __init__(
        self,
        slow_seconds: float = _SLOW_SECONDS,
        probe_seconds: float = _PROBE_SECONDS,
        stuck_seconds: float = _STUCK_SECONDS,
        probe: Callable[[str], object] = _probe,
    ) -> None:
        """`probe` returns once a folder answers, whatever the answer is."""
        self._probe = probe
        self._slow_seconds = slow_seconds
        self._probe_seconds = probe_seconds
        self._stuck_seconds = stuck_seconds
        self._loop = asyncio.get_running_loop()
        self._threads: dict[tuple[tuple[str, ...], int | None], Threads] = {}
        self._probes: dict[str, asyncio.TimerHandle] = {}
        self._silent: dict[tuple[str, ...], _Silence] = {}
        self._shared: dict[Hashable, asyncio.Future[Any]] = {}
        self._is_round_scheduled = False

    async def run(self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return `function(*arguments)`, run on a thread of the configured folder, or folders, that it works in.

        Raises FolderUnavailableError if one of them does not answer, OutOfResourcesError if there is no thread.
        """
        answer: Answer = await self._submit(folders, _FILES_AT_ONCE, function, arguments)
        return answer

    async def run_transfer(
        self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """As `run`, for long work whose number the caller limits: other work on the folder continues beside it."""
        answer: Answer = await self._submit(folders, None, function, arguments)
        return answer

    async def run_shared(
        self, folder: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """Return `function(folder, *arguments)`. Concurrent calls with the same function, folder and arguments share one result."""
        key = (function, folder, *arguments)
        future = self._shared.get(key)
        if future is None:
            future = self._submit(folder, _FILES_AT_ONCE, function, (folder, *arguments))
            self._shared[key] = future
            future.add_done_callback(partial(self._end_shared, key))
        answer: Answer = await asyncio.shield(future)
        return answer

    def stop(self) -> list[threading.Thread]:
        """End every thread after its present work. Returns the threads."""
        return [thread for threads in self._threads.values() for thread in threads.stop()]

    def _end_shared(self, key: Hashable, future: asyncio.Future[Any]) -> None:
        del self._shared[key]
        if not future.cancelled():
            future.exception()  # marks it as retrieved, in case no caller waits for it any longer

    def _submit(
        self,
        folders: str | tuple[str, ...],
        limit: int | None,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> asyncio.Future[Any]:
        folders = (folders,) if isinstance(folders, str) else folders
        for silence in self._silent.values():
            if _contains(folders, silence.folders):
                raise silence.error()
        key = (folders, limit)
        if key not in self._threads:
            self._threads[key] = Threads(f"on {' '.join(folders)}", limit, self._end)
        call = Call(folders, function, arguments, self._loop.create_future(), self._loop.time())
        self._threads[key].submit(call)
        self._schedule_round()
        return call.future

    def _end(self, call: Call, answer: Any, error: BaseException | None) -> None:
        if call.future.done():
            for silence in list(self._silent.values()):
                silence.abandoned.discard(call)
                self._end_silence(silence)
        elif error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(answer)

    # folders that may not answer

    def _schedule_round(self) -> None:
        if not self._is_round_scheduled:
            self._is_round_scheduled = True
            self._loop.call_later(self._slow_seconds, self._round)

    def _round(self) -> None:
        """Check slow calls, as long as any work is running."""
        self._is_round_scheduled = False
        now = self._loop.time()
        running = self._running()
        for call in running:
            if call.started_at <= now - self._slow_seconds and not call.future.done():
                self._check_call(call, now)
        for silence in list(self._silent.values()):
            if silence.mounts != [mounts_above(folder) for folder in silence.folders]:
                self._start_over(silence)
        if running or self._probes or self._silent:
            self._schedule_round()

    def _running(self) -> list[Call]:
        return [call for threads in self._threads.values() for call in threads.running]

    def _check_call(self, call: Call, now: float) -> None:
        for folder in call.folders:
            self._start_probe(folder)
        activity = activity_of(call.thread_id) if call.thread_id else b""
        if not activity or activity != call.activity:
            call.activity, call.active_at = activity, now
        elif now - call.active_at >= self._stuck_seconds:
            places = " and ".join(map(printable, call.folders))
            words = f"Work in {places} has made no progress for {self._stuck_seconds:g} seconds."
            hint = "Does the disk or its server hang? Work resumes when it answers again."
            self._fall_silent(call.folders, words, hint)

    def _start_probe(self, folder: str) -> None:
        if folder in self._probes:
            return
        timer = self._loop.call_later(self._probe_seconds, self._on_no_answer, folder)
        self._probes[folder] = timer
        prober = Threads(f"probe {folder}", 1, lambda *_: self._on_answer(folder, timer))
        try:
            prober.submit(Call((folder,), self._probe, (folder,), self._loop.create_future(), self._loop.time()))
        except OutOfResourcesError:  # the next round tries again
            timer.cancel()
            del self._probes[folder]
        prober.stop()

    def _on_answer(self, folder: str, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if self._probes.get(folder) is timer:
            del self._probes[folder]
            if (silence := self._silent.get((folder,))) is not None:
                silence.is_probed = False
                self._end_silence(silence)

    def _on_no_answer(self, folder: str) -> None:
        seconds = self._slow_seconds + self._probe_seconds
        words = f"The folder {printable(folder)} has not answered for {seconds:g} seconds."
        hint = "Is its server down? Work resumes when it answers."
        self._fall_silent((folder,), words, hint, is_probed=True)

    def _fall_silent(self, folders: tuple[str, ...], words: str, hint: str, *, is_probed: bool = False) -> None:
        abandoned = {call for call in self._running() if _contains(call.folders, folders)}
        mounts = [mounts_above(folder) for folder in folders]
        silence = self._silent[folders] = _Silence(folders, words, hint, mounts, abandoned, is_probed)
        for call in abandoned:
            if not call.future.done():
                call.future.set_exception(silence.error())

    def _end_silence(self, silence: _Silence) -> None:
        if not silence.is_probed and not silence.abandoned:
            self._silent.pop(silence.folders, None)

    def _start_over(self, silence: _Silence) -> None:
        """Use new threads, because something else is mounted there; the old ones are left waiting for the old mount."""
        del self._silent[silence.folders]
        for folder in silence.folders:
            self._probes.pop(folder, None)
        for key in [key for key in self._threads if _contains(key[0], silence.folders)]:
            self._threads.pop(key).stop()


def _contains(folders: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return all(part in folders for part in parts)
