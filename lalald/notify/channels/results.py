"""The outcomes of one attempt to deliver an event. Reasons contain no secrets: they appear in `status` and in the log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """It arrived, or ran."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never be accepted: it is dropped, and reported."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A command ran and failed: the failure is reported, and the command is not run again."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """It may be accepted later; nothing after it is sent before it. `key`: the setting of the entry at fault, if not the receiver."""

    reason: str
    retry_after_seconds: float | None = None
    key: str | None = None


def redirected(status: int) -> str:
    """Another address may be another's, and a POST that is redirected may become a GET."""
    return f"it answered {status}: redirects are not followed, write the new address into the configuration"


Result = Sent | Failed | Refused | TryLater
