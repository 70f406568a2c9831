"""The database's schema, as the steps from each version to the next."""

from __future__ import annotations

import sqlite3

from lalald.store.schema.early_migrations import EARLY_MIGRATIONS
from lalald.store.schema.initial_schema import INITIAL_SCHEMA

APPLICATION_ID = 0x6C616C64  # "lald": a database of another program is told apart by it

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

# Columns and tables have the names that the program uses for the same things.
_NAMES = """
ALTER TABLE handlings RENAME TO job_settings;
ALTER TABLE facts RENAME TO daemon_state;
ALTER TABLE jobs RENAME COLUMN handling TO settings;
ALTER TABLE jobs RENAME COLUMN location TO moved_to;
ALTER TABLE jobs RENAME COLUMN filed TO archived;
ALTER TABLE jobs RENAME COLUMN recipe TO task_fingerprint;
ALTER TABLE jobs RENAME COLUMN twin_id TO duplicate_of;
ALTER TABLE jobs RENAME COLUMN redo TO ignore_duplicates;
ALTER TABLE jobs RENAME COLUMN request_seen TO request_terms;
ALTER TABLE tasks RENAME COLUMN asked_at TO requested_at;
ALTER TABLE tasks RENAME COLUMN moved_at TO progressed_at;
ALTER TABLE tasks RENAME COLUMN links_asked TO link_renewals;
ALTER TABLE tasks RENAME COLUMN waits_for TO hold;
ALTER TABLE tasks RENAME COLUMN waits_reason TO hold_reason;
ALTER TABLE tasks RENAME COLUMN waits_source TO hold_source;
ALTER TABLE tracks RENAME COLUMN origin TO copy_from;
DROP INDEX jobs_unfiled;
CREATE INDEX jobs_unarchived ON jobs (due_at, id) WHERE state = 'failed' AND archived = 0;
DROP INDEX jobs_twins;
CREATE INDEX jobs_same_content ON jobs (size, task_fingerprint, state, sha256);
DROP INDEX jobs_waiting_for_a_twin;
CREATE INDEX jobs_duplicate_of ON jobs (duplicate_of) WHERE duplicate_of IS NOT NULL;
UPDATE jobs SET request_terms = json_set(json_remove(request_terms, '$.recipe'),
        '$.task_fingerprint', json_extract(request_terms, '$.recipe'))
    WHERE CASE WHEN json_valid(request_terms) THEN json_type(request_terms, '$.recipe') IS NOT NULL END;
"""

# Facts for notifications and the page's log; empty while there is neither.
_EVENTS = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),  -- the same in every delivery
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,       -- what it is about; a BLOB where a path in it is not UTF-8
    cause TEXT NOT NULL,         -- a code: events of one cause are told together
    at REAL NOT NULL,
    count INTEGER NOT NULL,
    is_problem INTEGER NOT NULL,
    data TEXT NOT NULL           -- JSON
);
CREATE INDEX events_subject ON events (subject, id);
CREATE TABLE pending_events (    -- become events at due_at, unless they are over before
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    count INTEGER NOT NULL,
    is_problem INTEGER NOT NULL,
    data TEXT NOT NULL,
    due_at REAL NOT NULL,
    PRIMARY KEY (subject, cause)
) WITHOUT ROWID;
CREATE TABLE reported_holds (    -- by which cause a job was last reported as held, within its stage
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    cause TEXT NOT NULL
);
CREATE TABLE event_readers (
    name TEXT PRIMARY KEY,       -- of an entry of `notify`; empty for the page
    cursor INTEGER NOT NULL,     -- every event up to this one is dealt with
    batch_upto INTEGER,          -- messages about events up to this one are being sent
    batch_sent TEXT,             -- JSON: causes of which the message is dealt with
    trying INTEGER,              -- the event that a command was started for
    tries INTEGER NOT NULL DEFAULT 0,
    failing_since REAL,
    trouble TEXT,
    dropped INTEGER NOT NULL DEFAULT 0,
    dropped_at REAL,
    dropped_reason TEXT,
    sent_at REAL
);
CREATE INDEX tasks_with_results ON tasks (started_at)
    WHERE task_id IS NOT NULL AND error IS NULL AND stage IN ('check', 'download');
