"""The file name in a Content-Disposition header, by RFC 6266 and RFC 8187."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

PARAMETER = re.compile(
    rb"""\s*;\s*
    (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
    \s*=\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;"]+))""",
    re.VERBOSE | re.DOTALL,
)
EXTENDED = re.compile(rb"(?P<charset>[A-Za-z0-9!#$%&+^_`{}~-]+)'[A-Za-z0-9-]*'(?P<value>[^'\s;]*)")


def file_name(header: bytes) -> str | None:
    """The last segment of the header's name, `filename*` first; None where it gives none that can be used."""
    parameters = _parameters(header)
    name = _extended(parameters.get(b"filename*", b"")) or _text(parameters.get(b"filename", b""))
    return name.rsplit("/", 1)[-1] or None


def _parameters(header: bytes) -> dict[bytes, bytes]:
    kind, _, _ = header.partition(b";")
    position, found = len(kind), dict[bytes, bytes]()
    while match := PARAMETER.match(header, position):
        quoted = match["quoted"]
        value = match["token"] if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL)
        found.setdefault(match["name"].lower(), value)
        position = match.end()
    return found if not header[position:].strip(b" \t;") else {}


def _extended(value: bytes) -> str:
    match = EXTENDED.fullmatch(value)
    if match is None:
        return ""
    charset = match["charset"].lower()
    if charset not in (b"utf-8", b"iso-8859-1"):
        return ""
    return unquote_to_bytes(match["value"]).decode(charset.decode(), errors="replace")


def _text(value: bytes) -> str:
    """What a quoted name means is not settled beyond ASCII: clients send UTF-8 or ISO-8859-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("iso-8859-1")
