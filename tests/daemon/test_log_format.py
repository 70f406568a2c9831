"""Lines of the log, for people and for programs, from the real daemon and from the renderer."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from lalald.daemon.log.log_format import console_renderer, ordered
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support import ROOT
from tests.support.running import Home, until, write_wav

PACKAGE = ROOT / "lalald"
NOW = datetime(2027, 1, 15, 8, 3, 7, tzinfo=UTC)
render = console_renderer(colors=False, now=lambda: NOW)


def line(event: str, level: str = "info", **facts: Any) -> str:
    return render(None, level, {**facts, "event": event})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            line("job.delivered", job=12, path="a/song.mp3", folder="/out/song", minutes=3.0, next="delete"),
            "08:03:07 job.delivered         #12 a/song.mp3  → /out/song  3.0 min",
        ),
        (line("job.started", job=12, path="song.mp3", minutes=0.5), "08:03:07 job.started           #12 song.mp3  0.5 min"),
        (
            line("job.failed", "error", job=2, path="bad.mp3", stage="upload", reason="no audio in it", hint="Convert it."),
            "08:03:07 job.failed            #2 bad.mp3  stage=upload  error: no audio in it. Convert it.",
        ),
        (
            line("job.held", "warning", job=3, path="b.mp3", hold="disk", reason="/out is full.", hint=""),
            "08:03:07 job.held              #3 b.mp3  hold=disk  warning: /out is full.",
        ),
        (
            line("file.skipped", path="notes.txt", inbox="/in", reason="not an audio or video file"),
            "08:03:07 file.skipped          /in/notes.txt  not an audio or video file",
        ),
        (
            line("config.rejected", "error", reason="config.yaml:\n  line 3: x\n  line 4: y", hint="Correct it."),
            "08:03:07 config.rejected       error: config.yaml: line 3: x; line 4: y. Correct it.",
        ),
        (line("folder.available", folder="/out"), "08:03:07 folder.available      /out"),
        (
            line("daemon.ready", version="0.1.0", inboxes=["/in", "/in 2"]),
            "08:03:07 daemon.ready          version=0.1.0  inboxes=/in, /in 2",
        ),
        (line("cancel_all.done", "warning", tasks=3), "08:03:07 cancel_all.done       tasks=3  warning"),
        (line("daemon.stopped"), "08:03:07 daemon.stopped"),
        (
            line("job.created", job=1, path=os.fsdecode(b"caf\xe9\x1b[31m\n.mp3"), inbox="/in"),
            r"08:03:07 job.created           #1 caf\udce9\x1b[31m\n.mp3",
        ),
    ],
)  # fmt: skip
def test_a_line_for_people(said: str, expected: str) -> None:
    assert said == expected


def test_a_log_that_is_kept_has_dates() -> None:
    kept = console_renderer(colors=False, dates=True, now=lambda: NOW)
    assert kept(None, "info", {"event": "daemon.ready"}) == "2027-01-15 08:03:07 daemon.ready"


def test_a_traceback_follows_its_line() -> None:
    assert line("x.failed", "error", exception="Traceback\n  here").splitlines()[1:] == ["Traceback", "  here"]


def test_colors_mark_time_event_and_level_and_change_no_text() -> None:
    colored = console_renderer(colors=True, now=lambda: NOW)
    facts = {"event": "job.held", "job": 3, "path": "b.mp3", "reason": "full"}
    said = colored(None, "warning", facts)
    assert said.startswith("\x1b[2m08:03:07\x1b[0m \x1b[33mjob.held")
    assert re.sub(r"\x1b\[\d+m", "", said) == render(None, "warning", facts)


def test_programs_get_the_event_first_and_level_and_time_last() -> None:
    facts = {"reason": "r", "path": "p", "job": 1, "event": "e", "level": "info", "timestamp": "t"}
    assert list(ordered(None, "info", facts)) == ["event", "job", "path", "reason", "level", "timestamp"]


def test_event_names_are_dotted_and_constant() -> None:
    """`reason` says what happened and `hint` what to do; what an event means is in the documentation."""
    source = "\n".join(
        path.read_text() for path in PACKAGE.rglob("*.py") if not {"sandbox", "commands"} & {*path.parts}
    )
    calls = re.findall(r"\b(?:log\.(?:debug|info|warning|error)|say)\((.*?)\)\n", source, re.DOTALL)
    assert len(calls) > 40
    for call in calls:
        assert not re.search(r"\b(meaning|error)=|path=shown", call), call
        if name := re.match(r'\s*f?"([^"]+)"', call):
            assert re.fullmatch(r"[a-z_{}]+\.[a-z_{}\[\]]+", name[1], re.IGNORECASE), call


def run_on_a_terminal(home: Home, **environ: str) -> str:
    """The log of `run --once` as a terminal gets it."""
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb") as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "lalald", "run", "--once"],
            env={**home.environ, "TERM": "xterm-256color", **environ}, stderr=follower, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(follower)
        said = b""
        try:
            while piece := screen.read1(4096):
                said += piece
        except OSError:
            pass  # EIO: the last writer is gone
        assert process.wait(60) in (0, 1)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_delivery_names_its_folder_and_its_minutes(sandbox: Sandbox, make_home: MakeHome, no_color: str) -> None:
    home = make_home(sandbox.url)
    write_wav(home.inbox / "song.wav", seconds=30.0)
    said = run_on_a_terminal(home, NO_COLOR=no_color)
    assert ("\x1b[" in said) is not bool(no_color)
    plain = re.sub(r"\x1b\[\d+m", "", said)
    (delivered,) = [text for text in plain.splitlines() if "job.delivered" in text]
    assert re.fullmatch(rf"\d\d:\d\d:\d\d job\.delivered +#1 song\.wav  → {home.outbox}/song  0\.5 min", delivered)
    (done,) = [text for text in plain.splitlines() if "job.done" in text]
    assert done.endswith(f"#1 song.wav  0.5 min  moved_to={home.inbox}/done/song.wav")


def test_for_programs_a_delivery_is_one_object_in_utc(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    write_wav(home.inbox / "song.wav", seconds=30.0)
    until(lambda: home.logged("job.done"), "it is done")
    assert home.stop() == 0
    (output,) = home.logged("job.delivered")
    timestamp = output.pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", timestamp)
    assert output == {
        "event": "job.delivered", "job": 1, "path": "song.wav", "folder": f"{home.outbox}/song", "minutes": 0.5,
        "next": "delete", "level": "info",
    }  # fmt: skip
    assert all(json.loads(text) for text in home.log.read_text().splitlines())
