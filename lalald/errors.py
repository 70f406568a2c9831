"""The errors of lalald, as a tree.

LalaldError                     has a `hint`: what to do next
├── ConfigError                 the configuration cannot be used; lists every error
│   └── SettingError            one setting, by its key or variable
├── UsageError                  a command names something that does not exist or is not possible
├── StoreError                  the state folder or its database cannot be used
│   ├── NoStoreError            there is no database yet: the daemon has not run
│   ├── StoreRefusedError       damaged, newer, or not ours: a restart does not help
│   ├── RowError                one row cannot be written; others can
│   └── StoreBusyError          disk full or failing, or locked by another program: transient
├── DaemonError                 the daemon cannot start or cannot be reached
├── OutOfResourcesError         memory, file descriptors or threads ran out: transient
├── FileError                   this file cannot be read, moved or written now
│   ├── DiskFullError           no room, or no quota, left where it should go
│   ├── NameTakenError          another program's file has the name chosen for a result
│   ├── StagingLostError        a fetched track is neither in the staging folder nor in place
│   ├── DuplicateChangedError   an earlier result has changed and cannot be reused
│   └── FolderUnavailableError  an inbox or outbox is unmounted or missing
│       └── FolderPermissionError  it exists, but a permission is missing, or it is mounted read-only
└── ServiceError                LALAL.AI or the network; has `status`, `code`, `request_id`
    ├── TransientError          may succeed later; may have `retry_after_seconds`
    │   ├── InternalFaultError  an unexpected exception in reading the answer
    │   └── RateLimitedError    429
    ├── LicenseRefusedError     401 or 403: the key is refused
    │   └── LicenseMissingError there is no usable key; nothing was sent
    ├── RefusedError            permanently refused (400, 413, 422 …): the job fails
    ├── SizeDiffersError        a track is complete, but its size is not the declared one
    ├── LinkDeadError           a track's link is dead (403, 404, 410)
    └── LinkRefusedError        a track's link that lalald does not follow: scheme, origin, redirect

Errors of libraries are converted to these once, where they enter: in `api` for the network and the service, in `store` for SQLite,
in `filesystem` for files.
"""

from __future__ import annotations


class LalaldError(Exception):
    """What happened, in one sentence; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(LalaldError):
    """The configuration has errors; the message lists each with its line."""


class SettingError(ConfigError):
    """One setting has an error. `origin`: its key, or the environment variable; `problem`: the message without it."""

    def __init__(self, origin: str, problem: str, *, hint: str) -> None:
        super().__init__(f"{origin}: {problem}", hint=hint)
        self.origin = origin
        self.problem = problem


class UsageError(LalaldError):
    """The command names something that does not exist or is not possible; no change was made."""


class StoreError(LalaldError):
    """The database or its folder cannot be used; it was left as it is."""


class NoStoreError(StoreError):
    """The state folder holds no database: the daemon has not run yet."""


class StoreRefusedError(StoreError):
    """The database is damaged, newer, or another program's."""


class RowError(StoreError):
    """A value does not fit into its row; the database is intact, and nothing was written."""


class StoreBusyError(StoreError):
    """The database cannot be written at the moment: its disk is full or fails, or (`locked`) another program uses it."""

    def __init__(self, message: str, *, hint: str = "", locked: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.locked = locked


class DaemonError(LalaldError):
    """The daemon cannot start or cannot be reached."""


class OutOfResourcesError(LalaldError):
    """The process ran out of memory, descriptors or threads."""


class FileError(LalaldError):
    """A file or folder cannot be read, moved or written at the moment. `path`: which one; None if the error is about several."""

    def __init__(self, message: str, *, hint: str = "", path: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class DiskFullError(FileError):
    """The disk or quota is full; the job continues when there is room."""


class NameTakenError(FileError):
    """Another program's file has the chosen name; files that were placed already are back in the staging folder."""


class StagingLostError(FileError):
    """A track is neither in the staging folder nor in place: it has to be fetched again."""


class DuplicateChangedError(FileError):
    """An earlier result has been changed or removed since its delivery, and cannot be reused."""


class FolderUnavailableError(FileError):
    """An inbox or outbox is unavailable; it is used again when it is back."""


class FolderPermissionError(FolderUnavailableError):
    """A permission is missing in a folder, or it is mounted read-only; it is used again when that has changed."""


class ServiceError(LalaldError):
    """An error answer of the service, or no answer.

    `request_id` is the answer's `x-request-id`, which the service's support asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}" if self.status else "", self.code or ""]
        facts.append(f"request id {self.request_id}" if self.request_id else "")
        details = ", ".join(fact for fact in facts if fact)
        return f"{super().__str__()} ({details})" if details else super().__str__()


class TransientError(ServiceError):
    """No answer, or one that says "later".

    `answered`: there was an answer of any kind. `carried_out_possible`: the request may have been carried out nevertheless; false
    only if it certainly was not: there was no connection, or the answer was a refusal. Charges depend on the second.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        answered: bool = False,
        carried_out_possible: bool = True,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.retry_after_seconds = retry_after_seconds
        self.answered = answered
        self.carried_out_possible = carried_out_possible
        self.host: str | None = None  # of a download: the host that failed

    @property
    def is_outage(self) -> bool:
        """Whether it counts for a circuit breaker: no answer, 5xx, `internal_error`, or an answer from a proxy before the service.

        Anything else concerns one job, such as a track of an unexpected size.
        """
        if not self.answered or self.code == "internal_error" or self.status is None:
            return True
        return self.status >= 500 or 300 <= self.status < 400 or self.status == 408


class InternalFaultError(TransientError):
    """An unexpected exception in sending a request or reading its answer; the service itself works."""

    def __init__(self, message: str) -> None:
        super().__init__(message, answered=True)

    @property
    def is_outage(self) -> bool:
        return False


class RateLimitedError(TransientError):
    """429: too many requests. Every operation pauses."""


class UnreadableAnswerError(TransientError):
    """An answer that is not the document's JSON: a web page, a truncated answer, nothing."""

    @property
    def is_outage(self) -> bool:
        return True


class UnusableAnswerError(UnreadableAnswerError):
    """JSON that lacks a value the job needs, or has an unusable one."""


class SizeDiffersError(ServiceError):
    """A track is complete, but `/check/` declared another size; a second check may declare the right one."""


class LicenseRefusedError(ServiceError):
    """401 or 403 from an operation of the API. `sent_with` is the key of that request, where one was sent."""

    sent_with: object = None


class LicenseMissingError(LicenseRefusedError):
    """There is no license key, or none that can be sent; no request was made."""


class RefusedError(ServiceError):
    """The service refuses this request permanently."""


class LinkDeadError(ServiceError):
    """A track's link answers 403, 404 or 410; `/check/` may give a new one."""


class LinkRefusedError(ServiceError):
    """A track's link that must not be followed: another scheme than https, credentials, or a redirect to such a place."""
