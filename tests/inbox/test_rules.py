"""Which rule a file belongs to."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.config import Inbox, Rule, TaskSpec, patterns
from lalald.config.model import Types
from lalald.inbox.selection import rules

TASKS = (TaskSpec(mode="voice_clean", presets={"stem": "voice"}),)


def rule(name: str, *match: str, types: Types = "media") -> Rule:
    return Rule(name=name, tasks=TASKS, match=match, types=types)


def inbox(*found: Rule, ignore: tuple[str, ...] = ()) -> Inbox:
    return Inbox(Path("/in"), Path("/out"), Path("/in/done"), Path("/in/failed"), found, ignore=ignore)


def matched(where: Inbox, path: str) -> str | None:
    found = rules.match(where, path)
    return found.name if found else None


def test_the_first_rule_that_matches_wins() -> None:
    where = inbox(rule("podcasts", "podcasts/"), rule("waves", "*.wav"), rule("rest"))
    assert matched(where, "podcasts/a.wav") == "podcasts"
    assert matched(where, "music/a.wav") == "waves"
    assert matched(where, "music/a.mp3") == "rest"


def test_without_patterns_a_rule_matches_media_only() -> None:
    where = inbox(rule("all"))
    assert matched(where, "a.mp3") == "all"
    assert matched(where, "x/y/b.MKV") == "all"
    assert matched(where, "notes.txt") is None
    assert matched(where, "mp3") is None
    assert matched(where, ".mp3") is None


def test_types_any_applies_to_that_rule_only() -> None:
    where = inbox(rule("media"), rule("odd", "*.xyz", types="any"))
    assert matched(where, "a.xyz") == "odd"
    assert matched(where, "a.txt") is None
    assert matched(where, "a.mp3") == "media"


@pytest.mark.parametrize(
    "name", ["a.MP3", "A.Wav", "a.flac", "b.b.Opus", "c.m4a", "d.aiff", "e.wma", "f.mov", "g.webm", "h.avi"]
)
def test_common_extensions_are_media(name: str) -> None:
    assert rules.is_media(name)


@pytest.mark.parametrize("name", ["a.txt", "mp3", ".mp3", "a.mp3.part", "a.", "", "a.mp3\n"])
def test_other_extensions_are_not_media(name: str) -> None:
    assert not rules.is_media(name)


def test_patterns_ignore_case() -> None:
    where = inbox(rule("podcasts", "Podcasts/*.WAV"))
    assert matched(where, "PODCASTS/Ep1.wav") == "podcasts"


def test_patterns_ignore_the_normal_form_of_letters() -> None:
    where = inbox(rule("café", unicodedata.normalize("NFC", "Café/")), ignore=(unicodedata.normalize("NFD", "Über*"),))
    assert matched(where, unicodedata.normalize("NFD", "café/a.mp3")) == "café"
    assert matched(where, unicodedata.normalize("NFC", "café/ÜBERMUT.mp3")) is None


def test_names_that_are_not_utf8_or_contain_line_breaks_are_matched() -> None:
    where = inbox(rule("folder", "odd\udcff*/"), rule("wave", "*.wav"), ignore=("skip*",))
    assert matched(where, "odd\udcff name/a.mp3") == "folder"
    assert matched(where, "b\udcfe\n\nc/d\ne.wav") == "wave"
    assert rules.ignored(where, "x\ny/skip\nthis.wav") == "skip*"


def test_patterns_mean_the_same_as_in_gitignore() -> None:
    where = inbox(
        rule("top", "/*.wav"), rule("deep", "a/**/z/*.mp3"), rule("but", "*", "!keep/"), rule("kept", "keep/b/*")
    )
    assert matched(where, "x.wav") == "top"
    assert matched(where, "a/z/x.mp3") == "deep"
    assert matched(where, "a/b/c/z/x.mp3") == "deep"
    assert matched(where, "sub/x.wav") == "but"
    assert matched(where, "keep/x.wav") is None
    assert matched(where, "keep/b/c/x.wav") == "kept"


def test_a_leading_hash_is_part_of_the_pattern() -> None:
    where = inbox(rule("all"), ignore=("#recycle", "#*.wav"))
    assert rules.ignored(where, "#recycle/a.mp3") == "#recycle"
    assert rules.ignored(where, "#1 hit.wav") == "#*.wav"


def test_ignored_files_match_no_rule_and_the_pattern_is_named() -> None:
    where = inbox(rule("all", types="any"), ignore=("*.txt", "drafts/"))
    assert matched(where, "drafts/a.mp3") is None
    assert rules.ignored(where, "Drafts/deep/a.mp3") == "drafts/"
    assert rules.ignored(where, "a.TXT") == "*.txt"
    assert rules.ignored(where, "a.mp3") is None
    assert rules.ignored(inbox(rule("all")), "a.txt") is None


def test_a_folder_is_skipped_only_if_everything_in_it_is_ignored() -> None:
    assert rules.ignored(inbox(ignore=("drafts/",)), "drafts/") == "drafts/"
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/") is None
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/keep.wav") is None
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/other.wav") == "drafts/"
    assert rules.ignored(inbox(ignore=("*.wav",)), "music/") is None


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=10), max_size=3))
def test_any_name_and_any_pattern_can_be_matched(name: str, written: list[str]) -> None:
    known = tuple(pattern for pattern in written if patterns.is_pattern(pattern))
    where = inbox(rule("some", *known), ignore=known[:1])
    assert rules.match(where, name) in (None, *where.rules)
    rules.ignored(where, name)
