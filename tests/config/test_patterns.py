"""Patterns mean what they mean in a .gitignore, on any name, quickly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from lalald.config import patterns
from lalald.config.checks.consistency import takes_everything


@pytest.mark.parametrize(
    ("written", "taken", "left"),
    [
        (["*.wav"], ["a.wav", "x/y/a.WAV"], ["a.mp3", "wav", "a.wav.mp3"]),
        (["drafts/"], ["drafts/a.mp3", "x/Drafts/y/a.mp3", "drafts/"], ["drafts", "draft/a.mp3", "a/drafts.mp3"]),
        (["/a.mp3"], ["a.mp3"], ["x/a.mp3"]),
        (["music/*"], ["music/a.mp3", "music/x/a.mp3"], ["music", "x/music/a.mp3"]),
        (["music/**/live/*.mp3"], ["music/live/a.mp3", "music/x/y/live/a.mp3"], ["music/a.mp3", "live/a.mp3"]),
        (["take [0-9]*"], ["take 1.mp3", "take 12"], ["take x"]),
        (["a?.mp3"], ["ab.mp3", "a\n.mp3", "a\udcff.mp3"], ["a.mp3", "a/b.mp3"]),
        (["#recycle"], ["#recycle/a.mp3", "#RECYCLE"], ["recycle"]),
        (["\\#1.mp3", "\\!.mp3"], ["#1.mp3", "!.mp3"], ["\\#1.mp3"]),
        (["*", "!keep/"], ["a.mp3", "x/a.mp3"], ["keep/a.mp3", "x/keep/y/a.mp3"]),
        (["drafts/", "!drafts/good.mp3"], ["drafts/a.mp3"], ["drafts/good.mp3"]),
        (["!a", "a"], ["a"], ["b"]),
        ([], [], ["a", ""]),
    ],
)
def test_a_pattern_matches_the_documented_paths(written: list[str], taken: list[str], left: list[str]) -> None:
    assert [path for path in taken if not patterns.takes(tuple(written), path)] == []
    assert [path for path in left if patterns.takes(tuple(written), path)] == []


def test_the_pattern_that_decides_is_named() -> None:
    written = ("*.wav", "drafts/", "!drafts/good.wav")
    assert patterns.decisive(written, "drafts/a.wav") == "drafts/"
    assert patterns.decisive(written, "a.wav") == "*.wav"
    assert patterns.decisive(written, "drafts/good.wav") is None
    assert patterns.take_back(written)
    assert not patterns.take_back(written[:2])


@pytest.mark.parametrize("pattern", ["", "  ", "/", "!", "[", "[z-a]", "a\\"])
def test_what_can_match_nothing_is_recognized(pattern: str) -> None:
    assert not patterns.is_pattern(pattern)


@pytest.mark.parametrize("written", [("*",), ("**",), ("*.*",), ("a", "*"), ("!x", "*")])
def test_patterns_that_match_everything_are_recognized(written: tuple[str, ...]) -> None:
    assert takes_everything(written)


@pytest.mark.parametrize("written", [("*", "!*.wav"), ("*.wav", "*.mp3"), ("*/",), ("/*.*",), ("!*",)])
def test_patterns_that_leave_something_are_recognized(written: tuple[str, ...]) -> None:
    assert not takes_everything(written)


PATTERN = st.text("ab*?/.[]#\\", min_size=1, max_size=8).filter(
    lambda pattern: "[[" not in pattern and patterns.is_pattern(pattern)
)
NAME = st.text("ab.#", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)


@given(st.lists(PATTERN, min_size=1, max_size=4), PATH)
def test_without_an_exclamation_mark_patterns_mean_what_they_mean_to_git(written: list[str], path: str) -> None:
    spec = GitIgnoreSpec.from_lines(["\\" + pattern if pattern.startswith("#") else pattern for pattern in written])
    assert patterns.takes(tuple(written), path) == spec.match_file(path)


@given(st.lists(st.tuples(st.booleans(), PATTERN), min_size=1, max_size=5), PATH)
def test_the_last_pattern_that_matches_decides(written: list[tuple[bool, str]], path: str) -> None:
    together = tuple(pattern if taking else f"!{pattern}" for taking, pattern in written)
    matching = [taking for taking, pattern in written if patterns.takes((pattern,), path)]
    assert patterns.takes(together, path) == bool(matching and matching[-1])
