"""Play and download results and sources, by job and track number, never by path."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lalald.errors import FileError, LalaldError
from lalald.filesystem.confined import safe_open
from lalald.filesystem.file_numbers import int64
from lalald.jobs.job import Job
from lalald.reports.job_json import source, tracks
from lalald.store.queries import Reports
from lalald.web import parameters
from lalald.web.files.byte_ranges import ByteRange, UnsatisfiableRangeError, wanted_range
from lalald.web.files.closing import close_apart
from lalald.web.files.content_types import content_type, is_playable
from lalald.web.files.file_answer import FileAnswer
from lalald.web.files.stored_zip import Member, StoredZip
from lalald.web.page import Page
from lalald.web.responses import RequestError, not_found

Answer = TypeVar("Answer")
_PIECE_BYTES = 64 * 1024  # as much again waits for each slow reader


@dataclass(frozen=True, slots=True)
class Place:
    """A file within a configured folder."""

    root: str
    path: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


class MediaRoutes:
    def __init__(self, page: Page) -> None:
        self._page = page

    def routes(self) -> list[Route]:
        return [
            Route("/api/jobs/{job_id}/tracks/{number}", self.track),
            Route("/api/jobs/{job_id}/source", self.source),
            Route("/api/jobs/{job_id}/results.zip", self.results),
        ]

    async def track(self, request: Request) -> Response:
        job = await self._job(request)
        number = parameters.track_number(request)
        listed = [track for _, track in tracks(job)]
        if not 1 <= number <= len(listed) or not (listed[number - 1].delivered and listed[number - 1].path):
            raise not_found("There is no such track in the outbox.")
        return await self._file(request, Place(job.settings.outbox, listed[number - 1].path or ""))

    async def source(self, request: Request) -> Response:
        job = await self._job(request)
        place = source_place(job)
        if place is None or not await self.source_is_there(job):
            raise not_found("The file of this job is not there any more, or has changed.")
        return await self._file(request, place)

    async def source_is_there(self, job: Job) -> bool:
        """Whether the job's own file can be given out. Raises FolderUnavailableError, RequestError."""
        place = source_place(job)
        return place is not None and await self._on(place.root, _is_the_source, place, job)

    async def results(self, request: Request) -> Response:
        job = await self._job(request)
        archive, places = await self.archive(job)
        if not archive.members:
            raise not_found("This job has no results in the outbox.")
        headers = {
            "Content-Length": str(archive.size),
            "Content-Disposition": _disposition(f"{os.path.basename(job.path)}.zip", is_attachment=True),
            "Cache-Control": "private, no-store",
        }
        pieces = self._zipped(archive, places)
        return FileAnswer(200, headers, "application/zip", pieces)

    async def archive(self, job: Job) -> tuple[StoredZip, list[Place]]:
        """The delivered tracks that are there. Raises FolderUnavailableError, RequestError."""
        outbox = job.settings.outbox
        places = [Place(outbox, track.path) for _, track in tracks(job) if track.delivered and track.path]
        if not places:
            return StoredZip([]), []
        found = await self._on(outbox, _members, places)
        return StoredZip([member for member, _ in found]), [place for _, place in found]

    async def _zipped(self, archive: StoredZip, places: list[Place]) -> AsyncGenerator[bytes]:
        for member, place in zip(archive.members, places, strict=True):
            yield archive.head(member)
            descriptor, _ = await self._open(place)
            try:
                async for piece in self._pieces(place, descriptor, ByteRange(0, member.size)):
                    yield archive.content(piece)
            finally:
                close_apart(descriptor)
            yield archive.tail(member)
        yield archive.end()

    async def _job(self, request: Request) -> Job:
        report = await self._page.store.ask(_report, parameters.job_number(request))
        if report is None:
            raise not_found("There is no such job.")
        job: Job = report
        return job

    async def _file(self, request: Request, place: Place) -> Response:
        """The whole file, or the requested part."""
        descriptor, facts = await self._open(place)
        try:
            tag = f'"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns & (2**64 - 1):x}"'
            chosen = _chosen(request, facts.st_size, tag)
        except BaseException:
            close_apart(descriptor)
            raise
        part = chosen or ByteRange(0, facts.st_size)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": _disposition(place.name, is_attachment="download" in request.query_params),
            "Content-Length": str(part.size),
            "ETag": tag,
        }
        if chosen is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{facts.st_size}"
        pieces = self._pieces(place, descriptor, part)
        return FileAnswer(
            206 if chosen else 200, headers, content_type(place.name), pieces, lambda: close_apart(descriptor)
        )

    async def _open(self, place: Place) -> tuple[int, os.stat_result]:
        """Raises RequestError where the file is gone."""
        return await self._on(place.root, _opened, place)

    async def _on(self, root: str, function: Callable[..., Answer], *arguments: object) -> Answer:
        """On the folder's own threads. Raises RequestError where a file is gone or cannot be read."""
        try:
            return await self._page.disks.run(root, function, *arguments)
        except (OSError, ValueError) as error:
            raise _missing(error) from error

    async def _pieces(self, place: Place, descriptor: int, part: ByteRange) -> AsyncGenerator[bytes]:
        at = part.start
        while at < part.end:
            count = min(_PIECE_BYTES, part.end - at)
            piece = await self._page.disks.run(place.root, os.pread, descriptor, count, at)
            if not piece:
                raise FileError(f"{place.name} has become shorter while it was read.")
            at += len(piece)
            yield piece


