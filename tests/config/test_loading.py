"""The configuration file: what is read, and how every mistake in it is told."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.config import Config, Inbox, Log, Minutes, Rule, TaskSpec, Transfers, load
from lalald.config.schema import file_schema
from tests.support import ROOT
from tests.support.config_files import CONTRACT, ONE_RULE, loaded, mistakes, with_inbox, with_rule

EXAMPLE = ROOT / "config.example.yaml"


# the rules of CONTRACT
PODCASTS = Rule(
    name="podcasts",
    tasks=(
        TaskSpec(
            mode="voice_clean",
            presets={"noise_cancelling_level": 2, "dereverb_enabled": True, "encoder_format": "flac", "stem": "voice"},
        ),
    ),
    match=("podcasts/", "*.wav"),
    tracks=("voice",),
    labels={"voice": "Clean"},
)  # fmt: skip
REMIX = Rule(
    name="remix",
    tasks=(
        TaskSpec(mode="stem_separator", presets={"stem": "vocals", "multivocal": "lead_back"}, name="lead"),
        TaskSpec(mode="multistem", presets={"stem_list": ["drum", "bass"]}),
    ),
)


def test_the_whole_configuration_is_read(tmp_path: Path) -> None:
    root = Path("/srv/lalal/inbox")
    assert loaded(tmp_path, CONTRACT) == Config(
        path=tmp_path / "config.yaml",
        state_dir=Path("/var/lib/lalald"),
        license_key_file=Path("/etc/lalald/license-key"),
        api_url="https://www.lalal.ai",
        log=Log("info", "auto"),
        transfers=Transfers(3, 6, None, None),
        checks_per_minute=30,
        minutes=Minutes(0, None, None),
        on_lost_task="hold",
        history=90 * 86400,
        inboxes=(
            Inbox(
                path=root,
                outbox=Path("/srv/lalal/outbox"),
                done_dir=root / "done",
                failed_dir=root / "failed",
                rules=(PODCASTS, REMIX),
                existing="hold",
                recursive=True,
                watch="auto",
                poll_interval=10,
                settle=5,
                rescan=3600,
                changed="process",
                ignore=("*.txt", "drafts/"),
                on_success="move",
                on_failure="move",
            ),
        ),
    )


def test_every_default_is_that_of_the_contract(tmp_path: Path) -> None:
    short = loaded(tmp_path, ONE_RULE)
    long = loaded(tmp_path, CONTRACT)
    differing = {"license_key_file", "inboxes", "lines"}
    for field in dataclasses.fields(Config):
        if field.name not in differing:
            assert getattr(short, field.name) == getattr(long, field.name), field.name
    (inbox,), (written,) = short.inboxes, long.inboxes
    for name in (
        "existing",
        "recursive",
        "watch",
        "poll_interval",
        "settle",
        "rescan",
        "changed",
        "on_success",
        "on_failure",
    ):
        assert getattr(inbox, name) == getattr(written, name), name
    assert (inbox.done_dir, inbox.failed_dir) == (Path("/srv/in/done"), Path("/srv/in/failed"))
    (rule,) = inbox.rules
    for name in ("types", "output", "on_conflict", "duplicates", "delete", "manifest"):
        assert getattr(rule, name) == getattr(written.rules[0], name), name
    assert (rule.match, rule.tracks, rule.labels, rule.name) == ((), None, {}, "voice_clean")


def test_every_written_key_reaches_the_configuration(tmp_path: Path) -> None:
    """Each key, set to something else than its default, changes what is read: no option is read and ignored."""
    changed: dict[str, Any] = {
        "license_key_file": "/k", "api_url": "https://example.org", "state_dir": "/s", "log.level": "debug", "log.format": "json",
        "transfers.uploads": 1, "transfers.downloads": 1, "transfers.upload_rate": "1MB", "transfers.download_rate": "1MB",
        "checks_per_minute": 20, "minutes.reserve": 1, "minutes.per_file": 1, "minutes.per_day": 1, "on_lost_task": "resubmit",
        "history": "1d", "inbox.path": "/srv/other", "inbox.outbox": "/srv/results", "inbox.existing": "take",
        "inbox.recursive": False, "inbox.watch": "polling", "inbox.poll_interval": "1s", "inbox.settle": "1s",
        "inbox.rescan": "2h", "inbox.changed": "skip", "inbox.ignore": ["x"], "inbox.prune": True, "inbox.on_success": "keep",
        "inbox.done_dir": "d", "inbox.on_failure": "keep", "inbox.failed_dir": "f", "rule.name": "n", "rule.match": ["x"],
        "rule.types": "any", "rule.mode": "demuser", "rule.presets": {"encoder_format": "mp3"},
        "rule.output": "{name}/{label}.{ext}", "rule.on_conflict": "skip", "rule.duplicates": "hold", "rule.tracks": ["stem"],
        "rule.labels": {"voice": "v"}, "rule.delete": False, "rule.manifest": True, "rule.unchecked": True,
        "rule.tags": False, "rule.tag_title": "{title} {label} mix",
        "rule.tasks": [{"name": "t", "mode": "demuser", "presets": {"encoder_format": "mp3"}}],
        "web.listen": "127.0.0.1:8910", "web.auth": "none", "web.password_file": "/p", "web.read_token_file": "/t",
        "web.trusted_proxies": ["10.0.0.0/8"], "web.hosts": ["music.example.org"], "web.uploads": False,
    }  # fmt: skip
    sections = (
        file_schema.File,
        file_schema.Log,
        file_schema.Transfers,
        file_schema.Minutes,
        file_schema.Inbox,
        file_schema.Rule,
        file_schema.Web,
    )
    titles = ("", "log.", "transfers.", "minutes.", "inbox.", "rule.", "web.")
    keys = {title + key for title, section in zip(titles, sections, strict=True) for key in section.model_fields}
    assert keys - {"log", "transfers", "minutes", "notify", "web", "inboxes", "inbox.rules"} == set(changed)
    before = loaded(tmp_path, ONE_RULE)
    for key, value in changed.items():
        assert loaded(tmp_path, yaml.safe_dump(_with(key, value))) != before, key


def _with(key: str, value: Any) -> dict[str, Any]:
    data = yaml.safe_load(ONE_RULE)
    section, _, name = key.rpartition(".")
    inbox = data["inboxes"][0]
    places = {"": data, "inbox": inbox, "rule": inbox["rules"][0]}
    if name == "tasks":
        del inbox["rules"][0]["mode"]
    (places[section] if section in places else data.setdefault(section, {}))[name] = value
    return data


def test_the_example_loads_and_shows_every_key() -> None:
    config = load(EXAMPLE, {})
    assert config.warnings == ()
    text = EXAMPLE.read_text()
    sections = (
        file_schema.File,
        file_schema.Log,
        file_schema.Transfers,
        file_schema.Minutes,
        file_schema.Inbox,
        file_schema.Rule,
        file_schema.Task,
    )
    for section in sections:
        for key in section.model_fields:
            assert re.search(rf"^(?:# )?[ -]*{key}:", text, re.MULTILINE), key  # `notify` is commented out
    modes = {task.mode for rule in config.inboxes[0].rules for task in rule.tasks}
    assert modes == {"voice_clean", "demuser", "change_voice", "stem_separator", "multistem"}


def test_the_example_says_the_true_defaults(tmp_path: Path) -> None:
    short, example = loaded(tmp_path, ONE_RULE), load(EXAMPLE, {})
    for name in ("api_url", "log", "transfers", "checks_per_minute", "minutes", "on_lost_task", "history"):
        assert getattr(short, name) == getattr(example, name), name
    written = dataclasses.replace(
        example.inboxes[0], path=Path("/srv/in"), outbox=Path("/srv/out"), rules=short.inboxes[0].rules, ignore=(),
        done_dir=Path("/srv/in/done"), failed_dir=Path("/srv/in/failed"),
    )  # fmt: skip
    assert written == short.inboxes[0]


def test_errors_are_in_plain_words(tmp_path: Path) -> None:
    rule = """
