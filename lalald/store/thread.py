"""The store's own thread: SQLite never runs on the event loop, and what gathers while one commit runs is committed together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from lalald.errors import StoreError
from lalald.store.database import translated
from lalald.store.store import Store

Answer = TypeVar("Answer")
_MOST_IN_ONE_COMMIT = 256


class _Call:
    __slots__ = ("answer", "error", "function", "future")

    def __init__(self, function: Callable[[Store], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        self.answer: Any = None
        self.error: Exception | None = None


class StoreThread:
    """Runs functions on the store, each atomic, many in one commit.

    An answer is given only after the commit that holds it: what `run` returned is durable.
    """

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)

    async def start(self) -> None:
        """Opens the database on its thread. Raises StoreError."""
        self._thread.start()
        await self._ready

    async def run(self, function: Callable[[Store], Answer]) -> Answer:
        """What `function` returns, once it is durable. Its own errors are raised here; SQLite's as StoreError."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._calls.put(_Call(function, future))
        return await future

    async def stop(self) -> None:
        """Everything asked for so far is done; then the database is closed."""
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        try:
            store = self._open_store()
        except Exception as error:  # noqa: BLE001 - it is raised where the thread was started
            self._tell(self._ready, None, error)
            return
        self._tell(self._ready, None, None)
        while calls := self._gather():
            self._commit(store, calls)
            self._loop.call_soon_threadsafe(self._answer, calls)
        store.close()

    def _gather(self) -> list[_Call]:
        """The next call and whatever else waits already; nothing at the end."""
        calls: list[_Call] = []
        call = self._calls.get()
        while call is not None:
            calls.append(call)
            if len(calls) == _MOST_IN_ONE_COMMIT:
                break
            try:
                call = self._calls.get_nowait()
            except Empty:
                return calls
        if calls and call is None:
            self._calls.put(None)  # the end comes after these
        return calls

    def _commit(self, store: Store, calls: list[_Call]) -> None:
        connection = store.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for call in calls:
                self._run(store, call)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = translated(error, "the database")
            for call in calls:
                call.error = failure

    def _run(self, store: Store, call: _Call) -> None:
        connection = store.connection
        connection.execute("SAVEPOINT call")
        try:
            call.answer = call.function(store)
        except sqlite3.OperationalError:
            raise  # a full disk or a lock is everybody's: the whole commit is given up
        except Exception as error:  # noqa: BLE001 - it is raised where the call was made
            connection.execute("ROLLBACK TO call")
            call.error = translated(error, "the database") if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE call")

    def _answer(self, calls: list[_Call]) -> None:
        for call in calls:
            if call.future.cancelled():
                continue
            if call.error is not None:
                call.future.set_exception(call.error)
            else:
                call.future.set_result(call.answer)

    def _tell(self, future: asyncio.Future[None], answer: None, error: Exception | None) -> None:
        def tell() -> None:
            if not future.cancelled():
                future.set_exception(error) if error else future.set_result(answer)

        self._loop.call_soon_threadsafe(tell)


__all__ = ["StoreError", "StoreThread"]
