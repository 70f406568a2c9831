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

Stored = str | bytes | None

# Every column with an absolute path. Paths within an inbox or outbox, and words of the past, stay as they are.
_COLUMNS = (
    ("inboxes", "path"), ("folders", "path"), ("jobs", "inbox"), ("jobs", "moved_to"), ("tracks", "copy_from"), ("charges", "inbox"),
    ("files", "inbox"), ("inbox_folders", "inbox"), ("set_aside_files", "inbox"), ("requests", "argument"),
)  # fmt: skip
_SETTINGS = ("outbox", "done_dir", "failed_dir")  # of a job's settings; the last two may be relative to the inbox


@dataclass(frozen=True, slots=True)
class Relocation:
    """What was rewritten: rows by table, and the inboxes and other folders at their new places."""

    rows: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def relocate(connection: sqlite3.Connection, old: str, new: str, state_name: Callable[[str], str]) -> Relocation:
    """Rewrite every path that is `old` or lies below it. Both are absolute, normalized and different.

    `state_name` gives the name under which `daemon_state` holds what is remembered of an inbox.

    Raises UsageError where nothing lies there, or a folder at the new place is known already: their records cannot be merged.
    """
    moved = _mover(old, new)
    connection.create_function("relocated", 1, moved, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        folders = _known_folders(connection)
        _check(folders, moved, old)
        rows = {table: 0 for table, _ in _COLUMNS}
        for table, column in _COLUMNS:
            statement = f"UPDATE {table} SET {column} = relocated({column}) WHERE {column} IS NOT relocated({column})"
            rows[table] += connection.execute(statement).rowcount
        rows["job_settings"] = _relocate_settings(connection, moved)
        names = {state_name(name_from(folder)): state_name(name_from(moved(folder) or b"")) for folder in folders}
        rows["daemon_state"] = _relocate_state(connection, {was: now for was, now in names.items() if was != now})
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    at = sorted(name_from(there) for folder in folders if (there := moved(folder)) is not None and there != folder)
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


def _known_folders(connection: sqlite3.Connection) -> list[str | bytes]:
    return [path for (path,) in connection.execute("SELECT path FROM inboxes UNION SELECT path FROM folders")]


def _check(folders: list[str | bytes], moved: Callable[[Stored], Stored], old: str) -> None:
    there = {folder: moved(folder) for folder in folders}
    if all(folder == target for folder, target in there.items()):
        known = ", ".join(printable(name_from(folder)) for folder in folders) or "none"
        raise UsageError(
            f"no inbox or outbox is {printable(old)} or below it; nothing was changed.",
            hint=f"The known folders: {known}.",
        )
    for folder, target in there.items():
        if folder != target and target in there:
            raise UsageError(
                f"{printable(name_from(folder))} would become {printable(name_from(target or b''))}, which has records of its own; nothing"
                " was changed.",
                hint="Choose a place that lalald has not watched or filled before.",
            )


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
