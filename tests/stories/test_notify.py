"""The real daemon tells people: webhooks that the reference library verifies, commands, and messages, beside real jobs and kills."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.private_mounts import dead_mount, in_own_mounts
from tests.support.processes import descendants, words_of
from tests.support.receiver import SECRET, Answer, Receiver, receiving
from tests.support.running import Home, until, write_wav

QUICK = Options(processing_seconds=0.05)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(is_signed=True) as found:
        yield found


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(QUICK) as found:
        yield found


def hook(receiver: Receiver, folder: Path, **settings: Any) -> dict[str, Any]:
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    return {"name": "pipeline", "webhook": receiver.url, "secret_file": str(secret), "on": "all", **settings}


def script(folder: Path, body: str) -> str:
    folder.chmod(0o755)
    path = folder / "hook.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def rows(home: Home, table: str) -> int:
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as connection, connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(count)


def test_a_delivery_is_sent_at_once_signed_and_without_a_signed_link(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    home = make_home(sandbox.url, notify=[hook(receiver, tmp_path)])
    home.start()
    write_wav(home.inbox / "song.wav")
    until(lambda: "job.done" in receiver.kinds, "the delivery is told")
    home.stop()
    assert receiver.kinds == ["daemon.started", "job.done"]
    assert receiver.faults == []
    done = receiver.requests[-1].json
    assert done["data"]["job"]["path"] == "song.wav"
    assert done["data"]["output"] == str(home.outbox / "song")
    assert {Path(track["path"]).name for track in done["data"]["tracks"]} == {"vocals.wav", "no_vocals.wav"}
    assert all(Path(track["path"]).exists() for track in done["data"]["tracks"])
    assert "http" not in receiver.requests[-1].body.decode()
    assert "a-key" not in str([(dict(request.headers), request.body) for request in receiver.requests])


def test_a_command_runs_after_each_delivery_with_names_as_data(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox
) -> None:
    """The recipe: move the tracks to a player's library."""
    library = tmp_path / "library"
    library.mkdir()
    folder = f"{library}/$LALALD_JOB_ID"
    body = (
        f'mkdir -p "{folder}" && mv "$LALALD_OUTPUT"/* "{folder}/" && printf "%s\\0" "$LALALD_PATH" >> {library}/paths'
    )
    command = [script(tmp_path, body)]
    home = make_home(sandbox.url, notify=[{"name": "library", "command": command, "on": "done"}])
    home.start()
    names = ["plain.wav", "two\nlines.wav", 'it\'s "quoted" $(touch x).wav', os.fsdecode(b"caf\xe9.wav")]
    for number, name in enumerate(names):
        write_wav(home.inbox / name, pitch=200 + number)
    until(
        lambda: (library / "paths").exists() and (library / "paths").read_bytes().count(b"\0") == len(names),
        "each was moved",
    )
    home.stop()
    sent = (library / "paths").read_bytes().split(b"\0")[:-1]
    assert sorted(sent) == sorted(os.fsencode(home.inbox / name) for name in names)
    assert sorted(path.name for path in library.glob("*/*.wav")) == sorted(["vocals.wav", "no_vocals.wav"] * len(names))


