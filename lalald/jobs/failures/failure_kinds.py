"""Why a job or a task failed, as far as it decides what a person can do about it. Told apart by codes, never by words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FailureKind(StrEnum):
    """What stands in a failed job's row."""

    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    UNSUPPORTED = "unsupported"  # not a file that the service can read
    NO_LENGTH = "no_length"  # the service gives it no length that can be
    UNREADABLE = "unreadable"  # by the user of the daemon
    CHANGED = "changed"  # a file in the failed folder is not what it was
    BAD_ANSWERS = "bad_answers"  # the service received it, and never answered as its document says
    REFUSED = "refused"  # for good, for any other reason
    KEY = "key"  # the license key is accepted, but not for this
    INTERNAL = "internal"  # an unexpected exception
    SERVICE_FAILED = "service_failed"  # the service started it, and could not do it
    CANCELLED = "cancelled"
    RESULTS_LEFT = "results_left"  # it has, or had, results that were not fetched


# The codes of the service's document that are about the file, and what HTTP says with a status alone.
KIND_BY_CODE: Mapping[str, FailureKind] = {
    "exceeded_size": FailureKind.TOO_LARGE,
    "max_duration": FailureKind.TOO_LONG,
    "http_401": FailureKind.KEY,
    "http_403": FailureKind.KEY,
    "http_413": FailureKind.TOO_LARGE,
    "http_415": FailureKind.UNSUPPORTED,
}


def error_code(code: str | None, status: int | None) -> str | None:
    """What is kept of a refusal: the service's own code, else the status of its answer."""
    return code or (f"http_{status}" if status else None)


def kind_of_refusal(code: str | None) -> FailureKind:
    """The kind of a refusal by what `error_code` kept of it."""
    return KIND_BY_CODE.get(code or "", FailureKind.REFUSED)
