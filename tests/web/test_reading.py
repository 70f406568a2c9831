"""What the page reads is what the command line prints."""

from __future__ import annotations

import json
from typing import Any

from tests.support.page_client import PASSWORD, Frames, PageClient
from tests.support.running import Home, until, write_wav


def test_status_is_that_of_the_command_line(done_home: Home, reader: PageClient) -> None:
    printed = json.loads(done_home.command("status", "--json").stdout)
    assert reader.facts("/api/status") == printed


def test_a_job_has_the_keys_of_the_command_line_and_its_buttons(done_home: Home, reader: PageClient) -> None:
    (printed,) = json.loads(done_home.command("jobs", "--json").stdout)
    (listed,) = reader.facts("/api/jobs")["jobs"]
    shown = reader.facts("/api/jobs/1")
    for job in (listed, shown):
        assert {key: job[key] for key in printed} == printed
        assert job["actions"] == {"retry": False, "release": False, "cancel": False, "redo": True}
    assert [step["step"] for step in shown["steps"]] == [
        "dropped",
        "uploaded",
        "started",
        "delivered",
        "deleted",
        "finished",
    ]
    assert [track["label"] for track in shown["media"]["tracks"]] == ["vocals", "no_vocals"]


def test_facts_stand_beside_their_names(done_home: Home, reader: PageClient) -> None:
    facts = dict(reader.facts("/api/jobs/1")["facts"])
    assert (facts["Rule"], facts["Length"], facts["Charged"]) == (
        "stems, for every audio or video file",
        "2s",
        "0.1 min",
    )
    config = reader.facts("/api/config")
    assert dict(config["inboxes"][0]["facts"])["Results go to"] == f"`{done_home.outbox}`"
    assert config["inboxes"][0]["rules"][0]["lines"][:2] == ["every audio or video file", "Stem separator: stem vocals"]
    assert dict(config["limits"])["License key"] == "set"


def test_a_file_is_explained_in_sentences(done_home: Home, reader: PageClient) -> None:
    def explained(path: str) -> tuple[str | None, list[str]]:
        asked = {"inbox": str(done_home.inbox), "path": path, "size": 1000, "seconds": 90}
        found = reader.get("/api/explain", params=asked).json()
        return found["summary"], [one["tone"] for one in found["says"]]

    assert explained("new.wav") == ("Rule stems · 1m30s · 1.5 min", [])
    assert explained("notes.txt") == (None, ["bad"])


def test_what_is_not_there_is_an_error_with_a_code(reader: PageClient) -> None:
    for path in ("/api/jobs/99", "/api/jobs/x", "/api/jobs/0x1", "/api/jobs/" + "9" * 400, "/api/nothing", "/nothing"):
        answer = reader.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


def test_a_parameter_that_means_nothing_is_refused(reader: PageClient) -> None:
    for name, value in (
        ("state", "odd"), ("hold", "x"), ("day", "2026-13-45"), ("day", "now"), ("day", "9999-12-31"), ("limit", "0"),
        ("limit", "201"), ("before", "-1"), ("before", "9" * 30),
    ):  # fmt: skip
        answer = reader.get("/api/jobs", params={name: value})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), (name, value)


def test_jobs_are_paged_and_filtered(home: Home, client: PageClient) -> None:
    names = ("Café.wav", "100%.wav", "a_b.wav", "Cafe\u0301 2.wav", "STRASSE.wav", "\udcfftéxt.wav")
    for number, name in enumerate(names, start=1):
        write_wav(home.inbox / name, seconds=0.2, pitch=300 + number)
    assert home.command("run", "--once").returncode == 0
    first = client.facts("/api/jobs", limit=4)
    rest = client.facts("/api/jobs", limit=4, before=first["next_before"])
    assert [job["id"] for page in (first, rest) for job in page["jobs"]] == [7, 6, 5, 4, 3, 2, 1]
    assert rest["next_before"] is None

    def found(**parameters: str) -> list[str]:
        return sorted(job["path"] for job in client.facts("/api/jobs", **parameters)["jobs"])

    assert found(text="CAFÉ") == ["Cafe\u0301 2.wav", "Café.wav"]
    assert found(text="straße") == ["STRASSE.wav"]
    assert found(text="TÉXT") == ["\udcfftéxt.wav"]
    assert found(text="%") == ["100%.wav"]
    assert found(text="_") == ["a_b.wav"]
    assert found(text="#1") == ["song.wav"]
    assert found(state="failed,held,running,waiting") == []
    assert len(found(state="done", rule="stems", inbox=str(home.inbox))) == 7
    assert found(rule="other") == found(day="2001-01-01") == []


def test_history_sums_what_was_charged(done_home: Home, reader: PageClient) -> None:
    printed = json.loads(done_home.command("history", "--month", "--json").stdout)
    assert reader.facts("/api/history") == printed


def test_the_configuration_is_shown_without_its_secrets(done_home: Home, reader: PageClient) -> None:
    answer = reader.get("/api/config")
    facts = answer.json()
    assert (facts["license_key"], facts["web"]["password"]) == ("set", "set")
    assert facts["inboxes"][0]["rules"][0]["tasks"][0]["mode"] == "stem_separator"
    for secret in ("a-key", done_home.variables["LALALD_WEB_PASSWORD"]):
        assert secret not in answer.text


