"""Threads for what blocks on disks and shares. Each folder has its own: one whose server is gone keeps nobody else waiting.

    on(folder, work) ──► one of its threads ──► the answer
                            │ none after a while?
                            ├─► does the folder answer at all? ──► no: all its work is given up, and it is silent
                            └─► does the thread still move? ─────► no, for long: the same

A silent folder refuses work at once. It is silent until it answers and what was given up has come back, so that nothing is under
way twice; or until something else is mounted there, in whose way no old thread stands.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from lalald.errors import FolderUnavailableError, OutOfResourcesError
from lalald.filesystem.mounts import mounts_above
from lalald.filesystem.names import printable

Answer = TypeVar("Answer")

_DOUBT_SECONDS = 5.0
_ANSWER_SECONDS = 20.0  # disks that sleep take some time to wake up
_STUCK_SECONDS = 600.0  # longer than anything waits for the network; what works on large files moves all the time
_FILES_AT_ONCE = 4


@dataclass(eq=False, slots=True)
class _Call:
    """Work for a thread. Where its future is done before the work is, it was given up."""

    folders: tuple[str, ...]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Any]
    since: float
    thread_id: int = 0
    moved: bytes = b""
    moved_at: float = 0.0


class _Threads:
    """Made when there is more work than threads, up to `most`. They end with the program, whatever they wait for."""

    def __init__(self, name: str, most: int | None, ended: Callable[[_Call, Any, BaseException | None], None]) -> None:
        self._name = name
        self._most = most
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.under_way: set[_Call] = set()

    def take(self, call: _Call) -> None:
        count = len(self._threads)
        if count <= len(self.under_way) and count != self._most:
            self._add_thread()
        self.under_way.add(call)
        self._calls.put(call)

    def _add_thread(self) -> None:
        """Where the system gives no more threads, those there are do the work; raises OutOfResourcesError where there is none."""
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._threads:
                raise OutOfResourcesError(f"no thread could be started: {error}") from error
        else:
            self._threads.append(thread)

    def stop(self) -> list[threading.Thread]:
        """Each ends when its work does."""
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
                except StopIteration as fault:  # a future takes none
                    error = RuntimeError("StopIteration")
                    error.__cause__ = fault
                except BaseException as fault:  # noqa: BLE001 - it is raised where the work was asked for
                    error = fault
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                self._loop.call_soon_threadsafe(self._come_back, call, answer, error)
            del call, answer, error  # a thread that sleeps keeps nothing alive

    def _come_back(self, call: _Call, answer: Any, error: BaseException | None) -> None:
        self.under_way.discard(call)
        self._ended(call, answer, error)


@dataclass(slots=True)
class _Silence:
    """Of a folder, or of what lies between two."""

    folders: tuple[str, ...]
    words: str
    hint: str
    mounts: list[list[bytes]]  # those that held them when they fell silent
    given_up: set[_Call]
    is_asked: bool = False  # its answer is still waited for

    def error(self) -> FolderUnavailableError:
        return FolderUnavailableError(self.words, hint=self.hint)


def _asked(folder: str) -> None:
    """Returns where it answers, with an error or without. The room on a share is asked of its server each time."""
    with suppress(OSError):
        os.statvfs(folder)


def _moves(thread_id: int) -> bytes:
    """Something that changes whenever the thread has run; nothing where the kernel does not tell."""
    with suppress(OSError), open(f"/proc/self/task/{thread_id}/status", "rb") as file:
        return file.read().rpartition(b"\nvoluntary_ctxt_switches")[2]
    return b""


class MountPools:
    """One for the daemon, on its event loop. Asleep while nothing is under way."""

    def __init__(
        self,
        doubt_seconds: float = _DOUBT_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
        stuck_seconds: float = _STUCK_SECONDS,
        ask: Callable[[str], object] = _asked,
    ) -> None:
        """`ask` returns where a folder answers, whatever the answer is."""
        self._is_there = ask
        self._doubt_seconds = doubt_seconds
        self._answer_seconds = answer_seconds
        self._stuck_seconds = stuck_seconds
        self._loop = asyncio.get_running_loop()
        self._threads: dict[tuple[tuple[str, ...], int | None], _Threads] = {}
        self._asked: dict[str, asyncio.TimerHandle] = {}
        self._silent: dict[tuple[str, ...], _Silence] = {}
        self._looks: dict[tuple[str | tuple[str, ...], Callable[..., Any]], asyncio.Future[Any]] = {}
        self._round_is_due = False

    async def run(self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `function(*arguments)` returns, on a thread of the configured folder, or folders, that it works in.

        Raises FolderUnavailableError where one of them does not answer, OutOfResourcesError where there is no thread.
        """
        answer: Answer = await self._begin(folders, _FILES_AT_ONCE, function, arguments)
        return answer

    async def run_transfer(
        self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """The same for what takes long, and is limited in number by whoever asks: other work on the folder goes on beside it."""
        answer: Answer = await self._begin(folders, None, function, arguments)
        return answer

    async def run_shared(
        self, folder: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """What `function(folder, *arguments)` finds; who asks the same of the folder, or folders, meanwhile is told the same."""
        place = (folder, function)
        look = self._looks.get(place)
        if look is None:
            look = self._begin(folder, _FILES_AT_ONCE, function, (folder, *arguments))
            self._looks[place] = look
            look.add_done_callback(partial(self._looked, place))
        answer: Answer = await asyncio.shield(look)
        return answer

    def stop(self) -> list[threading.Thread]:
        """Every thread ends when its work does."""
        return [thread for threads in self._threads.values() for thread in threads.stop()]

    def _looked(self, place: tuple[str | tuple[str, ...], Callable[..., Any]], look: asyncio.Future[Any]) -> None:
        del self._looks[place]
        if not look.cancelled():
            look.exception()  # whoever waits for it raises it, if anybody still does

    def _begin(
        self, folders: str | tuple[str, ...], most: int | None, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> asyncio.Future[Any]:
        folders = (folders,) if isinstance(folders, str) else folders
        for silence in self._silent.values():
            if _lies_in(silence.folders, folders):
                raise silence.error()
        place = (folders, most)
        if place not in self._threads:
            self._threads[place] = _Threads(f"on {' '.join(folders)}", most, self._ended)
        call = _Call(folders, function, arguments, self._loop.create_future(), self._loop.time())
        self._threads[place].take(call)
        self._come_round()
        return call.future

    def _ended(self, call: _Call, answer: Any, error: BaseException | None) -> None:
        if call.future.done():
            for silence in list(self._silent.values()):
                silence.given_up.discard(call)
                self._take_up(silence)
        elif error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(answer)

    # folders that may not answer

    def _come_round(self) -> None:
        if not self._round_is_due:
            self._round_is_due = True
            self._loop.call_later(self._doubt_seconds, self._round)

    def _round(self) -> None:
        """As long as anything is under way: what takes long is doubted."""
        self._round_is_due = False
        now = self._loop.time()
        under_way = self._under_way()
        for call in under_way:
            if call.since <= now - self._doubt_seconds and not call.future.done():
                self._doubt(call, now)
        for silence in list(self._silent.values()):
            if silence.mounts != [mounts_above(folder) for folder in silence.folders]:
                self._begin_anew(silence)
        if under_way or self._asked or self._silent:
            self._come_round()

    def _under_way(self) -> list[_Call]:
        return [call for threads in self._threads.values() for call in threads.under_way]

    def _doubt(self, call: _Call, now: float) -> None:
        for folder in call.folders:
            self._ask(folder)
        moved = _moves(call.thread_id) if call.thread_id else b""
        if not moved or moved != call.moved:
            call.moved, call.moved_at = moved, now
        elif now - call.moved_at >= self._stuck_seconds:
            places = " and ".join(map(printable, call.folders))
            words = f"Nothing has moved for {self._stuck_seconds:g} seconds in {places}."
            hint = "Does the disk or its server hang? Work resumes when it answers again."
            self._fall_silent(call.folders, words, hint)

    def _ask(self, folder: str) -> None:
        if folder in self._asked:
            return
        timer = self._loop.call_later(self._answer_seconds, self._unanswered, folder)
        self._asked[folder] = timer
        asker = _Threads(f"is {folder} there", 1, lambda *_: self._answered(folder, timer))
        try:
            asker.take(_Call((folder,), self._is_there, (folder,), self._loop.create_future(), self._loop.time()))
        except OutOfResourcesError:  # the next round asks again
            timer.cancel()
            del self._asked[folder]
        asker.stop()

    def _answered(self, folder: str, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if self._asked.get(folder) is timer:
            del self._asked[folder]
            if (silence := self._silent.get((folder,))) is not None:
                silence.is_asked = False
                self._take_up(silence)

    def _unanswered(self, folder: str) -> None:
        seconds = self._doubt_seconds + self._answer_seconds
        words = f"The folder {printable(folder)} has not answered for {seconds:g} seconds."
        hint = "Is its server down? Work resumes when it answers."
        self._fall_silent((folder,), words, hint, is_asked=True)

    def _fall_silent(self, folders: tuple[str, ...], words: str, hint: str, *, is_asked: bool = False) -> None:
        given_up = {call for call in self._under_way() if _lies_in(folders, call.folders)}
        mounts = [mounts_above(folder) for folder in folders]
        silence = self._silent[folders] = _Silence(folders, words, hint, mounts, given_up, is_asked)
        for call in given_up:
            if not call.future.done():
                call.future.set_exception(silence.error())

    def _take_up(self, silence: _Silence) -> None:
        if not silence.is_asked and not silence.given_up:
            self._silent.pop(silence.folders, None)

    def _begin_anew(self, silence: _Silence) -> None:
        """Something else is mounted there: threads that still wait for what was there before are left to it."""
        del self._silent[silence.folders]
        for folder in silence.folders:
            self._asked.pop(folder, None)
        for place in [place for place in self._threads if _lies_in(silence.folders, place[0])]:
            self._threads.pop(place).stop()


def _lies_in(folders: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return all(folder in others for folder in folders)
