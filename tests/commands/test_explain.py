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

from lalald.filesystem.markers import write_marker
from lalald.jobs.states import Hold, Stage, State
from lalald.jobs.task import Track
from lalald.reports.files.first_scan_forecast import MORE_THAN_A_FEW
from lalald.store import Store
from lalald.store.tables.known_markers import WATCHED_BEFORE
from lalald.store.tables.restored_copy import RESTORED, held_because
from lalald.store.tables.set_aside_files import SetAsideFiles
from tests.support.filled_store import NOW, FilledStore
from tests.support.running import write_wav

NOBODY = 65534


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    """An inbox that was scanned before."""
    return scanned(FilledStore(tmp_path))


def scanned(filled_store: FilledStore, marker: str | None = None) -> FilledStore:
    with filled_store.store() as store:
        store.folders.mark_inbox_seen(str(filled_store.inbox), marker, NOW)
    return filled_store


def text_of(filled_store: FilledStore, path: str | Path) -> str:
    return filled_store.said("explain", str(filled_store.inbox / path))


def facts_of(filled_store: FilledStore, path: str | Path) -> dict[str, Any]:
    (facts,) = json.loads(filled_store.said("explain", "--json", str(filled_store.inbox / path)))
    found: dict[str, Any] = facts
    return found


def row(text: str, name: str) -> str:
    """The value of a row."""
    return next(line.strip().removeprefix(name).strip() for line in text.splitlines() if line.strip().startswith(name))


def test_a_file_that_a_program_has_open_for_writing_is_not_finished(filled_store: FilledStore) -> None:
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    with (filled_store.inbox / "mix.wav").open("ab"):
        text, facts = text_of(filled_store, "mix.wav"), facts_of(filled_store, "mix.wav")
        plan = json.loads(filled_store.said("plan", "--json"))
        planned = filled_store.said("plan")
    assert row(text, "processed") == "yes, once it is finished: rule remix"
    assert row(text, "finished") == (
        "no: a program has it open for writing; it is processed once that program has closed it"
    )
    assert (facts["outcome"], facts["taken"], facts["open_for_writing"]) == ("unfinished", True, True)
    assert (plan["unfinished"], plan["rules"][0]["unfinished"]) == (1, 1)
    assert "1 new file is still being written or changed just now: the price may rise" in planned
    assert (
        facts_of(filled_store, "mix.wav")["outcome"],
        facts_of(filled_store, "mix.wav")["open_for_writing"],
    ) == (
        "ready",
        False,
    )
    assert json.loads(filled_store.said("plan", "--json"))["unfinished"] == 0


def test_a_file_that_changed_less_than_settle_ago_says_how_long_it_still_settles(tmp_path: Path) -> None:
    filled_store = scanned(FilledStore(tmp_path, inbox={"settle": "90s"}))
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    os.utime(filled_store.inbox / "mix.wav", (1, 1))  # a copying program sets the mtime: that proves nothing
    facts = facts_of(filled_store, "mix.wav")
    assert facts["outcome"] == "unfinished"
    assert 0 < facts["settles_for_seconds"] <= 90
    assert "it must not change for 90 s, and changed " in row(text_of(filled_store, "mix.wav"), "finished")
    assert json.loads(filled_store.said("plan", "--json"))["unfinished"] == 1
    with (filled_store.inbox / "mix.wav").open("ab"):
        finished = row(text_of(filled_store, "mix.wav"), "finished")
    assert finished.startswith("no: a program has it open for writing; ")
    assert finished.endswith(" and it has not changed for 90 s")