- name: songs
  mode: stem_separator
  presets: {stem: vocal}
"""
    text = with_rule(rule) + "    outpox: x\n"
    stems = "vocals, drum, piano, bass, electric_guitar, acoustic_guitar, synthesizer, strings, wind"
    stem = f'unknown stem "vocal" (known: {stems}). Did you mean "vocals"?'
    assert mistakes(tmp_path, text) == [
        f"line 8  inboxes[0].rules[0].presets.stem: {stem}",
        'line 9  inboxes[0].outpox: unknown key. Did you mean "outbox"?',
    ]


def test_all_errors_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
api_url: http://lalal.ai
checks_per_minute: many
histroy: 5d
log: {level: loud}
transfers: 3
minutes: {per_file: 90m}
inboxes:
  - path: $NOWHERE/in
    settle: soon
    recursive: maybe
    rules:
      - match: "["
        mode: voice_clena
        output: "{nam}"
      - 5
      - mode: multistem
        presets: {stem_list: [drum, drum]}
        delete: "false"
  - outbox: /out
"""
    reported = mistakes(tmp_path, text)
    assert [re.match(r"line (\d+)  (\S+):", line).groups() for line in reported] == [  # type: ignore[union-attr]
        ("1", "api_url"), ("2", "checks_per_minute"), ("3", "histroy"), ("4", "log.level"), ("5", "transfers"),
        ("6", "minutes.per_file"), ("8", "inboxes[0].path"), ("8", "inboxes[0].outbox"), ("9", "inboxes[0].settle"),
        ("10", "inboxes[0].recursive"), ("12", "inboxes[0].rules[0].match[0]"), ("13", "inboxes[0].rules[0].mode"),
        ("14", "inboxes[0].rules[0].output"), ("15", "inboxes[0].rules[1]"), ("17", "inboxes[0].rules[2].presets.stem_list"),
        ("18", "inboxes[0].rules[2].delete"), ("19", "inboxes[1].path"), ("19", "inboxes[1].rules"),
    ]  # fmt: skip


