"""Download a track from its link into a file: resumed, compared with the announced size, and hashed."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import httpx

from lalald.api.error_mapping import Reply, causes, refusal
from lalald.api.track_links import Link, followed, redirected
from lalald.api.transfers import content_disposition, resume
from lalald.api.transfers.hashing import Hashing
from lalald.api.transfers.transfer import Deadlines, Transfer
from lalald.api.transfers.transfer_client import TransferClient
from lalald.api.transfers.transfer_rate import Pace
from lalald.errors import LinkDeadError, LinkRefusedError, ServiceError, TransientError
from lalald.filesystem.writeback import Writeback

REDIRECTS_AT_MOST = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_TRACKS = frozenset({"text/html", "application/xhtml+xml", "application/json", "application/xml", "text/xml"})
_HASHED_AT_ONCE_BYTES = 1 << 18
_NO_UPGRADE = (ConnectionRefusedError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete track. `sha256` is of the whole file; `file_name` is the last segment of the server's name for it."""

    size: int
    sha256: str
    content_type: str | None
    file_name: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """How downloads are sent. `loopback`: the service is a sandbox on this machine, so its links may be local too."""

    client: TransferClient
    pace: Pace
    deadlines: Deadlines
    user_agent: str
    loopback: bool


@dataclass(slots=True)
class Fetching:
    """One track being downloaded into `target`. `began` is called with the proof for a resume before a byte is written.

    The transfer's framing decides whether the track is complete; without framing, the `expected_size` does.
    """

    route: Route
    target: BinaryIO
    transfer: Transfer
    expected_size: int | None
    began: Callable[[str | None], None] | None = None
    max_bytes: int | None = None
    _digest: Any = field(default_factory=hashlib.sha256)

    def fetch(self, url: str, have: int, etag: str | None) -> Fetched:
        """Download the track. Raises ServiceError, TransferStopped, and the OSError of a target that cannot be read or written."""
        link = followed(url, loopback=self.route.loopback)
        start = self._resumed(have, etag)
        response = self._answer(link, start, etag)
        is_part = start and response.status_code in (206, 416)
        if is_part and not resume.goes_on(response, start, etag, self.expected_size):
            response.close()
            start = 0
            response = self._answer(link, 0, None)
        with closing(response):
            return self._receive(response, 0 if response.status_code == 200 else start)

    def _resumed(self, have: int, etag: str | None) -> int:
        """The offset to resume from, with everything before it hashed.

        The last byte is requested again, so that a file which is complete already gets an answer like any other.
        """
        start, done = (have - 1, 0) if resume.proves(etag) else (0, 0)
        if start <= 0:
            return 0
        self.target.seek(0)
        view = memoryview(bytearray(min(start, _HASHED_AT_ONCE_BYTES)))
        while done < start and (count := self.target.readinto(view[: start - done])):  # type: ignore[attr-defined]
            self._digest.update(view[:count])
            done += count
            self.transfer.go_on()
        return done

    def _answer(self, link: Link, start: int, etag: str | None) -> httpx.Response:
        for _ in range(REDIRECTS_AT_MOST + 1):
            response = self._ask(link, start, etag)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or location is None:
                return response
            response.close()
            link = redirected(link, location, loopback=self.route.loopback)
        raise LinkRefusedError(f"the link to a track redirects more than {REDIRECTS_AT_MOST} times")

    def _ask(self, link: Link, start: int, etag: str | None) -> httpx.Response:
        headers = {"User-Agent": self.route.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        headers |= resume.headers(start, etag)

        def request() -> httpx.Request:
            target = {"target": link.target.encode("ascii")}
            return httpx.Request("GET", link.origin.url, headers=headers, extensions=target)

        try:
            return self.route.client.send(request, self.transfer, self.route.deadlines.answer_seconds)
        except TransientError as error:
            if link.upgraded and any(isinstance(cause, _NO_UPGRADE) for cause in causes(error)):
                message = f"the link to a track is plain http and cannot be fetched over https: {error}"
                raise LinkRefusedError(
                    message, hint="The results are paid and stay on the service for a day."
                ) from error
            raise

    def _receive(self, response: httpx.Response, start: int) -> Fetched:
        size = self._announced_size(response, start)
        etag = resume.proof(response)
        if self.began is not None:
            self.began(etag)
        if not start:
            self._digest = hashlib.sha256()
        self.transfer.progress = self.transfer.resumed_from = start
        self.target.seek(start)
        self.target.truncate()
        with Hashing(None if size is None else size - start, self._digest) as hashing:
            try:
                done = self._copy(response, start, size, hashing)
            finally:
                self.target.flush()
            sha256 = hashing.sha256()
        if size is not None and done != size:
            raise _strange(response, f"it ended after {done:,} of {size:,} bytes")
        if size is None and not resume.is_chunked(response):
            self._check_unframed(response, done)
        if not done:
            raise _strange(response, "it is empty")
        name = content_disposition.file_name(response.headers.get("content-disposition"))
        return Fetched(done, sha256, response.headers.get("content-type"), name, etag)

    def _copy(self, response: httpx.Response, done: int, size: int | None, hashing: Hashing) -> int:
        self.transfer.no_deadline()
        writeback = Writeback(self.target.fileno(), done)
        for piece in self.route.client.pieces(response):
            count = len(piece)
            if size is not None and done + count > size:
                raise _strange(response, f"it continues past the {size:,} bytes it should have")
            self._check_bound(done + count)
            hashing.update(piece)
            self._write(memoryview(piece))
            done += count
            writeback.grown(done)
            self.transfer.progress = done
            self.route.pace.wait(count, self.transfer.stop)
            self.transfer.go_on()
        return done

    def _write(self, view: memoryview) -> None:
        while view:
            view = view[self.target.write(view) :]

    def _check_unframed(self, response: httpx.Response, done: int) -> None:
        """Without length or chunks, an orderly end of the connection proves nothing unless the size is the declared one."""
        if self.expected_size is None:
            raise _strange(response, f"its host said neither before nor after its {done:,} bytes how long it is")
        if done != self.expected_size:
            raise _strange(
                response, f"it ended after {done:,} of the {self.expected_size:,} bytes it was declared with"
            )

    def _announced_size(self, response: httpx.Response, start: int) -> int | None:
        """The file's size by the answer's own framing. Raises ServiceError if it is not a track."""
        if response.status_code not in (200, 206) or (response.status_code == 206) != bool(start):
            raise _refused(response)
        kind = (response.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if kind in _NO_TRACKS:
            raise _strange(response, f"the download is not a track but {kind}")
        content, framing = response.headers.get("content-encoding"), response.headers.get("transfer-encoding")
        if (content or "identity").lower() != "identity" or (framing or "chunked").lower() != "chunked":
            raise _strange(response, "it is compressed, although lalald did not ask for that")
        length = resume.length(response)
        said = start + length if length is not None else resume.total(response) if start else None
        if said == 0:
            raise _strange(response, "it is empty")
        self._check_bound(said or 0)
        return said

    def _check_bound(self, size: int) -> None:
        """Raises ServiceError once more arrives than any track of this source can have: it may never end."""
        if self.max_bytes is not None and size > self.max_bytes:
            most = f"{self.max_bytes:,} bytes, more than any track of this source can have"
            raise LinkRefusedError(f"the link to a track leads to something of over {most}.")


def _strange(response: httpx.Response, why: str) -> TransientError:
    identity = response.headers.get("x-request-id")
    return TransientError(
        f"a track could not be fetched: {why}", answered=True, status=response.status_code, request_id=identity
    )


def _refused(response: httpx.Response) -> ServiceError:
    """The error of an answer that is not the track: temporary if it says so, else a dead link, for which storage may answer 400."""
    status = response.status_code
    if status < 400:
        return _strange(response, f"its host answered HTTP {status}")
    error = refusal(Reply(status, response.headers.get, b""))
    if isinstance(error, TransientError):
        return error
    return LinkDeadError("the link to a track is dead", status=status, request_id=error.request_id)
