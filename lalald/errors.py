"""Everything that can go wrong, drawn as a tree.

LalaldError                     has a `hint`: what to do next
├── ConfigError                 the configuration cannot be used; carries every mistake
├── UsageError                  a command asks for what is not there, or cannot be
├── StoreError                  the state folder or its database cannot be used
│   ├── NoStoreError            there is no database yet: the daemon has not run
│   ├── StoreRefusedError       damaged, newer, or not ours: no new start mends it
│   ├── RowError                one row cannot be written: the others can
│   └── StoreBusyError          no room, no answer of the disk, or locked by another program: it passes
├── DaemonError                 the daemon cannot start, or is not there to be asked
├── OutOfResourcesError         memory, descriptors or threads ran out: it passes
├── FileError                   this file cannot be read, moved or written now
│   ├── DiskFullError           no room, or no quota, left where it should go
│   ├── NameTakenError          a stranger's file has the name that was chosen for a result
│   ├── StagingLostError        a fetched track is neither in the staging folder nor in place
│   ├── DuplicateChangedError   an earlier result is not what was delivered, and cannot be given again
│   └── FolderUnavailableError  its inbox or outbox is not there: unmounted or missing
│       └── FolderPermissionError  it is there, and a right in it is missing, or it is mounted read-only
└── ServiceError                LALAL.AI, or the way there; has `status`, `code`, `request_id`
    ├── TransientError          worth another try later; may carry `retry_after_seconds`
    │   ├── InternalFaultError  an exception in reading the answer that nobody foresaw
    │   └── RateLimitedError    429
    ├── LicenseRefusedError     401 or 403: nothing can go on with this key
    │   └── LicenseMissingError there is no usable key: nothing was sent
    ├── RefusedError            the request is wrong for good (400, 413, 422 …): this job cannot
    ├── SizeDiffersError        a track arrived whole, with another size than the service declared
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


class UsageError(LalaldError):
    """What was asked on the command line is not there, or cannot be done to it; nothing was done."""


class StoreError(LalaldError):
    """The database or its folder cannot be used; it was left as it is."""


class NoStoreError(StoreError):
    """The state folder holds no database: the daemon has not run yet."""


class StoreRefusedError(StoreError):
    """The database is damaged, newer, or another program's."""


class RowError(StoreError):
    """What was to be written does not fit into its row; the database is well, and nothing of it was written."""


class StoreBusyError(StoreError):
    """The database cannot be written at the moment: its disk is full or fails, or, where `locked`, another program has it."""

    def __init__(self, message: str, *, hint: str = "", locked: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.locked = locked


class DaemonError(LalaldError):
    """The daemon cannot start or cannot be reached."""


class OutOfResourcesError(LalaldError):
    """The process ran out of memory, descriptors or threads."""


class FileError(LalaldError):
    """A file or folder cannot be read, moved or written at the moment."""


class DiskFullError(FileError):
    """There is no room for it; the job goes on by itself when there is."""


class NameTakenError(FileError):
    """A stranger's file has a name that was chosen; what was in place already is back in the staging folder."""


class StagingLostError(FileError):
    """A track is neither in the staging folder nor in place: it has to be fetched again."""


class DuplicateChangedError(FileError):
    """An earlier result is not there any more as it was delivered, so it cannot be given again."""


class FolderUnavailableError(FileError):
    """An inbox or outbox is not there; it is taken up again when it is back."""


class FolderPermissionError(FolderUnavailableError):
    """A right is missing in a folder, or it is mounted read-only; used again when the right is there."""


class ServiceError(LalaldError):
    """An answer of the service, or the lack of one.

    `request_id` is the answer's `x-request-id`: the only handle that the service's support can act on.
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
        told = ", ".join(fact for fact in facts if fact)
        return f"{super().__str__()} ({told})" if told else super().__str__()


class TransientError(ServiceError):
    """No answer, or one that says "later".

    `answered`: an answer came, of whatever kind. `carried_out_possible`: the request may have been carried out all the same; false
    only where that is certain: no connection was had, or the answer was one of refusal. Money hangs on the second.
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
        """Whether it counts for a circuit breaker: no answer, 5xx, `internal_error`, or something in front of the service answered.

        Anything else is the job's own: a track of another size than the service said, say.
        """
        if not self.answered or self.code == "internal_error" or self.status is None:
            return True
        return self.status >= 500 or 300 <= self.status < 400 or self.status == 408


class InternalFaultError(TransientError):
    """An exception that nobody foresaw, in asking or in reading the answer: something in it is odd, and the service works."""

    def __init__(self, message: str) -> None:
        super().__init__(message, answered=True)

    @property
    def is_outage(self) -> bool:
        return False


class RateLimitedError(TransientError):
    """429: too many requests. Every operation pauses."""


class UnreadableAnswerError(TransientError):
    """An answer that is not the document's JSON: a web page, half of it, nothing at all."""

    @property
    def is_outage(self) -> bool:
        return True


class UnusableAnswerError(UnreadableAnswerError):
    """JSON in which something is missing, or is of no use, that the work cannot go on without."""


class SizeDiffersError(ServiceError):
    """A track arrived whole, but `/check/` declared another size; asked again it may declare the right one."""


class LicenseRefusedError(ServiceError):
    """401 or 403 from an operation of the API. `sent_with` is the key of that request, where one was sent."""

    sent_with: object = None


class LicenseMissingError(LicenseRefusedError):
    """There is no license key, or none that could be sent; the service was not asked."""


class RefusedError(ServiceError):
    """The service says that this request is wrong and will stay so."""


class LinkDeadError(ServiceError):
    """A track's link answers 403, 404 or 410; `/check/` may give a new one."""


class LinkRefusedError(ServiceError):
    """A track's link that must not be followed: another scheme than https, credentials, or a redirect to such a place."""
