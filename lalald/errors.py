"""Everything that can go wrong, drawn as a tree.

LalaldError                     has a `hint`: what to do next
├── ConfigError                 the configuration cannot be used; carries every mistake
├── StoreError                  the state folder or its database cannot be used
├── DaemonError                 the daemon cannot start, or is not there to be asked
├── FileError                   this file cannot be read, moved or written now
│   └── FolderUnavailableError  its inbox or outbox is not there: unmounted, missing, without permission
└── ServiceError                LALAL.AI, or the way there; has `status`, `code`, `request_id`
    ├── TransientError          worth another try later; may carry `retry_after_seconds`
    │   └── RateLimitedError    429
    ├── LicenceRefusedError     401 or 403: nothing can go on with this key
    ├── RefusedError            the request is wrong for good (400, 413, 422 …): this job cannot
    ├── LinkDeadError           a track's link no longer leads anywhere (403, 404, 410)
    └── LinkRefusedError        a track's link that lalald will not follow: scheme, origin, redirect

Foreign errors become one of these once, where they enter: in `api` for the network and the service, in `store` for SQLite,
in `files` for the file system.
"""

from __future__ import annotations


class LalaldError(Exception):
    """What happened, in one sentence; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(LalaldError):
    """The configuration has mistakes; the message lists every one of them with its line."""


class StoreError(LalaldError):
    """The database or its folder cannot be used; it was left as it is."""


class DaemonError(LalaldError):
    """The daemon cannot start or cannot be reached."""


class FileError(LalaldError):
    """A file or folder cannot be read, moved or written at the moment."""


class FolderUnavailableError(FileError):
    """An inbox or outbox is not there; it is taken up again when it is back."""


class ServiceError(LalaldError):
    """An answer of the service, or the lack of one.

    `request_id` is the answer's `x-request-id`: the only handle that the service's support can act on.
    """

    def __init__(
        self, message: str, *, hint: str = "", status: int | None = None, code: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}" if self.status else "", self.code or ""]
        facts.append(f"request id {self.request_id}" if self.request_id else "")
        told = ", ".join(fact for fact in facts if fact)
        return f"{super().__str__()} ({told})" if told else super().__str__()


class TransientError(ServiceError):
    """No answer, or one that says "later". `answered` is false where the request may have been carried out unseen."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        answered: bool = False,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.retry_after_seconds = retry_after_seconds
        self.answered = answered


class RateLimitedError(TransientError):
    """429: too many requests."""


class LicenceRefusedError(ServiceError):
    """401 or 403 from an operation of the API."""


class RefusedError(ServiceError):
    """The service says that this request is wrong and will stay so."""


class LinkDeadError(ServiceError):
    """A track's link answers 403, 404 or 410; `/check/` may give a new one."""


class LinkRefusedError(ServiceError):
    """A track's link that must not be followed: another scheme than https, credentials, or a redirect to such a place."""
