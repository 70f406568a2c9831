"""Backups: a consistent copy while others write, refused where it could do harm, and one before each migration."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.errors import FileError, NameTakenError, StoreBusyError, StoreRefusedError
from lalald.filesystem.placeholders import note_path
from lalald.filesystem.renaming import METHODS, RenameMethod
from lalald.store import Store
from lalald.store.backup import back_up
from lalald.store.database import FILE_NAME, connect, connect_any_version
from lalald.store.schema.migrations import VERSION, bring_to
from tests.support.crash_points import countdown, watch_files
from tests.support.filled_store import FilledStore


def rows(path: Path, table: str = "jobs") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def test_a_copy_has_every_row_and_stands_alone(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with closing(connect_any_version(filled_store.state)) as source:
        made = back_up(source, tmp_path / "copy.sqlite3", 1000.0)
    assert made.version == VERSION
    assert made.jobs == len(rows(made.path)) > 0
    for table in ("jobs", "tasks", "tracks", "files", "charges"):
        assert rows(made.path, table) == rows(filled_store.state / FILE_NAME, table)
    assert made.size_bytes == made.path.stat().st_size
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == ["copy.sqlite3"]


def copies(folder: Path) -> list[str]:
    """The files of a copy in a folder, hidden ones too."""
    return [name for name in os.listdir(folder) if "copy" in name]


def test_what_a_killed_copy_left_is_no_part_of_the_next(tmp_path: Path) -> None:
    """Half a copy, and the journal of its transaction or its log, which SQLite would apply to a copy beside it."""
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    part = tmp_path / ".copy.sqlite3.part"
    part.write_bytes((filled_store.state / FILE_NAME).read_bytes()[:20480])
    for ending in ("journal", "wal", "shm"):
        Path(f"{part}-{ending}").write_bytes(b"half a journal")
    with closing(connect_any_version(filled_store.state)) as source:
        made = back_up(source, tmp_path / "copy.sqlite3", 1000.0)
    assert rows(made.path) == rows(filled_store.state / FILE_NAME)
    assert copies(tmp_path) == ["copy.sqlite3"]


def die_in_backup(state: Path, target: Path, last: int, refused: set[RenameMethod]) -> bool:
    """A backup in a process of its own that is killed at the N-th change in the target's folder. Whether there were that many.

    `refused`: ways to rename that the file system does not offer.
    """

    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), source, None, target)

    if (child := os.fork()) == 0:
        try:
            for method in refused:
                METHODS[method] = refuse
            with closing(connect_any_version(state)) as source:
                watch_files((str(target.parent),), countdown(last))
                back_up(source, target, 1000.0)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    "refused", [set(), {RenameMethod.RENAMEAT2}, {RenameMethod.RENAMEAT2, RenameMethod.LINK}], ids=len
)
def test_killed_anywhere_it_leaves_a_whole_copy_or_none_and_no_obstacle(
    tmp_path: Path, refused: set[RenameMethod]
) -> None:
    FilledStore(tmp_path).fill()
    state, earlier = tmp_path / "state", tmp_path / "copies" / "earlier-copy"
    earlier.parent.mkdir()
    with closing(connect_any_version(state)) as source:
        back_up(source, earlier, 1000.0)
    before, expected = earlier.read_bytes(), rows(earlier)
    target, moment = tmp_path / "copies" / "copy", 1
    while die_in_backup(state, target, moment, refused):
        was_made = target.exists() and target.stat().st_size > 0
        with closing(connect_any_version(state)) as source:
            try:
                back_up(source, target, 1000.0)
            except NameTakenError:
                assert was_made
        assert rows(target) == expected
        assert sorted(copies(target.parent)) == ["copy", "earlier-copy"]
        assert not os.path.lexists(note_path(str(target)))
        target.unlink()
        moment += 1
    assert moment > 4
    assert rows(target) == expected
    assert earlier.read_bytes() == before


def test_a_daemon_resumes_from_a_restored_copy(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with closing(connect_any_version(filled_store.state)) as source:
        made = back_up(source, tmp_path / "copy.sqlite3", 1000.0)
    before = rows(made.path)
    restored = tmp_path / "restored"
    restored.mkdir()
    made.path.rename(restored / FILE_NAME)
    with closing(Store.open(restored)) as store:
        assert store.connection.execute("SELECT * FROM jobs ORDER BY 1, 2").fetchall() == before


def test_a_copy_is_of_one_moment_while_another_connection_writes(tmp_path: Path) -> None:
    """Two rows that are always written together are equal in every copy."""
    with closing(connect(tmp_path)) as writer:
        writer.execute("CREATE TABLE pair (name TEXT PRIMARY KEY, number INTEGER, filling BLOB)")
        writer.execute("INSERT INTO pair VALUES ('one', 0, zeroblob(2000000)), ('two', 0, zeroblob(2000000))")
    stop = threading.Event()
    written = []

    def write() -> None:
        with closing(connect(tmp_path)) as writer:
            while not stop.is_set():
                writer.execute("UPDATE pair SET number = number + 1, filling = randomblob(2000000)")
                written.append(True)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            with closing(connect_any_version(tmp_path)) as source:
                made = back_up(source, tmp_path / f"copy{number}", 1000.0)
            (one,), (two,) = (row[1:2] for row in rows(made.path, "pair"))
            assert one == two
    finally:
        stop.set()
        thread.join()
    assert written


def test_a_file_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    FilledStore(tmp_path).fill()
    (tmp_path / "copy").write_text("precious")
    with (
        closing(connect_any_version(tmp_path / "state")) as source,
        pytest.raises(NameTakenError, match="exists already"),
    ):
        back_up(source, tmp_path / "copy", 1000.0)
    assert (tmp_path / "copy").read_text() == "precious"


def test_two_backups_to_one_name_give_one_whole_copy(tmp_path: Path) -> None:
    """The second begins while the first copies: only a finished copy ever has the name."""
    FilledStore(tmp_path).fill()
    target = tmp_path / "copy"
    with closing(connect_any_version(tmp_path / "state")) as second:

        class Source(sqlite3.Connection):
            def backup(self, copy: sqlite3.Connection, **options: Any) -> None:  # type: ignore[override] # its own options are passed on
                super().backup(copy, **options)
                back_up(second, target, 1000.0)

        with (
            closing(sqlite3.connect(tmp_path / "state" / FILE_NAME, factory=Source)) as first,
            pytest.raises((NameTakenError, FileError), match=r"exists|another backup|could not be made"),
        ):
            back_up(first, target, 1000.0)
    assert len(rows(target)) == len(rows(tmp_path / "state" / FILE_NAME)) > 0
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == ["copy"]


def test_what_a_killed_backup_left_is_no_obstacle(tmp_path: Path) -> None:
    FilledStore(tmp_path).fill()
    (tmp_path / ".copy.part").write_text("half a copy")
    with closing(connect_any_version(tmp_path / "state")) as source:
        assert back_up(source, tmp_path / "copy", 1000.0).jobs > 0
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == ["copy"]


def test_a_copy_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    FilledStore(tmp_path).fill()
    target = tmp_path / "backups"
    target.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(connect_any_version(tmp_path / "state")) as source:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            with pytest.raises(FileError, match="could not be made"):
                back_up(source, target / "copy", 1000.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(target) == []


def write_and_die(state: Path, copy: Path) -> None:
    """A daemon that was killed after a copy was made of its database: its log is not part of the database yet."""
    writer = connect(state)
    with closing(connect_any_version(state)) as source:
        back_up(source, copy, 1000.0)
    for number in range(400):
        values = (f"task {number}" * 20,)
        writer.execute(
            "INSERT INTO charges (task_id, job_id, task_number, path, mode, minutes, at) VALUES (?, 1, 1, 'p', 'm', 1, 1)",
            values,
        )
    os._exit(9)


def test_a_log_beside_a_restored_copy_is_named_and_the_copy_stays_whole(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    if (child := os.fork()) == 0:
        write_and_die(state, copy)
    os.waitpid(child, 0)
    assert (state / f"{FILE_NAME}-wal").stat().st_size
    shutil.copyfile(copy, state / FILE_NAME)
    with pytest.raises(StoreRefusedError, match="damaged") as raised:
        Store.open(state)
    assert f"remove {FILE_NAME}-wal and {FILE_NAME}-shm" in raised.value.hint
    assert (state / FILE_NAME).read_bytes() == copy.read_bytes()
    for name in ("wal", "shm"):
        (state / f"{FILE_NAME}-{name}").unlink()
    with closing(Store.open(state)) as store:
        assert store.restored.begin([], 2.0) == 1000.0


def old_database(folder: Path, version: int) -> Path:
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        bring_to(connection, 0, version)
        connection.execute("INSERT INTO daemon_state VALUES ('note', '1', 2.0)")
    return path


def test_a_migration_leaves_a_copy_of_the_database_before_it(tmp_path: Path) -> None:
    path = old_database(tmp_path, VERSION - 1)
    copy = path.with_name(f"{FILE_NAME}.version-{VERSION - 1}")
    copy.write_text("of an earlier upgrade")
    connect(tmp_path).close()
    with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(path)) as new:
        assert old.execute("PRAGMA user_version").fetchone() == (VERSION - 1,)
        assert new.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert old.execute("SELECT * FROM daemon_state WHERE name = 'note'").fetchall() == [("note", "1", 2.0)]
        assert old.execute("SELECT count(*) FROM daemon_state WHERE name = 'copied_at'").fetchone() == (1,)
        assert new.execute("SELECT count(*) FROM daemon_state WHERE name = 'copied_at'").fetchone() == (0,)
    connect(tmp_path).close()
    assert sorted(file for file in os.listdir(tmp_path) if "version" in file) == [copy.name]


def test_without_room_for_a_copy_nothing_is_migrated(tmp_path: Path) -> None:
    path = old_database(tmp_path, VERSION - 1)
    (tmp_path / f".{FILE_NAME}.version-{VERSION - 1}.new.part").mkdir()  # the copy cannot be created
    with pytest.raises(StoreBusyError, match="could not be copied before its migration"):
        connect(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION - 1,)