def test_a_stream_begins_with_everything_and_continues_with_changes(home: Home, client: PageClient) -> None:
    home.start()
    with client.stream("GET", "/api/events", params={"job": "1"}) as response:
        frames = Frames(response)
        name, snapshot = frames.next()
        assert (name, snapshot["job"]["id"], snapshot["status"]["jobs"]["done"]) == ("snapshot", 1, 1)
        write_wav(home.inbox / "second.wav", pitch=500)
        while True:
            news = frames.until("status")
            assert set(news) < set(snapshot["status"])
            if news.get("jobs", {}).get("done") == 2:
                break


def test_a_session_has_four_streams(reader: PageClient) -> None:
    with (
        reader.stream("GET", "/api/events") as one, reader.stream("GET", "/api/events") as two,
        reader.stream("GET", "/api/events") as three, reader.stream("GET", "/api/events") as four,
    ):  # fmt: skip
        streams = [Frames(stream) for stream in (one, two, three, four)]
        assert [stream.next()[0] for stream in streams] == ["snapshot"] * 4
        fifth = reader.get("/api/events")
        assert (fifth.status_code, fifth.json()["code"]) == (429, "too_many_streams")


def test_the_page_says_what_would_happen_to_a_file_before_it_is_sent(home: Home, client: PageClient) -> None:
    def verdict(path: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = client.get(
            "/api/explain", params={"inbox": str(home.inbox), "path": path, **more}
        ).json()
        return found

    new = verdict("new.wav", size=100, seconds=90)
    assert (new["taken"], new["rule"], new["minutes"], new["exists"], new["known_job"]) == (
        True,
        "stems",
        1.5,
        False,
        None,
    )
    assert new["minutes_left"] > 900
    assert verdict("new.wav")["minutes"] is None
    assert [verdict(path)["taken"] for path in (".hidden.wav", "notes.txt", "done/x.wav", "x.part")] == [False] * 4
    again = verdict("song.wav", size=(home.inbox / "done" / "song.wav").stat().st_size)
    assert (again["known_job"], again["exists"]) == (1, False)
    assert verdict("song.wav", size=7)["known_job"] is None
    size = (home.inbox / "done/song.wav").stat().st_size  # of what was paid for, so perhaps the same bytes
    same, other = (verdict("renamed.wav", size=number, seconds=2.0) for number in (size, size + 1))
    assert [(one["may_be_free"], one["minutes"], len(one["says"])) for one in (same, other)] == [
        (True, 0.033, 1), (False, 0.033, 0),
    ]  # fmt: skip
    write_wav(home.inbox / "there.wav")
    there = verdict("there.wav")
    assert (there["exists"], there["outcome"]) == (True, "ready")
    assert {key: there[key] for key in ("path", "rule", "minutes")} == {
        key: value
        for key, value in json.loads(home.command("explain", str(home.inbox / "there.wav"), "--json").stdout)[0].items()
        if key in ("path", "rule", "minutes")
    }
    for path in ("../etc/passwd", "/etc/passwd", "a/../b.wav", "a//b.wav", "a\0b.wav", "."):
        answer = client.get("/api/explain", params={"inbox": str(home.inbox), "path": path})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_taken"), path
    assert client.get("/api/explain", params={"inbox": "/etc", "path": "passwd"}).status_code == 404


def test_the_plan_prices_what_waits_without_the_service(home: Home, client: PageClient) -> None:
    write_wav(home.inbox / "waits.wav", seconds=3.0)
    plan = client.facts("/api/plan")
    assert (plan["files"], plan["minutes"], plan["rules"][0]["new"]) == (1, 0.05, 1)
    assert plan["minutes_left"] > 900


def test_skipped_files_are_listed(home: Home, client: PageClient) -> None:
    (home.inbox / "notes.txt").write_text("no media")
    home.command("run", "--once")
    skipped = client.facts("/api/skipped", inbox=str(home.inbox))
    assert [(one["path"], one["code"]) for one in skipped["files"]] == [("notes.txt", "no_rule")]
    assert skipped["next_after"] is None


def test_the_log_has_the_words_of_notifications(home: Home, client: PageClient) -> None:
    home.start()
    write_wav(home.inbox / "logged.wav", pitch=700)

    def logged() -> list[dict[str, Any]]:
        return [one for one in client.facts("/api/log", event="job.done")["events"] if one["job"] == 2]

    (event,) = until(logged, "the event is in the log")
    assert event["path"] == "logged.wav"
    assert "logged.wav" in event["title"]
    assert client.facts("/api/log", text="LOGGED")["events"] == [event]
    assert client.facts("/api/log", text="other")["events"] == []


def test_metrics_need_a_password_or_a_token(done_home: Home, reader: PageClient) -> None:
    with PageClient(str(reader.base_url)) as stranger:
        assert stranger.get("/metrics").status_code == 401
        answer = stranger.get("/metrics", headers={"Authorization": f"Bearer {PASSWORD}"})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == done_home.command("status", "--prometheus").stdout
