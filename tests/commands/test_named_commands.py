"""Every command that a text of the program names can be typed as it is shown, and does something."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lalald
from lalald.commands.command_list import VERBS
from lalald.commands.parser import build
from lalald.filesystem.names import shell_quoted
from lalald.jobs.states import Hold, HoldSource, State
from tests.support.filled_store import FilledStore

PACKAGE = Path(lalald.__file__).parent
# What a command is run with in a state folder whose jobs 1 to 9 are those of `FilledStore.fill`, 8 is held since the first scan,
# 3 is cancelled. Its exit code is 0 unless it is named.
FILLED = {
    "lalald show ID": "show 4",
    "lalald cancel ID": "cancel 4",
    "lalald release ID": "release 4",
    "lalald retry ID": "retry 2",
    "lalald redo ID": "redo 1",
    "lalald explain PATH": "explain INBOX/song.wav",
    "lalald release PATH": "release INBOX",
    "lalald init DIR": "init ROOT/fresh",
    "lalald init PATH": "init ROOT/fresher",
    "lalald help COMMAND": "help plan",
    "lalald demo --keep DIR": "demo --keep ROOT/demo",
}
CODES = {"status": 3}
ONLY_PARSED = {"run", "sandbox", "demo", "web"}  # they run until they are stopped, or for seconds; others test them


def texts(source: str) -> Iterator[str]:
    """Every text of a module that can be printed, with `{…}` for what is filled in."""
    tree = ast.parse(source)
    apart = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            apart.add(id(body[0].value))  # a docstring
        if isinstance(node, ast.JoinedStr):
            apart |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in apart:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else filled(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def filled(part: ast.expr) -> str:
    """The kind of thing that stands there."""
    source = ast.unparse(part)
    return "PATH" if "shell_quoted" in source else "ID" if "id" in source or "done" in source else "{" + source + "}"


def named() -> set[str]:
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "schema":  # its texts are SQL
            continue
        source = path.read_text(encoding="utf-8")
        for text in texts(source) if "`lalald " in source else ():  # most modules name none, and parsing takes long
            found |= set(re.findall(r"`(lalald [^`]*)`", text))
    return {command.replace("{}", "ID").replace("{id}", "ID").replace("FOLDER", "PATH") for command in found}


NAMED = sorted(named())


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> FilledStore:
    filled_store = FilledStore(tmp_path_factory.mktemp("named"), notify=[{"name": "program", "command": ["/bin/true"]}])
    filled_store.fill()
    (filled_store.config.parent / "cwd").mkdir()
    (filled_store.inbox / "done/podcasts").mkdir(parents=True)
    (filled_store.inbox / "done/podcasts/ep1.mp3").write_bytes(b"sound")
    with filled_store.store() as store:
        job = store.job(8)
        assert job is not None
        store.save(job, replace(job, state=State.HELD, hold=Hold.FIRST_SCAN, hold_reason="it was there", held_at=1.0))
    return filled_store


def test_commands_are_found() -> None:
    assert len(NAMED) > 20
    assert {"lalald release --all --hold first_scan", "lalald retry ID", "lalald release PATH"} <= set(NAMED)


@pytest.mark.parametrize("command", NAMED)
def test_a_command_that_a_text_names_does_what_it_says(command: str, filled_store: FilledStore) -> None:
    words = command.split()[1:]
    assert "{" not in command, "what is filled in is not known to this test"
    if re.search(r"\b(ID|PATH|DIR|COMMAND|KIND|NAME)\b", command):
        typed = (
            FILLED[command].replace("INBOX", str(filled_store.inbox)).replace("ROOT", str(filled_store.config.parent))
        )
        words = shlex.split(typed)
    words = [os.path.join(filled_store.config.parent, word[2:]) if word.startswith("~/") else word for word in words]
    assert build(words).parse_args(words).command == words[0]
    if words[0] in ONLY_PARSED:
        return
    answer = filled_store.run(*words, cwd=filled_store.config.parent / "cwd")
    assert answer.returncode == CODES.get(words[0], 0), answer.stderr
    assert answer.stdout or VERBS[words[0]].name == "schema"


@pytest.mark.parametrize("name", ["plain", "with space", "it's", "caf\udce9\n", "-dash", "a$b`c"])
def test_a_path_in_a_command_is_typed_as_it_is_shown(name: str) -> None:
    said = subprocess.run(
        ["bash", "-c", f"printf %s {shell_quoted('/in/' + name)}"], capture_output=True, check=True
    ).stdout
    assert said == os.fsencode("/in/" + name)


def test_a_hold_for_the_minutes_left_is_not_said_to_be_passed(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        job = store.job(4)
        assert job is not None
        store.save(job, replace(job, hold_source=HoldSource.LEFT))
    assert "never past the minutes left" in filled_store.run("status").stdout
    assert "passes" not in filled_store.run("show", "4").stdout
