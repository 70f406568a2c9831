"""Make foreign text, such as file names and answers of the service, safe in messages: no mentions and no formatting.

Receivers read plain text in their own ways: as Markdown, as HTML, with `@` mentions, with links of everything that looks like one.
"""

from __future__ import annotations

import os
import re
import unicodedata

_BREAK = "\u200b"  # zero width space: it is not seen, and ends a mention or a link
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LOOK_ALIKE = str.maketrans(
    {"*": "∗", "`": "ˋ", "<": "‹", ">": "›"}
)  # what Markdown and HTML read in the middle of a word
_TWINS = re.compile(r"([_~|])(?=\1)")
_AT_THE_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # where Markdown takes an underscore for emphasis
_CALLS = re.compile(r"(@|:(?=//)|\](?=[(\[:])|&(?=#?\w+;)|\bwww\b)")
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # the others are bytes that are not UTF-8 (PEP 383)
_LONGEST = 600  # characters of one piece of foreign text


def utf8(text: str) -> str:
    """A name as UTF-8: bytes that are not UTF-8 are written as `\\xNN`, halves of surrogate pairs as `\\uNNNN`."""
    if text.isascii():
        return text
    return os.fsencode(encodable(text)).decode("utf-8", "backslashreplace")


def encodable(text: str) -> str:
    """As a file name can hold it: JSON from elsewhere may hold halves of surrogate pairs, which stand for no byte."""
    return _HALVES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def readable(text: str) -> str:
    """Without control characters, direction marks and other invisible signs; on one line."""
    kept = (" " if letter in "\t\n\r" else letter for letter in utf8(text) if _is_seen(letter))
    return " ".join("".join(kept).split())


def harmless(text: str, longest: int = _LONGEST) -> str:
    """`readable`, and nothing in it is a mention, a link or markup; cut where it is too long."""
    said = readable(text)
    if len(said) > longest:
        said = said[: longest - 1] + "…"
    said = _AT_THE_EDGE.sub("ˍ", said.translate(_LOOK_ALIKE))
    said = _TWINS.sub(rf"\1{_BREAK}", said)
    return _CALLS.sub(rf"\1{_BREAK}", said)


def _is_seen(letter: str) -> bool:
    if letter in "\t\n\r":
        return True
    return letter not in _BIDI and unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
