"""The store's own thread: SQLite never runs on the event loop, and calls that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar

from lalald.errors import RowError, StoreBusyError, StoreError, StoreRefusedError
from lalald.store.calls import Call, call_with, give, ignore_error, ignore_events, ignore_jobs, out_of_memory, take_all
from lalald.store.database import folder_of, translated
from lalald.store.rows import UnreadableJob
from lalald.store.store import Store

Answer = TypeVar("Answer")
Parameters = ParamSpec("Parameters")
_MOST_IN_ONE_COMMIT = 256
_COMPANY_SECONDS = 0.005  # how long what can wait does: while the pipeline is busy, a commit comes sooner
_AGAIN_SECONDS = 2.0  # between attempts to write to a full disk
_MOST_DOUBTS = 5  # of a database that is intact at every check
_STOP_SECONDS = 1.0  # for a last attempt; a disk that does not answer must not delay the stop


class StoreThread:
    """Runs functions on the store, each atomic, many in one commit; if one fails, the others are run again without it.

    `run` returns only after the commit: its result is durable. While the disk is full, or another program has the database locked,
    writes wait in memory, and queries are answered. A disk that fails for a moment can look like damage to SQLite: before the
    database is reported as damaged it is opened again and checked as a whole.
    `on_trouble` is called on the event loop with the trouble when it begins, and with None when it is over; `on_unreadable` with jobs that
    were set aside because a row of theirs cannot be read.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        on_trouble: Callable[[StoreError | None], None] = ignore_error,
        *,
        again_seconds: float = _AGAIN_SECONDS,
        company_seconds: float = _COMPANY_SECONDS,
        on_unreadable: Callable[[Sequence[UnreadableJob]], None] = ignore_jobs,
        on_events: Callable[[], None] = ignore_events,
    ) -> None:
        self._open_store = open_store
        self._on_trouble = on_trouble
        self._on_unreadable = on_unreadable
        self._on_events = on_events
        self._again_seconds = again_seconds
        self._company_seconds = company_seconds
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._companions: deque[Call] = deque()  # run with the next calls
        self._waiting: list[Call] = []
        self._again_at = float("inf")
        self._ending = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self.trouble: StoreError | None = None
        self._store: Store  # the thread's own, from its start on
        self._doubted: StoreBusyError | None = None  # why, if the connection must be opened again
        self._doubts = 0  # since all that waited was written

    async def start(self) -> None:
        """Opens the database on its thread, as soon as its disk has room for it. Raises StoreError."""
        self._thread.start()
        await self._ready

    async def run(
        self,
        function: Callable[Concatenate[Store, Parameters], Answer],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Answer:
        """Return the result of `function(store, *args, **kwargs)` once it is durable. It is called again if it has to wait.

        Its own errors are raised here; SQLite's as StoreError.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._calls.put(Call(partial(call_with, function, args, kwargs), future))
        return await future

    async def run_with_others(self, function: Callable[[Store], Answer]) -> Answer:
        """As `run`, in the commit of what cannot wait if that comes soon: neither a thread nor a disk works for it alone."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._companions.append(Call(function, future))
        alone = self._loop.call_later(self._company_seconds, self._send_companions)
        try:
            return await future
        finally:
            alone.cancel()

    def _send_companions(self) -> None:
        for call in take_all(self._companions):
            self._calls.put(call)

    async def remember_folder(self, path: str, marker: str | None, reason: str | None, now: float) -> None:
        """Save a configured folder's marker, and why it is unavailable."""
        await self.run(lambda store: store.folders.set_folder(path, marker=marker, reason=reason, now=now))

    async def stop(self) -> None:
        """Run what was requested so far, if there is room, then close the database."""
        self._ending.set()
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def _work(self) -> None:
        try:
            self._store = self._opened()
        except Exception as error:  # noqa: BLE001 - it is raised where the thread was started
            self._answer_start(error)
            return
        self._answer_start(None)
        while (calls := self._gather()) is not None:
            self._run_calls(calls)
        self._run_calls([*self._take_waiting(), *take_all(self._companions)])
        for call in self._waiting:
            call.error = self.trouble or StoreError("the database is closed.")
        self._answer(self._waiting)
        self._close()

    def _close(self) -> None:
        with suppress(sqlite3.Error):  # a disk that fails; what was committed is in its log
            self._store.close()

    def _opened(self) -> Store:
        while True:
            try:
                store = self._open_store()
            except StoreBusyError as error:
                self._report(error)
                if self._ending.wait(self._again_seconds):
                    raise
            else:
                self._report(None)
                return store

    def _gather(self) -> list[Call] | None:
        """The next calls, with waiting ones when it is time to retry them; None at the end."""
        calls: list[Call] = []
        try:
            seconds = None if not self._waiting else max(0.0, self._again_at - time.monotonic())
            call = self._calls.get(timeout=seconds) if seconds != 0.0 else self._calls.get_nowait()
            calls += take_all(self._companions)
            while call is not None and len(calls) < _MOST_IN_ONE_COMMIT - 1:
                calls.append(call)
                call = self._calls.get_nowait()
            if call is not None:
                calls.append(call)
            elif calls:
                self._calls.put(None)  # the end comes after these
            else:
                return None
        except Empty:
            if time.monotonic() >= self._again_at:
                calls = [*self._take_waiting(), *calls]
        return calls

    def _take_waiting(self) -> list[Call]:
        waiting, self._waiting, self._again_at = self._waiting, [], float("inf")
        return waiting

    def _run_calls(self, calls: list[Call]) -> None:
        """Run the calls in one commit; if the disk is full, each in its own, so that those that write nothing are answered."""
        trouble = self._commit(calls)
        if isinstance(trouble, StoreBusyError):
            alone = len(calls) > 1 and not trouble.locked and self._doubted is None
            late = [call for call in calls if not alone or isinstance(self._commit([call]), StoreBusyError)]
            calls = [call for call in calls if call not in late]
            self._waiting += late
            self._again_at = min(self._again_at, time.monotonic() + self._again_seconds)
        if self._waiting and isinstance(trouble, StoreBusyError):
            self._report(trouble)
        elif not self._waiting:
            self._doubts = 0
            self._report(None)
        self._answer(calls)

    def _commit(self, calls: list[Call]) -> StoreError | None:
        """Commit the calls. Returns the error if nothing was written; calls get it unless it is transient."""
        failure = self._renewed() or self._tried(calls)
        if failure is not None:
            for call in calls:
                call.error = failure
        return failure

    def _renewed(self) -> StoreError | None:
        """Open the database again if its connection is doubted. Returns the error if that fails."""
        if self._doubted is None:
            return None
        if time.monotonic() < self._again_at < float("inf"):
            return self._doubted  # the disk may fail still
        self._close()
        try:
            self._store = self._open_store()
        except StoreError as error:
            return error
        self._doubted = None
        return None

    def _tried(self, calls: list[Call]) -> StoreError | None:
        store = self._store
        connection = store.connection
        store.newly_unreadable.clear()
        store.events.was_written = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not all(
                self._run(store, call) for call in calls
            ):  # a savepoint around each costs as much as what it does
                connection.execute("ROLLBACK")
                store.newly_unreadable.clear()
                connection.execute("BEGIN IMMEDIATE")
                for call in calls:
                    self._run_alone(store, call)
            connection.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            failure = self._failure(error)
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error as worse:
                return self._doubt(worse)
            return self._doubt(error) if isinstance(failure, StoreRefusedError) else failure
        if store.newly_unreadable:
            self._loop.call_soon_threadsafe(self._on_unreadable, [*store.newly_unreadable])
        if store.events.was_written:
            self._loop.call_soon_threadsafe(self._on_events)
        return None

    def _failure(self, error: sqlite3.Error | MemoryError) -> StoreError:
        if isinstance(error, MemoryError):
            return out_of_memory()
        return translated(error, "the database", folder_of(self._store.connection))

    def _doubt(self, error: Exception) -> StoreError:
        self._doubts += 1
        if self._doubts > _MOST_DOUBTS and isinstance(error, sqlite3.Error):
            return translated(error, "the database")
        self._doubted = StoreBusyError(f"the database cannot be read: {error}.", hint="It is opened again and checked.")
        return self._doubted

    def _run(self, store: Store, call: Call) -> bool:
        """Run the call. False if it failed; it has its error then, and its writes must be undone."""
        call.error = None
        try:
            call.answer = call.function(store)
        except (sqlite3.OperationalError, MemoryError):
            raise  # a full disk or a lock concerns the whole commit
        except sqlite3.DatabaseError as error:
            if isinstance(translated(error, "the database"), StoreRefusedError):
                raise  # so is damage
            call.error = RowError(f"the database: {error}.")
            call.error.__cause__ = error
        except StopIteration as error:  # a future takes none
            call.error = RuntimeError("StopIteration")
            call.error.__cause__ = error
        except Exception as error:  # noqa: BLE001 - it is raised where the call was made
            call.error = error
        return call.error is None

    def _run_alone(self, store: Store, call: Call) -> None:
        """Run the call in a savepoint, so that a failure undoes its own writes only."""
        store.connection.execute("SAVEPOINT call")
        set_aside = len(store.newly_unreadable)
        if not self._run(store, call):
            del store.newly_unreadable[set_aside:]
            store.connection.execute("ROLLBACK TO call")
        store.connection.execute("RELEASE call")

    # on the event loop

    def _answer(self, calls: list[Call]) -> None:
        if calls:
            self._loop.call_soon_threadsafe(give, calls)

    def _report(self, trouble: StoreError | None) -> None:
        """Report an error when it begins, and when it is over."""
        if (trouble is None) != (self.trouble is None):
            self.trouble = trouble
            self._loop.call_soon_threadsafe(self._on_trouble, trouble)

    def _answer_start(self, error: Exception | None) -> None:
        def answer() -> None:
            if not self._ready.cancelled():
                self._ready.set_exception(error) if error else self._ready.set_result(None)

        self._loop.call_soon_threadsafe(answer)


__all__ = ["StoreError", "StoreThread"]
