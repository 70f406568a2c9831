"""What rows say of tags; those of a version without them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from lalald.jobs.job import JobSettings
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Track
from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import MIGRATIONS, bring_to
from tests.jobs.test_transitions import SETTINGS


def test_rows_of_a_version_without_tags_are_read_and_saved(tmp_path: Path) -> None:
    before = next(number for number, script in enumerate(MIGRATIONS) if "ADD COLUMN sent_sha256" in script)
    settings = json.loads(SETTINGS.to_json())
    del settings["tags"], settings["tag_title"]
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, before)
        old.execute("INSERT INTO job_settings (id, json) VALUES (1, ?)", (json.dumps(settings),))
        old.execute(
            "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, settings, stage, state, task_fingerprint,"
            " created_at, updated_at)"
            " VALUES (1, '/in', 'a.wav', 1, 1, 1, 'r', 1, 'download', 'waiting', 'x', 0, 0)"
        )
        old.execute(
            "INSERT INTO tasks (job_id, number, mode, presets, stage) VALUES (1, 1, 'demuser', '{}', 'download')"
        )
        old.execute(
            "INSERT INTO tracks (job_id, task_number, position, type, label, url, size, wanted, path, sha256, delivered)"
            " VALUES (1, 1, 0, 'stem', 'music', 'https://x', 5, 1, 'a/music.wav', 'abc', 1)"
        )
    with closing(Store.open(tmp_path)) as store:
        (job,) = store._jobs("", ())
        assert not job.settings.tags
        (track,) = job.tasks[0].tracks
        assert track == Track("stem", "music", "https://x", None, 5, True, "a/music.wav", "abc", True)
        noted = replace(track, sent_sha256="def", tag_notes=(TagNote.COVER_TOO_LARGE, TagNote.NO_ROOM))
        store.save(job, job.with_task(replace(job.tasks[0], tracks=(noted,))))
    with closing(Store.open(tmp_path)) as store:
        (job,) = store._jobs("", ())
        assert job.tasks[0].tracks == (noted,)


def test_settings_are_kept_with_the_job() -> None:
    settings = replace(SETTINGS, tags=True, tag_title="{name}")
    assert JobSettings.from_json(settings.to_json()) == settings
