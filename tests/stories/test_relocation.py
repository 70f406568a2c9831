"""Folders that moved: paid work goes on at the new place, known files stay known, and nothing is charged again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.running import Home, tree, until, write_wav


def moved(home: Home, root: Path) -> Home:
    """The same home at another place: copied as `cp -a` does, so every inode is another; the configuration is rewritten."""
    subprocess.run(["cp", "-a", home.root, root], check=True)
    shutil.rmtree(home.root)
    there = object.__new__(Home)
    there.__dict__.update(home.__dict__)
    there.root, there.inbox, there.outbox, there.state = root, root / "inbox", root / "outbox", root / "state"
    there.config, there.log = root / "config.yaml", root / "daemon.log"
    text = json.dumps(home.settings).replace(str(home.root), str(root))
    there.settings = json.loads(text)
    there.write_config()
    return there


def test_running_tasks_are_delivered_at_the_new_place(tmp_path: Path, make_home: MakeHome) -> None:
    with Sandbox(Options(processing_seconds=6.0)) as sandbox:
        home = make_home(sandbox.url)
        write_wav(home.inbox / "albums" / "one.wav")
        home.start()
        until(lambda: any(job["stage"] == "check" for job in home.jobs()), "the task runs")
        home.stop()
        there = moved(home, tmp_path / "there")
        answer = there.command("relocate", str(home.root), str(there.root))
        assert answer.returncode == 0, answer.stderr
        assert str(there.inbox) in answer.stdout
        there.start()
        try:
            until(lambda: [job["state"] for job in there.jobs()] == ["done"], "the job is done")
        finally:
            there.stop()
        assert tree(there.outbox) == ["albums/one/no_vocals.wav", "albums/one/vocals.wav"]
        assert tree(there.inbox) == ["done/albums/one.wav"]
        assert not home.root.exists()
        assert len(json.loads(there.command("history", "--json").stdout)["charges"]) == 1


def test_known_files_at_the_new_place_are_not_processed_again(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox
) -> None:
    home = make_home(sandbox.url, inbox={"on_success": "keep"})
    write_wav(home.inbox / "one.wav")
    home.start()
    until(lambda: [job["state"] for job in home.jobs()] == ["done"], "the job is done")
    home.stop()
    there = moved(home, tmp_path / "there")
    assert there.command("relocate", str(home.root), str(there.root), "--json").returncode == 0
    write_wav(there.inbox / "two.wav", pitch=330.0)
    there.start()
    try:
        until(lambda: [job["state"] for job in there.jobs()] == ["done", "done"], "only the new file is processed")
    finally:
        there.stop()
    assert sorted(job["path"] for job in there.jobs()) == ["one.wav", "two.wav"]


@pytest.fixture
def stopped(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """A home whose daemon has run and was stopped."""
    home = make_home(sandbox.url)
    home.start()
    home.stop()
    return home


def rows(home: Home) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection:
        return connection.execute("SELECT path FROM inboxes UNION ALL SELECT path FROM folders").fetchall()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["/nowhere/old", "{}"], 2, "no inbox or outbox is /nowhere/old or below it"),
        (["{}/inbox", "{}/missing"], 2, "is not a folder"),
        (["{}", "{}/inbox"], 2, "contain one another"),
        (["{}/inbox", "{}/outbox"], 2, "which is known as a folder of another kind"),
        (["{}/outbox", "{}/inbox/"], 2, "which is known as a folder of another kind"),
        (["{}/INBOX", "{}/state"], 2, "no inbox or outbox is"),
        (["{}/inb", "{}/state"], 2, "no inbox or outbox is"),
    ],
)
def test_what_cannot_be_relocated_changes_nothing(stopped: Home, words: list[str], code: int, message: str) -> None:
    before = rows(stopped)
    answer = stopped.command("relocate", *(word.format(stopped.root) for word in words))
    assert (answer.returncode, answer.stdout) == (code, "")
    assert message in answer.stderr
    assert rows(stopped) == before


def test_a_running_daemon_is_not_relocated(make_home: MakeHome, sandbox: Sandbox, tmp_path: Path) -> None:
    home = make_home(sandbox.url)
    (tmp_path / "new").mkdir()
    home.start()
    answer = home.command("relocate", str(home.inbox), str(tmp_path / "new"))
    assert answer.returncode != 0
    assert "another lalald is running" in answer.stderr


def test_names_that_are_not_utf_8_move_too(make_home: MakeHome, sandbox: Sandbox, tmp_path: Path) -> None:
    home = make_home(sandbox.url)
    odd = home.root / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    home.start()
    home.stop()
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection, connection:
        connection.execute("UPDATE inboxes SET path = ?", (os.fsencode(odd / "inbox"),))
    (tmp_path / "plain").mkdir()
    assert home.command("relocate", str(odd), str(tmp_path / "plain")).returncode == 0
    assert (str(tmp_path / "plain/inbox"),) in rows(home)


def every_text(home: Home) -> dict[str, set[str]]:
    """Every text in the database that names a path, by column; sentences of the past left out."""
    words = {
        "events.data",
        "pending_events.data",
        "daemon_state.json",
        "inboxes.reason",
        "folders.reason",
        "jobs.hold_reason",
    }
    found: dict[str, set[str]] = {}
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    if isinstance(value, str) and f"{table}.{name}" not in words:
                        found.setdefault(f"{table}.{name}", set()).add(value)
    return found


def test_no_table_keeps_the_old_place(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    """Everything that can be known of an inbox: jobs, a copy, an upload of the page, folders, events, what is remembered of it."""
    notify = [{"name": "hook", "webhook": "http://127.0.0.1:9/", "on": "all"}]
    home = make_home(sandbox.url, inbox={"prune": True}, notify=notify)
    write_wav(home.inbox / "albums" / "one.wav")
    home.start()
    home.rest()
    write_wav(home.inbox / "albums" / "again.wav")
    until(lambda: len(home.jobs()) == 2, "the copy is known")
    home.rest()
    home.stop()
    shutil.rmtree(home.outbox)
    home.start()
    home.stop()
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO uploads VALUES ('u', ?, 'part.wav', 9, 3, 1, 'f', 1, 1)", (str(home.inbox),))
        restored = json.dumps({"copied_at": 1.0, "inboxes": [str(home.inbox)]})
        connection.execute("INSERT INTO daemon_state VALUES ('restored_copy', ?, 1.0)", (restored,))
        connection.execute("INSERT INTO set_aside_files VALUES (?, 'odd.wav', 'internal', 1, 0)", (str(home.inbox),))
    there = moved(home, tmp_path / "there")
    assert restored_inboxes(there) == [str(home.inbox)]
    at_old = {column for column, texts in every_text(there).items() if any(str(home.root) in text for text in texts)}
    assert {"jobs.inbox", "uploads.inbox", "events.subject", "folders.path", "job_settings.json"} <= at_old
    assert there.command("relocate", f"{home.root}/", f"{there.root}/.").returncode == 0
    assert {
        column: texts for column, texts in every_text(there).items() if any(str(home.root) in text for text in texts)
    } == {}
    assert restored_inboxes(there) == [str(there.inbox)]


def restored_inboxes(home: Home) -> list[str]:
    """Those whose first scan after a restored backup is not over."""
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection:
        (text,) = connection.execute("SELECT json FROM daemon_state WHERE name = 'restored_copy'").fetchone()
    found: list[str] = json.loads(text)["inboxes"]
    return found


def test_a_start_with_the_new_paths_before_the_relocation_can_be_repaired(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox
) -> None:
    """Nothing new was there, so the new places know nothing that could be lost."""
    home = make_home(sandbox.url)
    write_wav(home.inbox / "one.wav")
    home.start()
    home.rest()
    home.stop()
    there = moved(home, tmp_path / "there")
    there.start()
    there.stop()
    answer = there.command("relocate", str(home.root), str(there.root))
    assert answer.returncode == 0, answer.stderr
    assert sorted(path for (path,) in rows(there)) == [str(there.inbox), str(there.outbox)]
    write_wav(there.inbox / "two.wav", pitch=330.0)
    there.start()
    try:
        until(lambda: [job["state"] for job in there.jobs()] == ["done", "done"], "the folders are recognized")
    finally:
        there.stop()


def test_a_place_with_jobs_of_its_own_keeps_them(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    home.start()
    home.stop()
    there = moved(home, tmp_path / "there")
    write_wav(there.inbox / "one.wav")
    there.start()
    there.rest()
    there.stop()
    before = every_text(there)
    answer = there.command("relocate", str(home.root), str(there.root))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "which has jobs of its own (1); nothing was changed" in answer.stderr
    assert "restore the database" in answer.stderr
    assert every_text(there) == before
