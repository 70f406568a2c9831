"""One error does not hide another: an error of each layer beside one of each other, both reported, once, on their own lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from lalald.commands.check_config import check_surroundings
from lalald.config.loading import examine

BASE = """\
license_key_file: ROOT/license-key
state_dir: ROOT/state
api_url: https://www.lalal.ai
history: 90d
minutes: {reserve: 0}
inboxes:
  - path: ROOT/in
    outbox: ROOT/out
    settle: 5s
    ignore:
      - "*.txt"
      - drafts/
    recursive: true
    done_dir: done
    rules:
      - name: songs
        match:
          - "*.mp3"
          - "*.wav"
        types: media
        mode: stem_separator
        presets:
          stem: vocals
          splitter: auto
        output: "{dir}/{name}/{label}.{ext}"
        tracks:
          - vocals
          - no_vocals
        labels:
          vocals: Voice
          no_vocals: Rest
      - name: other
        mode: demuser
  - path: ROOT/in2
    outbox: ROOT/out2
    rules:
      - mode: multistem
        presets: {stem_list: [drum, bass]}
      - name: several
        tasks:
          - name: one
            mode: demuser
          - name: two
            mode: voice_clean
        output: "{dir}/{name}/{task}/{label}.{ext}"
"""


class Wrong(NamedTuple):
    """A line of `BASE`, what stands there instead, and what is said of it."""

    old: str
    new: str
    where: str
    words: str


ERRORS = {
    "unknown key": Wrong("    settle: 5s", "    setle: 5s", "inboxes[0].setle", 'Did you mean "settle"?'),
    "unknown key of a rule": Wrong("        types: media", "        typse: media", "inboxes[0].rules[0].typse", '"types"?'),
    "unknown key at the top": Wrong("history: 90d", "histroy: 90d", "histroy", 'Did you mean "history"?'),
    "wrong value": Wrong("    settle: 5s", "    settle: soon", "inboxes[0].settle", '"soon"'),
    "a number is a clock": Wrong("    settle: 5s", "    settle: 8:30", "inboxes[0].settle", '"8:30"'),
    "not true or false": Wrong("    recursive: true", "    recursive: maybe", "inboxes[0].recursive", '"maybe"'),
    "wrong word": Wrong("        types: media", "        types: medai", "inboxes[0].rules[0].types", '"media"?'),
    "wrong section": Wrong("minutes: {reserve: 0}", "minutes: 5", "minutes", "a mapping of keys"),
    "wrong number": Wrong("minutes: {reserve: 0}", "minutes: {reserve: -1}", "minutes.reserve", "0 or more"),
    "key twice": Wrong("history: 90d", "api_url: http://localhost", "api_url", "appears twice"),
    "list twice": Wrong("    done_dir: done", "    ignore: [x]", "inboxes[0].ignore", "appears twice"),
    "unknown tag": Wrong("history: 90d", "history: !days 90", "history", 'a value that begins with ! needs quotes'),
    "address": Wrong("api_url: https://www.lalal.ai", "api_url: http://lalal.ai", "api_url", "http is for this machine"),
    "variable": Wrong("  - path: ROOT/in", "  - path: $NOWHERE/in", "inboxes[0].path", "$NOWHERE is not set"),
    "no folder": Wrong("  - path: ROOT/in", "  - path: ROOT/none", "inboxes[0].path", "there is no folder"),
    "no outbox": Wrong("    outbox: ROOT/out", "    outbox: ROOT/nowhere", "inboxes[0].outbox", "there is no folder"),
    "outbox missing": Wrong("    outbox: ROOT/out2", "    #", "inboxes[1].outbox", "missing: the folder for the results"),
    "outbox in an inbox": Wrong("    outbox: ROOT/out", "    outbox: ROOT/in2/x", "inboxes[0].outbox", "paid for again"),
    "inbox twice": Wrong("  - path: ROOT/in2", "  - path: ROOT/in", "inboxes[1].path", "is the same folder as"),
    "done elsewhere": Wrong("    done_dir: done", "    done_dir: ../x", "inboxes[0].done_dir", "write the path in full"),
    "state is a file": Wrong("state_dir: ROOT/state", "state_dir: ROOT/license-key", "state_dir", "is a file"),
    "state in an inbox": Wrong("state_dir: ROOT/state", "state_dir: ROOT/in2/s", "state_dir", "is within the inbox"),
    "no key file": Wrong("ROOT/license-key", "ROOT/no-key", "license_key_file", "there is no such file in"),
    "entry of a list": Wrong('      - "*.txt"', "      - [a]", "inboxes[0].ignore[0]", "expected a text, got a list"),
    "empty entry": Wrong("      - drafts/", "      - #drafts/", "inboxes[0].ignore[1]", "this entry is empty"),
    "no pattern": Wrong('          - "*.mp3"', '          - "["', "inboxes[0].rules[0].match[0]", "not a gitignore pattern"),
    "no pattern to ignore": Wrong("      - drafts/", '      - "["', "inboxes[0].ignore[1]", "not a gitignore pattern"),
    "mode": Wrong("stem_separator", "stem_seperator", "inboxes[0].rules[0].mode", '"stem_separator"?'),
    "strange mode": Wrong("stem_separator", "xyz", "inboxes[0].rules[0].mode", 'unknown mode "xyz"'),
    "mode missing": Wrong("        mode: stem_separator", "        #", "inboxes[0].rules[0].mode", "missing: one of"),
    "stem": Wrong("          stem: vocals", "          stem: vocal", "inboxes[0].rules[0].presets.stem", '"vocals"?'),
    "splitter": Wrong("splitter: auto", "splitter: oriom", "inboxes[0].rules[0].presets.splitter", '"orion"?'),
    "preset": Wrong("splitter: auto", "spliter: auto", "inboxes[0].rules[0].presets.spliter", '"splitter"?'),
    "presets": Wrong("presets:", "prests:", "inboxes[0].rules[0].prests", 'unknown key. Did you mean "presets"?'),
    "stem of multistem": Wrong("[drum, bass]", "[drum, bas]", "inboxes[1].rules[0].presets.stem_list", '"bass"?'),
    "placeholder": Wrong("{dir}/{name}/{label}", "{dir}/{nam}/{label}", "inboxes[0].rules[0].output", "{nam}"),
    "brace": Wrong("{dir}/{name}/{label}", "{dir}/{name/{label}", "inboxes[0].rules[0].output", "a brace without"),
    "track": Wrong("          - vocals", "          - voclas", "inboxes[0].rules[0].tracks[0]", 'unknown track "voclas"'),
    "track of a list": Wrong("          - vocals", "          - {a: b}", "inboxes[0].rules[0].tracks[0]", "a mapping"),
    "label": Wrong("          vocals: Voice", "          voclas: Voice", "inboxes[0].rules[0].labels.voclas", "unknown label"),
    "name of a track": Wrong("vocals: Rest", "vocals: a/b", "inboxes[0].rules[0].labels.no_vocals", "without a slash"),
    "same names": Wrong("vocals: Rest", "vocals: voice", "inboxes[0].rules[0].labels.no_vocals", "the new name of vocals too"),
    "rule twice": Wrong("- name: other", "- name: songs", "inboxes[0].rules[1].name", "the name of an earlier rule"),
    "task twice": Wrong("- name: two", "- name: one", "inboxes[1].rules[1].tasks[1].name", "the name of an earlier task"),
    "shared names": Wrong("{task}/{label}", "{type}", "inboxes[1].rules[1].output", "would share a name"),
    "mode of a task": Wrong("mode: voice_clean", "mode: voice_claen", "inboxes[1].rules[1].tasks[1].mode", '"voice_clean"?'),
}  # fmt: skip
# Of these the second can only be seen once the first is right, or is not one beside it.
DEPENDENT = {
    frozenset(pair)
    for pair in (
        ("variable", "inbox twice"), ("no folder", "inbox twice"), ("outbox in an inbox", "inbox twice"),
        ("inbox twice", "state in an inbox"), ("shared names", "mode of a task"), ("shared names", "task twice"), ("same names", "label"),
    )
}  # fmt: skip


def wrong_text(*wrongs: Wrong) -> str:
    lines = BASE.splitlines()
    for wrong in wrongs:
        place = line_of(wrong) - 1
        lines[place] = lines[place].replace(wrong.old, wrong.new)
    return "\n".join(lines) + "\n"


def line_of(wrong: Wrong) -> int:
    """The line that has the text: where several have it, the one that ends with it."""
    lines = BASE.splitlines()
    found = [number for number, line in enumerate(lines, 1) if wrong.old in line]
    exact = [number for number in found if lines[number - 1].endswith(wrong.old)]
    return (exact or found)[0]


def reported_line(wrong: Wrong) -> int:
    """What is missing is reported on the line of what it would stand in."""
    if wrong.words.startswith("missing"):
        section = wrong.where.rpartition(".")[0]
        return {"inboxes[1]": 34, "inboxes[0].rules[0]": 16}[section]
    return line_of(wrong)


def reported(root: Path, text: str) -> list[str]:
    path = root / "config.yaml"
    path.write_text(text.replace("ROOT", str(root)))
    examined = examine(path, {})
    check_surroundings(examined, {})
    return [
        examined.diagnostics.formatted(error) for error in sorted(examined.diagnostics.errors, key=lambda one: one.line)
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for name in ("in", "in2", "out", "out2", "state"):
        (folder / name).mkdir()
    (folder / "license-key").write_text("a-real-looking-key")
    return folder


def is_reported(line: str, wrong: Wrong) -> bool:
    found = re.match(r"line (\d+)  (\S+): (.*)", line)
    assert found, line
    number, where, words = found.groups()
    known = where in (wrong.where, wrong.where.replace("presets", "prests"))
    return (int(number), known, wrong.words in words) == (reported_line(wrong), True, True)


def test_the_base_has_no_errors(root: Path) -> None:
    assert reported(root, BASE) == []


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_reported_once_with_its_line(name: str, root: Path) -> None:
    (message,) = reported(root, wrong_text(ERRORS[name]))
    assert is_reported(message, ERRORS[name]), message


def pairs() -> Iterator[tuple[str, str]]:
    for first, second in combinations(ERRORS, 2):
        apart = line_of(ERRORS[first]) != line_of(ERRORS[second])
        if apart and frozenset((first, second)) not in DEPENDENT:
            yield first, second


def test_nearly_every_pair_is_tried() -> None:
    partners = Counter(name for pair in pairs() for name in pair)
    assert min(partners[name] for name in ERRORS) > 30


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_does_not_hide_another(name: str, root: Path) -> None:
    """Seen: a wrong path, a wrong mode and a wrong stem gave one error; a wrong placeholder hid wrong tracks and labels."""
    wrong = []
    for other in (second for first, second in pairs() if first == name):
        both = (ERRORS[name], ERRORS[other])
        message = reported(root, wrong_text(*both))
        if len(message) != 2 or any(sum(is_reported(line, one) for line in message) != 1 for one in both):
            wrong.append((other, message))
    assert wrong == []


def test_all_layers_at_once(root: Path) -> None:
    """Each of these layers used to hide the next one."""
    names = (
        "unknown key at the top", "no key file", "state is a file", "address", "wrong number", "no folder", "no outbox",
        "wrong value", "entry of a list", "no pattern to ignore", "not true or false", "list twice", "no pattern", "wrong word",
        "mode", "stem", "splitter", "placeholder", "track", "label", "rule twice", "stem of multistem", "task twice",
        "outbox missing", "mode of a task",
    )  # fmt: skip
    message = reported(root, wrong_text(*(ERRORS[name] for name in names)))
    assert len(message) == len(names), "\n".join(message)
    for name in names:
        assert sum(is_reported(line, ERRORS[name]) for line in message) == 1, (name, message)
