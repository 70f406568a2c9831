"""`lalald explain` and `lalald plan`: what is said of a file is what happens to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.jobs.job import Hold, Stage, State, Track
from lalald.store import Store
from tests.support.filled_store import NOW, Shelf
from tests.support.running import write_wav

NOBODY = 65534


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An inbox that was scanned before."""
    return scanned(Shelf(tmp_path))


def scanned(shelf: Shelf, marker: str | None = None) -> Shelf:
    with shelf.store() as store:
        store.mark_inbox_seen(str(shelf.inbox), marker, NOW)
    return shelf


def text_of(shelf: Shelf, path: str | Path) -> str:
    return shelf.said("explain", str(shelf.inbox / path))


def facts_of(shelf: Shelf, path: str | Path) -> dict[str, Any]:
    (facts,) = json.loads(shelf.said("explain", "--json", str(shelf.inbox / path)))
    found: dict[str, Any] = facts
    return found


def row(text: str, name: str) -> str:
    """The value of a row."""
    return next(line.strip().removeprefix(name).strip() for line in text.splitlines() if line.strip().startswith(name))


def test_a_file_that_a_program_has_open_for_writing_is_not_finished(shelf: Shelf) -> None:
    write_wav(shelf.inbox / "mix.wav", 12.0)
    with (shelf.inbox / "mix.wav").open("ab"):
        text, facts = text_of(shelf, "mix.wav"), facts_of(shelf, "mix.wav")
        plan = json.loads(shelf.said("plan", "--json"))
        planned = shelf.said("plan")
    assert row(text, "taken") == "yes, once it is finished: rule remix"
    assert row(text, "finished") == (
        "no: a program has it open for writing; it is processed once that program has closed it"
    )
    assert (facts["outcome"], facts["taken"], facts["open_for_writing"]) == ("unfinished", True, True)
    assert (plan["unfinished"], plan["rules"][0]["unfinished"]) == (1, 1)
    assert "1 new file is still being written or changed just now: the price may rise" in planned
    assert (facts_of(shelf, "mix.wav")["outcome"], facts_of(shelf, "mix.wav")["open_for_writing"]) == ("ready", False)
    assert json.loads(shelf.said("plan", "--json"))["unfinished"] == 0


def test_a_file_that_changed_less_than_settle_ago_says_how_long_it_still_settles(tmp_path: Path) -> None:
    shelf = scanned(Shelf(tmp_path, inbox={"settle": "90s"}))
    write_wav(shelf.inbox / "mix.wav", 12.0)
    os.utime(shelf.inbox / "mix.wav", (1, 1))  # a copying program sets the mtime: that proves nothing
    facts = facts_of(shelf, "mix.wav")
    assert facts["outcome"] == "unfinished"
    assert 0 < facts["settles_for_seconds"] <= 90
    assert "it must not change for 90 s, and changed " in row(text_of(shelf, "mix.wav"), "finished")
    assert json.loads(shelf.said("plan", "--json"))["unfinished"] == 1
    with (shelf.inbox / "mix.wav").open("ab"):
        finished = row(text_of(shelf, "mix.wav"), "finished")
    assert finished.startswith("no: a program has it open for writing; ")
    assert finished.endswith(" and it has not changed for 90 s")


def test_a_moment_ahead_of_the_clock_is_no_change_just_now(shelf: Shelf) -> None:
    write_wav(shelf.inbox / "mix.wav", 12.0)
    os.utime(shelf.inbox / "mix.wav", (time.time() + 9e6,) * 2)
    assert facts_of(shelf, "mix.wav")["outcome"] == "ready"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_is_told_what_the_daemons_user_may_and_can_see(open_folder: Path) -> None:
    shelf = scanned(Shelf(open_folder))
    write_wav(shelf.inbox / "secret.wav", 12.0)
    write_wav(shelf.inbox / "open.wav", 12.0)
    (shelf.inbox / "secret.wav").chmod(0o600)
    for path in (shelf.state, *shelf.state.iterdir()):
        os.chown(path, NOBODY, NOBODY)

    def said(name: str) -> tuple[dict[str, Any], str]:
        path = str(shelf.inbox / name)
        return json.loads(shelf.run("explain", "--json", path).stdout)[0], shelf.run("explain", path).stdout

    secret, _ = said("secret.wav")
    assert (secret["taken"], secret["reason"]) == (
        False, f"uid {NOBODY} may not read it: give that user the right to",
    )  # fmt: skip
    facts, text = said("open.wav")
    assert (facts["outcome"], facts["open_for_writing"]) == ("unfinished", None)  # no lease on another user's file
    assert 0 < facts["settles_for_seconds"] <= 10
    assert "not yet: whether a program is writing to it cannot be seen here, so it must not change for 10 s" in text
    plan = json.loads(shelf.run("plan", "--json").stdout)
    assert (plan["files"], plan["unfinished"]) == (1, 1)


