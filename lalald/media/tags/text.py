"""Text from untrusted tags: control characters removed, lengths bounded, and legacy encodings told from Latin-1.

ID3v1 and the Latin-1 text of ID3v2 often hold another encoding, since programs wrote what their system used. All such text of a file
has one encoding. It is read as another than Latin-1 only where the bytes leave no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MOST_TEXT_BYTES = 64 * 1024  # of one value, in UTF-8: the lyrics of an opera
MOST_FIELDS = 256
MOST_VALUES = 64  # of one field
_SAMPLE_LETTERS = 16 * 1024

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_SPACES = re.compile("[\t\n]+")
_IN_A_ROW = re.compile("[\x80-\xff]{3,}")
_LEAST_LETTERS = 5  # fewer may be anything
_SEVERAL_LINES = frozenset({"comment", "lyrics"})


def cleaned(name: str, text: str) -> str:
    """A field's value without control characters; on one line, but for comments and lyrics."""
    kept = _CONTROL.sub("", _LINE_ENDS.sub("\n", text))
    return (kept if name in _SEVERAL_LINES else _SPACES.sub(" ", kept)).strip()


def is_too_long(text: str) -> bool:
    return len(text) > MOST_TEXT_BYTES or len(text.encode("utf-8", "replace")) > MOST_TEXT_BYTES


def legacy_encoding(texts: Iterable[str]) -> str:
    """The encoding of texts that were read as Latin-1; `latin-1` where they are that, or in doubt."""
    together = _sample(text for text in texts if not text.isascii())
    raw = together.encode("latin-1")
    if together.isascii() or _decoded(raw, "utf-8") is not None:
        return "utf-8" if raw else "latin-1"
    has_runs = _IN_A_ROW.search(together) is not None
    for encoding, needs_runs, is_likely in _LIKELY:
        if has_runs or not needs_runs:
            text = _decoded(raw, encoding)
            if text is not None and is_likely(text):
                return encoding
    return "latin-1"


def _sample(texts: Iterable[str]) -> str:
    """Enough of them to tell, each whole or up to a space, so that no character of several bytes is cut."""
    sample: list[str] = []
    left = _SAMPLE_LETTERS
    for text in texts:
        part = text if len(text) <= left else text[: text.rfind(" ", 0, left) + 1]
        left -= len(part)
        sample.append(part)
    return "\n".join(sample)


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _share(text: str, pattern: re.Pattern[str]) -> float:
    """How much of what is not ASCII matches."""
    odd = [letter for letter in text if letter > "\x7f"]
    return sum(1 for letter in odd if pattern.match(letter)) / max(1, len(odd))


# Western European text never has three letters in a row that are not ASCII; these encodings hardly ever have fewer.
_CYRILLIC_WORD = re.compile("[А-ЯЁІЇЄҐЎ]?[а-яёіїєґў]*|[А-ЯЁІЇЄҐЎ]+")
_GREEK_WORD = re.compile("[Α-ΩΆΈ-Ώ]?[α-ωά-ώΐΰϊϋ]*|[Α-ΩΆΈ-Ώ]+")
_WORDS = re.compile(r"[^\W\d_]+")
_AROUND_WORDS = re.compile(r"(?<!\w)[«“„]|[»”…](?!\w)|[–—№·]")
_KANA = re.compile("[ぁ-ゖァ-ヺー]")
_JAPANESE = re.compile("[\u3000-〿ぁ-ゖァ-ヺー一-鿿！-～]")
_HANGUL = re.compile("[가-힣]")
_HAN = re.compile("[一-鿿\u3000-〿！-～·“”‘’…—]")
_FREQUENT_HANGUL = frozenset(
    "이다는을가에하고의도지로어기사한리라자아나서일대인그시해수를은스만들있정부으니오보전제주상장구선거게여면과우성세원조경소신"
    "마음국비유연방내동모무미문당후화물생각치속말없노래날때너안움랑별밤길눈빛꽃바람늘천년녀했습까야요죠네좋던된될와왜"
)


def _is_of_words(text: str, word: re.Pattern[str]) -> bool:
    """Whether its words are of one script, each with capitals only where a word has them."""
    odd = [found for found in _WORDS.findall(text) if not found.isascii()]
    rest = _AROUND_WORDS.sub("", _WORDS.sub("", text))
    is_enough = sum(map(len, odd)) >= _LEAST_LETTERS
    return rest.isascii() and is_enough and all(word.fullmatch(found) for found in odd)


def _is_cyrillic(text: str) -> bool:
    return _is_of_words(text, _CYRILLIC_WORD)


def _is_greek(text: str) -> bool:
    return _is_of_words(text, _GREEK_WORD)


def _is_japanese(text: str) -> bool:
    return _share(text, _JAPANESE) == 1 and _share(text, _KANA) > 0


def _is_korean(text: str) -> bool:
    syllables = _HANGUL.findall(text)
    frequent = sum(1 for syllable in syllables if syllable in _FREQUENT_HANGUL)
    return _share(text, _HANGUL) == 1 and frequent >= 0.5 * len(syllables)


def _is_chinese(text: str) -> bool:
    """The first plane of GB 2312, B0 to D7, holds the 3,755 most frequent characters."""
    return _share(text, _HAN) == 1 and _leads(text, "gb18030", 0xA1, 0xD7) >= 0.7


def _is_traditional(text: str) -> bool:
    """The first plane of Big5, A4 to C6, holds the frequent characters; Western letters start at C0."""
    is_frequent = _leads(text, "big5", 0xA1, 0xC6) == 1
    return _share(text, _HAN) == 1 and is_frequent and _leads(text, "big5", 0xA1, 0xBF) >= 0.5


def _leads(text: str, encoding: str, first: int, last: int) -> float:
    """How many of its characters are led by such a byte."""
    odd = [letter.encode(encoding)[0] for letter in text if letter > "\x7f"]
    return sum(1 for lead in odd if first <= lead <= last) / max(1, len(odd))


# In this order; whether it needs three odd bytes in a row somewhere; what must be true of all of it together.
_LIKELY: tuple[tuple[str, bool, Callable[[str], bool]], ...] = (
    ("shift_jis", False, _is_japanese),
    ("euc_jp", True, _is_japanese),
    ("cp949", True, _is_korean),
    ("gb18030", True, _is_chinese),
    ("big5", False, _is_traditional),
    ("cp1251", True, _is_cyrillic),
    ("koi8-r", True, _is_cyrillic),
    ("cp1253", True, _is_greek),
)
