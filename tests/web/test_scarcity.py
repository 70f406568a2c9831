"""Processes that may open no further file: they wait without using the processor, and work on once they may."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.page_client import PageClient, address_of, logged_in, with_page
from tests.support.page_process import page_of
from tests.support.running import Home, until, write_wav

WATCHED_SECONDS = 1.5
LARGEST_SHARE = 0.5  # of a core; a loop without a pause uses a whole one


@pytest.fixture
def home(make_home: MakeHome, sandbox: Sandbox) -> Home:
    if os.geteuid() != 0:
        pytest.skip("only root may change the limits of a process that cannot be dumped")
    home = with_page(make_home(sandbox.url))
    home.start()
    return home


def answered(home: Home) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address_of(home)}/healthz", timeout=20).text == "ok\n"
    return False


@contextmanager
def without_descriptors(pid: int, more: int) -> Iterator[None]:
    """The process may open so many more files."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    free = [number for number in range(len(in_use) + more + 1) if number not in in_use]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[more], hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def processor_share(pid: int) -> float:
    """Of one core, for a while."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began_at = used(), time.monotonic()
    time.sleep(WATCHED_SECONDS)  # what is measured
    return (used() - before) / (time.monotonic() - began_at)


def test_a_page_that_may_open_nothing_rests_and_works_on(home: Home) -> None:
    until(lambda: answered(home), "the page answers")
    pid = page_of(home)
    assert pid is not None
    host, port = home.settings["web"]["listen"].split(":")
    with logged_in(home) as client, ExitStack() as stack:
        assert client.get("/api/jobs").status_code == 200
        with without_descriptors(pid, 4):
            for _ in range(30):
                crowd = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
                crowd.sendall(b"GET /")
            assert processor_share(pid) < LARGEST_SHARE
            assert home.command("health").returncode == 0
            write_wav(home.inbox / "song.wav")
            until((home.inbox / "done" / "song.wav").exists, "the song is done meanwhile")
        stack.close()
        until(lambda: answered(home), "the page answers")
        assert client.facts("/api/status")["jobs"]["done"] == 1
        assert client.get("/api/jobs/1/tracks/1").status_code == 200
    assert page_of(home) == pid


def test_a_page_that_can_open_no_file_says_so(home: Home) -> None:
    write_wav(home.inbox / "song.wav")
    until((home.inbox / "done" / "song.wav").exists, "the song is done")
    until(lambda: answered(home), "the page answers")
    pid = page_of(home)
    assert pid is not None
    with logged_in(home) as client:
        assert client.get("/api/jobs/1").status_code == 200
        with without_descriptors(pid, 0):
            for path in ("/api/jobs/1/tracks/1", "/api/jobs/1/results.zip", "/api/jobs/1", "/api/plan", "/"):
                answer = client.get(path)
                assert answer.status_code in (200, 503), (path, answer.text)
            begun = {"inbox": str(home.inbox), "path": "new.wav", "size": 5}
            assert client.post("/api/uploads", json=begun).status_code == 503
        assert client.get("/api/jobs/1/tracks/1").status_code == 200
    assert home.logged("page.fault") == []


def test_a_daemon_that_may_open_nothing_rests_and_starts_the_page_later(home: Home) -> None:
    assert home.process is not None
    pid = home.process.pid
    before = len(os.listdir(f"/proc/{pid}/fd"))
    with PageClient(address_of(home)) as client, without_descriptors(pid, 1):
        with suppress(httpx.TransportError):
            client.get("/healthz", timeout=2)
        assert processor_share(pid) < LARGEST_SHARE
        assert page_of(home) is None
    until(lambda: answered(home), "the page answers")
    until(lambda: home.command("health").returncode == 0, "the daemon says that it is there")
    assert len(os.listdir(f"/proc/{pid}/fd")) <= before + 2  # the pipe to the page
