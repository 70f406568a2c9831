"""`lalald notify --test`, and what `check-config` says of entries before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.commands.check_config import check_surroundings
from lalald.config.loading import examine
from lalald.filesystem.bounded_calls import BoundedCalls
from lalald.jobs.event_kinds import EventKind
from tests.support.filled_store import DAY, EVERYTHING, HOUR, NOW, FilledStore, answering
from tests.support.private_mounts import dead_mount, in_own_mounts
from tests.support.receiver import SECRET, Answer, receiving


def filled_store_with(root: Path, *entries: dict[str, Any]) -> FilledStore:
    filled_store = FilledStore(root / "filled_store", notify=list(entries), license_key_file="key")
    (filled_store.config.parent / "key").write_text("a-key\n")
    (filled_store.config.parent / "key").chmod(0o600)
    return filled_store


def secret_file(root: Path, text: str, name: str = "secret") -> str:
    path = root / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("kind", list(EventKind))
def test_a_sample_of_every_event_goes_through_every_entry(tmp_path: Path, kind: EventKind) -> None:
    with receiving(is_signed=True) as hook, receiving() as phone:
        filled_store = filled_store_with(
            tmp_path,
            {"name": "hook", "webhook": hook.url, "secret_file": secret_file(tmp_path, SECRET), "on": "done"},
            {"name": "phone", "url": f"json://127.0.0.1:{phone.port}/"},
            {"name": "program", "command": ["/bin/true"]},
        )
        code, out, complaints = filled_store.call("notify", "--test", str(kind))
        assert (code, complaints) == (0, "")
        rows = [line.split(None, 2) for line in out.splitlines()[-3:]]
        assert rows == [
            ["hook", str(kind), "accepted"],
            ["phone", str(kind), "accepted"],
            ["program", str(kind), "ended with 0"],
        ]
        assert (hook.kinds, hook.faults) == ([str(kind)], [])
        assert hook.requests[0].json["data"]["test"] is True
        assert phone.requests[0].json["title"].endswith("(test)")


def test_each_entry_says_what_it_answered_and_which_line_failed(tmp_path: Path) -> None:
    with receiving(lambda _: Answer(403)) as hook:
        filled_store = filled_store_with(
            tmp_path,
            {"name": "hook", "webhook": hook.url, "on": "done"},
            {"name": "works", "command": ["/bin/true"]},
            {"name": "nothing there", "webhook": "http://127.0.0.1:9/"},
            {"name": "unsigned", "webhook": hook.url, "secret_file": "/no/such/secret-9f8e"},
            {"name": "program", "command": ["/bin/false"]},
            {"name": "address", "url_file": "/no/such/url-9f8e"},
        )
        code, out, _ = filled_store.call("notify", "--test", "--json")
        shown = filled_store.call("notify", "--test")[1]
    answers = json.loads(out)
    assert code == 1
    assert [(said["key"], said["entry"], said["event"], said["ok"], said["answer"]) for said in answers] == [
        ("notify[0].webhook", "hook", "job.done", False, "it answered 403"),
        ("notify[1].command", "works", "job.failed", True, "ended with 0"),
        ("notify[2].webhook", "nothing there", "job.failed", False, "no connection: nothing listens there"),
        (
            "notify[3].secret_file",
            "unsigned",
            "job.failed",
            False,
            "its secret_file cannot be read: No such file or directory",
        ),
        ("notify[4].command", "program", "job.failed", False, "exit code 1"),
        (
            "notify[5].url_file",
            "address",
            "job.failed",
            False,
            "its url_file cannot be read: No such file or directory",
        ),
    ]
    text = filled_store.config.read_text().splitlines()
    for said in answers:
        assert text[said["line"] - 1].strip().removeprefix("- ").startswith(said["key"].rpartition(".")[2])
        place = f"line {said['line']}  {said['key']}: {said['answer']}"
        assert (place in shown) is not said["ok"]
    assert "9f8e" not in out + shown


def test_what_it_cannot_do(tmp_path: Path) -> None:
    assert "has no entry under `notify`" in FilledStore(tmp_path / "a").complained("notify", "--test")
    filled_store = filled_store_with(tmp_path, {"name": "program", "command": ["/bin/true"]})
    assert 'unknown event "job.dnoe"' in filled_store.complained("notify", "--test", "job.dnoe")
    assert "`lalald notify --test` sends a sample" in filled_store.complained("notify")


def test_check_config_names_what_cannot_work_with_its_line(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    program = hooks / "done.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    filled_store = filled_store_with(
        tmp_path,
        {"name": "a", "command": [str(program)]},
        {"name": "b", "command": ["/no/such/program"]},
        {"name": "c", "webhook": "https://example.org/", "secret_file": "/no/such/secret-9f8e"},
        {"name": "d", "webhook": "https://example.org/", "secret_file": secret_file(tmp_path, "not base64!")},
        {"name": "e", "url": "nonsense://secret-9f8e"},
        {"name": "g", "webhook": "https://exa mple.org/secret-9f8e"},
        {"name": "h", "url_file": str(fifo)},
        {"name": "i", "webhook": "https://example.org/", "secret_file": str(hooks)},
        {"name": "f", "url_file": secret_file(tmp_path, "nonsense://secret-9f8e", "url")},
    )
    code, out, _ = filled_store.call("check-config", "--json")
    errors = {error["key"]: (error["line"], error["message"]) for error in json.loads(out)["errors"]}
    text = filled_store.config.read_text().splitlines()
    assert code == 2
    assert {key: message for key, (_, message) in errors.items()} == {
        "notify[0].command": f"{program} can be written by other users; `chmod go-w` keeps it to its owner",
        "notify[1].command": "/no/such/program cannot be run: No such file or directory",
        "notify[2].secret_file": "the file cannot be read: No such file or directory",
        "notify[3].secret_file": "the signing secret is not base64; `openssl rand -base64 32` makes one",
        "notify[4].url": "Apprise does not understand this address",
        "notify[5].webhook": "expected an address such as https://example.org/hook",
        "notify[6].url_file": "the file cannot be used: it is not a regular file",
        "notify[7].secret_file": "the file cannot be read: Is a directory",
        "notify[8].url_file": "Apprise does not understand this address",
    }
    for key, (line, _) in errors.items():
        assert text[line - 1].strip().removeprefix("- ").startswith(key.rpartition(".")[2])
    assert "9f8e" not in out.replace(str(tmp_path), "")


def test_check_config_warns_of_secrets_that_all_can_read_and_summarizes_entries(tmp_path: Path) -> None:
    readable = tmp_path / "readable"
    readable.write_text(SECRET)
    readable.chmod(0o644)
    filled_store = filled_store_with(
        tmp_path,
        {"name": "hook", "webhook": "https://example.org/token-9f8e", "secret_file": str(readable)},
        {"name": "program", "command": ["/bin/true"]},
    )
    said = filled_store.said("check-config")
    assert "every user of this machine can read this file; `chmod 600` keeps it to one" in " ".join(said.split())
    assert "hook: a webhook" in said
    assert "program: a command" in said
    assert "9f8e" not in said


def test_without_apprise_the_line_that_installs_it_is_reported(tmp_path: Path) -> None:
    """In a Python whose packages are the same but for this one."""
    filled_store = filled_store_with(
        tmp_path, {"name": "phone", "url": "ntfy://example.org/x"}, {"name": "program", "command": ["/bin/true"]}
    )
    without = (
        "import sys, importlib.abc\n"
        "class Hidden(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'apprise': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(without)
    answer = filled_store.run("check-config", "--json", PYTHONPATH=f"{folder}:{os.getcwd()}")
    (error,) = json.loads(answer.stdout)["errors"]
    assert (error["key"], error["message"]) == (
        "notify[0].url",
        "Apprise is not installed: pip install 'lalald[notify]'",
    )
    assert error["line"] > 0


def with_secrets(folder: Path) -> list[dict[str, str]]:
    """Variables that hold the secrets, and variables that name files with them: what comes after them is not read."""
    named = {"LALALD_LICENSE_KEY": "0123456789abcdef", "LALALD_WEB_PASSWORD": "long enough for a page"}
    files = {}
    for name, text in named.items():
        (folder / name).write_text(text)
        files[f"{name}_FILE"] = str(folder / name)
    return [named, files]


def errors_with(variables: Mapping[str, str], config: Path) -> set[str]:
    examined = examine(config, variables)
    check_surroundings(examined, variables, BoundedCalls(0.2))
    return {error["key"] for error in examined.diagnostics.facts(examined.diagnostics.errors)}


def test_files_on_a_dead_share_are_errors_of_their_lines(tmp_path: Path) -> None:
    """Each is named by another setting; the program does not wait for them."""

    def story() -> None:
        share = tmp_path / "share"
        share.mkdir()
        filled_store = filled_store_with(
            tmp_path,
            {"name": "a", "url_file": str(share / "url")},
            {"name": "b", "webhook": "https://example.org/", "secret_file": str(share / "secret")},
            {"name": "c", "command": [str(share / "hook.sh")]},
        )
        settings = yaml.safe_load(filled_store.config.read_text())
        settings["license_key_file"] = str(share / "key")
        settings["web"] = {"listen": "127.0.0.1:8910", "password_file": str(share / "password")}
        settings["inboxes"][0]["outbox"] = str(share)
        filled_store.config.write_text(yaml.safe_dump(settings))
        with dead_mount(share):
            examined = examine(filled_store.config, {})
            check_surroundings(examined, {}, BoundedCalls(0.2))
            diagnostics = examined.diagnostics
            others = [errors_with(variables, filled_store.config) for variables in with_secrets(tmp_path)]
        errors = {error["key"]: error["message"] for error in diagnostics.facts(diagnostics.errors)}
        unanswered = f"{share} cannot be used: its disk or server does not answer"
        what_to_do = "Is its server down, or its disk failing?"
        assert errors == {
            "notify[0].url_file": "the file cannot be read: its disk or server does not answer",
            "notify[1].secret_file": "the file cannot be read: its disk or server does not answer",
            "notify[2].command": unanswered,
            "web.password_file": f"a file in {share} cannot be read: its disk or server does not answer. {what_to_do}",
            "license_key_file": f"a file in {share} cannot be read: its disk or server does not answer. {what_to_do}",
            "inboxes[0].outbox": unanswered,
        }
        for keys in others:
            assert keys == {"notify[0].url_file", "notify[1].secret_file", "notify[2].command", "inboxes[0].outbox"}

    in_own_mounts(story)


# status


def test_status_says_which_entry_fails_and_what_was_never_sent(tmp_path: Path) -> None:
    filled_store = filled_store_with(
        tmp_path, {"name": "phone", "command": ["/bin/true"]}, {"name": "hook", "webhook": "http://127.0.0.1:9/"}
    )
    filled_store.fill()
    with filled_store.store() as store:
        store.event_queue.configure({"hook": EVERYTHING, "phone": EVERYTHING}, page=False)
        store.connection.execute("UPDATE jobs SET state = 'done', stage = 'done' WHERE state IN ('failed', 'held')")
        store.event_queue.advance("phone", 0, sent_at=NOW)  # it ran
        store.event_queue.note_trouble("phone", "exit code 3", NOW)
    with answering(filled_store.state):
        assert filled_store.call("status")[0] == 1
        facts = json.loads(filled_store.call("status", "--json")[1])
        output = facts["notify"][1]
        assert (output["name"], output["trouble"], output["since"]) == ("phone", "exit code 3", "2027-01-15T08:00:00Z")
        assert set(output) == {"name", "trouble", "since", "sent_at", "dropped", "dropped_at", "dropped_reason"}
        with filled_store.store() as store:
            store.event_queue.advance("phone", 0, sent_at=NOW + HOUR)
            store.event_queue.count_dropped("hook", 3, "it answered 410", NOW + DAY)
        items = json.loads(filled_store.call("status", "--json")[1])["needs_attention"]
        assert [(item["code"], item["subject"]) for item in items] == [("notify_dropped", "hook")]
        with filled_store.store() as store:
            store.event_queue.advance("hook", 0, sent_at=NOW + 2 * DAY)
        assert filled_store.call("status")[0] == 0
