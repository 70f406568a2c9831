"""Uploads that are not complete: their rows say how many bytes are durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lalald.store.rows import name_from, stored_name

_COLUMNS = "id, inbox, path, size, offset, inode, fingerprint, created_at, touched_at"


@dataclass(frozen=True, slots=True)
class Upload:
    """`offset`: so many bytes are durable. `fingerprint`: by which its client knows the file again."""

    id: str
    inbox: str
    path: str
    size: int
    offset: int
    inode: int
    fingerprint: str
    created_at: float
    touched_at: float


def uploads(connection: sqlite3.Connection) -> list[Upload]:
    """Oldest first."""
    return [_upload(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM uploads ORDER BY created_at")]


def upload(connection: sqlite3.Connection, upload_id: str) -> Upload | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM uploads WHERE id = ?", (upload_id,)).fetchone()
    return None if row is None else _upload(row)


def add_upload(connection: sqlite3.Connection, one: Upload) -> bool:
    """False where another open upload has its name."""
    added = connection.execute(
        f"INSERT OR IGNORE INTO uploads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            one.id, stored_name(one.inbox), stored_name(one.path), one.size, one.offset, one.inode, _stored(one.fingerprint),
            one.created_at, one.touched_at,
        ),
    )  # fmt: skip
    return added.rowcount == 1


def set_offset(connection: sqlite3.Connection, upload_id: str, offset: int, now: float) -> None:
    """So many bytes are durable now."""
    connection.execute("UPDATE uploads SET offset = ?, touched_at = ? WHERE id = ?", (offset, now, upload_id))


def remove_upload(connection: sqlite3.Connection, upload_id: str) -> None:
    """It is in the inbox, or cancelled."""
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))


def _upload(row: Sequence[Any]) -> Upload:
    upload_id, inbox, path, size, offset, inode, fingerprint, created_at, touched_at = row
    known_by = fingerprint.decode("utf-8", "surrogatepass") if isinstance(fingerprint, bytes) else fingerprint
    return Upload(upload_id, name_from(inbox), name_from(path), size, offset, inode, known_by, created_at, touched_at)


def _stored(fingerprint: str) -> bytes:
    """A browser may have cut its text within a character: SQLite has no such text."""
    return fingerprint.encode("utf-8", "surrogatepass")
