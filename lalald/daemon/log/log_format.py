"""Format one event of the log as a line: short for people, complete as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lalald.filesystem.names import printable
from lalald.jobs.spending.prices import cost_text

_FIRST = ("event", "job", "path", "inbox")
_LAST = ("level", "timestamp")
_UNSHOWN = frozenset({*_FIRST, *_LAST, "folder", "minutes", "reason", "hint", "exception", "next"})
_EVENT_WIDTH = 20

_TIME_STYLE, _EVENT_STYLE = "2", "1"  # SGR: dim, bold; both can be read on light and on dark terminals
_LEVEL_STYLES = {"warning": "33", "error": "31", "critical": "31"}


def ordered(_logger: object, _method: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The event first, then its job and file; level and time last."""
    first = {name: facts[name] for name in _FIRST if name in facts}
    last = {name: facts[name] for name in _LAST if name in facts}
    return {**first, **{name: fact for name, fact in facts.items() if name not in (*_FIRST, *_LAST)}, **last}


def console_renderer(
    *, colors: bool, now: Callable[[], datetime], dates: bool = False
) -> Callable[[object, str, Mapping[str, Any]], str]:
    """Lines such as `12:03:11 job.delivered  #12 song.mp3  → /out/song  3.0 min`. `now` is local time.

    `dates`: with the date before the time, for a log that is kept.
    """
    time_format = "%Y-%m-%d %H:%M:%S" if dates else "%H:%M:%S"

    def paint(text: str, style: str | None) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if colors and style else text

    def render(_logger: object, method: str, facts: Mapping[str, Any]) -> str:
        event = str(facts["event"]).ljust(_EVENT_WIDTH)
        style = _LEVEL_STYLES.get(method)
        time, name = paint(now().strftime(time_format), _TIME_STYLE), paint(event, style or _EVENT_STYLE)
        details = [*_details(facts), paint(_message(method, facts), style)]
        line = f"{time} {name}  {'  '.join(detail for detail in details if detail)}".rstrip()
        return f"{line}\n{facts['exception']}" if "exception" in facts else line

    return render


def _details(facts: Mapping[str, Any]) -> Iterator[str]:
    yield _subject(facts)
    if facts.get("folder") is not None:
        yield f"→ {_text(facts['folder'])}" if "job" in facts else _text(facts["folder"])
    if facts.get("minutes") is not None and "price" not in facts:  # `price` includes the minutes
        yield f"{cost_text(facts['minutes'])} min"
    for name, fact in facts.items():
        if name not in _UNSHOWN and fact is not None:
            yield f"{name}={_text(fact)}"


def _subject(facts: Mapping[str, Any]) -> str:
    """Which job, and which file; a file without a job is named with its inbox."""
    job, path, inbox = facts.get("job"), facts.get("path"), facts.get("inbox")
    if job is not None:
        return f"#{job} {_text(path)}" if path is not None else f"#{job}"
    return "/".join(_text(part) for part in (inbox, path) if part is not None)


def _message(method: str, facts: Mapping[str, Any]) -> str:
    """What happened, then what to do, in one line. The level is also a word: not every terminal has colors."""
    reason, hint = (_one_line(facts.get(name)) for name in ("reason", "hint"))
    separator = " " if reason.endswith((".", "!", "?")) else ". " if hint[:1].isupper() else "; "
    text = separator.join(part for part in (reason, hint) if part)
    if method not in _LEVEL_STYLES:
        return text
    return f"{method}: {text}" if text else method


def _text(fact: object) -> str:
    """File names may contain control characters, which must not reach a terminal."""
    if isinstance(fact, list | tuple):
        return ", ".join(map(_text, fact))
    if isinstance(fact, Mapping):
        return ", ".join(f"{_text(name)} {_text(value)}" for name, value in fact.items())
    return printable(str(fact))


def _one_line(text: object) -> str:
    lines = [line.strip() for line in str(text or "").splitlines()]
    joined = "; ".join(line for line in lines if line)
    return printable(joined.replace(":; ", ": "))
