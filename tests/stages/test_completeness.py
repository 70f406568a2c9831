"""Incomplete successes and differing sizes; tasks with results are never paid again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.jobs.job import Job
from lalald.jobs.job_warnings import warning_of
from lalald.jobs.states import Hold, Request, Stage, State, TaskFailure
from lalald.jobs.task import Track
from lalald.sandbox.options import Options
from tests.support.filled_store import NOW, FilledStore
from tests.support.raw_server import RawServer, Script, Talk
from tests.support.running import tree
from tests.support.worker_driver import PLENTY, WorkerDriver, run

OPTIONS = Options(checks_per_minute=PLENTY)
FAST = 600.0
TRACK = b"a track of the service, as long as it is"
BOTH = ["ep1/no_vocals.wav", "ep1/vocals.wav"]
DRUM_AND_VOICE = (("multistem", {"stem_list": ["drum"]}), ("change_voice", {"voice_pack_id": "ALEX_KAYE"}))


def check_says(**fault: Any) -> Mapping[str, Any]:
    return {"operation": "check", "count": 0, **fault}


def by_length(talk: Talk) -> None:
    while talk.request()[0]:
        talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(TRACK)}\r\n\r\n", TRACK)


def by_chunks(talk: Talk) -> None:
    while talk.request()[0]:
        talk.say(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(TRACK), TRACK)
        )


def by_its_end(talk: Talk) -> None:
    talk.request()
    talk.say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", TRACK)


SIZES: list[Any] = [len(TRACK) + 1, len(TRACK) - 1, 0, 10**15, -1, "many", None, len(TRACK), f"{len(TRACK)}", 10**400]
NO_SIZES = (-1, "many", None, 10**400)


@pytest.mark.parametrize("framing", [by_length, by_chunks])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size)[:20])
def test_a_declared_size_is_a_hint(size: Any, framing: Script, tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, manifest=True) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"url": server.url, "size": size}, only="vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert (driver.outbox / "ep1" / "vocals.wav").read_bytes() == TRACK
            differs = size not in (*NO_SIZES, len(TRACK), f"{len(TRACK)}")
            describe_error = f"declared {size:,} bytes for the track vocals, {len(TRACK)} arrived" if differs else None
            _is_warned(job, describe_error)
            manifest = json.loads((driver.outbox / "ep1" / "lalald.json").read_text())
            assert manifest["warnings"] == ([warning_of(job)] if differs else [])
            assert driver.counts().get("delete", 0) == (0 if differs else 1), "a doubtful source is left to expire"
            assert server.connections <= 2, "it is not fetched again and again"
            assert driver.charges().total() == 1

    with RawServer(framing) as server:
        run(scenario(server))


def _is_warned(job: Job, words: str | None) -> None:
    warning = warning_of(job)
    assert (warning is None) if words is None else words in (warning or "")


def test_a_size_corrected_by_the_second_check_gives_no_warning(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults({"operation": "check", "kind": "size", "count": 1, "only": "vocals"})
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.counts()["download"] == 3, "the first, its sister, and its last byte once more"
            assert driver.counts()["delete"] == 1

    run(scenario())


def test_without_length_and_chunks_a_track_needs_its_declared_size(tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            said = {"url": server.url, "size": len(TRACK) + 1}
            driver.sandbox.faults(check_says(kind="label", track=said, only="vocals"))
            await driver.drop("ep1.wav")
            await driver.until(lambda: server.connections > 3, "it is tried, with pauses")
            assert not (driver.outbox / "ep1").exists()
            driver.sandbox.faults(check_says(kind="label", track={**said, "size": len(TRACK)}, only="vocals"))
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)

    with RawServer(by_its_end) as server:
        run(scenario(server), speed=FAST)


# incomplete answers


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_track"},
        {"kind": "label", "track": {"url": ""}},
        {"kind": "label", "track": {"url": None}},
        {"kind": "label", "track": {"url": 5}},
        {"kind": "label", "track": {"label": "", "url": ""}},
    ],
    ids=lambda fault: "".join(filter(str.isalnum, str(fault)))[-20:],
)
def test_available_tracks_are_delivered_first_and_a_missing_one_when_it_comes(fault: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, manifest=True) as driver:
            driver.sandbox.faults(check_says(**fault, only="no_vocals"))
            await driver.drop("ep1.wav")
            waiting = await _incomplete(driver)
            assert driver.seen() == [], "the rest may come in a moment"
            assert "has not given these tracks: no_vocals" in str(warning_of(waiting))
            await driver.until(
                lambda: driver.seen() == ["ep1/vocals.wav"], "what is there is delivered, without a manifest"
            )
            waiting = await driver.until_job("and the rest is asked for", stage=Stage.CHECK)
            assert waiting.state is State.WAITING
            assert tree(driver.inbox) == ["ep1.wav"], "its file stays"
            assert "delete" not in driver.counts()
            driver.sandbox.faults()
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.seen() == ["ep1/lalald.json", *BOTH]
            manifest = json.loads((driver.outbox / "ep1" / "lalald.json").read_text())
            assert {track["label"] for track in manifest["tasks"][0]["tracks"]} == {"vocals", "no_vocals"}
            assert driver.counts()["download"] == 2, "what was delivered is not fetched again"
            assert driver.charges().total() == 1
            assert len(driver.journal.of("task.incomplete")) == 1

    run(scenario(), speed=FAST)


async def _incomplete(driver: WorkerDriver) -> Job:
    async def found() -> Job | None:
        job = await driver.job()
        return job if any(task.incomplete_since for task in job.tasks) else None

    job: Job = await driver.until(found, "a task has succeeded without all of its tracks")
    return job


@pytest.mark.parametrize("within", [{"kind": "lost_track", "only": "vocals"}, {"kind": "null", "field": "result"}])
def test_an_incomplete_answer_that_completes_soon_is_delivered_whole(within: Mapping[str, Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults({"operation": "check", **within, "count": 3})
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.seen() == BOTH
            assert 4 <= driver.counts()["check"] < 12
            assert driver.charges().total() == 1

    run(scenario())


def test_a_track_that_never_comes_fails_after_a_day_and_is_not_paid_by_a_retry(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="lost_track", only="no_vocals"))
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.seen() == ["ep1/vocals.wav"], "what is there is delivered")
            await driver.until_job("the rest is asked for", stage=Stage.CHECK)
            checks = driver.counts()["check"]
            driver.pass_time(12)
            await driver.until(lambda: driver.counts()["check"] > checks, "it is asked for")
            assert driver.counts()["check"] - checks < 5, "but rarely"
            driver.pass_time(13)
            failed = await driver.until_job("its day is over", state=State.FAILED, archived=True)
            assert "the service never provided the track no_vocals; its other tracks were delivered" in str(
                failed.error
            )
            assert failed.tasks[0].failure is TaskFailure.INCOMPLETE
            assert "delete" not in driver.counts()
            assert driver.seen() == ["ep1/vocals.wav"]
            note = (driver.inbox / "failed" / "ep1.wav.error.txt").read_text()
            assert "pays nothing; `lalald redo 1` pays again" in note

            await driver.ask(Request.RETRY, 1)
            await driver.until_job("it is asked once more", state=State.WAITING, stage=Stage.CHECK)
            await driver.until_job("and fails once more", state=State.FAILED, archived=True)
            assert driver.charges().total() == 1
            assert driver.counts()["download"] == 1

    run(scenario(), speed=FAST)


def test_a_task_without_tracks_does_not_delay_other_tasks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, asked=DRUM_AND_VOICE, manifest=True) as driver:
            driver.sandbox.faults(check_says(kind="lost_track", only="converted_mix"))
            await driver.drop("ep1.wav")
            await driver.until(
                lambda: driver.seen() == ["ep1/drum.wav", "ep1/no_multistem.wav"], "the other task is delivered"
            )
            driver.sandbox.faults()
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert len(driver.seen()) == 4
            assert driver.charges().total() == 2

    run(scenario(), speed=FAST)


def test_missing_tracks_are_checked_while_the_job_is_held_for_a_lost_task(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, asked=DRUM_AND_VOICE) as driver:
            driver.sandbox.faults("change_voice:reset_after", check_says(kind="lost_track", only="drum"))
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.seen() == ["ep1/no_multistem.wav"], "what is there is delivered")
            held = await driver.until_job("a person has to decide", state=State.HELD)
            assert held.hold is Hold.LOST_TASK
            driver.sandbox.faults()
            await driver.until(lambda: len(driver.seen()) == 2, "the missing track has come")
            held = await driver.until_job("a person still has to decide", state=State.HELD)
            assert (held.hold, warning_of(held)) == (Hold.LOST_TASK, None)

    run(scenario(), speed=FAST)


def test_only_wanted_tracks_are_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, tracks=("vocals",)) as driver:
            driver.sandbox.faults(check_says(kind="lost_track", only="no_vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.seen() == ["ep1/vocals.wav"]
            assert driver.counts()["delete"] == 1

    run(scenario())


@pytest.mark.parametrize("only", ["vocals@1", "mix_no_lead"])
def test_backing_vocals_that_were_not_found_are_not_missing(only: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        asked = (("stem_separator", {"stem": "vocals", "multivocal": "lead_back"}),)
        async with WorkerDriver(tmp_path, options=OPTIONS, asked=asked) as driver:
            driver.sandbox.faults(check_says(kind="lost_track", only=only))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.counts()["check"] < 4

    run(scenario())


def test_as_many_tracks_under_other_labels_are_complete_with_a_warning(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"label": "instrumental"}, only="no_vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert "should have made no_vocals; the service named its tracks vocals, instrumental" in str(
                warning_of(job)
            )
            assert driver.seen() == ["ep1/instrumental.wav", "ep1/vocals.wav"]

    run(scenario())


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("vocals", ["vocals-2.wav", "vocals.wav"]),
        ("VOCALS", ["VOCALS-2.wav", "vocals.wav"]),
    ],
)
def test_two_tracks_of_one_label_are_both_delivered(label: str, names: list[str], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"label": label}, only="no_vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert job.state is State.DONE
            assert sorted(path.removeprefix("ep1/") for path in driver.seen()) == sorted(names)
            contents = {(driver.outbox / path).read_bytes() for path in driver.seen()}
            assert len(contents) == 2

    run(scenario(), speed=FAST)


def test_a_label_in_another_case_is_the_same_label(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, tracks=("no_vocals",)) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"label": "No_Vocals"}, only="no_vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)
            assert driver.seen() == ["ep1/No_Vocals.wav"]

    run(scenario())


def test_a_link_without_a_label_is_delivered_after_a_while_under_the_label_that_is_missing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"label": ""}, only="no_vocals"))
            await driver.drop("ep1.wav")
            await _incomplete(driver)
            assert driver.seen() == []
            (job,) = await driver.rest()
            assert (job.state, driver.seen()) == (State.DONE, BOTH)

    run(scenario(), speed=FAST)


def test_a_cancel_ends_the_checks_and_a_retry_pays_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="lost_track", only="no_vocals"))
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.seen() == ["ep1/vocals.wav"], "what is there is delivered")
            await driver.until_job("the rest is asked for", stage=Stage.CHECK)
            await driver.ask(Request.CANCEL, 1)
            await driver.until_job("it was cancelled", state=State.CANCELLED)
            assert tree(driver.inbox) == ["ep1.wav"]
            driver.sandbox.faults()
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("it is there by now", state=State.DONE)
            assert driver.seen() == BOTH
            assert driver.charges().total() == 1

    run(scenario(), speed=FAST)


@pytest.mark.parametrize("on_conflict", ["rename", "overwrite", "skip"])
def test_a_late_track_is_delivered_beside_the_others(on_conflict: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, on_conflict=on_conflict, manifest=True) as driver:
            (driver.outbox / "ep1").mkdir()
            (driver.outbox / "ep1" / "vocals.wav").write_bytes(b"another program's")
            driver.sandbox.faults(check_says(kind="lost_track", only="no_vocals"))
            await driver.drop("ep1.wav")
            await driver.until_job("what is there is delivered", stage=Stage.DOWNLOAD)
            await driver.until_job("the rest is asked for", stage=Stage.CHECK)
            driver.sandbox.faults()
            await driver.until_job("it is there", state=State.DONE)
            assert (
                driver.seen()
                == {
                    "rename": ["ep1 (2)/lalald.json", "ep1 (2)/no_vocals.wav", "ep1 (2)/vocals.wav", "ep1/vocals.wav"],
                    "overwrite": ["ep1/lalald.json", *BOTH],
                    "skip": ["ep1/lalald.json", *BOTH],
                }[on_conflict]
            )

    run(scenario(), speed=FAST)


def test_a_track_with_dead_links_does_not_delay_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults({"operation": "download", "kind": "dead", "match": "no_vocals", "count": 0})
            await driver.drop("ep1.wav")
            await driver.until(lambda: driver.seen() == ["ep1/vocals.wav"], "its sister is delivered")
            downloads = driver.counts()["download"]
            driver.sandbox.faults()
            (job,) = await driver.rest()
            assert (job.state, driver.seen()) == (State.DONE, BOTH)
            assert downloads < 12
            assert driver.charges().total() == 1

    run(scenario(), speed=FAST)


def empty(talk: Talk) -> None:
    while talk.request()[0]:
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def page(talk: Talk) -> None:
    while talk.request()[0]:
        talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")


@pytest.mark.parametrize("script", [empty, page, by_its_end])
def test_a_track_that_never_arrives_does_not_delay_the_others(script: Script, tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"url": server.url, "size": 0}, only="no_vocals"))
            await driver.drop("ep1.wav")
            await driver.until((driver.outbox / "ep1" / "vocals.wav").exists, "its sister is delivered")
            waiting = await driver.until_job("and this one asked for", stage=Stage.CHECK)
            assert "has not given these tracks: no_vocals" in str(warning_of(waiting))
            driver.sandbox.faults()
            (job,) = await driver.rest()
            assert (job.state, driver.seen()) == (State.DONE, BOTH)
            assert driver.charges().total() == 1

    with RawServer(script) as server:
        run(scenario(server), speed=FAST)


ODD_LINKS = [
    "//d.lalal.ai/x",
    "ftp://d.lalal.ai/x",
    "https://user:word@d.lalal.ai/x",
    "https://d.lalal.ai/a\nb",
    "x",
    "https://[",
]


@pytest.mark.parametrize("link", ODD_LINKS)
def test_a_refused_link_holds_its_job_once_the_other_tracks_are_in_place(link: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS, manifest=True) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"url": link}, only="no_vocals"))
            await driver.drop("ep1.wav")
            held = await driver.until_job("the link is refused", state=State.HELD)
            assert (held.hold, held.stage) == (Hold.LINK, Stage.CHECK)
            assert "The task is paid; run `lalald release 1` to try again." in str(held.hold_reason)
            await driver.until(lambda: driver.seen() == ["ep1/vocals.wav"], "its sister is in place")
            assert "delete" not in driver.counts()
            driver.sandbox.faults()
            await driver.ask(Request.RELEASE, 1)
            await driver.until_job("the link is right", state=State.DONE)
            assert driver.seen() == ["ep1/lalald.json", *BOTH]
            assert driver.charges().total() == 1

    run(scenario())


def test_a_link_refused_for_a_day_fails_its_job_and_the_delivered_track_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults(check_says(kind="label", track={"url": "ftp://d.lalal.ai/x"}, only="no_vocals"))
            await driver.drop("ep1.wav")
            await driver.until_job("the link is refused", state=State.HELD, hold=Hold.LINK)
            driver.pass_time(25)
            failed = await driver.until_job("its day is over", state=State.FAILED, archived=True)
            assert "never provided the track no_vocals; its other tracks were delivered" in str(failed.error)
            assert driver.seen() == ["ep1/vocals.wav"]

    run(scenario(), speed=FAST)


@pytest.mark.parametrize("start", ["HTTP", " http", "http"])
def test_a_link_in_another_form_is_followed(start: str, tmp_path: Path) -> None:
    async def scenario(server: RawServer) -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            link = f"{start}{server.url.removeprefix('http')}/ä ö?a b#c"
            driver.sandbox.faults(check_says(kind="label", track={"url": link, "size": None}, only="no_vocals"))
            await driver.drop("ep1.wav")
            (job,) = await driver.rest()
            assert (job.state, warning_of(job)) == (State.DONE, None)

    with RawServer(by_length) as server:
        run(scenario(server))


def test_a_job_with_missing_tracks_says_so_everywhere(tmp_path: Path) -> None:
    """In `status`, `jobs`, `show` and their JSON, by facts and not by stored words."""
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with filled_store.store() as store:
        job = store.job(6)
        assert job is not None
        there = Track("stem", "vocals@0", "https://x/1", path="mix/vocals@0.wav", size=9, sha256="ab", delivered=True)
        lost = Track("back", "no_vocals", "")
        task = replace(job.tasks[0], incomplete_since=NOW - 60, tracks=(there, lost), progress=100)
        rest = replace(job.tasks[1], stage=Stage.DONE)
        store.save(job, job.with_task(task).with_task(rest))
        assert store.counts.late() == 1
    for words in (["status"], ["jobs"], ["show", "6"]):
        _, describe_error, _ = filled_store.call(*words)
        assert "has not given these tracks: no_vocals" in " ".join(describe_error.split()).replace("\u2026", "")
    facts = {job["id"]: job for job in json.loads(filled_store.said("jobs", "--json"))}[6]
    assert (facts["state"], facts["progress"]) == ("waiting", None), "the service works on nothing"
    assert "no_vocals" in facts["warning"]
    assert [track["missing"] for track in facts["tracks"]] == [False, True]
    _, describe_error, _ = filled_store.call("status", "--json")
    assert [job["id"] for job in json.loads(describe_error)["incomplete"]] == [6]


def test_a_retry_restarts_a_task_that_failed_on_the_service(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, options=OPTIONS) as driver:
            driver.sandbox.faults("split:task_error")
            await driver.drop("ep1.wav")
            (failed,) = await driver.rest()
            assert (failed.state, failed.tasks[0].failure) == (State.FAILED, TaskFailure.FAILED)
            await driver.ask(Request.RETRY, 1)
            await driver.until_job("it went well this time", state=State.DONE)
            assert driver.charges().total() == 2

    run(scenario())
