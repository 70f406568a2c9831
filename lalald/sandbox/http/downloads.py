"""The server of the downloads: tracks by signed link, with ranges, as a content network serves them, without a key."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lalald.sandbox.faults.fault_effects import apply_fault
from lalald.sandbox.http.connection import Connection, connection
from lalald.sandbox.http.middleware import ENTRY, RequestRecorder
from lalald.sandbox.sandbox_state import SandboxState
from lalald.sandbox.service import modes
from lalald.sandbox.service.answers import media_type, track_name
from lalald.sandbox.service.storage import Stored
from lalald.sandbox.service.tasks import Task
from lalald.sandbox.service.tracks import TrackShape, track_shape

PIECE_BYTES = 1 << 18
RANGE = re.compile(r"bytes=(?P<first>(?=\d|-\d)\d{0,18})-(?P<last>\d{0,18})", re.IGNORECASE)


def files(sandbox: SandboxState) -> ASGIApp:
    """The application of the downloads' server."""
    route = Route("/{task_id}/{ticket}/{label}", FileEndpoint(sandbox), methods=["GET"])
    return RequestRecorder(Starlette(routes=[route]), sandbox.journal, {}, "download")


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes to send, of a track of `size`; all of them if `is_part` is false."""

    first: int
    end: int
    size: int
    is_part: bool


class FileEndpoint:
    def __init__(self, sandbox: SandboxState) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        account = self.sandbox.accounts.owner_of(request.path_params["task_id"])
        task = account.tasks[request.path_params["task_id"]] if account else None
        label = request.path_params["label"]
        subjects = [task.source.name, label] if task else [label]
        scope[ENTRY].subject, scope[ENTRY].range = ", ".join(subjects), request.headers.get("range")

        async def perform(request: Request) -> ASGIApp:
            return self._file(request, task, label)

        active = self.sandbox.faults.take("download", subjects)
        answer = await perform(request) if active is None else await apply_fault(active, "download", request, perform)
        await answer(scope, receive, send)

    def _file(self, request: Request, task: Task | None, label: str) -> ASGIApp:
        expires_at = self.sandbox.links.expires_at(request.path_params["task_id"], request.path_params["ticket"], label)
        if expires_at is None:
            return PlainTextResponse("Forbidden", 403)
        if task is None or not self._is_served(task, label):
            return PlainTextResponse("Not Found", 404)
        if self.sandbox.clock() >= expires_at:
            return PlainTextResponse("Forbidden", 403)
        if task.source.stored is None:
            return PlainTextResponse("Not Found", 404)
        return self._track(request, task, label, task.source.stored)

    def _is_served(self, task: Task, label: str) -> bool:
        labels = [
            track.label for track in modes.tracks(task.presets, backing_vocals=self.sandbox.options.backing_vocals)
        ]
        account = self.sandbox.accounts.owner_of(task.id)
        return label in labels and account is not None and account.serves_tracks_of(task.source)

    def _track(self, request: Request, task: Task, label: str, stored: Stored) -> ASGIApp:
        source = task.source
        shape = track_shape(source.head, source.size, label, source.name)
        headers = _headers(task, label)
        part = self._slice(request, shape.size, headers)
        if part is None:
            return PlainTextResponse("", 416, {"content-range": f"bytes */{shape.size}"})
        headers["content-length"] = str(part.end - part.first)
        if self.sandbox.options.ranges:
            headers["accept-ranges"] = "bytes"
        if part.is_part:
            headers["content-range"] = f"bytes {part.first}-{part.end - 1}/{part.size}"
        return TrackAnswer(stored, shape, part, headers)

    def _slice(self, request: Request, size: int, headers: dict[str, str]) -> Slice | None:
        """What to send; None if the range is outside. A range of another version of the track is ignored."""
        version = request.headers.get("if-range")
        is_current = version in (None, headers["etag"], headers["last-modified"])
        header = request.headers.get("range", "") if self.sandbox.options.ranges and is_current else ""
        return parse_range(header, size)


def parse_range(header: str, size: int) -> Slice | None:
    """The part that a Range header names; everything if it names none or several; None if it is outside."""
    match = RANGE.fullmatch(header)
    first, last = (match["first"], match["last"]) if match else ("", "")
    if match is None or (first and last and int(last) < int(first)):
        return Slice(0, size, size, is_part=False)
    if not first:
        return Slice(max(0, size - int(last)), size, size, is_part=True) if int(last) else None
    if int(first) >= size:
        return None
    return Slice(int(first), min(size, int(last) + 1) if last else size, size, is_part=True)


def _headers(task: Task, label: str) -> dict[str, str]:
    name = track_name(task, label)
    return {
        "content-type": media_type(name),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "etag": f'"{task.source.id}-{quote(label, safe="")}"',
        "last-modified": formatdate(task.ends_at, usegmt=True),
    }


class TrackAnswer:
    """Sends a part of a track, reading it piece by piece."""

    def __init__(self, stored: Stored, shape: TrackShape, part: Slice, headers: dict[str, str]) -> None:
        self._stored = stored
        self._shape = shape
        self._part = part
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        status = 206 if self._part.is_part else 200
        await send({"type": "http.response.start", "status": status, "headers": self._headers})
        if scope["method"] == "GET":
            await self._send_pieces(connection(scope), send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_pieces(self, client: Connection, send: Send) -> None:
        with self._stored.path.open("rb", buffering=0) as file:  # stays readable if the source is deleted meanwhile
            position = self._part.first
            while position < self._part.end and not client.gone.is_set():
                count = min(PIECE_BYTES, self._part.end - position)
                piece = _read(file.fileno(), self._stored.offset, self._shape, position, count)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                position += len(piece)


def _read(descriptor: int, offset: int, shape: TrackShape, position: int, count: int) -> bytes:
    """At most `count` bytes of the track, at least one."""
    if position < len(shape.head):
        return shape.head[position : position + count]
    if position < shape.source_size:
        return os.pread(descriptor, min(count, shape.source_size - position), offset + position)
    tail_position = position - shape.source_size
    return shape.tail[tail_position : tail_position + count]
