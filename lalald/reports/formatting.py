"""Format numbers, times and names for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from lalald.filesystem.names import printable
from lalald.jobs.spending.prices import cost_text
from lalald.store.report_types import Fact

__all__ = [
    "ago",
    "charged",
    "count",
    "iso",
    "moment",
    "price",
    "printable",
    "seconds_text",
    "service_trouble",
    "short_moment",
    "span",
]

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def count(number: int, noun: str) -> str:
    """`1 job`, `1,204 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def span(seconds: float) -> str:
    """A duration in its largest unit: `45 s`, `12 min`, `3 h`, `40 d`."""
    for size, unit in _UNITS:
        if seconds >= 2 * size or size == 1:
            return f"{max(0, int(seconds // size))} {unit}"
    raise AssertionError("the smallest unit fits everything")


def ago(at: float, now: float) -> str:
    """How long ago; a time in the future, after the clock was changed, is shown as it is."""
    return f"{span(now - at)} ago" if at <= now else f"at {moment(at)}"


def moment(at: float | None) -> str:
    """Local time, or a dash."""
    return "-" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_moment(at: float, now: float) -> str:
    """Local time: of today `08:30`, else with its date `2026-01-31 08:30`."""
    then, today = (datetime.fromtimestamp(moment).astimezone() for moment in (at, now))
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")


def service_trouble(service: Fact) -> str:
    """What is wrong with the service, and since when."""
    since = service.value.get("since")
    return printable(service.value["trouble"]) + (f" (since {moment(since)})" if since else "")


def iso(at: float | None) -> str | None:
    """UTC as ISO 8601, for other programs: `2026-01-31T12:00:00Z`."""
    return None if not at else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def price(minutes: float, unknown: int = 0) -> str:
    """`about 12.5 min`; with files of unknown length `at least 12.5 min, 2 files of unknown length`."""
    if not unknown:
        return f"about {cost_text(minutes)} min"
    of_unknown = f"{count(unknown, 'file')} of unknown length"
    return f"at least {cost_text(minutes)} min, {of_unknown}" if minutes else of_unknown


def charged(minutes: float, unknown: int = 0) -> str:
    """How much of a price will be charged, as a clause."""
    if not minutes:
        return f"{price(0.0, unknown)}: the price is known after the upload" if unknown else "nothing more is charged"
    return f"{price(minutes, unknown)}{', ' if unknown else ' '}will be charged"


def seconds_text(seconds: float, *, down: bool = False) -> str:
    """A short time, rounded up to whole seconds; `down`: rounded down, for a time that has passed."""
    if seconds >= 120:
        return span(seconds)
    return f"{math.floor(seconds) if down else math.ceil(seconds - 1e-6)} s"
