"""Open the database: create or migrate it, refuse what is damaged, newer or not ours; translate SQLite's errors."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from lalald.errors import FileError, NoStoreError, StoreBusyError, StoreError, StoreRefusedError
from lalald.filesystem import disk_errors
from lalald.filesystem.files import mode_of
from lalald.store.backup import copy_before_migration, newest_copy
from lalald.store.schema.migrations import APPLICATION_ID, VERSION, bring_to

FILE_NAME = "lalald.sqlite3"
_HINT_FOR_OLDER = (
    "The daemon migrates it when it starts; a large one takes minutes. If it does so now, wait: its log says `store.migrated` in the"
    " end. Otherwise restart the daemon. `lalald backup FILE` works meanwhile."
)


def connect(state_dir: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database of a state folder, migrated to this version. Raises StoreError if it is not ours, newer, or damaged."""
    path = state_dir / FILE_NAME
    if read_only and not is_in(state_dir):
        raise NoStoreError(
            f"{state_dir} holds no database yet.",
            hint="lalald has not run with this state folder yet: start it with `lalald run`.",
        )
    try:
        return _reader(path) if read_only else _writer(path)
    except sqlite3.Error as error:
        raise translated(error, path, state_dir) from error
    except OSError as error:
        raise _by_cause(error.filename or path, error) from error


def connect_any_version(state_dir: Path) -> sqlite3.Connection:
    """Read the database of a state folder as it is, whatever its version up to this one. Raises StoreError."""
    path = state_dir / FILE_NAME
    if not is_in(state_dir):
        raise NoStoreError(f"{state_dir} holds no database yet.", hint="lalald has not run with this state folder yet.")
    try:
        with _closed_on_error(_open_read_only(path)) as connection:
            _version(connection, path)
    except sqlite3.Error as error:
        raise translated(error, path, state_dir) from error
    return connection


def is_in(state_dir: Path) -> bool:
    """Whether a state folder holds a database. Raises StoreError if that cannot be known."""
    try:
        return mode_of(state_dir / FILE_NAME) is not None
    except PermissionError as error:
        raise StoreError(
            f"{state_dir} may not be read by this user.", hint="Run this as the daemon's user, or as root."
        ) from error
    except OSError as error:
        raise StoreError(f"{state_dir} cannot be read: {error.strerror}.", hint=_FAILING) from error


def version_to_migrate(state_dir: Path) -> int | None:
    """The version of a database that `connect` migrates first. None if it migrates nothing, or says why it cannot."""
    path = state_dir / FILE_NAME
    try:
        if not is_in(state_dir):
            return None
        with closing(_connect_to_look(path)) as looking:
            version = _version(looking, path)
    except (sqlite3.Error, OSError, StoreError):
        return None
    return version if 0 < version < VERSION else None


