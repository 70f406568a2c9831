"""Stream the status: a full snapshot first, then the changes. The store is read only while a client is connected.

store changed? ──► one new status for all ──► each stream sends the keys in which it differs from what it sent last
(data_version,       at most five a second       a slow reader skips what is outdated
 every 100 ms)
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lalald.control.socket_client import Report, report
from lalald.errors import StoreError
from lalald.reports.json_text import as_json, rounded
from lalald.store.page.recorded_actions import acted_since
from lalald.web import parameters
from lalald.web.access.auth import Session
from lalald.web.page import Page
from lalald.web.responses import RequestError

MOST_STREAMS = 4  # of a session
_LOOK_SECONDS = 0.1
_LEAST_SECONDS = 0.2  # between two statuses
_ASK_DAEMON_SECONDS = 5.0
_COMMENT_SECONDS = 20.0
_ANSWER_SECONDS = 3.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_TYPE = "text/event-stream"

JobFacts = Callable[[int], Awaitable[dict[str, Any] | None]]


@dataclass(eq=False, slots=True)
class Stream:
    """One that is open. `end`: why it is to be closed. `expires_at`: when its session ends."""

    session: str
    expires_at: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    end: str = ""

    def close(self, reason: str) -> None:
        self.end = reason
        self.changed.set()

    async def wait(self, now: float) -> None:
        """For a change, a while at most. Raises TimeoutError."""
        async with asyncio.timeout(max(0.0, min(_COMMENT_SECONDS, self.expires_at - now))):
            await self.changed.wait()


class StatusStreams:
    """All open streams, and the events that they get."""

    def __init__(self, page: Page, job_facts: JobFacts) -> None:
        self._page = page
        self._job_facts = job_facts
        self._streams: set[Stream] = set()
        self._watching: asyncio.Task[None] | None = None
        self._status: dict[str, Any] | None = None
        self._number = 0
        self._said: Report | None = None
        self._said_at = 0.0

    def routes(self) -> list[Route]:
        return [Route("/api/events", self.events, methods=["GET"])]

    @property
    def count(self) -> int:
        return len(self._streams)

    def end(self, session: str | None, reason: str = "logout") -> None:
        """Closes the streams of a session, or all of them."""
        for stream in self._streams:
            if session is None or stream.session == session:
                stream.close(reason)

    async def events(self, request: Request) -> Response:
        job_id = parameters.number(request, "job", None, least=1)
        session: Session = request.scope["lalald.session"]
        if sum(stream.session == session.key for stream in self._streams) >= MOST_STREAMS:
            hint = "Close a tab of this page, or let this one ask api/status every 5 seconds."
            raise RequestError(
                429,
                "This session has 4 live tabs already.",
                code="too_many_streams",
                hint=hint,
                headers={"Retry-After": "5"},
            )
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type=_TYPE)
        stream = Stream(session.key, math.inf if session.expires_at is None else session.expires_at)
        self._streams.add(stream)
        try:
            if self._status is None:
                self._status = await self._new_status()  # an error of the store is answered as one
        except BaseException:
            self._streams.discard(stream)
            raise
        self._watch()
        return _StreamAnswer(self._told(stream, job_id), lambda: self._streams.discard(stream))

    async def _told(self, stream: Stream, job_id: int | None) -> AsyncIterator[str]:
        seen = _Seen(self._status or {}, await self._job(job_id), time.time())
        yield _frame("snapshot", {"status": seen.status, "job": seen.job, "version": self._number})
        while not stream.end:
            number = self._number
            try:
                await stream.wait(self._page.now())
            except TimeoutError:
                if self._page.now() >= stream.expires_at:
                    stream.close("logout")
                yield ": still here\n\n"
                continue
            stream.changed.clear()
            for frame in await self._news(seen, job_id):
                yield frame
            if self._number != number:
                yield _frame("changed", {"version": self._number})
        yield _frame("end", {"reason": stream.end})

    async def _news(self, seen: _Seen, job_id: int | None) -> list[str]:
        """The facts that this stream has not sent yet."""
        frames = []
        status = self._status or {}
        if news := {key: value for key, value in status.items() if seen.status.get(key) != value}:
            frames.append(_frame("status", news))
            seen.status = status
        if job_id is not None and (job := await self._job(job_id)) != seen.job:
            frames.append(_frame("job", job))
            seen.job = job
        with suppress(StoreError):
            acted, seen.acted_at = await self._page.store.watch(acted_since, seen.acted_at)
            frames += [_frame("action", {"key": key, "results": results}) for key, results in acted.items()]
        return frames

    async def _job(self, job_id: int | None) -> Any:
        if job_id is None:
            return None
        try:
            return rounded(await self._job_facts(job_id))
        except (StoreError, RequestError):
            return None

    # looking

    def _watch(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._look(), name="status")

    async def _look(self) -> None:
        """Run while any client is connected."""
        version: tuple[int, int] | None = None
        while self._streams:
            now = time.monotonic()
            try:
                found = await self._page.store.version()
                if found != version:
                    version = found
                    self._number += 1
                    self._tell(await self._new_status())
                elif now - self._said_at >= _ASK_DAEMON_SECONDS:
                    self._tell_if_new(await self._new_status())
            except StoreError as error:
                self._tell_if_new({**(self._status or {}), "store_error": str(error)})
            await asyncio.sleep(max(_LOOK_SECONDS, _LEAST_SECONDS - (time.monotonic() - now)) if version else 0)
        self._status = None

    async def _new_status(self) -> dict[str, Any]:
        """As `api/status`. The daemon itself is asked every 5 seconds: it looks at its folders each time."""
        if time.monotonic() - self._said_at >= _ASK_DAEMON_SECONDS:
            state_dir = self._page.config.state_dir
            self._said = await asyncio.to_thread(report, state_dir, _ANSWER_SECONDS)
            self._said_at = time.monotonic()
        status: dict[str, Any] = rounded(await self._page.store.watch(self._page.status, self._said))
        return {**status, "store_error": None}

    def _tell(self, status: dict[str, Any]) -> None:
        self._status = status
        for stream in self._streams:
            stream.changed.set()

    def _tell_if_new(self, status: dict[str, Any]) -> None:
        if status != self._status:
            self._tell(status)


class _StreamAnswer(StreamingResponse):
    """`ended` is called in any case, though the client may be gone before the first frame."""

    def __init__(self, frames: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(frames, headers=_HEADERS, media_type=_TYPE)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


@dataclass(slots=True)
class _Seen:
    """What a stream has sent so far."""

    status: dict[str, Any]
    job: Any
    acted_at: float


def _frame(name: str, facts: Any) -> str:
    return f"event: {name}\ndata: {as_json(facts, indent=None)}\n\n"
