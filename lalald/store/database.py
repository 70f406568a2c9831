"""Opening the database: its schema, its versions, and what is refused."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from lalald.errors import FileError, NoStoreError, StoreBusyError, StoreError, StoreRefusedError
from lalald.filesystem import disk_errors
from lalald.store.backup import copy_before_migration

FILE_NAME = "lalald.sqlite3"
APPLICATION_ID = 0x6C616C64  # "lald": a database of another program is told apart by it

_FIRST = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL DEFAULT 0,
    inbox TEXT NOT NULL,
    path TEXT NOT NULL,          -- within the inbox; a BLOB where the name is not UTF-8
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    rule TEXT NOT NULL,
    handling INTEGER NOT NULL REFERENCES handlings (id),
    stage TEXT NOT NULL,         -- the work still owed: upload split check download delete archive done
    state TEXT NOT NULL,         -- waiting held failed cancelled done
    hold TEXT,
    hold_reason TEXT,
    held_at REAL,
    released INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    warning TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL DEFAULT 0,
    location TEXT,               -- where the file is now, if not in its place
    filed INTEGER NOT NULL DEFAULT 0,
    source_id TEXT,
    duration REAL,
    expires_at REAL,
    sha256 TEXT,
    recipe TEXT NOT NULL,
    twin_id INTEGER,
    redo INTEGER NOT NULL DEFAULT 0,
    request TEXT,                -- left by the command line: cancel retry release
    progress REAL,               -- of the transfer under way, 0 to 1
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX jobs_due ON jobs (stage, due_at, id) WHERE state = 'waiting';
CREATE INDEX jobs_oldest ON jobs (stage, id, due_at) WHERE state = 'waiting';
CREATE INDEX jobs_held ON jobs (hold, id) WHERE state = 'held';
CREATE INDEX jobs_ended ON jobs (state, id) WHERE state IN ('failed', 'cancelled');
CREATE INDEX jobs_unfiled ON jobs (id) WHERE state = 'failed' AND filed = 0;
CREATE INDEX jobs_returnable ON jobs (size) WHERE location IS NOT NULL AND state IN ('failed', 'cancelled');
CREATE INDEX jobs_request ON jobs (id) WHERE request IS NOT NULL;
CREATE INDEX jobs_moving ON jobs (stage, id) WHERE progress IS NOT NULL;
CREATE INDEX jobs_path ON jobs (inbox, path);
CREATE INDEX jobs_twins ON jobs (size, recipe, state, sha256);
CREATE INDEX jobs_waiting_for_a_twin ON jobs (twin_id) WHERE twin_id IS NOT NULL;

CREATE TABLE handlings (id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE);

CREATE TABLE tasks (
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    name TEXT,
    mode TEXT NOT NULL,
    presets TEXT NOT NULL,
    stage TEXT NOT NULL,         -- split check download done
    idempotency_key TEXT,
    asked_at REAL,               -- from here on a charge may have begun
    task_id TEXT,
    started_at REAL,
    minutes REAL,
    progress INTEGER,
    moved_at REAL,
    due_at REAL,
    links_asked INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    waits_for TEXT,              -- a hold of this task alone: the job's other tasks go on without it
    waits_reason TEXT,
    PRIMARY KEY (job_id, number)
) WITHOUT ROWID;
CREATE INDEX tasks_running ON tasks (due_at) WHERE stage = 'check' AND error IS NULL;

CREATE TABLE tracks (
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    task_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type TEXT NOT NULL,
    label TEXT NOT NULL,
    url TEXT NOT NULL,
    name TEXT,
    size INTEGER,
    wanted INTEGER NOT NULL,
    path TEXT,                   -- within the outbox; reserved before the file is put there
    sha256 TEXT,
    delivered INTEGER NOT NULL,
    origin TEXT,                 -- an earlier job's file with the same content
    PRIMARY KEY (job_id, task_number, position)
) WITHOUT ROWID;
CREATE INDEX tracks_reserved ON tracks (job_id) WHERE path IS NOT NULL AND NOT delivered;

CREATE TABLE charges (
    task_id TEXT PRIMARY KEY,
    job_id INTEGER NOT NULL,
    task_number INTEGER NOT NULL,
    path TEXT NOT NULL,
    mode TEXT NOT NULL,
    minutes REAL NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX charges_at ON charges (at, minutes);

CREATE TABLE files (
    inbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    job_id INTEGER,
    note TEXT,                   -- why it was left alone
    PRIMARY KEY (inbox, folder, name)
) WITHOUT ROWID;

CREATE TABLE inboxes (
    path TEXT PRIMARY KEY,
    first_seen_at REAL,
    marker TEXT,
    available INTEGER,
    reason TEXT,
    watch TEXT,
    watch_reason TEXT,
    updated_at REAL
);

CREATE TABLE requests (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, argument TEXT, at REAL NOT NULL);

CREATE TABLE facts (name TEXT PRIMARY KEY, json TEXT NOT NULL, at REAL NOT NULL);
"""

