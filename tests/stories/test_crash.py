"""Killed at random moments, and while a request is handled: the end is the same."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support import SUPPORT
from tests.support.random_kills import RULE, kill_again_and_again
from tests.support.running import MOST_STOP_SECONDS, Home, tree, until, write_wav

QUEUE_SECONDS = 4.0  # while a task waits in the queue its key gives its id again; the next start comes within it


def test_killed_at_random_moments_it_ends_the_same(make_home: MakeHome) -> None:
    with Sandbox(Options(queue_seconds=QUEUE_SECONDS, processing_seconds=0.3, checks_per_minute=600)) as sandbox:
        rates = {"uploads": 3, "downloads": 6, "download_rate": "2MB"}
        home = make_home(sandbox.url, [RULE], checks_per_minute=600, inbox={"existing": "take"}, transfers=rates)
        figures = kill_again_and_again(home, sandbox, random.Random(20), kills=8, files=8, seconds=5.0, longest=1.2)
    assert all(seconds < MOST_STOP_SECONDS for seconds in figures.stops)
    assert figures.charges == 16


def die_inside(number: int, home: Home, moment: str = "save") -> None:
    """A run that is killed inside its N-th save, or at another moment, or ends before."""
    dying = SUPPORT.joinpath("crash_points.py")
    command = [sys.executable, str(dying), str(home.config), moment, str(number)]
    died = subprocess.run(command, env=home.environ, capture_output=True, timeout=60, check=False)
    assert died.returncode in (-signal.SIGKILL, 0, 1), died.stderr.decode()


@pytest.mark.parametrize(("change", "is_written"), [(3, False), (4, True)])
def test_killed_around_the_first_marker_of_an_inbox_its_files_are_not_held(
    sandbox: Sandbox, make_home: MakeHome, change: int, is_written: bool
) -> None:
    """A marker that the database did not know would be another database's, which may have paid for what is there."""
    home = make_home(sandbox.url)
    write_wav(home.inbox / "ep1.wav")
    die_inside(change, home, "inbox")
    assert ((home.inbox / ".lalald").exists(), home.jobs()) == (is_written, [])
    home.start()
    assert [job["state"] for job in home.rest()] == ["done"]
    home.stop()
    assert home.logged("inbox.watched_before") == []


@pytest.mark.parametrize("save", [1, 2])
def test_killed_while_a_cancel_or_a_retry_is_handled_it_ends_the_same(save: int, make_home: MakeHome) -> None:
    with Sandbox(Options(queue_seconds=QUEUE_SECONDS, checks_per_minute=600, processing_seconds=3600)) as sandbox:
        home = make_home(sandbox.url, checks_per_minute=600)
        content = write_wav(home.inbox / "ep1.wav")
        home.start()
        until(lambda: sandbox.state()["charges"], "the task is started")
        until(lambda: home.logged("job.started"), "and its id is known")
        home.kill()
        assert home.command("cancel", "1").returncode == 0
        die_inside(save, home)
        home.command("run", "--once")
        (job,) = home.jobs()
        assert (job["state"], job["request"]) == ("cancelled", None)
        assert (home.inbox / "ep1.wav").read_bytes() == content
        assert [task["status"] for task in sandbox.state()["tasks"]] == ["cancelled"]

        assert home.command("retry", "1").returncode == 0
        die_inside(save, home)
        home.start()
        until(lambda: len(sandbox.state()["charges"]) == 2, "it is paid again, as requested")
        until(lambda: home.jobs()[0]["stage"] == "check", "and its id is known")
        sandbox.decide(sandbox.state()["tasks"][-1]["id"], "success")
        until(lambda: tree(home.inbox) == ["done/ep1.wav"], "the source is filed")
        home.stop()
        assert len(sandbox.state()["charges"]) == 2
