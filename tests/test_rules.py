"""Which rule a file belongs to."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from lalald import rules
from lalald.config import Inbox, Rule, TaskSpec
from lalald.config.model import Types

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


def test_without_patterns_every_known_type_is_taken_and_nothing_else() -> None:
    where = inbox(rule("all"))
    assert matched(where, "a.mp3") == "all"
    assert matched(where, "x/y/b.MKV") == "all"
    assert matched(where, "notes.txt") is None
    assert matched(where, "mp3") is None
    assert matched(where, ".mp3") is None


def test_types_any_lifts_the_limit_for_that_rule_alone() -> None:
    where = inbox(rule("media"), rule("odd", "*.xyz", types="any"))
    assert matched(where, "a.xyz") == "odd"
    assert matched(where, "a.txt") is None
    assert matched(where, "a.mp3") == "media"


@pytest.mark.parametrize(
    "name", ["a.MP3", "A.Wav", "a.flac", "b.b.Opus", "c.m4a", "d.aiff", "e.wma", "f.mov", "g.webm", "h.avi"]
)
def test_what_people_send_is_media(name: str) -> None:
    assert rules.is_media(name)


@pytest.mark.parametrize("name", ["a.txt", "mp3", ".mp3", "a.mp3.part", "a.", "", "a.mp3\n"])
def test_what_is_no_media_is_not(name: str) -> None:
    assert not rules.is_media(name)


def test_patterns_ignore_case() -> None:
    where = inbox(rule("podcasts", "Podcasts/*.WAV"))
    assert matched(where, "PODCASTS/Ep1.wav") == "podcasts"


def test_patterns_ignore_the_normal_form_of_letters() -> None:
    where = inbox(rule("café", unicodedata.normalize("NFC", "Café/")), ignore=(unicodedata.normalize("NFD", "Über*"),))
    assert matched(where, unicodedata.normalize("NFD", "café/a.mp3")) == "café"
    assert matched(where, unicodedata.normalize("NFC", "café/ÜBERMUT.mp3")) is None


def test_names_that_are_no_utf8_or_hold_line_breaks_are_matched_like_others() -> None:
    where = inbox(rule("folder", "odd\udcff*/"), rule("wave", "*.wav"), ignore=("skip*",))
    assert matched(where, "odd\udcff name/a.mp3") == "folder"
    assert matched(where, "b\udcfe\n\nc/d\ne.wav") == "wave"
    assert rules.ignored(where, "x\ny/skip\nthis.wav") == "skip*"


def test_patterns_mean_what_they_mean_to_git() -> None:
    where = inbox(
        rule("top", "/*.wav"), rule("deep", "a/**/z/*.mp3"), rule("but", "*", "!keep/"), rule("kept", "keep/b/*")
    )
    assert matched(where, "x.wav") == "top"
    assert matched(where, "a/z/x.mp3") == "deep"
    assert matched(where, "a/b/c/z/x.mp3") == "deep"
    assert matched(where, "sub/x.wav") == "but"
    assert matched(where, "keep/x.wav") is None
    assert matched(where, "keep/b/c/x.wav") == "kept"


def test_a_leading_hash_is_no_comment() -> None:
    where = inbox(rule("all"), ignore=("#recycle", "#*.wav"))
    assert rules.ignored(where, "#recycle/a.mp3") == "#recycle"
    assert rules.ignored(where, "#1 hit.wav") == "#*.wav"


def test_what_is_ignored_matches_no_rule_and_the_pattern_is_named() -> None:
    where = inbox(rule("all", types="any"), ignore=("*.txt", "drafts/"))
    assert matched(where, "drafts/a.mp3") is None
    assert rules.ignored(where, "Drafts/deep/a.mp3") == "drafts/"
    assert rules.ignored(where, "a.TXT") == "*.txt"
    assert rules.ignored(where, "a.mp3") is None
    assert rules.ignored(inbox(rule("all")), "a.txt") is None


def test_a_folder_is_passed_over_only_if_all_of_it_is_ignored() -> None:
    assert rules.ignored(inbox(ignore=("drafts/",)), "drafts/") == "drafts/"
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/") is None
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/keep.wav") is None
    assert rules.ignored(inbox(ignore=("drafts/", "!drafts/keep.wav")), "drafts/other.wav") == "drafts/"
    assert rules.ignored(inbox(ignore=("*.wav",)), "music/") is None


@pytest.mark.parametrize("pattern", ["", "  ", "/", "!", "[", "[z-a]", "a\\"])
def test_what_can_match_nothing_is_told_apart(pattern: str) -> None:
    assert not rules.says_something(pattern)


def test_patterns_that_take_everything_are_told_apart() -> None:
    assert rules.takes_everything(["*"])
    assert rules.takes_everything(["**"])
    assert rules.takes_everything(["*.*"])
    assert rules.takes_everything(["a", "*"])
    assert not rules.takes_everything(["*", "!*.wav"])
    assert not rules.takes_everything(["*.wav", "*.mp3"])
    assert not rules.takes_everything(["*/"])


PATTERN = st.text("ab*?/.[]#\\", min_size=1, max_size=8).filter(
    lambda pattern: "[[" not in pattern and rules.says_something(pattern)
)
PATTERNS = st.lists(PATTERN, min_size=1, max_size=4)
NAMES = st.text("ab.#", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))


@given(PATTERNS, st.lists(NAMES, min_size=1, max_size=3))
def test_without_an_exclamation_mark_patterns_mean_what_they_mean_to_git(patterns: list[str], parts: list[str]) -> None:
    path = "/".join(parts)
    spec = GitIgnoreSpec.from_lines(["\\" + pattern if pattern.startswith("#") else pattern for pattern in patterns])
    assert rules.matches(tuple(patterns), path) == spec.match_file(path)


@given(st.lists(st.tuples(st.booleans(), PATTERN), min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=3))
def test_the_last_pattern_that_matches_decides(written: list[tuple[bool, str]], parts: list[str]) -> None:
    path = "/".join(parts)
    patterns = tuple(pattern if takes else f"!{pattern}" for takes, pattern in written)
    matching = [takes for takes, pattern in written if rules.matches((pattern,), path)]
    assert rules.matches(patterns, path) == bool(matching and matching[-1])


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=10), max_size=3))
def test_no_name_and_no_pattern_raises(name: str, patterns: list[str]) -> None:
    known = tuple(pattern for pattern in patterns if rules.says_something(pattern))
    where = inbox(rule("some", *known), ignore=known[:1])
    assert rules.match(where, name) in (None, *where.rules)
    rules.ignored(where, name)


def test_a_hundred_thousand_names_take_seconds_at_most() -> None:
    where = inbox(rule("a", "podcasts/", "*.wav"), rule("b", "music/**/live/"), rule("c"), ignore=("*.txt", "drafts/"))
    names = [f"folder {n % 100}/sub {n % 7}/some song {n}.mp3" for n in range(10_000)]
    began = time.process_time()
    assert all(matched(where, name) == "c" for name in names)
    assert (
        time.process_time() - began < 5.0
    )  # 0.1 s where it was written: this guards against a pattern compiled per name
