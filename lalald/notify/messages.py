"""A message for people: a title of one line, and a body of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lalald.jobs.event_kinds import EventKind
from lalald.notify.event_text import event_text
from lalald.notify.plain_text import harmless
from lalald.store.events.causes import Cause

_NAMED = 10
_LONGEST_TITLE = 120


class Message(NamedTuple):
    title: str
    body: str


def message(cause: Cause, *, names: bool) -> Message:
    """What happened by one cause: how often, why, to which files first, and what to do."""
    fact = cause.events[0].fact
    text = event_text(fact, cause.count, names=names, quote=harmless)
    texts = (event_text(event.fact, names=names, quote=harmless) for event in cause.events)
    listed = list(dict.fromkeys(name for one in texts for name in one.names))[:_NAMED]
    lines = [text.reason]
    if cause.count > 1 and listed:
        lines += [f"• {name}" for name in listed]
        lines += [f"and {cause.count - len(listed):,} more"] if cause.count > len(listed) else []
    if fact.kind is EventKind.JOB_DONE and names and cause.count == 1:
        lines.append(f"→ {harmless(fact.data['output'])}" if fact.data.get("output") else "")
    lines.append(text.remedy)
    return Message(_title(text.headline), "\n".join(filter(None, lines)) or text.headline)


def more(causes: Sequence[Cause]) -> Message:
    """One message that sums up all further causes."""
    count = sum(cause.count for cause in causes)
    kinds = sorted({str(cause.kind) for cause in causes})
    return Message(
        f"lalald: {count:,} more events",
        f"{len(causes):,} more causes ({', '.join(kinds)}). `lalald status` says what needs you.",
    )


def _title(headline: str) -> str:
    title = f"lalald: {headline}"
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
