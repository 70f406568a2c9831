"""Threads for what blocks on disks and shares. Each folder has its own: one whose server is gone keeps nobody else waiting.

    on(folder, work) ──► one of its threads ──► the answer
                            │ none after a while?
                            └─► does the folder answer at all? ──► no: all its work is given up, and it is silent

A silent folder refuses work at once. It is silent until it answers and what was given up has come back, so that nothing is under
way twice; or until something else is mounted there, in whose way no old thread stands.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from lalald.errors import FolderUnavailableError
from lalald.mounts import mounts_above
from lalald.naming import shown

Answer = TypeVar("Answer")

_DOUBT_SECONDS = 5.0
_ANSWER_SECONDS = 20.0  # disks that sleep take some time to wake up
_FILES_AT_ONCE = 4


def _asked(folder: str) -> None:
    """Returns where it answers, with an error or without. The room on a share is asked of its server each time."""
    with suppress(OSError):
        os.statvfs(folder)


@dataclass(eq=False, slots=True)
class _Call:
    """Work for a thread. Where its future is done before the work is, it was given up."""

    folders: tuple[str, ...]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: asyncio.Future[Any]
    since: float


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
        self.under_way.add(call)
        count = len(self._threads)
        if count < len(self.under_way) and count != self._most:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(call)

    def stop(self) -> list[threading.Thread]:
        """Each ends when its work does."""
        for _ in self._threads:
            self._calls.put(None)
        return self._threads

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            answer, error = None, None
            if not call.future.done():
                try:
                    answer = call.function(*call.arguments)
                except BaseException as fault:  # noqa: BLE001 - it is raised where the work was asked for
                    error = fault
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                self._loop.call_soon_threadsafe(self._come_back, call, answer, error)
            del call, answer, error  # a thread that sleeps keeps nothing alive

    def _come_back(self, call: _Call, answer: Any, error: BaseException | None) -> None:
        self.under_way.discard(call)
        self._ended(call, answer, error)


@dataclass(slots=True)
class _Doubt:
    """A folder whose work takes long is asked whether it is there at all."""

    mounts: list[bytes]  # those that held it when it was asked
    is_answered: bool = False
    is_silent: bool = False
    given_up: set[_Call] = field(default_factory=set)


class Disks:
    """One for the daemon, on its event loop. Asleep while nothing is under way."""

    def __init__(
        self,
        doubt_seconds: float = _DOUBT_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
        ask: Callable[[str], object] = _asked,
    ) -> None:
        """`ask` returns where a folder answers, whatever the answer is."""
        self._is_there = ask
        self._doubt_seconds = doubt_seconds
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        self._threads: dict[tuple[tuple[str, ...], int | None], _Threads] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._looks: dict[tuple[str, Callable[..., Any]], asyncio.Future[Any]] = {}
        self._round_is_due = False

    async def on(self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `function(*arguments)` returns, on a thread of the configured folder, or folders, that it works in.

        Raises FolderUnavailableError where one of them does not answer.
        """
        answer: Answer = await self._begin(folders, _FILES_AT_ONCE, function, arguments)
        return answer

    async def transfer(
        self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """The same for what takes long, and is limited in number by whoever asks: other work on the folder goes on beside it."""
        answer: Answer = await self._begin(folders, None, function, arguments)
        return answer

    async def look(self, folder: str, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `function(folder, *arguments)` finds; who asks the same of the folder meanwhile is told the same."""
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

    def _looked(self, place: tuple[str, Callable[..., Any]], look: asyncio.Future[Any]) -> None:
        del self._looks[place]
        if not look.cancelled():
            look.exception()  # whoever waits for it raises it, if anybody still does

    def _begin(
        self, folders: str | tuple[str, ...], most: int | None, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> asyncio.Future[Any]:
        folders = (folders,) if isinstance(folders, str) else folders
        for folder in folders:
            if (doubt := self._doubts.get(folder)) is not None and doubt.is_silent:
                raise self._unavailable(folder)
        place = (folders, most)
        if place not in self._threads:
            self._threads[place] = _Threads(f"on {' '.join(folders)}", most, self._ended)
        call = _Call(folders, function, arguments, self._loop.create_future(), self._loop.time())
        self._threads[place].take(call)
        self._come_round()
        return call.future

    def _ended(self, call: _Call, answer: Any, error: BaseException | None) -> None:
        if call.future.done():
            self._came_back(call)
        elif error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(answer)

    # folders that may not answer

    def _unavailable(self, folder: str) -> FolderUnavailableError:
        seconds = self._doubt_seconds + self._answer_seconds
        message = f"The folder {shown(folder)} has not answered for {seconds:g} seconds."
        return FolderUnavailableError(message, hint="Is its server down? It is taken up when it answers.")

    def _come_round(self) -> None:
        if not self._round_is_due:
            self._round_is_due = True
            self._loop.call_later(self._doubt_seconds, self._round)

    def _round(self) -> None:
        """As long as anything is under way: what takes long makes its folders doubtful."""
        self._round_is_due = False
        late = self._loop.time() - self._doubt_seconds
        under_way = [call for threads in self._threads.values() for call in threads.under_way]
        for folder in {
            folder for call in under_way if call.since <= late and not call.future.done() for folder in call.folders
        }:
            self._ask(folder)
        for folder, doubt in list(self._doubts.items()):
            if doubt.is_silent and doubt.mounts != mounts_above(folder):
                self._begin_anew(folder)
        if under_way or self._doubts:
            self._come_round()

    def _ask(self, folder: str) -> None:
        if folder in self._doubts:
            return
        doubt = self._doubts[folder] = _Doubt(mounts_above(folder))
        timer = self._loop.call_later(self._answer_seconds, self._give_up, folder, doubt)
        asker = _Threads(f"is {folder} there", 1, lambda *_: self._answered(folder, doubt, timer))
        asker.take(_Call((folder,), self._is_there, (folder,), self._loop.create_future(), self._loop.time()))
        asker.stop()

    def _answered(self, folder: str, doubt: _Doubt, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        doubt.is_answered = True
        self._take_up(folder, doubt)

    def _give_up(self, folder: str, doubt: _Doubt) -> None:
        doubt.is_silent = True
        for threads in self._threads.values():
            for call in threads.under_way:
                if folder in call.folders:
                    doubt.given_up.add(call)
                    if not call.future.done():
                        call.future.set_exception(self._unavailable(folder))

    def _came_back(self, call: _Call) -> None:
        for folder in call.folders:
            if (doubt := self._doubts.get(folder)) is not None:
                doubt.given_up.discard(call)
                self._take_up(folder, doubt)

    def _take_up(self, folder: str, doubt: _Doubt) -> None:
        if doubt.is_answered and not doubt.given_up and self._doubts.get(folder) is doubt:
            del self._doubts[folder]

    def _begin_anew(self, folder: str) -> None:
        """Something else is mounted there: threads that still wait for what was there before are left to it."""
        del self._doubts[folder]
        for place in [place for place in self._threads if folder in place[0]]:
            self._threads.pop(place).stop()
