"""Killed at every commit point of every stage, and at random moments: the end is the same."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeHome
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.tracks import track_bytes
from running import Home, tree, until, write_wav

RULE: dict[str, Any] = {
    "name": "both",
    "output": "{dir}/{name}/{task}/{label}.{ext}",
    "manifest": True,
    "tasks": [
        {"name": "voice", "mode": "voice_clean"},
        {"name": "band", "mode": "multistem", "presets": {"stem_list": ["drum", "bass"]}},
    ],
}
DELIVERED = {"band/bass.wav", "band/drum.wav", "band/no_multistem.wav", "voice/no_voice.wav", "voice/voice.wav"}
QUEUE_SECONDS = 4.0  # while a task waits in the queue its key gives its id again; the next start comes within it
SAVES = 12  # of one job with two tasks; a run that is asked to die later ends by itself


def check_the_end(home: Home, sandbox: Sandbox, contents: dict[str, bytes]) -> None:
    """Every file delivered once and whole, charged once, its source filed; nothing left over anywhere."""
    expected = {f"{name}/{path}" for name in contents for path in (*DELIVERED, "lalald.json")}
    assert set(tree(home.outbox)) == expected
    for name, content in contents.items():
        for path in DELIVERED:
            label = Path(path).stem
            assert (home.outbox / name / path).read_bytes() == track_bytes(content, label, f"{name}.wav")
        assert (home.inbox / "done" / f"{name}.wav").read_bytes() == content
    assert tree(home.inbox) == sorted(f"done/{name}.wav" for name in contents)
    state = sandbox.state(requests=False)
    digests = Counter(charge["sha256"] for charge in state["charges"])
    assert len(digests) == len(contents)
    assert set(digests.values()) == {2}, "each file is charged for its two tasks, once"
    finished = {charge["source_id"] for charge in state["charges"]}
    assert all(source["deleted_at"] for source in state["sources"] if source["id"] in finished)


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
    chance = random.Random(20)
    with Sandbox(Options(processing_seconds=0.3, checks_per_minute=600)) as sandbox:
        home = make_home(sandbox.url, [RULE], checks_per_minute=600)
        contents = {f"ep{n}": write_wav(home.inbox / f"ep{n}.wav", pitch=200 + n) for n in range(6)}
        for _ in range(8):
            process = home.start(wait=False)
            time.sleep(chance.uniform(0.3, 1.6))  # the moment of the kill is what is tested
            process.kill()
            process.wait()
        home.start()
        until(lambda: tree(home.inbox) == sorted(f"done/{name}.wav" for name in contents), "every source was filed")
        home.stop()
        check_the_end(home, sandbox, contents)
