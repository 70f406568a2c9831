"""`notify` in the configuration: what is read, and what is wrong, with its line and without a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lalald.config import load
from lalald.config.model import NotifyEntry
from lalald.config.schema import file_schema
from lalald.config.schema.json_schema import schema
from lalald.errors import ConfigError
from lalald.jobs.event_kinds import EventKind

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
SECRET = "tgram://123456:AAF-very-secret/987"
INBOX: dict[str, Any] = {"path": "/srv/in", "outbox": "/srv/out", "rules": [{"mode": "demuser"}]}
KNOWN = "known: problems, all, done, job.done, job.failed, job.held, hold.cleared, inbox.unavailable, inbox.back, …"
PHONE = {"name": "phone", "url_file": "/etc/lalald/ntfy"}
HOOK = {"name": "hook", "webhook": "https://example.org/hook"}
PROGRAM = {"name": "program", "command": ["/hooks/done.sh", "--now"]}


def loaded(tmp_path: Path, *entries: Any) -> tuple[NotifyEntry, ...]:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"state_dir": "/s", "inboxes": [INBOX], "notify": list(entries)}))
    return load(path, {}).notify


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.yaml"
    path.write_text(f"state_dir: /s\ninboxes: [{json.dumps(INBOX)}]\n{text}")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_an_entry_shows_problems_by_default_and_gathers_messages_for_a_minute(tmp_path: Path) -> None:
    assert loaded(tmp_path, PHONE, HOOK, PROGRAM) == (
        NotifyEntry("phone", url_file=Path("/etc/lalald/ntfy")),
        NotifyEntry("hook", webhook="https://example.org/hook"),
        NotifyEntry("program", command=("/hooks/done.sh", "--now")),
    )


@pytest.mark.parametrize(
    ("entry", "key", "value"),
    [
        (PHONE, "name", "other"), (PHONE, "url_file", "/other"), (PHONE, "on", "all"), (PHONE, "gather", "5m"), (PHONE, "names", False),
        ({"name": "n", "url": "ntfy://a/b"}, "url", "ntfy://a/c"), (HOOK, "webhook", "http://host/x"), (HOOK, "secret_file", "/s"),
        (HOOK, "names", False), (PROGRAM, "command", "/x"), (PROGRAM, "timeout", "5s"), (PROGRAM, "on", ["job.done", "job.failed"]),
    ],
)  # fmt: skip
def test_every_key_changes_what_is_read(tmp_path: Path, entry: dict[str, Any], key: str, value: Any) -> None:
    assert loaded(tmp_path, {**entry, key: value}) != loaded(tmp_path, entry)


def test_the_keys_of_that_table_are_all_there_are() -> None:
    assert set(file_schema.Notify.model_fields) == {
        "name", "url", "url_file", "webhook", "secret_file", "command", "on", "gather", "names", "timeout",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("on", "kinds", "problems"),
    [
        ("problems", set(), True), ("all", set(EventKind), False), ("done", {EventKind.JOB_DONE}, False),
        (["job.held", "problems"], {EventKind.JOB_HELD}, True),
    ],
)  # fmt: skip
def test_words_that_choose_events(tmp_path: Path, on: Any, kinds: set[EventKind], problems: bool) -> None:
    (entry,) = loaded(tmp_path, {**HOOK, "on": on})
    assert (entry.kinds, entry.problems) == (kinds, problems)


def test_every_error_is_reported_with_its_line(tmp_path: Path) -> None:
    text = """\
notify:
  - url: ntfy://example.org/x
  - name: a
  - name: a
    webhook: https://example.org
    command: [/x]
    gather: 5s
    on: [job.dnoe, problems]
  - name: b
    command: done.sh
    names: false
    secret_file: /x
    timeout: soon
  - name: c
    webhook: example.org/hook
    on: everything
  - name: d
    url: nonsense
    ons: all
  - text
