"""Foreign text in messages: it mentions no one, formats nothing and hides nothing."""

from __future__ import annotations

import os
import re

import markdown
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.notify.plain_text import harmless, readable, utf8

MARKUP = re.compile(r"<(?:a|em|strong|code|img|pre|h\d|ul|ol|blockquote|del|script)\b")


def rendered(text: str) -> str:
    return markdown.markdown(f"• {text}", extensions=["extra"])


@pytest.mark.parametrize(
    "name",
    [
        "*bold*.mp3", "**bold**", "_emphasis_", "__strong__", "`code`.wav", "```block```", "[click](http://evil.example)",
        "[click][1]", "![x](http://evil.example/x.png)", "<http://evil.example>", "<b>bold</b>", "<script>alert(1)</script>",
        "~~gone~~", "a *b* c_d_e f", "[a]: http://evil.example", "x <img src=x onerror=alert(1)>",
    ],
)  # fmt: skip
def test_markdown_finds_nothing_to_format(name: str) -> None:
    assert not MARKUP.search(rendered(harmless(name))), rendered(harmless(name))


@given(st.text(alphabet="ab _*`[]()<>!~|#@&;:/.-\\", max_size=40))
def test_markdown_finds_nothing_in_any_mixture_of_its_signs(name: str) -> None:
    assert not MARKUP.search(rendered(harmless(name))), rendered(harmless(name))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("@everyone", r"@\w"), ("mail a@b.example", r"@\w"), ("<@123>", r"<@|@\w"), ("<!channel>", r"<!"), ("<#C1|x>", r"<#"),
        ("http://evil.example", r"://"), ("www.evil.example", r"\bwww\."), ("&lt;b&gt;", r"&\w+;"), ("||spoiler||", r"\|\|"),
    ],
)  # fmt: skip
def test_mentions_and_links_are_disarmed(text: str, call: str) -> None:
    assert re.search(call, text)
    assert not re.search(call, harmless(text))
    assert harmless(text).replace("\u200b", "").translate({ord("‹"): "<", ord("›"): ">"}) == text  # it reads as it did


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("podcasts/my_song (live) [2020] - 1.mp3", "Ærø & Sønner #3.flac", "日本語の歌.wav", "C:50%.aiff"):
        assert harmless(name) == name


def test_control_signs_and_direction_marks_are_gone() -> None:
    assert readable("a\x00b\x1b[31mc\u202ed\u2066e\u200bf\ufeff\x7f") == "ab[31mcdef"
    assert readable("two\nlines\tand\rmore") == "two lines and more"


def test_names_that_are_not_utf8_are_escaped() -> None:
    assert utf8(os.fsdecode(b"caf\xe9.mp3")) == "caf\\xe9.mp3"
    assert readable(os.fsdecode(b"\xff\xfe")) == "\\xff\\xfe"


def test_a_long_text_is_cut() -> None:
    assert harmless("x" * 5000).endswith("…")
    assert len(harmless("x" * 5000)) == 600
