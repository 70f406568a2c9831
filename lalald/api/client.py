"""Every operation of the LALAL.AI API v1, one method each. The license key is sent only to `api_url`'s origin."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import httpx

from lalald import __version__
from lalald.api import answers, error_mapping
from lalald.api.answers import Started, StartRefused, TaskAnswer, Uploaded, VoicePack
from lalald.api.error_mapping import JSON_LIMIT_BYTES, Reply
from lalald.api.origin import Origin, api_origin, environments_proxy
from lalald.api.post import Post
from lalald.api.transfers import content_disposition
from lalald.api.transfers.downloads import Fetched, Fetching, Route
from lalald.api.transfers.transfer import Deadlines, Transfer
from lalald.api.transfers.transfer_client import TransferClient
from lalald.api.transfers.transfer_rate import Pace
from lalald.api.transfers.uploads import Sending
from lalald.config.license_key import FoundKey, LicenseKey
from lalald.errors import LicenseMissingError

BATCH_LIMIT = 100  # API document: `items` of a batch
CHECK_LIMIT = 200  # API document: `task_ids` of a check
_ORDINARY_DEADLINES = Deadlines()


@dataclass(frozen=True, slots=True)
class SplitItem:
    """One task to start: presets in the API's own names, and the key that makes a repeated request harmless."""

    source_id: str
    presets: Mapping[str, Any]
    idempotency_key: str

    def to_json(self) -> dict[str, Any]:
        return {"source_id": self.source_id, "presets": dict(self.presets), "idempotency_key": self.idempotency_key}