def ended(shelf: Shelf, change: Callable[[Any], Any], name: str = "mix.wav") -> int:
    """A file in the inbox with a job that `change` has brought to where it is."""
    write_wav(shelf.inbox / name, 12.0)
    facts = (shelf.inbox / name).stat()
    with shelf.store() as store:
        job = shelf.take(store, name, size=facts.st_size, mtime_ns=facts.st_mtime_ns, duration=12.0)
        store.save(job, change(job))
    return job.id


@pytest.mark.parametrize(
    ("state", "outcome", "taken", "words"),
    [
        (State.WAITING, "job", True, "yes: job 1 has it"),
        (State.HELD, "job", True, "yes: job 1 has it"),
        (State.DONE, "job", True, "yes: job 1 has processed it; it is not processed again"),
        (State.FAILED, "job", True, "yes: job 1 has it, and failed; `lalald retry 1` resumes it"),
        (State.CANCELLED, "not_taken", False, "no: job 1 was cancelled; `lalald retry 1` resumes it"),
    ],
)
def test_a_file_with_a_job_says_one_thing(shelf: Shelf, state: State, outcome: str, taken: bool, words: str) -> None:
    stage = Stage.DONE if state is State.DONE else Stage.UPLOAD
    ended(
        shelf, lambda job: replace(job, state=state, stage=stage, error="it broke", hold=Hold.DISK, hold_reason="full")
    )
    facts, text = facts_of(shelf, "mix.wav"), text_of(shelf, "mix.wav")
    assert (facts["outcome"], facts["taken"], facts["state"], facts["job"]) == (outcome, taken, str(state), 1)
    assert row(text, "taken") == words
    assert ("held" in text) == (state is State.HELD)
    assert "finished" not in text


def test_a_file_that_vanished_is_told_with_its_job_and_where_it_is(shelf: Shelf) -> None:
    done = str(shelf.inbox / "done" / "mix.wav")
    ended(shelf, lambda job: replace(job, state=State.DONE, stage=Stage.DONE, location=done))
    (shelf.inbox / "done").mkdir()
    (shelf.inbox / "mix.wav").rename(done)
    with shelf.store() as store:
        store.forget(str(shelf.inbox), ["mix.wav"])
    assert row(text_of(shelf, "mix.wav"), "taken") == "no: there is no such file; its file is at /in/done/mix.wav now"
    assert facts_of(shelf, "mix.wav")["state"] == "done"
    assert row(text_of(shelf, "done/mix.wav"), "taken") == "no: it is in the inbox's done folder"
    never = facts_of(shelf, "never.wav")
    assert (never["taken"], never["reason"], never["job"]) == (False, "there is no such file", None)


def test_an_inbox_that_is_away_takes_nothing(tmp_path: Path) -> None:
    shelf = scanned(Shelf(tmp_path), "0b6c2a58-1111-4222-8333-944455556666")
    write_wav(shelf.inbox / "mix.wav", 12.0)
    facts = facts_of(shelf, "mix.wav")
    assert (facts["outcome"], facts["inbox_available"]) == ("unavailable", False)
    assert "its marker .lalald is missing" in facts["inbox_reason"]
    assert row(text_of(shelf, "mix.wav"), "taken") == "not while its inbox is unavailable: rule remix"
    assert not (shelf.inbox / ".lalald").exists()
    shutil.rmtree(shelf.inbox)
    assert "it is not there" in facts_of(shelf, "mix.wav")["inbox_reason"]


def paid(shelf: Shelf, store: Store, content: bytes) -> int:
    """A done job of these bytes; its tracks are in the outbox."""
    job = shelf.take(store, "first.wav", size=len(content), duration=12.0)
    tasks = []
    for task in job.tasks:
        path = f"{task.number}.wav"
        (shelf.outbox / path).write_bytes(b"track")
        track = Track("stem", "vocals", "https://x/", size=5, path=path, sha256="ab" * 32, delivered=True)
        tasks.append(replace(task, stage=Stage.DONE, task_id=f"t{task.number}", minutes=0.2, tracks=(track,)))
    sha256 = hashlib.sha256(content).hexdigest()
    store.save(job, replace(job, tasks=tuple(tasks), state=State.DONE, stage=Stage.DONE, sha256=sha256))
    return job.id


