"""The tables and indices of version 1. Never edited: later versions are reached by `migrations`."""

from __future__ import annotations

INITIAL_SCHEMA = """
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