def _connect_to_look(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _open_read_only(path: Path) -> sqlite3.Connection:
    # mode=rw without creating: a reader of a WAL database needs its shared memory
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
    with _closed_on_error(connection):
        connection.execute("PRAGMA query_only = 1")
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Python 3.13 warns of a connection that is left open."""
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _reader(path: Path) -> sqlite3.Connection:
    with _closed_on_error(_open_read_only(path)) as connection:
        version = _version(connection, path)
        if version != VERSION:
            raise StoreError(
                f"{path} has version {version}; this lalald reads version {VERSION}.", hint=_HINT_FOR_OLDER
            )
    return connection


def _writer(path: Path) -> sqlite3.Connection:
    _make_private(path)
    # Checked by a read-only connection: a writable one would merge the log of a refused database into it when it closes.
    with closing(_connect_to_look(path)) as looking:
        version = _version(looking, path)
        if version:
            _check(looking, path)
    opened = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    with _closed_on_error(opened) as connection:
        if 0 < version < VERSION:
            _copy_first(connection, path, version)
        _migrate(connection, version)
    return connection


def _copy_first(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Raises StoreBusyError where there is no room for a copy: nothing is migrated then."""
    try:
        copy_before_migration(connection, path, version)
    except FileError as error:
        raise StoreBusyError(
            f"{path} is of version {version}, and could not be copied before its migration to {VERSION}: {error}",
            hint=f"Free {path.stat().st_size // 1_000_000 + 1} MB in {path.parent}. Nothing was changed.",
        ) from error


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if mode_of(path) is None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with suppress(PermissionError):  # the owner of a state folder protects it
        path.parent.chmod(0o700)
        path.chmod(0o600)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and tables:
        raise StoreRefusedError(
            f"{path} is the database of another program; it was left as it is.", hint="Choose another `state_dir`."
        )
    if version > VERSION:
        raise StoreRefusedError(
            f"{path} was written by a newer lalald (version {version}, this one knows {VERSION}); it was left as it is.",
            hint=_hint_for_newer(path),
        )
    return int(version)


def _hint_for_newer(path: Path) -> str:
    """Never another state folder: an empty one knows nothing of what is paid."""
    again = "Install that version again"
    if copy := newest_copy(path, VERSION):
        return (
            f"{again}; or go back: while lalald is stopped, remove {FILE_NAME}-wal and {FILE_NAME}-shm there, and put"
            f" {copy.name}, the copy from before the upgrade, in the place of {FILE_NAME}."
        )
    return f"{again}, or restore a backup of the state folder that this one has made."


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if (code := _ERROR_CODE.search(verdict)) and int(code[1]) & 0xFF == sqlite3.SQLITE_IOERR:
        raise StoreBusyError(f"{path} cannot be read: {verdict}.", hint=_FAILING)
    if verdict != "ok":
        raise StoreRefusedError(f"{path} is damaged ({verdict}); it was left as it is.", hint=_hint_for_damage(path))


def _hint_for_damage(path: Path | str) -> str:
    """SQLite applies a log that lies beside a restored copy to it: they do not belong together."""
    if os.path.exists(f"{path}-wal"):
        return (
            f"Restore a backup of the state folder. If you have just restored one: remove {FILE_NAME}-wal and {FILE_NAME}-shm, which"
            " belong to the former database, and start again."
        )
    return "Restore a backup of the state folder, or move it away: lalald then starts with an empty database."


_ERROR_CODE = re.compile(r"error code=(\d+)")
_FAILING = "Its disk or server fails; see the system's log."


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # money hangs on these rows
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -4096")
    bring_to(connection, version, VERSION)


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether the disk failed (rather than being full)."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR")


def folder_of(connection: sqlite3.Connection) -> Path | None:
    """The folder of its database; no disk access."""
    try:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
    except sqlite3.Error:
        return None
    return Path(file).parent if file else None


def translated(error: sqlite3.Error, path: Path | str, state_dir: Path | None = None) -> StoreError:
    """Convert SQLite's error to one with a plain message.

    SQLite reports a full disk, a missing permission and a failing disk alike. With `state_dir` the cause is determined by
    reserving room for a small file there.
    """
    failure = _by_code(error, path)
    if state_dir is None or isinstance(failure, StoreRefusedError) or getattr(failure, "locked", False):
        return failure
    cause = disk_errors.write_error(state_dir)
    return failure if cause is None else _by_cause(path, cause)


def _by_cause(path: Path | str, cause: OSError) -> StoreError:
    kind = StoreBusyError if disk_errors.is_temporary(cause) else StoreError
    return kind(f"{path} cannot be written: {cause.strerror}.", hint=disk_errors.hint_for(cause))


def _by_code(error: sqlite3.Error, path: Path | str) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreRefusedError(
            f"{path} is damaged or no database ({error}); it was left as it is.", hint=_hint_for_damage(path)
        )
    if name.startswith("SQLITE_FULL"):
        return StoreBusyError(
            f"{path} cannot be written: {error}.", hint=disk_errors.hint_for(OSError(errno.ENOSPC, ""))
        )
    if is_of_the_disk(error):
        return StoreBusyError(f"{path} cannot be used: {error}.", hint=_FAILING)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        hint = "Another program uses it; close that program."
        return StoreBusyError(f"{path} cannot be written: {error}.", hint=hint, locked=True)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"{path} cannot be opened for writing by uid {os.getuid()}: {error}.", hint="Check its owner and mode."
        )
    return StoreError(f"{path}: {error}.")
