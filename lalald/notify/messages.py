"""A message for people: a title of one line, and a body of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lalald.jobs.event_kinds import EventKind
from lalald.notify.event_text import event_text
from lalald.notify.plain_text import harmless
from lalald.store.events.causes import Cause

_NAMED = 10
_LONGEST_TITLE = 120
_LONGEST_NAME = 60  # in a title: what happened follows it, and a phone shows about two lines


class Message(NamedTuple):
    title: str
    body: str


def message(cause: Cause, *, names: bool) -> Message:
    """What happened by one cause: how often, why, to which files first, what they cost, and what to do."""
    fact = cause.events[0].fact
    minutes = None if fact.kind is EventKind.JOB_HELD else cause.minutes
    text = event_text(fact, cause.count, minutes=minutes, names=names, quote=harmless, quote_headline=_in_title)
    lines = [text.reason, *_files(cause, names=names), text.charge, text.remedy]
    return Message(_title(text.headline), "\n".join(filter(None, lines)) or f"{text.headline}.")


def _files(cause: Cause, *, names: bool) -> Iterator[str]:
    """The first files, unless the title has the only one; and where the results of one are."""
    texts = (event_text(event.fact, names=names, quote=harmless) for event in cause.events)
    listed = list(dict.fromkeys(name for one in texts for name in one.names))[:_NAMED]
    if cause.count > 1 or any(name != _in_title(name) for name in listed):
        yield from (f"• {name}" for name in listed)
    if listed and cause.count > len(listed):
        yield f"and {cause.count - len(listed):,} more"
    fact = cause.events[0].fact
    if fact.kind is EventKind.JOB_DONE and names and cause.count == 1 and fact.data.get("output"):
        yield f"→ {harmless(fact.data['output'])}"


def _in_title(name: str) -> str:
    """The end of a long path says which file it is."""
    said = harmless(name)
    return said if len(said) <= _LONGEST_NAME else f"…{said[1 - _LONGEST_NAME :]}"


def more(causes: Sequence[Cause]) -> Message:
    """One message that sums up all further causes."""
    count = sum(cause.count for cause in causes)
    kinds = sorted({str(cause.kind) for cause in causes})
    return Message(
        f"lalald: {count:,} more events",
        f"{len(causes):,} more causes ({', '.join(kinds)}). `lalald status` says what needs you.",
    )


def _title(headline: str) -> str:
    title = headline if headline.startswith("lalald ") else f"lalald: {headline}"
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
