"""The file name in a Content-Disposition header: RFC 6266 and RFC 8187, as lenient as browsers."""

from __future__ import annotations

import codecs
import re
from urllib.parse import unquote_to_bytes

# A quoted value counts only if a semicolon or the end follows; any other extends to the next semicolon: some clients do not
# escape names.
_PARAMETER = re.compile(
    rb"""\s*;\s*
    (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
    \s*=\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s*(?:;|\Z))|(?P<plain>[^;]*))""",
    re.VERBOSE | re.DOTALL,
)
_EXTENDED = re.compile(rb"(?P<charset>[A-Za-z0-9!#$%&+^_`{}~.:-]+)'[^']*'(?P<value>.*)", re.DOTALL)


def file_name(header: bytes) -> str | None:
    """The last segment of the name, from `filename*` if there is one; None if there is no usable name."""
    parameters: dict[bytes, bytes] = {}
    kind, _, _ = header.partition(b";")
    for match in _PARAMETER.finditer(header, len(kind)):
        parameters.setdefault(match["name"].lower(), _value(match))
    name = _extended(parameters.get(b"filename*", b"")) or _text(parameters.get(b"filename", b""))
    return name.rsplit("/", 1)[-1] or None


def _value(match: re.Match[bytes]) -> bytes:
    if match["quoted"] is not None:
        return re.sub(rb"\\(.)", rb"\1", match["quoted"], flags=re.DOTALL)
    plain = match["plain"].strip()
    within = len(plain) > 1 and plain[:1] == plain[-1:] == b'"'
    return plain[1:-1] if within else plain


def _extended(value: bytes) -> str:
    match = _EXTENDED.fullmatch(value)
    if match is None:
        return ""
    try:
        charset = codecs.lookup(match["charset"].decode("ascii")).name
        return unquote_to_bytes(match["value"]).decode(charset, errors="replace")
    except (LookupError, UnicodeError):  # an unknown charset, or a codec that does not decode text
        return ""


def _text(value: bytes) -> str:
    """Beyond ASCII the charset of a quoted name is not defined: clients send UTF-8 or ISO-8859-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("iso-8859-1")
