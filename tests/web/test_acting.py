"""Buttons: each does what was shown for the price that was shown, once; what has changed since gets a sentence."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from lalald.jobs.states import Hold, HoldSource, State
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from tests.conftest import MakeHome
from tests.support.page_client import Frames, PageClient, logged_in, page_alone, with_page
from tests.support.running import Home, until, write_wav


def key() -> str:
    return secrets.token_urlsafe(18)


@pytest.fixture
def held(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """With one job that is held, since it costs more than a file may. Its daemon has ended."""
    home = with_page(make_home(sandbox.url, minutes={"per_file": 0.02}))
    write_wav(home.inbox / "long.wav", seconds=2.0)
    home.command("run", "--once")
    (job,) = home.jobs()
    assert (job["state"], job["hold"]) == ("held", "minutes")
    return home


@pytest.fixture
def client(held: Home) -> Iterator[PageClient]:
    with page_alone(held), logged_in(held) as client:
        yield client


def quote_of(client: PageClient, action: str, job_id: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = client.facts(f"/api/jobs/{job_id}")["quotes"][action]
    return found


def press(client: PageClient, action: str, quote: dict[str, Any], by: str) -> dict[str, Any]:
    """What a button answers about its job."""
    (result,) = client.done(f"/api/jobs/{quote['id']}/{action}", {"key": by, "job": quote})["results"]
    return dict(result)


def verdict(client: PageClient, by: str) -> dict[str, Any]:
    """What the daemon made of it."""

    def given() -> dict[str, Any] | None:
        (result,) = client.facts(f"/api/actions/{by}")["results"]
        return result if result["code"] != "asked" else None

    found: dict[str, Any] = until(given, "the daemon's verdict")
    return found


def test_a_release_acts_once_however_often_it_is_pressed(held: Home, client: PageClient, sandbox: Sandbox) -> None:
    quote, one, other = quote_of(client, "release"), key(), key()
    assert (quote["minutes"], quote["hold_source"]) == (0.033, "per_file")
    first = press(client, "release", quote, one)
    assert (first["accepted"], first["code"]) == (True, "asked")
    assert press(client, "release", quote, one) == first  # the answer was lost: the same key
    second = press(client, "release", quote, other)  # another tab
    assert (second["accepted"], second["code"]) == (False, "pending")
    with client.stream("GET", "/api/events") as response:
        frames = Frames(response)
        assert frames.next()[0] == "snapshot"
        held.start()
        output = frames.until("action")
    assert (output["key"], output["results"][0]["code"]) == (one, "done")
    held.rest()
    late = press(client, "release", quote, key())
    assert (late["accepted"], late["code"], "done" in late["message"]) == (False, "state_changed", True)
    assert press(client, "release", quote, one) == verdict(client, one)
    assert len(sandbox.state()["charges"]) == 1


def test_a_key_serves_one_request(client: PageClient) -> None:
    quote, one = quote_of(client, "release"), key()
    assert press(client, "release", quote, one)["accepted"]
    answer = client.post("/api/jobs/1/release", json={"key": one, "job": {**quote, "minutes": 99}})
    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")


def test_a_request_that_a_command_or_a_cancel_replaces_gets_an_answer(held: Home, client: PageClient) -> None:
    for replace in (
        lambda: held.command("release", "1"),
        lambda: held.command("cancel", "1"),
        lambda: held.command("cancel", "--all", "--yes"),
        lambda: client.done("/api/cancel", {"ids": [1]}),
    ):
        by = key()
        assert press(client, "release", quote_of(client, "release"), by)["code"] == "asked"
        with client.stream("GET", "/api/events") as response:
            frames = Frames(response)
            assert frames.next()[0] == "snapshot"
            replace()
            told = frames.until("action")
        assert (told["key"], told["results"][0]["code"]) == (by, "replaced")
        assert verdict(client, by)["accepted"] is False
        change(held, request=None, request_terms=None)


def test_a_higher_price_than_was_shown_changes_nothing_and_is_reported(client: PageClient) -> None:
    quote = {**quote_of(client, "release"), "minutes": 0.0}
    assert press(client, "release", quote, key())["accepted"]  # less than a minute more
    job = client.facts("/api/jobs/1")
    assert job["request"] == "release"


def change(home: Home, **facts: Any) -> None:
    """The job as something else has left it meanwhile."""
    store = Store.open(home.state)
    columns = ", ".join(f"{name} = ?" for name in facts)
    store.connection.execute(f"UPDATE jobs SET {columns}, revision = revision + 1 WHERE id = 1", tuple(facts.values()))
    store.close()


def test_a_job_that_changes_before_the_press_gets_a_sentence_and_new_figures(held: Home, client: PageClient) -> None:
    quote = quote_of(client, "release")
    change(held, duration=600.0)
    dearer = press(client, "release", quote, key())
    assert (dearer["accepted"], dearer["code"]) == (False, "price_changed")
    assert "10" in dearer["message"]
    assert dearer["quote"]["minutes"] == 10.0
    change(held, hold_source=HoldSource.PER_DAY)
    other = press(client, "release", quote, key())
    assert (other["code"], other["quote"]["hold_source"]) == ("hold_changed", "per_day")
    change(held, state=State.FAILED, hold=None, hold_source=None)
    ended = press(client, "release", quote, key())
    assert (ended["code"], ended["quote"]) == ("state_changed", None)


def test_a_job_that_changes_before_the_daemon_acts_is_left_as_it_is(
    held: Home, client: PageClient, sandbox: Sandbox
) -> None:
    for facts, code in (
        ({"duration": 600.0}, "price_changed"),
        ({"duration": 2.0, "hold": Hold.DUPLICATE, "hold_source": None}, "hold_changed"),
    ):
        by = key()
        assert press(client, "release", quote_of(client, "release"), by)["accepted"]
        change(held, **facts)
        held.start()
        assert verdict(client, by)["code"] == code
        held.stop()
        job = client.facts("/api/jobs/1")
        assert (job["state"], job["request"]) == ("held", None)
    assert sandbox.state()["charges"] == []


def test_a_file_is_redone_once_for_a_press(held: Home, client: PageClient, sandbox: Sandbox) -> None:
    held.settings["minutes"] = {}
    held.write_config()
    held.start()
    until(lambda: client.facts("/api/jobs/1")["state"] == "done", "the job is done")
    quote, by = quote_of(client, "redo"), key()
    assert quote["minutes"] == 0.033
    assert press(client, "redo", quote, by)["accepted"]
    done = verdict(client, by)
    assert (done["code"], done["new_job"]) == ("done", 2)
    again = press(client, "redo", quote, key())
    assert (again["accepted"], again["code"]) == (False, "already_done")
    held.rest()
    assert len(sandbox.state()["charges"]) == 2


def test_many_are_released_at_the_sum_that_was_shown(held: Home, client: PageClient) -> None:
    for number in range(2):
        write_wav(held.inbox / f"more{number}.wav", seconds=2.0, pitch=500 + number)
    held.command("run", "--once")
    shown = client.done("/api/quotes", {"action": "release", "hold": "minutes"})
    assert (len(shown["jobs"]), shown["minutes"], shown["unknown"]) == (3, 0.1, 0)
    named = client.done("/api/quotes", {"action": "release", "ids": [1, 99]})
    assert [one["code"] for one in named["refused"]] == ["gone"]
    results = client.done("/api/release", {"key": key(), "jobs": shown["jobs"][:2]})["results"]
    assert [one["accepted"] for one in results] == [True, True]
    assert [job["request"] for job in client.facts("/api/jobs")["jobs"]] == [None, "release", "release"]


def test_a_cancel_a_rescan_and_a_folder(held: Home, client: PageClient) -> None:
    results = client.done("/api/cancel", {"ids": [1, 7]})["results"]
    assert [(one["accepted"], one["code"]) for one in results] == [(True, "asked"), (False, "gone")]
    held.start()
    until(lambda: client.facts("/api/jobs/1")["state"] == "cancelled", "the job is cancelled")
    for action in ("retry", "redo"):  # in the words of the command line
        quote = quote_of(client, action)
        assert quote["what"] == "will be held: needs 0.1 minutes, minutes.per_file allows 0.02"
        assert quote["stays_held_for"] == "per_file"
    assert client.done("/api/jobs/1/cancel", {})["results"][0]["code"] == "state_changed"
    assert client.done("/api/rescan", {}) == {"inboxes": [str(held.inbox)], "daemon_running": True}
    assert client.post("/api/rescan", json={"inboxes": ["/etc"]}).status_code == 422
    assert client.done("/api/folders/accept", {"folder": str(held.outbox)})["daemon_running"]
    assert client.post("/api/folders/accept", json={"folder": "/etc"}).status_code == 422


def test_a_press_that_makes_no_sense_is_refused(client: PageClient) -> None:
    job: dict[str, Any] = {"id": 1}
    bodies: list[dict[str, Any]] = [
        {}, {"key": "short", "job": job}, {"key": "k" * 20}, {"key": "k" * 20, "job": []}, {"key": "k" * 20, "job": {"id": 2}},
        {"key": "k" * 20, "job": {**job, "minutes": "1"}}, {"key": ["k"], "job": job}, {"key": "k" * 65, "job": job},
    ]  # fmt: skip
    for body in bodies:
        answer = client.post("/api/jobs/1/release", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), body