def test_a_modification_time_in_the_future_is_not_a_recent_change(filled_store: FilledStore) -> None:
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    os.utime(filled_store.inbox / "mix.wav", (time.time() + 9e6,) * 2)
    assert facts_of(filled_store, "mix.wav")["outcome"] == "ready"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_sees_files_with_the_rights_of_the_daemons_user(open_folder: Path) -> None:
    filled_store = scanned(FilledStore(open_folder))
    write_wav(filled_store.inbox / "secret.wav", 12.0)
    write_wav(filled_store.inbox / "open.wav", 12.0)
    (filled_store.inbox / "secret.wav").chmod(0o600)
    for path in (filled_store.state, *filled_store.state.iterdir()):
        os.chown(path, NOBODY, NOBODY)

    def said(name: str) -> tuple[dict[str, Any], str]:
        path = filled_store.inbox / name
        os.utime(path)
        facts = json.loads(filled_store.run("explain", "--json", str(path)).stdout)[0]
        os.utime(path)
        return facts, filled_store.run("explain", str(path)).stdout

    secret, _ = said("secret.wav")
    assert (secret["taken"], secret["reason"]) == (
        False, f"uid {NOBODY} may not read it: give that user permission to read it",
    )  # fmt: skip
    facts, text = said("open.wav")
    assert (facts["outcome"], facts["open_for_writing"]) == ("unfinished", None)  # no lease on another user's file
    assert 0 < facts["settles_for_seconds"] <= 10
    assert "not yet: it is not known whether a program is writing to it, so it must not change for 10 s" in text
    os.utime(filled_store.inbox / "open.wav")
    plan = json.loads(filled_store.run("plan", "--json").stdout)
    assert (plan["files"], plan["unfinished"]) == (1, 1)


def ended(filled_store: FilledStore, change: Callable[[Any], Any], name: str = "mix.wav") -> int:
    """A file in the inbox with a job that `change` has brought to where it is."""
    write_wav(filled_store.inbox / name, 12.0)
    facts = (filled_store.inbox / name).stat()
    with filled_store.store() as store:
        job = filled_store.take(store, name, size=facts.st_size, mtime_ns=facts.st_mtime_ns, duration=12.0)
        store.save(job, change(job))
    return job.id


@pytest.mark.parametrize(
    ("state", "outcome", "taken", "words"),
    [
        (State.WAITING, "job", True, "yes: it is job 1"),
        (State.HELD, "job", True, "yes: it is job 1"),
        (State.DONE, "job", True, "yes: job 1 has processed it; it is not processed again"),
        (State.FAILED, "job", True, "yes: job 1 failed; `lalald retry 1` resumes it"),
        (State.CANCELLED, "not_taken", False, "no: job 1 was cancelled; `lalald retry 1` resumes it"),
    ],
)
def test_a_file_with_a_job_says_one_thing(
    filled_store: FilledStore, state: State, outcome: str, taken: bool, words: str
) -> None:
    stage = Stage.DONE if state is State.DONE else Stage.UPLOAD
    ended(
        filled_store,
        lambda job: replace(job, state=state, stage=stage, error="it broke", hold=Hold.DISK, hold_reason="full"),
    )
    facts, text = facts_of(filled_store, "mix.wav"), text_of(filled_store, "mix.wav")
    assert (facts["outcome"], facts["taken"], facts["state"], facts["job"]) == (outcome, taken, str(state), 1)
    assert row(text, "processed") == words
    assert ("held" in text) == (state is State.HELD)
    assert "finished" not in text


def test_a_file_that_vanished_is_reported_with_its_job_and_where_it_is(filled_store: FilledStore) -> None:
    done = str(filled_store.inbox / "done" / "mix.wav")
    ended(filled_store, lambda job: replace(job, state=State.DONE, stage=Stage.DONE, moved_to=done))
    (filled_store.inbox / "done").mkdir()
    (filled_store.inbox / "mix.wav").rename(done)
    with filled_store.store() as store:
        store.forget(str(filled_store.inbox), ["mix.wav"])
    assert (
        row(text_of(filled_store, "mix.wav"), "processed")
        == "no: the file does not exist; its file is at /in/done/mix.wav now"
    )
    assert facts_of(filled_store, "mix.wav")["state"] == "done"
    assert row(text_of(filled_store, "done/mix.wav"), "processed") == "no: it is in the inbox's done folder"
    never = facts_of(filled_store, "never.wav")
    assert (never["taken"], never["reason"], never["job"]) == (False, "the file does not exist", None)