JARGON = re.compile(r"Input|valid |type=|pydantic|model|instance|NoneType|str\b|int\b|bool\b|dict|Traceback|Error|<.*>")


@pytest.mark.parametrize(
    "value", ["5", "text", "true", "[1]", "{a: 1}", "~", "1.5", '"5"', "[[1]]", "{a: {b: [c]}}", "-1", "''"]
)
def test_an_error_never_uses_the_jargon_of_the_library(tmp_path: Path, value: str) -> None:
    text = (
        "".join(f"{key}: {value}\n" for key in file_schema.File.model_fields if key not in ("inboxes", "log"))
        + f"log: {{level: {value}, format: {value}}}\ninboxes:\n  - "
        + "    ".join(f"{key}: {value}\n" for key in file_schema.Inbox.model_fields if key != "rules")
        + "    rules:\n      - "
        + "        ".join(f"{key}: {value}\n" for key in file_schema.Rule.model_fields if key != "tasks")
        + f"      - tasks: [{{name: {value}, mode: {value}, presets: {value}}}]\n      - {value}\n  - {value}\n"
    )
    for line in mistakes(tmp_path, text):
        assert not JARGON.search(line.partition(": ")[2]), line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("recursive: 1", 'recursive: expected true or false, got "1"'),
        ('recursive: "no"', 'recursive: expected true or false, got "no" (remove the quotes)'),
        ("recursive: [true]", "recursive: expected true or false, got a list"),
        ("settle: 1:30", 'settle: expected a duration such as 5s, 10m, 24h or 90d, got "1:30" (write 1m30s'),
        ("settle: {a: b}", "settle: expected a duration such as 5s, 10m, 24h or 90d, got a mapping"),
        ("poll_interval: 0", "poll_interval: expected at least 50ms, got"),
        ("existing: held", 'existing: unknown existing "held" (known: take, hold, skip). Did you mean "hold"?'),
        ("watch: [auto]", "watch: expected one of auto, native, polling, got a list"),
        ("ignore: {a: b}", "ignore: expected a list such as"),
        ("ignore: [a, [b]]", "ignore[1]: expected a text, got a list"),
        (
            "ignore:\n      - #recycle",
            'ignore[0]: this entry is empty; a value that begins with # needs quotes, such as "#recycle"',
        ),
        ("done_dir: [x]", "done_dir: expected a text, got a list"),
        ('done_dir: "a\\nb"', "done_dir: expected a text on one line"),
        ("ignore: ['a', '!']", 'ignore[1]: "!" is not a gitignore pattern'),
        ("on-success: keep", 'on-success: unknown key. Did you mean "on_success"?'),
        ("on_succes: null", 'on_succes: unknown key. Did you mean "on_success"?'),
        ("on_succes:", 'on_succes: unknown key. Did you mean "on_success"?'),
        ("mode: voice_clean", "mode: unknown key here; it belongs to a rule or a task"),
        ("uploads: 3", "uploads: unknown key here; it belongs to `transfers`"),
        ("xyzzy: 3", "xyzzy: unknown key (known: path, outbox, existing"),
    ],
)
def test_an_error_in_an_inbox_says_what_was_expected_and_what_was_got(tmp_path: Path, line: str, words: str) -> None:
    (reported,) = mistakes(tmp_path, with_inbox(line))
    assert f"inboxes[0].{words}" in reported
    assert reported.startswith(f"line {5 + line.count(chr(10))}  ")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("minutes: {per_file: 0}", 'minutes.per_file: expected a number above 0, got "0"'),
        ("minutes: {per_day: -1}", 'minutes.per_day: expected a number above 0, got "-1"'),
        ("minutes: {reserve: -1}", 'minutes.reserve: expected a number of 0 or more, got "-1"'),
        ("minutes: {reserve: .inf}", 'minutes.reserve: expected a number of 0 or more, got ".inf"'),
        ("transfers: {uploads: 0}", 'transfers.uploads: expected a whole number from 1 to 64, got "0"'),
        ("transfers: {uploads: 1.5}", 'transfers.uploads: expected a whole number from 1 to 64, got "1.5"'),
        (
            'checks_per_minute: "30"',
            'checks_per_minute: expected a whole number from 1 to 6000, got "30" (remove the quotes)',
        ),
        (
            "transfers: {upload_rate: 0}",
            'transfers.upload_rate: expected a rate above nothing, or null for no limit, got "0"',
        ),
        (
            "transfers: {upload_rate: 2Mb}",
            "transfers.upload_rate: expected a rate such as 500KB or 2MB (bytes per second)",
        ),
    ],
)
def test_a_number_out_of_its_range_is_an_error(tmp_path: Path, keys: str, words: str) -> None:
    (reported,) = mistakes(tmp_path, ONE_RULE + keys + "\n")
    assert reported.startswith(f"line 7  {words}")


