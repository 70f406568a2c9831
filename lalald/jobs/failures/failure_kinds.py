"""Kinds of failure, as codes: what a user can do about a failure depends on its kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FailureKind(StrEnum):
    """The kind of failure in a failed job's row."""

    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    UNSUPPORTED = "unsupported"  # the service cannot read this file
    NO_LENGTH = "no_length"  # the service reports no plausible duration
    UNREADABLE = "unreadable"  # by the user of the daemon
    CHANGED = "changed"  # the file in the failed folder has changed
    BAD_ANSWERS = "bad_answers"  # the service accepted it, and never gave an answer that its document allows
    REFUSED = "refused"  # permanently, for any other reason
    KEY = "key"  # the license key is valid, but not for this
    INTERNAL = "internal"  # an unexpected exception
    SERVICE_FAILED = "service_failed"  # the service started the task, and failed
    CANCELLED = "cancelled"
    RESULTS_LEFT = "results_left"  # it has, or had, results that were not fetched


# Error codes of the service's document that are about the file, and HTTP statuses without a code.
KIND_BY_CODE: Mapping[str, FailureKind] = {
    "exceeded_size": FailureKind.TOO_LARGE,
    "max_duration": FailureKind.TOO_LONG,
    "http_401": FailureKind.KEY,
    "http_403": FailureKind.KEY,
    "http_413": FailureKind.TOO_LARGE,
    "http_415": FailureKind.UNSUPPORTED,
}


def error_code(code: str | None, status: int | None) -> str | None:
    """The code that is stored for a refusal: the service's own, or else its HTTP status."""
    return code or (f"http_{status}" if status else None)


def kind_of_refusal(code: str | None) -> FailureKind:
    """The kind of a refusal by what `error_code` kept of it."""
    return KIND_BY_CODE.get(code or "", FailureKind.REFUSED)