_OUTBOXES = """
CREATE TABLE outboxes (
    path TEXT PRIMARY KEY,
    marker TEXT,                 -- what the folder is known by
    reason TEXT,                 -- why it is away; NULL while it is there
    updated_at REAL NOT NULL
);
"""

_FOLDERS = """
ALTER TABLE outboxes RENAME TO folders;  -- done and failed folders outside their inbox are known by markers, too
"""

_MINUTES = """
ALTER TABLE jobs ADD COLUMN minutes REAL NOT NULL DEFAULT 0;  -- all of the job's charges, those of tasks that were started anew too
UPDATE jobs SET minutes = charged.minutes
    FROM (SELECT job_id, sum(minutes) AS minutes FROM charges GROUP BY job_id) AS charged WHERE charged.job_id = jobs.id;
"""

_UNFILED = """
DROP INDEX jobs_unfiled;  -- the longest due comes first: one that is tried in vain again and again keeps no other from its turn
CREATE INDEX jobs_unfiled ON jobs (due_at, id) WHERE state = 'failed' AND filed = 0;
CREATE INDEX jobs_old ON jobs (size, mtime_ns) WHERE state = 'held' AND hold = 'first_scan';
"""

# What a person had agreed to by a release was one flag without a price; from here on it is told apart, and bound to the price.
# A flag of old becomes what its command said: past per_file and per_day, and paid again, for the price of the job's tasks.
_CONSENTS = """
ALTER TABLE jobs ADD COLUMN hold_source TEXT;        -- what a `minutes` hold is about: per_file per_day left service price
ALTER TABLE jobs ADD COLUMN per_file_waived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN per_day_waived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN duplicate_accepted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN approved_minutes REAL;   -- what may be charged in all by the prices that were agreed to
ALTER TABLE jobs ADD COLUMN request_seen TEXT;       -- JSON: what the person who left the request was shown
ALTER TABLE tasks ADD COLUMN waits_source TEXT;
UPDATE jobs SET hold_source = CASE
    WHEN hold_reason LIKE '%minutes.per_file allows%' THEN 'per_file'
    WHEN hold_reason LIKE '%minutes.per_day allows%' THEN 'per_day'
    WHEN hold_reason LIKE '%the service says%' THEN 'service'
    ELSE 'left' END WHERE hold = 'minutes';
UPDATE tasks SET waits_source = CASE
    WHEN waits_reason LIKE '%minutes.per_file allows%' THEN 'per_file'
    WHEN waits_reason LIKE '%minutes.per_day allows%' THEN 'per_day'
    WHEN waits_reason LIKE '%the service says%' THEN 'service'
    ELSE 'left' END WHERE waits_for = 'minutes';
UPDATE jobs SET per_file_waived = 1, per_day_waived = 1, duplicate_accepted = 1, approved_minutes = minutes + (
    SELECT total(jobs.duration / 60.0 * CASE WHEN tasks.mode = 'multistem'
        THEN max(1, coalesce(json_array_length(tasks.presets, '$.stem_list'), 1)) ELSE 1 END)
    FROM tasks WHERE tasks.job_id = jobs.id AND tasks.task_id IS NULL AND tasks.error IS NULL)
    WHERE released = 1 AND duration IS NOT NULL;
UPDATE jobs SET per_file_waived = 1, per_day_waived = 1, duplicate_accepted = 1 WHERE released = 1 AND duration IS NULL;
ALTER TABLE jobs DROP COLUMN released;
"""

_LENGTHS = """
ALTER TABLE jobs ADD COLUMN least_duration REAL;     -- seconds; of files that do not state their length
ALTER TABLE jobs ADD COLUMN upload_waived INTEGER NOT NULL DEFAULT 0;
-- Earlier versions guessed durations: what was not uploaded is measured again.
UPDATE jobs SET duration = NULL WHERE stage = 'upload' AND source_id IS NULL;
"""