def test_errors_that_only_follow_from_another_are_not_reported(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, ONE_RULE.replace("rules:\n      - mode: voice_clean", "rules: 5"))) == 1
    assert len(mistakes(tmp_path, with_rule("- mode: [voice_clean]"))) == 1
    assert len(mistakes(tmp_path, "inboxes: 5\nstate_dir: /x\n")) == 1


def test_a_rule_has_a_mode_or_tasks_and_not_both(tmp_path: Path) -> None:
    rules = """
- {}
- presets: {stem: vocals}
- {mode: demuser, tasks: [{mode: voice_clean}]}
- {presets: {}, tasks: [{mode: voice_clean}]}
- {tasks: []}
- {tasks: [{name: a, mode: demuser}, {name: a, mode: voice_clean}, {}]}
"""
    reported = mistakes(tmp_path, with_rule(rules))
    assert [line.split("inboxes[0].rules")[1].split(" (")[0] for line in reported] == [
        "[0].mode: missing: one of stem_separator, multistem, demuser, voice_clean, change_voice",
        "[1].mode: missing: one of stem_separator, multistem, demuser, voice_clean, change_voice",
        "[2].mode: is beside `tasks`; move it into one of the tasks",
        "[3].presets: is beside `tasks`; move it into one of the tasks",
        "[4].tasks: expected at least one task, got an empty list",
        '[5].tasks[1].name: "a" is the name of an earlier task; choose another',
        "[5].tasks[2].mode: missing: one of stem_separator, multistem, demuser, voice_clean, change_voice",
    ]


