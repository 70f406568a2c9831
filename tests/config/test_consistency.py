"""How keys fit together: the service's address, patterns, rules, the key's file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.config_files import ONE_RULE, loaded, mistakes, one, warnings, with_inbox, with_rule


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://www.lalal.ai", "https://www.lalal.ai"),
        ("https://www.lalal.ai/", "https://www.lalal.ai"),
        ("HTTPS://Example.ORG:8443", "https://example.org:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.9.9.9:80/", "http://127.9.9.9:80"),
        ('"http://[::1]:9"', "http://[::1]:9"),
    ],
)
def test_an_address_is_https_or_on_this_machine(tmp_path: Path, written: str, read: str) -> None:
    assert loaded(tmp_path, f"{ONE_RULE}api_url: {written}\n").api_url == read


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            "http://www.lalal.ai",
            "http is for this machine only, since the license key would travel in the open; write https://",
        ),
        ("http://127.0.0.1.example.org", "http is for this machine only"),
        ("http://localhost.example.org", "http is for this machine only"),
        ("http://0.0.0.0", "http is for this machine only"),
        ("https://user:secret@www.lalal.ai", "without a name and password"),
        ("http://127.0.0.1@example.org", "without a name and password"),
        ("https://www.lalal.ai/api/v1/", "expected the address alone, such as https://www.lalal.ai"),
        ("https://www.lalal.ai?x=1", "expected the address alone"),
        ('"https://www.lalal.ai#x"', "expected the address alone"),
        ("www.lalal.ai", "expected an address such as https://www.lalal.ai"),
        ("ftp://www.lalal.ai", "expected an address such as https://www.lalal.ai"),
        ("file:///etc/passwd", "expected an address such as https://www.lalal.ai"),
        ("https://a..b", "expected an address such as https://www.lalal.ai"),
        ("https://-a.b", "expected an address such as https://www.lalal.ai"),
        ("https://", "expected an address such as https://www.lalal.ai"),
        ("https://www.lalal.ai:99999", "expected an address such as https://www.lalal.ai"),
        ('"https://[::1"', "expected an address such as https://www.lalal.ai"),
        ('"https://exa mple"', "expected an address such as https://www.lalal.ai"),
        ('"https://exa\\\\mple"', "expected an address such as https://www.lalal.ai"),
    ],
)
def test_an_address_that_could_give_the_key_away_is_refused(tmp_path: Path, written: str, words: str) -> None:
    reported = one(mistakes(tmp_path, f"{ONE_RULE}api_url: {written}\n"))
    assert words in reported
    assert "secret" not in reported


def test_more_checks_than_the_document_allows_get_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, f"{ONE_RULE}checks_per_minute: 30\n") == []
    reported = one(warnings(tmp_path, f"{ONE_RULE}checks_per_minute: 60\n"))
    assert reported == "line 7  checks_per_minute: the service's document allows 30; more may be refused"


def test_an_ignore_pattern_that_matches_everything_gets_a_warning(tmp_path: Path) -> None:
    reported = one(warnings(tmp_path, with_inbox('ignore: ["a", "*"]')))
    assert (
        reported == 'line 5  inboxes[0].ignore: "*" matches every file, so that no file in this inbox will be processed'
    )
    assert warnings(tmp_path, with_inbox('ignore: ["*", "!*.wav"]')) == []


@pytest.mark.parametrize(
    ("rules", "shadowed"),
    [
        ("- {mode: voice_clean}\n- {mode: demuser, match: x}", [1]),
        ("- {mode: voice_clean, match: '*'}\n- {mode: demuser}\n- {mode: demuser, types: any}", [1]),
        ("- {mode: voice_clean, types: any}\n- {mode: demuser, types: any}", [1]),
        ("- {mode: voice_clean, match: [a, b/]}\n- {mode: demuser, match: b/}", [1]),
        ("- {mode: voice_clean, match: [a, '!b']}\n- {mode: demuser, match: a}", []),
        ("- {mode: voice_clean, match: a}\n- {mode: demuser}", []),
        ("- {mode: voice_clean, match: '*.wav'}\n- {mode: demuser, match: ['*.wav', '*.mp3']}", []),
        ("- {mode: voice_clean}\n- {mode: demuser, types: any}", []),
    ],
)
def test_a_rule_that_no_file_reaches_gets_a_warning(tmp_path: Path, rules: str, shadowed: list[int]) -> None:
    reported = warnings(tmp_path, with_rule(rules))
    assert [int(re.search(r"rules\[(\d)\]: never reached", line)[1]) for line in reported] == shadowed  # type: ignore[index]


def test_a_rule_that_only_takes_back_gets_a_warning(tmp_path: Path) -> None:
    assert "matches nothing" in one(warnings(tmp_path, with_rule("- {mode: voice_clean, match: '!x'}")))


def test_presets_without_effect_get_a_warning_with_their_line(tmp_path: Path) -> None:
    rule = "- mode: stem_separator\n  presets:\n    stem: drum\n    dereverb_enabled: true"
    reported = one(warnings(tmp_path, with_rule(rule)))
    assert reported.startswith("line 9  inboxes[0].rules[0].presets.dereverb_enabled: has no effect here")
    unchecked = rule + "\n  unchecked: true"
    assert warnings(tmp_path, with_rule(unchecked)) == []


def test_a_world_readable_key_file_gets_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("abc")
    key.chmod(0o644)
    reported = one(warnings(tmp_path, f"license_key_file: key\n{ONE_RULE}"))
    assert reported.startswith(f"line 1  license_key_file: every user of this machine can read {key}")
    reported = one(warnings(tmp_path, ONE_RULE, {"LALALD_LICENSE_KEY_FILE": str(key)}))
    assert reported.startswith(f"LALALD_LICENSE_KEY_FILE: every user of this machine can read {key}")
    key.chmod(0o600)
    assert warnings(tmp_path, f"license_key_file: key\n{ONE_RULE}") == []