"""
    assert mistakes(tmp_path, text) == [
        "line 4  notify[0].name: missing: what logs and `lalald status` call this entry",
        "line 5  notify[1]: missing: one of url, url_file, webhook, command",
        'line 6  notify[2].name: another entry is called "a", too',
        "line 8  notify[2].command: an entry has one of url, url_file, webhook, command; this one has webhook already",
        "line 9  notify[2].gather: belongs to url and url_file, and this entry has webhook",
        f'line 10  notify[2].on[0]: unknown event "job.dnoe" ({KNOWN}). Did you mean "job.done"?',
        'line 12  notify[3].command: "done.sh" is not an absolute path; commands are run without a shell, and PATH is not searched',
        "line 13  notify[3].names: belongs to url and url_file and webhook, and this entry has command",
        "line 14  notify[3].secret_file: belongs to webhook, and this entry has command",
        'line 15  notify[3].timeout: expected a duration such as 5s, 10m, 24h or 90d, got "soon"',
        "line 17  notify[4].webhook: expected an address such as https://example.org/hook",
        f'line 18  notify[4].on: unknown event "everything" ({KNOWN})',
        "line 20  notify[5].url: expected an Apprise URL such as ntfy://ntfy.example.org/topic",
        'line 21  notify[5].ons: unknown key. Did you mean "on"?',
        'line 22  notify[6]: expected a mapping of keys, got "text"',
    ]


@pytest.mark.parametrize(
    "line",
    [
        "url: [{}]", "url: {{a: '{}'}}", 'url: "{}\\n"', "urll: '{}'", "webhook: '{}'", "url_file: ['{}']", "webhook: ['{}']",
        "secret_file: ['{}']", "url: '{}'\n    gather: soon", "gather: '{}'\n    url: a://b",
    ],
)  # fmt: skip
def test_no_message_repeats_an_address(tmp_path: Path, line: str) -> None:
    found = mistakes(tmp_path, f"notify:\n  - name: x\n    {line.format(SECRET)}\n")
    assert found
    if not line.startswith("gather"):  # at another key a secret cannot be recognized
        assert SECRET not in " ".join(found)


def test_no_text_of_an_entry_shows_its_address(tmp_path: Path) -> None:
    (entry,) = loaded(tmp_path, {"name": "x", "url": SECRET})
    assert entry.url == SECRET
    assert SECRET not in f"{entry} {entry!r}"


def valid(*entries: Any) -> bool:
    document = {"state_dir": "/s", "inboxes": [INBOX], "notify": list(entries)}
    return jsonschema.Draft202012Validator(schema()).is_valid(document)


def test_the_json_schema_accepts_what_the_program_accepts() -> None:
    for entry in (PHONE, HOOK, PROGRAM, {**HOOK, "secret_file": "/s", "names": False, "on": "all"}, {**PROGRAM, "timeout": "5s"},
                  {**PHONE, "gather": "0s", "on": ["job.done", "problems"]}, {"name": "n", "url": "ntfy://a/b"}):  # fmt: skip
        assert valid(entry), entry
    for entry in ({}, {"name": "x"}, {**HOOK, "command": "/x"}, {**HOOK, "gather": "5s"}, {**PROGRAM, "names": False}, {**PHONE, "on": []},
                  {**PHONE, "on": "everything"}, {**PHONE, "timeout": "5s"}, {"webhook": "https://x"}):  # fmt: skip
        assert not valid(entry), entry


def test_the_example_shows_every_key_with_its_comment(tmp_path: Path) -> None:
    """It is commented out: a copied configuration sends nothing."""
    text = EXAMPLE.read_text()
    block = re.search(r"^# notify:\n(?:^#.*\n)+", text, re.MULTILINE)
    assert block is not None
    lines = "".join(f"{line[2:]}\n" for line in block[0].splitlines())
    (tmp_path / "config.yaml").write_text(f"{lines}{yaml.safe_dump({'state_dir': '/s', 'inboxes': [INBOX]})}")
    config = load(tmp_path / "config.yaml", {})
    assert config.warnings == ()
    assert {entry.name for entry in config.notify} == {"phone", "pipeline", "library", "chat"}
    for key in file_schema.Notify.model_fields:
        assert re.search(rf"^[ -]*{key}:", lines, re.MULTILINE), key
