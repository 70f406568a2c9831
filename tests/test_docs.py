"""What the README shows works: every YAML block is loaded, every command is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import MakeHome
from lalald.config import load
from lalald.jobs import Failed, Held, Hold, Stage
from lalald.moves import after
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from running import Home, write_wav

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = sorted(
    {
        line.split(" #")[0].strip()
        for block in blocks("sh")[2:]
        for line in block.splitlines()
        if line.startswith("lalald ") and not line.startswith(("lalald run", "lalald sandbox"))
    }
)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_configuration_in_the_readme_loads(block: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block, encoding="utf-8")
    config = load(path, {"HOME": str(tmp_path)})
    assert config.inboxes
    assert config.inboxes[0].rules


def test_the_first_two_blocks_are_the_newcomers_commands() -> None:
    demo, tests = blocks("sh")[:2]
    assert demo.count("\n") == tests.count("\n") == 1
    assert demo.startswith("python3 -m venv ")
    assert demo.endswith("/lalald demo\n")
    assert tests.endswith("/python -m pytest\n")


@pytest.fixture
def home_with_jobs(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """A home whose job 1 is done, 2 failed, 3 and 4 are held; its folder is ~/lalald."""
    home = make_home(sandbox.url)
    for number in range(1, 5):
        write_wav(home.inbox / f"song{number}.wav", seconds=0.2, pitch=200 + number)
    assert home.command("run", "--once").returncode == 0
    store = Store.open(home.state)
    for job_id in (2, 3, 4):
        job = store.job(job_id)
        assert job is not None
        outcome = Failed("it did not work") if job_id == 2 else Held(Hold.MINUTES, "too long")
        store.save(job, replace(after(job, outcome, job.updated_at), stage=Stage.SPLIT))
    store.close()
    (home.root / "lalald").symlink_to(home.root)
    write_wav(home.inbox / "song.mp3", seconds=0.2)
    return home


JOB_FOR = {"show": "1", "redo": "1", "retry": "2", "cancel": "3", "release": "4"}


def test_every_command_in_the_readme_is_understood(home_with_jobs: Home) -> None:
    home = home_with_jobs
    environ = {"HOME": str(home.root), "TERM": "dumb"}
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        words = [word.replace("~", str(home.root), 1) for word in shlex.split(command)[1:]]
        words = [JOB_FOR[words[0]] if word == "12" else word for word in words]
        if words[0] == "init":
            words[1] = str(home.root / "fresh")
        answer = home.command(*words, environ=environ)
        assert answer.returncode in (0, 1, 3), f"{command}: {answer.stderr}"
        assert "Traceback" not in answer.stderr, command
        assert answer.stdout or answer.stderr, command


def test_five_minutes_with_a_key(tmp_path: Path, sandbox: Sandbox) -> None:
    """`init`, a key, `check-config`, a song, `run`: in the README's order, against a sandbox."""
    folder = tmp_path / "lalald"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LALALD_API_URL": sandbox.url,
        "LALALD_CONFIG": str(folder / "config.yaml"),
    }

    def lalald(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lalald", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    made = lalald("init", str(folder))
    assert made.returncode == 0, made.stderr
    (folder / "license-key").write_text("a-real-looking-key\n", encoding="utf-8")
    checked = lalald("check-config")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    write_wav(folder / "inbox" / "song.wav")
    carried = lalald("run", "--once")
    assert carried.returncode == 0, carried.stderr
    assert sorted(path.name for path in (folder / "outbox" / "song").iterdir()) == ["no_vocals.wav", "vocals.wav"]
    assert (folder / "inbox" / "done" / "song.wav").exists()
