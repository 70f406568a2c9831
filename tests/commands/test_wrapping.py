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
from typing import get_args

import pytest

from lalald.commands.command_list import VERBS
from lalald.commands.output.lines import Cell, columns, plain
from lalald.commands.output.tables import Section, number_cell, section_lines
from lalald.commands.output.wrapping import command_line, wrapped
from lalald.sandbox.faults.faults import Kind, Operation
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
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).replace("\r\n", "\n")
    return re.sub(r"[^\n]*\r", "", text)  # overwritten


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
        ["statsu"], ["show", "99"], ["show", "2"], ["plan"], ["history", "--month"], ["history"],
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
    def shown(path: str, width: int) -> str:
        return plain(columns([[Cell(path, "", "middle")]], width))

    assert shown("/srv/music/inbox", 16) == "/srv/music/inbox\n"
    assert shown("/srv/music/of/many/years/inbox", 15) == "/srv/mu…s/inbox\n"


def test_the_last_cell_wraps_below_itself_and_a_long_word_continues() -> None:
    rows = [[Cell("state"), Cell("held, until minutes are left", "", "wrap")], [Cell("id"), Cell("x" * 20, "", "wrap")]]
    assert plain(columns(rows, 20)) == (
        "state  held, until\n       minutes are\n       left\nid     xxxxxxxxxxxxx\n       xxxxxxx\n"
    )
    assert plain(columns(rows, None)) == f"state  held, until minutes are left\nid     {'x' * 20}\n"


def test_numbers_are_aligned_to_the_right_with_their_heading() -> None:
    section = Section("", [("a", number_cell("9")), ("b", number_cell("1,000"))], ("RULE", "MINUTES"))
    assert plain(section_lines([section], None)) == "RULE  MINUTES\na           9\nb       1,000\n"


def test_every_command_is_one_line_of_the_list(tmp_path: Path) -> None:
    lines = on_a_terminal(FilledStore(tmp_path), 80, "help").split("\n")
    for name, verb in VERBS.items():
        if name not in ("init", "check-config"):
            assert f"  {name:<14}{verb.summary}" in lines, name


@pytest.mark.parametrize("columns", [80, 120])
def test_the_next_steps_of_init_wrap_but_never_within_a_command(columns: int, tmp_path: Path) -> None:
    folder = tmp_path / "a folder with a long name" / "another one in it, which is longer"
    out = on_a_terminal(FilledStore(tmp_path / "filled"), columns, "init", str(folder))
    assert [line for line in too_long(out, columns) if "lalald --config" not in line] == []
    for command in ("check-config", "run", "status", "plan"):
        assert f"\n     lalald --config '{folder}/config.yaml' {command}\n" in out


def test_the_help_of_the_sandbox_names_every_fault(tmp_path: Path) -> None:
    listed = (
        FilledStore(tmp_path).run("help", "sandbox").stdout.partition("\nfaults, as ")[2].partition("\nexamples:")[0]
    )
    words = set(re.findall(r"[a-z_]+", listed))
    assert {*get_args(Kind), *get_args(Operation)} - {"*"} - words == set()


def test_steps_hang_below_their_text_and_commands_stay_whole() -> None:
    text = "  1. Paste the key into /etc/lalald/license-key\n  `lalald status` says more; start it with `systemctl start lalald`."
    assert wrapped(text, 44) == (
        "  1. Paste the key into\n     /etc/lalald/license-key\n"
        "  `lalald status` says more; start it with\n  `systemctl start lalald`."
    )
    assert (
        wrapped("`a command that is longer than one line of it`", 24)
        == "`a command that is\nlonger than one line of\nit`"
    )


def test_a_text_without_its_end_has_whole_words() -> None:
    (line,) = columns([[Cell("The outbox /srv/out is unavailable: it is not mounted", "", "end")]], 40)
    assert plain([line]) == "The outbox /srv/out is unavailable: it…\n"
