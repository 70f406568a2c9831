"""The migrations from version 1 to version 16, in order. Never edited."""

from __future__ import annotations

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

EARLY_MIGRATIONS = (
    _OUTBOXES,
    _FOLDERS,
    _MINUTES,
    _UNFILED,
    _CONSENTS,
    _LENGTHS,
    _COMPLETENESS,
    _PAID_BY,
    _NO_FIGURES,
    _INBOX_FOLDERS,
    _BREAKERS,
    _CHARGED_RULES,
    _SET_ASIDE_FILES,
    _FAILURE_KINDS,
    _SKIP_REASONS,
)
