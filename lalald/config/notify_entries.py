"""The entries of `notify`: the receiver, the kind of delivery, the events. Addresses are not tried here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lalald.config import model
from lalald.config.diagnostics import Where
from lalald.config.paths import filled
from lalald.config.reading import Reading
from lalald.config.schema import file_schema
from lalald.jobs.event_kinds import EventKind
from lalald.suggestions import quoted, unknown

WAYS = ("url", "url_file", "webhook", "command")
ON_WORDS = ("problems", "all", "done", *EventKind)
GATHER_SECONDS, TIMEOUT_SECONDS = 60.0, 600.0
BELONGS: dict[str, tuple[str, ...]] = {  # keys that mean nothing with another way
    "gather": ("url", "url_file"),
    "names": ("url", "url_file", "webhook"),
    "secret_file": ("webhook",),
    "timeout": ("command",),
}


class PlacedEntry(NamedTuple):
    """An entry that can be used, and its place in the list."""

    place: int
    entry: model.NotifyEntry


def notify_entries(sections: Sequence[file_schema.Notify], reading: Reading) -> tuple[PlacedEntry, ...]:
    """The valid entries; the errors of the others are in `reading.diagnostics`."""
    names: set[str] = set()
    found = []
    for place, section in enumerate(sections):
        where: Where = ("notify", place)
        before = len(reading.diagnostics.errors)
        _check_name(section.name, names, where, reading)
        way = _way(section, where, reading)
        kinds, problems = _selection(section.on, where, reading)
        facts = dict(_of_way(section, way, where, reading)) if way else {}
        if len(reading.diagnostics.errors) == before and not reading.diagnostics.has_error_within(where):
            entry = model.NotifyEntry(name=section.name or "", kinds=kinds, problems=problems, **facts)
            found.append(PlacedEntry(place, entry))
    return tuple(found)


def _check_name(name: str | None, names: set[str], where: Where, reading: Reading) -> None:
    if name is None:
        reading.diagnostics.add_error((*where, "name"), "missing: what logs and `lalald status` call this entry")
    elif name in names:
        reading.diagnostics.add_error((*where, "name"), f"another entry is called {quoted(name)}, too")
    else:
        names.add(name)


def _way(section: file_schema.Notify, where: Where, reading: Reading) -> str | None:
    """The one key that chooses the kind of delivery."""
    written = [way for way in WAYS if getattr(section, way) is not None]
    if not written:
        if not any(reading.diagnostics.has_error_at((*where, way)) for way in WAYS):
            reading.diagnostics.add_error(where, "missing: one of url, url_file, webhook, command")
        return None
    for other in written[1:]:
        reading.diagnostics.add_error(
            (*where, other), f"an entry has one of {', '.join(WAYS)}; this one has {written[0]} already"
        )
    for key, ways in BELONGS.items():
        if getattr(section, key) is not None and written[0] not in ways:
            reading.diagnostics.add_error(
                (*where, key), f"belongs to {' and '.join(ways)}, and this entry has {written[0]}"
            )
    return written[0]


def _selection(words: Sequence[str], where: Where, reading: Reading) -> tuple[frozenset[EventKind], bool]:
    kinds: set[EventKind] = set()
    for place, word in enumerate(words):
        match word:
            case "problems":
                continue
            case "all":
                kinds.update(EventKind)
            case "done":
                kinds.add(EventKind.JOB_DONE)
            case _ if word in ON_WORDS:
                kinds.add(EventKind(word))
            case _:
                here: Where = (*where, "on") if len(words) == 1 else (*where, "on", place)
                reading.diagnostics.add_error(here, unknown("event", word, ON_WORDS))
    if not words:
        reading.diagnostics.add_error((*where, "on"), f"expected one or more of {', '.join(ON_WORDS)}")
    return frozenset(kinds), "problems" in words


def _of_way(section: file_schema.Notify, way: str, where: Where, reading: Reading) -> Iterator[tuple[str, Any]]:
    here: Where = (*where, way)
    match way:
        case "url":
            _check_url(section.url or "", here, reading)
            yield "url", section.url
        case "url_file":
            yield "url_file", reading.secret_file(here, section.url_file)
        case "webhook":
            _check_webhook(section.webhook or "", here, reading)
            yield "webhook", section.webhook
            yield "secret_file", reading.secret_file((*where, "secret_file"), section.secret_file)
        case "command":
            yield "command", _command(section.command or (), here, reading)
    yield "gather", GATHER_SECONDS if section.gather is None else section.gather
    yield "names", section.names is not False
    yield "timeout", TIMEOUT_SECONDS if section.timeout is None else section.timeout


def _check_url(url: str, where: Where, reading: Reading) -> None:
    scheme, separator, rest = url.partition("://")
    if not (scheme and separator and rest):
        reading.diagnostics.add_error(where, "expected an Apprise URL such as ntfy://ntfy.example.org/topic")


def _check_webhook(url: str, where: Where, reading: Reading) -> None:
    """The address itself is never shown: it may hold a token."""
    try:
        parts = urlsplit(url)
        is_usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        reading.diagnostics.add_error(where, "expected an address such as https://example.org/hook")


def _command(written: Sequence[str], where: Where, reading: Reading) -> tuple[str, ...]:
    """The program as a path in full; its arguments as they stand."""
    if not written:
        reading.diagnostics.add_error(where, "expected a program and its arguments, such as [/config/hooks/done.sh]")
        return ()
    try:
        program = filled(written[0], reading.environ)
    except ValueError as error:
        reading.diagnostics.add_error(where, str(error))
        return ()
    if not program.startswith("/"):
        words = (
            f"{quoted(written[0])} is not an absolute path; commands are run without a shell, and PATH is not searched"
        )
        reading.diagnostics.add_error(where, words)
    return (program, *written[1:])
