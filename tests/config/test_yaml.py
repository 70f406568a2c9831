"""YAML: its traps, its mistakes, and files that cannot be read at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lalald.config import load
from lalald.errors import ConfigError
from tests.support.config_files import CONTRACT, ONE_RULE, loaded, mistakes, with_inbox, with_rule


def test_words_that_yaml_would_turn_into_something_else_stay_what_they_are(tmp_path: Path) -> None:
    rule = """
- name: no
  match: [2024, on, 007, 1:30, 2024-01-01, 1e3]
  mode: voice_clean
  delete: off
  manifest: Yes
  labels: {voice: null_voice, no_voice: 1_000}
"""
    (found,) = loaded(tmp_path, with_rule(rule)).inboxes[0].rules
    assert found.name == "no"
    assert found.match == ("2024", "on", "007", "1:30", "2024-01-01", "1e3")
    assert (found.delete, found.manifest) == (False, True)
    assert found.labels == {"voice": "null_voice", "no_voice": "1_000"}


def test_one_pattern_needs_no_brackets(tmp_path: Path) -> None:
    (found,) = loaded(tmp_path, with_rule("- {mode: voice_clean, match: podcasts/, tracks: stem}")).inboxes[0].rules
    assert (found.match, found.tracks) == (("podcasts/",), ("stem",))


def test_a_repeated_key_is_an_error_with_both_lines(tmp_path: Path) -> None:
    text = with_inbox("settle: 1s", "settle: 2s")
    (reported,) = mistakes(tmp_path, text)
    assert (
        reported == "line 6  inboxes[0].settle: appears twice in the same place (first in line 5); remove one of them"
    )


def test_anchors_aliases_and_merges_work_and_keep_their_lines(tmp_path: Path) -> None:
    text = """\
state_dir: /x
inboxes:
  - &base
    path: /srv/a
    outbox: /srv/oa
    settle: 1s
    rules: &rules
      - {mode: voice_clean, presets: {noise_cancelling_level: 1}}
  - <<: *base
    path: /srv/b
    settle: 9s
  - {path: /srv/c, outbox: /srv/oc, rules: *rules}
