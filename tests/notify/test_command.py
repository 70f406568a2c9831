"""Commands: facts reach them as data, they end with all that they started, and only trusted programs are run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lalald.clock import Clock
from lalald.jobs.event_facts import Event, Fact
from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels import command
from lalald.notify.channels.process_guard import GRACE_SECONDS
from lalald.notify.channels.results import Failed, Refused, Result, Sent
from lalald.notify.channels.senders import Surroundings, run_bounded, run_command
from lalald.notify.samples import sample_event
from tests.notify.support import entry
from tests.support.processes import descendants, is_running, words_of
from tests.support.running import until

ODD = os.fsdecode(b"a \"b\" 'c' $(touch pwned) `x`; rm -rf *\nnew line \xe9.mp3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


def script(folder: Path, body: str, name: str = "hook.sh") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncd {folder}\n{body}\n")
    path.chmod(0o755)
    return str(path)


def event_about(path: str, **data: Any) -> Event:
    job = {"id": 7, "inbox": "/in", "path": path, "rule": "stems", "stage": "done", "minutes": 2.5}
    fact = Fact.of(
        EventKind.JOB_DONE, "job 7", 0.0, {"job": job, "output": "/out/x", "source": "/in/done/x", "tracks": [], **data}
    )
    return Event(1, "ab" * 16, fact)


def run(words: list[str], event: Event | None = None, seconds: float = 20.0, **environ: str) -> Result:
    around = Surroundings({"PATH": os.environ["PATH"], **environ}, Clock(), run_bounded)
    return asyncio.run(run_command(entry(command=tuple(words), timeout=seconds), around, event or event_about("x.mp3")))


def test_names_with_newlines_and_quotes_are_data(folder: Path) -> None:
    words = [
        script(folder, 'printf %s "$LALALD_PATH" > path; printf %s "$1" > argument; cat > input'),
        "$(touch pwned); 'x'",
    ]
    assert run(words, event_about(ODD)) == Sent()
    assert (folder / "path").read_bytes() == os.fsencode(f"/in/{ODD}")
    assert (folder / "argument").read_text() == "$(touch pwned); 'x'"
    said = json.loads((folder / "input").read_bytes())
    assert said["data"]["job"]["path"] == ODD.replace("\udce9", "\\xe9")
    assert not (folder / "pwned").exists()


def test_what_a_command_finds_in_its_environment(folder: Path) -> None:
    words = [script(folder, "env -0 > env")]
    secrets = {
        "LALALD_LICENSE_KEY": "a-key",
        "LALALD_WEB_PASSWORD": "b",
        "CREDENTIALS_DIRECTORY": "/c",
        "NOTIFY_SOCKET": "/n",
        "AWS_SECRET": "d",
    }
    assert run(words, HOME="/h", LANG="C.UTF-8", LC_TIME="de", TZ="UTC", **secrets) == Sent()
    found = dict(line.split("=", 1) for line in (folder / "env").read_text().split("\0") if line)
    assert {name: value for name, value in found.items() if name.startswith("LALALD_")} == {
        "LALALD_EVENT": "job.done", "LALALD_EVENT_ID": f"evt_{'ab' * 16}", "LALALD_COUNT": "1", "LALALD_JOB_ID": "7",
        "LALALD_RULE": "stems", "LALALD_INBOX": "/in", "LALALD_PATH": "/in/x.mp3", "LALALD_MINUTES": "2.5",
        "LALALD_SOURCE": "/in/done/x", "LALALD_OUTPUT": "/out/x",
    }  # fmt: skip
    assert set(found) - set(filter(lambda name: name.startswith("LALALD_"), found)) <= {
        "PATH", "HOME", "LANG", "LC_TIME", "TZ", "PWD", "OLDPWD", "SHLVL", "_",
    }  # fmt: skip


def test_every_event_can_be_given_to_a_command(folder: Path) -> None:
    words = [script(folder, "cat >> all; echo >> all")]
    for kind in EventKind:
        assert run(words, sample_event(kind, 0.0)) == Sent()
    assert [json.loads(line)["type"] for line in (folder / "all").read_text().splitlines()] == [
        str(kind) for kind in EventKind
    ]


def test_a_command_inherits_no_descriptors(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        assert run([script(folder, "ls /proc/$$/fd > fds")]) == Sent()
    finally:
        os.close(held)
    assert str(held) not in (folder / "fds").read_text().split()


def test_the_failure_of_a_command_is_reported_with_its_last_line(folder: Path) -> None:
    assert run([script(folder, "echo first; echo 'no such\x1b[31m album' >&2; exit 3")]) == Failed(
        "exit code 3; its last line: no such[31m album"
    )
    assert run([script(folder, "kill -9 $$")]) == Failed("killed by signal 9")


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip(), f"{path.name} is written"))


def test_a_command_that_never_ends_is_killed_with_its_children(folder: Path) -> None:
    body = "trap '' TERM; sleep 1000 & echo $! > child; (trap '' TERM; sleep 1000) & echo $$ > self; while :; do sleep 1; done"
    began = time.monotonic()
    assert run([script(folder, body)], seconds=0.5) == Failed("it was killed after 0.5 seconds")
    assert time.monotonic() - began < 10
    for name in ("child", "self"):
        until(lambda name=name: not is_running(pid_in(folder / name)), f"the {name} has ended")


def test_a_command_that_ends_when_asked_is_not_waited_for(folder: Path) -> None:
    def seconds_to_end() -> float:
        began = time.monotonic()
        run([script(folder, "trap 'exit 0' TERM; while :; do sleep 0.05; done")], seconds=0.3)
        return time.monotonic() - began

    assert any(seconds_to_end() < GRACE_SECONDS for _ in range(8))  # on a busy machine one of several tries


def test_what_a_command_leaves_running_ends_with_it(folder: Path) -> None:
    assert run([script(folder, "sleep 1000 & echo $! > child")]) == Sent()
    until(lambda: not is_running(pid_in(folder / "child")), "the child has ended")


def escaping(folder: Path, rest: str) -> str:
    """A command whose child leaves its group and session, and loses its parent, as a program does that becomes a daemon."""
    script(folder, "trap '' TERM HUP\necho $$ > escaped\nexec sleep 1000", "escape.sh")
    return script(folder, f"(setsid ./escape.sh &)\nwhile [ ! -s escaped ]; do sleep 0.01; done\n{rest}")


@pytest.mark.parametrize(("rest", "seconds"), [("exit 0", 20.0), ("echo $$ > self; exec sleep 1000", 4.0)])
def test_what_moves_to_a_session_of_its_own_ends_with_the_command(folder: Path, rest: str, seconds: float) -> None:
    result = run([escaping(folder, rest)], seconds=seconds)
    assert result == (Sent() if rest == "exit 0" else Failed("it was killed after 4 seconds"))
    assert not is_running(pid_in(folder / "escaped"))


RUNS = """
import asyncio, sys
from lalald.notify.channels import command
from lalald.notify.samples import sample_event
from lalald.jobs.event_kinds import EventKind
print(asyncio.run(command.run(sys.argv[1:], sample_event(EventKind.JOB_DONE, 0.0), timeout_seconds=60, environ={"PATH": "/usr/bin:/bin"})))
"""


@pytest.mark.parametrize("killed", ["daemon", "guard"])
def test_a_kill_of_the_daemon_or_of_the_guard_ends_the_command(folder: Path, killed: str) -> None:
    """Else the next daemon would run it beside the first."""
    program = escaping(folder, "trap '' TERM\necho $$ > self\nexec sleep 1000")
    with subprocess.Popen([sys.executable, "-c", RUNS, program], stdout=subprocess.PIPE, text=True) as daemon:
        pids = [pid_in(folder / name) for name in ("self", "escaped")]
        (guard,) = [pid for pid in descendants(daemon.pid) if "process_guard" in words_of(pid)]
        os.kill(guard if killed == "guard" else daemon.pid, signal.SIGKILL)
        said = daemon.communicate()[0]
    until(lambda: not is_running(pids[0]), "the command has ended")
    if killed == "daemon":
        until(lambda: not is_running(pids[1]) and not is_running(guard), "and so has all else")
    else:
        assert said == "Failed(reason='killed by signal 9')\n"
        os.kill(pids[1], signal.SIGKILL)


def test_a_stop_of_the_daemon_ends_a_command_at_once(folder: Path) -> None:
    words = [script(folder, "trap '' TERM; sleep 1000 & echo $! > child; wait")]

    async def stopped() -> float:
        running = asyncio.create_task(
            command.run(words, event_about("x"), timeout_seconds=60, environ={"PATH": os.environ["PATH"]})
        )
        await asyncio.to_thread(pid_in, folder / "child")
        began = time.monotonic()
        running.cancel()
        await asyncio.wait([running])
        return time.monotonic() - began

    assert asyncio.run(stopped()) < GRACE_SECONDS
    until(lambda: not is_running(pid_in(folder / "child")), "the child has ended")


def test_a_command_that_says_without_end_takes_no_memory(folder: Path) -> None:
    assert run([script(folder, "head -c 50000000 /dev/zero; exit 1")]) == Failed("exit code 1")


def test_a_command_that_does_not_read_its_input_is_fine(folder: Path) -> None:
    assert run([script(folder, "exec <&-; exit 0")], event_about("x.mp3", tracks=["y" * 2_000_000])) == Sent()


def problem(path: str) -> str:
    found = command.program_problem(path)
    assert found is not None
    return found


def test_only_a_program_that_no_other_user_can_change_is_run(folder: Path) -> None:
    path = script(folder, "touch ran")
    assert command.program_problem(path) is None
    for place in (Path(path), folder):
        for bit in (0o020, 0o002):
            before = place.stat().st_mode
            place.chmod(before | bit)
            assert problem(path) == f"{place} can be written by other users; `chmod go-w` keeps it to its owner"
            assert run([path]) == Refused(problem(path))
            place.chmod(before)
    assert not (folder / "ran").exists()


def test_what_can_be_no_program(folder: Path) -> None:
    plain = folder / "plain"
    plain.write_text("x")
    assert problem(str(plain)).startswith(f"{plain} is not executable by user")
    assert problem(str(folder)) == f"{folder} is not a file"
    assert problem(str(folder / "none")) == f"{folder / 'none'} cannot be run: No such file or directory"
    plain.chmod(0o755)
    assert run([str(plain)]) == Refused(f"{plain} could not be started: Exec format error")


def test_a_link_is_followed_to_what_it_names(folder: Path) -> None:
    (folder / "open").mkdir(mode=0o777)
    (folder / "open").chmod(0o777)
    path = script(folder / "open", "true")
    link = folder / "link"
    link.symlink_to(path)
    assert problem(str(link)).startswith(f"{folder / 'open'} can be written by other users")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_program_of_another_user_is_not_run(folder: Path) -> None:
    path = script(folder, "true")
    os.chown(path, 4711, 4711)
    assert "belongs to user 4711" in problem(path)
    assert command.program_problem(path, 4711) is None  # the daemon's own
