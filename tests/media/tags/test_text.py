"""Text of ID3v1 and of Latin-1 frames, which is often in another encoding; and what no text may hold."""

from __future__ import annotations

import pytest

from lalald.media.tags.text import MOST_TEXT_BYTES, cleaned, is_too_long, legacy_encoding

TEXTS = {
    "cp1251": ["Кино", "Группа крови", "В. Цой", "ДДТ", "«Звезда по имени Солнце»", "Океан Ельзи"],
    "koi8-r": ["Земфира", "Звезда по имени Солнце"],
    "shift_jis": ["さくら", "宇多田ヒカル", "ドラゴンボール", "X JAPAN"],
    "euc_jp": ["さくらさくら", "ファーストラブ"],
    "cp949": ["방탄소년단", "아리랑", "소녀시대", "사랑했지만"],
    "gb18030": ["邓丽君", "月亮代表我的心", "青花瓷"],
    "big5": ["鄧麗君", "月亮代表我的心", "周杰倫"],
    "cp1253": ["Νάνα Μούσχουρη", "Τα παιδιά του Πειραιά"],
    "utf-8": ["Björk", "Кино", "さくら"],
    "latin-1": ["Björk", "Café del Mar", "Ágætis byrjun", "Motörhead", "Große Straße", "Ééé", "ÅÄÖ", "ÑANDÚ", "plain"],
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_all_texts_of_a_file_together_show_their_encoding(encoding: str) -> None:
    assert legacy_encoding([text.encode(encoding).decode("latin-1") for text in TEXTS[encoding]]) == encoding


@pytest.mark.parametrize("text", TEXTS["latin-1"])
def test_western_text_alone_is_left_as_it_is(text: str) -> None:
    assert legacy_encoding([text]) == "latin-1"


def test_bytes_that_fit_nothing_are_latin_1() -> None:
    assert legacy_encoding(["\xff\xfe\x80\x81\xd8\x00", ""]) == "latin-1"
    assert legacy_encoding([]) == "latin-1"


def test_control_characters_never_arrive() -> None:
    hostile = "a\x00\x1b[31mb\x07\r\nc\x85d\ud800\ufeff\te\u2028f"
    assert cleaned("title", hostile) == "a[31mb cd e f"
    assert cleaned("comment", hostile) == "a[31mb\ncd\te\nf"
    assert cleaned("title", "<script>alert(1)</script> & 'x'") == "<script>alert(1)</script> & 'x'"


def test_right_to_left_text_keeps_its_marks() -> None:
    assert cleaned("title", "\u200fשלום\u200e (live)") == "\u200fשלום\u200e (live)"


def test_a_text_is_bounded_in_bytes() -> None:
    assert not is_too_long("a" * MOST_TEXT_BYTES)
    assert is_too_long("a" * (MOST_TEXT_BYTES + 1))
    assert is_too_long("名" * (MOST_TEXT_BYTES // 2))
