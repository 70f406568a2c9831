"""Killed at every commit point of every stage, and at random moments: the end is the same."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MakeHome
from killing import RULE, check_the_end, kill_again_and_again
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from running import Home, write_wav

QUEUE_SECONDS = 4.0  # while a task waits in the queue its key gives its id again; the next start comes within it
SAVES = 12  # of one job with two tasks; a run that is asked to die later ends by itself


@pytest.mark.parametrize("save", range(1, SAVES + 1))
def test_killed_inside_a_save_it_ends_the_same(save: int, make_home: MakeHome) -> None:
    with Sandbox(Options(queue_seconds=QUEUE_SECONDS, checks_per_minute=600)) as sandbox:
        _killed_inside(save, sandbox, make_home(sandbox.url, [RULE], checks_per_minute=600))


def _killed_inside(save: int, sandbox: Sandbox, home: Home) -> None:
    contents = {"ep1": write_wav(home.inbox / "ep1.wav")}
    dying = Path(__file__).with_name("dying.py")
    died = subprocess.run(
        [sys.executable, str(dying), str(home.config), str(save)],
        env=home.environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert died.returncode in (-signal.SIGKILL, 0), died.stderr.decode()

    answer = home.command("run", "--once")

    assert answer.returncode == 0, answer.stderr
    check_the_end(home, sandbox, contents)


def test_killed_at_random_moments_it_ends_the_same(make_home: MakeHome) -> None:
    with Sandbox(Options(queue_seconds=QUEUE_SECONDS, processing_seconds=0.3, checks_per_minute=600)) as sandbox:
        rates = {"uploads": 3, "downloads": 6, "download_rate": "2MB"}
        home = make_home(sandbox.url, [RULE], checks_per_minute=600, inbox={"existing": "take"}, transfers=rates)
        figures = kill_again_and_again(home, sandbox, random.Random(20), kills=8, files=8, seconds=5.0, longest=1.2)
    assert all(seconds < 2.0 for seconds in figures.stops)
    assert figures.charges == 16
