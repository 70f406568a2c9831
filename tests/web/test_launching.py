"""The daemon starts the page's process at the first connection; whatever happens to that process never touches the daemon."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest

from lalald.daemon.process.web_launcher import pause_after
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.page_client import PASSWORD, Frames, PageClient, address_of, logged_in, with_page
from tests.support.page_process import page_of
from tests.support.ports import free_port
from tests.support.running import Home, until, write_wav


@pytest.fixture
def home(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """With a page, and a daemon that runs."""
    home = with_page(make_home(sandbox.url))
    home.start()
    return home


def visit(home: Home) -> None:
    assert until(lambda: answered(home), "the page answers") == "ok\n"


def answered(home: Home) -> str:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address_of(home)}/healthz", timeout=20).text
    return ""


def is_well(home: Home) -> bool:
    return home.command("health").returncode == 0


def test_the_first_visit_starts_the_page_and_processing_continues(home: Home) -> None:
    assert page_of(home) is None
    visit(home)
    assert page_of(home) is not None
    with logged_in(home) as client:
        write_wav(home.inbox / "song.wav")
        until(lambda: client.facts("/api/status")["jobs"]["done"] == 1, "the song is done")


def test_its_process_has_no_secret_and_no_other_descriptor(home: Home) -> None:
    visit(home)
    pid = page_of(home)
    assert pid is not None
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert PASSWORD.encode() not in environ
    assert b"a-key" not in environ
    assert b"LALALD_" not in environ
    links = {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    assert {links[number] for number in (0, 1, 2)} == {"/dev/null"}
    others = {link.partition(":")[0].rpartition("/")[2] for number, link in links.items() if number > 2}
    assert others <= {"socket", "anon_inode", "lalald.sqlite3", "lalald.sqlite3-wal", "lalald.sqlite3-shm", "null"}
    assert sum(link.startswith("socket:") for link in links.values()) <= 8
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) == 500
    assert (
        os.stat(f"/proc/{pid}/environ").st_uid == 0
    )  # PR_SET_DUMPABLE 0: no other process of its user reads its memory


def test_a_page_that_is_killed_is_started_again_at_the_next_visit(home: Home) -> None:
    for _ in range(2):
        visit(home)
        pid = page_of(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: page_of(home) != gone, "it has ended")
        assert is_well(home)
    visit(home)
    assert home.logged("page.ended")[0]["exit_code"] == -signal.SIGKILL


def test_pauses_grow_while_a_page_fails_at_once_and_start_over_after_one_that_worked() -> None:
    pauses = list(accumulate(range(12), lambda pause, _: pause_after(pause, 0.1), initial=0.0))[1:]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert pause_after(300.0, 3600.0) == 1


def test_a_page_that_hangs_is_killed_and_holds_nothing_up(home: Home) -> None:
    visit(home)
    pid = page_of(home)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    write_wav(home.inbox / "song.wav")
    until((home.inbox / "done" / "song.wav").exists, "the song is done meanwhile")
    until(lambda: page_of(home) != pid, "two heartbeats were missed")
    assert is_well(home)
    visit(home)


def test_a_page_out_of_descriptors_answers_again_when_there_are_some(home: Home) -> None:
    visit(home)
    host, port = home.settings["web"]["listen"].split(":")
    crowd = []
    with suppress(OSError):
        crowd = [socket.create_connection((host, int(port)), timeout=5) for _ in range(400)]
    assert is_well(home)
    for one in crowd:
        one.close()
    visit(home)


def test_it_ends_with_the_daemon_however_that_ends(home: Home) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        visit(home)
        pid = page_of(home)
        assert pid is not None
        home.stop(number)
        until(lambda gone=pid: not Path(f"/proc/{gone}").exists(), "the page has ended, too")
        home.start()


def test_a_stop_after_a_visit_leaves_the_database_merged(home: Home) -> None:
    visit(home)
    with logged_in(home) as client, client.stream("GET", "/api/events") as response:
        assert Frames(response).next()[0] == "snapshot"
        assert home.stop() == 0
        assert sorted(path.name for path in home.state.glob("lalald.sqlite3*")) == ["lalald.sqlite3"]


def test_whatever_keeps_the_page_from_starting_the_daemon_works(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = with_page(make_home(sandbox.url))
    home.command("run", "--once")
    key = home.state / "web-key"
    key.write_text("[" * 200_000)
    home.start()
    assert attention(home) == ["page_unavailable", "1"]
    write_wav(home.inbox / "song.wav")
    until((home.inbox / "done" / "song.wav").exists, "the song is done")
    key.unlink()
    visit(home)
    until(lambda: attention(home) == ["0"], "the page is there")


def test_an_open_page_is_notified_when_the_daemon_stops(home: Home) -> None:
    visit(home)
    with logged_in(home) as client, client.stream("GET", "/api/events") as response:
        frames = Frames(response)
        assert frames.next()[0] == "snapshot"
        home.stop()
        assert frames.until("end") == {"reason": "restart"}
    home.start()
    with logged_in(home) as client:
        assert client.facts("/api/status")["daemon"]["running"]


def test_wrong_passwords_are_counted_across_processes(home: Home) -> None:
    with PageClient(address_of(home)) as client:
        until(lambda: answered(home), "the page answers")
        for _ in range(10):
            assert client.log_in_wrongly().status_code == 401
        assert client.log_in("not the password").status_code == 429
    pid = page_of(home)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    until(lambda: page_of(home) is None, "it has ended")
    with PageClient(address_of(home)) as client:
        until(lambda: answered(home), "the page answers")
        assert client.log_in().status_code == 429


def test_a_session_outlives_the_process_and_ends_with_the_password(home: Home) -> None:
    visit(home)
    with logged_in(home) as client:
        pid = page_of(home)
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        until(lambda: page_of(home) is None, "it has ended")
        visit(home)
        assert client.get("/api/session").status_code == 200
        home.stop()
        home.variables["LALALD_WEB_PASSWORD"] = "another-password"
        home.start()
        visit(home)
        assert client.get("/api/session").json()["code"] == "login_required"


def attention(home: Home) -> list[str]:
    import json

    answer = home.command("status", "--json")
    return [item["code"] for item in json.loads(answer.stdout)["needs_attention"]] + [str(answer.returncode)]


def test_a_page_that_cannot_run_is_reported_and_tried_again(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = with_page(make_home(sandbox.url))
    password = home.root / "password"
    del home.variables["LALALD_WEB_PASSWORD"]
    home.settings["web"]["password_file"] = str(password)
    home.write_config()
    checked = home.command("check-config")
    assert checked.returncode == 2
    assert (
        f"  web.password_file: there is no such file in {home.root}. Put the password into that file." in checked.stderr
    )
    checked = home.command("check-config", environ={"LALALD_WEB_PASSWORD": "short"})
    assert "  LALALD_WEB_PASSWORD: it has fewer than 10 characters" in checked.stderr
    assert "web.listen" not in checked.stderr
    home.start()
    assert attention(home) == ["page_unavailable", "1"]
    password.write_text("too short\n")
    assert "page_unavailable" in attention(home)
    password.write_text(f"{PASSWORD}\n")
    visit(home)
    assert attention(home) == ["0"]


def test_a_port_in_use_stops_only_the_page(make_home: MakeHome, sandbox: Sandbox) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        home = with_page(make_home(sandbox.url), listen=f"127.0.0.1:{other.getsockname()[1]}")
        home.start()
        assert attention(home) == ["page_unavailable", "1"]
    visit(home)


def reload(home: Home, event: str, **web: Any) -> None:
    home.settings["web"] = {**home.settings["web"], **web}
    home.write_config()
    before = len(home.logged(event))
    assert home.process is not None
    home.process.send_signal(signal.SIGHUP)
    until(lambda: len(home.logged(event)) > before, event)


def test_a_reload_moves_the_page_and_rejects_one_without_a_password(home: Home, tmp_path: Path) -> None:
    visit(home)
    old, port = address_of(home), free_port()
    reload(home, "config.reloaded", listen=f"127.0.0.1:{port}")
    visit(home)
    until(lambda: is_refused(f"{old}/healthz"), "the former address is closed")
    reload(home, "config.rejected", read_token_file=str(tmp_path / "nothing"))
    visit(home)
    reload(home, "config.reloaded", read_token_file=None, listen=None)
    until(lambda: is_refused(f"http://127.0.0.1:{port}/healthz"), "the page is off")


def test_a_reload_keeps_the_address_of_a_page_that_is_open(home: Home) -> None:
    visit(home)
    with logged_in(home) as client, client.stream("GET", "/api/events") as response:
        frames = Frames(response)
        assert frames.next()[0] == "snapshot"
        reload(home, "page.listening")
        assert frames.until("end") == {"reason": "restart"}
    assert not home.logged("page.unavailable")
    visit(home)


def is_refused(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return True
    return False


def test_a_unix_socket_is_for_its_user_and_group(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    path = home.root / "web.sock"
    home.settings["web"] = {"listen": f"unix:{path}", "auth": "none"}
    home.write_config()
    home.start()
    until(path.exists, "the socket is there")
    assert path.stat().st_mode & 0o777 == 0o660
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/api/status").json()["daemon"]["running"]
        streams = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
        with ExitStack() as stack:
            for headers in streams * 4:  # four each, though there are no sessions
                response = stack.enter_context(client.stream("GET", "/api/events", headers=headers))
                assert response.status_code == 200
            assert client.get("/api/events", headers=streams[0]).status_code == 429
    home.stop()
    assert not path.exists()


def test_the_page_of_another_user_than_root_takes_files_in_and_gives_results_out(
    sandbox: Sandbox, of_unprivileged_user: Callable[[Home], Home], open_folder: Path
) -> None:
    """Its process cannot be dumped: what the kernel then keeps from it in /proc must not be needed."""
    home = of_unprivileged_user(Home(open_folder / "home", sandbox.url))
    with_page(home)
    content = write_wav(open_folder / "made.wav", pitch=610)
    home.start()
    try:
        visit(home)
        with logged_in(home) as client:
            begun = client.post(
                "/api/uploads", json={"inbox": str(home.inbox), "path": "new/song.wav", "size": len(content)}
            )
            assert begun.status_code == 201, begun.text
            headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
            sent = client.patch(f"/api/{begun.headers['location']}", content=content, headers=headers)
            assert sent.status_code == 204, sent.text
            until(lambda: client.facts("/api/status")["jobs"]["done"] == 1, "the song is done")
            assert client.get("/api/jobs/1/tracks/1").status_code == 200
            assert client.get("/api/jobs/1/results.zip").status_code == 200
    finally:
        home.kill()