def test_an_unavailable_inbox_processes_nothing(tmp_path: Path) -> None:
    filled_store = scanned(FilledStore(tmp_path), "0b6c2a58-1111-4222-8333-944455556666")
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    facts = facts_of(filled_store, "mix.wav")
    assert (facts["outcome"], facts["inbox_available"]) == ("unavailable", False)
    assert "its marker .lalald is missing" in facts["inbox_reason"]
    assert row(text_of(filled_store, "mix.wav"), "processed") == "not while its inbox is unavailable: rule remix"
    assert not (filled_store.inbox / ".lalald").exists()
    shutil.rmtree(filled_store.inbox)
    assert "it is missing" in facts_of(filled_store, "mix.wav")["inbox_reason"]


def paid(filled_store: FilledStore, store: Store, content: bytes) -> int:
    """A done job of these bytes; its tracks are in the outbox."""
    job = filled_store.take(store, "first.wav", size=len(content), duration=12.0)
    tasks = []
    for task in job.tasks:
        path = f"{task.number}.wav"
        (filled_store.outbox / path).write_bytes(b"track")
        track = Track("stem", "vocals", "https://x/", size=5, path=path, sha256="ab" * 32, delivered=True)
        tasks.append(replace(task, stage=Stage.DONE, task_id=f"t{task.number}", minutes=0.2, tracks=(track,)))
    sha256 = hashlib.sha256(content).hexdigest()
    store.save(job, replace(job, tasks=tuple(tasks), state=State.DONE, stage=Stage.DONE, sha256=sha256))
    return job.id


def test_a_file_whose_inspection_failed_is_explained(filled_store: FilledStore) -> None:
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    with filled_store.store() as store:
        SetAsideFiles(store.connection).note(
            str(filled_store.inbox), "mix.wav", "OverflowError: too large", is_old=False, now=1.0
        )
    facts, text = facts_of(filled_store, "mix.wav"), text_of(filled_store, "mix.wav")
    assert (facts["outcome"], facts["job"]) == ("set_aside", None)
    assert row(text, "processed").startswith("not now: its inspection failed (OverflowError: too large); ")


def test_a_copy_of_what_is_paid_costs_nothing(filled_store: FilledStore) -> None:
    content = write_wav(filled_store.inbox / "copy.wav", 12.0)
    other = write_wav(filled_store.inbox / "other.wav", 12.0, pitch=330)
    assert len(content) == len(other)
    with filled_store.store() as store:
        first = paid(filled_store, store, content)
    facts = facts_of(filled_store, "copy.wav")
    assert (facts["duplicate_of"], facts["minutes"], facts["expected_hold"]) == (first, 0.0, None)
    assert row(text_of(filled_store, "copy.wav"), "cost") == "nothing more"
    assert facts["remarks"] == ["it has the same content as job 1 (first.wav): its results are reused"]
    different = facts_of(filled_store, "other.wav")
    assert (different["duplicate_of"], different["minutes"], different["remarks"]) == (None, 0.6, [])
    (filled_store.outbox / "2.wav").unlink()
    (remark,) = facts_of(filled_store, "copy.wav")["remarks"]
    assert "no longer in the outbox" in remark


@pytest.mark.parametrize(("duplicates", "minutes", "hold"), [("hold", 0.0, "duplicate"), ("process", 0.6, None)])
def test_a_copy_goes_by_its_rule(tmp_path: Path, duplicates: str, minutes: float, hold: str | None) -> None:
    filled_store = scanned(FilledStore(tmp_path))
    settings = yaml.safe_load(filled_store.config.read_text())
    settings["inboxes"][0]["rules"][1]["duplicates"] = duplicates
    filled_store.config.write_text(yaml.safe_dump(settings))
    content = write_wav(filled_store.inbox / "copy.wav", 12.0)
    with filled_store.store() as store:
        paid(filled_store, store, content)
    facts = facts_of(filled_store, "copy.wav")
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
    filled_store = scanned(FilledStore(tmp_path, minutes=limits))
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    with filled_store.store() as store:
        store.state.set("minutes", {"left": left, "at": time.time()}, time.time())
    facts, text = facts_of(filled_store, "mix.wav"), text_of(filled_store, "mix.wav")
    assert (facts["expected_hold"], facts["expected_hold_source"]) == ("minutes" if source else None, source)
    if words is None:
        assert "on hold" not in text
    else:
        assert facts["expected_hold_reason"].startswith(words)
        assert f"it will be held, minutes ({source}): {words}" in text