def test_rules_without_names_are_called_by_what_they_do(tmp_path: Path) -> None:
    rules = """
- {match: a, mode: voice_clean}
- {match: b, mode: voice_clean}
- {match: c, tasks: [{mode: demuser}, {mode: voice_clean}], output: "{task}{name}{label}.{ext}"}
- {match: d, mode: demuser, name: voice_clean 2}
"""
    (inbox,) = loaded(tmp_path, with_rule(rules)).inboxes
    names = [rule.name for rule in inbox.rules]
    assert names == ["voice_clean", "voice_clean 3", "demuser+voice_clean", "voice_clean 2"]


def test_two_rules_of_one_name_are_an_error(tmp_path: Path) -> None:
    (reported,) = mistakes(tmp_path, with_rule("- {name: a, match: x, mode: demuser}\n- {name: a, mode: demuser}"))
    assert reported == 'line 7  inboxes[0].rules[1].name: "a" is the name of an earlier rule; choose another'


def test_the_short_form_of_a_rule_is_one_task(tmp_path: Path) -> None:
    short = loaded(tmp_path, with_rule("- {name: a, mode: stem_separator, presets: {stem: drum, splitter: auto}}"))
    long = loaded(tmp_path, with_rule("- {name: a, tasks: [{mode: stem_separator, presets: {stem: drum}}]}"))
    assert short.inboxes == long.inboxes
    assert short.inboxes[0].rules[0].tasks == (TaskSpec(mode="stem_separator", presets={"stem": "drum"}),)


def test_unchecked_presets_pass_as_they_are_and_their_mode_is_still_checked(tmp_path: Path) -> None:
    rule = "- {mode: stem_separator, unchecked: true, presets: {stem: guitar, depth: 3, x: [yes, 1.5, no way], splitter: auto}}"
    (task,) = loaded(tmp_path, with_rule(rule)).inboxes[0].rules[0].tasks
    assert task.presets == {"stem": "guitar", "depth": 3, "x": [True, 1.5, "no way"], "splitter": "auto"}
    (reported,) = mistakes(tmp_path, with_rule("- {mode: split, unchecked: true, presets: {stem: guitar}}"))
    assert 'unknown mode "split"' in reported


def test_a_key_without_a_value_counts_as_not_written(tmp_path: Path) -> None:
    text = ONE_RULE + "log:\ntransfers: ~\nminutes: {reserve: null}\nhistory:\n"
    assert dataclasses.replace(loaded(tmp_path, text), lines={}) == loaded(tmp_path, ONE_RULE)


def test_a_configuration_can_be_hashed_and_not_changed(tmp_path: Path) -> None:
    config = loaded(tmp_path, CONTRACT)
    assert len({rule for inbox in config.inboxes for rule in inbox.rules}) == 2
    assert len({*config.inboxes}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.inboxes[0].rules[0].name = "x"  # type: ignore[misc]


def test_lines_are_remembered_for_later_checks(tmp_path: Path) -> None:
    config = loaded(tmp_path, ONE_RULE)
    assert (config.lines["state_dir"], config.lines["inboxes[0].path"], config.lines["inboxes[0].rules[0].mode"]) == (
        1,
        3,
        6,
    )