def _report(reports: Reports, job_id: int) -> Job | None:
    try:
        found = reports.job(job_id)
    except LalaldError as error:
        raise RequestError(503, str(error), code="store_unavailable", hint=error.hint or None) from error
    return None if found is None else found.job


def source_place(job: Job) -> Place | None:
    """Where the job's file is, within its inbox or the folder that it was moved to; None where that is unknown."""
    full = source(job)
    for root in (job.inbox, job.settings.done_dir, job.settings.failed_dir):
        if full.startswith(f"{root.rstrip('/')}/"):
            return Place(root, full[len(root.rstrip("/")) + 1 :])
    return None


def source_object(job: Job) -> dict[str, Any]:
    name = os.path.basename(source(job))
    return {
        "url": f"api/jobs/{job.id}/source",
        "name": name,
        "size": job.size,
        "content_type": content_type(name),
        "playable": is_playable(name),
    }


def _opened(place: Place) -> tuple[int, os.stat_result]:
    """On a thread of the folder: a descriptor of the file, and what it is."""
    descriptor = safe_open.open_regular(place.root, place.path)
    try:
        return descriptor, os.fstat(descriptor)
    except OSError:
        os.close(descriptor)
        raise


def _is_the_source(place: Place, job: Job) -> bool:
    """On a thread of the folder: whether the file there is the one that the job was made for."""
    try:
        descriptor = safe_open.open_regular(place.root, place.path)
    except (OSError, ValueError) as error:
        if not safe_open.is_missing(error):
            raise
        return False
    try:
        facts = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return (facts.st_size, int64(facts.st_mtime_ns)) == (job.size, job.mtime_ns)


def _members(places: list[Place]) -> list[tuple[Member, Place]]:
    """On a thread of the folder: those that are there, under names that no two of them share."""
    found = []
    common = os.path.commonpath([os.path.dirname(place.path) or "." for place in places])
    prefix = "" if common in (".", "") else f"{common}/"
    for place in places:
        try:
            descriptor = safe_open.open_regular(place.root, place.path)
        except (OSError, ValueError) as error:
            if not safe_open.is_missing(error):
                raise
            continue
        facts = os.fstat(descriptor)
        os.close(descriptor)
        found.append((Member(place.path.removeprefix(prefix), facts.st_size, facts.st_mtime), place))
    return found


def _chosen(request: Request, size: int, tag: str) -> ByteRange | None:
    """The requested part, None for the whole. Raises RequestError."""
    condition = request.headers.get("if-range")
    if condition is not None and condition != tag:
        return None
    try:
        return wanted_range(request.headers.get("range"), size)
    except UnsatisfiableRangeError:
        raise RequestError(
            416, "The file is shorter than that.", code="bad_request", headers={"Content-Range": f"bytes */{size}"}
        ) from None


def _missing(error: OSError | ValueError) -> RequestError:
    if not safe_open.is_missing(error):
        reason = error.strerror if isinstance(error, OSError) else error
        return RequestError(503, f"The file cannot be read: {reason}.", code="folder_unavailable")
    return not_found("The file is not there any more.")


def _disposition(name: str, *, is_attachment: bool) -> str:
    """RFC 6266, with the name in ASCII for old clients."""
    kind = "attachment" if is_attachment else "inline"
    plain = "".join(letter if " " <= letter < "\x7f" and letter not in '"\\%' else "_" for letter in name)
    exact = quote(name.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"