class Client:
    """The service: JSON on the event loop, bytes on the threads that call `upload` and `download`.

    Every operation raises ServiceError. Rates are in bytes per second, for all transfers of a direction together. Each request
    is logged at level debug: its answer or error, and its duration.
    """

    def __init__(
        self,
        api_url: str,
        license_key: LicenseKey | FoundKey | None,
        *,
        upload_rate: int | None,
        download_rate: int | None,
        user_agent: str = f"lalald/{__version__}",
        deadlines: Deadlines = _ORDINARY_DEADLINES,
        log: Any = None,
    ) -> None:
        """Raises ConfigError if `api_url` would send the key unencrypted, or the environment's proxy is unusable."""
        self._origin, self._path = api_origin(api_url)
        if not self._origin.is_loopback:
            environments_proxy()  # one that cannot be used is found now, and not by the first download
        self._found = license_key if isinstance(license_key, FoundKey) else FoundKey(license_key)
        self._user_agent = user_agent
        self._deadlines = deadlines
        tls = self._tls = _Tls(self._origin)
        self._post = Post(self._origin, self._path, tls.for_the_api, user_agent, deadlines)
        self._transfers = TransferClient(tls.for_tracks, deadlines)
        self._upload_pace = Pace(upload_rate)
        self._route = Route(self._transfers, Pace(download_rate), deadlines, user_agent, self._origin.is_loopback)
        self._under_way: set[Transfer] = set()
        self._lock = threading.Lock()
        self._interrupted = False
        self._is_closing = False
        self._log = log

    @property
    def key(self) -> LicenseKey | None:
        return self._found.key

    def tls_context(self) -> ssl.SSLContext:
        """The system's certificate authorities, for connections to other hosts; it holds nothing of ours."""
        return self._tls.for_tracks()

    def use_key(self, found: FoundKey) -> bool:
        """Use this key for new requests; running ones are not affected. Whether the key is a different one.

        If none was found, the former one is kept, because a file that is being rewritten is empty for a moment.
        """
        if found.key is None or found.key == self._found.key:
            if self._found.key is None:
                self._found = found
            return False
        self._found = found
        return True

    async def split(self, mode: str, item: SplitItem) -> str:
        """Start one task, which is charged. Returns its id."""
        path = "change_voice" if mode == "change_voice" else f"split/{mode}"
        said, reply = await self._ask(path, item.to_json(), charges=True)
        return answers.task_id(said, reply)

    async def split_batch(self, mode: str, items: Sequence[SplitItem]) -> list[Started | StartRefused]:
        """Start up to 100 tasks of one mode. Returns the answer to each, in the same order."""
        body = {"items": [item.to_json() for item in items]}
        said, reply = await self._ask(f"split/batch/{mode}", body, charges=True)
        return answers.started(said, reply, [item.source_id for item in items])

    async def check(self, task_ids: Sequence[str]) -> dict[str, TaskAnswer]:
        """The state of up to 200 tasks; tasks that the answer omits are missing."""
        if not task_ids:
            return {}
        said, reply = await self._ask("check", {"task_ids": list(task_ids)})
        return answers.checked(said, reply, task_ids)

    async def cancel(self, task_ids: Sequence[str]) -> dict[str, str | None]:
        """For each task, None if it is cancelled, else the service's message; tasks that the answer omits are missing."""
        if not task_ids:
            return {}
        said, reply = await self._ask("cancel", {"task_ids": list(task_ids)})
        message = answers.cancelled(said, reply)
        return {task: message[task] for task in task_ids if task in message}

    async def cancel_all(self) -> dict[str, str | None]:
        """Cancel every running task of the account, including those of other programs."""
        said, reply = await self._ask("cancel/all", None)
        return answers.cancelled(said, reply)

    async def delete(self, source_id: str) -> None:
        """Delete a source and its tracks. The service cancels its running tasks."""
        await self._ask("delete", {"source_id": source_id})

    async def minutes_left(self) -> float:
        said, reply = await self._ask("limits/minutes_left", None)
        return answers.minutes_left(said, reply)

    async def voice_packs(self) -> list[VoicePack]:
        """The account's own voice packs; the API document names seven more that every account has."""
        said, reply = await self._ask("voice_packs/list", None)
        return answers.voice_packs(said, reply)

    def upload(self, file: BinaryIO, size: int, name: str, transfer: Transfer) -> Uploaded:
        """Blocks. Sends a file of `size` bytes from its start; `sha256` is of what was sent.

        Raises:
            ServiceError, TransferStopped
            FileError: the file cannot be read, or is no longer `size` bytes long.
        """
        key = self._key()
        sending = Sending(file, size, transfer, self._upload_pace)
        url = f"{self._origin.url}{self._path}/api/v1/upload/"

        def request() -> httpx.Request:
            return httpx.Request("POST", url, headers=self._upload_headers(size, name, key), content=sending.content())

        with self._registered(transfer), closing(sending), self._told("upload", size=size) as answered:
            response = self._transfers.send(request, transfer, self._deadlines.upload_answer_seconds)
            with closing(response):
                body = self._transfers.read(response, JSON_LIMIT_BYTES)
            reply = answered(Reply(response.status_code, response.headers.get, body or b"", key))
        if body is None:
            raise error_mapping.unreadable(reply, f"it is longer than {JSON_LIMIT_BYTES >> 20} MiB")
        said = error_mapping.reading(reply)
        if not sending.is_complete:
            raise error_mapping.unreadable(reply, "it came before the whole file was there")
        return answers.uploaded(said, reply, name=name, sha256=sending.sha256)

    def _upload_headers(self, size: int, name: str, key: LicenseKey) -> dict[str, str]:
        return {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/octet-stream",
            "Content-Disposition": content_disposition.of_name(name),
            "Content-Length": str(size),
            "X-License-Key": key.reveal(),
        }

    def download(
        self,
        url: str,
        target: BinaryIO,
        transfer: Transfer,
        *,
        have: int = 0,
        etag: str | None = None,
        expected_size: int | None = None,
        began: Callable[[str | None], None] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        """Fetch a track into `target`, open for reading and writing. Blocking; nothing is fsynced.

        The first `have` bytes are kept if `etag` proves that they belong to the same track. `began` is called with the proof for
        a later resume before a byte is written. After an error, the bytes that arrived are in `target`. The answer's framing decides
        whether the track is complete; without framing it must have its `expected_size`. A track of more than `max_bytes` is refused
        (LinkRefusedError), whatever its expected size.

        Raises:
            ServiceError, TransferStopped
            OSError: of `target`, unchanged.
        """
        with self._registered(transfer), self._told("download", have=have, size=expected_size):
            return Fetching(self._route, target, transfer, expected_size, began, max_bytes).fetch(url, have, etag)

    def interrupt(self) -> None:
        """Stop every running transfer within half a second, and prevent new ones. JSON operations continue."""
        with self._lock:
            self._interrupted = True
            transfers = list(self._under_way)
        for transfer in transfers:
            transfer.end()

    async def aclose(self) -> None:
        """Close the connections; those of running transfers when they end."""
        with self._lock:
            self._is_closing = True
        self._close_if_idle()
        await self._post.close()

    def _close_if_idle(self) -> None:
        with self._lock:
            is_over = self._is_closing and not self._under_way
        if is_over:
            self._transfers.close()

    @contextmanager
    def _registered(self, transfer: Transfer) -> Iterator[None]:
        with self._lock:
            self._under_way.add(transfer)
            if self._interrupted:
                transfer.stop.set()
        try:
            transfer.go_on()
            with transfer.on_this_thread():
                yield
        finally:
            with self._lock:
                self._under_way.discard(transfer)
            self._close_if_idle()

    @contextmanager
    def _told(self, operation: str, **facts: Any) -> Iterator[Callable[[Reply], Reply]]:
        """Log a request. Call what is yielded with its answer, to log the answer's status and id."""
        began_at = time.monotonic()

        def answered(reply: Reply) -> Reply:
            facts.update(status=reply.status, request_id=error_mapping.request_id(reply))
            return reply

        try:
            yield answered
        except Exception as error:
            facts["reason"] = str(error) or type(error).__name__
            raise
        finally:
            if self._log is not None:
                self._log.debug(
                    "api.called", operation=operation, seconds=round(time.monotonic() - began_at, 3), **facts
                )

    async def _ask(self, path: str, body: Any, *, charges: bool = False) -> tuple[Any, Reply]:
        with self._told(path) as answered:
            reply = answered(await self._post.send(path, body, self._key(), charges=charges))
        return error_mapping.reading(reply), reply

    def _key(self) -> LicenseKey:
        """The key, still hidden: a plain text in a variable might end in a traceback. Raises LicenseMissingError."""
        if self._found.key is None:
            raise LicenseMissingError(self._found.problem, hint=self._found.hint)
        if not self._found.key.can_be_sent:
            raise LicenseMissingError("the license key contains invalid characters", hint="Check its file.")
        return self._found.key


class _Tls:
    """TLS contexts, created when first needed: reading the system's certificate authorities costs time and memory."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def for_tracks(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context()
                self._context.set_alpn_protocols(["http/1.1"])
                self._context.options |= ssl.OP_NO_RENEGOTIATION  # a sender would have to read; TLS 1.3 has none
            return self._context

    def for_the_api(self) -> ssl.SSLContext:
        """For a loopback without TLS, an empty context is enough."""
        return self.for_tracks() if self._origin.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
