"""Folders of an inbox that arrived after its first scan, and those that a source was archived from: only these may be pruned."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable

from lalald.store.rows import name_from, stored_name_always


class ArrivedFolders:
    """Folders are paths within the inbox, '' being its top. An inbox without a row for its top has no first scan on record.

    Each method runs within the caller's transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self, inbox: str, folders: Iterable[str]) -> None:
        """Record the first scan: these folders existed before, and never count as arrived."""
        self._connection.execute("DELETE FROM inbox_folders WHERE inbox = ?", (stored_name_always(inbox),))
        self._insert(inbox, ["", *folders], arrived=False)

    def has_begun(self, inbox: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM inbox_folders WHERE inbox = ? AND folder = ''", (stored_name_always(inbox),)
        ).fetchone()
        return row is not None

    def note(self, inbox: str, folders: Iterable[str]) -> None:
        """Record folders that a later scan found: those not known yet have arrived. Writes nothing if all are known."""
        known = self.known(inbox)
        self._insert(inbox, [folder for folder in folders if folder not in known], arrived=True)

    def _insert(self, inbox: str, folders: Iterable[str], *, arrived: bool) -> None:
        key = stored_name_always(inbox)
        self._connection.executemany(
            "INSERT OR IGNORE INTO inbox_folders (inbox, folder, arrived) VALUES (?, ?, ?)",
            ((key, stored_name_always(folder), arrived) for folder in folders),
        )

    def known(self, inbox: str) -> set[str]:
        rows = self._connection.execute(
            "SELECT folder FROM inbox_folders WHERE inbox = ?", (stored_name_always(inbox),)
        )
        return {name_from(row[0]) for row in rows}

    def forget(self, inbox: str, folders: Iterable[str]) -> None:
        """Forget removed folders with all subfolders: a later folder of the same name is a new one."""
        key = stored_name_always(inbox)
        for folder in folders:
            stored, raw = stored_name_always(folder), os.fsencode(folder)
            text = (f"{stored}/", f"{stored}0") if isinstance(stored, str) else (None, None)  # a BLOB is above all text
            self._connection.execute(
                "DELETE FROM inbox_folders WHERE inbox = ? AND (folder = ?"
                " OR folder > ? AND folder < ? OR folder > ? AND folder < ?)",
                (key, stored, *text, raw + b"/", raw + b"0"),
            )

    def note_archived(self, inbox: str, path: str) -> None:
        """Record that a source within these folders was archived."""
        folders = []
        while path := path.rpartition("/")[0]:
            folders.append(path)
        self._connection.executemany(
            "UPDATE inbox_folders SET archived = 1 WHERE inbox = ? AND folder = ? AND arrived AND NOT archived",
            ((stored_name_always(inbox), stored_name_always(folder)) for folder in folders),
        )

    def prunable(self, inbox: str) -> list[str]:
        """Folders that arrived, that a source was archived from, and that contain no known file."""
        rows = self._connection.execute(
            "SELECT folder FROM inbox_folders INDEXED BY inbox_folders_archived WHERE inbox = :inbox AND arrived AND archived"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE files.inbox = :inbox AND files.folder = inbox_folders.folder)",
            {"inbox": stored_name_always(inbox)},
        )
        return [name_from(row[0]) for row in rows]

    def still_prunable(self, inbox: str, folders: Iterable[str]) -> list[str]:
        """Those of the folders that arrived and that a source was archived from."""
        key = stored_name_always(inbox)
        return [
            folder
            for folder in folders
            if self._connection.execute(
                "SELECT 1 FROM inbox_folders WHERE inbox = ? AND folder = ? AND arrived AND archived",
                (key, stored_name_always(folder)),
            ).fetchone()
        ]
