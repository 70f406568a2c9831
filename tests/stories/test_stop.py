"""SIGTERM while disks and network stall: the daemon ends in time."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.conftest import MakeHome
from tests.support.private_mounts import Filler, dead_mount, in_own_mounts, mount_disk
from tests.support.running import MOST_STOP_SECONDS, Home, size_below, tree, until, write_wav

LARGE_BYTES = 12_000_000  # more than the sockets of both ends take while nothing reads


def stopped_in_time(home: Home) -> None:
    began_at = time.monotonic()
    assert home.stop() == 0
    assert time.monotonic() - began_at < MOST_STOP_SECONDS


@pytest.mark.parametrize(
    ("place", "watch"), [("inbox", "polling"), ("inbox", "native"), ("inbox/below", "native"), ("outbox", "polling")]
)
def test_a_dead_mount_does_not_delay_a_stop(tmp_path: Path, place: str, watch: str) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url, inbox={"watch": watch, "poll_interval": "1s"})
            (home.root / place).mkdir(exist_ok=True)
            sandbox.faults("upload:hang*0")
            home.start()
            write_wav(home.inbox / "ep1.wav")
            until(lambda: sandbox.state()["counts"].get("upload"), "the upload is on its way")
            with dead_mount(home.root / place):
                sandbox.faults()
                home.command("rescan")
                until(lambda: waits_for_fuse(home), "a thread of the daemon waits for it")
                stopped_in_time(home)

    in_own_mounts(story)


def waits_for_fuse(home: Home) -> bool:
    """Whether a thread of the daemon waits for an answer that never comes, where the kernel tells what threads wait for."""
    assert home.process is not None
    output = set()
    for thread in os.listdir(f"/proc/{home.process.pid}/task"):
        with suppress(OSError):  # it has ended meanwhile
            output.add(Path(f"/proc/{home.process.pid}/task/{thread}/wchan").read_text())
    return output <= {"", "0"} or any("fuse" in place or "request_wait" in place for place in output)


@pytest.mark.parametrize("place", ["inbox", "outbox"])
def test_a_dead_mount_at_the_start_does_not_delay_the_rest(tmp_path: Path, place: str) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path / "dead", sandbox.url)
            other = Home(tmp_path / "other", sandbox.url)
            home.settings["inboxes"].append(other.settings["inboxes"][0])
            home.write_config()
            with dead_mount(home.root / place):
                home.start()
                if place == "inbox":
                    assert home.logged("inbox.first_scan_delayed")[0]["inboxes"] == [str(home.inbox)]
                write_wav(other.inbox / "ep1.wav")
                until(lambda: tree(other.outbox) == ["ep1/no_vocals.wav", "ep1/vocals.wav"], "the others go on")
                stopped_in_time(home)

    in_own_mounts(story)


def test_reloads_remove_and_add_an_unresponsive_inbox_without_waiting(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path / "dead", sandbox.url)
            other = Home(tmp_path / "other", sandbox.url)
            dead, alive = home.settings["inboxes"][0], other.settings["inboxes"][0]
            home.settings["inboxes"] = [dead, alive]
            home.write_config()
            with dead_mount(home.inbox):
                process = home.start()
                for number, inboxes in enumerate(([alive], [alive, dead], [alive])):
                    home.settings["inboxes"] = inboxes
                    home.write_config()
                    process.send_signal(signal.SIGHUP)
                    until(lambda: len(home.logged("config.reloaded")) > number, "the reload", seconds=10)  # noqa: B023
                write_wav(other.inbox / "ep1.wav")
                until(lambda: tree(other.outbox) == ["ep1/no_vocals.wav", "ep1/vocals.wav"], "the others go on")
                assert home.command("health").returncode == 0, "no watchdog ends it for that"
                stopped_in_time(home)

    in_own_mounts(story)


def test_a_full_state_folder_does_not_delay_a_stop(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            mount_disk(home.state, "16m")
            home.start()
            filler = Filler(home.state)
            filler.fill()
            write_wav(home.inbox / "ep1.wav")
            until(lambda: home.logged("store.not_written"), "the file cannot be remembered")
            output = home.command("health")
            assert output.returncode == 1, "it needs a person; 3 would say that it is dead"
            assert "No space left on device" in output.stderr
            stopped_in_time(home)
            filler.empty()
            home.start()
            (job,) = home.rest()
            assert job["state"] == "done"
            home.stop()

    in_own_mounts(story)


def test_a_stalled_upload_does_not_delay_a_stop_and_is_sent_again(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    sandbox.faults("upload:hang*0")
    home.start()
    write_wav(home.root / "ep1.wav")
    os.truncate(home.root / "ep1.wav", LARGE_BYTES)
    (home.root / "ep1.wav").rename(home.inbox / "ep1.wav")
    until(lambda: sandbox.state()["counts"].get("upload"), "its body is on its way")
    stopped_in_time(home)
    sandbox.faults()
    home.start()
    (job,) = home.rest()
    assert (job["state"], len(sandbox.state()["charges"])) == ("done", 1)


@pytest.mark.parametrize("fault", ["hang*0", "slow*0,bytes_per_second=4000"])
def test_a_stalled_download_does_not_delay_a_stop_and_is_resumed(
    sandbox: Sandbox, make_home: MakeHome, fault: str
) -> None:
    home = make_home(sandbox.url)
    sandbox.faults(f"download:{fault}")
    home.start()
    content = write_wav(home.inbox / "ep1.wav")
    until(lambda: sandbox.state()["counts"].get("download") == 2, "both tracks are on their way")
    staged = home.outbox / ".lalald-staging"
    if fault.startswith("slow"):
        until(lambda: size_below(staged), "a part has arrived")
    stopped_in_time(home)
    sandbox.faults()
    home.start()
    (job,) = home.rest()
    assert job["state"] == "done"
    state = sandbox.state()
    resumed = [request for request in state["requests"] if request["operation"] == "download" and request["range"]]
    assert bool(resumed) == fault.startswith("slow")
    assert {request["status"] for request in resumed} <= {206}
    assert len(state["charges"]) == 1
    assert (home.outbox / "ep1/vocals.wav").read_bytes() == track_bytes(content, "vocals", "ep1.wav")