"""

_TAGS = """
ALTER TABLE tracks ADD COLUMN sent_sha256 TEXT;      -- of the track as the service sent it, before it got tags
ALTER TABLE tracks ADD COLUMN tag_notes TEXT NOT NULL DEFAULT ''; -- codes, a space between them
"""

# A source that the service does not know is uploaded once more: it may have gone up under the key of another account.
_UPLOADS_UNKNOWN = """
ALTER TABLE jobs ADD COLUMN uploads_unknown INTEGER NOT NULL DEFAULT 0;
"""

# What a folder's hold is about was known by the words of its reason.
_HELD_PATHS = """
ALTER TABLE jobs ADD COLUMN held_path TEXT;          -- a BLOB where it is not UTF-8; of a disk, mount or permission hold
ALTER TABLE tasks ADD COLUMN held_path TEXT;
UPDATE jobs SET held_path = (
    SELECT folder FROM (
        SELECT jobs.inbox AS folder
        UNION ALL SELECT json_extract(json, '$.outbox') FROM job_settings WHERE id = jobs.settings AND json_valid(json)
        UNION ALL SELECT json_extract(json, '$.done_dir') FROM job_settings WHERE id = jobs.settings AND json_valid(json)
        UNION ALL SELECT json_extract(json, '$.failed_dir') FROM job_settings WHERE id = jobs.settings AND json_valid(json)
        UNION ALL SELECT json_extract(earlier_settings.json, '$.outbox') FROM jobs earlier
            JOIN job_settings earlier_settings ON earlier_settings.id = earlier.settings
            WHERE earlier.id = jobs.duplicate_of AND json_valid(earlier_settings.json))
    WHERE folder LIKE '/%' AND instr(jobs.hold_reason, folder) ORDER BY length(folder) DESC LIMIT 1)
    WHERE state = 'held' AND hold IN ('disk', 'mount', 'permission');
UPDATE tasks SET held_path = (SELECT jobs.held_path FROM jobs WHERE jobs.id = tasks.job_id)
    WHERE hold IN ('disk', 'mount', 'permission');
"""

# What an entry that is removed had not been sent is counted.
_ENTRY_SELECTIONS = """
ALTER TABLE event_readers ADD COLUMN kinds TEXT;     -- JSON: the events that the entry wants; NULL: not known yet
ALTER TABLE event_readers ADD COLUMN problems INTEGER NOT NULL DEFAULT 1; -- and every problem and its end
"""

# Empty files have rows, too, which an older lalald could not read. `status` counts skipped files without reading all the others.
_EMPTY_FILES = """
CREATE INDEX files_skipped ON files (inbox, skip_reason) WHERE skip_reason IS NOT NULL;
"""

_RECORDED_ACTIONS = """
ALTER TABLE asked_actions RENAME TO recorded_actions;
ALTER TABLE recorded_actions RENAME COLUMN asked_at TO requested_at;
DROP INDEX asked_actions_acted;
CREATE INDEX recorded_actions_acted ON recorded_actions (acted_at) WHERE acted_at IS NOT NULL;
"""

# The n-th brings version n to n + 1; none is ever edited once released.
MIGRATIONS: tuple[str, ...] = (
    INITIAL_SCHEMA, *EARLY_MIGRATIONS,
    _TIMES, _LICENSE_HOLDS, _CODES, _UNREADABLE_JOBS, _PAGE, _NAMES, _EVENTS, _TAGS, _UPLOADS_UNKNOWN, _HELD_PATHS,
    _ENTRY_SELECTIONS, _EMPTY_FILES, _RECORDED_ACTIONS,
)  # fmt: skip
VERSION = len(MIGRATIONS)


def bring_to(connection: sqlite3.Connection, version: int, wanted: int) -> None:
    """Step by step from one version to another, each in a transaction of its own."""
    for number, script in enumerate(MIGRATIONS[version:wanted], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{script}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {number};COMMIT;"
        )
