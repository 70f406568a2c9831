"""`lalald history`: every charge, summed by day or month and by rule; the first scan and `run --once` sum up, too."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from lalald.store.database import connect
from lalald.store.schema.migrations import MIGRATIONS, VERSION, bring_to
from tests.conftest import MakeHome
from tests.support.filled_store import DAY, FilledStore
from tests.support.running import until, write_wav


def charge(store: Store, job: Job, task_id: str, minutes: float, at: float) -> None:
    task = replace(job.tasks[0], stage=Stage.CHECK, task_id=task_id, minutes=minutes, started_at=at)
    store.save(job, replace(job.with_task(task), stage=Stage.CHECK))


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    """Charges of today, of two days ago and of 40 days ago."""
    filled_store, now = FilledStore(tmp_path), time.time()
    with filled_store.store() as store:
        for number, (path, minutes, days) in enumerate(
            (("podcasts/old.mp3", 1 / 3, 40), ("a.mp3", 2.5, 2), ("podcasts/b.mp3", 1.0, 0), ("c.mp3", 4.0, 0))
        ):
            charge(store, filled_store.take(store, path), f"t{number}", minutes, now - days * DAY)
        store.state.set("minutes", {"left": 90.0, "at": now - DAY}, now - DAY)
    return filled_store


def test_minutes_are_reported_by_day_and_rule(filled_store: FilledStore) -> None:
    facts = json.loads(filled_store.said("history", "--json"))
    assert facts["minutes"]["left"] == 85.0
    assert facts["minutes"]["today"] == 5.0
    assert [(one["rule"], one["minutes"], one["tasks"]) for one in facts["days"]] == [
        ("remix", 2.5, 1), ("remix", 4.0, 1), ("podcasts", 1.0, 1),
    ]  # fmt: skip
    today = time.strftime("%Y-%m-%d")
    assert [one["day"] == today for one in facts["days"]] == [False, True, True]
    assert facts["rules"] == [
        {"inbox": "/in", "rule": "remix", "minutes": 6.5, "tasks": 2},
        {"inbox": "/in", "rule": "podcasts", "minutes": 1.0, "tasks": 1},
    ]
    assert [(one["job"], one["path"], one["minutes"]) for one in facts["charges"]] == [
        (2, "a.mp3", 2.5), (3, "podcasts/b.mp3", 1.0), (4, "c.mp3", 4.0),
    ]  # fmt: skip


def test_months_begin_with_the_first_charge_though_its_job_is_trimmed(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        store.connection.execute("DELETE FROM jobs WHERE id = 1")
    facts = json.loads(filled_store.said("history", "--month", "--json"))
    assert facts["months"][0] == {
        "month": time.strftime("%Y-%m", time.localtime(time.time() - 40 * DAY)),
        "inbox": "/in", "rule": "podcasts", "minutes": 0.333, "tasks": 1,
    }  # fmt: skip
    assert len(facts["charges"]) == 4
    text = filled_store.said("history", "--month")
    assert "by month\n  MONTH    RULE" in text
    assert "  charged today       5.0\n" in text
    assert "podcasts/old.mp3" in text


def test_a_long_history_shows_the_newest_charges_and_counts_the_rest(tmp_path: Path) -> None:
    filled_store, now = FilledStore(tmp_path), time.time()
    with filled_store.store() as store:
        for number in range(25):
            charge(store, filled_store.take(store, f"{number}.mp3"), f"t{number}", 1.0, now - 100 + number)
    text = filled_store.said("history")
    assert "charges, newest last (`lalald history --json` has 5 older charges)" in text
    assert "24.mp3" in text
    assert " 4.mp3" not in text


def test_a_history_without_charges_says_so(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store():
        pass
    assert "Nothing was charged in the last 30 days; `lalald history --month` shows everything." in filled_store.said(
        "history"
    )
    assert "Nothing was charged yet." in filled_store.said("history", "--month")


def test_charges_of_an_older_database_learn_their_rules(tmp_path: Path) -> None:
    before = next(number for number, script in enumerate(MIGRATIONS) if "charges ADD COLUMN rule" in script)
    filled_store = FilledStore(tmp_path)
    filled_store.state.mkdir()
    import sqlite3

    connection = sqlite3.connect(filled_store.state / "lalald.sqlite3", isolation_level=None)
    bring_to(connection, 0, before)
    connection.execute("INSERT INTO handlings VALUES (1, '{}')")
    connection.execute(
        "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at, updated_at)"
        " VALUES (1, ?, 'a.mp3', 1, 1, 1, 'remix', 1, 'done', 'done', '', 1, 1)",
        (str(filled_store.inbox),),
    )
    for job_id in (1, 2):  # the second one's job is trimmed
        connection.execute(
            "INSERT INTO charges VALUES (?, ?, 1, 'a.mp3', 'demuser', 2.0, ?)", (f"t{job_id}", job_id, 1e9)
        )
    connection.close()
    connect(filled_store.state).close()
    facts = json.loads(filled_store.said("history", "--month", "--json"))
    assert [(one["inbox"], one["rule"]) for one in facts["charges"]] == [("/in", "remix"), (None, None)]
    assert before < VERSION


def test_run_once_prints_a_summary(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url, minutes={"per_file": 0.1})
    for name, seconds in (("a.wav", 3.0), ("b.wav", 3.0), ("long.wav", 12.0)):
        write_wav(home.inbox / name, seconds, pitch=200 + len(name))
    write_wav(home.inbox / "b.wav", 3.0, pitch=500)
    answer = home.command("run", "--once")
    assert answer.returncode == 1
    last = json.loads(answer.stderr.splitlines()[-1])
    assert {name: last[name] for name in ("event", "done", "failed", "held", "holds", "waiting", "minutes")} == {
        "event": "run.finished", "done": 2, "failed": 0, "held": 1, "holds": {"minutes": 1}, "waiting": 0, "minutes": 0.1,
    }  # fmt: skip
    assert last["outboxes"] == [str(home.outbox)]
    assert answer.stdout == ""


def test_run_once_prints_its_summary_on_standard_output(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url, log={"format": "console"})
    write_wav(home.inbox / "a.wav", 3.0)
    answer = home.command("run", "--once")
    assert answer.stdout == f"1 done, 0.1 minutes charged.\nResults: {home.outbox}\n"
    again = home.command("run", "--once")
    assert again.stdout == "0 done, 0.0 minutes charged.\n"


@pytest.mark.parametrize("existing", ["hold", "take", "skip"])
def test_a_first_scan_counts_and_prices_all_files(make_home: MakeHome, sandbox: Sandbox, existing: str) -> None:
    home = make_home(sandbox.url, inbox={"existing": existing})
    for number in range(38):
        write_wav(home.inbox / f"{number}.wav", 0.6, pitch=200 + number)
    for number in range(2):
        (home.inbox / f"{number}.mkv").write_bytes(b"a length that nobody states")
    (home.inbox / "notes.txt").write_text("not counted")
    home.start()
    (logged,) = until(lambda: home.logged("inbox.first_scan_done"), "the first scan is over")
    home.stop()
    assert (logged["files"], logged["existing"]) == (40, existing)
    if existing == "skip":
        assert "minutes" not in logged
        return
    assert (logged["minutes"], logged["unknown"]) == (0.38, 2)
    assert logged["price"] == "0.4 min, and 2 of unknown length"
    assert ("hint" in logged) == (existing == "hold")