_COMPLETENESS = """
ALTER TABLE tasks ADD COLUMN failure TEXT;           -- refused failed cancelled expired incomplete dead_links: the kind of `error`
ALTER TABLE tasks ADD COLUMN incomplete_since REAL;  -- when it was first known to have succeeded without all of its tracks
ALTER TABLE tracks ADD COLUMN declared_size INTEGER; -- what the service said instead of `size`, where what arrived has another
UPDATE tasks SET failure = CASE
    WHEN stage = 'download' THEN 'dead_links'
    WHEN error = 'it was cancelled' OR error LIKE 'the task was cancelled on the service%' THEN 'cancelled'
    WHEN stage = 'split' THEN 'refused'
    WHEN error LIKE 'expired:%' THEN 'expired'
    ELSE 'failed' END WHERE error IS NOT NULL;
UPDATE tasks SET error = replace(error, '`lalald retry', '`lalald redo') WHERE failure = 'expired';
UPDATE jobs SET error = replace(error, '`lalald retry', '`lalald redo')
    WHERE state = 'failed' AND id IN (SELECT job_id FROM tasks WHERE failure = 'expired');
"""

# From here on a task says which earlier job paid for its results, and a job when its source was deleted on the service.
_PAID_BY = """
ALTER TABLE tasks ADD COLUMN paid_by INTEGER;
ALTER TABLE jobs ADD COLUMN source_deleted_at REAL;
CREATE INDEX tasks_paid_by ON tasks (paid_by) WHERE paid_by IS NOT NULL;
UPDATE tasks SET paid_by = (SELECT twin_id FROM jobs WHERE jobs.id = tasks.job_id)
    WHERE task_id IS NULL AND asked_at IS NULL AND EXISTS (
        SELECT 1 FROM tracks WHERE tracks.job_id = tasks.job_id AND tracks.task_number = tasks.number AND tracks.origin IS NOT NULL);
"""

_NO_FIGURES = """
ALTER TABLE jobs ADD COLUMN uploads_without_figure INTEGER NOT NULL DEFAULT 0;  -- the service gave no length that can be
"""

_INBOX_FOLDERS = """
CREATE TABLE inbox_folders (     -- of inboxes with `prune: true`
    inbox TEXT NOT NULL,
    folder TEXT NOT NULL,        -- within the inbox; a BLOB where the name is not UTF-8
    arrived INTEGER NOT NULL,    -- after the first scan
    archived INTEGER NOT NULL DEFAULT 0,  -- whether a source from it was archived
    PRIMARY KEY (inbox, folder)
) WITHOUT ROWID;
CREATE INDEX inbox_folders_archived ON inbox_folders (inbox, folder) WHERE arrived AND archived;
"""

_BREAKERS = """
ALTER TABLE jobs ADD COLUMN setbacks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN unusable_answers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN download_host TEXT NOT NULL DEFAULT '';  -- of a job that owes a download
ALTER TABLE tasks ADD COLUMN resubmitted INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET download_host = coalesce((
    SELECT lower(substr(rest, 1, instr(rest || '/', '/') - 1))
    FROM (SELECT substr(url, instr(url, '://') + 3) AS rest FROM tracks JOIN tasks
          ON tasks.job_id = tracks.job_id AND tasks.number = tracks.task_number
          WHERE tracks.job_id = jobs.id AND wanted AND NOT delivered AND origin IS NULL AND url LIKE '%://%'
          AND tasks.stage = 'download' AND tasks.error IS NULL ORDER BY task_number, position LIMIT 1)), '')
    WHERE stage = 'download';
DROP INDEX jobs_oldest;  -- those that were never tried come first, and a dead host keeps no other job from its turn
CREATE INDEX jobs_oldest ON jobs (stage, attempts, id, due_at, download_host) WHERE state = 'waiting';
CREATE INDEX jobs_smallest ON jobs (stage, attempts, size, id, due_at, download_host) WHERE state = 'waiting';
"""

# Jobs are trimmed, charges are not: from here on a charge says which rule it was for.
_CHARGED_RULES = """
ALTER TABLE charges ADD COLUMN inbox TEXT;           -- a BLOB where the name is not UTF-8
ALTER TABLE charges ADD COLUMN rule TEXT;
UPDATE charges SET (inbox, rule) = (SELECT jobs.inbox, jobs.rule FROM jobs WHERE jobs.id = charges.job_id);
"""

_SET_ASIDE_FILES = """
CREATE TABLE set_aside_files (  -- their inspection met an exception
    inbox TEXT NOT NULL,
    path TEXT NOT NULL,          -- within the inbox; a BLOB where the name is not UTF-8
    error TEXT NOT NULL,
    since REAL NOT NULL,
    is_old INTEGER NOT NULL,     -- it was there before the first scan
    PRIMARY KEY (inbox, path)
) WITHOUT ROWID;
"""

