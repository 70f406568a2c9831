"""File names in `Content-Disposition`, both ways: RFC 6266 and RFC 8187."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

_TOKEN = re.compile(r"[A-Za-z0-9!#$&+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNSAFE_IN_QUOTES = re.compile(r'[^\x20-\x7e]|["\\%/]')
_PARAMETER = re.compile(
    r""";\s*(?P<key>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;"]+))"""
)
_EXTENDED = re.compile(r"(?P<charset>utf-8|iso-8859-1)'[^']*'(?P<value>.*)", re.IGNORECASE)


def of_name(name: str) -> str:
    """The header for a file's name. Whatever the name holds, the header is one line of ASCII, and the ending survives.

    A plain name is sent as the document shows it; any other as an ASCII stand-in and, in `filename*`, as itself. What
    is not a printable character (a byte that is not UTF-8, a control character) is replaced: no receiver could use it.
    """
    readable = _CONTROL.sub("_", name.encode("utf-8", "replace").decode("utf-8")).strip() or "file"
    if _TOKEN.fullmatch(readable):
        return f"attachment; filename={readable}"
    plain = _UNSAFE_IN_QUOTES.sub("_", readable)
    header = f'attachment; filename="{plain}"'
    return header if plain == readable else f"{header}; filename*=UTF-8''{quote(readable, safe='')}"


def file_name(header: str | None) -> str | None:
    """The last segment of the name that a header gives, `filename*` first; None where it gives none."""
    if not header:
        return None
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(header):
        quoted = match["quoted"]
        value = match["token"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found.setdefault(match["key"].lower(), value)
    name = _extended(found.get("filename*", "")) or _text(found.get("filename", ""))
    last = re.split(r"[/\\]", _CONTROL.sub("", name))[-1].strip()
    return last if last not in ("", ".", "..") else None


def _extended(value: str) -> str:
    match = _EXTENDED.fullmatch(value)
    return unquote_to_bytes(match["value"]).decode(match["charset"], "replace") if match else ""


def _text(value: str) -> str:
    """Header text arrives as ISO-8859-1; servers send UTF-8 in it all the same."""
    try:
        return value.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        return value
