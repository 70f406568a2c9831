"""Copies of the database: a consistent one while the daemon runs, and one before each migration."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lalald.errors import FileError, NameTakenError, StoreError
from lalald.filesystem.files import is_denied, permission_hint, sync_file, sync_folder
from lalald.filesystem.names import printable
from lalald.filesystem.placeholders import clear_reservation
from lalald.filesystem.renaming import rename_without_replacing

_HINT = "Check the room there; the database was only read, and nothing was left behind."
COPIED = "copied_at"  # in the saved state of a copy: when it was made


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database: its schema's version, its size, and how many jobs it knows."""

    path: Path
    version: int
    size_bytes: int
    jobs: int


def back_up(source: sqlite3.Connection, target: Path, now: float) -> Backup:
    """Copy the database to `target`, which must not exist, whatever other connections write meanwhile (SQLite's backup API).

    The copy appears under its name once it is whole, checked and on disk; it needs no other file beside it, and only its owner can
    read it. It says when it was made (`now`): a daemon that starts with it holds what may have been paid for since then.

    Raises NameTakenError, FileError, StoreError for a damaged database, and sqlite3.Error of the source.
    """
    unfinished = target.with_name(f".{target.name}.part")
    with _about_the_copy(target):
        clear_reservation(str(target))  # by a copy that was killed
        _refuse_taken(target, unfinished)
        _remove(unfinished)
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        version, jobs = _copy(source, unfinished, now)
        with _about_the_copy(target):
            size_bytes = _publish(descriptor, unfinished, target)
    finally:
        if _is_at(unfinished, descriptor):
            with suppress(OSError):
                _remove(unfinished)
        os.close(descriptor)
    return Backup(target, version, size_bytes, jobs)


@contextmanager
def _about_the_copy(target: Path) -> Iterator[None]:
    """Turn OSErrors within into FileErrors that name the folder: the copy's hidden name means nothing to people."""
    try:
        yield
    except OSError as error:
        hint = permission_hint(error) if is_denied(error) else _HINT
        raise FileError(_not_made(target, error.strerror or str(error)), hint=hint, path=str(target)) from error


def _not_made(target: Path, cause: str) -> str:
    return f"{printable(str(target.parent))}: the copy could not be made: {cause}."


def _refuse_taken(target: Path, unfinished: Path) -> None:
    """A copy that was killed between its two names has both: the second is removed. Raises NameTakenError."""
    if not os.path.lexists(target):
        return
    with suppress(FileNotFoundError):
        if os.path.samestat(target.lstat(), unfinished.lstat()):
            unfinished.unlink()
    raise NameTakenError(f"{printable(str(target))} exists already; it was left as it is.", hint="Choose another name.")


def _remove(unfinished: Path) -> None:
    """Remove a copy with its log and journal, and those first: SQLite would apply them to the next copy."""
    for ending in ("-journal", "-wal", "-shm", ""):
        Path(f"{unfinished}{ending}").unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: Path, now: float) -> tuple[int, int]:
    """Version and number of jobs of the copy."""
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        try:
            source.backup(
                copy
            )  # all pages in one read transaction: writers of a WAL database go on, and cannot restart it
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable from a read-only folder
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = copy.execute("PRAGMA user_version").fetchone()
            (jobs,) = copy.execute("SELECT count(*) FROM jobs").fetchone()
            _mark(copy, now)
        except sqlite3.OperationalError as error:
            raise FileError(_not_made(target, str(error)), hint=_HINT) from error
    if verdict != "ok":
        raise StoreError(
            f"the copy is damaged ({verdict}) and was removed; the database was only read.",
            hint="Check the database's disk, and restore an earlier backup if `lalald run` refuses it.",
        )
    return version, jobs


def _mark(copy: sqlite3.Connection, now: float) -> None:
    """A copy of a copy keeps the earlier time. The table of the saved state had another name in early versions."""
    for (table,) in copy.execute("SELECT name FROM sqlite_master WHERE name IN ('daemon_state', 'facts')").fetchall():
        copy.execute(f"INSERT OR IGNORE INTO {table} (name, json, at) VALUES (?, ?, ?)", (COPIED, json.dumps(now), now))


def _publish(descriptor: int, unfinished: Path, target: Path) -> int:
    """Make the copy durable under its name. Its size in bytes. Raises FileError if another backup to this name has taken its place."""
    sync_file(descriptor)
    size_bytes = os.fstat(descriptor).st_size
    if not _is_at(unfinished, descriptor):
        raise FileError(
            f"{printable(str(target))}: another backup to this name was started meanwhile.", hint="Use that one."
        )
    rename_without_replacing(str(unfinished), str(target))
    sync_folder(str(target.parent))
    return size_bytes


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at the path, not that of another backup to the same name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def copy_of_version(database: Path, version: int) -> Path:
    """Where the copy from before a migration is."""
    return database.with_name(f"{database.name}.version-{version}")


def newest_copy(database: Path, newest: int) -> Path | None:
    """Of the copies from before migrations, the newest that a lalald of this version can use."""
    return next(filter(Path.exists, (copy_of_version(database, version) for version in range(newest, 0, -1))), None)


def copy_before_migration(source: sqlite3.Connection, database: Path, version: int) -> Path:
    """Copy a database of an earlier version to `NAME.version-N` beside it, so that the earlier lalald can be installed again.

    An older copy of the same version is replaced. Raises as `back_up` does.
    """
    target = copy_of_version(database, version)
    fresh = target.with_name(f"{target.name}.new")
    fresh.unlink(missing_ok=True)
    back_up(source, fresh, time.time())
    fresh.replace(target)
    sync_folder(str(target.parent))
    return target
