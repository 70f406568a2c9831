"""`--json` always prints JSON: numbers rounded alike, errors as objects with the same exit code, every key in the reference."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.commands.command_list import VERBS
from lalald.commands.output.json_output import as_json
from lalald.jobs.spending.prices import cost_text, free_text
from lalald.sandbox.server import Sandbox
from tests.support import ROOT
from tests.support.filled_store import NOW, FilledStore
from tests.support.running import write_wav

WITHOUT = {"run", "health", "web", "sandbox", "demo"}
# Each command with arguments that it needs.
ARGUMENTS: dict[str, list[str]] = {
    "show": ["1"],
    "explain": ["/nowhere/song.mp3"],
    "backup": ["/nowhere/copy"],
    "relocate": ["/nowhere/old", "/nowhere/new"],
    "retry": ["2"],
    "redo": ["1"],
    "cancel": ["8"],
    "release": ["4"],
}
OF_THE_STORE = ["status", "jobs", "show", "retry", "redo", "cancel", "release", "rescan"]
OF_THE_CONFIGURATION = ["explain", "plan", "minutes", "voices"]


def asked(command: str) -> list[str]:
    return [command, *ARGUMENTS.get(command, [])]


def test_every_command_but_five_has_json() -> None:
    from lalald.commands.parser import build

    having = set()
    for name in VERBS:
        choices = build([name])._subparsers._group_actions[0].choices  # type: ignore[union-attr]
        having |= {name} & {name if "--json" in choices[name].format_help() else ""}  # type: ignore[index]
    assert VERBS.keys() - having <= WITHOUT
    assert not having & {"run", "health", "sandbox", "demo"}


def fails_alike(filled_store: FilledStore, words: list[str], code: int) -> dict[str, Any]:
    """What is printed with --json, where the same without is a complaint with this code."""
    complaint = filled_store.complained(*words, code=code)
    ended, out, said = filled_store.call(*words, "--json")
    assert (ended, said) == (code, ""), words
    facts: dict[str, Any] = json.loads(out)
    assert {"error", "hint"} <= facts.keys()
    assert facts["error"].splitlines()[0] in complaint
    return facts


@pytest.mark.parametrize("command", OF_THE_STORE)
def test_without_a_database_json_has_the_error(command: str, tmp_path: Path) -> None:
    facts = fails_alike(FilledStore(tmp_path), asked(command), 3)
    assert facts["error"] == "/state holds no database yet."
    assert "lalald run" in facts["hint"]


@pytest.mark.parametrize("command", OF_THE_STORE)
def test_a_state_folder_that_cannot_be_used_is_an_error_in_json(command: str, tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.state.write_text("a file where the folder should be")
    code = filled_store.call(*asked(command))[0]
    assert code in (2, 3)
    fails_alike(filled_store, asked(command), code)


@pytest.mark.parametrize("command", OF_THE_CONFIGURATION)
def test_a_configuration_with_errors_is_an_error_in_json(command: str, tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.config.write_text("outpox: 1\n")
    assert "outpox" in fails_alike(filled_store, asked(command), 2)["error"]


@pytest.mark.parametrize("command", [name for name in VERBS if name not in WITHOUT])
def test_unknown_options_are_an_error_in_json(command: str, tmp_path: Path) -> None:
    facts = fails_alike(FilledStore(tmp_path), [*asked(command), "--no-such-option"], 2)
    assert "--no-such-option" in facts["error"]
    assert facts["hint"] == f"`lalald {command} --help` shows how it is used."


def test_check_config_as_json_lists_every_error_with_its_line(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.config.write_text("history: 5q\ninboxs: []\ninboxes: [5]\n")
    code, out, said = filled_store.call("check-config", "--json")
    facts = json.loads(out)
    assert (code, said) == (2, "")
    assert [(error["line"], error["key"]) for error in facts["errors"]] == [
        (1, "history"), (2, "inboxs"), (3, "inboxes[0]"),
    ]  # fmt: skip
    assert all(error["message"] for error in facts["errors"])
    assert "5q" in facts["error"]


def test_init_as_json_names_what_it_wrote_or_why_not(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    folder = str(tmp_path / "new")
    written = json.loads(filled_store.run("init", folder, "--json").stdout)
    assert all(Path(written[key]).exists() for key in ("config", "license_key_file", "inbox", "outbox"))
    again = filled_store.run("init", folder, "--json")
    assert (again.returncode, again.stderr) == (2, "")
    assert "already exists" in json.loads(again.stdout)["error"]


def test_a_release_that_needs_a_yes_prints_one_object(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with filled_store.store() as store:
        store.connection.execute("UPDATE jobs SET state = 'held', hold = 'duplicate' WHERE id = 8")
    code, out, said = filled_store.call("release", "--all", "--json")
    facts = json.loads(out)
    assert (code, said, facts["released"]) == (2, "", [])
    assert facts["error"].startswith("--all would release more than one kind of hold")
    assert {hold["hold"] for hold in facts["holds"]} == {"duplicate", "minutes"}


def test_an_error_in_the_middle_of_a_long_list_leaves_it_json(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        for number in range(1200):
            filled_store.take(store, f"{number}.wav")
    database = filled_store.state / "lalald.sqlite3"
    with closing(sqlite3.connect(database)) as connection, connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        pages = "SELECT max(pageno) FROM dbstat WHERE name = 'jobs' AND pagetype = 'leaf'"
        (last,) = connection.execute(pages).fetchone()
    with database.open("r+b") as file:
        file.seek((last - 1) * size)
        file.write(b"\xa5" * size)
    code, out, said = filled_store.call("jobs", "--json")
    listed = json.loads(out)
    assert (code, said) == (2, "")
    assert len(listed) > 400
    assert "is damaged" in listed[-1]["error"]


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from numbers(one)


def test_numbers_have_three_places_in_every_answer(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with filled_store.store() as store:
        store.connection.execute("UPDATE jobs SET duration = 100.0 / 3, minutes = 98.2666666666667")
        store.connection.execute("UPDATE tasks SET minutes = 1.0 / 3 WHERE minutes IS NOT NULL")
        store.connection.execute("UPDATE charges SET minutes = 1.0 / 3")
        store.state.set("minutes", {"left": 100.0 / 7, "at": NOW}, NOW)
    found = 0
    for command in (["status"], ["jobs"], ["show", "1"], ["plan"], ["retry", "2"], ["release", "4"], ["cancel", "8"]):
        for number in numbers(json.loads(filled_store.call(*command, "--json")[1])):
            assert number == round(number, 3), command
            found += 1
    assert found > 30


def test_what_json_cannot_express_is_null() -> None:
    assert json.loads(as_json({"a": float("nan"), "b": [float("inf")], "c": -0.0001})) == {
        "a": None,
        "b": [None],
        "c": 0.0,
    }


def test_figures_for_people_are_rounded_one_way() -> None:
    assert [cost_text(minutes) for minutes in (0.0, 0.001, 0.15, 0.2, 0.30000000000000004, 1234.5)] == [
        "0.0", "0.1", "0.2", "0.2", "0.3", "1,234.5",
    ]  # fmt: skip
    assert [free_text(minutes) for minutes in (0.0, 0.099, 0.15, 0.3 - 1e-9, 98.2666666667)] == [
        "0.0", "0.0", "0.1", "0.3", "98.2",
    ]  # fmt: skip


def test_one_figure_reads_alike_in_every_command(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        job = filled_store.take(store, "podcasts/short.wav", duration=9.0)  # 0.15 minutes
        store.connection.execute(
            "UPDATE jobs SET state = 'held', hold = 'minutes', hold_source = 'per_file', hold_reason = 'x', held_at = 1"
        )
    for command in (["plan"], ["status"], ["release", str(job.id)]):
        assert "0.2 min" in filled_store.call(*command)[1], command
        assert "0.1 min" not in filled_store.call(*command)[1], command


def test_a_service_that_is_well_has_no_since(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store() as store:
        store.state.set("service", {"trouble": None, "since": NOW}, NOW)
    assert json.loads(filled_store.said("status", "--json", code=3))["service"] == {"trouble": None, "since": None}


def test_words_after_two_dashes_are_not_options(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    assert "no such job" in filled_store.complained("show", "--", "--json")


DYNAMIC = {"presets", "left_alone", "rows", "first_scan_holds"}  # their keys are presets, reasons, tables, and inboxes
REFERENCE = (ROOT / ".github/guides/reference.md").read_text(encoding="utf-8")


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            if key not in DYNAMIC:
                yield from keys(one)
    elif isinstance(value, list):
        for one in value:
            yield from keys(one)


def documented(command: str) -> set[str]:
    """The words in backticks of the command's section of the reference, or of its row in the table of the other commands."""
    section = REFERENCE.split("## The keys of --json\n")[1].split("\n## ")[0]
    for part in section.split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        if command in named_commands(heading):
            return quoted_words(text)
        for row in text.splitlines():
            if heading == "Other commands" and row.startswith("| `") and command in named_commands(row.split("|")[1]):
                return quoted_words(row)
    raise AssertionError(f"the reference does not list {command}")


