"""Foreign text in messages: it mentions no one, formats nothing and hides nothing."""

from __future__ import annotations

import json
import os
import re

import markdown
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.jobs.event_facts import Event, Fact
from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels.command import event_variables
from lalald.notify.messages import message
from lalald.notify.payload import payload_bytes
from lalald.notify.plain_text import harmless, readable, utf8
from lalald.notify.samples import sample_cause

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


def test_half_a_surrogate_pair_stops_nothing() -> None:
    """JSON of the service may hold one; no encoding does."""
    odd = "a\ud800b\udc4d\udcff\U0001f600"
    job = {"id": 7, "inbox": "/in", "path": odd, "rule": odd, "stage": "split", "minutes": 0}
    data = {"job": job, "error": odd, "failure": None, "codes": [odd], "paid": False}
    event = Event(1, "ab", Fact.of(EventKind.JOB_FAILED, "job 7", 0.0, data))
    assert json.loads(payload_bytes(event, names=True))["data"]["error"] == "a\\ud800b\\udc4d\\xff\U0001f600"
    variables = event_variables(event)
    assert os.fsencode(variables["LALALD_PATH"]) == b"/in/a\\ud800b\\udc4d\xff" + "\U0001f600".encode()
    text = message(sample_cause(event), names=True)
    assert "\\ud800" in text.title.encode().decode()
    assert "\\ud800" in text.body.encode().decode()
