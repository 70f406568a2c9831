"""What an event says to people: the same words in messages and in the page's log. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lalald.filesystem.names import printable
from lalald.jobs.event_facts import LICENSE, Fact
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.spending.prices import cost_text, free_text
from lalald.jobs.states import Hold
from lalald.notify.event_advice import charge, remedy
from lalald.reports.hold_advice import HELD_FOR, why_held

Quote = Callable[[str], str]  # foreign text, made fit for where it goes

_PLAIN: dict[EventKind, str] = {
    EventKind.SERVICE_DOWN: "LALAL.AI has not answered as it should for 15 minutes",
    EventKind.SERVICE_BACK: "LALAL.AI works again",
    EventKind.LICENSE_MISSING: "There is no license key",
    EventKind.LICENSE_REFUSED: "LALAL.AI refuses the license key",
    EventKind.DAEMON_STARTED: "lalald was started",
}


@dataclass(frozen=True, slots=True)
class EventText:
    """`headline`: one sentence without its full stop. `reason`: what was said about it. `names`: the files it is about.

    `charge`: what they have cost so far, where that is in question.
    """

    headline: str
    reason: str
    charge: str
    names: tuple[str, ...]
    remedy: str


def event_text(
    fact: Fact,
    count: int | None = None,
    *,
    minutes: float | None = None,
    names: bool = True,
    quote: Quote = printable,
    quote_headline: Quote | None = None,
) -> EventText:
    """`count`: of how many such events, and the `minutes` charged for all of them; None: as the fact says.

    Without `names` neither files nor reasons are named. `quote_headline`: another way to quote a name there.
    """
    number = fact.count if count is None else count
    reason = (
        "" if _says_all(fact) else fact.data.get("error") or fact.data.get("reason") or fact.data.get("warning") or ""
    )
    return EventText(
        _headline(fact, number, minutes, names=names, quote=quote_headline or quote),
        quote(str(reason)) if names else "",
        charge(fact, number, minutes),
        tuple(quote(name) for name in _names(fact)) if names else (),
        remedy(fact, number),
    )


def _says_all(fact: Fact) -> bool:
    """The reason of this hold repeats the headline and the remedy."""
    return fact.kind is EventKind.JOB_HELD and fact.data["hold"] == Hold.FIRST_SCAN


def _headline(fact: Fact, number: int, minutes: float | None, *, names: bool, quote: Quote) -> str:
    match fact.kind:
        case EventKind.JOB_DONE:
            return f"{_jobs(fact, number, names, quote)} done{_cost(fact, number, minutes)}"
        case EventKind.JOB_FAILED:
            return f"{_jobs(fact, number, names, quote)} failed"
        case EventKind.RESULTS_EXPIRING:
            return f"{_jobs(fact, number, names, quote)}: paid results expire in less than 6 hours"
        case EventKind.JOB_HELD:
            why = why_held(fact.data["hold"], fact.data.get("source_of_hold"), stalled=bool(fact.data.get("stalled")))
            return f"{_jobs(fact, number, names, quote)} held: {why}"
        case EventKind.HOLD_CLEARED if fact.subject == LICENSE:
            return "LALAL.AI accepts the license key"
        case EventKind.HOLD_CLEARED:
            return f"No file is held any more for {HELD_FOR.get(fact.data['hold'], fact.data['hold'])}"
        case EventKind.MINUTES_LOW:
            return f"{free_text(fact.data['left'])} minutes left, fewer than were charged in the last seven days"
        case EventKind.INBOX_UNAVAILABLE | EventKind.INBOX_BACK | EventKind.FOLDER_UNAVAILABLE | EventKind.FOLDER_BACK:
            return _folder(fact, names, quote)
        case _:
            return _PLAIN[fact.kind]


def _folder(fact: Fact, names: bool, quote: Quote) -> str:
    what = "inbox" if fact.kind in (EventKind.INBOX_UNAVAILABLE, EventKind.INBOX_BACK) else "folder"
    which = f"The {what} {quote(fact.data['folder'])}" if names else f"An {what}" if what == "inbox" else f"A {what}"
    is_away = fact.kind in (EventKind.INBOX_UNAVAILABLE, EventKind.FOLDER_UNAVAILABLE)
    return f"{which} is {'unavailable' if is_away else 'back'}"


def _jobs(fact: Fact, number: int, names: bool, quote: Quote) -> str:
    first = _names(fact)
    return quote(first[0]) if names and number == 1 and first else f"{number:,} {'file' if number == 1 else 'files'}"


def _names(fact: Fact) -> list[str]:
    jobs: list[dict[str, Any]] = fact.data.get("jobs") or ([fact.data["job"]] if "job" in fact.data else [])
    return [str(job["path"]) for job in jobs]


def _cost(fact: Fact, number: int, minutes: float | None) -> str:
    known = fact.data.get("job", {}).get("minutes") if minutes is None and number == 1 else minutes
    if known is None:
        return ""
    return f", {cost_text(known)} min charged" if known > 0 else ", nothing charged"