def test_a_copy_of_what_is_paid_costs_nothing(shelf: Shelf) -> None:
    content = write_wav(shelf.inbox / "copy.wav", 12.0)
    other = write_wav(shelf.inbox / "other.wav", 12.0, pitch=330)
    assert len(content) == len(other)
    with shelf.store() as store:
        first = paid(shelf, store, content)
    facts = facts_of(shelf, "copy.wav")
    assert (facts["duplicate_of"], facts["minutes"], facts["expected_hold"]) == (first, 0.0, None)
    assert row(text_of(shelf, "copy.wav"), "cost") == "nothing more"
    assert facts["remarks"] == ["it has the same bytes as job 1 (first.wav): its results are used again"]
    different = facts_of(shelf, "other.wav")
    assert (different["duplicate_of"], different["minutes"], different["remarks"]) == (None, 0.6, [])
    (shelf.outbox / "2.wav").unlink()
    (remark,) = facts_of(shelf, "copy.wav")["remarks"]
    assert "not in the outbox any more" in remark


@pytest.mark.parametrize(("duplicates", "minutes", "hold"), [("hold", 0.0, "duplicate"), ("process", 0.6, None)])
def test_a_copy_goes_by_its_rule(tmp_path: Path, duplicates: str, minutes: float, hold: str | None) -> None:
    shelf = scanned(Shelf(tmp_path))
    settings = yaml.safe_load(shelf.config.read_text())
    settings["inboxes"][0]["rules"][1]["duplicates"] = duplicates
    shelf.config.write_text(yaml.safe_dump(settings))
    content = write_wav(shelf.inbox / "copy.wav", 12.0)
    with shelf.store() as store:
        paid(shelf, store, content)
    facts = facts_of(shelf, "copy.wav")
    assert (facts["minutes"], facts["expected_hold"]) == (minutes, hold)


@pytest.mark.parametrize(
    ("limits", "left", "source", "words"),
    [
        ({"per_file": 0.5}, 100.0, "per_file", "it needs 0.6 minutes, minutes.per_file allows 0.5"),
        ({"per_day": 0.5}, 100.0, "per_day", "it needs 0.6 minutes, minutes.per_day allows 0.5 and 0.0 are spent"),
        ({}, 0.55, "left", "it needs 0.6 minutes, 0.5 are free"),
        ({"reserve": 10}, 10.0, "left", "it needs 0.6 minutes, 0.0 are free"),
        ({"per_file": 0.6}, 0.6, None, None),
    ],
)
def test_the_limit_that_will_hold_a_file_is_named(
    tmp_path: Path, limits: dict[str, float], left: float, source: str | None, words: str | None
) -> None:
    shelf = scanned(Shelf(tmp_path, minutes=limits))
    write_wav(shelf.inbox / "mix.wav", 12.0)
    with shelf.store() as store:
        store.set_fact("minutes", {"left": left, "at": time.time()}, time.time())
    facts, text = facts_of(shelf, "mix.wav"), text_of(shelf, "mix.wav")
    assert (facts["expected_hold"], facts["expected_hold_source"]) == ("minutes" if source else None, source)
    if words is None:
        assert "on hold" not in text
    else:
        assert facts["expected_hold_reason"].startswith(words)
        assert f"it will be held, minutes ({source}): {words}" in text


def test_a_first_scan_of_many_files_will_hold_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for number in range(20):
        write_wav(shelf.inbox / f"{number}.wav", 0.1)
    (shelf.inbox / "notes.txt").write_text("not counted")
    assert facts_of(shelf, "0.wav")["expected_hold"] is None
    write_wav(shelf.inbox / "podcasts/one.wav", 0.1)
    assert facts_of(shelf, "0.wav")["expected_hold"] == "first_scan"
    assert facts_of(scanned(shelf), "0.wav")["expected_hold"] is None


def test_places_that_nothing_is_taken_from_are_named(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shelf = scanned(Shelf(tmp_path, inbox={"done_dir": str(elsewhere), "recursive": False}))
    (elsewhere / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to(shelf.inbox)
    write_wav(shelf.inbox / "mix.wav", 12.0)
    for path, words in (
        (elsewhere / "x.wav", f"it is in the done folder of {shelf.inbox}, where nothing is processed"),
        (shelf.outbox / "x" / "y.wav", f"it is in the outbox of {shelf.inbox}, where nothing is processed"),
        (shelf.inbox / "failed" / "x.wav", "it is in a subfolder, and the inbox is not `recursive`"),
        (shelf.inbox, "it is an inbox; the files in it are judged one by one"),
        (shelf.inbox / "x.wav.part", "its name marks a temporary file (*.part)"),
        (shelf.inbox / "@eaDir", "it belongs to a NAS or operating system (@eaDir is always ignored)"),
        (shelf.inbox / "Thumbs.db", "it belongs to a NAS or operating system (Thumbs.db is always ignored)"),
    ):
        assert facts_of(shelf, path)["reason"] == words.replace(str(shelf.inbox), "/in"), path
    assert facts_of(shelf, tmp_path / "link" / "mix.wav")["outcome"] == "ready"
