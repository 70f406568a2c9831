"""Resolve a `file_schema.File` to a `Config`: absolute paths, expanded rules, errors for missing keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalald.config import model
from lalald.config.checks import consistency, path_overlap, web_section
from lalald.config.checks.pattern_advice import Context
from lalald.config.diagnostics import Where
from lalald.config.notify_entries import PlacedEntry, notify_entries
from lalald.config.paths import default_state_dir, filled
from lalald.config.reading import Reading
from lalald.config.rule_expansion import rules
from lalald.config.schema import file_schema
from lalald.suggestions import quoted

_COPIED = (
    "existing", "recursive", "watch", "poll_interval", "settle", "rescan", "changed", "ignore", "prune", "on_success", "on_failure",
)  # fmt: skip


_NO_PAGE = model.Web()


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resolved file. `config` is None if it has errors; the folders and files are those that could still be read."""

    config: model.Config | None
    inboxes: tuple[path_overlap.KnownFolders, ...]
    state_dir: Path | None
    license_key_file: Path | None
    notify: tuple[PlacedEntry, ...] = ()
    web: model.Web = _NO_PAGE


def resolve(file: file_schema.File, reading: Reading) -> Resolved:
    """The configuration, unless it has errors; these and the warnings are in `reading.diagnostics`."""
    diagnostics = reading.diagnostics
    facts: dict[str, Any] = {
        "license_key_file": reading.secret_file(("license_key_file",), file.license_key_file),
        "api_url": consistency.origin(file.api_url, diagnostics),
        "log": model.Log(**dict(file.log)),
        "transfers": model.Transfers(**dict(file.transfers)),
        "minutes": model.Minutes(**dict(file.minutes)),
        "web": web_section.web(file.web, diagnostics, reading.secret_file),
        **{name: getattr(file, name) for name in ("checks_per_minute", "on_lost_task", "history")},
    }
    consistency.check_pace(file.checks_per_minute, diagnostics)
    notify = notify_entries(file.notify or [], reading)
    state_dir = _state_dir(file, reading)
    inboxes, folders = _inboxes(file, reading)
    path_overlap.check(folders, state_dir, diagnostics, reading.real)
    config = None
    if state_dir is not None and not diagnostics.errors:
        facts["notify"] = tuple(placed.entry for placed in notify)
        config = model.Config(path=reading.path, state_dir=state_dir, inboxes=tuple(filter(None, inboxes)), **facts)
    return Resolved(config, folders, state_dir, facts["license_key_file"], notify, facts["web"])


def _state_dir(file: file_schema.File, reading: Reading) -> Path | None:
    where: Where = ("state_dir",)
    if file.state_dir is not None:
        said_outside = where in reading.diagnostics.sources
        return reading.folder(where, file.state_dir, None if said_outside else reading.path.parent, "")
    try:
        return default_state_dir(reading.environ)
    except ValueError as error:
        reading.diagnostics.add_error(where, str(error))
        return None


def _inboxes(
    file: file_schema.File, reading: Reading
) -> tuple[list[model.Inbox | None], tuple[path_overlap.KnownFolders, ...]]:
    """The inboxes, None for one without a folder, and the folders of each."""
    where: Where = ("inboxes",)
    if not file.inboxes:
        reading.diagnostics.add_error(where, "missing: at least one folder to watch, with its outbox and its rules")
    sections = [((*where, place), section) for place, section in enumerate(file.inboxes or [])]
    folders = tuple(_folders(section, here, reading) for here, section in sections)
    inboxes = [_inbox(section, found, here, reading) for found, (here, section) in zip(folders, sections, strict=True)]
    return inboxes, folders


def _inbox(
    section: file_schema.Inbox, folders: path_overlap.KnownFolders, where: Where, reading: Reading
) -> model.Inbox | None:
    found_rules = tuple(rules(section.rules, (*where, "rules"), reading.diagnostics))
    consistency.check_ignored(section.ignore, (*where, "ignore"), reading.diagnostics)
    consistency.check_unused(section, where, reading.diagnostics)
    path, outbox, done_dir, failed_dir = folders.path, folders.outbox, folders.done_dir, folders.failed_dir
    if path is None or outbox is None or done_dir is None or failed_dir is None:
        return None
    copied = {name: getattr(section, name) for name in _COPIED}
    inbox = model.Inbox(path=path, outbox=outbox, done_dir=done_dir, failed_dir=failed_dir, rules=found_rules, **copied)
    roots = tuple(dict.fromkeys((path, reading.real.of(path))))
    consistency.check_meaning(inbox, Context(inbox, roots, reading.environ), where, reading.diagnostics)
    return inbox


def _folders(section: file_schema.Inbox, where: Where, reading: Reading) -> path_overlap.KnownFolders:
    path = reading.folder((*where, "path"), section.path, reading.path.parent, "the folder to watch")
    return path_overlap.KnownFolders(
        path=path,
        outbox=_place(section.outbox, path, (*where, "outbox"), reading, watched=section.recursive),
        done_dir=_place(section.done_dir, path, (*where, "done_dir"), reading),
        failed_dir=_place(section.failed_dir, path, (*where, "failed_dir"), reading),
        recursive=section.recursive,
        on_success=section.on_success,
        on_failure=section.on_failure,
    )


def _place(
    text: str | None, inbox: Path | None, where: Where, reading: Reading, *, watched: bool = False
) -> Path | None:
    """The outbox, done or failed folder: a relative path is a folder within the inbox that is never watched.

    `watched`: an absolute path may not lie there.
    """
    found = reading.folder(where, text, inbox or Path("/"), "the folder for the results")
    if found is None or text is None:
        return None
    path = os.path.normpath(filled(text, reading.environ))
    relative = not os.path.isabs(path)
    if relative and path.split("/")[0] in (".", ".."):
        words = f"a relative path is a folder within the inbox, and {quoted(text)} is not; write the path in full"
        reading.diagnostics.add_error(where, words)
    elif relative and inbox is None:
        return None
    elif watched and inbox is not None and not relative and path_overlap.lies_within(found, inbox, reading.real):
        words = "is within its own inbox; a relative path, such as results, is a folder there that is not watched"
        reading.diagnostics.add_error(where, words)
    else:
        return found
    return None