_FAILURE_KINDS = """
ALTER TABLE jobs ADD COLUMN failure_kind TEXT;       -- of a failed job; NULL where its tasks failed, or before this version
ALTER TABLE tasks ADD COLUMN error_code TEXT;        -- of a refusal or failure: the service's code, else http_ and the status
UPDATE jobs SET failure_kind = 'internal' WHERE state = 'failed' AND error LIKE 'internal: %';
"""

# Why a file has no job was known by the words of its note: reworded, an old file would have been taken, and paid for.
_SKIP_REASONS = """
ALTER TABLE files ADD COLUMN skip_reason TEXT;       -- existing changed no_rule; NULL for a file with a job
ALTER TABLE files ADD COLUMN found_at_first_scan INTEGER NOT NULL DEFAULT 0;
UPDATE files SET skip_reason = CASE
    WHEN note = 'existing: skip: it lay in the inbox before lalald first looked there' THEN 'existing'
    WHEN note = 'changed: skip: its content changed after it was taken' THEN 'changed'
    ELSE 'no_rule' END,
    found_at_first_scan = ifnull(note, '') LIKE '%it lay in the inbox before lalald first looked there'
    WHERE job_id IS NULL;
"""

_TIMES = """
ALTER TABLE jobs ADD COLUMN transfer_done INTEGER;   -- bytes of the transfers under way, while progress is set
ALTER TABLE jobs ADD COLUMN transfer_total INTEGER;  -- bytes
ALTER TABLE jobs ADD COLUMN transfer_rate REAL;      -- bytes per second
ALTER TABLE jobs ADD COLUMN uploaded_at REAL;
ALTER TABLE jobs ADD COLUMN delivered_at REAL;
ALTER TABLE jobs ADD COLUMN finished_at REAL;
UPDATE jobs SET finished_at = updated_at WHERE state = 'done';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state = 'done';
"""

# American spelling, as in the service's API.
_LICENSE_HOLDS = """
UPDATE jobs SET hold = 'license' WHERE hold = 'licence';
UPDATE tasks SET waits_for = 'license' WHERE waits_for = 'licence';
"""

# Both were known by their words: that a person cancelled a task, and why a failed job's file stayed where it was.
_CODES = """
ALTER TABLE tasks ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET cancelled = 1 WHERE error = 'it was cancelled';
ALTER TABLE jobs ADD COLUMN archive_error TEXT;
UPDATE jobs SET archive_error = substr(warning, instr(warning, 'the file stays where it is: ') + 28),
    warning = nullif(rtrim(substr(warning, 1, instr(warning, 'the file stays where it is: ') - 1), '; '), '')
    WHERE warning LIKE '%the file stays where it is: %';
"""

_UNREADABLE_JOBS = """
CREATE TABLE unreadable_jobs (  -- a value in one of their rows means nothing to this program
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    state TEXT NOT NULL,         -- of the job, which has `unreadable` meanwhile
    error TEXT NOT NULL
);
"""

# What the page keeps: links that log in once, sessions that were logged out, uploads that are not complete, and what its buttons asked for.
_PAGE = """
CREATE TABLE login_links (token_sha256 TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE ended_sessions (key TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    inbox TEXT NOT NULL,         -- a BLOB where the name is not UTF-8, as is the path within it
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    offset INTEGER NOT NULL,     -- so many bytes are durable
    inode INTEGER NOT NULL,      -- of the part
    fingerprint TEXT NOT NULL,   -- by which the client knows its file again
    created_at REAL NOT NULL,
    touched_at REAL NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX uploads_path ON uploads (inbox, path);
CREATE TABLE asked_actions (     -- a key acts once; kept for a day
    key TEXT NOT NULL,
    place INTEGER NOT NULL,
    job_id INTEGER NOT NULL,
    action TEXT NOT NULL,        -- release retry redo
    body_sha256 TEXT NOT NULL,
    is_accepted INTEGER NOT NULL,
    code TEXT NOT NULL,          -- asked, until the daemon has acted; then done, or why not
    message TEXT NOT NULL,
    new_job INTEGER,             -- of a redo
    asked_at REAL NOT NULL,
    acted_at REAL,
    PRIMARY KEY (key, place)
) WITHOUT ROWID;
CREATE INDEX asked_actions_acted ON asked_actions (acted_at) WHERE acted_at IS NOT NULL;
ALTER TABLE requests ADD COLUMN seen TEXT;  -- JSON: what the person who left it was shown, as in jobs.request_seen
"""

