"""Folders that moved: every path in the database below the old place is rewritten to the new one, in one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lalald.errors import UsageError
from lalald.filesystem.names import printable
from lalald.store.rows import name_from, stored_name_always
from lalald.store.tables.restored_copy import RESTORED

Stored = str | bytes | None

# Every column with an absolute path. Paths within an inbox or outbox, and words of the past, stay as they are.
_COLUMNS = (
    ("inboxes", "path"), ("folders", "path"), ("jobs", "inbox"), ("jobs", "moved_to"), ("jobs", "held_path"), ("tasks", "held_path"),
    ("tracks", "copy_from"), ("charges", "inbox"),
    ("files", "inbox"), ("inbox_folders", "inbox"), ("set_aside_files", "inbox"), ("uploads", "inbox"), ("requests", "argument"),
)  # fmt: skip
_WORDS = (
    ("events", "subject"),
    ("events", "cause"),
    ("pending_events", "subject"),
    ("pending_events", "cause"),
)  # they end with one
_OF_AN_INBOX = ("files", "inbox_folders", "set_aside_files", "uploads")
_SETTINGS = ("outbox", "done_dir", "failed_dir")  # of a job's settings; the last two may be relative to the inbox


@dataclass(frozen=True, slots=True)
class Relocation:
    """What was rewritten: rows by table, and the inboxes and other folders at their new places."""

    rows: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def relocate(connection: sqlite3.Connection, old: str, new: str, state_name: Callable[[str], str]) -> Relocation:
    """Rewrite every path that is `old` or below it. Both are absolute, normalized and different.

    `state_name` gives the name under which `daemon_state` holds what is remembered of an inbox.
    A place that was watched already, but has no jobs yet, gives way: a daemon may have been started there too early.

    Raises UsageError where nothing lies there, or an inbox at the new place has jobs: their records cannot be merged.
    """
    moved = _mover(old, new)
    connection.create_function("relocated", 1, moved, deterministic=True)
    connection.create_function("relocated_subject", 1, _subject_mover(moved), deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        folders = _moving(connection, moved, old)
        for folder, target in folders.items():
            _give_way(connection, folder, target, state_name(name_from(target)))
        rows = _rewrite_columns(connection)
        rows["job_settings"] = _relocate_settings(connection, moved)
        names = {state_name(name_from(folder)): state_name(name_from(target)) for folder, target in folders.items()}
        rows["daemon_state"] = _relocate_state(connection, names) + _relocate_restored(connection, moved)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    at = sorted(map(name_from, folders.values()))
    return Relocation({table: count for table, count in rows.items() if count}, at)


def _mover(old: str, new: str) -> Callable[[Stored], Stored]:
    """A path at its new place; every other value as it is."""
    below = old.rstrip("/") + "/"

    def moved(value: Stored) -> Stored:
        if not isinstance(value, str | bytes):
            return value
        path = name_from(value)
        if path == old:
            return stored_name_always(new)
        return stored_name_always(os.path.join(new, path[len(below) :])) if path.startswith(below) else value

    return moved


def _subject_mover(moved: Callable[[Stored], Stored]) -> Callable[[Stored], Stored]:
    """The same for words that end with a path, such as `inbox /srv/inbox`."""

    def subject_moved(value: Stored) -> Stored:
        words, slash, path = name_from(value or "").partition("/")
        there = moved(stored_name_always(slash + path)) or ""
        return stored_name_always(words + name_from(there)) if slash else value

    return subject_moved


def _moving(
    connection: sqlite3.Connection, moved: Callable[[Stored], Stored], old: str
) -> dict[str | bytes, str | bytes]:
    """The known folders that move, with their new places. Raises UsageError if there are none, or one may not."""
    known = [path for (path,) in connection.execute("SELECT path FROM inboxes UNION SELECT path FROM folders")]
    folders = {folder: target for folder in known if (target := moved(folder)) is not None and target != folder}
    if not folders:
        listed = ", ".join(printable(name_from(folder)) for folder in known) or "none"
        raise UsageError(
            f"no inbox or outbox is {printable(old)} or below it; nothing was changed.",
            hint=f"The known folders: {listed}.",
        )
    for folder, target in folders.items():
        if reason := _why_kept_apart(connection, folder, target):
            raise UsageError(
                f"{printable(name_from(folder))} would become {printable(name_from(target))}, which {reason}; nothing was changed.",
                hint="Their records cannot be merged. If lalald was started with the new paths before this, restore the database"
                " that you copied from the old place, and run this first.",
            )
    return folders


def _why_kept_apart(connection: sqlite3.Connection, folder: str | bytes, target: str | bytes) -> str | None:
    """Why the records of a new place are not replaced by those of the old one."""
    (jobs,) = connection.execute("SELECT count(*) FROM jobs WHERE inbox = ?", (target,)).fetchone()
    for number, text in connection.execute("SELECT id, json FROM job_settings").fetchall():
        if json.loads(text)["outbox"] == name_from(target):
            (more,) = connection.execute("SELECT count(*) FROM jobs WHERE settings = ?", (number,)).fetchone()
            jobs += more
    if jobs:
        return f"has jobs of its own ({jobs:,})"
    (kinds,) = connection.execute(
        "SELECT count(DISTINCT kind) FROM (SELECT 'inbox' AS kind, path FROM inboxes UNION SELECT 'folder', path FROM folders)"
        " WHERE path IN (?, ?)", (folder, target),
    ).fetchone()  # fmt: skip
    return "is known as a folder of another kind" if kinds > 1 else None


def _give_way(connection: sqlite3.Connection, folder: str | bytes, target: str | bytes, state_name: str) -> None:
    """Forget what was noted of a new place before. Its marker is kept: it is the one that lies there now."""
    for table in ("inboxes", "folders"):
        found = connection.execute(f"SELECT marker FROM {table} WHERE path = ?", (target,)).fetchone()
        if found is not None:
            connection.execute(f"DELETE FROM {table} WHERE path = ?", (target,))
            connection.execute(f"UPDATE {table} SET marker = ? WHERE path = ?", (found[0], folder))
    for table in _OF_AN_INBOX:
        connection.execute(f"DELETE FROM {table} WHERE inbox = ?", (target,))
    connection.execute("DELETE FROM daemon_state WHERE name = ?", (state_name,))
    for table in ("events", "pending_events"):
        connection.execute(f"DELETE FROM {table} WHERE subject IN (?, ?)", _subjects(target))


def _subjects(folder: str | bytes) -> tuple[str | bytes, str | bytes]:
    inbox, other = (stored_name_always(f"{kind} {name_from(folder)}") for kind in ("inbox", "folder"))
    return inbox, other


def _rewrite_columns(connection: sqlite3.Connection) -> dict[str, int]:
    """How many values were rewritten, by table."""
    rows = {table: 0 for table, _ in (*_COLUMNS, *_WORDS)}
    for function, columns in (("relocated", _COLUMNS), ("relocated_subject", _WORDS)):
        for table, column in columns:
            there = f"{function}({column})"
            statement = f"UPDATE {table} SET {column} = {there} WHERE {column} IS NOT {there}"
            rows[table] += connection.execute(statement).rowcount
    return rows


def _relocate_settings(connection: sqlite3.Connection, moved: Callable[[Stored], Stored]) -> int:
    """Jobs keep the folders of the rule that matched them. Rows are shared by jobs and unique: two may become one."""
    changed = 0
    for number, text in connection.execute("SELECT id, json FROM job_settings").fetchall():
        settings = json.loads(text)
        there = {**settings, **{name: _moved_text(settings[name], moved) for name in _SETTINGS}}
        if there == settings:
            continue
        changed += 1
        rewritten = json.dumps(there, sort_keys=True)
        same = connection.execute("SELECT id FROM job_settings WHERE json = ?", (rewritten,)).fetchone()
        if same is None:
            connection.execute("UPDATE job_settings SET json = ? WHERE id = ?", (rewritten, number))
        else:
            connection.execute("UPDATE jobs SET settings = ? WHERE settings = ?", (same[0], number))
            connection.execute("DELETE FROM job_settings WHERE id = ?", (number,))
    return changed


def _moved_text(path: str, moved: Callable[[Stored], Stored]) -> str:
    """A path in JSON: bytes that are not UTF-8 are lone surrogates there."""
    there = moved(stored_name_always(path))
    assert there is not None  # noqa: S101 - narrows the type
    return name_from(there)


def _relocate_state(connection: sqlite3.Connection, moved: Mapping[str, str]) -> int:
    changed = 0
    for old, new in moved.items():
        changed += connection.execute("UPDATE daemon_state SET name = ? WHERE name = ?", (new, old)).rowcount
    return changed


def _relocate_restored(connection: sqlite3.Connection, moved: Callable[[Stored], Stored]) -> int:
    """The inboxes whose first scan after a restored backup is not over."""
    changed = 0
    for (text,) in connection.execute("SELECT json FROM daemon_state WHERE name = ?", (RESTORED,)).fetchall():
        facts = json.loads(text)
        there = {**facts, "inboxes": [_moved_text(inbox, moved) for inbox in facts["inboxes"]]}
        changed += there != facts
        connection.execute("UPDATE daemon_state SET json = ? WHERE name = ?", (json.dumps(there), RESTORED))
    return changed