def test_a_receiver_that_hangs_delays_nothing_else(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    with receiving() as other:
        other.hang()
        entries = [hook(other, tmp_path, name="hangs"), hook(receiver, tmp_path)]
        home = make_home(sandbox.url, notify=entries)
        home.start()
        for number in range(5):
            write_wav(home.inbox / f"{number}.wav", pitch=200 + number)
        until(lambda: receiver.kinds.count("job.done") == 5, "the others are told")
        assert all(job["state"] == "done" for job in home.jobs())
        assert len(other.requests) == 1
        assert home.stop() == 0


@pytest.mark.parametrize("moment", ["before the answer", "after the answer"])
def test_a_kill_repeats_at_most_one_request_under_the_same_id(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox, moment: str
) -> None:
    home = make_home(sandbox.url, notify=[hook(receiver, tmp_path)])
    home.start()
    until(lambda: receiver.kinds == ["daemon.started"], "the start is told")
    receiver.hang()
    write_wav(home.inbox / "song.wav")
    until(lambda: len(receiver.requests) == 2, "the delivery is on its way")
    if moment == "after the answer":
        receiver.let_go()  # the answer and the kill meet on the wire: recorded or not
    home.kill()
    receiver.let_go()
    home.start()
    until(lambda: receiver.kinds[-1] == "daemon.started" and len(receiver.requests) > 2, "the second start is told")
    home.stop()
    sent = [(request.id, request.json["type"]) for request in receiver.requests]
    assert len(sent) - len(set(sent)) <= 1
    assert [kind for _, kind in dict.fromkeys(sent)] == ["daemon.started", "job.done", "daemon.started"]
    assert receiver.faults == []


def test_events_of_a_killed_daemon_are_sent_by_the_next_one(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    home = make_home(sandbox.url, notify=[hook(receiver, tmp_path, on="done")])
    receiver.answer = lambda _: Answer(500)
    home.start()
    for number in range(8):
        write_wav(home.inbox / f"{number}.wav", pitch=200 + number)
    for _ in range(3):
        until(lambda: receiver.requests, "one is tried")
        receiver.requests.clear()
        home.kill()
        home.start()
    home.rest()
    home.kill()
    receiver.answer = lambda _: Answer(200)
    receiver.requests.clear()
    home.start()
    until(lambda: len(receiver.requests) >= 8, "all are told")
    home.stop()
    paths = [request.json["data"]["job"]["path"] for request in receiver.requests]
    assert sorted(paths) == [f"{number}.wav" for number in range(8)]


def test_secrets_are_in_no_log_answer_or_argument(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    token = "AVerySecretToken"
    with receiving(lambda _: Answer(500)) as failing:
        address = tmp_path / "address"
        address.write_text(f"json://127.0.0.1:{failing.port}/{token}")
        entries = [
            {"name": "hook", "webhook": f"{failing.url}?token={token}", "on": "all"},
            {"name": "phone", "url_file": str(address), "on": "all", "gather": "0s"},
            {"name": "open", "url": f"json://{token}@127.0.0.1:{failing.port}/", "on": "all", "gather": "0s"},
        ]
        home = make_home(sandbox.url, notify=entries, log={"level": "debug"})
        process = home.start()
        seen = ""
        while len({request.path for request in failing.requests}) < 3:
            seen += "".join(map(words_of, descendants(process.pid)))
        for command in (
            ["status"],
            ["status", "--json"],
            ["status", "--prometheus"],
            ["check-config"],
            ["check-config", "--json"],
            ["jobs"],
        ):
            answer = home.command(*command)
            seen += answer.stdout + answer.stderr
        tested = home.command("notify", "--test")
        seen += tested.stdout + tested.stderr
        home.stop()
    assert "apprise_child" in seen
    assert token not in seen
    assert token not in home.log.read_text()
    assert {line["entry"] for line in home.logged("notify.failing")} == {"hook", "phone", "open"}


def test_without_an_entry_nothing_is_written_or_sent(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    home.start()
    write_wav(home.inbox / "song.wav")
    home.rest()
    home.stop()
    assert [rows(home, table) for table in ("events", "pending_events", "reported_holds", "event_readers")] == [
        0,
        0,
        0,
        0,
    ]


def test_an_entry_added_by_a_reload_gets_later_events(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    home = make_home(sandbox.url)
    home.start()
    write_wav(home.inbox / "before.wav")
    home.rest()
    home.settings["notify"] = [hook(receiver, tmp_path, on="done")]
    home.write_config()
    assert home.process is not None
    home.process.send_signal(signal.SIGHUP)
    until(lambda: home.logged("config.reloaded"), "the configuration is read again")
    write_wav(home.inbox / "after.wav", pitch=300)
    until(lambda: receiver.requests, "the second is told")
    receiver.hang()
    write_wav(home.inbox / "unsent.wav", pitch=400)
    home.rest()
    del home.settings["notify"]
    home.write_config()
    home.process.send_signal(signal.SIGHUP)
    until(lambda: len(home.logged("config.reloaded")) == 2, "the configuration is read once more")
    home.stop()
    assert [(said["entry"], said["unsent_events"]) for said in home.logged("notify.entry_removed")] == [("pipeline", 1)]
    assert [request.json["data"]["job"]["path"] for request in receiver.requests] == ["after.wav", "unsent.wav"]
    assert rows(home, "events") == 0


def test_run_once_sends_its_events_before_it_ends(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    with receiving() as phone:
        entries = [
            hook(receiver, tmp_path),
            {"name": "phone", "url": f"json://127.0.0.1:{phone.port}/", "on": "all", "gather": "1h"},
        ]
        home = make_home(sandbox.url, notify=entries)
        write_wav(home.inbox / "song.wav")
        assert home.command("run", "--once").returncode == 0
        assert receiver.kinds == ["daemon.started", "job.done"]
        assert [request.json["title"] for request in phone.requests] == [
            "lalald was started",
            "lalald: song.wav done, 0.1 min charged",
        ]


def test_a_receiver_that_hangs_does_not_keep_run_once_for_long(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    receiver.hang()
    home = make_home(sandbox.url, notify=[hook(receiver, tmp_path)])
    write_wav(home.inbox / "song.wav")
    assert home.command("run", "--once", seconds=30).returncode == 0


def test_a_program_and_secrets_on_a_dead_share_delay_nothing_else(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox
) -> None:
    def story() -> None:
        share = tmp_path / "share"
        share.mkdir()
        with receiving() as receiver, dead_mount(share):
            entries = [
                {"name": "program", "command": [str(share / "hook.sh")], "on": "all"},
                {"name": "signed", "webhook": receiver.url, "secret_file": str(share / "secret"), "on": "all"},
                {"name": "works", "webhook": receiver.url, "on": "all"},
            ]
            home = make_home(sandbox.url, notify=entries)
            home.start()
            write_wav(home.inbox / "song.wav")
            until(lambda: receiver.kinds == ["daemon.started", "job.done"], "the entry that works is told")
            assert home.command("health").returncode == 0
            assert home.stop() == 0
        assert home.logged("notify.dropped") == []

    in_own_mounts(story)


def test_a_name_server_that_never_answers_delays_no_stop(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    """The lookup itself waits for 30 seconds, and nothing can interrupt it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.99.0.1", 53))
        except OSError as error:
            pytest.skip(f"no name server here: {error.strerror}")
        server.settimeout(20.0)
        settings = tmp_path / "resolv.conf"
        settings.write_text("nameserver 127.99.0.1\noptions timeout:30 attempts:1\n")

        def story() -> None:
            subprocess.run(["mount", "--bind", str(settings), "/etc/resolv.conf"], check=True, close_fds=False)
            entry = {"name": "hook", "webhook": "http://receiver.example/", "on": "all"}
            home = make_home(sandbox.url, notify=[entry])
            home.start()
            assert b"receiver" in server.recv(512)
            assert home.stop() == 0

        in_own_mounts(story)


def test_an_inbox_and_a_key_that_vanish_and_return_are_reported(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver, sandbox: Sandbox
) -> None:
    key = tmp_path / "key"
    home = make_home(sandbox.url, notify=[hook(receiver, tmp_path, on="problems")], license_key_file=str(key))
    home.variables = {"LALALD_LICENSE_KEY": ""}
    home.start(environ={"LALALD_LICENSE_KEY": ""})
    until(lambda: receiver.kinds == ["license.missing"], "the missing key is told")
    home.inbox.rename(tmp_path / "away")
    until(lambda: receiver.kinds[-1] == "inbox.unavailable", "the inbox is told")
    (tmp_path / "away").rename(home.inbox)
    until(lambda: receiver.kinds[-1] == "inbox.back", "that it is back is told")
    key.write_text("a-key\n")
    until(lambda: receiver.kinds[-1] == "hold.cleared", "that the key is accepted is told", 40)
    home.stop()
    assert receiver.kinds == ["license.missing", "inbox.unavailable", "inbox.back", "hold.cleared"]
    assert receiver.requests[1].json["data"]["folder"] == str(home.inbox)


def test_paid_results_that_expire_soon_are_reported_once(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver
) -> None:
    """By a wall clock that is turned by nineteen hours while the results wait for a folder."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Sandbox(Options(processing_seconds=1000)) as sandbox:
        home = make_home(sandbox.url, notify=[hook(receiver, tmp_path, on="problems")], checks_per_minute=6000)
        home.daemon = ("-m", "tests.support.stepped_clock", str(home.config), str(clock))
        home.start()
        write_wav(home.inbox / "song.wav")
        until(lambda: home.jobs() and home.jobs()[0]["stage"] == "check", "the task is started")
        home.outbox.rename(tmp_path / "away")
        until(lambda: "folder.unavailable" in receiver.kinds, "the folder is told")
        sandbox.advance(1000)
        until(lambda: home.jobs()[0]["state"] == "held", "the job is held")
        clock.write_text(str(19 * 3600))
        home.stop()
        for _ in range(2):
            home.start()
            until(lambda: "results.expiring" in receiver.kinds, "the results are told")
            home.stop()
    assert receiver.kinds.count("results.expiring") == 1
    expiring = next(request.json for request in receiver.requests if request.json["type"] == "results.expiring")
    assert expiring["data"]["job"]["path"] == "song.wav"


def test_the_page_alone_keeps_events_for_its_log(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url, web={"listen": "unix:" + str(tmp_path / "web.sock"), "auth": "none"})
    home.start()
    write_wav(home.inbox / "song.wav")
    home.rest()
    home.stop()
    assert rows(home, "events") == 2
    assert rows(home, "event_readers") == 1


def test_an_outage_of_the_service_is_reported_after_15_minutes_and_so_is_its_end(
    tmp_path: Path, make_home: MakeHome, receiver: Receiver
) -> None:
    """By a wall clock that is turned: what waited long enough is told at the next start, too, and only proof ends an outage."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Sandbox(QUICK) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        home = make_home(sandbox.url, notify=[hook(receiver, tmp_path, on="problems")])
        home.daemon = ("-m", "tests.support.stepped_clock", str(home.config), str(clock))
        home.start()
    write_wav(home.inbox / "song.wav")
    until(lambda: home.logged("service.down"), "the daemon notices it")
    until(lambda: rows(home, "pending_events") == 1, "it is noted")
    clock.write_text("1000")
    home.stop()
    home.start()
    until(lambda: receiver.kinds == ["service.down"], "the outage is told")
    home.stop()
    home.start()
    with Sandbox(Options(processing_seconds=0.05, port=port)):
        until(lambda: receiver.kinds[-1] == "service.back", "its end is told", 60)
        home.stop()
    assert receiver.kinds == ["service.down", "service.back"]


def test_a_stop_ends_a_running_command_and_the_next_start_runs_it_once_more(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox
) -> None:
    command = [script(tmp_path, f'echo "$LALALD_EVENT_ID $$" >> {tmp_path}/runs; trap "" TERM; sleep 1000')]
    home = make_home(sandbox.url, notify=[{"name": "slow", "command": command, "on": ["daemon.started"]}])
    runs = tmp_path / "runs"

    def started(count: int) -> list[list[str]]:
        until(lambda: runs.exists() and runs.read_text().count("\n") == count, f"it runs for the time {count}")
        return [line.split() for line in runs.read_text().splitlines()]

    home.start()
    (first, pid) = started(1)[0]
    assert home.stop() == 0
    until(
        lambda: not Path(f"/proc/{pid}").exists() or "(zombie)" in Path(f"/proc/{pid}/status").read_text(),
        "it has ended",
    )
    home.start()
    assert [event for event, _ in started(2)] == [first, first]
    home.stop()
    home.start()
    assert started(3)[2][0] != first  # twice is enough
    home.stop()