# The n-th brings version n to n + 1; none is ever edited once released.
MIGRATIONS: tuple[str, ...] = (
    _FIRST, _OUTBOXES, _FOLDERS, _MINUTES, _UNFILED, _CONSENTS, _LENGTHS, _COMPLETENESS, _PAID_BY,
    _NO_FIGURES, _INBOX_FOLDERS, _BREAKERS, _CHARGED_RULES, _SET_ASIDE_FILES, _FAILURE_KINDS, _SKIP_REASONS,
    _TIMES, _LICENSE_HOLDS, _CODES, _UNREADABLE_JOBS, _PAGE,
)  # fmt: skip
VERSION = len(MIGRATIONS)


def connect(state_dir: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """The database of a state folder, brought to this version. Raises StoreError for what is not ours, newer, or damaged."""
    path = state_dir / FILE_NAME
    if read_only and not path.exists():
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
    if not path.exists():
        raise NoStoreError(f"{state_dir} holds no database yet.", hint="lalald has not run with this state folder yet.")
    try:
        connection = _open_read_only(path)
        _version(connection, path)
    except sqlite3.Error as error:
        raise translated(error, path, state_dir) from error
    return connection


def _open_read_only(path: Path) -> sqlite3.Connection:
    # mode=rw without creating: a reader of a WAL database needs its shared memory
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
    connection.execute("PRAGMA query_only = 1")
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    connection = _open_read_only(path)
    version = _version(connection, path)
    if version != VERSION:
        raise StoreError(f"{path} has version {version}, this lalald reads {VERSION}.", hint="Start the daemon once.")
    return connection


def _writer(path: Path) -> sqlite3.Connection:
    _make_private(path)
    # Looked at by a connection that cannot write: another would move the log of a refused database into it as it closes.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as looking:
        version = _version(looking, path)
        if version:
            _check(looking, path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
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
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with suppress(PermissionError):  # a state folder that belongs to somebody else is theirs to protect
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
            hint="Install that version again, or choose another `state_dir`.",
        )
    return int(version)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if (code := _ERROR_CODE.search(verdict)) and int(code[1]) & 0xFF == sqlite3.SQLITE_IOERR:
        raise StoreBusyError(f"{path} cannot be read: {verdict}.", hint=_FAILING)
    if verdict != "ok":
        raise StoreRefusedError(f"{path} is damaged ({verdict}); it was left as it is.", hint=_DAMAGED)


_DAMAGED = (
    "Restore a backup of the state folder, or move it away: lalald then starts anew and holds what lies in the inboxes."
)


_ERROR_CODE = re.compile(r"error code=(\d+)")
_FAILING = "Its disk or server fails; the system's log knows more."


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # money hangs on these rows
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -4096")
    bring_to(connection, version, VERSION)


def bring_to(connection: sqlite3.Connection, version: int, wanted: int) -> None:
    """Step by step from one version to another, each in a transaction of its own."""
    for number, script in enumerate(MIGRATIONS[version:wanted], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{script}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {number};COMMIT;"
        )


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether the disk failed, and is not just full."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR")


def folder_of(connection: sqlite3.Connection) -> Path | None:
    """The folder of its database; asks no disk."""
    try:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
    except sqlite3.Error:
        return None
    return Path(file).parent if file else None


def translated(error: sqlite3.Error, path: Path | str, state_dir: Path | None = None) -> StoreError:
    """SQLite's error in plain words.

    SQLite reports a full disk, a missing right and a failing disk alike. With `state_dir` the cause is looked for: room for a small
    file is reserved there.
    """
    failure = _by_code(error, path)
    if state_dir is None or isinstance(failure, StoreRefusedError) or getattr(failure, "locked", False):
        return failure
    cause = disk_errors.write_error(state_dir)
    return failure if cause is None else _by_cause(path, cause)


def _by_cause(path: Path | str, cause: OSError) -> StoreError:
    kind = StoreBusyError if disk_errors.passes(cause) else StoreError
    return kind(f"{path} cannot be written: {cause.strerror}.", hint=disk_errors.hint_for(cause))


def _by_code(error: sqlite3.Error, path: Path | str) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreRefusedError(f"{path} is damaged or no database ({error}); it was left as it is.", hint=_DAMAGED)
    if name.startswith("SQLITE_FULL"):
        return StoreBusyError(
            f"{path} cannot be written: {error}.", hint=disk_errors.hint_for(OSError(errno.ENOSPC, ""))
        )
    if is_of_the_disk(error):
        return StoreBusyError(f"{path} cannot be used: {error}.", hint=_FAILING)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        hint = "Another program has it open; let it end."
        return StoreBusyError(f"{path} cannot be written: {error}.", hint=hint, locked=True)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"{path} cannot be opened for writing by uid {os.getuid()}: {error}.", hint="Check its owner and mode."
        )
    return StoreError(f"{path}: {error}.")