def named_commands(text: str) -> list[str]:
    return re.findall(r"`([a-z-]+)(?:\[\])?`", text)


def quoted_words(text: str) -> set[str]:
    return {word.removesuffix("[]") for quoted in re.findall("`([^`]*)`", text) for word in quoted.split()}


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["jobs"], ["show", "1"], ["explain", "/in/mix.wav"], ["plan"], ["history"], ["history", "--month"],
        ["retry", "2"], ["redo", "1"], ["release", "4"], ["release", "--all"], ["cancel", "8"], ["cancel", "--all"], ["rescan"],
        ["backup", "/in/../copy"], ["relocate", "/in/.", "/in/../state"],
        ["voices"], ["minutes"], ["help"], ["help", "plan"], ["check-config"], ["init", "/in/new"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_key_is_in_the_reference(words: list[str], tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("a-key")
    filled_store = FilledStore(tmp_path, api_url=sandbox.url, license_key_file=str(tmp_path / "key"))
    filled_store.fill()
    write_wav(filled_store.inbox / "mix.wav", 0.2)
    write_wav(filled_store.inbox / "done/podcasts/ep1.mp3", 0.2)
    words = [word.replace("/in/", f"{filled_store.inbox}/") for word in words]
    answer = filled_store.run(*words, "--json")
    printed = set(keys(json.loads(answer.stdout)))
    assert "error" not in printed or words[0] in ("status", "jobs", "show"), answer.stdout
    assert printed
    assert printed - documented(words[0]) == set()