def test_a_first_scan_of_many_files_will_hold_them(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    for number in range(20):
        write_wav(filled_store.inbox / f"{number}.wav", 0.1)
    (filled_store.inbox / "notes.txt").write_text("not counted")
    assert facts_of(filled_store, "0.wav")["expected_hold"] is None
    assert expected_holds(filled_store, "0.wav") == (None, [])
    write_wav(filled_store.inbox / "podcasts/one.wav", 0.1)
    assert facts_of(filled_store, "0.wav")["expected_hold"] == "first_scan"
    assert expected_holds(filled_store, "0.wav") == (MORE_THAN_A_FEW, [MORE_THAN_A_FEW])
    assert facts_of(scanned(filled_store), "0.wav")["expected_hold"] is None


def test_the_first_scan_of_an_inbox_that_another_database_watched_will_hold_its_files(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    write_wav(filled_store.inbox / "mix.wav", 0.1)
    assert expected_holds(filled_store) == (None, [])
    marker = write_marker(str(filled_store.inbox), None)
    held = WATCHED_BEFORE, [WATCHED_BEFORE]
    assert expected_holds(filled_store) == held, "before a database exists"
    with filled_store.store():
        pass
    assert expected_holds(filled_store) == held
    assert WATCHED_BEFORE in " ".join(filled_store.said("plan").split())
    with filled_store.store() as store:
        store.markers.plan(str(marker), NOW)  # it is this database that was interrupted before its first scan
    assert expected_holds(filled_store) == (None, [])
    with filled_store.store() as store:
        store.state.set(RESTORED, {"copied_at": NOW, "inboxes": [str(filled_store.inbox)]}, NOW)
    assert expected_holds(filled_store)[0] == held_because(NOW)


def expected_holds(filled_store: FilledStore, name: str = "mix.wav") -> tuple[str | None, list[str]]:
    """What `explain` and `plan` say of a first scan."""
    plan = json.loads(filled_store.said("plan", "--json"))
    return facts_of(filled_store, name)["expected_hold_reason"], list(plan["first_scan_holds"].values())


def test_places_where_nothing_is_processed_are_named(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    filled_store = scanned(FilledStore(tmp_path, inbox={"done_dir": str(elsewhere), "recursive": False}))
    (elsewhere / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to(filled_store.inbox)
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    for path, words in (
        (elsewhere / "x.wav", f"it is in the done folder of {filled_store.inbox}, where nothing is processed"),
        (
            filled_store.outbox / "x" / "y.wav",
            f"it is in the outbox of {filled_store.inbox}, where nothing is processed",
        ),
        (filled_store.inbox / "failed" / "x.wav", "it is in a subfolder, and the inbox is not `recursive`"),
        (filled_store.inbox, "it is an inbox; name a file in it"),
        (filled_store.inbox / "x.wav.part", "its name marks a temporary file (*.part)"),
        (filled_store.inbox / "@eaDir", "it belongs to a NAS or operating system (@eaDir is always ignored)"),
        (filled_store.inbox / "Thumbs.db", "it belongs to a NAS or operating system (Thumbs.db is always ignored)"),
    ):
        assert facts_of(filled_store, path)["reason"] == words.replace(str(filled_store.inbox), "/in"), path
    assert facts_of(filled_store, tmp_path / "link" / "mix.wav")["outcome"] == "ready"