"""
    first, second, third = loaded(tmp_path, text).inboxes
    assert (second.path, second.outbox, second.settle) == (Path("/srv/b"), Path("/srv/oa"), 9)
    assert first.rules == second.rules == third.rules
    (reported,) = mistakes(
        tmp_path, text.replace("noise_cancelling_level: 1", "noise_cancelling_level: 7").split("  - <<")[0]
    )
    assert reported.startswith("line 8  inboxes[0].rules[0].presets.noise_cancelling_level")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty; `lalald init` writes one to start from"),
        ("# only a comment\n", "the file is empty; `lalald init` writes one to start from"),
        ("hello", 'line 1: expected keys such as inboxes:, got "hello"'),
        ("- a", "line 1: expected keys such as inboxes:, got a list"),
        ("a: 1\n---\nb: 2\n", "line 2: a second YAML document begins here"),
        ("inboxes:\n\t- path: x\n", "line 2: not readable as YAML: found character '\\t'"),
        ("inboxes:\n\t- path: x\n", "Indent with spaces"),
        ("inboxes: [\n", "Is a bracket or quote left open"),
        ("output: {dir}/{name}.{ext}\n", 'needs quotes, such as output: "{dir}/{name}/{label}.{ext}"'),
        ("match: [*.wav]\n", 'needs quotes, such as "*.wav"'),
        ("match:\n  - @eaDir\n", 'needs quotes, such as "*.wav"'),
        ('path: "C:\\Srv"\n', "two backslashes"),
        ("a: b: c\n", "line 1: not readable as YAML: a colon where no key can be"),
        ("a: &a [*a]\n", "line 1: not readable as YAML: an anchor that holds itself"),
        ("? [a]\n: b\n", "a key is one word, not a list or mapping"),
        (
            "state_dir: !!python/object:os.system x\n",
            "state_dir: a value that begins with ! needs quotes",
        ),
        ("inboxes: !set {a}\n", "is not known here"),
        ("<<: 5\n", "expected a mapping after <<"),
        ("[" * 600, "nested too deeply"),
        ("a: " + "{b: " * 60 + "}" * 60, "nested too deeply"),
    ],
)
def test_an_unreadable_configuration_is_reported_with_its_line_and_a_remedy(
    tmp_path: Path, text: str, words: str
) -> None:
    assert any(words in line for line in mistakes(tmp_path, text))


def test_anchors_within_anchors_are_an_error_and_do_not_fill_memory(tmp_path: Path) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    (reported,) = mistakes(tmp_path, text)
    assert "anchors within anchors" in reported


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\nb: \xff\xfe\n", "line 2  not UTF-8: the byte 0xFF; save the file as UTF-8"),
        (b"a: 1\nb: \x00\n", "line 2: not readable as YAML: the character U+0000 may not stand in it"),
        ("a: 1".encode("utf-16"), "line 1  not UTF-8"),
    ],
)
def test_invalid_text_is_reported_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    (reported,) = mistakes(tmp_path, content)
    assert reported.startswith(words)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    plain = loaded(tmp_path, ONE_RULE)
    (tmp_path / "config.yaml").write_bytes(b"\xef\xbb\xbf" + ONE_RULE.replace("\n", "\r\n").encode())
    assert load(tmp_path / "config.yaml", {}) == plain


def test_a_json_file_is_a_configuration_too(tmp_path: Path) -> None:
    assert loaded(tmp_path, json.dumps(yaml.safe_load(CONTRACT), indent=2)) == loaded(tmp_path, CONTRACT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE_RULE.replace("    outbox", "\u00a0   outbox"), "There is an invisible character (U+00A0)"),
        (ONE_RULE.replace("path: ", "path:\u00a0"), "There is an invisible character (U+00A0)"),
        (ONE_RULE.replace("outbox: /srv", "outbox:/srv"), "Is a space missing after a colon?"),
        (with_inbox("settle:5s"), "Is a space missing after a colon?"),
        (
            f"{ONE_RULE}minutes: {{per_file: 1,5}}\n",
            "line 7  minutes.5: unknown key; if it is part of a number, write a decimal point",
        ),
        (with_inbox("settle: 8:30"), '"8:30" (write 1m30s for one minute and a half)'),
    ],
)
def test_common_typing_errors_are_reported_with_a_remedy(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in line for line in mistakes(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "ignore: [“*.txt”]",
            'inboxes[0].ignore[0]: has typographic quotes, which are part of the value; write "*.txt"',
        ),
        (
            "done_dir: „fertig“",
            'inboxes[0].done_dir: has typographic quotes, which are part of the value; write "fertig"',
        ),
        ("done_dir: done\u200b", "inboxes[0].done_dir: has an invisible character in it (U+200B)"),
        ("ignore: [a\u00a0b]", "inboxes[0].ignore[0]: has an invisible character in it (U+00A0)"),
    ],
)
def test_what_a_word_processor_leaves_gets_a_warning(tmp_path: Path, key: str, words: str) -> None:
    assert any(f"line 5  {words}" in line for line in loaded(tmp_path, with_inbox(key)).warnings)


def test_quotes_within_a_value_and_around_a_quoted_one_are_meant(tmp_path: Path) -> None:
    keys = ("ignore: ['“a”', Bob’s, “a”b”]", 'done_dir: "“x”"')
    assert loaded(tmp_path, with_inbox(*keys)).warnings == ()


# what cannot be read at all


def test_a_folder_in_the_place_of_the_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^{tmp_path} is a folder, not a file$"):
        load(tmp_path, {})
    loaded(tmp_path, ONE_RULE)
    with pytest.raises(ConfigError, match=rf'Did you mean "{tmp_path}/config.yaml"\?'):
        load(tmp_path, {})


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", {})


def test_an_endless_file_is_not_read_for_ever() -> None:
    with pytest.raises(ConfigError, match="too large"):
        load(Path("/dev/zero"), {})
