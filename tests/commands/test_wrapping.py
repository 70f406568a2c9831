"""Text wraps at words to the terminal's width: help, errors, tables on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from lalald.commands.command_list import VERBS
from lalald.commands.output.tables import PathCell
from lalald.commands.output.wrapping import command_line, wrapped
from tests.support.filled_store import FilledStore
from tests.support.running import write_wav

HELPS = ["release", "sandbox", "explain", "run", "history"]  # the longest ones


def on_a_terminal(filled_store: FilledStore, columns: int, *words: str) -> str:
    """What the program draws on a terminal of this width, without colors."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {**filled_store.environ, "TERM": "xterm-256color"}
    environ.pop("COLUMNS", None)
    program = subprocess.Popen(
        [sys.executable, "-m", "lalald", *words], env=environ, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            said += os.read(leader, 65536)
        except OSError:  # the last writer has closed it
            break
    os.close(leader)
    program.wait(30)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).replace("\r\n", "\n")


def too_long(text: str, columns: int) -> list[str]:
    """Lines beyond the edge, but for single words that are longer than a line."""
    return [line for line in text.split("\n") if len(line) > columns and " " in line.strip()]


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits(columns: int, tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    for words in (["help"], *(["help", name] for name in HELPS)):
        out = on_a_terminal(filled_store, columns, *words)
        assert "usage: lalald" in out, words
        assert too_long(out, columns) == [], words


@pytest.mark.parametrize("columns", [80, 120])
def test_errors_and_tables_fit_and_no_word_is_cut(columns: int, tmp_path: Path) -> None:
    long = tmp_path / "a folder with a long name" / "another one in it" / "and the last one, which is longer"
    filled_store = FilledStore(long)
    filled_store.fill()
    write_wav(filled_store.inbox / "podcasts/one of many episodes with a title that people give.wav", 0.2)
    for words in (
        ["release", "--all"], ["retry", "4"], ["cancel", "--all", "--every-client", "--json", "--no"],
        ["statsu"], ["show", "99"], ["plan"], ["history", "--month"], ["history"],
        ["explain", str(filled_store.inbox / "podcasts")],
    ):  # fmt: skip
        out = on_a_terminal(filled_store, columns, *words)
        assert out.strip(), words
        if "--json" not in words:
            assert too_long(out, columns) == [], words


def test_a_line_continues_under_its_text() -> None:
    text = "  --hold KIND    with --all: only this kind of hold, and nothing else"
    assert (
        wrapped(text, 40)
        == "  --hold KIND    with --all: only this\n                 kind of hold, and\n                 nothing else"
    )
    assert wrapped("no longer than a line", 80) == "no longer than a line"
    assert wrapped("x" * 90 + " and a word", 80) == "x" * 90 + "\nand a word"


def test_a_long_command_is_continued_as_a_shell_continues_it() -> None:
    long = "  LALALD_API_URL=http://127.0.0.1:8900 LALALD_STATE_DIR=/tmp/rehearsal lalald run"
    said = command_line(long, 60)
    assert max(map(len, said.splitlines())) <= 60
    assert said.replace(" \\\n      ", " ") == long


def test_a_long_path_is_shortened_in_its_middle() -> None:
    assert PathCell("/srv/music/inbox").shortened(16) == "/srv/music/inbox"
    assert PathCell("/srv/music/of/many/years/inbox").shortened(15) == "/srv/mu…s/inbox"


def test_every_command_is_one_line_of_the_list(tmp_path: Path) -> None:
    lines = on_a_terminal(FilledStore(tmp_path), 80, "help").split("\n")
    for name, verb in VERBS.items():
        if name not in ("init", "check-config"):
            assert f"  {name:<14}{verb.summary}" in lines, name
